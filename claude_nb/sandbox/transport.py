"""The sandbox itself: a transport under the official client."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import httpx2

from claude_nb.models import Model

from . import catalog, events, ids, invent, pacing, prompt, replies, responses, rules, sealing, thinking
from . import faults as fault_room
from .apierror import ApiError, invalid
from .cache import PromptCache
from .diagnostics import Diagnostics
from .faults import Fault
from .replies import Finished, Json, Reply, Script, Scripted
from .responses import Answer, Chunks

_KEPT_REQUESTS = 1_000
_KEPT_CALLS = 1_000
_LARGEST_BODY = 32 * 1024 * 1024
_BINDING_BETA = "thinking-binding-controls-2026-08-01"


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A request that broke no rule: as sent, and as the model reads it, without the thinking it cannot read."""

    sent: Json
    read: Json
    model: Model
    owner: str
    left_out: list[Json] | None


class Sandbox(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """An offline Messages API for the official client, sync or async.

    Args:
        tape: Path of a recording to replay.
        replies: What to answer, in order, or a function of the request body. A reply is a ``str``, a list of
            content blocks, or a dict with ``content`` and optionally ``stop_reason``, ``stop_sequence``,
            ``stop_details``, ``usage``, ``container``. When the list is used up, or the function returns
            ``None``, the sandbox invents a reply.
        faults: What should go wrong, see :mod:`claude_nb.sandbox.faults`.
        pace: ``0`` answers at once, ``1`` in real time, ``"60 tok/s"`` at that rate.
        clock: Seconds since the epoch; cache lifetimes and batches follow it. Default: ``time.time``.

    Attributes:
        requests: The request bodies seen, oldest first; the last 1,000 are kept.

    Example:
        >>> import anthropic
        >>> sandbox = Sandbox(replies=["Hello!"])
        >>> http_client = anthropic.DefaultHttpxClient(transport=sandbox)
        >>> client = anthropic.Anthropic(api_key="sandbox", http_client=http_client)
    """

    def __init__(
        self,
        *,
        tape: str | None = None,
        replies: Iterable[Scripted] | Script | None = None,
        faults: Iterable[Fault | str] = (),
        pace: float | str = 0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.requests: deque[Json] = deque(maxlen=_KEPT_REQUESTS)
        self._script = _script(replies)
        self._tape = tape
        self._faults = fault_room.read(faults)
        self._calls = 0
        self._rate = pacing.rate(pace)
        self._clock = clock or time.time
        self._thoughts: dict[str, dict[str, str]] = {}
        self._cache = PromptCache()
        self._diagnostics = Diagnostics()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Sandbox({len(self.requests)} requests seen)"

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request of a sync client."""
        request.read()
        return self._answer(request).response(request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request of an async client."""
        await request.aread()
        return self._answer(request).response(request)

    def _answer(self, request: httpx2.Request) -> Answer:
        request_id = ids.mint("req", request.method, request.url.path, request.content.hex())
        headers = responses.headers(request_id, self._clock())
        try:
            return self._route(request, headers)
        except ApiError as error:
            return responses.as_json(error.status, error.body(request_id), headers | error.headers)

    def _route(self, request: httpx2.Request, headers: dict[str, str]) -> Answer:
        version = _authenticate(request)
        path = request.url.path.rstrip("/")
        path = path[path.find("/v1/") :]
        match request.method, path.split("/")[2:]:
            case "POST", ["messages"]:
                return self._message(request, version, headers)
            case "POST", ["messages", "count_tokens"]:
                accepted = self._accept(request, version, counting=True)
                size = prompt.count(accepted.read, accepted.model)
                return responses.as_json(200, {"input_tokens": size}, headers)
            case "GET", ["models"]:
                query = parse_qs(request.url.query.decode())
                return responses.as_json(200, catalog.page(query), headers)
            case "GET", ["models", model_id]:
                return responses.as_json(200, catalog.retrieve(model_id), headers)
        raise ApiError(404, "Not found")

    def _accept(self, request: httpx2.Request, version: str, *, counting: bool = False) -> _Accepted:
        """Apply every rule, in the order of the API: model, shape, meaning."""
        body = _parse(request)
        if isinstance(body, dict) and "model" in body:
            model = catalog.require(body["model"])
        betas = frozenset(filter(None, request.headers.get("anthropic-beta", "").replace(" ", "").split(",")))
        rules.check_shape(body, version=version, betas=betas, counting=counting)
        with self._lock:
            self.requests.append(body)
            thoughts = dict(self._thoughts.get(model.id, {}))
        read, left_out = rules.check(body, model, version=version, thoughts=thoughts)
        reported = left_out if _BINDING_BETA in betas else None
        return _Accepted(body, read, model, _owner(request), reported)

    def _message(self, request: httpx2.Request, version: str, headers: dict[str, str]) -> Answer:
        with self._lock:
            self._calls += 1
            struck = [fault for fault in self._faults if fault.strikes(self._calls)]
        for fault in struck:
            if fault.connect:
                raise fault.connect()
        accepted = self._accept(request, version)
        for fault in struck:
            if fault.refuse:
                raise fault.refuse()
        finished = self._reply(accepted, [fault.answer for fault in struck if fault.answer])
        if accepted.sent.get("stream"):
            headers = {
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache",
                **headers,
            }
            chunks = self._stream(finished)
        else:
            if finished.cut_tool:
                finished.message["content"][-1]["input"] = {}
            answer = responses.as_json(200, finished.message, headers)
            if not any(fault.stream for fault in struck):
                return answer
            headers, chunks = answer.headers, _in_pieces(answer.content)
        for fault in struck:
            if fault.stream:
                chunks = fault.stream(chunks)
        return Answer(200, headers, chunks=chunks)

    def _reply(self, accepted: _Accepted, changes: list[Callable[[Reply, Model], Reply]]) -> Finished:
        body, model = accepted.read, accepted.model
        with self._lock:
            scripted = self._script(accepted.sent)
            usage = self._cache.charge(body, model, owner=accepted.owner, now=self._clock())
            reply = Reply(invent.content(body, model)) if scripted is None else replies.read(scripted)
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

    def _stream(self, finished: Finished) -> Chunks:
        for event, weight in events.events(finished.message, truncated_block=finished.cut_tool):
            yield weight / self._rate if self._rate else 0.0, events.frame(event)


def _in_pieces(content: bytes) -> Chunks:
    """A JSON body as faults see it: a few pieces instead of events."""
    size = max(1, len(content) // 10)
    return ((0.0, content[at : at + size]) for at in range(0, len(content), size))


def _script(given: Iterable[Scripted] | Script | None) -> Script:
    if given is None:
        return lambda _: None
    if callable(given):
        return given
    queue = iter(list(given))
    return lambda _: next(queue, None)


def _key(request: httpx2.Request) -> str:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer").strip()
    return str(request.headers.get("x-api-key", "").strip() or bearer)


def _owner(request: httpx2.Request) -> str:
    """Whose cache it is; a digest, so that no key is kept."""
    return sealing.digest(_key(request))


def _authenticate(request: httpx2.Request) -> str:
    """Check that there is a key and return the API version, as the API does before it reads the body."""
    if not _key(request):
        raise ApiError(401, "x-api-key header is required")
    version: str | None = request.headers.get("anthropic-version")
    if not version:
        raise invalid("anthropic-version: header is required")
    if version not in rules.VERSIONS:
        raise invalid(f'anthropic-version: "{version}" is not a valid version')
    return version


def _parse(request: httpx2.Request) -> Any:
    if len(request.content) > _LARGEST_BODY:
        raise ApiError(413, "Request exceeds the maximum size")
    try:
        return json.loads(request.content)
    except ValueError as error:
        raise invalid("The request body is not valid JSON") from error
