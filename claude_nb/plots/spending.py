"""What was spent, call after call, and against a budget."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError
from claude_nb.ledger import Budget

from .calls import calls_of, sums_of
from .canvas import (
    BLUE,
    FEWEST,
    SKY,
    VERMILION,
    amount,
    count_axis,
    draw,
    money,
    records,
    time_axis,
    unknown_costs,
    usd_axis,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MOST_DOTS = 100
_ROOM = 1.15


def spend(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Cumulative spend over calls, in USD, with the range that unfinished calls leave open.

    Real calls are drawn; where there are none, simulated ones, and the caption says so.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    calls = sums_of(source)
    table = spend_frame(calls)
    labels = ("Spend, cumulative", "call", "USD")
    blank = unknown_costs(calls)
    return draw(lambda ax: _steps(ax, table), table, calls, labels, _spent(table), ax=ax, blank=blank)


def spend_frame(source: Any) -> "pd.DataFrame":
    """What ``spend`` draws: a row a call (of a very long ledger an hour), its cost and the running sums, in USD.

    The sums are the least and the most that the priced calls so far cost: NaN before the first of them.
    """
    calls = sums_of(source)
    table = calls[["ts", "model", "outcome", "simulated", "cost_usd", "unpriced", "unfinished"]].copy()
    table.insert(0, "call", calls["calls"].cumsum())
    begun = calls["low"].notna().cumsum() > 0
    table["cumulative_low"] = calls["low"].fillna(0).cumsum().where(begun)
    table["cumulative_high"] = calls["high"].fillna(0).cumsum().where(begun)
    return table


def budget(limit: Budget, *, ax: "Axes | None" = None) -> "Axes":
    """Cumulative spend in the budget's current period, its limit as a line, and where the pace so far leads.

    Per day or month the projection goes to the end of the period (UTC), else as many calls ahead as were made. Per
    call, each call's cost is drawn below the limit.

    Args:
        limit: The budget; its ledger holds the calls.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: It is not a budget.

    Example:
        >>> plots.budget(Budget(5, per="day", ledger=ledger))  # doctest: +SKIP
    """
    if not isinstance(limit, Budget):
        raise LedgerError(
            f"plots.budget() draws a Budget, and this is a {type(limit).__name__}. "
            'Type: plots.budget(Budget(5, per="day", ledger=ledger)).'
        )
    calls = calls_of(limit.calls())
    table = budget_frame(limit)
    period = "in total" if limit.per == "total" else f"per {limit.per}"
    timed = limit.per in ("day", "month")

    def paint(ax: "Axes") -> None:
        made = table[~table["projected"]]
        if limit.per == "call":
            _each(ax, made)
        else:
            _steps(ax, made, x="ts" if timed else "call")
            ahead = table[table["projected"] | (table.index == made.index[-1])]
            x = ahead["ts" if timed else "call"]
            ax.plot(x, ahead["cumulative_high"], ":", color=BLUE, linewidth=1.8)
            _note(ax, (x.iloc[-1], ahead["cumulative_high"].iloc[-1]), "at this pace", BLUE)
            ax.set_xlim(table["ts"].iloc[0] if timed else 0, x.iloc[-1])

    title = f"Spend against the budget {period}"
    labels = (title, "UTC" if timed else "call", "USD")
    ax = draw(paint, table, calls, labels, _left(limit, table), ax=ax, blank=unknown_costs(calls))
    most = float(limit.usd)
    ax.axhline(most, color=VERMILION, linestyle="--", linewidth=1.5)
    label = f"budget {money(most)} {period}"
    where = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "color": VERMILION}
    ax.annotate(label, (0, most), (6, 3), **where)  # type: ignore[arg-type]  # text properties
    ax.set_ylim(0, (max(most, 0.0 if table.empty else float(table["cumulative_high"].max())) or 1) * _ROOM)
    return ax


def budget_frame(limit: Budget) -> "pd.DataFrame":
    """What ``budget`` draws: the rows of ``spend_frame``, and a last one that is ``projected``."""
    import pandas as pd

    calls = calls_of(limit.calls())
    table = spend_frame(calls).assign(projected=False)
    if limit.per == "call":
        table["cumulative_low"], table["cumulative_high"] = calls["low"], calls["high"]
    if table.empty or limit.per == "call":
        return table
    last = table.iloc[-1]
    pace, begin, end = 2.0, last["ts"], None
    if limit.per in ("day", "month"):
        now = _now()
        today = pd.Timestamp(now.replace(hour=0, minute=0, second=0, microsecond=0))
        begin, days = (today, 1) if limit.per == "day" else (today.replace(day=1), today.days_in_month)
        end = begin + pd.Timedelta(days=days)
        pace = (end - begin) / max(pd.Timestamp(now) - begin, pd.Timedelta(minutes=1))
    ahead = {"call": round(last["call"] * pace), "ts": end, "projected": True}
    sums = {name: last[name] * pace for name in ("cumulative_low", "cumulative_high")}
    start = {"call": 0, "ts": begin, "projected": False, "cumulative_low": 0.0, "cumulative_high": 0.0}
    rows = [start, *records(table), ahead | sums]
    return pd.DataFrame(rows, columns=table.columns).astype({"projected": bool})


def _steps(ax: "Axes", table: "pd.DataFrame", x: str = "call") -> None:
    calls, low, high = (list(table[name]) for name in (x, "cumulative_low", "cumulative_high"))
    if x == "call":
        calls, low, high = [0, *calls, calls[-1] + 0.5], [0.0, *low, low[-1]], [0.0, *high, high[-1]]
    ax.fill_between(calls, low, high, step="post", color=SKY, alpha=0.45, linewidth=0)
    ax.step(calls, low, where="post", color=BLUE, linewidth=2)
    if len(table) <= _MOST_DOTS:
        ax.plot(table[x], table["cumulative_low"], "o", color=BLUE, markersize=4)
    ax.set_ylim(bottom=0, top=None if any(high) else 1)
    usd_axis(ax.yaxis)
    if x == "call":
        ax.set_xlim(left=0, right=max(calls[-1], FEWEST + 0.5))
        count_axis(ax.xaxis)
    else:
        time_axis(ax.xaxis)


def _each(ax: "Axes", table: "pd.DataFrame") -> None:
    ax.vlines(table["call"], 0, table["cumulative_high"], color=SKY, linewidth=4)
    ax.vlines(table["call"], 0, table["cumulative_low"], color=BLUE, linewidth=4)
    ax.set_xlim(left=0, right=max(len(table), FEWEST) + 0.5)
    usd_axis(ax.yaxis)
    count_axis(ax.xaxis)


def _note(ax: "Axes", at: tuple[Any, float], text: str, colour: str) -> None:
    spot = {"xytext": (-4, 5), "textcoords": "offset points", "ha": "right"}
    ax.annotate(f"{money(at[1])} {text}", at, color=colour, **spot)  # type: ignore[arg-type]  # text properties


def _spent(table: "pd.DataFrame") -> list[str]:
    if table.empty:
        return []
    last = table.iloc[-1]
    return [f"spent {amount(last['cumulative_low'], last['cumulative_high'], table['unpriced'].sum())}"]


def _left(limit: Budget, table: "pd.DataFrame") -> list[str]:
    """What is left, in money and in calls: what the pace leads to depends on the clock, and is not printed."""
    made = table[~table["projected"]] if len(table) else table
    whole = float(limit.usd)
    if limit.per == "call" or made.empty:
        dearest = made["cumulative_high"].max() if len(made) else 0.0  # NaN where none is known
        return [f"dearest call {money(dearest)} of {money(whole)} per call"]
    unpriced = made["unpriced"].sum()
    used = made["cumulative_low" if unpriced else "cumulative_high"].max()
    left, calls = max(whole - (used if used > 0 else 0.0), 0.0), int(made["call"].iloc[-1])
    lines = [*_spent(made), f"left {'at most ' if unpriced else ''}{money(left)} of {money(whole)}"]
    if used > 0 and calls and not unpriced:
        lines.append(f"about {int(left * calls / used):,} more calls like these")
    return lines


def _now() -> datetime:
    return datetime.now(UTC)
