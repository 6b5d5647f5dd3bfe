"""When money is spent: by day, and by hour of the week."""

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from claude_nb.errors import LedgerError

from .calls import sums_of, timed_of
from .canvas import (
    MUTED,
    PALETTE,
    draw,
    ink,
    money,
    several_days,
    shorten,
    time_axis,
    unknown_costs,
    usd_axis,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MOST_BARS = 120
_MOST_MODELS = 6
_FEWEST_DAYS = 7
_OTHERS = "other models"
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PERIODS = {"day": ("D", 1), "week": ("W-SUN", 7), "month": ("M", 31)}


def daily(source: Any, *, tz: str = "UTC", ax: "Axes | None" = None) -> "Axes":
    """Cost per day in USD, stacked by model; over more than 120 days per week, over more than 120 weeks per month.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        tz: Whose days, such as ``"Europe/Berlin"``; invoices are in UTC. Very long ledgers are counted by the UTC
            hour.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls, or there is no such time zone.
    """
    calls = sums_of(source)
    table = daily_frame(calls, tz=tz)
    unit = str(table.index.name or "day")

    def paint(ax: "Axes") -> None:
        days = table.index.to_numpy()
        width = _PERIODS[unit][1] * 0.85
        bottom = 0.0 * table.iloc[:, 0].fillna(0)
        drawn = [name for name in table.columns if (table[name] > 0).any()]
        for name, colour in zip(drawn, PALETTE, strict=False):
            some = table[name] > 0
            shade = MUTED if name == _OTHERS else colour
            tops = table[name][some]
            ax.bar(
                days[some], tops, width, bottom=bottom[some], align="edge", color=shade, label=shorten(name)
            )
            bottom += table[name].fillna(0)
        first = min(days[0], days[-1] - _days(_FEWEST_DAYS - 1))  # of few days the week before, not the next
        ax.set_xlim(first - _days(0.2 * width), days[-1] + _days(1.2 * width))
        ax.set_ylim(0, float(bottom.max()) * 1.05 or 1)
        time_axis(ax.xaxis)
        usd_axis(ax.yaxis)

    words = [f"{name}: {_known(table[name])}" for name in table.columns]
    if several_days(calls) and table.to_numpy(dtype="float64").any() and not unknown_costs(calls):
        sums = table.sum(axis=1)
        words.append(f"dearest {unit} {sums.idxmax():%Y-%m-%d}: {money(sums.max())}")
    labels = (f"Cost per {unit} by model", f"{unit} ({tz})", "USD")
    blank = unknown_costs(calls)
    return draw(paint, table, calls, labels, words, ax=ax, columns=4, blank=blank)


def daily_frame(source: Any, *, tz: str = "UTC") -> "pd.DataFrame":
    """What ``daily`` draws: a row a day (or week, or month) with calls, a column a model, dearest first, in USD.

    0 where a model was not asked, NaN where none of its calls has a known price.
    """
    import pandas as pd

    calls = sums_of(source)
    timed = timed_of(calls)
    days = _local(timed["ts"], tz).dt.tz_localize(None).dt.normalize()
    unit = "day"
    for unit, (rule, _) in _PERIODS.items():
        starts = days.dt.to_period(rule).dt.start_time
        if not len(starts) or (starts.max() - starts.min()).days / _PERIODS[unit][1] <= _MOST_BARS:
            break
    names = timed["model"].astype(object).where(timed["model"].notna(), "unknown model")
    sums = timed["low"].groupby(names).sum().sort_values(ascending=False, kind="stable")
    if len(sums) > _MOST_MODELS:
        kept = sums.index[: _MOST_MODELS - 1]
        names = names.where(names.isin(kept), _OTHERS)
    table = pd.DataFrame({unit: starts, "model": names, "usd": timed["low"]})
    grouped = table.groupby([unit, "model"])["usd"]
    usd, asked = grouped.sum(min_count=1), grouped.size()
    table = usd.unstack().where(asked.unstack().notna(), 0.0)  # noqa: PD010 - a pivot table drops the unknown
    order = list(table.sum().sort_values(ascending=False, kind="stable").index)
    return table[sorted(order, key=lambda name: name == _OTHERS)]


def hours(source: Any, *, tz: str = "UTC", ax: "Axes | None" = None) -> "Axes":
    """Cost by hour of the day and day of the week, in USD: finds loops that ran unattended.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        tz: Whose hours, such as ``"Europe/Berlin"``.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls, or there is no such time zone.
    """
    calls = sums_of(source)
    table = hours_frame(calls, tz=tz)

    def paint(ax: "Axes") -> None:
        shown = table.where(table > 0).to_numpy()
        paper = ax.get_facecolor()
        scale = "cividis_r" if ink(paper) == "black" else "cividis"  # the most stands out from the paper
        mesh = ax.pcolormesh(range(25), range(8), shown, cmap=scale, vmin=0, edgecolors=paper, linewidth=0.8)
        ax.set_yticks([day + 0.5 for day in range(7)], _WEEKDAYS)
        ax.set_ylim(7, 0)
        ax.set_xticks(range(0, 25, 3))
        ax.spines[["left", "bottom"]].set_visible(False)
        figure = ax.get_figure()
        if figure is not None:
            bar = figure.colorbar(mesh, ax=ax, pad=0.02, aspect=14)
            bar.outline.set_visible(False)
            usd_axis(bar.ax.yaxis)
            bar.set_label("USD")

    words = []
    if len(table):
        usd = table.fillna(0).to_numpy()
        spent = None if unknown_costs(calls) else usd.sum()
        words = [
            f"spent {'at least ' if spent is not None and calls['unpriced'].any() else ''}{money(spent)}"
        ]
        if several_days(calls) and usd.any():
            day, hour = divmod(int(usd.argmax()), 24)
            most = usd.max()
            words.append(f"most on {_WEEKDAYS[day]} from {hour}:00 {tz}: {money(most)}")
    labels = ("Cost by hour and weekday", f"hour ({tz})", "")
    blank = unknown_costs(calls)
    return draw(paint, table, calls, labels, words, ax=ax, grid="", blank=blank)


def hours_frame(source: Any, *, tz: str = "UTC") -> "pd.DataFrame":
    """What ``hours`` draws: a row a weekday from Monday, a column an hour from 0, the cost in USD.

    0 where there were no calls, NaN where none of them has a known price.
    """
    import pandas as pd

    timed = timed_of(sums_of(source))
    at = _local(timed["ts"], tz)
    if timed.empty:
        return timed[[]]
    sums = timed["low"].groupby([at.dt.day_of_week, at.dt.hour]).sum(min_count=1)
    table = pd.DataFrame(0.0, index=list(_WEEKDAYS), columns=range(24))
    days, hours_ = sums.index.get_level_values(0), sums.index.get_level_values(1)
    for day, hour, usd in zip(days, hours_, sums, strict=True):
        table.iloc[day, hour] = usd
    return table.rename_axis(index="weekday", columns="hour")


def _known(usd: "pd.Series[Any]") -> str:
    """The sum for a reader; where some of it is unknown, the least it can be."""
    total = usd.sum()
    if usd.notna().all():
        return money(total)
    return f"at least {money(total)}" if total > 0 else money(None)


def _local(at: "pd.Series", tz: str) -> "pd.Series":
    try:
        local: pd.Series[Any] = at.dt.tz_convert(ZoneInfo(tz))
    except (KeyError, ValueError, TypeError) as error:
        raise LedgerError(f'There is no time zone {tz!r}. Type one such as tz="Europe/Berlin".') from error
    return local


def _days(number: float) -> Any:
    import numpy as np

    return np.timedelta64(int(number * 86_400), "s")
