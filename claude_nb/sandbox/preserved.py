"""What the API refuses about thinking that comes back: edited, cut loose from its conversation, or left out.

Source: build-with-claude/preserved-thinking.
"""

from collections.abc import Mapping
from typing import Any

from claude_nb.models import Model

from . import sealing, thinking
from .apierror import ApiError, invalid
from .prompt import Placed

Json = dict[str, Any]
Turn = tuple[str, list[Placed]]
"""A role, and the blocks of one or more messages of it."""
Place = tuple[int, int]
"""Index of a message and of a block in it."""

_DROP = "drop_block"


def check(body: Json, merged: list[Turn], model: Model, *, lenient: bool) -> dict[Place, str]:
    """Raise a 400 for a thinking block that was changed, or whose conversation was.

    Args:
        body: A request of the right shape.
        merged: Its turns.
        model: The model it names.
        lenient: Drop blocks of another conversation instead of refusing them.

    Returns:
        The blocks that are left out, with the reason.
    """
    binding = ((body.get("thinking") or {}).get("block_binding") or {}).get("prefix_mismatch_behavior")
    enforced = model.checks_thinking_prefix or binding is not None
    lenient = lenient or binding == _DROP
    latest = max((n for n, (role, _) in enumerate(merged) if role == "assistant"), default=-1)
    trail = thinking.Trail(body)
    dropped: dict[Place, str] = {}
    for number, (role, content) in enumerate(merged):
        trail.turn(role)
        for index, at, block in content:
            if block["type"] == "thinking":
                where = f"messages.{index}.content.{at}"
                if reason := _unreadable(block, where, model):
                    dropped[index, at] = reason
                    continue
                moved = enforced and _moved(block, trail)
                if moved and lenient:
                    dropped[index, at] = "prefix_binding_mismatch"
                    continue
                _untouched(block, where, trail, latest=number == latest)
                if moved:
                    raise invalid(
                        f"{where}: Invalid `signature` in `thinking` block. The block is bound to a different "
                        "conversation. Remove the block, or set "
                        '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block". '
                        'This needs the beta header "thinking-binding-controls-2026-08-01".'
                    )
            trail.add(block)
    return dropped


def _unreadable(block: Json, where: str, model: Model) -> str | None:
    """Why the model cannot read a thinking block, or ``None`` when it can."""
    seal = sealing.read(block)
    if seal is not None:
        return None if seal.model == model.id else "model_binding_mismatch"
    if sealing.is_foreign(block):
        return "organization_binding_mismatch"
    raise invalid(f"{where}: Invalid `signature` in `thinking` block")


def _untouched(block: Json, where: str, trail: thinking.Trail, *, latest: bool) -> None:
    seal = sealing.read(block)
    if seal is None:
        return
    edited = seal.text != sealing.digest(block["thinking"])
    if latest:
        own = trail.thoughts[len(trail.thoughts) - trail.within :]
        signed = list(seal.earlier[len(seal.earlier) - seal.within :])
        if edited or own != signed:
            raise _modified(where)
    if edited:
        raise invalid(f"{where}: Invalid `signature` in `thinking` block")


def _moved(block: Json, trail: thinking.Trail) -> bool:
    """Whether what precedes the block differs from what preceded it when it was made."""
    seal = sealing.read(block)
    if seal is None:
        return False
    kept = trail.thoughts
    # Thinking may be missing from the start of the history, never from its middle.
    return seal.prefix != trail.prefix() or kept != list(seal.earlier[len(seal.earlier) - len(kept) :])


def check_open_loop(merged: list[Turn], thoughts: Mapping[str, str]) -> None:
    """Raise a 400 when, in an unfinished tool loop, the thinking before a known call is no longer there.

    Args:
        merged: The turns of a request.
        thoughts: For known tool calls, by id, the digest of the thinking block before them.
    """
    if len(merged) < len(("assistant", "user")) or merged[-2][0] != "assistant":
        return
    content = merged[-2][1]
    present = {sealing.digest(one["signature"]) for _, _, one in content if one["type"] == "thinking"}
    for index, at, one in content:
        if one["type"] == "tool_use" and thoughts.get(one["id"], "") not in {"", *present}:
            raise _modified(f"messages.{index}.content.{at}")


def _modified(where: str) -> ApiError:
    return invalid(
        f"{where}: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. "
        "These blocks must remain as they were in the original response."
    )
