"""What a conversation would have cost under other trim policies."""

from typing import TYPE_CHECKING

from .canvas import BLUE, MUTED, SKY, axes_or_new, in_notebook, legend

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_HEIGHT = 0.38


def what_if(frame: "pd.DataFrame", *, ax: "Axes | None" = None) -> "Axes":
    """The cost of each policy in USD, with the prompt cache and without it.

    Args:
        frame: What ``history.what_if([...])`` gives.
        ax: Where to draw; a new figure if not given.

    Example:
        >>> plots.what_if(chat.history.what_if([None, keep_last(6, step=12)]))  # doctest: +SKIP
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from claude_nb.ledger import format_usd

    ax = axes_or_new(ax)
    names = list(dict.fromkeys(str(policy) for policy in frame["policy"]))
    for caching, colour, shift in ((True, BLUE, -_HEIGHT / 2), (False, SKY, _HEIGHT / 2)):
        rows = frame[frame["caching"] == caching]
        places = [names.index(str(policy)) + shift for policy in rows["policy"]]
        costs = [float(cost) if cost is not None else 0.0 for cost in rows["cost_usd"]]
        label = "with the cache" if caching else "without"
        bars = ax.barh(places, costs, _HEIGHT, color=colour, label=label)
        ax.bar_label(bars, [format_usd(cost) for cost in rows["cost_usd"]], padding=3)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.margins(x=0.18)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_usd(round(value, 12))))
    ax.grid(axis="x", color=MUTED, alpha=0.2)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    legend(ax, 2)
    ax.set_title("What if", loc="left", pad=24)
    ax.set_xlabel("USD\nreplayed with the conversation's own token counts: an estimate")
    ax.frame = frame  # type: ignore[attr-defined]  # a reader of the plot finds its numbers on it
    if in_notebook():
        print("What if, in USD:")  # noqa: T201 - the saved notebook compares this text
        for name in names:
            rows = frame[frame["policy"].astype(str) == name]
            with_cache, without = (
                format_usd(rows[rows["caching"] == kind]["cost_usd"].iloc[0]) for kind in (True, False)
            )
            print(f"  {name}: {with_cache} with the cache, {without} without")  # noqa: T201 - the same
    return ax
