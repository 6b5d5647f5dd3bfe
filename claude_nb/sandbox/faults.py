"""Things that go wrong, on demand: each function here makes one fault for ``Sandbox(faults=[...])``.

>>> from claude_nb.sandbox import Sandbox, faults
>>> Sandbox(faults=[faults.overloaded(at=1), faults.cut(at=3, after=20)])
Sandbox(0 requests seen)

A fault strikes every call of ``POST /v1/messages``, retries included, unless ``at`` counts (``at=3`` is the third,
``at=(1, 2)`` the first two) or ``rate`` draws (``rate=0.1, seed=7``: the same tenth every time). The name alone,
``Sandbox(faults=["overloaded"])``, is the fault with its defaults.

Simulated refusals ask the SDK to retry after one millisecond, so that nothing sleeps; ``retry_after=5`` asks for
seconds as the real API does.
"""

import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, Unpack

import httpx2

from claude_nb.errors import SandboxError
from claude_nb.models import Model

from . import replies
from .apierror import ApiError
from .replies import Json, Reply
from .responses import Chunks

Category = Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"]


class When(TypedDict, total=False):
    """Which requests a fault strikes: all when empty."""

    at: int | Collection[int]
    rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. At most one of the hooks is set; made by the functions of this module.

    Attributes:
        name: The function that made it.
        when: Which requests it strikes.
        connect: Makes the exception raised instead of any response.
        refuse: Makes the error response.
        answer: Replaces the reply.
        stream: Disturbs the body.
        unstreamed: Makes the error response of a request without ``stream``, where an event has no place.
    """

    name: str
    when: When
    connect: Callable[[], httpx2.TransportError] | None = None
    refuse: Callable[[], ApiError] | None = None
    answer: Callable[[Reply, Model], Reply] | None = None
    stream: Callable[[Chunks], Chunks] | None = None
    unstreamed: Callable[[], ApiError] | None = None

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.when) - {"at", "rate", "seed"}):
            raise SandboxError(
                f"{self.name}() has no argument {unknown[0]!r}. When it strikes is at=, or rate= and seed=."
            )
        at, rate = self.when.get("at", 1), self.when.get("rate", 0)
        counts = at if isinstance(at, Collection) and not isinstance(at, str) else [at]
        if any(not isinstance(number, int) or number < 1 for number in counts) or not _is_share(rate):
            raise SandboxError(
                f"{self.name}(): at= counts calls from 1 (at=3, at=(1, 2)), and rate= is between 0 and 1."
            )

    def strikes(self, number: int) -> bool:
        """Whether the fault strikes the ``number``-th call, counted from 1."""
        if "at" in self.when:
            at = self.when["at"]
            return number == at if isinstance(at, int) else number in at
        if "rate" in self.when:
            seed = f"{self.when.get('seed', 0)} {self.name} {number}"
            return random.Random(seed).random() < self.when["rate"]  # noqa: S311 - repeatable on purpose
        return True


def rate_limit(*, retry_after: float | None = None, **when: Unpack[When]) -> Fault:
    """429 ``rate_limit_error``, with the rate-limit headers at zero.

    Args:
        retry_after: Seconds in ``retry-after``; ``None`` lets the SDK retry at once.
        **when: ``at``, or ``rate`` and ``seed``.
    """
    text = "This request would exceed your organization's rate limit of 2,000,000 input tokens per minute."
    left = {f"anthropic-ratelimit-{name}-remaining": "0" for name in ("requests", "tokens", "input-tokens")}
    return Fault("rate_limit", when, refuse=lambda: ApiError(429, text, headers=left | _retry(retry_after)))


def spend_limit(**when: Unpack[When]) -> Fault:
    """429 with ``enforced_spend_limit_reached``: the monthly cap. No ``retry-after``: retrying is useless."""
    text = "You have reached your organization's monthly spend limit."
    headers = {"x-should-retry": "false"}
    return Fault(
        "spend_limit",
        when,
        refuse=lambda: ApiError(429, text, code="enforced_spend_limit_reached", headers=headers),
    )


def overloaded(*, retry_after: float | None = None, **when: Unpack[When]) -> Fault:
    """529 ``overloaded_error``. Arguments as for :func:`rate_limit`."""
    return Fault("overloaded", when, refuse=lambda: ApiError(529, "Overloaded", headers=_retry(retry_after)))


def server_error(*, retry_after: float | None = None, **when: Unpack[When]) -> Fault:
    """500 ``api_error``. Arguments as for :func:`rate_limit`."""
    text = "Internal server error"
    return Fault("server_error", when, refuse=lambda: ApiError(500, text, headers=_retry(retry_after)))


def timeout(**when: Unpack[When]) -> Fault:
    """No answer in time: ``httpx2.ReadTimeout`` at once, without the wait."""
    return Fault("timeout", when, connect=lambda: httpx2.ReadTimeout("The read operation timed out"))


def connection_refused(**when: Unpack[When]) -> Fault:
    """Nobody listens: ``httpx2.ConnectError``."""
    return Fault(
        "connection_refused", when, connect=lambda: httpx2.ConnectError("[Errno 111] Connection refused")
    )


def reset(**when: Unpack[When]) -> Fault:
    """The connection is reset before the first byte: ``httpx2.ReadError``."""
    return Fault("reset", when, connect=lambda: httpx2.ReadError("[Errno 104] Connection reset by peer"))


def cut(*, after: int = 5, **when: Unpack[When]) -> Fault:
    """The connection breaks in the middle of the stream: ``httpx2.RemoteProtocolError``.

    Args:
        after: Events that still arrive.
        **when: ``at``, or ``rate`` and ``seed``.
    """
    error = "peer closed connection without sending complete message body (incomplete chunked read)"
    return _ending("cut", when, after, lambda: [(0.0, httpx2.RemoteProtocolError(error))])


def truncated(*, after: int = 5, **when: Unpack[When]) -> Fault:
    """The stream ends cleanly but early, without ``message_stop``. Arguments as for :func:`cut`."""
    return _ending("truncated", when, after, list)


def malformed(*, after: int = 5, **when: Unpack[When]) -> Fault:
    """An event whose data is no JSON. Arguments as for :func:`cut`."""
    broken = b'event: content_block_delta\ndata: {"type":"content_block_delta","ind\n\n'
    return _ending("malformed", when, after, lambda: [(0.0, broken)])


def error_event(*, after: int = 5, kind: str = "overloaded_error", **when: Unpack[When]) -> Fault:
    """``event: error`` in the middle of the stream, although the status was 200; unstreamed, an error response.

    Args:
        after: Events before it.
        kind: ``error.type``.
        **when: ``at``, or ``rate`` and ``seed``.
    """
    message = "Overloaded" if kind == "overloaded_error" else "Internal server error"
    data = f'{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}'
    status = 529 if kind == "overloaded_error" else 500
    event = _ending("error_event", when, after, lambda: [(0.0, f"event: error\ndata: {data}\n\n".encode())])
    return replace(event, unstreamed=lambda: ApiError(status, message, headers=_retry(None)))


def stall(*, after: int = 5, seconds: float = 30.0, **when: Unpack[When]) -> Fault:
    """The stream falls silent; the client's read timeout strikes if it is shorter.

    Args:
        after: Events before the silence.
        seconds: How long it lasts.
        **when: ``at``, or ``rate`` and ``seed``.
    """

    def stream(chunks: Chunks) -> Chunks:
        for number, (wait, chunk) in enumerate(chunks):
            yield wait + (seconds if number == after else 0.0), chunk

    return Fault("stall", when, stream=stream)


def slow_start(*, seconds: float = 3.0, **when: Unpack[When]) -> Fault:
    """The first event comes late; ``seconds`` is how long it takes."""
    return Fault("slow_start", when, stream=stall(after=0, seconds=seconds).stream)


def refusal(*, category: Category | None = None, after: int = 0, **when: Unpack[When]) -> Fault:
    """``stop_reason: "refusal"`` with ``stop_details``.

    Args:
        category: The policy category, or ``None`` for none.
        after: Output tokens before it; 0 refuses before any output.
        **when: ``at``, or ``rate`` and ``seed``.
    """
    details = {
        "type": "refusal",
        "category": category,
        "explanation": None if category is None else f"The sandbox was told to refuse ({category}).",
    }

    def answer(reply: Reply, model: Model) -> Reply:
        return Reply(
            replies.fit(reply.content, after, model), "refusal", think=False, fields={"stop_details": details}
        )

    return Fault("refusal", when, answer=answer)


def pause_turn(**when: Unpack[When]) -> Fault:
    """``stop_reason: "pause_turn"``, with a web search under way. Send the reply back to go on; use ``at=1``."""
    content: list[Json] = [
        {"type": "text", "text": "From the sandbox: pausing in the middle of a search."},
        {"type": "server_tool_use", "name": "web_search", "input": {"query": "sandbox"}},
    ]
    return Fault("pause_turn", when, answer=lambda _reply, _model: Reply(content, "pause_turn"))


def context_window(*, after: int = 20, **when: Unpack[When]) -> Fault:
    """``stop_reason: "model_context_window_exceeded"`` after so many output tokens."""

    def answer(reply: Reply, model: Model) -> Reply:
        return Reply(replies.fit(reply.content, after, model), "model_context_window_exceeded")

    return Fault("context_window", when, answer=answer)


ALL: dict[str, Callable[..., Fault]] = {
    make.__name__: make
    for make in (
        *(
            rate_limit,
            spend_limit,
            overloaded,
            server_error,
            timeout,
            connection_refused,
            reset,
            cut,
            truncated,
        ),
        *(malformed, error_event, stall, slow_start, refusal, pause_turn, context_window),
    )
}


def read(given: Any) -> tuple[Fault, ...]:
    """Understand ``faults=``: faults, or names of them; one alone needs no list.

    Raises:
        SandboxError: Something else.
    """
    found = []
    for one in given if isinstance(given, Iterable) and not isinstance(given, str) else [given]:
        fault = ALL[one]() if isinstance(one, str) and one in ALL else one
        if not isinstance(fault, Fault):
            raise SandboxError(f"{one!r} is no fault. Use one of {', '.join(ALL)}, by name or as a call.")
        found.append(fault)
    return tuple(found)


def _is_share(rate: object) -> bool:
    return isinstance(rate, int | float) and 0 <= rate <= 1


def _retry(seconds: float | None) -> dict[str, str]:
    return {"retry-after-ms": "1"} if seconds is None else {"retry-after": f"{seconds:g}"}


def _ending(
    name: str, when: When, after: int, ending: Callable[[], list[tuple[float, bytes | Exception]]]
) -> Fault:
    def stream(chunks: Chunks) -> Chunks:
        for number, chunk in enumerate(chunks):
            if number == after:
                break
            yield chunk
        yield from ending()

    return Fault(name, when, stream=stream)
