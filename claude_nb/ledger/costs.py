"""What a row costs: exactly, between two amounts, or unknown."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from .batches import reserved
from .money import to_pico
from .prices import cost_interval, price_usage
from .rates import price_version

FREE = ("count_tokens", "batches", "batches.results")
"""Requests that cost nothing themselves; a batch is paid by its items."""
UNBILLED = ("http_error", "budget_refused")
"""Outcomes that cost nothing."""


def reserving(row: Mapping[str, Any]) -> dict[str, Any]:
    """The cost of a row that is not sent yet; its most is kept for budgets even if nobody can price the reply."""
    costs = cost_columns(row)
    return costs | {"reserved_pico": costs["cost_high_pico"]}


def cost_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The cost of a settled row: exact, an interval when its usage is not final, None where unknown."""
    cost, low, high = _costs(row)
    return {
        "cost_pico": to_pico(cost),
        "cost_low_pico": to_pico(low),
        "cost_high_pico": to_pico(high),
        "price_version": price_version(),
    }


def _costs(row: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    reserves, most = reserved(row.get("worst")) if row["op"] == "batches" else (False, None)
    if reserves and row["outcome"] in ("open", "ok"):
        return None, Decimal(0), most
    unsent = row["outcome"] == "no_response" and row["usage_final"]
    if unsent or row["op"] in FREE or row["outcome"] in UNBILLED:
        zero = Decimal(0)
        return zero, zero, zero
    model, at = row["model"] or "", datetime.fromisoformat(row["ts"])
    usage = json.loads(row["usage"]) if row.get("usage") else None
    regional = bool(row.get("regional"))
    if row["usage_final"] and usage is not None:
        refused = bool(row.get("unbilled_refusal"))
        halved = row["op"] == "messages" and None in (usage.get("input_tokens"), usage.get("output_tokens"))
        unreported = (_is_blank(usage) or halved) and not refused
        cost = None if unreported else price_usage(model, usage, at, refused=refused, regional=regional)
        return cost, cost, cost
    worst = json.loads(row["worst"]) if row.get("worst") else None
    if usage is None and row.get("regional") is None and worst and worst.get("inference_geo") != "us":
        regional = True  # where it will run is not known yet: an endpoint or a workspace can add a surcharge
    low, high = cost_interval(
        model,
        usage,
        at,
        max_tokens=row.get("max_tokens"),
        streamed_chars=row.get("streamed_chars") or 0,
        worst=worst,
        regional=regional,
    )
    return None, low, high


def _is_blank(usage: Mapping[str, Any]) -> bool:
    """A usage that reports nothing: a real reply has read at least one token."""
    return not usage.get("iterations") and not any(
        usage.get(name)
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        )
    )
