"""What the API refuses in ``messages``: roles, empty blocks, tool pairs. Thinking is in ``preserved``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from claude_nb.models import Model

from . import preserved, prompt, thinking
from .apierror import ApiError, invalid
from .preserved import Place, Turn
from .prompt import Placed

Json = dict[str, Any]

_MOST_MESSAGES = 100_000
_MOST_IMAGES, _MOST_IMAGES_SMALL, _SMALL_WINDOW = 600, 100, 200_000
_STRICT_VERSION = "2026-10-21"


def check(
    body: Json,
    model: Model,
    *,
    version: str,
    thoughts: Mapping[str, str] = MappingProxyType({}),
    lenient: bool = False,
) -> dict[Place, str]:
    """Raise a 400 for messages the API would refuse.

    Args:
        body: A request of the right shape.
        model: The model it names.
        version: The ``anthropic-version`` header.
        thoughts: For known tool calls of this model, by id, the digest of the thinking block before them.
        lenient: Drop thinking blocks of another conversation instead of refusing them, as batches do.

    Returns:
        The thinking blocks that the model cannot read, with the reason; the rest of the API goes on without them.
    """
    messages = body["messages"]
    if not messages:
        raise invalid("messages: at least one message is required")
    if len(messages) > _MOST_MESSAGES:
        raise invalid(f"messages: at most {_MOST_MESSAGES:,} messages are allowed")
    merged = list(prompt.turns(messages))
    _images(merged, model)
    _content(messages, version)
    _system_roles(messages, model)
    _tool_pairs(merged)
    _last(messages, body, model)
    dropped = preserved.check(body, merged, model, lenient=lenient)
    preserved.check_open_loop(merged, thoughts)
    return dropped


def _content(messages: list[Json], version: str) -> None:
    for index, message in enumerate(messages):
        content = prompt.blocks(message["content"])
        last = index == len(messages) - 1
        if (not content or message["content"] == "") and not (last and message["role"] == "assistant"):
            raise invalid(
                f"messages.{index}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )
        for at, block in enumerate(content):
            if message["content"] == "":
                continue
            where = f"messages.{index}.content.{at}"
            _block(block, where, message["role"], version)


def _images(merged: list[Turn], model: Model) -> None:
    small = model.max_input_tokens is not None and model.max_input_tokens <= _SMALL_WINDOW
    most = _MOST_IMAGES_SMALL if small else _MOST_IMAGES
    found = sum(one["type"] == "image" for _, content in merged for _, _, one in content)
    if found > most:
        raise invalid(f"messages: too many images: {found} > {most}")


def _block(block: Json, where: str, role: str, version: str) -> None:
    kind = block["type"]
    # A recorded request with " " from the assistant was accepted; from the user, blank text is refused.
    if kind == "text" and not (block["text"].strip() or (role == "assistant" and block["text"])):
        raise invalid("messages: text content blocks must be non-empty")
    if version == _STRICT_VERSION:
        if kind == "document" and role == "assistant":
            raise invalid(f"{where}: `document` blocks are not permitted in assistant messages")
        nested = [block, *(block["content"] if kind == "search_result" else ())]
        if role == "user" and any(one.get("type") == "text" and one.get("citations") for one in nested):
            raise invalid(f"{where}: `citations` are not permitted in user messages")
    if role == "user" and kind in ("tool_use", "server_tool_use", *prompt.THINKING):
        raise invalid(f"{where}: `{kind}` blocks can only be in `assistant` messages")
    if role == "assistant" and kind in ("tool_result", "image"):
        raise invalid(f"{where}: `{kind}` blocks can only be in `user` messages")
    if kind in prompt.THINKING and block.get("cache_control"):
        raise invalid(f"{where}.cache_control: Extra inputs are not permitted")


def _system_roles(messages: list[Json], model: Model) -> None:
    for index, message in enumerate(messages):
        if message["role"] != "system":
            continue
        if not model.system_messages:
            raise invalid("role 'system' is not supported on this model")
        if index == 0:
            raise invalid('messages.0: the first message must not use the "system" role')
        before = messages[index - 1]
        after = messages[index + 1] if index + 1 < len(messages) else None
        follows = before["role"] in ("user", "system") or _ends_in_server_result(before)
        precedes = after is None or after["role"] in ("assistant", "system")
        if not (follows and precedes):
            raise invalid(
                f"messages.{index}: a system message must follow a user turn and be last or be followed by an "
                "assistant turn"
            )


def _ends_in_server_result(message: Json) -> bool:
    content = prompt.blocks(message["content"])
    return bool(content) and content[-1]["type"].endswith("_tool_result")


def _tool_pairs(merged: list[Turn]) -> None:
    for position, (role, content) in enumerate(merged):
        if role == "assistant":
            _answered(content, merged[position + 1 :])
            _server_tools(content, merged[position + 1 :])
        elif role == "user":
            calls = merged[position - 1][1] if position else []
            _asked(content, {one["id"] for _, _, one in calls if one["type"] == "tool_use"})


def _answered(content: list[Placed], rest: list[Turn]) -> None:
    """Every call has its result at the start of the next turn, except in a turn that is not yet answered."""
    calls = [one["id"] for _, _, one in content if one["type"] == "tool_use"]
    if not calls or not rest:
        if calls:
            raise _unanswered(content[0][0], calls)
        return
    results = set()
    if rest[0][0] == "user":
        for _, _, one in rest[0][1]:
            if one["type"] != "tool_result":
                break
            results.add(one["tool_use_id"])
    if missing := [call for call in calls if call not in results]:
        raise _unanswered(content[0][0], missing)


def _server_tools(content: list[Placed], rest: list[Turn]) -> None:
    """A server tool that is still running may only be followed by the results of client tools."""
    done = {one.get("tool_use_id") for _, _, one in content}
    running = [one for _, _, one in content if one["type"] == "server_tool_use" and one["id"] not in done]
    if running and rest and any(one["type"] != "tool_result" for _, _, one in rest[0][1]):
        name, tool_id = running[0]["name"], running[0]["id"]
        raise invalid(
            f"messages.{content[0][0]}: `{name}` tool use with id `{tool_id}` was found without a corresponding "
            f"`{name}_tool_result` block"
        )


def _unanswered(index: int, calls: list[str]) -> ApiError:
    return invalid(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
        "message."
    )


def _asked(content: list[Placed], calls: set[str]) -> None:
    seen = set()
    for index, at, one in content:
        if one["type"] != "tool_result":
            continue
        name = one["tool_use_id"]
        if name not in calls:
            raise invalid(
                f"messages.{index}.content.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {name}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if name in seen:
            raise invalid(
                f"messages.{index}.content.{at}: each tool_use must have a single result. "
                f"Found multiple `tool_result` blocks with id: {name}"
            )
        seen.add(name)


def _last(messages: list[Json], body: Json, model: Model) -> None:
    """Rules about a conversation that ends with the assistant: prefill, a paused turn, or open server tools."""
    last = messages[-1]
    if last["role"] != "assistant" or body.get("compaction"):
        return
    content = prompt.blocks(last["content"])
    open_tools = {one["id"] for one in content if one["type"] == "server_tool_use"}
    open_tools -= {one.get("tool_use_id") for one in content}
    if open_tools or _ends_in_server_result(last):
        return  # a paused turn, sent back to be continued
    if not model.prefill:
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    if thinking.is_on(body, model):
        raise invalid("messages: prefill is not supported when thinking is enabled")
    if content and content[-1].get("text", "").endswith((" ", "\n", "\t")):
        raise invalid("messages: final assistant content cannot end with trailing whitespace")
