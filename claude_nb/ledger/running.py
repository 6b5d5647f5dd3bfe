"""Sums that follow the calls as they settle, by the same rules as the database's."""

import json
from collections.abc import Mapping
from typing import Any

from .questions import BILLED_OPS, OWN, SINCE, TAG
from .total import TOKEN_CLASSES


def add_to(sums: dict[str, Any], row: Mapping[str, Any]) -> None:
    """Count a row that was just settled into a row of sums, by the same rules."""
    pending = not row["usage_final"] and row["outcome"] != "http_error"
    more = {name: row.get(name) for name in TOKEN_CLASSES}
    more |= {"calls": row.get("attempt") == 0, "attempts": 1, "usd": row.get("cost_pico")}
    more |= {"unfinished": pending, "unpriced": row.get("cost_low_pico") is None}
    more["partly_priced"] = row.get("unpriced_tools") is not None
    if pending:
        more |= {"low": row.get("cost_low_pico"), "high": row.get("cost_high_pico")}
        more |= {"unbounded": row.get("cost_high_pico") is None}
    for name, value in more.items():
        sums[name] = int(sums[name] or 0) + int(value or 0)


def is_chosen(row: Mapping[str, Any], only: Mapping[str, str]) -> bool:
    """Whether a row that was just settled belongs to a part of the ledger, and can be billed."""
    if row["op"] not in BILLED_OPS or row["outcome"] == "budget_refused":
        return False
    return all(_is(row, name, value) for name, value in only.items() if (name, value) != ("source", OWN))


def _is(row: Mapping[str, Any], name: str, value: Any) -> bool:
    if name == SINCE:
        return bool(row["ts"] >= value)
    if name == TAG:
        tags = json.loads(row.get("tags") or "[]")
        return not tags if value is None else value in tags
    if name == "cell" and row.get("notebook") and value == f"{row['notebook']} cell {row['cell']}":
        return True
    return bool(row.get(name) == value)
