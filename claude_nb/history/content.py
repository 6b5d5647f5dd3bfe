"""What may go into a conversation: prompts, results and tools, checked at the call and copied.

The shape of a block is checked against the parameter types of the installed SDK, by the sandbox's own check, so
that a block which the API would refuse is refused where it is written.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from claude_nb.errors import ClaudeNbError, HistoryError, PromptError

Json = dict[str, Any]
Content = str | Sequence[Mapping[str, Any]]
Role = Literal["user", "assistant", "system"]

_SAID = ("text", "image", "document", "search_result", "container_upload")
_LARGEST_IMAGE = 5 * 1024 * 1024
"""Bytes of an image in base64; the API's limit (build-with-claude/vision, general limits)."""
_MOST_MARKS = 4


def copied(value: Any) -> Any:
    """A copy of stored JSON; strings are shared, so that a copy costs its containers and not its text."""
    if isinstance(value, dict):
        return {name: copied(member) for name, member in value.items()}
    if isinstance(value, list):
        return [copied(member) for member in value]
    return value


def as_json(value: Any, what: str, error: type[ClaudeNbError] = PromptError) -> Any:
    """A copy of ``value`` as plain JSON.

    Raises:
        ClaudeNbError: It holds something that JSON cannot, said with the way out; of the type ``error``.
    """
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise error(
                    f"{what} holds half a character (a lone surrogate), which cannot be sent. "
                    "Clean it with text.encode(errors='replace').decode()."
                ) from None
        return value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise error(f"{what} holds {value}, and JSON has no such number. Write None or text instead.")
    if isinstance(value, Mapping):
        return {str(name): as_json(member, what, error) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(member, what, error) for member in value]
    raise error(f"{what} holds {type(value).__name__}, and a conversation is JSON. {_instead(value)}")


def prompt(content: Any, what: str = "the prompt") -> list[Json]:
    """What a user says as content blocks.

    Raises:
        PromptError: It is empty, of another type, or holds a block that the API would refuse here.
    """
    if isinstance(content, str):
        if not content.strip():
            raise PromptError(f"{what} is empty, and the API refuses empty text. Write something.")
        return [{"type": "text", "text": as_json(content, what)}]
    if not isinstance(content, list | tuple):
        reply = " For a reply of the API use history.reply(message)." if what == "the prompt" else ""
        raise PromptError(
            f"{what} is {type(content).__name__}; it takes text, or a list of content blocks such as "
            f'[{{"type": "text", "text": "…"}}].{reply}'
        )
    if not content:
        raise PromptError(f"{what} has no content blocks, and the API refuses an empty message.")
    return [_said(block, f"block {place} of {what}") for place, block in enumerate(content)]


def instruction(content: Any) -> list[Json]:
    """An instruction to the model as text blocks.

    Raises:
        PromptError: It is empty, or not text.
    """
    blocks = prompt(content, "the instruction")
    if wrong := next((block["type"] for block in blocks if block["type"] != "text"), None):
        raise PromptError(
            f"the instruction holds {wrong}; it takes text only. Show it with history.user([...])."
        )
    return blocks


def _said(block: Any, what: str) -> Json:
    if isinstance(block, str):
        raise PromptError(
            f'{what} is text and no content block. Pass the text alone, or as {{"type": "text", "text": "…"}} in it.'
        )
    if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
        raise PromptError(f'{what} is no content block; it takes a dict with a "type". {_instead(block)}')
    kind = block["type"]
    if kind == "tool_result":
        raise PromptError(f"{what} is a tool result. Add it with history.results(...).")
    if kind == "text" and not str(block.get("text") or "").strip():
        raise PromptError(f"{what} is empty text, and the API refuses that. Leave it out.")
    data: Json = as_json(block, what)
    check_shape(data, what, PromptError)
    if kind not in _SAID:
        raise PromptError(f"{what} is {kind}, which only a reply may hold. Users send {', '.join(_SAID)}.")
    _check_image(data, what, PromptError)
    return data


def results(given: Any) -> list[Json]:
    """Tool results as ``tool_result`` blocks.

    Raises:
        HistoryError: They are no results, or hold something that the API would refuse.
    """
    if isinstance(given, Mapping):
        given = [
            {"type": "tool_result", "tool_use_id": key, "content": value} for key, value in given.items()
        ]
    if not isinstance(given, list | tuple) or not all(isinstance(one, Mapping) for one in given):
        raise HistoryError(
            f"results() takes {{tool_use_id: result}} or a list of tool_result blocks, not {type(given).__name__}."
        )
    if not given:
        raise HistoryError("results() got nothing to add. Pass {tool_use_id: result}.")
    return [_result(one) for one in given]


def _result(block: Mapping[str, Any]) -> Json:
    what = f"the result for {block.get('tool_use_id')!r}"
    content = block.get("content")
    if not isinstance(content, str | list | tuple | None):
        raise HistoryError(
            f"{what} is {type(content).__name__}; a result is text or content blocks. "
            "Pass str(value) or json.dumps(value)."
        )
    data: Json = as_json(block, what, HistoryError)
    if data.get("type") == "tool_result" and "tool_use_id" in data:
        check_shape(data, what, HistoryError)
    for inner in data.get("content") or ():
        if isinstance(inner, dict):
            if inner.get("type") == "text" and not inner.get("text", "").strip():
                raise HistoryError(
                    f'{what} holds empty text, and the API refuses that. Pass "" as the whole result.'
                )
            _check_image(inner, what, HistoryError)
    return data


def tools(given: Any) -> list[Json]:
    """Tool definitions as JSON.

    Raises:
        HistoryError: They are no list of definitions.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable | None):
        raise HistoryError(f"tools= takes a list of tools, not {type(given).__name__}: [{{...}}].")
    return [tool(one) for one in given or ()]


def tool(given: Any) -> Json:
    """A tool definition as JSON.

    Raises:
        HistoryError: It is none.
    """
    data = given if isinstance(given, Mapping) else given.to_dict() if hasattr(given, "to_dict") else None
    if data is None:
        raise HistoryError(
            f"a tool is a dict with name and input_schema, or a tool of the SDK, not {type(given).__name__}."
        )
    checked: Json = as_json(data, f"the tool {data.get('name')!r}", HistoryError)
    return checked


def marks(blocks: Any) -> int:
    """How many cache breakpoints the blocks carry, also inside tool results."""
    return sum(len(list(marked(block))) for block in blocks if isinstance(block, dict))


def marked(block: Json) -> list[Json]:
    """The block, and those inside it, that carry a cache breakpoint, in order."""
    content = block.get("content")
    inner = content if isinstance(content, list) else []
    return [one for one in (*inner, block) if isinstance(one, dict) and one.get("cache_control")]


def check_marks(system: Any, tools: list[Json]) -> None:
    """Refuse more cache breakpoints in system and tools than a request may have.

    Raises:
        PromptError: There are more than four.
    """
    found = marks(system if isinstance(system, list) else []) + marks(tools)
    if found > _MOST_MARKS:
        raise PromptError(
            f"system and tools carry {found} cache_control breakpoints, and a request may have {_MOST_MARKS}. "
            "Keep the one on the last block: it covers those before it."
        )


def check_shape(block: Json, what: str, error: type[ClaudeNbError]) -> None:
    """Refuse a block whose fields are not those of the API.

    Raises:
        ClaudeNbError: What is wrong, of the type ``error``.
    """
    from anthropic.types.beta import BetaContentBlockParam

    from claude_nb.sandbox import schema
    from claude_nb.sandbox.apierror import ApiError

    try:
        schema.check(block, BetaContentBlockParam)
    except ApiError as refused:
        raise error(f"{what} is not as the API takes it: {refused.message}.") from None


def _check_image(block: Json, what: str, error: type[ClaudeNbError]) -> None:
    source = block.get("source")
    if block.get("type") != "image" or not isinstance(source, dict) or source.get("type") != "base64":
        return
    size = len(source["data"]) * 3 // 4
    if size > _LARGEST_IMAGE:
        raise error(
            f"{what} is an image of {size / 1024 / 1024:.1f} MB, and the API takes {_LARGEST_IMAGE // 1024**2} MB at "
            "most. Make it smaller (1,568 pixels on the long side is enough), or upload it with the Files API."
        )


def _instead(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return "Pass base64.b64encode(data).decode()."
    if hasattr(value, "to_dict"):
        return "Pass its .to_dict()."
    return "Pass text, numbers, lists and dicts."
