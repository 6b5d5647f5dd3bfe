"""Transports under the official client for tests: recorded bodies, and bodies that break."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import anthropic
import httpx2


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Sends its chunks one by one; an exception among them is raised at its place; remembers being closed."""

    def __init__(self, chunks: Iterable[bytes | BaseException | Callable[[], None]]) -> None:
        self.chunks, self.closed = list(chunks), False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            if callable(chunk):
                chunk()
            elif isinstance(chunk, BaseException):
                raise chunk
            elif self.closed:
                raise httpx2.ReadError("closed")
            else:
                yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


class Replay(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers every request with one body."""

    def __init__(self, *chunks, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.body = Body(chunks)
        self.status = status
        self.headers = headers or {"content-type": "text/event-stream; charset=utf-8"}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(self.status, headers=self.headers, stream=self.body)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)

    def client(self, **options) -> anthropic.Anthropic:
        http = anthropic.DefaultHttpxClient(transport=self)
        return anthropic.Anthropic(api_key="sandbox", max_retries=0, http_client=http, **options)

    def async_client(self, **options) -> anthropic.AsyncAnthropic:
        http = anthropic.DefaultAsyncHttpxClient(transport=self)
        return anthropic.AsyncAnthropic(api_key="sandbox", max_retries=0, http_client=http, **options)


def frames(body: bytes) -> list[bytes]:
    """Cut a recorded body into its server-sent events, each with its blank line."""
    return [frame + b"\n\n" for frame in body.split(b"\n\n") if frame.strip()]


ASK = {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
"""The least a request needs."""
