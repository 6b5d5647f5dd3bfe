"""Every token accounted for: a middleware that records, a database that keeps, prices that are dated data.

    ledger = Ledger()
    client = ledger.meter(anthropic.Anthropic())
    ...
    ledger.total()  # $4.12 (+$0.03…0.40 unfinished, 2 calls unpriced)

The way of a call: ``meter`` (the SDK middleware) reads it with ``wire``, ``attempt`` turns it into a row with the
help of ``costs``, ``prices`` and ``labels``, ``store`` keeps it (and ``texts`` its words, on request), ``questions``
asks the database, ``ledger`` shows the answers and ``live`` follows them. ``insight`` and ``leaks`` say why;
``claude_code`` and ``console`` bring in what others counted; ``reconcile`` compares with the invoice.
"""

from .budget import Budget, BudgetExceeded, set_limit
from .labels import label
from .ledger import Ledger
from .money import format_usd
from .prices import cost_interval, price_usage
from .rates import price_version
from .refusals import is_unbilled_refusal, made_output
from .total import TOKEN_CLASSES, Health, Total
from .worst import worst_usage

__all__ = [
    "TOKEN_CLASSES",
    "Budget",
    "BudgetExceeded",
    "Health",
    "Ledger",
    "Total",
    "cost_interval",
    "format_usd",
    "is_unbilled_refusal",
    "label",
    "made_output",
    "price_usage",
    "price_version",
    "set_limit",
    "worst_usage",
]
