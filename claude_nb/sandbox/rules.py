"""What the API refuses: the rules about a request as a whole. Those about its messages are in ``turns``."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from claude_nb.models import Model

from . import prompt, schema, schemas, thinking, turns
from .apierror import invalid
from .preserved import Place

Json = dict[str, Any]

VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_BREAKPOINTS, _MOST_STRICT_TOOLS, _LEAST_BUDGET = 4, 20, 1024


def check_shape(body: Any, *, version: str, betas: frozenset[str], counting: bool = False) -> None:
    """Raise a 400 for a missing, unknown or ill-typed field.

    Args:
        body: Parsed JSON.
        version: The ``anthropic-version`` header.
        betas: Names in ``anthropic-beta``; any of them admits the fields of the beta API.
        counting: The request goes to ``count_tokens``.
    """
    if not isinstance(body, dict):
        raise invalid("Input should be an object")
    for name in ("model", "max_tokens", "messages"):
        if name not in body and not (counting and name == "max_tokens"):
            raise invalid(f"{name}: Field required")
    extra = {"stream"} if not counting else set[str]()
    if version != VERSIONS[-1]:
        extra |= _SAMPLING
    schema.check(body, _kind(beta=bool(betas), counting=counting), extra=frozenset(extra))
    for index, message in enumerate(body["messages"]):
        if (
            "content" not in message
        ):  # only settings of the beta API may stand alone, and those are not imitated
            raise invalid(f"messages.{index}.content: Field required")


@cache
def _kind(*, beta: bool, counting: bool) -> Any:
    from anthropic.types import beta as beta_types
    from anthropic.types import message_count_tokens_params, message_create_params

    if counting:
        source = beta_types.message_count_tokens_params if beta else message_count_tokens_params
        return source.MessageCountTokensParams
    return (beta_types.message_create_params if beta else message_create_params).MessageCreateParamsBase


def check(
    body: Json,
    model: Model,
    *,
    version: str,
    thoughts: Mapping[str, str] = MappingProxyType({}),
    batch: bool = False,
) -> tuple[Json, list[Json]]:
    """Raise a 400 for a request of the right shape that breaks a rule.

    Args:
        body: A request that passed :func:`check_shape`. ``max_tokens`` is absent when tokens are counted.
        model: The model it names.
        version: The ``anthropic-version`` header.
        thoughts: See :func:`turns.check`.
        batch: The request is an item of a batch.

    Returns:
        The request as the model reads it, and what was left out, as ``input_transformations`` lists it.
    """
    _thread(body)
    if batch:
        _batch(body)
    _max_tokens(body, model, batch=batch)
    _sampling(body, model)
    _thinking(body, model)
    _effort(body, model)
    _tools(body, model)
    _format(body, model)
    schemas.check(body)
    _breakpoints(body)
    dropped = turns.check(body, model, version=version, thoughts=thoughts, lenient=batch)
    body = _without(body, dropped)
    size = prompt.count(body, model)
    if model.max_input_tokens is not None and size > model.max_input_tokens:
        raise invalid(f"prompt is too long: {size} tokens > {model.max_input_tokens} maximum")
    left_out = [
        {"type": "thinking_dropped", "path": f"messages.{index}.content.{at}", "reason": reason}
        for (index, at), reason in dropped.items()
    ]
    return body, left_out


def _without(body: Json, dropped: Mapping[Place, str]) -> Json:
    if not dropped:
        return body
    messages = [
        message
        | {
            "content": [
                block
                for at, block in enumerate(prompt.blocks(message["content"]))
                if (index, at) not in dropped
            ]
        }
        for index, message in enumerate(body["messages"])
    ]
    return {**body, "messages": messages}


def _thread(body: Json) -> None:
    if body.get("thread"):
        raise invalid("The sandbox keeps no message threads.", "thread_unsupported_request")


def _batch(body: Json) -> None:
    for name in ("stream", "speed"):
        if body.get(name):
            raise invalid(f"{name}: is not supported in batches")


def _max_tokens(body: Json, model: Model, *, batch: bool) -> None:
    if "max_tokens" not in body:
        return
    wanted = body["max_tokens"]
    if wanted < 0:
        raise invalid("max_tokens: Input should be greater than or equal to 0")
    if model.max_tokens is not None and wanted > model.max_tokens:
        raise invalid(
            f"max_tokens: {wanted} > {model.max_tokens}, which is the maximum allowed number of output tokens "
            f"for {model.id}"
        )
    if wanted == 0:
        reasons = {
            "stream": body.get("stream"),
            "thinking.enabled": thinking.mode(body, model) == "enabled",
            "output_config.format": (body.get("output_config") or {}).get("format"),
            "tool_choice": (body.get("tool_choice") or {}).get("type") in ("any", "tool"),
            "a batch": batch,
        }
        for name, used in reasons.items():
            if used:
                raise invalid(f"max_tokens: 0 cannot be combined with {name}")


def _sampling(body: Json, model: Model) -> None:
    for name in sorted(_SAMPLING & body.keys()):
        if model.tokenizer > 1 and body[name] not in (1, None):
            raise invalid(f"{name}: is not supported on this model")


def _thinking(body: Json, model: Model) -> None:
    config = body.get("thinking") or {}
    kind = config.get("type")
    if kind is None:
        return
    if kind not in model.thinking_modes:
        raise invalid(_no_such_thinking(kind, model))
    if kind == "enabled":
        budget = config["budget_tokens"]
        if budget < _LEAST_BUDGET:
            raise invalid(
                f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_LEAST_BUDGET}"
            )
        if budget >= body.get("max_tokens", budget + 1):
            raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`")


def _no_such_thinking(kind: str, model: Model) -> str:
    if kind == "adaptive":
        return "adaptive thinking is not supported on this model"
    if kind == "disabled" and "between_tools" in model.thinking_modes:
        return (
            'To turn thinking off on this model, send "thinking": {"type": "between_tools"} instead of '
            '{"type": "disabled"}.'
        )
    if kind == "between_tools":
        return '"thinking.type.between_tools" is not supported for this model.'
    return (
        f'"thinking.type.{kind}" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.'
    )


def _effort(body: Json, model: Model) -> None:
    wanted = (body.get("output_config") or {}).get("effort")
    if wanted is None:
        return
    if not model.efforts:
        raise invalid("output_config.effort: is not supported on this model")
    if wanted not in model.efforts:
        raise invalid(f"output_config.effort '{wanted}' is not supported on this model")
    cap = model.effort_cap_without_thinking
    if cap and not thinking.is_on(body, model) and _EFFORTS.index(wanted) > _EFFORTS.index(cap):
        raise invalid(
            f"output_config.effort '{wanted}' is not supported when thinking is disabled on this model. "
            f"Use effort '{cap}' or below, or enable thinking."
        )


def _tools(body: Json, model: Model) -> None:
    tools = body.get("tools") or []
    names = [tool["name"] for tool in tools if "name" in tool]
    for index, tool in enumerate(tools):
        if "name" in tool and not _TOOL_NAME.fullmatch(tool["name"]):
            raise invalid(f"tools.{index}.name: String should match pattern '^{_TOOL_NAME.pattern}$'")
        schema_type = tool.get("input_schema", {}).get("type", "object")
        if schema_type != "object":
            raise invalid(f"tools.{index}.input_schema.type: Input should be 'object'")
    for name, times in Counter(names).items():
        if times > 1:
            raise invalid(f"tools: Tool names must be unique. Duplicate name: {name}", "tool_name_conflict")
    if sum(bool(tool.get("strict")) for tool in tools) > _MOST_STRICT_TOOLS:
        raise invalid(f"tools: at most {_MOST_STRICT_TOOLS} strict tools may be provided")
    _tool_choice(body, model, names)


def _tool_choice(body: Json, model: Model, names: list[str]) -> None:
    choice = body.get("tool_choice") or {}
    kind = choice.get("type", "auto")
    if kind in ("any", "tool"):
        if model.forced_tools == "never":
            raise invalid('tool_choice: type "tool" and "any" are not supported for this model.')
        if thinking.mode(body, model) == "enabled":
            raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
        if not body.get("tools"):
            raise invalid("tool_choice: may only be specified while providing tools")
    if kind == "tool" and choice["name"] not in names:
        raise invalid(f"tool_choice: Tool '{choice['name']}' not found in provided tools")


def _format(body: Json, model: Model) -> None:
    wanted = (body.get("output_config") or {}).get("format")
    if wanted and not model.structured_outputs:
        raise invalid("output_config.format: structured outputs are not supported on this model")


def _breakpoints(body: Json) -> None:
    marks = [tool.get("cache_control") for tool in body.get("tools") or ()]
    marks += [block.get("cache_control") for block in prompt.blocks(body.get("system"))]
    for message in body["messages"]:
        for block in prompt.blocks(message["content"]):
            marks.append(block.get("cache_control"))
            if isinstance(block.get("content"), list):
                marks += [inner.get("cache_control") for inner in block["content"] if isinstance(inner, dict)]
    found = [mark for mark in marks if mark]
    automatic = body.get("cache_control")
    total = len(found) + bool(automatic)
    if total > _MOST_BREAKPOINTS:
        raise invalid(
            f"A maximum of {_MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {total}."
        )
    if automatic and marks and marks[-1] and marks[-1].get("ttl", "5m") != automatic.get("ttl", "5m"):
        raise invalid("cache_control: the last block has a cache_control with a different ttl")
    lives = [mark.get("ttl", "5m") for mark in found]
    if "1h" in lives and "5m" in lives[: len(lives) - lives[::-1].index("1h")]:
        raise invalid("cache_control: a block with ttl='1h' must not come after a block with ttl='5m'")
