"""Message Batches: create, poll, cancel, and read the results as JSON lines in no particular order.

Time passes with polling: half of the items are done at the first ``retrieve``, all of them at the second. Items that
are not done when the batch is cancelled or 24 hours old are ``canceled`` or ``expired``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import catalog, ids
from .apierror import ApiError, invalid

Json = dict[str, Any]
Item = Callable[[Json], Json]
"""Gives the result of one item from its params: ``{"type": "succeeded", …}`` or ``{"type": "errored", …}``."""

_LIFETIME = 24 * 3600.0
_MOST_REQUESTS = 100_000
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_STATES = ("processing", "succeeded", "errored", "canceled", "expired")


@dataclass(slots=True)
class _Batch:
    id: str
    requests: list[Json]
    created: float
    polls: int = 0
    ended: float | None = None
    canceled: float | None = None
    results: dict[str, Json] = field(default_factory=dict)


class Batches:
    """The batches of one workspace."""

    def __init__(self) -> None:
        self._batches: dict[str, _Batch] = {}

    def create(self, body: Any, *, now: float, url: str) -> Json:
        """``POST /v1/messages/batches``; the params of the items are looked at later, as in the API.

        Raises:
            ApiError: 400 for a wrong outer shape.
        """
        requests = _checked(body)
        batch = _Batch(ids.mint("msgbatch", len(self._batches), ids.fingerprint(body)), requests, now)
        self._batches[batch.id] = batch
        return _described(batch, url)

    def retrieve(self, batch_id: str, item: Item, *, now: float, url: str) -> Json:
        """``GET /v1/messages/batches/{id}``; lets the batch make progress."""
        batch = self._find(batch_id)
        if batch.ended is None:
            _advance(batch, item, now)
        return _described(batch, url)

    def cancel(self, batch_id: str, *, now: float, url: str) -> Json:
        """``POST /v1/messages/batches/{id}/cancel``."""
        batch = self._find(batch_id)
        if batch.ended is None and batch.canceled is None:
            batch.canceled = now
        return _described(batch, url)

    def delete(self, batch_id: str) -> Json:
        """``DELETE /v1/messages/batches/{id}``, for batches that ended."""
        if self._find(batch_id).ended is None:
            raise invalid(f"Batch {batch_id} has not ended; cancel it first.")
        del self._batches[batch_id]
        return {"id": batch_id, "type": "message_batch_deleted"}

    def page(self, query: catalog.Query, *, url: str) -> Json:
        """``GET /v1/messages/batches``: newest first."""
        return catalog.paged([_described(batch, url) for batch in reversed(self._batches.values())], query)

    def results(self, batch_id: str) -> list[Json]:
        """The lines of ``GET /v1/messages/batches/{id}/results``; their order is not that of the requests."""
        batch = self._find(batch_id)
        if batch.ended is None:
            raise invalid(f"Batch {batch_id} has no results yet; its processing has not ended.")
        rows = [{"custom_id": name, "result": result} for name, result in batch.results.items()]
        return sorted(rows, key=lambda row: ids.mint("row", row["custom_id"]))

    def _find(self, batch_id: str) -> _Batch:
        if batch_id not in self._batches:
            raise ApiError(404, f"Message batch {batch_id} not found")
        return self._batches[batch_id]


def _advance(batch: _Batch, item: Item, now: float) -> None:
    batch.polls += 1
    expired = now >= batch.created + _LIFETIME
    if not expired and batch.canceled is None:
        share = len(batch.requests) // 2 if batch.polls == 1 else len(batch.requests)
        for request in batch.requests[len(batch.results) : share]:
            batch.results[request["custom_id"]] = item(request["params"])
        if batch.polls == 1:
            return
    left = "expired" if expired else "canceled"
    for request in batch.requests:
        batch.results.setdefault(request["custom_id"], {"type": left})
    batch.ended = now


def _checked(body: Any) -> list[Json]:
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list):
        raise invalid("requests: Field required")
    if not 1 <= len(requests) <= _MOST_REQUESTS:
        raise invalid(f"requests: List should have between 1 and {_MOST_REQUESTS} items")
    seen = set()
    for index, request in enumerate(requests):
        name = request.get("custom_id") if isinstance(request, dict) else None
        if not isinstance(name, str) or not _CUSTOM_ID.fullmatch(name):
            raise invalid(f"requests.{index}.custom_id: String should match pattern '^{_CUSTOM_ID.pattern}$'")
        if not isinstance(request.get("params"), dict):
            raise invalid(f"requests.{index}.params: Field required")
        if name in seen:
            raise invalid(f"requests.{index}.custom_id: Duplicate custom_id: {name}")
        seen.add(name)
    return requests


def _described(batch: _Batch, url: str) -> Json:
    counts = dict.fromkeys(_STATES, 0)
    if batch.ended is None:
        counts["processing"] = len(batch.requests)  # the others stay 0 until the whole batch ends
        status = "in_progress" if batch.canceled is None else "canceling"
    else:
        status = "ended"
        for result in batch.results.values():
            counts[result["type"]] += 1
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": counts,
        "ended_at": _moment(batch.ended),
        "created_at": _moment(batch.created),
        "expires_at": _moment(batch.created + _LIFETIME),
        "archived_at": None,
        "cancel_initiated_at": _moment(batch.canceled),
        "results_url": None if batch.ended is None else f"{url}/v1/messages/batches/{batch.id}/results",
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
