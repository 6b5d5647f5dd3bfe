"""What the prompt cache did: how much was read from it, and what that saved."""

from typing import TYPE_CHECKING, Any

from .calls import PROMPT_CLASSES, sums_of
from .canvas import FEWEST, GREEN, SKY, VERMILION, count_axis, draw, money, usd_axis
from .listprice import RATES, rates_by_call

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_CACHED_TOKENS = 1_024
_MOST_BARS = 120


def cache(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """The share of each prompt read from the cache, and the USD saved so far over prompts without a cache.

    Writing to the cache costs more than plain input, so that the line falls before it rises. A mark is a prompt
    whose beginning was in the cache at the turn before and had to be paid again: after a pause, or a change in it.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    from matplotlib.ticker import PercentFormatter

    calls = sums_of(source)
    table = cache_frame(calls)

    def paint(ax: "Axes") -> None:
        if len(table) <= _MOST_BARS:
            ax.bar(table["call"], table["hit"], 0.85, color=SKY)
        else:
            ax.fill_between(table["call"], table["hit"], step="mid", color=SKY, linewidth=0)
        cold = table[table["cold"]]
        ax.plot(cold["call"], cold["hit"] + 0.03, "v", color=VERMILION, markersize=7, label="paid again")
        ax.set_ylim(0, 1.08)
        ax.set_xlim(0.4, max(float(table["call"].iloc[-1]), FEWEST) + 0.6)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        count_axis(ax.xaxis)
        right = ax.twinx()
        right.spines[["top", "left", "bottom"]].set_visible(False)
        right.plot(table["call"], table["saved_usd"].cumsum().ffill(), color=GREEN, linewidth=2.2)
        right.axhline(0, color=GREEN, linewidth=0.8, alpha=0.5)
        right.margins(y=0.12)
        right.set_ylabel("saved so far, USD", color=GREEN)
        right.tick_params(axis="y", colors=GREEN)
        usd_axis(right.yaxis)
        if len(cold):
            ax.legend(
                loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=8.5, borderaxespad=0.2
            )

    words = []
    if len(table):
        hit = table["read"].sum() / (table["prompt_tokens"].sum() or 1)
        saved, without = (table[name].sum(min_count=1) for name in ("saved_usd", "uncached_usd"))
        kind = "cost more by" if saved < 0 else "saved"
        words = [
            f"read from the cache: {hit:.1%} of prompt tokens",
            "savings: unknown, no model has a known price"
            if saved != saved  # noqa: PLR0124 - NaN
            else f"{kind} {money(abs(saved))} of the {money(without)} that the prompts cost uncached",
        ]
        if cold := int(table["cold"].sum()):
            words.append(f"paid again: {cold:,} prompt{'' if cold == 1 else 's'}")
    labels = ("Prompt cache", "call; savings at list price", "prompt read from the cache")
    return draw(paint, table, calls, labels, words, ax=ax)


def cache_frame(source: Any) -> "pd.DataFrame":
    """What ``cache`` draws: a row a call (of a very long ledger an hour).

    ``hit`` is the share of the prompt read from the cache, ``uncached_usd`` what the prompt costs without a cache,
    ``saved_usd`` how much less it cost (negative where a write has not paid yet), both NaN where the model has no known
    price, ``cold`` whether it was paid again.
    """
    calls = sums_of(source)
    names = list(PROMPT_CLASSES)
    calls = calls[calls[names].notna().any(axis=1)].reset_index(drop=True)
    rates = rates_by_call(calls)
    tokens = calls[names].fillna(0).astype("float64")
    table = calls[["model", "conversation"]].copy()
    table.insert(0, "call", calls["calls"].clip(lower=1).cumsum())
    table["prompt_tokens"] = tokens.sum(axis=1).astype("int64")
    table["read"] = tokens["cache_read_input_tokens"].astype("int64")
    table["hit"] = tokens["cache_read_input_tokens"] / table["prompt_tokens"].clip(lower=1)
    table["uncached_usd"] = tokens.sum(axis=1) * rates["input"]
    table["saved_usd"] = sum(tokens[name] * (rates["input"] - rates[RATES[name]]) for name in names)
    cached = tokens.drop(columns="input_tokens").sum(axis=1)
    related = calls["conversation"].notna() | ("turn" in calls)
    before = (
        cached.groupby(calls["conversation"], dropna=False).shift().where(related & (calls["calls"] <= 1))
    )
    kept = before.clip(upper=table["prompt_tokens"])
    table["cold"] = (before >= _CACHED_TOKENS) & (kept - table["read"] > before / 2)
    return table
