"""Steps of a tool loop in words: how a loop that has grown too long goes on without its blocks.

While a loop runs, the thinking before its last call may neither change nor be missing, so nothing before it can be
left out. Told in words, the loop is part of the prompt, and the model goes on from there.
"""

import json
from collections.abc import Sequence

from claude_nb.trim import Cut

from .content import Json
from .entry import Entry

_BEGIN = "[Your steps so far, in words to save tokens:]"
_LEFT_OUT = "({} earlier steps left out)"
_CHARACTERS = 2.5
"""Characters of a token, at least: those of the newer tokenizer."""
_LONGEST = 0.25
"""What one step may take of all the room."""


def in_words(path: Sequence[Entry], cut: Cut, place: int, cleared: str) -> list[Json]:
    """The block that stands for a range of steps, at its first place; nothing at its other places.

    Args:
        path: The entries of the branch.
        cut: Which ranges are told, and in how many tokens.
        place: A place in one of them.
        cleared: What is said in place of a result whose content is left out.
    """
    told = next((one for one in cut.told if one.first == place), None)
    if told is None:
        return []
    room = int(told.tokens * _CHARACTERS)
    lines: list[str] = []
    steps = range(told.end - 1, told.first - 1, -1)
    left = 0
    for at in steps:
        line = _line(path[at], cleared if at in cut.cleared_places() else None)
        if not line:
            continue
        line = _shortened(line, int(room * _LONGEST) if told.tokens else 0)
        if len(line) > room - sum(map(len, lines)):
            left = sum(bool(_line(path[one], "")) for one in steps if one <= at)
            break
        lines.append(line)
    earlier = [_LEFT_OUT.format(left)] if left else []
    return [{"type": "text", "text": "\n".join([_BEGIN, *earlier, *reversed(lines)])}]


def _line(entry: Entry, cleared: str | None) -> str:
    """What a message of the loop says or does."""
    parts = []
    for block in entry.sendable:
        match block["type"]:
            case "text":
                parts.append(block["text"].strip())
            case "tool_use":
                parts.append(f"{block['name']}({json.dumps(block['input'], ensure_ascii=False)})")
            case "tool_result":
                parts.append(f"-> {_result(block) if cleared is None else cleared}")
    return "\n".join(part for part in parts if part)


def _result(block: Json) -> str:
    content = block.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(one["text"] if one["type"] == "text" else f"[{one['type']}]" for one in content)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… [{len(text) - most:,} characters left out]"
