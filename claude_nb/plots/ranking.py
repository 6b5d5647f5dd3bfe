"""Who costs most: models, notebooks, cells, conversations."""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .calls import sums_of
from .canvas import BLUE, MUTED, SKY, amount, draw, name_axis, records, shorten, usd_axis
from .fit import SMALL, end_for, letters_in, width_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_FEWEST_BARS = 3
_MOST_MODELS = 20
_DWARFED = 2
"""How many times the dearest all others together may cost for their bar to be to scale."""
_BROKEN = 1.25
"""Else it is broken off at so many times the dearest."""
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
    """What ``models`` draws: a row a model, the cost of its calls in USD, dearest first; beyond 20 one for all others.

    ``cost_usd`` is what is settled, ``low`` and ``high`` are the least and the most that the priced calls cost; NaN
    where none has a known price. ``unpriced`` counts the others.
    """
    return _dearest(_sums(sums_of(source), "model"), "model", _MOST_MODELS)


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
    """What ``top`` draws: a row for each of the dearest, and one for all others together, as ``models_frame``."""
    if not isinstance(most, int) or most < 1:
        raise LedgerError(
            f"most={most!r} names no bars. Type a whole number from 1 on: plots.top(ledger, most=10)."
        )
    return _dearest(_sums(sums_of(source, *_keys(by)), by), by, most)


def _dearest(sums: "pd.DataFrame", by: str, most: int) -> "pd.DataFrame":
    """The first so many, and a row for all others together."""
    import pandas as pd

    if len(sums) <= most + 1:
        return sums
    rest = sums.iloc[most:]
    others = {by: f"{len(rest):,} others"} | rest.drop(columns=by).sum(
        numeric_only=True, min_count=1
    ).to_dict()
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
    summed = ["calls", "cost_usd", "low", "high", "unpriced", "unfinished"]
    sums = named.groupby(by)[summed].sum(min_count=1).reset_index()
    return sums.sort_values(["low", by], ascending=[False, True], ignore_index=True)


def _short(names: "pd.Series[Any]") -> "pd.Series[Any]":
    return names.astype(str).str.removesuffix(".ipynb")


def _ranking(table: "pd.DataFrame", calls: "pd.DataFrame", by: str, title: str, ax: "Axes | None") -> "Axes":
    names = [str(name) for name in table[by]]
    costs = [amount(row["low"], row["high"], row["unpriced"]) for row in records(table)]

    def paint(ax: "Axes") -> None:
        rows = range(len(names))
        low, high = table["low"].fillna(0), table["high"].fillna(0)
        others = names[-1].endswith(" others")
        most = float(high.iloc[:-1].max() if others else high.max())
        broken = others and high.iloc[-1] > _DWARFED * most > 0
        if broken:  # drawn to scale it would press the named ones flat
            low, high = low.clip(upper=_BROKEN * most), high.clip(upper=_BROKEN * most)
            ax.text(
                0.93 * _BROKEN * most, rows[-1], "//", color=ax.get_facecolor(), weight="bold", va="center"
            )
        ax.barh(rows, high, 0.6, color=SKY, alpha=0.6)  # what unfinished calls leave open
        ax.barh(rows, low, 0.6, color=[*[BLUE] * (len(names) - others), *[MUTED] * others])
        for row, end, text in zip(rows, high, costs, strict=True):
            spot: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points"}
            ax.annotate(text, (end, row), va="center", fontsize=SMALL, **spot)
        name_axis(ax.yaxis, [shorten(name, letters_in(width_of(ax) / 3)) for name in names])
        ax.set_ylim(
            max(len(names), _FEWEST_BARS) - 0.5, -0.5
        )  # the dearest on top, no bar wider than a third
        ax.set_xlim(0, end_for(ax, zip(high, costs, strict=True)))
        usd_axis(ax.xaxis)

    words = [f"{name}: {cost}" for name, cost in zip(names, costs, strict=True)]
    return draw(paint, table, calls, (title, "USD", ""), words, ax=ax, grid="x")
