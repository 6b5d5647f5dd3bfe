"""Sessions of managed agents: one row a session, with what the API last said of its cumulative usage and cost.

The API prices a session itself (``list_cost``, in whole cents: tokens, tools and running time); a session that was
started and not looked at again is unpriced, and every total says so. Source: ``BetaManagedAgentsSessionUsage``.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .attempt import usage_columns
from .money import to_pico

SESSION = "session"
"""The op of these rows."""

_PATH = re.compile(r"/v1/sessions(?:/([^/?]+)(?:/(?:archive|events/stream))?)?(?:\?|$)")
_CENT = Decimal("0.01")


def session_of(method: str, url: str) -> tuple[str, str | None] | None:
    """The op and, where the address names it, the session whose usage the answer tells; None for other requests."""
    found = _PATH.search(url)
    if found is None or (found[1] is None and method.upper() != "POST"):
        return None
    return SESSION, found[1]


def session_row(
    row: Mapping[str, Any], told: Mapping[str, Any] | None, name: str | None
) -> dict[str, Any] | None:
    """The session's row as of now; None where the answer told nothing of its usage.

    Args:
        row: The row of the request that asked.
        told: The session, or a snapshot of its usage.
        name: The session's id where the address named it.
    """
    session = told or {}
    usage, name = session.get("usage"), session.get("id") or name
    if not isinstance(usage, Mapping) or not name:
        return None
    cost = to_pico(_listed(usage.get("list_cost")))
    agent = session.get("agent")
    model = agent.get("model") if isinstance(agent, Mapping) else None
    known = {
        "cost_pico": cost,
        "cost_low_pico": cost,
        "cost_high_pico": cost,
        "price_version": "the API's list_cost",
    }
    same = {
        "id": f"{SESSION}:{name}",
        "call_id": f"{SESSION}:{name}",
        "attempt": 0,
        "outcome": "ok",
        "usage_final": True,
    }
    seen = {"model": model.get("id") if isinstance(model, Mapping) else model, "usage": json.dumps(usage)}
    return {**row, **usage_columns(usage), **known, **same, **seen}


def _listed(amount: Any) -> Decimal | None:
    """USD of an amount in cents."""
    if not isinstance(amount, Mapping) or amount.get("currency") != "USD":
        return None
    cents = str(amount.get("amount"))
    return Decimal(cents) * _CENT if cents.isdecimal() else None
