"""What every plot shares: black on white, units, an honest caption, its frame, and its numbers in words."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError
from claude_nb.ledger.attempt import IMPORTED

from .fit import HEIGHT, WIDTH, legend, letters_in, lines, width_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BLUE, SKY, ORANGE, VERMILION, GREEN, PURPLE = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73", "#CC79A7"
YELLOW, MUTED = "#F0E442", "#767676"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)
"""Okabe and Ito's colours in an order whose neighbours differ in lightness too."""
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
_STEPS = [1, 2, 5, 10]
_BLACK = (
    "text.color",
    "axes.labelcolor",
    "axes.edgecolor",
    "axes.titlecolor",
    "xtick.color",
    "ytick.color",
    "legend.labelcolor",
)
PAPER: Any = {"figure.facecolor": "white", "axes.facecolor": "white"} | dict.fromkeys(_BLACK, "black")
"""A figure of ours is a white sheet, readable on a dark page and under a dark style."""
_PLAIN: Any = {"text.parse_math": False}
"""Two amounts in dollars are no formula."""


def draw(
    paint: "Callable[[Axes], None]",
    table: "pd.DataFrame",
    calls: "pd.DataFrame | str",
    labels: tuple[str, str, str],
    words: Sequence[str],
    *,
    ax: "Axes | None" = None,
    columns: int = 0,
    grid: str = "y",
    blank: str = "",
) -> "Axes":
    """A plot: what is particular to it, between what all have in common.

    Args:
        paint: Draws into the axes; not called where there is nothing to draw.
        table: What is drawn; the reader finds it on the axes as ``.frame``.
        calls: The calls behind it, which the caption counts; or the caption itself.
        labels: The title, the x axis and the y axis with its unit.
        words: The lines that say in words what the plot shows; a notebook prints them.
        ax: Where to draw; a new figure if not given.
        columns: Most columns of the legend above the plot; 0 for none.
        grid: The axis whose values are to be read off.
        blank: Why nothing can be drawn, to be said in its place.
    """
    import matplotlib as mpl

    title, x, y = labels
    text, days = (calls, "") if isinstance(calls, str) else (caption(calls), period(calls))
    with mpl.rc_context((PAPER if ax is None else {}) | _PLAIN):
        ax = axes_or_new(ax)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        rows = 0
        if reason := blank or ("no calls yet" if table.empty else ""):
            ax.set_xticks([])
            ax.set_yticks([])
            ax.text(0.5, 0.5, reason, transform=ax.transAxes, ha="center", va="center", color=MUTED)
        else:
            paint(ax)
            if grid:
                ax.grid(axis=grid, color=MUTED, alpha=0.2)  # type: ignore[arg-type]  # "x", "y" or "both"
            rows = legend(ax, columns) if columns else 0
        ax.set_title(title, loc="left", pad=8 + 15 * rows)
        under = lines([*text.split("; "), *([days] if days else [])], letters_in(width_of(ax)))
        ax.set_xlabel(f"{x}\n{under}" if x else under, wrap=True)
        ax.set_ylabel(y)
    ax.frame = table  # type: ignore[attr-defined]  # a reader of the plot finds its numbers on it
    if in_notebook():
        said = [f"{title}: {text}", *(f"  {line}" for line in words if not table.empty)]
        print("\n".join(said))  # noqa: T201 - the saved notebook compares this text
    return ax


def axes_or_new(ax: Any) -> "Axes":
    """The axes to draw in; a new figure is white, so that it reads on a dark page too.

    Raises:
        LedgerError: What was given are no axes.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is None:
        with mpl.rc_context(PAPER):
            _, made = plt.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
            return made
    if not isinstance(ax, Axes):
        raise LedgerError(
            f"ax= takes the Axes to draw in, and this is a {type(ax).__name__}. "
            'Type: figure, ax = plt.subplots(layout="constrained"), then pass ax=ax.'
        )
    return ax


def caption(calls: "pd.DataFrame") -> str:
    """What kind of numbers these are: simulated or real, how many estimated, how many unpriced."""
    if calls.empty:
        return "no calls recorded"
    number = int(calls["calls"].sum())
    plural = "" if number == 1 else "s"
    if calls["simulated"].any():
        parts = [f"{number:,} call{plural} simulated, not billed"]
    else:
        imported = calls["op"].eq(IMPORTED).fillna(value=False).any()
        parts = [f"{number:,} {'imported row' if imported else 'real call'}{plural}"]
    if earlier := calls.attrs.get("earlier"):
        parts[0] = f"the last {parts[0]} ({earlier:,} earlier ones left out)"
    for name, word in (("unfinished", "unfinished (a range)"), ("unpriced", "unpriced")):
        if count := int(calls[name].sum()):
            parts.append(f"{count:,} {word}")
    return "; ".join([*parts, *calls.attrs.get("notes", ())])


def period(calls: "pd.DataFrame") -> str:
    """The days (UTC) the calls were made on. On the picture only: printed, it would differ with every run."""
    at = calls["ts"].dropna()
    if at.empty:
        return ""
    ends = calls.get("last", at)
    first, last = (f"{moment:%Y-%m-%d}" for moment in (at.min(), ends.max()))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def several_days(calls: "pd.DataFrame") -> bool:
    """Whether the words may name days: those of one sitting would differ with every run of a notebook."""
    at = calls["ts"].dropna()
    return not at.empty and (at.max() - at.min()).total_seconds() >= 86_400  # noqa: PLR2004 - a day


def money(amount: float | None) -> str:
    """USD for a reader; sums of floats are rounded to what the ledger keeps."""
    from claude_nb.ledger import format_usd

    if amount is None or amount != amount:  # noqa: PLR0124 - NaN
        return "unknown"
    return format_usd(round(float(amount), 12)).replace("$-", "-$")


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows as dicts."""
    return table.to_dict("records")  # type: ignore[return-value]  # every column of ours has a name


def span(low: float, high: float) -> str:
    """A range of USD for a reader, or the one amount that both ends round to."""
    least, most = money(low), money(high)
    return least if least == most or high != high else f"{least} to {most}"  # noqa: PLR0124 - NaN


def amount(low: float, high: float, unpriced: float) -> str:
    """What calls cost for a reader: a range, a least amount where some are unpriced, unknown where all are."""
    if low != low:  # noqa: PLR0124 - NaN
        return money(None)
    return f"at least {money(low)}" if unpriced > 0 else span(low, high)


def unknown_costs(calls: "pd.DataFrame") -> str:
    """Why costs cannot be drawn: none of them is known; else nothing."""
    return "no call has a known price" if len(calls) and calls["low"].isna().all() else ""


def usd_axis(axis: "Axis") -> None:
    """Few ticks, in USD, all with as many digits as one of them needs."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def text(value: float, _: Any) -> str:
        ticks = [float(tick) for tick in axis.get_majorticklocs()]
        close = max(map(abs, ticks), default=1.0) / 1e6
        exact = (
            places
            for places in range(2, 13)
            if all(abs(round(tick, places) - tick) <= close for tick in ticks)
        )
        return f"{'-' if value < 0 else ''}${abs(value):,.{next(exact, 12)}f}"

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(text))


def time_axis(axis: "Axis") -> None:
    """Days, or hours of one day, each with its month: the year stands in the caption."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    fit = int(width_of(axis.axes) / 0.75)
    most = max(min(fit, 8), 5)  # with fewer matplotlib finds no step between two of its units
    locator = AutoDateLocator(minticks=2, maxticks=most)  # type: ignore[no-untyped-call]  # matplotlib's own
    axis.set_major_locator(locator)
    axis.set_major_formatter(
        ConciseDateFormatter(  # type: ignore[no-untyped-call]  # the same
            locator,
            formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
            zero_formats=["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
            show_offset=False,
        )
    )


def count_axis(axis: "Axis") -> None:
    """Whole numbers with their thousands apart."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.set_major_locator(MaxNLocator(6, integer=True, steps=_STEPS))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def name_axis(
    axis: "Axis", names: Sequence[str], *, places: Sequence[float] | None = None, **text: Any
) -> None:
    """Names in place of numbers; whatever is in them, they are no formulas."""
    axis.set_ticks(range(len(names)) if places is None else places, names, **text)
    for label in axis.get_ticklabels():
        label.set_parse_math(False)


def ink(colour: Any) -> str:
    """Black or white, whichever reads better on the colour (contrast by WCAG 2)."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]  # noqa: PLR2004 - sRGB
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > 0.179 else "white"  # noqa: PLR2004 - where both contrasts are equal


def shorten(text: str, most: int = 34) -> str:
    """The text with its middle left out where it is too long for a label."""
    if len(text) <= most:
        return text
    end = most // 2
    return f"{text[: most - end - 1]}…{text[-end:]}"


def in_notebook() -> bool:
    """Whether a kernel, not a terminal, will show what is printed."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
