"""Responses of the sandbox as HTTP: headers, bodies that stream, and bodies that can be stopped."""

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from claude_nb.models import SANDBOX_HEADER

Json = dict[str, Any]
Chunks = Iterator[tuple[float, bytes | Exception]]
"""Pieces of a body: seconds to wait before each, and bytes, or an exception that breaks the connection."""

_REQUESTS, _INPUT, _OUTPUT = 1_000, 2_000_000, 400_000  # per minute, the Start tier


@dataclass(slots=True)
class Answer:
    """What goes over the wire: either ``content`` at once, or ``chunks`` one by one.

    Attributes:
        status: HTTP status.
        headers: Response headers.
        content: The whole body.
        chunks: The body piece by piece.
    """

    status: int
    headers: dict[str, str]
    content: bytes = b""
    chunks: Chunks | None = None

    def response(self, request: httpx2.Request) -> httpx2.Response:
        """The response object a transport returns."""
        if self.chunks is None:
            return httpx2.Response(self.status, headers=self.headers, content=self.content, request=request)
        return httpx2.Response(
            self.status, headers=self.headers, stream=Body(self.chunks, _patience(request)), request=request
        )


def as_json(status: int, body: Json, headers: dict[str, str]) -> Answer:
    """A JSON response."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return Answer(status, {"content-type": "application/json", **headers}, content)


def as_lines(rows: list[Json], headers: dict[str, str]) -> Answer:
    """A response of JSON lines."""
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows]
    content = "".join(lines).encode(errors="replace")
    return Answer(200, {"content-type": "application/x-jsonl", **headers}, content)


def in_pieces(answer: Answer) -> Chunks:
    """The body of any response piece by piece, so that faults can disturb it."""
    if answer.chunks is not None:
        return answer.chunks
    size = max(1, len(answer.content) // 10)
    return ((0.0, answer.content[at : at + size]) for at in range(0, len(answer.content), size))


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A streamed body for sync and async clients. Closing it stops it, also from another thread."""

    def __init__(self, chunks: Chunks, patience: float | None = None) -> None:
        self._chunks = chunks
        self._patience = math.inf if patience is None else patience
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        for seconds, chunk in self._chunks:
            if seconds:
                self._stop.wait(min(seconds, self._patience))
            yield self._checked(seconds, chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for seconds, chunk in self._chunks:
            if seconds:
                await asyncio.sleep(min(seconds, self._patience))
            yield self._checked(seconds, chunk)

    def _checked(self, seconds: float, chunk: bytes | Exception) -> bytes:
        # Checked after waiting: a stream closed meanwhile must not go on.
        if self._stop.is_set():
            raise httpx2.ReadError("The stream was closed.")
        if seconds > self._patience:
            raise httpx2.ReadTimeout("The read operation timed out")
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        """Stop before the next chunk."""
        self._stop.set()

    async def aclose(self) -> None:
        """Stop before the next chunk."""
        self._stop.set()


def _patience(request: httpx2.Request) -> float | None:
    """The client's read timeout in seconds, which a transport has to honour itself."""
    found: float | None = (request.extensions.get("timeout") or {}).get("read")
    return found


def headers(request_id: str, now: float, *, input_tokens: int = 0) -> dict[str, str]:
    """Headers that every response of the API has, and the mark of the sandbox.

    Args:
        request_id: The ``req_…`` id.
        now: Seconds since the epoch.
        input_tokens: What this request took from the input limit.
    """
    reset = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = {
        SANDBOX_HEADER: "1",
        "request-id": request_id,
        "anthropic-organization-id": "00000000-0000-0000-0000-000000000000",
        "anthropic-workspace-id": "wrkspc_sandbox",
    }
    left = (_INPUT - input_tokens) // 1000 * 1000
    limits = {
        "requests": (_REQUESTS, _REQUESTS - 1),
        "input-tokens": (_INPUT, left),
        "output-tokens": (_OUTPUT, _OUTPUT),
        "tokens": (_INPUT + _OUTPUT, left + _OUTPUT),
    }
    for name, (limit, remaining) in limits.items():
        found[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        found[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, remaining))
        found[f"anthropic-ratelimit-{name}-reset"] = reset
    return found
