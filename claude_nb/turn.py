"""Folds the events of one reply into what has been seen of it so far. Pure: no widget, no network, no clock.

Each event gives display operations (``Op``), the small steps a view needs to follow along:

    ["open", index, type, info]   a block begins; info holds what is known of it (name, id, result, …)
    ["add", index, text]          text, thinking or tool input (JSON) grows
    ["cite", index, source]       a citation of a text block: {"title", "url"}
    ["close", index]              the block is complete
    ["state", {"phase", "text"}]  what the reply is doing now

Blocks are addressed as the SDK addresses them: a new block goes to the end, a delta to the block at its index.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

Op = list[Any]
Phase = Literal[
    "connecting", "waiting", "thinking", "writing", "calling", "retrying", "done", "interrupted", "failed"
]


class State(TypedDict):
    """What a reply is doing: one word for the page, one line for the reader; ``seconds`` to the next try if known."""

    phase: Phase
    text: str
    seconds: NotRequired[float]


class Chip(TypedDict):
    """One fact of a footer; ``title`` is its tooltip and may be empty."""

    kind: Literal["badge", "stop", "tokens", "price", "time", "note", "error"]
    text: str
    title: str
    tone: Literal["ok", "muted", "warn", "bad"]


_DELTAS = {  # the delta's text field, and the end of the block types it belongs to
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "tool_use"),
}
_PHASES = {
    "text": ("writing", "Writing"),
    "thinking": ("thinking", "Thinking"),
    "redacted_thinking": ("thinking", "Thinking"),
    "tool_use": ("calling", "Calling a tool"),
    "server_tool_use": ("calling", "Using a server tool"),
}


@dataclass
class Block:
    """One content block as far as it has arrived.

    Attributes:
        type: The API's block type; unknown ones are kept as they are.
        start: The block as ``content_block_start`` sent it.
        pieces: Its text, thinking or tool input (JSON) in the order it came.
        citations: Sources of a text block, each ``{"title", "url"}``.
        done: Whether ``content_block_stop`` has come.
    """

    type: str
    start: dict[str, Any]
    pieces: list[str] = field(default_factory=list)
    citations: list[dict[str, str]] = field(default_factory=list)
    done: bool = False

    @property
    def text(self) -> str:
        """What has arrived of the block's text, thinking or tool input."""
        return "".join(self.pieces)


class Turn:
    """One reply while it arrives.

    Attributes:
        blocks: The content blocks so far.
        model: The model that answers, as the server names it; None before ``message_start``.
        stop_reason: None until the reply has ended; it stays None when the stream was cut.
        finished: Whether ``message_stop`` has come.
        answers: How many replies have begun; a stream should hold one.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.finished = False
        self.answers = 0

    def fold(self, event: Any) -> list[Op]:
        """Take one SDK stream event and give the display operations it causes.

        The helper stream's derived events (``text``, ``thinking``, ``input_json``, …) repeat what their
        ``content_block_delta`` said and give nothing, as does every event type this version does not know.
        """
        kind = event.type
        if kind == "content_block_delta":
            return self._grow(event.index, event.delta)
        if kind == "content_block_start":
            return self._open(event.content_block)
        if kind == "content_block_stop":
            return self._close(event.index)
        if kind == "message_start":
            self.model = event.message.model
            self.answers += 1
        elif kind == "message_delta":
            self.stop_reason = event.delta.stop_reason
        elif kind == "message_stop":
            self.finished = True
        return []

    def seed(self, message: Any) -> list[Op]:
        """Take over a message that was read in part before, so that the rest continues it."""
        self.model, self.stop_reason = message.model, message.stop_reason
        return [op for block in message.content for op in self._open(block)]

    def _open(self, content_block: Any) -> list[Op]:
        start = content_block.to_dict()
        index, kind = len(self.blocks), start.get("type") or "unknown"
        block = Block(kind, start)
        self.blocks.append(block)
        phase, text = _PHASES.get(kind, ("writing", kind.replace("_", " ").capitalize()))
        ops: list[Op] = [["state", {"phase": phase, "text": text}], ["open", index, kind, block_info(start)]]
        first = start.get("text") or start.get("thinking") or ""
        if first:
            block.pieces.append(first)
            ops.append(["add", index, first])
        return ops

    def _grow(self, index: int, delta: Any) -> list[Op]:
        if index >= len(self.blocks):
            return []
        block = self.blocks[index]
        if delta.type in _DELTAS:
            name, kind = _DELTAS[delta.type]
            text = getattr(delta, name)
            if not text or not block.type.endswith(kind):
                return []
            block.pieces.append(text)
            return [["add", index, text]]
        if delta.type == "citations_delta":
            source = citation_source(delta.citation.to_dict())
            block.citations.append(source)
            return [["cite", index, source]]
        return []

    def _close(self, index: int) -> list[Op]:
        if index >= len(self.blocks):
            return []
        block = self.blocks[index]
        block.done = True
        given = block.start.get("input")
        if given and not block.pieces:  # a call made by code comes whole, without deltas
            block.pieces.append(json.dumps(given, ensure_ascii=False))
            return [["add", index, block.text], ["close", index]]
        return [["close", index]]


def block_info(block: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a view shows of a block beside its text: name, id, and a short form of a result."""
    info = {key: block[key] for key in ("name", "id", "tool_use_id") if isinstance(block.get(key), str)}
    if str(block.get("type", "")).endswith("_result"):
        info["result"] = result_text(block.get("content"))
    return info


def result_text(content: Any) -> str:
    """Give a result block's content as readable text: titles and addresses of sources, text, or the error."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    lines = []
    for item in content or []:
        if not isinstance(item, Mapping):
            lines.append(str(item))
        elif item.get("error_code"):
            lines.append(f"error: {item['error_code']}")
        elif item.get("url"):
            lines.append(f"{item.get('title') or 'source'}: {item['url']}")
        elif isinstance(item.get("text"), str):
            lines.append(item["text"])
        else:
            lines.append(f"[{item.get('type', 'data')}]")
    return "\n".join(lines)


def citation_source(citation: Mapping[str, Any]) -> dict[str, str]:
    """Give title and address of a citation, whatever kind it is."""
    title = citation.get("title") or citation.get("document_title") or citation.get("source") or "source"
    return {"title": str(title), "url": str(citation.get("url") or "")}
