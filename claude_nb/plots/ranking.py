"""Who costs most: models, notebooks, cells, conversations."""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .calls import sums_of
from .canvas import BLUE, MUTED, SKY, draw, inches, money, name_axis, records, shorten, span, usd_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_FEWEST_BARS = 3
_KEYS = {
    "cell": ["notebook", "cell"],
    "notebook": ["notebook"],
    "conversation": ["conversation"],
    "model": ["model"],
}


def models(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Cost by model in USD, dearest on top.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    calls = sums_of(source)
    table = models_frame(calls)
    return _ranking(table, calls, "model", "Cost by model", ax)


def models_frame(source: Any) -> "pd.DataFrame":
    """What ``models`` draws: a row a model, the cost of its calls in USD, dearest first."""
    return _sums(sums_of(source), "model")


def top(source: Any, by: str = "cell", *, most: int = 10, ax: "Axes | None" = None) -> "Axes":
    """The cells, notebooks or conversations that cost most, in USD; all others in one last bar.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        by: ``"cell"``, ``"notebook"``, ``"conversation"`` or ``"model"``.
        most: How many to name.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls, or ``by`` is none of these.
    """
    calls = sums_of(source, *_keys(by))
    table = top_frame(calls, by, most=most)
    return _ranking(table, calls, by, f"Cost by {by}", ax)


def top_frame(source: Any, by: str = "cell", *, most: int = 10) -> "pd.DataFrame":
    """What ``top`` draws: a row for each of the dearest, and one for all others together."""
    import pandas as pd

    if not isinstance(most, int) or most < 1:
        raise LedgerError(
            f"most={most!r} names no bars. Type a whole number from 1 on: plots.top(ledger, most=10)."
        )
    sums = _sums(sums_of(source, *_keys(by)), by)
    if len(sums) <= most + 1:
        return sums
    rest = sums.iloc[most:]
    others = {by: f"{len(rest):,} others"} | rest.drop(columns=by).sum(numeric_only=True).to_dict()
    return pd.concat([sums.iloc[:most], pd.DataFrame([others])], ignore_index=True)


def _keys(by: str) -> list[str]:
    if by not in _KEYS:
        raise LedgerError(
            f"plots.top() does not know by={by!r}. Choose one of: {', '.join(_KEYS)}; or ask ledger.by({by!r})."
        )
    return _KEYS[by]


def _sums(calls: "pd.DataFrame", by: str) -> "pd.DataFrame":
    keys = _KEYS[by]
    names = calls[keys].astype(object).where(calls[keys].notna(), "")
    if by == "cell":
        cell = names["cell"].map(lambda cell: f"cell {cell}" if cell else "")
        label = (_short(names["notebook"]) + " " + cell).str.strip()
    else:
        label = _short(names[by])
    unknown = "unknown" if by == "model" else f"no {by}"
    named = calls.assign(**{by: label.where(label != "", unknown)})
    sums = (
        named.groupby(by)[["calls", "cost_usd", "low", "high", "unpriced", "unfinished"]].sum().reset_index()
    )
    return sums.sort_values(["low", by], ascending=[False, True], ignore_index=True)


def _short(names: "pd.Series[Any]") -> "pd.Series[Any]":
    return names.astype(str).str.removesuffix(".ipynb")


def _cost(row: dict[str, Any]) -> str:
    known = row["high"] or row["calls"] > row["unpriced"]
    return span(row["low"], row["high"]) if known else money(None)


def _ranking(table: "pd.DataFrame", calls: "pd.DataFrame", by: str, title: str, ax: "Axes | None") -> "Axes":
    names = [str(name) for name in table[by]]
    costs = [_cost(row) for row in records(table)]

    def paint(ax: "Axes") -> None:
        rows = range(len(names))
        ax.barh(rows, table["high"], 0.6, color=SKY, alpha=0.6)  # what unfinished calls leave open
        colours = [MUTED if name.endswith(" others") else BLUE for name in names]
        bars = ax.barh(rows, table["low"], 0.6, color=colours)
        for bar, high, text in zip(bars, table["high"], costs, strict=True):
            middle = bar.get_y() + bar.get_height() / 2
            ax.annotate(
                text, (high, middle), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9
            )
        name_axis(ax.yaxis, [shorten(name, int(inches(ax) * 4)) for name in names])
        ax.set_ylim(
            max(len(names), _FEWEST_BARS) - 0.5, -0.5
        )  # the dearest on top, no bar wider than a third
        ax.set_xlim(0, float(table["high"].max()) * 1.3 or 1)
        usd_axis(ax.xaxis)

    words = [f"{name}: {cost}" for name, cost in zip(names, costs, strict=True)]
    return draw(paint, table, calls, (title, "USD", ""), words, ax=ax, grid="x")
