"""The six plots to look at first, on one page."""

from typing import TYPE_CHECKING, Any

from claude_nb.ledger import Budget

from .caching import cache
from .calls import sums_of
from .canvas import PAPER
from .days import daily
from .growth import context
from .ranking import models, top
from .shares import shares
from .spending import budget as against_budget
from .spending import spend

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes


def dashboard(source: Any, *, budget: Budget | None = None) -> "tuple[Axes, ...]":
    """Cost per day, spend (against a budget), context, shares, prompt cache and dearest cells, on one figure.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).
        budget: Draw the spend of its period against it; if not given, all spend.

    Returns:
        The six Axes, in reading order.

    Raises:
        LedgerError: The source has no frame of calls, or it is not a budget.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    calls = sums_of(source)
    drawers: tuple[tuple[Callable[..., Axes], Any], ...] = (
        (daily if calls["ts"].notna().any() or calls.empty else models, calls),  # a chat's frame has no times
        (spend, calls) if budget is None else (against_budget, budget),
        (context, source),
        (shares, calls),
        (cache, calls),
        (top, source),
    )
    with mpl.rc_context(PAPER):
        _, grid = plt.subplots(3, 2, figsize=(11, 10.5), layout="constrained")
        return tuple(plot(what, ax=ax) for (plot, what), ax in zip(drawers, grid.flat, strict=True))
