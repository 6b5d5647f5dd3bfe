"""The SDK middleware that records every HTTP attempt.

It stands innermost, so that it sees each retry and each hop. Nothing here may raise into the caller, read a
body before the caller does, or change what the caller gets.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx2
from anthropic import APIConnectionError, Middleware

from claude_nb.errors import LedgerError
from claude_nb.models import SANDBOX_HEADER

from .attempt import is_regional, opening_row, operation, provider_of
from .batches import reservation
from .budget import admit
from .costs import reserving
from .record import Record
from .sessions import SESSION, session_of
from .tee import tee
from .texts import TEXTS, texts_of
from .wire import LineParser, Parser, inflated, parser_for

if TYPE_CHECKING:
    from anthropic import APIRequest

    from .store import Store

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_INNERMOST = "base_handler"
"""What the SDK calls the handler that sends the request: any other stands for a middleware behind the meter."""
_BEHIND = (
    "A middleware was added behind the ledger's meter: requests it makes by itself (a fallback, a retry) are not "
    "recorded."
)
_outer: ContextVar[dict["Store", Record] | None] = ContextVar("claude_nb_outer_meters", default=None)


class Meter(Middleware):
    """Records each attempt in a ledger's store. The same object serves sync and async clients."""

    def __init__(self, store: "Store", *, simulated: bool, keep_text: bool = False) -> None:
        self.store = store
        self.simulated = simulated
        self.keep_text = keep_text
        self._warned = False

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
        self._mind(record, call_next)
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
        self._mind(record, call_next)
        http = self._arrived(record, response)
        if http is not None and http.is_error:
            with suppress(Exception):
                await http.aread()
        self._watch(record, http)
        return response

    def _begin(self, request: "APIRequest") -> Record | None:
        """The row before the request. Inside another meter of the same ledger it takes over that meter's row."""
        try:
            found = operation(request.method, request.url) or session_of(request.method, request.url)
            if found is None:
                return None
            op, batch_id = found
            outer = self._around()
            if outer is not None and not outer.taken_over:
                outer.taken_over = True
                record = Record(self.store, outer.row, batch_id)
                outer.drop()
                return record
            row = opening_row(request, op, self.store.lineage, simulated=self.simulated)
            row["batch_id"] = batch_id
            if self.keep_text and op == "messages":
                row[TEXTS] = self._texts(request.json)
            if self.store.budgets and op == "batches":
                row["worst"] = reservation(request.json if isinstance(request.json, Mapping) else {})
                row |= reserving(row)
            record = Record(self.store, row, batch_id)
            if self.store.budgets and op in ("messages", "batches"):
                self._admit(record)
            elif op != SESSION:  # a request about a session costs nothing itself
                self.store.put(dict(record.row), wait=True)
        except LedgerError:
            if self.store.budgets:  # a budget that cannot be checked, or that says no, must stop the call
                raise
            return None
        except Exception as error:  # noqa: BLE001 - accounting must not break the user's call
            self.store.note(error)
            return None
        return record

    def _around(self) -> Record | None:
        """The record of a meter of the same ledger around this one; meters of others learn that one follows."""
        around = _outer.get() or {}
        for record in around.values():
            record.followed = True
        return around.get(self.store)

    def _texts(self, body: Any) -> dict[str, str]:
        try:
            return texts_of(body if isinstance(body, Mapping) else {})
        except Exception as error:  # noqa: BLE001 - a text that cannot be kept must not cost the row
            self.store.note(error)
            return {}

    def _admit(self, record: Record) -> None:
        """Reserve what the call can cost; a budget without room for it raises."""
        try:
            record.allowance = admit(self.store, record.row).allowance
        except LedgerError:
            record.drop()
            raise
        except Exception as error:  # a budget that cannot be checked stops the call
            record.drop()
            why = f"{type(error).__name__}: {error}"
            raise LedgerError(f"The call was not sent: its budget could not be checked ({why}).") from error
        except BaseException:
            record.drop()
            raise

    def _mind(self, record: Record, call_next: Callable[[Any], Any]) -> None:
        """Say once, and in the row, that a middleware stands behind this one, unless another meter does."""
        if record.taken_over or record.followed or getattr(call_next, "__name__", _INNERMOST) == _INNERMOST:
            return
        record.seen.note = _BEHIND
        if not self._warned:
            self._warned = True
            with suppress(Exception):  # a filter may turn warnings into errors
                warnings.warn(
                    f"{_BEHIND} Meter last: client = ledger.meter(client).", RuntimeWarning, stacklevel=2
                )

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
                http.stream = tee(http.stream, record)
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
