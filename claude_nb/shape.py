"""Python types as structured output: the schema the API is given, and the reply turned back into a value.

Pydantic models, dataclasses, TypedDicts, enums, ``list[…]``, ``Literal[…]`` and plain types. The API wants an object
at the top, so anything else travels as ``{"value": …}``. Rules: the API's page on structured outputs.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from .errors import ClaudeNbError, PromptError
from .join import words
from .outcome import outcome_of
from .steps import IncompleteReply

_FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)
_MOST_ERRORS = 3
# Other servers have stop reasons of their own; there the value itself shows whether it is whole.
_CUT = (None, "max_tokens", "model_context_window_exceeded", "pause_turn")


class ExtractionError(ClaudeNbError, ValueError):
    """A complete reply that does not fit the type it was asked for.

    Attributes:
        message: The SDK's ``Message``.
    """

    def __init__(self, text: str, message: Any) -> None:
        super().__init__(text)
        self.message = message


class RefusedReply(IncompleteReply):
    """The model refused; there is nothing to extract."""


class Shape:
    """A type that a reply has to fit.

    Args:
        kind: The type.

    Attributes:
        output_config: What to send as ``output_config``.

    Raises:
        PromptError: The type cannot be described to the API.
    """

    def __init__(self, kind: Any) -> None:
        import anthropic
        import pydantic

        if not _is_type(kind):
            raise PromptError(
                f"shape is {type(kind).__name__}, not a type. What to read comes first, then the type: "
                "chat.extract(text, Person), extract_many(data, Person)."
            )
        self.name = getattr(kind, "__name__", None) or str(kind)
        try:
            self._adapter: Any = pydantic.TypeAdapter(kind)
            schema = self._adapter.json_schema()
            self._wrapped = _top(schema).get("type") != "object"
            schema = _wrapped(schema) if self._wrapped else schema
            _check(schema, self.name)
            schema = anthropic.transform_schema(schema)
        except (pydantic.PydanticUserError, ValueError, TypeError, NameError) as error:
            if isinstance(error, PromptError):
                raise
            raise PromptError(
                f"{kind!r} cannot be described to the API: {str(error).splitlines()[0]} Use a pydantic model, a "
                "dataclass, a TypedDict, an enum, or a list of these."
            ) from error
        self.output_config = {"format": {"type": "json_schema", "schema": schema}}

    def read(self, message: Any) -> Any:
        """Give the value in a reply.

        Raises:
            RefusedReply: The model refused.
            IncompleteReply: The reply was cut or is not an answer yet.
            ExtractionError: The reply is complete and does not fit.
        """
        import pydantic

        text = _answer(message)
        fenced = _FENCE.fullmatch(text)
        try:
            return self._value(fenced.group(1) if fenced else text)
        except pydantic.ValidationError as error:
            raise ExtractionError(self._misfit(error, message), message) from error

    def fields(self, value: Any) -> dict[str, Any]:
        """Give a value as columns of a table: its fields, or one column ``value``."""
        plain = self._adapter.dump_python(value)
        found = plain if isinstance(plain, dict) and not self._wrapped else {"value": plain}
        return {name: getattr(field, "value", field) for name, field in found.items()}

    def _value(self, text: str) -> Any:
        import pydantic_core

        if not self._wrapped:
            return self._adapter.validate_json(text)
        data = pydantic_core.from_json(text) if text.startswith("{") else None
        if isinstance(data, dict) and set(data) == {"value"}:
            return self._adapter.validate_json(pydantic_core.to_json(data["value"]))
        return self._adapter.validate_json(text)

    def _misfit(self, error: Any, message: Any) -> str:
        found = error.errors(include_url=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            return (
                f"the reply is no valid JSON ({found[0]['msg']}). {message.model} or its server may not support "
                "structured outputs, or have cut the reply without saying so. It is in error.message."
            )
        wrong = [f"{'.'.join(map(str, one['loc'])) or 'value'}: {one['msg']}" for one in found[:_MOST_ERRORS]]
        more = f" and {len(found) - _MOST_ERRORS} more" if len(found) > _MOST_ERRORS else ""
        return f"the reply does not fit {self.name}: {'; '.join(wrong)}{more}. It is in error.message."


def _is_type(thing: object) -> bool:
    """Whether it is a class, or a form of typing such as ``list[int]``, ``int | str`` or ``Literal["a"]``."""
    return isinstance(thing, type) or type(thing).__module__ in ("types", "typing", "typing_extensions")


def wanted_of(shape: Any, on_truncation: str, options: dict[str, Any]) -> Shape:
    """Give the type to extract, and put what it takes into the options of ``Chat.send``."""
    if on_truncation not in ("raise", "retry"):
        raise PromptError(
            f"on_truncation is {on_truncation!r}; half an object is none, so use 'raise' or 'retry'."
        )
    wanted = Shape(shape)
    options["output_config"] = {**(options.get("output_config") or {}), **wanted.output_config}
    options["on_truncation"] = (
        "retry" if on_truncation == "retry" else "warn"
    )  # read() says what is incomplete
    return wanted


def _answer(message: Any) -> str:
    """The text of a complete answer."""
    outcome = outcome_of(message)
    said = " ".join(filter(None, (f"nothing was extracted: {outcome.label}.", _remedy(message))))
    if message.stop_reason == "refusal":
        raise RefusedReply(said, message)
    if message.stop_reason in _CUT:
        raise IncompleteReply(said, message)
    text = words(message).strip()
    if not text:
        raise IncompleteReply(f"nothing was extracted: {outcome.label}, and there is no text.", message)
    return text


def _remedy(message: Any) -> str:
    """What to do where there is no complete answer; other than in a conversation, nothing is to be continued."""
    reason = message.stop_reason
    if reason == "refusal":
        explanation = getattr(message.stop_details, "explanation", None)
        return " ".join(filter(None, (explanation, "Rephrase the prompt, or ask another model.")))
    return {
        "max_tokens": "Raise max_tokens: half an object is none.",
        "model_context_window_exceeded": "Send less: a shorter text, or fewer of them.",
        "pause_turn": "Send the request again, without server tools.",
    }.get(reason, "Send it again.")


def _check(schema: Any, name: str) -> None:
    """Refuse what the API's schemas cannot say (its page on structured outputs), before anything is sent."""
    if any(part.get("additionalProperties") for part in _parts(schema, "object")):
        raise PromptError(
            f"{name} holds a dict with free keys, and the API fills only fields that it knows. Use a list "
            "of objects with a key and a value field."
        )
    if any("prefixItems" in part for part in _parts(schema, "array")):
        raise PromptError(
            f"{name} holds a tuple, and the API knows lists of one kind of thing only. Use a dataclass with a field "
            "for each place."
        )
    if circle := _circle(schema):
        raise PromptError(
            f"{circle} holds itself, and the API takes no recursive types. Use a flat list, each with the place of "
            "its parent, or name the levels by types of their own."
        )


def _circle(schema: Any) -> str | None:
    """A type that holds itself, directly or through others."""
    uses: dict[str, set[str]] = {
        name: set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', json.dumps(part)))
        for name, part in schema.get("$defs", {}).items()
    }
    for name, used in uses.items():
        seen: set[str] = set()
        todo = set(used)
        while todo:
            seen |= todo
            todo = {deeper for one in todo for deeper in uses.get(one, ())} - seen
        if name in seen:
            return name
    return None


def _top(schema: dict[str, Any]) -> dict[str, Any]:
    while ref := schema.get("$ref"):
        schema = {**schema["$defs"][ref.rsplit("/", 1)[-1]], "$defs": schema["$defs"]}
    return schema


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    inner = {name: part for name, part in schema.items() if name != "$defs"}
    outer = {"type": "object", "properties": {"value": inner}, "required": ["value"]}
    return {**outer, "$defs": schema["$defs"]} if "$defs" in schema else outer


def _parts(schema: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Every schema of a kind in a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == kind:
            yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _parts(part, kind)
