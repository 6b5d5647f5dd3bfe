"""One HTTP attempt, from the row written before it to the row that settles it."""

import json
import os
import re
import socket
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from . import labels
from .costs import FREE, UNBILLED, cost_columns, reserving
from .prices import MOST_TOKENS, billed_requests
from .prompt import digest_prompt
from .rates import normalise
from .refusals import is_unbilled_refusal
from .texts import hide_keys
from .tools import hourly_tools
from .wire import Seen
from .worst import worst_usage

if TYPE_CHECKING:
    from .lineage import Lineage

SESSION = uuid.uuid4().hex
"""This life of this process: what ``Ledger.session()`` selects. A fork counts to its parent's session."""

IMPORTED = "imported"
"""The op of a row that another program counted."""

_PATHS = re.compile(r"/v1/messages(?:/(count_tokens)|/(batches)(?:/([^/?]+)/(results))?)?(?:\?|$)")


def operation(method: str, url: str) -> tuple[str, str | None] | None:
    """What a request does, and the batch it reads; None for requests that have nothing to account for."""
    found = _PATHS.search(url)
    if found is None:
        return None
    count_tokens, batches, batch_id, results = found.groups()
    if results:
        return "batches.results", batch_id
    if method.upper() != "POST":
        return None
    return count_tokens or batches or "messages", None


def opening_row(request: Any, op: str, lineage: "Lineage", *, simulated: bool) -> dict[str, Any]:
    """The row written before the request goes out: all that is known by then."""
    body = request.json if isinstance(request.json, Mapping) else {}
    label = labels.current()
    worst = worst_usage(body) if op == "messages" else None
    row: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "ts": _stamp(datetime.now(UTC)),
        "session": SESSION,
        "host": _host(),
        "pid": os.getpid(),
        "sdk_version": _sdk_version(),
        "call_id": getattr(request.options, "idempotency_key", None) or uuid.uuid4().hex,
        "attempt": request.retries_taken,
        "op": op,
        "stream": bool(request.stream),
        "simulated": simulated,
        "project": label.project,
        "user": label.user,
        "notebook": label.notebook,
        "cell": label.cell,
        "cell_id": label.cell_id,
        "conversation": label.conversation,
        "tags": json.dumps(label.tags) if label.tags else None,
        "model_requested": _text(body.get("model")),
        "model": _text(body.get("model")),
        "outcome": "open",
        "usage_final": False,
        "max_tokens": body.get("max_tokens") if isinstance(body.get("max_tokens"), int) else None,
        "worst": json.dumps(worst) if worst else None,
    }
    if op == "messages":
        row["unpriced_tools"] = hourly_tools(body)
        row["prompt"] = lineage.shorten(row["id"], label.conversation, digest_prompt(body))
    return row | reserving(row)


def settle(
    row: dict[str, Any],
    seen: Seen,
    outcome: str,
    error: BaseException | str | None = None,
    *,
    unsent: bool = False,
) -> dict[str, Any]:
    """The row as it stays: what was seen, how it ended, what it cost. What was never sent costs nothing."""
    row |= reply_columns(seen)
    row["outcome"] = outcome
    if seen.ended and not seen.container:
        row["unpriced_tools"] = None
    row["usage_final"] = (seen.ended and seen.counted) or unsent or row["op"] in FREE or outcome in UNBILLED
    row["unbilled_refusal"] = is_unbilled_refusal(
        row["stop_reason"], row["refusal_category"], produced=seen.produced
    )
    row["error"] = describe(error if error is not None else seen.error)
    return row | cost_columns(row)


def reply_columns(seen: Seen) -> dict[str, Any]:
    """The columns that a reply fills, by the API's own names."""
    usage = seen.usage or {}
    details = seen.stop.get("stop_details")
    diagnostics = seen.message.get("diagnostics")
    miss = diagnostics.get("cache_miss_reason") if isinstance(diagnostics, Mapping) else None
    miss = miss if isinstance(miss, Mapping) else {}
    columns = usage_columns(usage) | {
        "message_id": _text(seen.message.get("id")),
        "stop_reason": _text(seen.stop.get("stop_reason")),
        "refusal_category": _text(details.get("category")) if isinstance(details, Mapping) else None,
        "cache_miss_reason": _text(miss.get("type")),
        "cache_missed_input_tokens": _count(miss.get("cache_missed_input_tokens")),
        "streamed_chars": seen.chars,
        "usage": json.dumps(usage, separators=(",", ":")) if seen.usage is not None else None,
        "note": seen.note,
    }
    if model := _text(seen.message.get("model")):
        columns["model"] = model
    if not seen.counted:
        columns["output_tokens"] = None
    return columns


def usage_columns(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The token columns of a usage: disjoint classes, None where the server did not report one.

    With ``iterations`` they are summed over those that are billed: the counts beside them leave some out.
    """
    entries = [_classes(entry) for _, entry in billed_requests("", usage)]
    tools = _mapping(usage.get("server_tool_use"))
    return {
        **{name: _sum(entry[name] for entry in entries) for name in _classes({})},
        "thinking_tokens": _count(_mapping(usage.get("output_tokens_details")).get("thinking_tokens")),
        "web_search_requests": _count(tools.get("web_search_requests")),
        "web_fetch_requests": _count(tools.get("web_fetch_requests")),
        "speed": _text(usage.get("speed")),
        "inference_geo": _text(usage.get("inference_geo")),
        "service_tier": _text(usage.get("service_tier")),
    }


def _classes(usage: Mapping[str, Any]) -> dict[str, int | None]:
    split = _mapping(usage.get("cache_creation"))
    one_hour = _count(split.get("ephemeral_1h_input_tokens"))
    five = _count(split.get("ephemeral_5m_input_tokens"))
    written = _count(usage.get("cache_creation_input_tokens"))
    return {
        "input_tokens": _count(usage.get("input_tokens")),
        "ephemeral_5m_input_tokens": five if written is None else max(written - (one_hour or 0), 0),
        "ephemeral_1h_input_tokens": one_hour if one_hour is not None or written is None else 0,
        "cache_read_input_tokens": _count(usage.get("cache_read_input_tokens")),
        "output_tokens": _count(usage.get("output_tokens")),
    }


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def batch_row(
    opened: Mapping[str, Any], item: Mapping[str, Any], batch_id: str | None
) -> dict[str, Any] | None:
    """The row of one batch result; its id is the message's, so that fetching results again adds nothing."""
    result = _mapping(item.get("result"))
    message = result.get("message")
    if result.get("type") != "succeeded" or not isinstance(message, Mapping):
        return None
    seen = Seen()
    seen.take_message(message)
    if seen.usage is None:
        return None
    seen.usage = {"service_tier": "batch", **{k: v for k, v in seen.usage.items() if v is not None}}
    row = {**opened, "id": f"batch_item:{message.get('id')}", "op": "batch_item", "batch_id": batch_id}
    row |= {"outcome": "open", "model": None, "model_requested": None, "attempt": 0, "usage_final": False}
    row["call_id"] = row["id"]
    return settle(row, seen, "ok")


def describe(error: BaseException | Mapping[str, Any] | str | None) -> str | None:
    """One line about an error, without anything that looks like a key."""
    if error is None:
        return None
    if isinstance(error, Mapping):
        text = f"{error.get('type') or 'error'}: {error.get('message') or ''}"
    elif isinstance(error, BaseException):
        text = f"{type(error).__name__}: {error}"
    else:
        text = error
    return hide_keys(" ".join(text.split()))[:200].removesuffix(": ").removesuffix(":")


def provider_of(host: str, path: str) -> str:
    """Who answered, by the address the SDK sent to; a gateway or local server is named by its host."""
    if host.endswith("amazonaws.com") or path.startswith("/model/"):
        return "bedrock"
    if host.endswith("googleapis.com") or "/publishers/anthropic/models/" in path:
        return "vertex"
    if host.endswith((".azure.com", ".azure.us")):
        return "foundry"
    return "anthropic" if host.endswith("anthropic.com") else host


def is_regional(path: str, model: str | None) -> bool:
    """Whether a regional endpoint of Bedrock (by the model's id) or Vertex (by the address) served the call."""
    vertex = re.search(r"/locations/([^/]+)/publishers/", path)
    return vertex[1] != "global" if vertex else normalise(model or "")[1]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


@cache
def _host() -> str:
    return socket.gethostname()


@cache
def _sdk_version() -> str:
    from anthropic import __version__

    return __version__


def elapsed_ms(since: float) -> int:
    """Milliseconds since a ``time.perf_counter()``."""
    return round((time.perf_counter() - since) * 1000)
