"""Where the money goes: the classes that most tokens fall into are not those that cost most."""

from typing import TYPE_CHECKING, Any

from .calls import calls_of
from .canvas import CLASSES, axes_or_new, finish, legend

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_WIDEST_UNLABELLED = 0.06
"""Share below which a segment has no room for its percentage."""
_RATES = {
    "cache_read_input_tokens": "read",
    "ephemeral_1h_input_tokens": "write_1h",
    "ephemeral_5m_input_tokens": "write_5m",
    "input_tokens": "input",
    "output_tokens": "output",
}


def shares(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """The share of each token class in the tokens, and in their cost at list price.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    from matplotlib.ticker import PercentFormatter

    table = shares_frame(source)
    ax = axes_or_new(ax)
    left = [0.0, 0.0]
    for name, (label, colour) in CLASSES.items():
        both = [float(table[column].get(name, 0.0)) for column in ("share_of_cost", "share_of_tokens")]
        bars = ax.barh(["cost", "tokens"], both, 0.6, left=left, color=colour, label=label)
        ax.bar_label(
            bars, [f"{one:.0%}" if one > _WIDEST_UNLABELLED else "" for one in both], label_type="center"
        )
        left = [begun + one for begun, one in zip(left, both, strict=True)]
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    if not table.empty:
        legend(ax, 5)
    said = [
        f"{CLASSES[str(row.Index)][0]}: {row.share_of_tokens:.1%} of tokens, {row.share_of_cost:.1%} of cost"
        for row in table.itertuples()
        if row.tokens
    ]
    return finish(ax, table, ("Share of tokens and of cost", "share", ""), said, pad=24)


def shares_frame(source: Any) -> "pd.DataFrame":
    """What ``shares`` draws: a row a token class, its tokens, its cost at list price in USD, both as shares."""
    import pandas as pd

    from claude_nb.ledger.rates import rates_of

    calls = calls_of(source)
    tokens, costs, unpriced = dict.fromkeys(CLASSES, 0), dict.fromkeys(CLASSES, 0.0), 0
    for call in calls.fillna(dict.fromkeys(CLASSES, 0)).to_dict("records"):
        counts = {name: int(call[name]) for name in CLASSES}
        at = call["ts"] if isinstance(call["ts"], pd.Timestamp) else None
        fast = "fast" if call["speed"] == "fast" else "standard"
        rates = rates_of(str(call["model"]), at, sum(counts.values()) - counts["output_tokens"], fast)
        unpriced += rates is None
        for name, count in counts.items():
            tokens[name] += count
            if rates is not None and count:
                costs[name] += count * float(getattr(rates, _RATES[name])) / 1e6
    if not sum(tokens.values()):
        return pd.DataFrame({"share_of_tokens": {}, "share_of_cost": {}, "tokens": {}, "usd": {}})
    table = pd.DataFrame({"tokens": tokens, "usd": costs})
    table["share_of_tokens"] = table["tokens"] / (table["tokens"].sum() or 1)
    table["share_of_cost"] = table["usd"] / (table["usd"].sum() or 1)
    table["simulated"] = bool(calls["simulated"].any())
    first = [True, *[False] * (len(table) - 1)]  # the counts stand in one row, so that they add up
    table["calls"] = [len(calls) if one else 0 for one in first]
    table["unpriced"] = [unpriced if one else 0 for one in first]
    table["unfinished"] = [int(calls["cost_usd"].isna().sum()) - unpriced if one else 0 for one in first]
    return table
