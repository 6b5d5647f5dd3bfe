"""A conversation for readers and for other programs: Markdown, and a Python script."""

import json
import re
from collections.abc import Sequence
from pprint import pformat
from typing import Any

from .content import Json
from .entry import Entry

_SCRIPT = """\
import anthropic

client = anthropic.Anthropic()  # the key is taken from ANTHROPIC_API_KEY

message = client.messages.create(
{arguments}
)
for block in message.content:
    if block.type == "text":
        print(block.text)
    elif block.type == "tool_use":
        print(block.name, block.input)
"""


def markdown(path: Sequence[Entry], system: Any) -> str:
    """The messages under a heading each; calls, results and data as code or in brackets."""
    parts = []
    if system:
        text = system if isinstance(system, str) else "\n\n".join(block["text"] for block in system)
        parts.append(f"## System\n\n{text}")
    for entry in path:
        body = "\n\n".join(filter(None, map(_block, entry.content)))
        parts.append(f"## {_title(entry)}\n\n{body or '(nothing)'}")
    return "\n\n".join(parts) + "\n"


def _title(entry: Entry) -> str:
    if entry.is_instruction:
        return "Instruction"
    if entry.role == "user":
        return "Tool results" if entry.is_results else "User"
    if not entry.is_reply:
        return "Summary by the API"
    if entry.interrupted:
        return f"{entry.model or 'Assistant'} (interrupted)"
    ended = "" if entry.stop_reason in ("end_turn", "tool_use") else f" ({entry.stop_reason})"
    return f"{entry.model or 'Assistant'}{ended}"


def _block(block: Json) -> str:
    match block["type"]:
        case "text":
            text = str(block["text"])
        case "thinking":
            text = "\n".join(f"> {line}" for line in (block.get("thinking") or "").splitlines())
        case "image" | "document":
            text = _data(block)
        case "tool_use":
            code = json.dumps(block["input"], indent=2, ensure_ascii=False)
            text = f"Calls `{block['name']}`:\n\n{_fenced(code, 'json')}"
        case "compaction":
            text = str(block.get("content") or "")
        case "tool_result" if isinstance(block.get("content"), list):
            text = "\n\n".join(map(_block, block["content"]))
        case "tool_result":
            text = _fenced(str(block.get("content") or ""), "text")
        case kind:
            text = f"[{kind}]"
    return text


def _data(block: Json) -> str:
    source = block.get("source", {})
    size = f", {len(source['data']) * 3 // 4:,} bytes" if source.get("type") == "base64" else ""
    name = source.get("url") or source.get("file_id") or source.get("media_type", "")
    return f"[{block['type']}: {name}{size}]"


def _fenced(text: str, language: str) -> str:
    """Text as a code block, with a fence longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def script(request: Json, *, model: str, max_tokens: int) -> str:
    """A program that sends a request with the plain SDK."""
    arguments = {"model": model, "max_tokens": max_tokens, **request}
    lines = [f"{name}={pformat(value, width=100, sort_dicts=False)}," for name, value in arguments.items()]
    indented = "\n".join(lines).replace("\n", "\n    ")
    return _SCRIPT.format(arguments=f"    {indented}")
