"""The SDK middleware that records every HTTP attempt.

It stands innermost, so that it sees each retry and each hop. Nothing here may raise into the caller, read a
body before the caller does, or change what the caller gets.
"""

import atexit
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2
from anthropic import APIConnectionError, Middleware

from claude_nb.errors import LedgerError
from claude_nb.models import SANDBOX_HEADER

from .attempt import (
    batch_row,
    elapsed_ms,
    is_regional,
    opening_row,
    operation,
    provider_of,
    settle,
)
from .budget import BudgetExceeded, admit, stop_text
from .prices import price_usage
from .wire import LineParser, Parser, Seen, inflated, parser_for

if TYPE_CHECKING:
    from anthropic import APIRequest

    from .store import Store

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_CHARS_PER_TOKEN = 2
"""So few that the count of tokens is rather too high: a stream is stopped early, not late."""
_outer: ContextVar[dict["Store", "Record"] | None] = ContextVar("claude_nb_outer_meters", default=None)
_live: "weakref.WeakSet[Record]" = weakref.WeakSet()


class Record:
    """One attempt under way: its row, what has been seen, and the one moment it is settled."""

    def __init__(self, store: "Store", row: dict[str, Any], batch_id: str | None) -> None:
        self.store = store
        self.row = row
        self.batch_id = batch_id
        self.seen = Seen()
        self.items: list[dict[str, Any]] = []
        self.parser: Parser | None = None
        self.started = time.perf_counter()
        self.settled = False
        self.taken_over = False
        self.allowance: Decimal | None = None
        _live.add(self)

    def feed(self, data: bytes) -> None:
        """Bytes that passed to the caller."""
        if "first_ms" not in self.row:
            self.row["first_ms"] = elapsed_ms(self.started)
        if self.parser is not None and not self.settled:
            try:
                self.parser.feed(data)
                self._store_items()
            except Exception as error:  # noqa: BLE001 - accounting must not break the user's stream
                self.parser = None
                self.store.note(error)

    def check(self) -> None:
        """Stop a stream that has used up what its budget had left.

        Raises:
            BudgetExceeded: It has, by the usage it reported or the characters it sent.
        """
        if self.allowance is None or self.settled:
            return
        seen = self.seen
        produced = max((seen.usage or {}).get("output_tokens") or 0, seen.chars // _CHARS_PER_TOKEN)
        cost = price_usage(self.row["model"] or "", {**(seen.usage or {}), "output_tokens": produced})
        if cost is not None and cost >= self.allowance:
            raise BudgetExceeded(stop_text(self.allowance), cost=cost, left=Decimal(0))

    def finish(self, how: str, error: BaseException | None = None) -> None:
        """The body ended: ``read``, ``closed`` by the caller, or ``failed``. The first call decides."""
        if self.settled:
            return
        try:
            if self.parser is not None:
                self.parser.end()
                self._store_items()
            self.settle(self._outcome(how, error), error)
        except Exception as problem:  # noqa: BLE001 - accounting must not break the user's stream
            self.store.note(problem)

    def _outcome(self, how: str, error: BaseException | None) -> str:
        if self.row["op"] in ("batches.results", "batches") and how == "read":
            return "ok"
        if self.seen.error is not None:
            return "stream_error"
        if self.seen.ended:
            return "ok"
        if how == "failed":
            return "dropped_by_server" if isinstance(error, httpx2.HTTPError) else "aborted"
        if how == "closed":
            return "aborted"
        return "truncated" if self.seen.usage is not None else "unparsed"

    def settle(self, outcome: str, error: BaseException | str | None = None, *, unsent: bool = False) -> None:
        """Write the row as it stays."""
        if self.settled:
            return
        self.settled = True
        _live.discard(self)
        self.row["total_ms"] = elapsed_ms(self.started)
        self.store.put(settle(self.row, self.seen, outcome, error, unsent=unsent))

    def _store_items(self) -> None:
        while self.items:
            row = batch_row(self.row, self.items.pop(0), self.batch_id)
            if row is not None:
                self.store.put(row)


@atexit.register
def _settle_open_streams() -> None:
    """A stream still open when the interpreter exits would otherwise lose what was seen of it."""
    for record in list(_live):
        record.finish("closed")


class Meter(Middleware):
    """Records each attempt in a ledger's store. The same object serves sync and async clients."""

    def __init__(self, store: "Store", *, simulated: bool) -> None:
        self.store = store
        self.simulated = simulated

    def __repr__(self) -> str:
        return f"<claude_nb meter, ledger: {self.store.label}>"

    def handle(self, request: "APIRequest", call_next: Callable[[Any], Any]) -> Any:
        """One attempt of a synchronous client."""
        record = self._begin(request)
        if record is None:
            return call_next(request)
        token = _outer.set({**(_outer.get() or {}), self.store: record})
        try:
            response = call_next(request)
        except BaseException as error:
            self._failed(record, error)
            raise
        finally:
            _outer.reset(token)
        http = self._arrived(record, response)
        if http is not None and http.is_error:
            with suppress(Exception):
                http.read()
        self._watch(record, http)
        return response

    async def handle_async(self, request: "APIRequest", call_next: Callable[[Any], Any]) -> Any:
        """One attempt of an asynchronous client."""
        record = self._begin(request)
        if record is None:
            return await call_next(request)
        token = _outer.set({**(_outer.get() or {}), self.store: record})
        try:
            response = await call_next(request)
        except BaseException as error:
            self._failed(record, error)
            raise
        finally:
            _outer.reset(token)
        http = self._arrived(record, response)
        if http is not None and http.is_error:
            with suppress(Exception):
                await http.aread()
        self._watch(record, http)
        return response

    def _begin(self, request: "APIRequest") -> Record | None:
        """The row before the request. Inside another meter of the same ledger it takes over that meter's row."""
        try:
            found = operation(request.method, request.url)
            if found is None:
                return None
            op, batch_id = found
            outer = (_outer.get() or {}).get(self.store)
            if outer is not None and not outer.taken_over:
                outer.taken_over = True
                record = Record(self.store, outer.row, batch_id)
                outer.settled = True
                _live.discard(outer)
                return record
            record = Record(self.store, opening_row(request, op, simulated=self.simulated), batch_id)
            if self.store.budgets and op == "messages":
                self._admit(record)
            else:
                self.store.put(dict(record.row), wait=True)
        except LedgerError:
            if self.store.budgets:  # a budget that cannot be checked, or that says no, must stop the call
                raise
            return None
        except Exception as error:  # noqa: BLE001 - accounting must not break the user's call
            self.store.note(error)
            return None
        return record

    def _admit(self, record: Record) -> None:
        """Reserve what the call can cost; a budget without room for it raises."""
        try:
            record.allowance = admit(self.store, record.row).allowance
        except BaseException:
            record.settled = True
            _live.discard(record)
            raise

    def _failed(self, record: Record, error: BaseException) -> None:
        """No response: never sent (costs nothing), or sent and unanswered (may have been billed)."""
        if record.settled:
            return
        try:
            sent = isinstance(error, APIConnectionError) and not isinstance(error.__cause__, _NOT_SENT)
            sent = sent or not isinstance(error, Exception) or isinstance(error, httpx2.HTTPError)
            if isinstance(error, APIConnectionError) and _is_sandbox_key(error.request):
                record.row["simulated"] = True
            record.settle("no_response", error.__cause__ or error, unsent=not sent)
        except Exception as problem:  # noqa: BLE001 - accounting must not break the user's call
            self.store.note(problem)

    def _arrived(self, record: Record, response: Any) -> httpx2.Response | None:
        """The HTTP response of whatever came back; None when a cache answered and nothing was billed."""
        http = getattr(response, "http_response", response)
        if isinstance(http, httpx2.Response) and not record.settled:
            return http
        if not record.settled:
            record.settle("no_response", "answered by another middleware", unsent=True)
        return None

    def _watch(self, record: Record, http: httpx2.Response | None) -> None:
        if http is None:
            return
        try:
            self._note_headers(record, http)
            body = _read_body(http)
            if http.is_error:
                record.seen.error = _error_of(http)
                record.settle("http_error")
                return
            kind, encoding = http.headers.get("content-type", ""), http.headers.get("content-encoding", "")
            if body is not None:
                record.parser = _parser(record, kind, "")
                record.feed(body)
                record.finish("read")
            else:
                record.parser = _parser(record, kind, encoding)
                http.stream = _tee(http.stream, record)
        except Exception as error:  # noqa: BLE001 - accounting must not break the user's call
            self.store.note(error)

    def _note_headers(self, record: Record, http: httpx2.Response) -> None:
        headers, url = http.headers, http.request.url
        record.row |= {
            "status": http.status_code,
            "provider": provider_of(url.host, url.path),
            "regional": is_regional(url.path, record.row["model_requested"]),
            "request_id": headers.get("request-id") or headers.get("x-amzn-requestid"),
            "workspace_id": headers.get("anthropic-workspace-id"),
            "organization_id": headers.get("anthropic-organization-id"),
        }
        if SANDBOX_HEADER in headers:
            record.row["simulated"] = True


def _is_sandbox_key(request: httpx2.Request) -> bool:
    """Whether a request that got no answer was meant for the sandbox: only its answers carry the mark."""
    return request.headers.get("authorization") == "Bearer sandbox"


def _parser(record: Record, content_type: str, encoding: str) -> Parser:
    if record.row["op"] == "batches.results":
        return inflated(encoding, LineParser(record.items))
    return parser_for(content_type, encoding, record.seen)


def _read_body(http: httpx2.Response) -> bytes | None:
    """The body where the SDK has read it already, else None: reading it here would take it from the caller."""
    try:
        return http.content
    except httpx2.ResponseNotRead:
        return None


def _error_of(http: httpx2.Response) -> dict[str, Any]:
    """The API's error, or what a server of another shape said."""
    try:
        error = http.json()["error"]
        return {"type": str(error["type"]), "message": str(error.get("message", ""))}
    except Exception:  # noqa: BLE001 - any body at all can stand behind an error status
        return {"type": f"http {http.status_code}", "message": ""}


class _Tee(httpx2.SyncByteStream):
    """Passes the body through, showing each chunk to the record. Kept like the SDK's own ``SpanEndingStream``."""

    def __init__(self, body: Any, record: Record) -> None:
        self._body = body
        self._record = record

    @property
    def elapsed(self) -> timedelta | None:
        """What ``httpx2.Response.elapsed`` reads from its stream."""
        return getattr(self._body, "elapsed", None)

    def __iter__(self) -> Iterator[bytes]:
        record = self._record
        try:
            for chunk in self._body:
                record.feed(chunk)
                yield chunk
                record.check()
            record.finish("read")
        except GeneratorExit:
            record.finish("closed")
            raise
        except BaseException as error:
            record.finish("failed", error)
            raise

    def close(self) -> None:
        self._record.finish("closed")
        self._body.close()

    def __del__(self) -> None:
        self._record.finish("closed")


class _AsyncTee(httpx2.AsyncByteStream):
    """The same for an asynchronous body."""

    def __init__(self, body: Any, record: Record) -> None:
        self._body = body
        self._record = record

    @property
    def elapsed(self) -> timedelta | None:
        """What ``httpx2.Response.elapsed`` reads from its stream."""
        return getattr(self._body, "elapsed", None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        record = self._record
        chunks = self._body.__aiter__()
        try:
            async for chunk in chunks:
                record.feed(chunk)
                yield chunk
                record.check()
            record.finish("read")
        except GeneratorExit:
            record.finish("closed")
            raise
        except BaseException as error:
            record.finish("failed", error)
            raise
        finally:
            if hasattr(chunks, "aclose"):  # in the task that read, as the SDK's tracing does
                await chunks.aclose()

    async def aclose(self) -> None:
        self._record.finish("closed")
        await self._body.aclose()

    def __del__(self) -> None:
        self._record.finish("closed")


class _BothTee(_Tee, _AsyncTee):
    """A body that is of both kinds at once, as ``httpx2.ByteStream`` is."""


def _tee(body: Any, record: Record) -> Any:
    if not isinstance(body, httpx2.SyncByteStream):
        return _AsyncTee(body, record)
    return _BothTee(body, record) if isinstance(body, httpx2.AsyncByteStream) else _Tee(body, record)
