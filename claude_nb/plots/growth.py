"""How the prompt grows from turn to turn."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from claude_nb.models import find

from .calls import PROMPT_CLASSES, calls_of
from .canvas import CLASSES, FEWEST, MUTED, VERMILION, count_axis, draw, name_axis, records, shorten
from .fit import SMALL, height_of, letters_in, wide, width_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MOST_BARS = 80
_MOST_SIDE_BY_SIDE = 6
"""Conversations that are drawn: of more the shape of none is to be seen."""
_MOST_SPIKES = 6
_SHORTEST = 4
"""Letters below which a name is none."""
_MOST_TURNS = 2_000
_NEAR = 0.25
"""Share of the window from which on its limit is drawn; below, it would press the bars flat."""


def context(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """The prompt of each turn in tokens, stacked by how each token was billed, spikes and window limit marked.

    A growing bar is a growing history; what is not ``cache read`` was paid at the full rate or more. Conversations
    stand side by side, of many the last six. Calls that belong to none are no turns: they are drawn as calls, without
    spikes.

    Args:
        source: A ``Ledger`` (its last 2,000 attempts), a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    calls = _latest(source)
    table = context_frame(calls)
    groups = list(table.groupby("conversation", sort=False, dropna=False)) if len(table) else []
    turns = _are_turns(calls)
    many = len(groups) > 1

    def paint(ax: "Axes") -> None:
        bars = [name for name in PROMPT_CLASSES if table[name].any()]
        _stack(ax, table, bars)
        _mark(ax, table)
        ax.set_xlim(0.4, max(float(table["place"].iloc[-1]), FEWEST) + 0.6)
        peak = float(table["prompt_tokens"].max())
        room = max(0.36 / height_of(ax), 0.15)  # of a spike's mark
        ax.set_ylim(0, peak * (1 + room if table["spike"].any() or many else 1.05) or 1)
        limit = _window(table)
        if limit is not None:
            ax.axhline(limit, color=VERMILION, linestyle="--", linewidth=1.5)
            ax.text(0.5, limit, f" window {limit:,}", color=VERMILION, va="bottom")
            ax.set_ylim(top=max(limit * 1.1, peak * 1.05))
        count_axis(ax.xaxis)
        count_axis(ax.yaxis)
        if many:
            _names(ax, groups)

    title = "Context per turn" if turns else "Context per call"
    x = "turns of each conversation" if many else "turn" if turns else "call"
    labels = (title, x, "tokens of prompt")
    blank = "no prompt had a token" if len(table) and not table["prompt_tokens"].any() else ""
    return draw(paint, table, calls, labels, _in_words(table), ax=ax, columns=4, blank=blank)


def context_frame(source: Any) -> "pd.DataFrame":
    """What ``context`` draws: a row a turn, its prompt by token class. Attempts that reported none are left out.

    Of more than six conversations the rows are those of the last six.
    ``spike`` is what a turn added, in tokens, where that is far more than its conversation's turns add.
    """
    calls = _latest(source)
    names = list(PROMPT_CLASSES)
    order = calls.index
    if len(calls["conversation"].unique()) > 1:
        begin = (
            calls.assign(place=range(len(calls)))
            .groupby("conversation", dropna=False)["place"]
            .transform("min")
        )
        alone = calls["conversation"].isna()  # calls of no conversation stand last
        order = calls.assign(alone=alone, begin=begin).sort_values(["alone", "begin"], kind="stable").index
    calls = calls.loc[order].reset_index(drop=True)
    table = calls[["conversation", "model", "outcome", "simulated"]].copy()
    grouped = table.groupby("conversation", sort=False, dropna=False)
    table.insert(0, "turn", grouped.cumcount() + 1)
    table.insert(
        1, "place", grouped.ngroup() + 1 + table.index
    )  # one place is left free between conversations
    table[names] = calls[names].fillna(0).astype("int64")
    table["prompt_tokens"] = table[names].sum(axis=1)
    table["spike"] = 0
    if _are_turns(calls):
        for _, group in table[table["conversation"].notna() | (grouped.ngroups == 1)].groupby(
            "conversation", dropna=False
        ):
            table.loc[group.index, "spike"] = spikes([int(size) for size in group["prompt_tokens"]])
    table["unpriced"], table["unfinished"] = calls["unpriced"], calls["unfinished"]
    return table


def spikes(prompts: list[int]) -> list[int]:
    """What each turn added to the prompt where ``ledger.leaks()`` would call it a spike, else 0; in tokens."""
    from claude_nb.ledger.spikes import stand_out

    grown = [0, *(after - before for before, after in pairwise(prompts))]
    places = [place for place, size in enumerate(grown) if size > 0]
    found = [0] * len(prompts)
    for place, usual in zip(places, stand_out([grown[place] for place in places], prompts[:1]), strict=True):
        found[place] = 0 if usual is None else grown[place]
    return found


def _latest(source: Any) -> "pd.DataFrame":
    """The calls that reported a prompt, of the conversations that went on last; the caption tells how many."""
    calls = calls_of(source, _MOST_TURNS)
    answered = calls[calls[list(PROMPT_CLASSES)].notna().any(axis=1)].reset_index(drop=True).assign(calls=1)
    last = list(answered["conversation"].drop_duplicates(keep="last"))
    if len(last) <= _MOST_SIDE_BY_SIDE:
        return answered
    kept = answered[answered["conversation"].isin(last[-_MOST_SIDE_BY_SIDE:])].reset_index(drop=True)
    kept.attrs["notes"] = (f"the last {_MOST_SIDE_BY_SIDE} of {len(last):,} conversations",)
    return kept


def _are_turns(calls: "pd.DataFrame") -> bool:
    """Whether the calls are known to follow each other: a chat counts its turns, a ledger names its conversations."""
    return "turn" in calls or bool(calls["conversation"].notna().any())


def _window(table: "pd.DataFrame") -> int | None:
    """The context window of the models used, in tokens, where a prompt comes near it."""
    known = [find(str(model)) for model in table["model"].dropna().unique()]
    sizes = [model.max_input_tokens for model in known if model and model.max_input_tokens]
    return min(sizes) if sizes and table["prompt_tokens"].max() >= _NEAR * min(sizes) else None


def _stack(ax: "Axes", table: "pd.DataFrame", names: list[str]) -> None:
    """Bars; of many turns areas, which take no longer to draw than a few."""
    places = range(1, int(table["place"].iloc[-1]) + 1)
    shown = (
        table
        if len(table) <= _MOST_BARS
        else table.set_index("place")[[*names, "prompt_tokens"]].reindex(places, fill_value=0).reset_index()
    )
    bottom = 0 * shown["prompt_tokens"]
    for name in names:
        label, colour = CLASSES[name]
        if shown is table:
            ax.bar(shown["place"], shown[name], 0.85, bottom=bottom, color=colour, label=label)
        else:
            top = bottom + shown[name]
            ax.fill_between(shown["place"], bottom, top, step="mid", color=colour, label=label, linewidth=0)
        bottom = bottom + shown[name]


def _mark(ax: "Axes", table: "pd.DataFrame") -> None:
    """Marks of the largest spikes, with their size where it does not cover that of a larger one."""
    from matplotlib.patheffects import withStroke

    across = width_of(ax) / max(int(table["place"].iloc[-1]), FEWEST)
    up = height_of(ax) / float(table["prompt_tokens"].max())
    said: list[tuple[float, float]] = []
    for turn in records(table[table["spike"] > 0].nlargest(_MOST_SPIKES, "spike")):
        size = f"+{turn['spike']:,}"
        x, y = turn["place"] * across, turn["prompt_tokens"] * up
        free = all(abs(x - a) > wide(len(size) + 1, SMALL) or abs(y - b) > 3 * SMALL / 72 for a, b in said)
        said += [(x, y)] if free else []
        beside = x > wide(len(size) + 1, SMALL)  # the turns before are lower, those after it are not
        ax.annotate(
            f"{size if free else ''}\n▼",
            (turn["place"], turn["prompt_tokens"]),
            (SMALL / 2 if beside else 0, 0),
            textcoords="offset points",
            ha="right" if beside else "center",
            va="bottom",
            multialignment="right" if beside else "center",
            color=VERMILION,
            fontsize=SMALL,
            linespacing=0.9,
            path_effects=[withStroke(linewidth=3, foreground=ax.get_facecolor())],
        )


def _names(ax: "Axes", groups: list[tuple[Any, "pd.DataFrame"]]) -> None:
    """The conversations' names instead of numbers that begin again, of those with room for one."""
    inches = width_of(ax) / float(groups[-1][1]["place"].iloc[-1])
    middles, names = [], []
    for _, group in groups:
        letters = min(letters_in(inches * (len(group) + 1)) - 2, 14)
        if letters >= min(_SHORTEST, len(_name(group))):
            middles.append(float(group["place"].mean()))
            names.append(shorten(_name(group), letters))
    name_axis(ax.xaxis, names, places=middles)
    between = [float(group["place"].iloc[0]) - 1 for _, group in groups[1:]]
    ax.vlines(between, 0, 1, transform=ax.get_xaxis_transform(), color=MUTED, alpha=0.4, linewidth=0.6)


def _name(group: "pd.DataFrame") -> str:
    name = group["conversation"].iloc[0]
    return str(name) if isinstance(name, str) else "single calls"


def _in_words(table: "pd.DataFrame") -> list[str]:
    lines = []
    groups = list(table.groupby("conversation", sort=False, dropna=False)) if len(table) else []
    if len(groups) > 1:
        for _, group in groups:
            first, last = group["prompt_tokens"].iloc[0], group["prompt_tokens"].iloc[-1]
            lines.append(
                f"{_name(group)}: {len(group):,} call{'s' * (len(group) > 1)}, first {first:,}, last {last:,} tokens"
            )
    for name in PROMPT_CLASSES if len(groups) == 1 else ():
        tokens = [int(value) for value in table[name]]
        if any(tokens):
            first, last, most = tokens[0], tokens[-1], max(tokens)
            lines.append(f"{CLASSES[name][0]}: first {first:,}, last {last:,}, most {most:,} tokens")
    spiked = records(table[table["spike"] > 0]) if len(table) else []

    def of(turn: dict[str, Any]) -> str:
        return f" of {turn['conversation']}" if len(groups) > 1 else ""

    lines += [f"spike at turn {turn['turn']}{of(turn)}: +{turn['spike']:,} tokens" for turn in spiked]
    limit = _window(table) if len(table) else None
    if limit is not None:
        lines.append(f"most {table['prompt_tokens'].max() / limit:.0%} of the window of {limit:,} tokens")
    return lines
