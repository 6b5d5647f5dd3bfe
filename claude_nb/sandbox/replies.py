"""From what should be answered to a finished message: ids, signatures, stop sequences, limits, usage."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from claude_nb.errors import SandboxError
from claude_nb.models import Model

from . import ids, prompt, thinking, tokens

Json = dict[str, Any]
Scripted = str | Sequence[Json] | Json
"""A reply given in Python: text, content blocks, or a dict with ``content`` and what else should be set."""
Script = Callable[[Json], Scripted | None]

_SETTABLE = {"content", "stop_reason", "stop_sequence", "stop_details", "usage", "container", "model", "id"}
_GIVEN = {"type", "role", "diagnostics"}  # what a whole message also holds
_MINIMUM_OUTPUT = 1


@dataclass(slots=True)
class Reply:
    """What to answer, before limits apply.

    Attributes:
        content: Content blocks; ids and signatures may be missing.
        stop_reason: Fixed reason; ``None`` lets the content and the limits decide.
        think: Whether to put a thinking block first when the request thinks.
        usage: Fields that replace the computed ones.
        fields: Other fields of the message to set.
    """

    content: list[Json]
    stop_reason: str | None = None
    think: bool = True
    usage: Json = field(default_factory=dict)
    fields: Json = field(default_factory=dict)


@dataclass(slots=True)
class Finished:
    """A message ready to send.

    Attributes:
        message: The ``Message`` as JSON. A tool call cut by ``max_tokens`` has its partial JSON text as ``input``.
        cut_tool: Whether the last block is such a call.
    """

    message: Json
    cut_tool: bool = False

    def whole(self) -> Json:
        """The message for a response that is not streamed."""
        if self.cut_tool:
            self.message["content"][-1]["input"] = {}
        return self.message


def read(given: Scripted) -> Reply:
    """Understand a reply given in Python; SDK messages and blocks count as the JSON they stand for.

    Raises:
        SandboxError: It is neither text, nor blocks, nor a dict with ``content``.
    """
    given = _plain(given)
    if isinstance(given, str):
        return Reply(_blocks(given))
    if isinstance(given, dict):
        settings: Json = given
        if unknown := settings.keys() - _SETTABLE - _GIVEN:
            raise SandboxError(f"A reply cannot set {sorted(unknown)}. It can set {sorted(_SETTABLE)}.")
        content = settings.get("content", [])
        fields = {
            name: settings[name]
            for name in _SETTABLE - {"content", "stop_reason", "usage"}
            if name in settings
        }
        return Reply(
            _blocks(content),
            settings.get("stop_reason"),
            think=isinstance(content, str),
            usage=dict(settings.get("usage") or {}),
            fields=fields,
        )
    return Reply(_blocks(given), think=False)


def _plain(given: Any) -> Any:
    """SDK objects as the JSON they stand for."""
    if isinstance(given, list | tuple):
        return [_plain(member) for member in given]
    return given.to_dict() if hasattr(given, "to_dict") else given


def _blocks(content: Any) -> list[Json]:
    if not isinstance(content, str | list | tuple):
        raise SandboxError(
            f"A reply is {type(content).__name__}. Write a str, a list of blocks, or a dict with content."
        )
    blocks = prompt.blocks(content) if content else []
    for block in blocks:
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise SandboxError(
                f"A reply holds {block!r}, which is no content block. "
                'Write a str, or a list of blocks such as [{"type": "text", "text": "…"}].'
            )
    return blocks


def finish(reply: Reply, body: Json, model: Model, usage: Json, *, seed: str) -> Finished:
    """Apply the request's limits and fill in everything a message has.

    Args:
        reply: What to answer.
        body: The valid request.
        model: The model it names.
        usage: Input side of the usage: tokens read, written and plain.
        seed: What ids are derived from.
    """
    content, spent = _complete(reply, body, model, seed)
    stop_reason, stop_sequence, cut_tool = reply.stop_reason, None, False
    if stop_reason is None:
        content, stop_sequence = _stop(content, body.get("stop_sequences") or ())
        called = any(block["type"] == "tool_use" for block in content)
        stop_reason = "stop_sequence" if stop_sequence else "tool_use" if called else "end_turn"
        allowed, limit = _allowance(body, model, usage)
        content, spent, cut_tool, over = _cut(content, spent, allowed, model)
        if over:
            stop_reason, stop_sequence = limit, None
    thought = sum(
        spent.get(index, 0) for index, block in enumerate(content) if block["type"] in prompt.THINKING
    )
    written = thought + sum(_size(block, model) for block in content if block["type"] not in prompt.THINKING)
    least = _MINIMUM_OUTPUT if body["max_tokens"] else 0
    message = {
        "model": model.id,
        "id": ids.mint("msg", seed),
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "stop_details": None,
        "diagnostics": None,
        "usage": {
            **usage,
            "output_tokens": max(least, written),
            "output_tokens_details": {"thinking_tokens": thought},
            "service_tier": "standard",
            "inference_geo": body.get("inference_geo") or "global",
        }
        | ({"speed": body["speed"]} if body.get("speed") else {})
        | _searches(content)
        | reply.usage,
    } | reply.fields
    return Finished(message, cut_tool)


def _complete(reply: Reply, body: Json, model: Model, seed: str) -> tuple[list[Json], dict[int, int]]:
    """Blocks with ids and signatures, and the thinking tokens of each thinking block by index."""
    spent: dict[int, int] = {}
    content: list[Json] = []
    if reply.think and (found := thinking.block(body, model)):
        thought, spent[0] = found
        content.append(thinking.sign(thought, spent[0], body, model, []))
    for block in reply.content:
        index = len(content)
        match block["type"]:
            case "thinking":
                spent[index] = thinking.tokens_of(block, model)
                done = {"thinking": "", **block}
                if not done.get("signature"):
                    done = thinking.sign(done, spent[index], body, model, content)
            case "tool_use":
                done = {"type": "tool_use", "id": ids.mint("toolu", seed, index), "input": {}, **block}
                done.setdefault("caller", {"type": "direct"})
            case "server_tool_use":
                done = {
                    "type": "server_tool_use",
                    "id": ids.mint("srvtoolu", seed, index),
                    "input": {},
                    **block,
                }
            case _:
                done = dict(block)
        content.append(done)
    return content, spent


def fit(content: list[Json], allowed: int, model: Model) -> list[Json]:
    """The beginning of the content that is at most ``allowed`` tokens long, without a broken tool call."""
    kept, _, cut_tool, _ = _cut(content, {}, allowed, model)
    return kept[:-1] if cut_tool else kept


def _searches(content: list[Json]) -> Json:
    used = [block["name"] for block in content if block["type"] == "server_tool_use"]
    if not used:
        return {}
    counts = {f"{name}_requests": used.count(name) for name in ("web_search", "web_fetch")}
    return {"server_tool_use": counts}


def _stop(content: list[Json], sequences: Sequence[str]) -> tuple[list[Json], str | None]:
    """The content up to the first stop sequence in its text, and which one it was."""
    for index, block in enumerate(content):
        if block["type"] != "text":
            continue
        hits = [
            (block["text"].find(sequence), sequence) for sequence in sequences if sequence in block["text"]
        ]
        if hits:
            at, sequence = min(hits)
            kept = [{**block, "text": block["text"][:at]}] if at else []
            return content[:index] + kept, sequence
    return content, None


def _allowance(body: Json, model: Model, usage: Json) -> tuple[int, str]:
    """Output tokens there is room for, and the stop reason when they run out."""
    window = model.max_input_tokens
    if window is not None:
        taken = sum(
            usage[name] for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        )
        if window - taken < body["max_tokens"]:
            return max(0, window - taken), "model_context_window_exceeded"
    return body["max_tokens"], "max_tokens"


def _cut(
    content: list[Json], spent: dict[int, int], allowed: int, model: Model
) -> tuple[list[Json], dict[int, int], bool, bool]:
    """Content that fits: ``(content, thinking tokens, last tool call cut, anything cut)``."""
    kept: list[Json] = []
    spent = dict(spent)
    for index, block in enumerate(content):
        size = spent[index] if index in spent else _size(block, model)
        if size <= allowed:
            kept.append(block)
            allowed -= size
            continue
        cut_tool = False
        if block["type"] == "text" and (text := tokens.cut_text(block["text"], allowed, model)):
            kept.append({**block, "text": text})
        elif index in spent and allowed:
            spent[index] = allowed
            kept.append(block)
        elif block["type"] == "tool_use" and allowed:
            kept.append({**block, "input": tokens.cut_text(json.dumps(block["input"]), allowed, model)})
            cut_tool = True
        return kept, spent, cut_tool, True
    return kept, spent, False, False


def _size(block: Json, model: Model) -> int:
    if block["type"] == "tool_use" and isinstance(block["input"], str):
        return tokens.count_text(block["input"], model)
    return tokens.count_block(block, model)
