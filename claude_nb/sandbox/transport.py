"""The sandbox itself: a transport under the official client."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2

from claude_nb.errors import SandboxError
from claude_nb.models import Model

from . import catalog, events, ids, intake, invent, pacing, prompt, replay, replies, responses, thinking
from . import faults as fault_room
from .apierror import ApiError
from .batches import Batches
from .cache import PromptCache
from .diagnostics import Diagnostics
from .faults import Fault
from .intake import Accepted, Caller
from .replies import Finished, Json, Reply, Script, Scripted
from .responses import Answer, Chunks
from .tape import TAPE_HEADER, Entry, Tape

_KEPT_REQUESTS = 1_000
_KEPT_CALLS = 1_000
_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Sandbox(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """An offline Messages API for the official client, sync or async.

    Args:
        tape: Path of a recording to replay, see :mod:`claude_nb.sandbox.tape`.
        replies: What to answer, in order, or a function of the request body. A reply is a ``str``, a list of
            content blocks, or a dict with ``content`` and optionally ``stop_reason``, ``stop_sequence``,
            ``stop_details``, ``usage``, ``container``. When the list is used up, or the function returns
            ``None``, the sandbox invents a reply.
        faults: What should go wrong, see :mod:`claude_nb.sandbox.faults`.
        pace: ``0`` answers at once, ``1`` in real time, ``"60 tok/s"`` at that rate.
        clock: Seconds since the epoch; cache lifetimes and batches follow it. Default: ``time.time``.

    Example:
        >>> import anthropic
        >>> sandbox = Sandbox(replies=["Hello!"])
        >>> http_client = anthropic.DefaultHttpxClient(transport=sandbox)
        >>> client = anthropic.Anthropic(api_key="sandbox", http_client=http_client)
    """

    def __init__(
        self,
        *,
        tape: str | Path | None = None,
        replies: Iterable[Scripted] | Script | None = None,
        faults: Iterable[Fault | str] = (),
        pace: float | str = 0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._requests: deque[Json] = deque(maxlen=_KEPT_REQUESTS)
        self._script = _script(replies)
        self._tape = Tape(tape) if tape is not None else None
        self._misses: deque[str] = deque(maxlen=_KEPT_REQUESTS)
        self._faults = fault_room.read(faults)
        self._calls = 0
        self._pace = pacing.read(pace)
        self._clock = clock or time.time
        self._thoughts: dict[str, dict[str, str]] = {}
        self._cache = PromptCache()
        self._batches: dict[str, Batches] = {}
        self._diagnostics = Diagnostics()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Sandbox({len(self._requests)} requests seen)"

    @property
    def requests(self) -> list[Json]:
        """The request bodies seen, refused ones too, oldest first; the last 1,000 are kept."""
        return list(self._requests)

    @property
    def misses(self) -> list[str]:
        """For each request that the tape did not know, how the nearest entry differs."""
        return list(self._misses)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request of a sync client."""
        request.read()
        return self._answer(request).response(request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request of an async client."""
        await request.aread()
        return self._answer(request).response(request)

    def _answer(self, request: httpx2.Request) -> Answer:
        request_id = ids.mint("req", request.method, request.url.path, ids.digest(request.content))
        headers = responses.headers(request_id, self._clock())
        try:
            return self._route(request, intake.identify(request), headers)
        except ApiError as error:
            return responses.as_json(error.status, error.body(request_id), headers | error.headers)

    def _route(self, request: httpx2.Request, caller: Caller, headers: dict[str, str]) -> Answer:
        struck = self._struck(request)
        entry = self._taped(request)
        if entry and entry.reply is None:
            return _disturbed(replay.answer(entry, self._pace, headers), struck)
        path = request.url.path
        match request.method, path[path.find("/v1/") :].rstrip("/").split("/")[2:]:
            case "POST", ["messages"]:
                return self._message(request, caller, headers, struck, entry)
            case "POST", ["messages", "count_tokens"]:
                accepted = self._accept(intake.parse(request), caller, counting=True)
                size = prompt.count(accepted.read, accepted.model)
                return responses.as_json(200, {"input_tokens": size}, headers)
            case _, ["messages", "batches", *rest]:
                return self._batch(request, caller, headers, rest)
            case "GET", ["models"]:
                return responses.as_json(200, catalog.page(_query(request)), headers)
            case "GET", ["models", model_id]:
                return responses.as_json(200, catalog.retrieve(model_id), headers)
        raise ApiError(404, "Not found")

    def _struck(self, request: httpx2.Request) -> list[Fault]:
        """The faults of this call; a broken connection breaks here."""
        if request.method != "POST" or not request.url.path.endswith("/messages"):
            return []
        with self._lock:
            self._calls += 1
            struck = [fault for fault in self._faults if fault.strikes(self._calls)]
        for fault in struck:
            if fault.connect:
                raise fault.connect()
        return struck

    def _taped(self, request: httpx2.Request) -> Entry | None:
        if self._tape is None:
            return None
        body = intake.parse(request) if request.content else {}
        if not isinstance(body, dict):
            return None
        with self._lock:
            entry = self._tape.find(request.method, request.url.raw_path.decode(), body)
            if entry and entry.reply is None and body:
                self._requests.append(body)
        return entry

    def _accept(self, body: Any, caller: Caller, *, counting: bool = False, batch: bool = False) -> Accepted:
        model = intake.model_of(body)
        with self._lock:
            if isinstance(body, dict):
                self._requests.append(body)
            thoughts = dict(self._thoughts.get(model.id, {})) if model else {}
        return intake.accept(body, caller, thoughts=thoughts, counting=counting, batch=batch)

    def _message(
        self,
        request: httpx2.Request,
        caller: Caller,
        headers: dict[str, str],
        struck: list[Fault],
        entry: Entry | None,
    ) -> Answer:
        accepted = self._accept(intake.parse(request), caller)
        streamed = bool(accepted.sent.get("stream"))
        for fault in struck:
            if refuse := fault.refuse or (None if streamed else fault.unstreamed):
                raise refuse()
        note = None
        if self._tape is not None:
            headers = headers | {TAPE_HEADER: "replay" if entry else "miss"}
            if entry is None:
                note = self._tape.nearest(request.method, request.url.raw_path.decode(), accepted.sent)
                self._misses.append(note)
        changes = [fault.answer for fault in struck if fault.answer]
        finished = self._reply(accepted, changes, entry.reply if entry else None, note)
        return _disturbed(self._sent(finished, headers, stream=streamed), struck)

    def _reply(
        self,
        accepted: Accepted,
        changes: Iterable[Callable[[Reply, Model], Reply]] = (),
        taped: Scripted | None = None,
        note: str | None = None,
    ) -> Finished:
        """The reply: from the tape, else from the script, else invented."""
        body, model = accepted.read, accepted.model
        # Outside the lock: a script may call the sandbox itself.
        given = self._script(accepted.sent) if taped is None else taped
        with self._lock:
            usage = self._cache.charge(body, model, owner=accepted.owner, now=self._clock())
            reply = Reply(invent.content(body, model, note=note)) if given is None else replies.read(given)
            for change in changes:
                reply = change(reply, model)
            finished = replies.finish(reply, body, model, usage, seed=ids.fingerprint(accepted.sent))
            message = finished.message
            message["diagnostics"] = self._diagnostics.explain(body, model, message["id"])
            if accepted.left_out is not None:
                message["input_transformations"] = accepted.left_out
            self._remember(model, thinking.before_calls(message["content"]))
        return finished

    def _remember(self, model: Model, thoughts: dict[str, str]) -> None:
        known = self._thoughts.setdefault(model.id, {})
        known.update(thoughts)
        while len(known) > _KEPT_CALLS:
            known.pop(next(iter(known)))

    def _sent(self, finished: Finished, headers: dict[str, str], *, stream: bool) -> Answer:
        if stream:
            return Answer(200, _STREAM | headers, chunks=self._chunks(finished))
        return responses.as_json(200, finished.whole(), headers)

    def _chunks(self, finished: Finished) -> Chunks:
        for event, weight in events.events(finished.message, truncated_block=finished.cut_tool):
            yield self._pace.wait(weight), events.frame(event)

    def _batch(
        self, request: httpx2.Request, caller: Caller, headers: dict[str, str], rest: list[str]
    ) -> Answer:
        def item(params: Json) -> Json:
            try:
                message = self._reply(self._accept(params, caller, batch=True)).whole()
            except ApiError as error:
                return {"type": "errored", "error": error.body(headers["request-id"])}
            message["usage"]["service_tier"] = "batch"
            return {"type": "succeeded", "message": message}

        batches = self._batches.setdefault(caller.owner, Batches())
        now, url = self._clock(), f"{request.url.scheme}://{request.url.netloc.decode()}"
        match request.method, rest:
            case "POST", []:
                answer = batches.create(intake.parse(request), now=now, url=url)
            case "GET", []:
                answer = batches.page(_query(request), url=url)
            case "GET", [batch_id]:
                answer = batches.retrieve(batch_id, item, now=now, url=url)
            case "POST", [batch_id, "cancel"]:
                answer = batches.cancel(batch_id, now=now, url=url)
            case "DELETE", [batch_id]:
                answer = batches.delete(batch_id)
            case "GET", [batch_id, "results"]:
                return responses.as_lines(batches.results(batch_id), headers)
            case _:
                raise ApiError(404, "Not found")
        return responses.as_json(200, answer, headers)


def _query(request: httpx2.Request) -> catalog.Query:
    return parse_qs(request.url.query.decode())


def _disturbed(answer: Answer, struck: list[Fault]) -> Answer:
    disturb = [fault.stream for fault in struck if fault.stream]
    if not disturb:
        return answer
    chunks = responses.in_pieces(answer)
    for stream in disturb:
        chunks = stream(chunks)
    return Answer(answer.status, answer.headers, chunks=chunks)


def _script(given: Iterable[Scripted] | Script | None) -> Script:
    if given is None:
        return lambda _: None
    if callable(given):
        return given
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise SandboxError("replies is a list of replies, or a function. Write replies=[…] around this one.")
    listed = list(given)
    for one in listed:
        replies.read(one)  # a wrong reply is an error now, not in the middle of a lesson
    queue = iter(listed)
    return lambda _: next(queue, None)
