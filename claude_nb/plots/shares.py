"""Where the money goes: the classes that most tokens fall into are not those that cost most."""

from typing import TYPE_CHECKING, Any

from .calls import sums_of
from .canvas import CLASSES, draw, ink
from .listprice import RATES, rates_by_call

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_WIDEST_UNLABELLED = 0.06
"""Share below which a segment has no room for its percentage."""


def shares(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """The share of each token class in the tokens, and in their cost at list price.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    from matplotlib.ticker import PercentFormatter

    calls = sums_of(source)
    table = shares_frame(calls)

    def paint(ax: "Axes") -> None:
        left = [0.0, 0.0]
        for name, row in table[table["tokens"] > 0].iterrows():
            label, colour = CLASSES[str(name)]
            both = [float(row["share_of_cost"]), float(row["share_of_tokens"])]
            bars = ax.barh(["cost", "tokens"], both, 0.6, left=left, color=colour, label=label)
            texts = [f"{one:.0%}" if one > _WIDEST_UNLABELLED else "" for one in both]
            ax.bar_label(bars, texts, label_type="center", color=ink(colour))
            left = [begun + one for begun, one in zip(left, both, strict=True)]
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(PercentFormatter(1))

    words = [
        f"{CLASSES[str(name)][0]}: {row['share_of_tokens']:.1%} of tokens, {row['share_of_cost']:.1%} of cost"
        for name, row in table.iterrows()
        if row["tokens"]
    ]
    labels = ("Share of tokens and of cost", "share; cost at list price", "")
    return draw(paint, table, calls, labels, words, ax=ax, columns=5, grid="")


def shares_frame(source: Any) -> "pd.DataFrame":
    """What ``shares`` draws: a row a token class, its tokens, its cost at list price in USD, both as shares."""
    import pandas as pd

    calls = sums_of(source)
    rates = rates_by_call(calls)
    counts = calls[list(CLASSES)].fillna(0).astype("float64")
    table = pd.DataFrame(
        {
            "tokens": counts.sum().astype("int64"),
            "usd": {name: float((counts[name] * rates[RATES[name]]).sum()) for name in CLASSES},
        }
    )
    table["share_of_tokens"] = table["tokens"] / (table["tokens"].sum() or 1)
    table["share_of_cost"] = table["usd"] / (table["usd"].sum() or 1)
    return table if table["tokens"].any() else table.iloc[:0]
