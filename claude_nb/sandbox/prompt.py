"""A request as the model reads it: one flat list of parts, in the order tools, system, messages.

Token counts, the prompt cache and its diagnostics all work on this list, so they cannot disagree.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from claude_nb.models import Model

from . import sealing, tokens

Json = dict[str, Any]
Placed = tuple[int, int, Json]
"""A block with the index of its message and its own."""
Level = Literal["tools", "system", "messages"]
THINKING = ("thinking", "redacted_thinking")


@dataclass(frozen=True, slots=True)
class Part:
    """One tool, system block or content block.

    Attributes:
        level: Which of the three sections it belongs to.
        text: Its canonical JSON, without cache marks, with the role in front for messages.
        tokens: Estimated tokens, with the overhead of its message or section.
        cache_control: The block's breakpoint, if any.
        cacheable: Whether a breakpoint may stand here: thinking cannot carry one.
    """

    level: Level
    text: str
    tokens: int
    cache_control: Json | None
    cacheable: bool = True


def canonical(value: Any) -> Any:
    """JSON without what does not change the prompt: cache marks, nulls, and who called a tool directly."""
    if isinstance(value, dict):
        return {
            name: canonical(member)
            for name, member in value.items()
            if member is not None
            and name != "cache_control"
            and not (name == "caller" and member == {"type": "direct"})
        }
    if isinstance(value, list):
        return [canonical(member) for member in value]
    return value


def text_of(value: Any) -> str:
    """Canonical JSON as a string; equal strings are equal prompts."""
    return json.dumps(canonical(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def blocks(content: Any) -> list[Json]:
    """Message or system content as a list of blocks; a string is one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content or ())


def turns(messages: list[Json]) -> Iterator[tuple[str, list[Placed]]]:
    """Merge consecutive messages of one role, as the API does: ``(role, [(message, block index, block)])``."""
    role, found = "", list[Placed]()
    for index, message in enumerate(messages):
        if message["role"] != role:
            if role:
                yield role, found
            role, found = message["role"], []
        found.extend((index, at, block) for at, block in enumerate(blocks(message["content"])))
    if role:
        yield role, found


def parts(body: Json, model: Model) -> list[Part]:
    """Flatten a valid request."""
    found: list[Part] = []
    for tool in body.get("tools") or ():
        size = tokens.count_text(text_of(tool), model)
        overhead = 0 if found else tokens.tools_overhead(model)
        found.append(Part("tools", text_of(tool), size + overhead, tool.get("cache_control")))
    for block in blocks(body.get("system")):
        size = tokens.count_block(block, model)
        found.append(Part("system", text_of(block), size, block.get("cache_control")))
    open_from = _open_turn(body["messages"])
    previous = ""
    for index, message in enumerate(body["messages"]):
        overhead = tokens.MESSAGE_OVERHEAD if message["role"] != previous else 0
        overhead += 0 if index else tokens.PROMPT_OVERHEAD + _format(body, model)
        previous = message["role"]
        for block in blocks(message["content"]):
            size = overhead + _size(block, model, current=index >= open_from)
            text = f"{message['role']}:{text_of(block)}"
            found.append(Part("messages", text, size, _mark(block), block["type"] not in THINKING))
            overhead = 0
    return found


def count(body: Json, model: Model) -> int:
    """Input tokens of a valid request: what ``count_tokens`` answers and what the usage adds up to."""
    return sum(part.tokens for part in parts(body, model))


def _format(body: Json, model: Model) -> int:
    wanted = (body.get("output_config") or {}).get("format")
    return tokens.format_overhead(wanted["schema"], model) if wanted else 0


def _mark(block: Json) -> Json | None:
    """The breakpoint on a block, or on a block inside a tool result."""
    content = block.get("content")
    inner = [one.get("cache_control") for one in content] if isinstance(content, list) else []
    marks = [mark for mark in (block.get("cache_control"), *inner) if mark]
    return marks[-1] if marks else None


def _size(block: Json, model: Model, *, current: bool) -> int:
    if block["type"] not in THINKING:
        return tokens.count_block(block, model)
    if not (current or model.keeps_thinking):
        return 0  # the server strips thinking of earlier turns on these models
    seal = sealing.read(block)
    if seal is None:
        return tokens.count_text(block.get("thinking", ""), model)
    return seal.tokens if seal.model == model.id else 0  # another model's thinking is dropped, unbilled


def _open_turn(messages: list[Json]) -> int:
    """Index of the first message of the unfinished tool loop, or the end when there is none."""
    for index in range(len(messages) - 1, -1, -1):
        content = blocks(messages[index]["content"])
        if messages[index]["role"] == "user" and not any(b["type"] == "tool_result" for b in content):
            return index
    return len(messages)
