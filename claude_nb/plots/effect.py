"""What a system prompt does to the length and the cost of replies."""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .calls import calls_of
from .canvas import BLUE, FEWEST, SKY, VERMILION, count_axis, draw, name_axis
from .fit import SMALL, end_for

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def effect(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """The output tokens of every run under each system prompt, their mean, and the mean price.

    A run that was cut short or failed is a diamond: it makes the mean too low.

    Args:
        source: What ``claude_nb.lab.system_effect(...)`` gives, or its ``runs()``.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: It is neither of these.
    """
    table = effect_frame(source)
    calls = calls_of(table)
    cut = int((~table["complete"]).sum())
    if cut:
        calls.attrs["notes"] = (f"{cut:,} of {len(table):,} runs not complete: means are too low",)
    names = list(dict.fromkeys(table["system"]))
    grouped = table.groupby("system", sort=False)["output_tokens"]
    means, most = grouped.mean().fillna(0), grouped.max().fillna(0)

    def paint(ax: "Axes") -> None:
        ax.barh(range(len(names)), means, 0.6, color=SKY, label="mean")
        kinds = {
            "a run": ("o", BLUE, table["complete"]),
            "a run not complete": ("D", VERMILION, ~table["complete"]),
        }
        for label, (marker, colour, which) in kinds.items():
            runs = table[which]
            rows = [names.index(name) for name in runs["system"]]
            dots: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.8, "zorder": 3, "marker": marker}
            if len(runs):
                ax.scatter(runs["output_tokens"], rows, 26, color=colour, label=label, **dots)
        name_axis(ax.yaxis, names)
        ax.set_ylim(max(len(names), FEWEST - 2) - 0.4, -0.6)
        ends = [(float(most[name]), _behind(table, name)) for name in names]
        for place, (end, said) in enumerate(ends):
            spot: dict[str, Any] = {"xytext": (8, 0), "textcoords": "offset points", "fontsize": SMALL}
            ax.annotate(said, (end, place), va="center", **spot)
        ax.set_xlim(0, end_for(ax, ends))
        count_axis(ax.xaxis)

    labels = ("Effect of the system prompt", "output tokens", "")
    words = [_in_words(table, name) for name in names]
    return draw(paint, table, calls, labels, words, ax=ax, columns=3, grid="x")


def effect_frame(source: Any) -> "pd.DataFrame":
    """What ``effect`` draws: a row a run, unknown tokens and prices as missing values."""
    import pandas as pd

    table = source.runs() if callable(getattr(source, "runs", None)) else source
    needed = ("system", "run", "complete", "output_tokens", "cost_usd")
    missing = [name for name in needed if not isinstance(table, pd.DataFrame) or name not in table]
    if missing:
        raise LedgerError(
            f"plots.effect() draws what system_effect() gives, and there is no {missing[0]!r} in this "
            f"{type(source).__name__}. Type: plots.effect(system_effect(...)), or pass its runs()."
        )
    runs: pd.DataFrame = table.astype({"output_tokens": "float64", "complete": bool})
    return runs


def _price(table: "pd.DataFrame", name: str) -> str:
    from claude_nb.ledger import format_usd

    costs = list(table[table["system"] == name]["cost_usd"].dropna())
    return f"{format_usd(sum(costs) / len(costs))} a run" if costs else "price unknown"


def _behind(table: "pd.DataFrame", name: str) -> str:
    """The price, and how many runs are complete where not all are."""
    done = table[table["system"] == name]["complete"]
    whole = "" if done.all() else f", {done.sum():,} of {len(done):,} complete"
    return f"{_price(table, name)}{whole}"


def _in_words(table: "pd.DataFrame", name: str) -> str:
    tokens = table[table["system"] == name]["output_tokens"].dropna()
    said = (
        f"mean {tokens.mean():,.1f}, {tokens.min():,.0f} to {tokens.max():,.0f} tokens"
        if len(tokens)
        else "unknown"
    )
    return f"{name}: {said}, {_behind(table, name)}"
