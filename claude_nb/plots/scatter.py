"""One dot a call: what it cost, and how long it took."""

from typing import TYPE_CHECKING, Any

from .calls import PROMPT_CLASSES, calls_of, recorded_of
from .canvas import (
    BLUE,
    FEWEST,
    MUTED,
    ORANGE,
    VERMILION,
    count_axis,
    draw,
    money,
    records,
    unknown_costs,
    usd_axis,
)
from .fit import Box, Way, label_apart

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_FAR, _FEWEST = 5, 8
_NAMED = 3
_WIDE = 100
"""Where the largest is more than so many times the middle, the scale is logarithmic."""


def per_call(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """The cost of each call in USD, with the 95th percentile and the outliers, the dearest named.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``). Of a ledger the last 20,000
            attempts.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    calls = calls_of(source)
    table = per_call_frame(calls)
    p95 = float(table["cost_usd"].quantile(0.95)) if len(table) else 0.0
    outliers = table[table["outlier"]] if len(table) else table

    def paint(ax: "Axes") -> None:
        rest = table[~table["outlier"]]
        size = 4.5 if len(table) < 1_000 else 2  # noqa: PLR2004 - dots of a crowd are small
        ax.plot(
            rest["call"], rest["cost_usd"], "o", color=BLUE, alpha=0.75, markersize=size, markeredgewidth=0
        )
        ax.plot(outliers["call"], outliers["cost_usd"], "D", color=VERMILION, markersize=5.5)
        ax.axhline(p95, color=MUTED, linestyle="--", linewidth=1)
        right = max(float(table["call"].iloc[-1]), FEWEST) + 0.5
        ax.set_xlim(0, right)
        count_axis(ax.xaxis)
        _usd_scale(ax, table["cost_usd"])
        _label(ax, table, (right, p95))

    words = []
    if len(table):
        costs = table["cost_usd"]
        words = [f"median {money(costs.median())}, 95 % at most {money(p95)}, most {money(costs.max())}"]
        words.append(f"outliers: {len(outliers):,}")
        for row in records(outliers.nlargest(_NAMED, "cost_usd")):
            words.append(f"call {row['call']:,}: {money(row['cost_usd'])}, {row['model']}")
    labels = ("Cost per call", "call", "USD")
    return draw(paint, table, calls, labels, words, ax=ax, blank=unknown_costs(calls))


def per_call_frame(source: Any) -> "pd.DataFrame":
    """What ``per_call`` draws: a row a priced call, ``cost_usd`` the least it cost, and whether it is an ``outlier``.

    An outlier is above the 95th percentile and costs more than five times the median.
    """
    calls = calls_of(source)
    table = calls[["model", "notebook", "cell", "conversation", "outcome"]].copy()
    table.insert(0, "call", calls["calls"].cumsum())
    table["cost_usd"] = calls["low"]
    table = table[table["cost_usd"].notna()].reset_index(drop=True)
    costs = table["cost_usd"]
    far = costs > _FAR * costs[costs > 0].median()
    table["outlier"] = far & (costs > costs.quantile(0.95)) & (len(costs) >= _FEWEST)
    return table


def latency(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Time to first token in seconds, and output in tokens per second, against the size of the prompt.

    Streamed calls that ended well only: of others neither is known. What the sandbox does says nothing about a model.

    Args:
        source: A ``Ledger`` or a frame of one. Of a ledger the last 20,000 attempts.
        ax: Where to draw; a new figure if not given. Tokens per second get an axis of their own on its right.

    Raises:
        LedgerError: The source has no frame of calls, or does not keep their times, as a chat.
    """
    asked = _timed(source)
    calls = _streamed(asked)
    table = latency_frame(calls)
    blank = "no streamed reply that ended well" if len(asked) and table.empty else ""

    def paint(ax: "Axes") -> None:
        right = ax.twinx()
        right.spines[["top", "left", "bottom"]].set_visible(False)
        dots: dict[str, Any] = {"alpha": 0.75, "markersize": 5, "markeredgewidth": 0, "linestyle": ""}
        (first,) = ax.plot(table["prompt_tokens"], table["first_s"], "o", color=BLUE, **dots)
        right.plot(table["prompt_tokens"], table["tokens_per_s"], "^", color=ORANGE, **dots)
        if table["prompt_tokens"].max() > _WIDE * table["prompt_tokens"].median():
            ax.set_xscale("log")
        else:
            ax.set_xlim(left=0)
            count_axis(ax.xaxis)
        for axes, name in ((ax, "first_s"), (right, "tokens_per_s")):
            axes.set_ylim(0, float(table[name].max()) * 1.1 or 1)
        right.set_ylabel("tokens per second")
        count_axis(right.yaxis)
        first.set_label("time to first token (left)")
        ax.plot([], [], "^", color=ORANGE, label="tokens per second (right)", **dots)  # for the legend

    words = []
    if len(table):
        least, most = table["prompt_tokens"].min(), table["prompt_tokens"].max()
        words = [f"prompts of {least:,} to {most:,} tokens"]
        if calls["simulated"].any():
            words.append("times are the sandbox's, not a model's")
        else:
            words.append(f"time to first token: median {table['first_s'].median():.2f} s")
            words.append(f"output: median {table['tokens_per_s'].median():.0f} tokens per second")
    labels = ("Latency of streamed replies", "tokens of prompt", "seconds to first token")
    return draw(paint, table, asked if blank else calls, labels, words, ax=ax, columns=2, blank=blank)


def latency_frame(source: Any) -> "pd.DataFrame":
    """What ``latency`` draws: a row a streamed call, ``prompt_tokens``, ``first_s``, ``tokens_per_s``."""
    calls = _streamed(_timed(source))
    table = calls[["model"]].copy()
    table["prompt_tokens"] = calls[list(PROMPT_CLASSES)].fillna(0).sum(axis=1).astype("int64")
    table["first_s"] = calls["first_ms"] / 1e3
    rest = (calls["total_ms"] - calls["first_ms"]) / 1e3
    table["tokens_per_s"] = calls["output_tokens"].astype("float64") / rest.where(rest > 0)
    return table


def _label(ax: "Axes", table: "pd.DataFrame", line: tuple[float, float]) -> None:
    """What the line is, at its right end or else its left, and the dearest outliers, clear of the dots."""
    said = f"95 % cost at most {money(line[1])}"
    dots = table[["call", "cost_usd"]].to_numpy(dtype="float64")
    ends: tuple[tuple[float, Way], ...] = (
        (line[0], ("right", "bottom")),
        (0.0, ("left", "bottom")),
        (line[0], ("right", "top")),
        (0.0, ("left", "top")),
    )
    boxes: list[Box] = []
    for end, way in ends:
        boxes = boxes or label_apart(ax, [((end, line[1]), said)], dots, [way], color=MUTED)
    if not boxes:
        boxes = label_apart(ax, [(line, said)], dots[:0], [ends[0][1]], color=MUTED)
    outliers = table[table["outlier"]]
    spots = []
    for row in records(outliers.nlargest(_NAMED, "cost_usd")):
        where = f", cell {row['cell']}" if isinstance(row["cell"], str) else ""
        text = f"call {row['call']:,}{where}: {money(row['cost_usd'])}"
        spots.append(((float(row["call"]), float(row["cost_usd"])), text))
    label_apart(ax, spots, dots, taken=boxes, color=VERMILION)


def _timed(source: Any) -> "pd.DataFrame":
    return recorded_of(source, "latency", "the times of every call", "first_ms", "total_ms")


def _streamed(calls: "pd.DataFrame") -> "pd.DataFrame":
    timed = calls["first_ms"].notna() & calls["total_ms"].notna() & calls["output_tokens"].notna()
    streamed = calls["stream"].fillna(value=False).astype(bool) if "stream" in calls else timed
    ended = calls["outcome"].eq("ok").fillna(value=False)
    return calls[timed & streamed & ended].assign(calls=1).reset_index(drop=True)


def _usd_scale(ax: "Axes", costs: "pd.Series") -> None:
    """Linear from zero, or logarithmic where one call dwarfs the others."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    middle = float(costs[costs > 0].median()) if (costs > 0).any() else 0.0
    if middle and float(costs.max()) > _WIDE * middle:
        ax.set_yscale("log")
        ax.set_ylim(top=3 * float(costs.max()))  # room for names
        axis: Axis = ax.yaxis
        axis.set_major_formatter(FuncFormatter(lambda value, _: money(value)))
        axis.set_minor_locator(NullLocator())
    else:
        ax.set_ylim(0, float(costs.max()) * 1.1 or 1)
        usd_axis(ax.yaxis)
