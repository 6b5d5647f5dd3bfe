"""Recording: a transport under a live client that writes each exchange to a tape."""

import json
import os
import re
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import httpx2

from claude_nb.errors import SandboxError
from claude_nb.models import SANDBOX_HEADER

from . import matching
from .tape import path_of

Json = dict[str, Any]

_KEPT_HEADERS = re.compile(r"content-type|retry-after(?:-ms)?|x-should-retry|anthropic-ratelimit-.*")
_SECRETS = (
    (re.compile(r"sk-ant-[\w-]+"), "[key]"),
    (re.compile(r"\breq_[A-Za-z0-9]{8,}"), "[request id]"),
    (re.compile(r"\bwrkspc_[A-Za-z0-9]+"), "[workspace]"),
    (
        re.compile(r"\borg(?:anization)?[-_:= ]+[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
        "[organization]",
    ),
)
_SHORTEST_KEY = 8


class Recorder(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """A transport that passes everything on and appends each finished exchange to a tape.

    Keys, organisation, workspace and request ids never reach the file. An exchange that was interrupted is not
    written.

    Args:
        path: The tape, a ``.jsonl`` file; it is created, or appended to.
        transport: What really sends. Default: the network.
        clock: Seconds, for the timing of events.

    Example:
        >>> import anthropic
        >>> transport = Recorder("lesson.jsonl")
        >>> client = anthropic.Anthropic(http_client=anthropic.DefaultHttpxClient(transport=transport))
    """

    def __init__(
        self,
        path: str | Path,
        *,
        transport: httpx2.BaseTransport | httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path_of(path, "record=")
        self._given = transport
        self._made: list[Any] = []
        self._clock = clock
        self._lock = threading.Lock()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send with a sync client, and record."""
        request.read()
        request.headers["accept-encoding"] = (
            "identity"  # bytes are recorded as they come, so ask for plain ones
        )
        started = self._clock()
        inner = cast("httpx2.BaseTransport", self._inner(httpx2.HTTPTransport))
        response = inner.handle_request(request)
        return self._watched(request, response, started)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send with an async client, and record."""
        await request.aread()
        request.headers["accept-encoding"] = "identity"
        started = self._clock()
        inner = cast("httpx2.AsyncBaseTransport", self._inner(httpx2.AsyncHTTPTransport))
        response = await inner.handle_async_request(request)
        return self._watched(request, response, started)

    def close(self) -> None:
        """Close the connections made for a sync client."""
        for made in self._made:
            made.close()

    async def aclose(self) -> None:
        """Close the connections made for an async client."""
        for made in self._made:
            await made.aclose()

    def _inner(self, make: Callable[[], Any]) -> Any:
        if self._given is not None:
            return self._given
        if not self._made:
            self._made.append(make())
        return self._made[0]

    def _watched(self, request: httpx2.Request, response: httpx2.Response, started: float) -> httpx2.Response:
        if SANDBOX_HEADER in response.headers:
            raise SandboxError(
                "A sandbox answered, and its inventions are no recording. "
                "Record with a live client: anthropic.DefaultHttpxClient(transport=Recorder(path))."
            )

        def finished(chunks: list[tuple[float, bytes]]) -> None:
            try:
                self._append(_entry(request, response, chunks), _key(request))
            except OSError as error:  # the reply was paid for: it must arrive, recorded or not
                warnings.warn(f"This exchange was not recorded: {error}", stacklevel=2)

        tee = _Tee(response.stream, lambda: self._clock() - started, finished)
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=tee, extensions=response.extensions
        )

    def _append(self, entry: Json, key: str) -> None:
        line = _scrubbed(json.dumps(entry, ensure_ascii=False, separators=(",", ":")), key)
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            header = {
                "tape": 1,
                "made": "recorded",
                "about": "recorded from the live API, scrubbed of keys and ids",
            }
            with suppress(FileExistsError):
                _write(self.path, json.dumps(header).encode() + b"\n", os.O_CREAT | os.O_EXCL)
            start = b"\n" if _is_torn(self.path) else b""  # a torn line before stays alone
            _write(self.path, start + line.encode(errors="replace") + b"\n")


def _is_torn(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() not in (b"\n", b"")


def _write(path: Path, content: bytes, flags: int = 0) -> None:
    """One write in append mode: lines of several processes do not mix."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | flags, 0o644)
    try:
        os.write(handle, content)
    finally:
        os.close(handle)


class _Tee(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that is passed on and remembered; ``finished`` is called when it was read to its end."""

    def __init__(
        self, inner: Any, elapsed: Callable[[], float], finished: Callable[[list[tuple[float, bytes]]], None]
    ) -> None:
        self._inner, self._elapsed, self._finished = inner, elapsed, finished
        self._chunks: list[tuple[float, bytes]] = []

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._chunks.append((self._elapsed(), chunk))
            yield chunk
        self._finished(self._chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._chunks.append((self._elapsed(), chunk))
            yield chunk
        self._finished(self._chunks)

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._inner.aclose()


def _entry(request: httpx2.Request, response: httpx2.Response, chunks: list[tuple[float, bytes]]) -> Json:
    body = _json(request.content) if request.content else {}
    path = request.url.raw_path.decode()
    entry: Json = {
        "method": request.method,
        "path": path,
        "request": matching.canonical(body),
        "hash": matching.fingerprint(request.method, path, body),
        "status": response.status_code,
        "headers": {
            name.lower(): value
            for name, value in response.headers.items()
            if _KEPT_HEADERS.fullmatch(name.lower())
        },
    }
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        entry["events"] = list(_events(chunks))
    else:
        answer = _json(b"".join(chunk for _, chunk in chunks))
        if isinstance(answer, dict):
            answer.pop("request_id", None)
        entry |= {"body": answer, "seconds": round(chunks[-1][0], 3) if chunks else 0.0}
    return entry


def _events(chunks: list[tuple[float, bytes]]) -> Iterator[tuple[float, Any]]:
    """Frames with the time at which they were complete."""
    rest = b""
    for seconds, chunk in [*chunks, (chunks[-1][0] if chunks else 0.0, b"\n\n")]:
        rest += chunk
        *frames, rest = re.split(rb"\r?\n\r?\n", rest)
        for frame in frames:
            data = [line[5:].strip() for line in frame.splitlines() if line.startswith(b"data:")]
            if data:
                yield round(seconds, 3), _json(b"\n".join(data))


def _json(content: bytes) -> Any:
    text = content.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _key(request: httpx2.Request) -> str:
    return str(
        request.headers.get("x-api-key")
        or request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    )


def _scrubbed(line: str, key: str) -> str:
    if len(key) >= _SHORTEST_KEY:
        line = line.replace(key, "[key]")
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    return line
