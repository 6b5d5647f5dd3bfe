"""How the prompt grows from turn to turn."""

from typing import TYPE_CHECKING, Any

from .calls import PROMPT_CLASSES, calls_of
from .canvas import CLASSES, FEWEST, MUTED, axes_or_new, finish, legend

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def context(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """The prompt of each turn in tokens, stacked by how each token was billed.

    A growing bar is a growing history; what is not ``cache read`` was paid at the full rate or more.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    table = context_frame(source)
    ax = axes_or_new(ax)
    bottom = [0] * len(table)
    for name in PROMPT_CLASSES:
        label, colour = CLASSES[name]
        heights = [int(tokens) for tokens in table[name]]
        ax.bar(table["turn"], heights, 0.85, bottom=bottom, color=colour, label=label)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    ax.set_xlim(0.4, max(len(table), FEWEST) + 0.6)
    ax.set_ylim(bottom=0, top=None if any(bottom) else 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if not table.empty:
        legend(ax, 4)
    ax.grid(axis="y", color=MUTED, alpha=0.2)
    return finish(ax, table, ("Context per turn", "turn", "tokens of prompt"), _in_words(table), pad=24)


def context_frame(source: Any) -> "pd.DataFrame":
    """What ``context`` draws: a row a turn, its prompt by token class. Attempts that reported none are left out."""
    calls = calls_of(source)
    names = list(PROMPT_CLASSES)
    turns = calls[calls[names].notna().any(axis=1)].reset_index(drop=True)
    table = turns[["model", "outcome", "simulated"]].copy()
    table.insert(0, "turn", range(1, len(table) + 1))
    table[names] = turns[names].fillna(0).astype("int64")
    table["prompt_tokens"] = table[names].sum(axis=1)
    table["unpriced"] = turns["cost_usd"].isna() & turns["cost_low"].isna()
    table["unfinished"] = turns["cost_usd"].isna() & turns["cost_low"].notna()
    return table


def _in_words(table: "pd.DataFrame") -> list[str]:
    lines = []
    for name in PROMPT_CLASSES:
        tokens = [int(value) for value in table[name]]
        if any(tokens):
            first, last, most = tokens[0], tokens[-1], max(tokens)
            lines.append(f"{CLASSES[name][0]}: first {first:,}, last {last:,}, most {most:,} tokens")
    return lines
