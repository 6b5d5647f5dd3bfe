"""A finished message as the server-sent events that would have carried it."""

import json
import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Event = tuple[Json, float]
"""An event's ``data`` and the share of output tokens it stands for, which paces it."""

_PING: Json = {"type": "ping"}
_WORD = re.compile(r"\s*\S{1,24}|\s+")
_GROUPS = (1, 3, 2, 4, 3, 2, 5, 3)  # words in a delta; real ones carry a few, unevenly
_JSON_PIECE = re.compile(r".{1,12}", re.DOTALL)
_CHARACTERS_PER_TOKEN = 3.0
_MESSAGE_START_TOKENS = 1
_START_ONLY = ("cache_creation", "service_tier", "inference_geo", "speed")
_END_ONLY = ("output_tokens_details", "server_tool_use", "iterations")


def frame(event: Json) -> bytes:
    """One event as it goes over the wire."""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {data}\n\n".encode(errors="replace")


def events(message: Json, *, truncated_block: bool = False) -> Iterator[Event]:
    """The events of a message, in the order of the API.

    Args:
        message: A ``Message`` as JSON.
        truncated_block: The last block was cut by ``max_tokens`` in the middle of a tool call, so its
            ``content_block_stop`` is missing and its ``input`` is the partial JSON text.
    """
    yield {"type": "message_start", "message": _opening(message)}, 0.0
    thinking = (message["usage"].get("output_tokens_details") or {}).get("thinking_tokens", 0)
    content = message["content"]
    if not content:
        yield _PING, 0.0
    for index, block in enumerate(content):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}, 0.0
        if index == 0:
            yield _PING, 0.0
        for delta in _deltas(block):
            share = weight(delta, thinking if block.get("thinking") == "" else 0)
            yield {"type": "content_block_delta", "index": index, "delta": delta}, share
        if not (truncated_block and index == len(content) - 1):
            yield {"type": "content_block_stop", "index": index}, 0.0
    usage = {name: value for name, value in message["usage"].items() if name not in _START_ONLY}
    delta = {name: message.get(name) for name in ("stop_reason", "stop_sequence", "stop_details")}
    if message.get("container"):
        delta["container"] = message["container"]
    yield {"type": "message_delta", "delta": delta, "usage": usage}, 0.0
    yield {"type": "message_stop"}, 0.0


def words(text: str) -> Iterator[str]:
    """Text in pieces of a few words; joined, they are the text."""
    pieces = [match.group() for match in _WORD.finditer(text)]
    at, turn = 0, 0
    while at < len(pieces):
        size = _GROUPS[turn % len(_GROUPS)]
        yield "".join(pieces[at : at + size])
        at, turn = at + size, turn + 1


def _opening(message: Json) -> Json:
    usage = {name: value for name, value in message["usage"].items() if name not in _END_ONLY}
    usage["output_tokens"] = min(_MESSAGE_START_TOKENS, usage["output_tokens"])
    nothing: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    return {**message, **nothing, "usage": usage}


def _empty(block: Json) -> Json:
    """A block as ``content_block_start`` shows it: deltas fill it, or it is whole (server tool results)."""
    match block["type"]:
        case "text":
            return {**block, "text": ""} | ({"citations": []} if block.get("citations") else {})
        case "thinking":
            return {**block, "thinking": "", "signature": ""}
        case _ if _streams_input(block):
            return {**block, "input": {}}
        case _:
            return block


def _deltas(block: Json) -> Iterator[Json]:
    match block["type"]:
        case "text":
            for citation in block.get("citations") or ():
                yield {"type": "citations_delta", "citation": citation}
            for piece in words(block["text"]):
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            for piece in words(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": piece}
            if block.get("signature"):
                yield {"type": "signature_delta", "signature": block["signature"]}
        case _ if _streams_input(block):
            value = block["input"]
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield {"type": "input_json_delta", "partial_json": ""}
            for match in _JSON_PIECE.finditer(text):
                yield {"type": "input_json_delta", "partial_json": match.group()}


def _streams_input(block: Json) -> bool:
    """Tool calls stream their input, except those that code execution makes: they arrive whole."""
    match block["type"]:
        case "tool_use" | "mcp_tool_use":
            return True
        case "server_tool_use":
            return bool((block.get("caller") or {}).get("type", "direct") == "direct")
    return False


def weight(delta: Json, hidden: int = 0) -> float:
    """The output tokens a delta stands for, about; ``hidden`` is thinking that is not shown."""
    if delta["type"] == "signature_delta":
        return float(hidden)  # thinking that is not shown is waited for
    text = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
    return len(text) / _CHARACTERS_PER_TOKEN
