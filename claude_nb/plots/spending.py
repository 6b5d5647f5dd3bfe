"""What was spent: over calls, against a budget, by model."""

from typing import TYPE_CHECKING, Any

from .calls import calls_of
from .canvas import BLUE, FEWEST, MUTED, SKY, VERMILION, axes_or_new, finish

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from claude_nb.ledger import Budget

_FEWEST_BARS = 3


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
    ax = axes_or_new(ax)
    calls = [0, *table["call"], len(table) + 0.5]
    low = [0.0, *table["cumulative_low"], *table["cumulative_low"].tail(1)]
    high = [0.0, *table["cumulative_high"], *table["cumulative_high"].tail(1)]
    calls = calls[: len(low)]
    ax.fill_between(calls, low, high, step="post", color=SKY, alpha=0.35, linewidth=0)
    ax.step(calls, low, where="post", color=BLUE, linewidth=2)
    ax.plot(table["call"], table["cumulative_low"], "o", color=BLUE, markersize=4)
    ax.set_ylim(bottom=0, top=None if any(high) else 1)
    ax.set_xlim(left=0, right=max(len(table), FEWEST) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_usd(round(value, 12))))
    ax.grid(axis="y", color=MUTED, alpha=0.2)
    return finish(ax, table, ("Spend, cumulative", "call", "USD"), _in_words(table))


def spend_frame(source: Any) -> "pd.DataFrame":
    """What ``spend`` draws: a row a call, its cost and the running sums, in USD."""
    calls = calls_of(source)
    low = calls["cost_usd"].fillna(calls["cost_low"])
    high = calls["cost_usd"].fillna(calls["cost_high"]).fillna(low)
    table = calls[["model", "outcome", "simulated", "cost_usd"]].copy()
    table.insert(0, "call", range(1, len(table) + 1))
    table["cumulative_low"] = low.fillna(0).cumsum()
    table["cumulative_high"] = high.fillna(0).cumsum()
    table["unpriced"] = low.isna()
    table["unfinished"] = calls["cost_usd"].isna() & low.notna()
    return table


def budget(limit: "Budget", *, ax: "Axes | None" = None) -> "Axes":
    """Cumulative spend in the budget's current period, with its limit as a line.

    Args:
        limit: The budget; its ledger holds the calls.
        ax: Where to draw; a new figure if not given.
    """
    from claude_nb.ledger import format_usd

    ax = spend(limit.calls(), ax=ax)
    most = float(limit.usd)
    ax.axhline(most, color=VERMILION, linestyle="--", linewidth=1.5)
    ax.annotate(
        f"budget {format_usd(limit.usd)} {'in total' if limit.per == 'total' else f'per {limit.per}'}",
        (1, most),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        color=VERMILION,
    )
    ax.set_ylim(top=max(ax.get_ylim()[1] if len(ax.frame) else 0, most * 1.15) or 1)  # type: ignore[attr-defined]  # see finish
    return ax


def models(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Cost by model in USD, dearest on top.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from claude_nb.ledger import format_usd

    table = models_frame(source)
    ax = axes_or_new(ax)
    names = [str(name) for name in table["model"]]
    bars = ax.barh(names, list(table["cost_usd"]), 0.6, color=BLUE)
    labels = [format_usd(round(cost, 12)) for cost in table["cost_usd"]]
    ax.bar_label(bars, labels, padding=3)
    ax.set_ylim(max(len(names), _FEWEST_BARS) - 0.5, -0.5)  # the dearest on top, no bar wider than a third
    ax.margins(x=0.18)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_usd(round(value, 12))))
    ax.grid(axis="x", color=MUTED, alpha=0.2)
    said = [f"{name}: {label}" for name, label in zip(names, labels, strict=True)]
    return finish(ax, table, ("Cost by model", "USD", ""), said)


def models_frame(source: Any) -> "pd.DataFrame":
    """What ``models`` draws: a row a model, the settled cost of its calls in USD, dearest first."""
    calls = calls_of(source)
    calls["unpriced"] = calls["cost_usd"].isna() & calls["cost_low"].isna()
    calls["unfinished"] = calls["cost_usd"].isna() & calls["cost_low"].notna()
    calls["calls"] = 1
    named = calls.assign(model=calls["model"].fillna("unknown"))
    sums = named.groupby("model")[["calls", "cost_usd", "unpriced", "unfinished"]].sum()
    sums["simulated"] = bool(calls["simulated"].any())
    return sums.reset_index().sort_values(["cost_usd", "model"], ascending=[False, True], ignore_index=True)


def _in_words(table: "pd.DataFrame") -> list[str]:
    from claude_nb.ledger import format_usd

    if table.empty:
        return []
    low, high = (round(float(table[name].iloc[-1]), 12) for name in ("cumulative_low", "cumulative_high"))
    return [f"spent {format_usd(low)}" + (f" to {format_usd(high)}" if high > low else "")]
