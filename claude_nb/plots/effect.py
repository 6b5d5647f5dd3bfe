"""What a system prompt does to the length and the cost of replies."""

from typing import TYPE_CHECKING, Any

from .calls import calls_of
from .canvas import BLUE, FEWEST, SKY, count_axis, draw, name_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def effect(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """The output tokens of every run under each system prompt, their mean, and the mean price.

    Args:
        source: What ``claude_nb.lab.system_effect(...)`` gives, or its ``runs()``.
        ax: Where to draw; a new figure if not given.
    """
    table = effect_frame(source)
    names = list(dict.fromkeys(table["system"]))
    grouped = table.groupby("system", sort=False)["output_tokens"]
    means, most = grouped.mean().fillna(0), grouped.max().fillna(0)

    def paint(ax: "Axes") -> None:
        ax.barh(range(len(names)), means, 0.6, color=SKY, label="mean")
        ax.scatter(
            table["output_tokens"],
            [names.index(name) for name in table["system"]],
            22,
            color=BLUE,
            label="a run",
            edgecolor="white",
            linewidth=0.8,
            zorder=3,
        )
        name_axis(ax.yaxis, names)
        ax.set_ylim(max(len(names), FEWEST - 2) - 0.4, -0.6)
        for place, name in enumerate(names):
            ax.annotate(
                _price(table, name), (most[name], place), (8, 0), textcoords="offset points", va="center"
            )
        ax.set_xlim(0, 1.3 * max(most.max(), 1))  # room for the prices
        count_axis(ax.xaxis)

    labels = ("Effect of the system prompt", "output tokens", "")
    words = [_in_words(table, name) for name in names]
    return draw(paint, table, calls_of(table), labels, words, ax=ax, columns=2, grid="x")


def effect_frame(source: Any) -> "pd.DataFrame":
    """What ``effect`` draws: a row a run, unknown tokens and prices as missing values."""
    table: pd.DataFrame = source.runs() if hasattr(source, "runs") else source.copy()
    table["output_tokens"] = table["output_tokens"].astype("float64")
    return table


def _price(table: "pd.DataFrame", name: str) -> str:
    from claude_nb.ledger import format_usd

    costs = list(table[table["system"] == name]["cost_usd"].dropna())
    return f"{format_usd(sum(costs) / len(costs))} a run" if costs else "price unknown"


def _in_words(table: "pd.DataFrame", name: str) -> str:
    tokens = table[table["system"] == name]["output_tokens"].dropna()
    said = (
        f"mean {tokens.mean():,.1f}, {tokens.min():,.0f} to {tokens.max():,.0f} tokens"
        if len(tokens)
        else "unknown"
    )
    return f"{name}: {said}, {_price(table, name)}"
