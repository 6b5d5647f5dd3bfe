"""From an HTTP request to one the sandbox accepts: key, version, JSON, model, shape, rules."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from claude_nb.models import Model

from . import catalog, rules, sealing
from .apierror import ApiError, invalid

Json = dict[str, Any]

_LARGEST_BODY = 32 * 1024 * 1024
_LARGEST_BATCH = 256 * 1024 * 1024
_BINDING_BETA = "thinking-binding-controls-2026-08-01"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that broke no rule.

    Attributes:
        sent: The body as sent.
        read: The body as the model reads it: without thinking that it cannot read.
        model: The model it names.
        owner: Digest of the key, so that no key is kept.
        left_out: What ``input_transformations`` should list; ``None`` when the request did not ask for it.
    """

    sent: Json
    read: Json
    model: Model
    owner: str
    left_out: list[Json] | None


@dataclass(frozen=True, slots=True)
class Caller:
    """What the headers say.

    Attributes:
        version: ``anthropic-version``.
        betas: Names in ``anthropic-beta``.
        owner: Digest of the key.
    """

    version: str
    betas: frozenset[str]
    owner: str


def identify(request: httpx2.Request) -> Caller:
    """Read the headers, as the API does before it looks at the body.

    Raises:
        ApiError: 401 without a key, 400 without a version.
    """
    bearer = request.headers.get("authorization", "").removeprefix("Bearer").strip()
    key = request.headers.get("x-api-key", "").strip() or bearer
    if not key:
        raise ApiError(401, "x-api-key header is required")
    version = request.headers.get("anthropic-version")
    if not version:
        raise invalid("anthropic-version: header is required")
    if version not in rules.VERSIONS:
        raise invalid(f'anthropic-version: "{version}" is not a valid version')
    betas = request.headers.get("anthropic-beta", "").replace(" ", "").split(",")
    return Caller(version, frozenset(filter(None, betas)), sealing.digest(key))


def parse(request: httpx2.Request) -> Any:
    """The JSON of the body.

    Raises:
        ApiError: 413 when it is too large, 400 when it is no JSON.
    """
    limit = _LARGEST_BATCH if request.url.path.endswith("/batches") else _LARGEST_BODY
    if len(request.content) > limit:
        raise ApiError(413, "Request exceeds the maximum size")
    try:
        body = json.loads(request.content)
        if b"\\u" in request.content:
            json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is text in Python only
    except (ValueError, RecursionError) as error:
        raise invalid("The request body is not valid JSON") from error
    return body


def model_of(body: Any) -> Model | None:
    """The model a body names, ``None`` when it names none.

    Raises:
        ApiError: 404 for a model that does not answer.
    """
    return catalog.require(body["model"]) if isinstance(body, dict) and "model" in body else None


def accept(
    body: Json, caller: Caller, *, thoughts: Mapping[str, str], counting: bool = False, batch: bool = False
) -> Accepted:
    """Apply every rule, in the order of the API: model, shape, meaning.

    Args:
        body: Parsed JSON.
        caller: What the headers say.
        thoughts: See :func:`turns.check`.
        counting: The request goes to ``count_tokens``.
        batch: It is an item of a batch.

    Raises:
        ApiError: A rule is broken.
    """
    model = model_of(body)
    rules.check_shape(body, version=caller.version, betas=caller.betas, counting=counting)
    if model is None:  # check_shape requires the field
        raise invalid("model: Field required")
    read, left_out = rules.check(body, model, version=caller.version, thoughts=thoughts, batch=batch)
    return Accepted(body, read, model, caller.owner, left_out if _BINDING_BETA in caller.betas else None)
