"""What a message batch can cost at most: what a budget reserves for it until its results are read."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .prices import price_usage
from .worst import worst_usage

_USD = "batch_usd"


def reservation(body: Mapping[str, Any]) -> str:
    """The text to store for a batch's request: the sum of its requests at their worst, or that it is unknown."""
    requests = body.get("requests")
    worst = [_worst(one) for one in requests] if isinstance(requests, list | tuple) else [None]
    known = [one for one in worst if one is not None]
    return json.dumps({_USD: str(sum(known, Decimal(0))) if len(known) == len(worst) else None})


def reserved(stored: str | None) -> tuple[bool, Decimal | None]:
    """Whether the text reserves money for a batch, and how much in USD; None where that is unknown."""
    told = json.loads(stored) if stored else {}
    usd = told.get(_USD)
    return _USD in told, None if usd is None else Decimal(usd)


def _worst(request: Any) -> Decimal | None:
    params = request.get("params") if isinstance(request, Mapping) else None
    if not isinstance(params, Mapping):
        return None
    usage = worst_usage(params)
    return (
        None if usage is None else price_usage(str(params.get("model")), {**usage, "service_tier": "batch"})
    )
