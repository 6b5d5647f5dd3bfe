"""Which models exist, what each allows, and which one this package uses by default.

Everything is read from ``models.json``, one data file with a date and a source, so that a release or a
retirement is one edit. Prices are not here: they change on their own dates and belong to the ledger.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from .errors import ModelError

Lifecycle = Literal["active", "deprecated", "retired"]

SANDBOX_HEADER: Final = "x-claude-nb-sandbox"
"""The header that marks every response of the offline sandbox; no live server sends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is known about one model. ``None`` means unknown; a retired model keeps only its names and dates.

    Attributes:
        id: The id to send, such as ``"claude-haiku-5-5"``.
        display_name: The name people use.
        lifecycle: ``"active"``, ``"deprecated"`` (still callable) or ``"retired"`` (requests fail with 404).
        line: The family: ``"haiku"``, ``"sonnet"``, ``"opus"``, ``"fable"``, ``"mythos"``.
        released: ISO date, or ``"YYYY-MM"`` when only the month is published.
        deprecated_at: ISO date of the deprecation.
        retires_at: ISO date of the scheduled (or past) retirement.
        aliases: Other ids that name the same model.
        max_input_tokens: Context window in tokens.
        max_tokens: Largest accepted ``max_tokens``.
        min_cacheable_tokens: Shortest prompt, in tokens, that the prompt cache stores.
        thinking_modes: Accepted values of ``thinking.type``.
        thinks_by_default: Whether a request without ``thinking`` thinks.
        thinking_display: What ``thinking.display`` is when it is not sent.
        efforts: Accepted values of ``output_config.effort``; empty when effort is refused.
        default_effort: What ``output_config.effort`` is when it is not sent.
        effort_cap_without_thinking: Highest effort accepted with thinking off, where there is a limit.
        forced_tools: Whether ``tool_choice`` may be ``any`` or ``tool``.
        checks_thinking_prefix: Whether a replayed thinking block is refused after an earlier turn was edited.
        keeps_thinking: Whether thinking of earlier turns stays in the context (and is billed as input).
        system_messages: Whether ``{"role": "system"}`` is accepted inside ``messages``.
        prefill: Whether the conversation may end with an assistant message.
        structured_outputs: Whether ``output_config.format`` is accepted.
        tokenizer: 1 up to Claude 4.6; 2 from Claude 4.7 on, about 30 % more tokens for the same text.
        limited_access: Whether the model is open to selected accounts only.
        inferred: Names of fields that no document states yet; they follow the model's predecessor.
    """

    id: str
    display_name: str
    lifecycle: Lifecycle
    line: str | None = None
    released: str | None = None
    deprecated_at: str | None = None
    retires_at: str | None = None
    aliases: tuple[str, ...] = ()
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    min_cacheable_tokens: int | None = None
    thinking_modes: tuple[str, ...] = ()
    thinks_by_default: bool = False
    thinking_display: Literal["omitted", "summarized"] = "summarized"
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    effort_cap_without_thinking: str | None = None
    forced_tools: Literal["always", "without_thinking", "never"] = "always"
    checks_thinking_prefix: bool = False
    keeps_thinking: bool = False
    system_messages: bool = False
    prefill: bool = False
    structured_outputs: bool = False
    tokenizer: Literal[1, 2] = 1
    limited_access: bool = False
    inferred: tuple[str, ...] = ()


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(__file__).with_name("models.json").read_bytes())
    return data


@cache
def _models() -> tuple[Model, ...]:
    return tuple(_model(row) for row in _data()["models"])


def _model(row: dict[str, Any]) -> Model:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
    }
    return Model(**fields)


@cache
def _by_id() -> dict[str, Model]:
    return {name: model for model in _models() for name in (model.id, *model.aliases)}


def find(model_id: str) -> Model | None:
    """The model with this id or alias, or ``None`` when the data file does not know it.

    An unknown id is no proof that the model does not exist: it may be newer than :func:`as_of`.

    Args:
        model_id: An id such as ``"claude-haiku-5-5"`` or an alias such as ``"claude-haiku-4-5"``.
    """
    return _by_id().get(model_id)


def usable(model: object) -> str:
    """Give the id of a model that may be asked; one that this version does not know may be newer than its data.

    Raises:
        ModelError: It is no text, or is known to be retired.
    """
    if not isinstance(model, str) or not model.strip():
        raise ModelError(f"model is {model!r}; it takes the id of a model, such as {MODEL!r}.")
    found = find(model)
    if found and found.lifecycle == "retired":
        when = f" on {found.retires_at}" if found.retires_at else ""
        raise ModelError(
            f"{model} was retired{when} and is no longer answered. Use a current model, such as {MODEL!r}."
        )
    return model


def known(*lifecycle: Lifecycle) -> tuple[Model, ...]:
    """The known models, newest first.

    Args:
        *lifecycle: Which stages to list. None given: ``"active"`` and ``"deprecated"``, those that still
            answer, as ``GET /v1/models`` does.
    """
    wanted = lifecycle or ("active", "deprecated")
    return tuple(model for model in _models() if model.lifecycle in wanted)


def as_of() -> str:
    """The ISO date on which the data about models was checked."""
    return str(_data()["as_of"])


MODEL: Final[str] = _data()["default"]
"""The default model. Notebooks and examples name this, so that a retirement is one line."""
