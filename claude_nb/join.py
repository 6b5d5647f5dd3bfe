"""One answer out of the replies it took: paused and resumed, or cut and continued, joined without a seam."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_ANCHOR = 80  # characters of the end that the model is asked to repeat
_LEAST_OVERLAP = 12  # characters; shorter ones are chance
_MOST_OVERLAP = 400


def words(message: Any) -> str:
    """Give the text of a message: its text blocks, joined as the SDK joins them."""
    return "".join(block.text or "" for block in message.content if block.type == "text")


def anchor(text: str) -> str:
    """Give the last words of a cut text, to be repeated by the model: that makes the place of the cut certain."""
    end = text.rstrip()[-_ANCHOR:]
    if len(text.rstrip()) > _ANCHOR and (space := re.search(r"\s+", end)) and end[space.end() :]:
        end = end[space.end() :]
    return end.lstrip()


def seam(before: str, after: str) -> str:
    """Join a cut text and its continuation; what the continuation repeats stands only once."""
    end, start = anchor(before), after.lstrip()
    if end and start.startswith(end):
        return before.rstrip() + start[len(end) :]
    for size in range(min(len(before), len(after), _MOST_OVERLAP), _LEAST_OVERLAP - 1, -1):
        if before.endswith(after[:size]):
            return before + after[size:]
    return before + after


def certain(before: str, start: str) -> bool:
    """Tell whether enough of a continuation is here to know what of it is repetition."""
    end = anchor(before)
    return len(start) >= _MOST_OVERLAP or bool(end and start.lstrip().startswith(end))


def added(before: str, after: str) -> str:
    """Give what a continuation adds to a cut text that is shown already."""
    whole = seam(before, after)
    return whole[len(before if whole.startswith(before) else before.rstrip()) :]


def joined(pieces: Sequence[Any]) -> Any:
    """Give the pieces of one answer as one SDK ``Message``; None for none.

    Its content is that of all pieces, its ``stop_reason`` that of the last, its ``usage`` the sum of the
    requests (a field that one of them did not report is unknown). Every piece that was not paused was cut, and is
    continued by the text of the next one; thinking and calls at the cut are left out, and so is refused text.
    """
    if len(pieces) <= 1:
        return pieces[0] if pieces else None
    from anthropic.types import Message

    last = pieces[-1]
    content: list[dict[str, Any]] = []
    cut = False
    for piece in pieces:
        blocks = [block.to_dict() for block in piece.content if piece.stop_reason != "refusal"]
        content = _continued(content, blocks) if cut else [*content, *blocks]
        cut = piece.stop_reason != "pause_turn"
    usages = [piece.usage.to_dict() if piece.usage is not None else None for piece in pieces]
    return Message.construct(**{**last.to_dict(), "content": content, "usage": _sum(usages)})


def _continued(content: list[dict[str, Any]], blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    while content and content[-1]["type"] != "text":
        content = content[:-1]
    more = next((place for place, block in enumerate(blocks) if block["type"] == "text"), None)
    if not content or more is None:
        return content + blocks
    text = seam(content[-1]["text"], blocks[more]["text"])
    return [*content[:-1], {**content[-1], "text": text}, *blocks[more + 1 :]]


def _sum(usages: Sequence[Any]) -> Any:
    if any(usage is None for usage in usages):
        return None
    if all(isinstance(usage, Mapping) for usage in usages):
        names = dict.fromkeys(name for usage in usages for name in usage)
        return {name: _sum([usage.get(name) for usage in usages]) for name in names}
    if all(isinstance(usage, int | float) for usage in usages):
        return sum(usages)
    return usages[-1]
