"""What a reply cost, where its server reported enough to know it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .ledger import is_unbilled_refusal, made_output, price_usage

_TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def cost_of(message: Any) -> Decimal | None:
    """Give the cost of an SDK ``Message`` in USD; None where it is unknown, as for a reply that was cut on its way.

    A refusal that is not billed costs nothing.
    """
    if message is None or message.stop_reason is None or message.usage is None:
        return None
    category = getattr(message.stop_details, "category", None) if message.stop_reason == "refusal" else None
    if is_unbilled_refusal(message.stop_reason, category, produced=made_output(message.content)):
        return Decimal(0)
    return price_reported(getattr(message, "model", None), message.usage.to_dict())


def price_reported(model: str | None, usage: Mapping[str, Any] | None) -> Decimal | None:
    """Give the cost of a usage in USD; None unless both input and output tokens were reported.

    Servers other than Anthropic's leave them out, or say 0 of both; a price of half the tokens, or of none, would look
    like the whole.
    """
    if not model or not usage or None in (usage.get("input_tokens"), usage.get("output_tokens")):
        return None
    if not any(usage.get(name) for name in _TOKENS):
        return None
    return price_usage(model, dict(usage))
