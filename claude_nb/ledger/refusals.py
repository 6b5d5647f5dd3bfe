"""When a refusal is billed: after any output, and before it in some categories only.

Source: platform.claude.com, build-with-claude/refusals-and-fallback, 2026-11.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from .rates import overlay


def is_unbilled_refusal(stop_reason: str | None, category: str | None, *, produced: bool) -> bool:
    """Whether a refusal came before any output, in a category that is then not billed.

    Args:
        stop_reason: Why the reply ended.
        category: ``stop_details.category``.
        produced: Whether there was output before it: ``made_output(message.content)``.
    """
    return (
        stop_reason == "refusal"
        and not produced
        and category not in overlay()["refusal_billed_before_output"]
    )


def made_output(content: Iterable[Any]) -> bool:
    """Whether content blocks, as JSON or the SDK's, hold anything: a refused reply can open with an empty text."""
    return any(_is_output(block) for block in content)


def _is_output(block: Any) -> bool:
    block = block.to_dict() if hasattr(block, "to_dict") else block
    if not isinstance(block, Mapping):
        return False
    if block.get("type") in ("text", "thinking"):
        return bool(block.get("text") or block.get("thinking") or block.get("signature"))
    return block.get("type") != "fallback"
