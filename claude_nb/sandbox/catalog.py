"""``GET /v1/models`` and ``GET /v1/models/{id}``, from the model table."""

from typing import Any

from claude_nb import models
from claude_nb.models import Model

from .apierror import ApiError, invalid

Json = dict[str, Any]
Query = dict[str, list[str]]

_THINKING = ("adaptive", "between_tools", "disabled", "enabled")
_EFFORTS = ("high", "low", "max", "medium", "xhigh")
_LIFECYCLES = ("active", "deprecated", "retired")
_PAGE, _LARGEST_PAGE = 20, 1_000


def require(model_id: Any) -> Model:
    """The model that answers to this id.

    Raises:
        ApiError: 404 when the id is unknown or the model is retired.
    """
    found = models.find(model_id) if isinstance(model_id, str) else None
    if found is None or found.lifecycle == "retired":
        raise ApiError(404, f"model: {model_id}")
    return found


def retrieve(model_id: str) -> Json:
    """One model as the API describes it; retired ones stay in the catalogue.

    Raises:
        ApiError: 404 when the id is unknown.
    """
    found = models.find(model_id)
    if found is None:
        raise ApiError(404, f"model: {model_id}")
    return describe(found)


def page(query: Query) -> Json:
    """One page of the list.

    Args:
        query: ``limit``, ``after_id``, ``before_id`` and ``lifecycle`` (also as ``lifecycle[]``), each a list.

    Raises:
        ApiError: 400 when a parameter has no meaning.
    """
    stages = query.get("lifecycle", []) + query.get("lifecycle[]", [])
    for stage in stages:
        if stage not in _LIFECYCLES:
            raise invalid("lifecycle: Input should be 'active', 'deprecated' or 'retired'")
    return paged([describe(model) for model in models.known(*stages)], query)  # type: ignore[arg-type]  # checked above


def paged(rows: list[Json], query: Query) -> Json:
    """One page of a list of objects with ids, by cursor.

    Args:
        rows: All objects, in order.
        query: ``limit``, ``after_id``, ``before_id``, each a list.

    Raises:
        ApiError: 400 when a parameter has no meaning.
    """
    limit = _limit(query)
    ids = [row["id"] for row in rows]
    start, stop = 0, limit
    if "after_id" in query:
        start = _position(ids, query["after_id"][0]) + 1
        stop = start + limit
    elif "before_id" in query:
        stop = _position(ids, query["before_id"][0])
        start = max(0, stop - limit)
    chosen = rows[start:stop]
    return {
        "data": chosen,
        "has_more": start > 0 if "before_id" in query else stop < len(rows),
        "first_id": chosen[0]["id"] if chosen else None,
        "last_id": chosen[-1]["id"] if chosen else None,
    }


def describe(model: Model) -> Json:
    """A model as the ``ModelInfo`` object of the API."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": _moment(model.released) or "1970-01-01T00:00:00Z",
        "lifecycle": model.lifecycle,
        "line": model.line,
        "deprecated_at": _moment(model.deprecated_at),
        "retires_at": _moment(model.retires_at),
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": model.max_tokens,
        "capabilities": None if model.lifecycle == "retired" else _capabilities(model),
    }


def _capabilities(model: Model) -> Json:
    modern = model.tokenizer > 1 or "adaptive" in model.thinking_modes
    return {
        "batch": _is(supported=True),
        "citations": _is(supported=True),
        "code_execution": _is(supported=True),
        "context_management": _is(supported=True)
        | {
            "clear_thinking_20251015": _is(supported=True),
            "clear_tool_uses_20250919": _is(supported=True),
            "compact_20260112": _is(supported=modern),
        },
        "effort": _is(supported=bool(model.efforts))
        | {name: _is(supported=name in model.efforts) for name in _EFFORTS},
        "image_input": _is(supported=True),
        "pdf_input": _is(supported=True),
        "server_tools": _is(supported=True)
        | {name: _is(supported=True) for name in ("web_search", "code_execution")},
        "structured_outputs": _is(supported=model.structured_outputs),
        "thinking": _is(supported=True)
        | {"types": {name: _is(supported=name in model.thinking_modes) for name in _THINKING}},
    }


def _is(*, supported: bool) -> Json:
    return {"supported": supported}


def _moment(date: str | None) -> str | None:
    if date is None:
        return None
    return f"{date}T00:00:00Z" if date.count("-") > 1 else f"{date}-01T00:00:00Z"


def _limit(query: Query) -> int:
    text = query.get("limit", [str(_PAGE)])[0]
    if not text.isdecimal() or not 1 <= int(text) <= _LARGEST_PAGE:
        raise invalid(f"limit: Input should be between 1 and {_LARGEST_PAGE}")
    return int(text)


def _position(ids: list[str], cursor: str) -> int:
    if cursor not in ids:
        raise invalid(f"cursor: {cursor} is not in this list")
    return ids.index(cursor)
