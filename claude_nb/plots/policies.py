"""What a conversation would have cost under other trim policies."""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .canvas import BLUE, SKY, draw, money, name_axis, usd_axis
from .fit import SMALL, end_for

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_HEIGHT = 0.38
_NEEDED = ("policy", "caching", "cost_usd")


def what_if(frame: "pd.DataFrame", *, ax: "Axes | None" = None) -> "Axes":
    """The cost of each policy in USD, with the prompt cache and without it.

    Args:
        frame: What ``history.what_if([...])`` gives.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: It is no such frame.

    Example:
        >>> plots.what_if(chat.history.what_if([None, keep_last(6, step=12)]))  # doctest: +SKIP
    """
    names = _policies(frame)
    costs = frame["cost_usd"].astype("float64")

    def paint(ax: "Axes") -> None:
        bars: list[tuple[float, str]] = []
        for caching, colour, shift in ((True, BLUE, -_HEIGHT / 2), (False, SKY, _HEIGHT / 2)):
            rows = frame["caching"] == caching
            places = [names.index(str(policy)) + shift for policy in frame["policy"][rows]]
            label = "with the cache" if caching else "without"
            ax.barh(places, costs[rows].fillna(0), _HEIGHT, color=colour, label=label)
            for place, cost in zip(places, costs[rows], strict=True):
                bars.append((0.0 if cost != cost else cost, money(cost)))  # noqa: PLR0124 - NaN
                spot: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points", "fontsize": SMALL}
                ax.annotate(bars[-1][1], (bars[-1][0], place), va="center", **spot)
        name_axis(ax.yaxis, [name.replace(" + ", "\n+ ") for name in names])
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlim(0, end_for(ax, bars))
        usd_axis(ax.xaxis)

    words = [
        f"{name}: {_of(frame, name, caching=True)} with the cache, {_of(frame, name, caching=False)} without"
        for name in names
    ]
    about = "an estimate, replayed with the conversation's own token counts"
    return draw(paint, frame, about, ("What if", "USD", ""), words, ax=ax, columns=2, grid="x")


def _policies(frame: Any) -> list[str]:
    import pandas as pd

    missing = [name for name in _NEEDED if not isinstance(frame, pd.DataFrame) or name not in frame]
    if missing:
        raise LedgerError(
            f"plots.what_if() draws what a history answers, and there is no {missing[0]!r} in this "
            f"{type(frame).__name__}. Type: plots.what_if(chat.history.what_if([None, keep_last(6)]))."
        )
    return list(dict.fromkeys(str(policy) for policy in frame["policy"]))


def _of(frame: "pd.DataFrame", name: str, *, caching: bool) -> str:
    rows = frame[(frame["policy"].astype(str) == name) & (frame["caching"] == caching)]
    return money(rows["cost_usd"].iloc[0] if len(rows) else None)
