"""What a prompt was made of, without its text: enough to say which block made it grow.

A block's digest leaves out what changes without changing the prompt: cache breakpoints, and the ids of tool calls.
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

_BINARY_SAMPLE = 50_000
"""Characters of base64 at each end that identify an image or document, with its length."""


class Part(NamedTuple):
    """One block of a prompt.

    Attributes:
        message: The index of its message; None for ``tools`` and ``system``.
        role: ``tools``, ``system``, ``user`` or ``assistant``.
        kind: The block's type; a tool's call and result with the tool's name.
        digest: Equal for equal content.
        chars: Its length in characters; of binary data in base64.
    """

    message: int | None
    role: str
    kind: str
    digest: str
    chars: int


def digest_prompt(body: Mapping[str, Any]) -> list[Part]:
    """The parts of a request's JSON, in the order the prompt cache sees them."""
    return [part for part, _ in read_prompt(body)]


def read_prompt(body: Mapping[str, Any]) -> Iterator[tuple[Part, Any]]:
    """Each part with what the model reads of it: text, or JSON."""
    for name in ("tools", "system"):
        if body.get(name):
            yield Part(None, name, "", *_digest(body[name])), body[name]
    names: dict[str, str] = {}
    messages = body.get("messages")
    for number, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, Mapping):
            role = str(message.get("role"))
            for block in _blocks(message.get("content")):
                content = _content(block)
                digest, chars = _digest(_binary(block) or content)
                part = Part(number, role, _kind(block, names), digest, _binary_length(block) or chars)
                yield part, content


def _blocks(content: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
        return
    for block in content if isinstance(content, list | tuple) else ():
        yield block if isinstance(block, Mapping) else _plain(block)


def _kind(block: Mapping[str, Any], names: dict[str, str]) -> str:
    kind = str(block.get("type"))
    if kind.endswith("tool_use"):
        names[str(block.get("id"))] = str(block.get("name"))
        return f"{kind} {block.get('name')}"
    if kind == "tool_result":
        return f"{kind} {names.get(str(block.get('tool_use_id')), '')}".rstrip()
    return kind


def _content(block: Mapping[str, Any]) -> Any:
    """What of a block the model reads."""
    for name in ("text", "thinking"):
        if block.get("type") == name:
            return block.get(name)
    if block.get("type") == "tool_result":
        return block.get("content")
    return {
        name: value for name, value in block.items() if name not in ("cache_control", "id", "tool_use_id")
    }


def _binary(block: Mapping[str, Any]) -> str | None:
    """Enough of an image or document to know it again: hashing megabytes would hold up the call."""
    data = _data(block)
    return None if data is None else f"{len(data)} {data[:_BINARY_SAMPLE]} {data[-_BINARY_SAMPLE:]}"


def _binary_length(block: Mapping[str, Any]) -> int | None:
    data = _data(block)
    return None if data is None else len(data)


def _data(block: Mapping[str, Any]) -> str | None:
    source = block.get("source")
    data = source.get("data") if isinstance(source, Mapping) and source.get("type") == "base64" else None
    return data if isinstance(data, str) else None


def _digest(value: Any) -> tuple[str, int]:
    text = (
        value if isinstance(value, str) else json.dumps(_uncached(value), default=_plain, ensure_ascii=False)
    )
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest(), len(text)


def _uncached(value: Any) -> Any:
    """A list of blocks without their cache breakpoints; a system prompt keeps its digest when one moves."""
    if not isinstance(value, list):
        return value
    return [
        {name: inner for name, inner in entry.items() if name != "cache_control"}
        if isinstance(entry, Mapping)
        else entry
        for entry in value
    ]


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):  # the SDK's own blocks and tools
        return value.to_dict()
    return {"type": type(value).__name__, "text": str(value)}
