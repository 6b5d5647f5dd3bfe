"""Checks of 07: what was paid, and why."""

from typing import Any

from .register import exercise


@exercise("07-1")
def _dearest(function: Any) -> str | None:
    import pandas as pd

    if not callable(function):
        return "a function is expected: def dearest(frame): ..."
    unknown = float("nan")
    for costs, row in (([0.1, 0.3, unknown], 1), ([0.2, 0.1, 0.1], 0), ([unknown, 0.1, 0.2], 2)):
        got = function(pd.DataFrame({"model": "a model", "cost_usd": costs}))
        if got != row:
            return f"for the costs {costs} the row is {row}, and your function gives {got!r}."
    return None


@exercise("07-2")
def _refused(error: Any) -> str | None:
    from claude_nb.ledger import BudgetExceeded

    if not isinstance(error, BudgetExceeded):  # the class itself is not one either
        return (
            f"the exception of a refused call is expected, a BudgetExceeded; this is {type(error).__name__}."
        )
    return None


@exercise("07-3")
def _spike(function: Any) -> str | None:
    if not callable(function):
        return "a function is expected: def spike(sizes): ..."
    cases: list[tuple[list[int], int | None]] = [
        ([31, 268, 522, 2288, 2582, 2875], 3),
        ([10, 2000, 2100, 2200, 2300], 1),
        ([30, 270, 520, 760], None),
        ([30, 270, 520, 100, 340, 580], None),
        ([40], None),
    ]
    for sizes, turn in cases:
        if (got := function(list(sizes))) != turn:
            return f"for the sizes {sizes} the answer is {turn}, and your function gives {got!r}."
    return None
