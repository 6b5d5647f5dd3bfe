"""Plots of what calls cost and why. Each takes a ledger or a frame and returns matplotlib Axes.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. Each plot carries the frame it drew as
``ax.frame``, says in its caption what is simulated, estimated or unpriced, and in a notebook prints the numbers
it drew, so that a wrong plot fails a comparison of outputs.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_CLASSES = {
    "cache_read_input_tokens": ("cache read", "#56B4E9"),
    "ephemeral_1h_input_tokens": ("cache write 1h", "#CC79A7"),
    "ephemeral_5m_input_tokens": ("cache write 5m", "#E69F00"),
    "input_tokens": ("uncached input", "#0072B2"),
}
_SPENT, _RANGE, _MUTED = "#0072B2", "#56B4E9", "#666666"
_FEWEST = 5
"""Calls for which there is room at least, so that one call is not one wide bar."""
_WIDTH, _HEIGHT = 8.0, 3.6
"""Inches: the text column of a notebook."""


def spend(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Cumulative spend over calls, in USD, with the range that unfinished calls leave open.

    Real calls are drawn; where there are none, simulated ones, and the title says so.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from claude_nb.ledger import format_usd

    table = spend_frame(source)
    ax = _axes(ax)
    calls = [0, *table["call"], len(table) + 0.5]
    low = [0.0, *table["cumulative_low"], *table["cumulative_low"].tail(1)]
    high = [0.0, *table["cumulative_high"], *table["cumulative_high"].tail(1)]
    calls = calls[: len(low)]
    ax.fill_between(calls, low, high, step="post", color=_RANGE, alpha=0.35, linewidth=0)
    ax.step(calls, low, where="post", color=_SPENT, linewidth=2)
    ax.plot(table["call"], table["cumulative_low"], "o", color=_SPENT, markersize=4)
    ax.set_ylim(bottom=0, top=None if any(high) else 1)
    ax.set_xlim(left=0, right=max(len(table), _FEWEST) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_usd(round(value, 12))))
    return _finish(ax, table, "Spend, cumulative", "call", "USD")


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
    ax = _axes(ax)
    bottom = [0] * len(table)
    for name, (label, colour) in _CLASSES.items():
        heights = [int(tokens) for tokens in table[name]]
        ax.bar(table["turn"], heights, 0.85, bottom=bottom, color=colour, label=label)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    ax.set_xlim(0.4, max(len(table), _FEWEST) + 0.6)
    ax.set_ylim(bottom=0, top=None if any(bottom) else 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if not table.empty:
        ax.legend(
            ncols=4, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=9, borderaxespad=0.2
        )
    return _finish(ax, table, "Context per turn", "turn", "tokens of prompt", pad=24)


def spend_frame(source: Any) -> "pd.DataFrame":
    """What ``spend`` draws: a row a call, its cost and the running sums, in USD."""
    calls = _calls(source)
    low = calls["cost_usd"].fillna(calls["cost_low"])
    high = calls["cost_usd"].fillna(calls["cost_high"]).fillna(low)
    table = calls[["model", "outcome", "simulated", "cost_usd"]].copy()
    table.insert(0, "call", range(1, len(table) + 1))
    table["cumulative_low"] = low.fillna(0).cumsum()
    table["cumulative_high"] = high.fillna(0).cumsum()
    table["unpriced"] = low.isna()
    table["unfinished"] = calls["cost_usd"].isna() & low.notna()
    return table


def context_frame(source: Any) -> "pd.DataFrame":
    """What ``context`` draws: a row a turn, its prompt by token class. Attempts that reported none are left out."""
    calls = _calls(source)
    names = list(_CLASSES)
    turns = calls[calls[names].notna().any(axis=1)].reset_index(drop=True)
    table = turns[["model", "outcome", "simulated"]].copy()
    table.insert(0, "turn", range(1, len(table) + 1))
    table[names] = turns[names].fillna(0).astype("int64")
    table["prompt_tokens"] = table[names].sum(axis=1)
    table["unpriced"] = turns["cost_usd"].isna() & turns["cost_low"].isna()
    table["unfinished"] = turns["cost_usd"].isna() & turns["cost_low"].notna()
    return table


def _calls(source: Any) -> "pd.DataFrame":
    """The rows that asked for a message: the real ones, or else the simulated ones."""
    import pandas as pd

    frame = source
    for name in ("frame", "ledger_frame"):
        if not isinstance(frame, pd.DataFrame) and callable(getattr(source, name, None)):
            frame = getattr(source, name)()
    if not isinstance(frame, pd.DataFrame):
        raise LedgerError(
            f"There is nothing to plot in a {type(source).__name__}. Type: plots.spend(ledger), or pass "
            "ledger.frame() or a chat."
        )
    frame = frame.copy()
    numbers = ["cost_usd", "cost_low", "cost_high"]
    for name in ["model", "outcome", "op", "simulated", *numbers, *_CLASSES]:
        if name not in frame:
            frame[name] = False if name == "simulated" else None
    frame[numbers] = frame[numbers].astype("float64")
    frame[list(_CLASSES)] = frame[list(_CLASSES)].astype("Int64")
    asked = frame[frame["op"].isna() | frame["op"].isin(["messages", "batch_item"])]
    real = asked[~asked["simulated"].astype(bool)]
    return (asked if real.empty else real).reset_index(drop=True)


def _axes(ax: "Axes | None") -> "Axes":
    """The axes to draw in; a new figure is white, so that it reads on a dark page too."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, made = plt.subplots(figsize=(_WIDTH, _HEIGHT), layout="constrained", facecolor="white")
    return made


def _finish(ax: "Axes", table: "pd.DataFrame", title: str, x: str, y: str, *, pad: float = 6) -> "Axes":
    """Title, units, caption and the frame; in a notebook also the numbers in words."""
    caption = _caption(table)
    ax.set_title(title, loc="left", pad=pad)
    ax.set_xlabel(f"{x}\n{caption}")
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color=_MUTED, alpha=0.2)
    ax.set_axisbelow(True)
    if table.empty:
        ax.set_yticks([])
        ax.text(0.5, 0.5, "no calls yet", transform=ax.transAxes, ha="center", va="center", color=_MUTED)
    ax.frame = table  # type: ignore[attr-defined]  # a reader of the plot finds its numbers on it
    if _in_notebook():
        print("\n".join(_summary(table, title, caption)))  # noqa: T201 - the saved notebook compares this text
    return ax


def _caption(table: "pd.DataFrame") -> str:
    """What kind of numbers these are: simulated or real, how many estimated, how many unpriced."""
    if table.empty:
        return "no calls recorded"
    calls = f"{len(table):,} call{'' if len(table) == 1 else 's'}"
    parts = [
        f"{calls} simulated, not billed" if bool(table["simulated"].any()) else f"{calls} billed by the API"
    ]
    for name, word in (("unfinished", "unfinished (a range)"), ("unpriced", "unpriced")):
        if count := int(table[name].sum()):
            parts.append(f"{count:,} {word}")
    return "; ".join(parts)


def _summary(table: "pd.DataFrame", title: str, caption: str) -> Sequence[str]:
    """The drawn numbers: first, last, largest."""
    from claude_nb.ledger import format_usd

    lines = [f"{title}: {caption}"]
    if table.empty:
        return lines
    if "cumulative_low" in table:
        low, high = float(table["cumulative_low"].iloc[-1]), float(table["cumulative_high"].iloc[-1])
        reach = format_usd(round(low, 12)) + (f" to {format_usd(round(high, 12))}" if high > low else "")
        return [*lines, f"  spent {reach}"]
    for name, (label, _) in _CLASSES.items():
        tokens = [int(value) for value in table[name]]
        if any(tokens):
            lines.append(f"  {label}: first {tokens[0]:,}, last {tokens[-1]:,}, most {max(tokens):,} tokens")
    return lines


def _in_notebook() -> bool:
    """Whether a kernel, not a terminal, will show what is printed."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
