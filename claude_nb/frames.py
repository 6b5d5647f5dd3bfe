"""A conversation as a table: a row a reply, in the API's own columns."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .bill import price_reported
from .history import History
from .ledger import is_unbilled_refusal, made_output

if TYPE_CHECKING:
    import pandas as pd


def frame_of(history: History) -> "pd.DataFrame":
    """Give a row for each reply of the current branch: usage in tokens as reported, and ``cost_usd``.

    What is unknown is None: what a server did not report, and output and cost of an interrupted reply.
    """
    import pandas as pd

    replies = [entry for entry in history.entries if entry.role == "assistant"]
    return pd.DataFrame([_row(turn, entry) for turn, entry in enumerate(replies, 1)])


def _row(turn: int, entry: Any) -> dict[str, Any]:
    usage = entry.usage or {}
    split = usage.get("cache_creation") or {}
    return {
        "turn": turn,
        "model": entry.model,
        "stop_reason": entry.stop_reason,
        "simulated": entry.simulated,
        "input_tokens": usage.get("input_tokens"),
        "ephemeral_5m_input_tokens": split.get(
            "ephemeral_5m_input_tokens", usage.get("cache_creation_input_tokens")
        ),
        "ephemeral_1h_input_tokens": split.get("ephemeral_1h_input_tokens"),
        "cache_read_input_tokens": usage.get("cache_read_input_tokens"),
        "output_tokens": None if entry.interrupted else usage.get("output_tokens"),
        "cost_usd": _cost(entry),
    }


def _cost(entry: Any) -> Decimal | None:
    if entry.interrupted:
        return None
    if is_unbilled_refusal(entry.stop_reason, entry.refusal, produced=made_output(entry.content)):
        return Decimal(0)
    return price_reported(entry.model, entry.usage)
