"""Four plots on one page."""

from typing import TYPE_CHECKING, Any

from .growth import context
from .shares import shares
from .spending import models, spend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def dashboard(source: Any) -> "tuple[Axes, ...]":
    """Spend, context, cost by model and shares of one ledger, on one figure.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()`` (a ``Chat``).

    Returns:
        The four Axes, in reading order.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    import matplotlib.pyplot as plt

    _, grid = plt.subplots(2, 2, figsize=(13, 7.2), layout="constrained", facecolor="white")
    plots = (spend, context, models, shares)
    return tuple(plot(source, ax=ax) for plot, ax in zip(plots, grid.flat, strict=True))
