"""What every plot shares: a white figure, units, an honest caption, and the numbers in words."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BLUE, SKY, ORANGE, VERMILION, GREEN, PURPLE = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73", "#CC79A7"
MUTED = "#666666"
CLASSES = {
    "cache_read_input_tokens": ("cache read", SKY),
    "ephemeral_1h_input_tokens": ("cache write 1h", PURPLE),
    "ephemeral_5m_input_tokens": ("cache write 5m", ORANGE),
    "input_tokens": ("uncached input", BLUE),
    "output_tokens": ("output", GREEN),
}
"""The token classes, each with its name and colour in every plot."""
FEWEST = 5
"""Calls for which there is room at least, so that one call is not one wide bar."""
WIDTH, HEIGHT = 8.0, 3.6
"""Inches: the text column of a notebook."""


def axes_or_new(ax: "Axes | None") -> "Axes":
    """The axes to draw in; a new figure is white, so that it reads on a dark page too."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, made = plt.subplots(figsize=(WIDTH, HEIGHT), layout="constrained", facecolor="white")
    return made


def legend(ax: "Axes", columns: int) -> None:
    """The names of the colours in one line above the plot, narrow enough for half a page."""
    ax.legend(
        ncols=columns,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
        fontsize=8.5,
        borderaxespad=0.2,
        borderpad=0,
        columnspacing=1,
        handlelength=0.9,
        handletextpad=0.4,
    )


def finish(
    ax: "Axes",
    table: "pd.DataFrame",
    labels: tuple[str, str, str],
    numbers: Sequence[str],
    *,
    pad: float = 6,
) -> "Axes":
    """Title, units, caption and the frame; in a notebook also the numbers in words.

    Args:
        ax: What was drawn.
        table: What it was drawn from.
        labels: The title, the x axis and the y axis with its unit.
        numbers: The lines that say in words what the plot shows.
        pad: Points between title and plot.
    """
    title, x, y = labels
    text = caption(table)
    ax.set_title(title, loc="left", pad=pad)
    ax.set_xlabel(f"{x}\n{text}")
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    if table.empty:
        ax.set_yticks([])
        ax.text(0.5, 0.5, "no calls yet", transform=ax.transAxes, ha="center", va="center", color=MUTED)
    ax.frame = table  # type: ignore[attr-defined]  # a reader of the plot finds its numbers on it
    if in_notebook():
        said = [f"{title}: {text}", *(f"  {line}" for line in numbers)]
        print("\n".join(said))  # noqa: T201 - the saved notebook compares this text
    return ax


def caption(table: "pd.DataFrame") -> str:
    """What kind of numbers these are: simulated or real, how many estimated, how many unpriced."""
    if table.empty:
        return "no calls recorded"
    number = calls_in(table)
    calls = "call" if number == 1 else "calls"
    simulated = bool(table["simulated"].any())
    parts = [f"{number:,} {calls} simulated, not billed" if simulated else f"{number:,} real {calls}"]
    for name, word in (("unfinished", "unfinished (a range)"), ("unpriced", "unpriced")):
        if count := int(table[name].sum()):
            parts.append(f"{count:,} {word}")
    return "; ".join(parts)


def calls_in(table: "pd.DataFrame") -> int:
    """How many calls the table is about: its rows, or the sum of its column ``calls``."""
    return int(table["calls"].sum()) if "calls" in table else len(table)


def in_notebook() -> bool:
    """Whether a kernel, not a terminal, will show what is printed."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
