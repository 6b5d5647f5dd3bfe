"""Where the money goes: the classes that most tokens fall into are not those that cost most."""

from typing import TYPE_CHECKING, Any

from .calls import PROMPT_CLASSES, sums_of
from .canvas import CLASSES, draw, ink, money
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
    unfinished = calls["output_tokens"].isna() & calls[list(PROMPT_CLASSES)].notna().any(axis=1)
    if unfinished.any():  # a reply that was interrupted: what it had written was not counted
        calls.attrs["notes"] = (f"output of {unfinished.sum():,} unknown",)

    def paint(ax: "Axes") -> None:
        left = [0.0, 0.0]
        unknown = bool(table["share_of_cost"].isna().any())
        for name, row in table[table["tokens"] > 0].iterrows():
            label, colour = CLASSES[str(name)]
            both = [0.0 if unknown else float(row["share_of_cost"]), float(row["share_of_tokens"])]
            bars = ax.barh(["cost", "tokens"], both, 0.6, left=left, color=colour, label=label)
            texts = [f"{one:.0%}" if one > _WIDEST_UNLABELLED else "" for one in both]
            ax.bar_label(bars, texts, label_type="center", color=ink(colour))
            left = [begun + one for begun, one in zip(left, both, strict=True)]
        if unknown:
            ax.text(0.01, 0, money(None), va="center")
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(PercentFormatter(1))

    words = [
        f"{CLASSES[str(name)][0]}: {row['share_of_tokens']:.1%} of tokens, {_percent(row['share_of_cost'])} of cost"
        for name, row in table.iterrows()
        if row["tokens"]
    ]
    labels = ("Share of tokens and of cost", "share; cost at list price", "")
    return draw(paint, table, calls, labels, words, ax=ax, columns=5, grid="")


def shares_frame(source: Any) -> "pd.DataFrame":
    """What ``shares`` draws: a row a token class, its tokens, its cost at list price in USD, both as shares.

    Tokens of models without a known price have no part in the cost; NaN where no model has one.
    """
    import pandas as pd

    calls = sums_of(source)
    rates = rates_by_call(calls)
    counts = calls[list(CLASSES)].fillna(0).astype("float64")
    table = pd.DataFrame(
        {
            "tokens": counts.sum().astype("int64"),
            "usd": {name: float((counts[name] * rates[RATES[name]]).sum(min_count=1)) for name in CLASSES},
        }
    )
    table["share_of_tokens"] = table["tokens"] / (table["tokens"].sum() or 1)
    table["share_of_cost"] = table["usd"] / (table["usd"].sum() or 1)
    return table if table["tokens"].any() else table.iloc[:0]


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == share else money(None)  # noqa: PLR0124 - NaN
