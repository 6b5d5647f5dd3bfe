"""Tells what a call waits for: the connection, or the next try after a refusal. It changes nothing about the call.

The SDK retries by itself and says nothing while it sleeps, honouring any ``retry-after``; a cell can sit silent for
minutes. This middleware sees each attempt and tells whoever listens, usually the view of the reply.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import anthropic
from anthropic import Middleware

from .turn import State

_RETRIED = (408, 409, 429)
_SERVER_ERROR = 500
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 8.0  # the SDK's own, in seconds, where the server names no delay

_listener: ContextVar[Callable[[State], None] | None] = ContextVar("claude_nb_waiting", default=None)


@contextmanager
def listening(tell: Callable[[State], None]) -> Iterator[None]:
    """Call ``tell(state)`` whenever a call made inside the ``with`` begins to wait for something."""
    token = _listener.set(tell)
    try:
        yield
    finally:
        _listener.reset(token)


class Waiting(Middleware):
    """The middleware that tells; ``connect()`` installs it.

    Args:
        max_retries: How often the client tries again; after the last try there is nothing to wait for.
    """

    def __init__(self, max_retries: int) -> None:
        self._max_retries = max_retries

    def handle(self, request: Any, call_next: Any) -> Any:
        """Pass an attempt of the sync client on, and tell."""
        tell = _listener.get()
        if tell is None:
            return call_next(request)
        tell(_connecting(request.retries_taken))
        try:
            response = call_next(request)
        except anthropic.APIConnectionError as error:
            self._after_failure(tell, request, "no connection", error)
            raise
        self._after_response(tell, request, response)
        return response

    async def handle_async(self, request: Any, call_next: Any) -> Any:
        """Pass an attempt of the async client on, and tell."""
        tell = _listener.get()
        if tell is None:
            return await call_next(request)
        tell(_connecting(request.retries_taken))
        try:
            response = await call_next(request)
        except anthropic.APIConnectionError as error:
            self._after_failure(tell, request, "no connection", error)
            raise
        self._after_response(tell, request, response)
        return response

    def _after_response(self, tell: Callable[[State], None], request: Any, response: Any) -> None:
        status, headers = response.status_code, response.headers
        should = headers.get("x-should-retry")
        retried = should == "true" or (should != "false" and (status in _RETRIED or status >= _SERVER_ERROR))
        if not retried:
            tell({"phase": "waiting", "text": "Waiting for the first token"})
        elif self._goes_on(request):
            words = {429: "rate limit", 529: "overloaded"}.get(status, f"HTTP {status}")
            tell(_retrying(words, _asked_delay(headers), request.retries_taken))

    def _after_failure(
        self, tell: Callable[[State], None], request: Any, words: str, error: Exception
    ) -> None:
        if isinstance(error, anthropic.APITimeoutError):
            words = "no answer in time"
        if self._goes_on(request):
            tell(_retrying(words, None, request.retries_taken))

    def _goes_on(self, request: Any) -> bool:
        limit = request.max_retries if isinstance(request.max_retries, int) else self._max_retries
        return bool(request.retries_taken < limit)


def _connecting(retries: int) -> State:
    return {"phase": "connecting", "text": "Connecting" if not retries else f"Connecting, try {retries + 1}"}


def _retrying(words: str, delay: float | None, retries: int) -> State:
    seconds = delay if delay is not None else min(_FIRST_DELAY * 2**retries, _LONGEST_DELAY)
    when = f"in about {seconds:.0f} s" if seconds >= 1 else "at once"
    state: State = {"phase": "retrying", "text": f"{words}: trying again {when} (try {retries + 2})"}
    return state | {"seconds": seconds} if seconds >= 1 else state


def _asked_delay(headers: Any) -> float | None:
    """The delay in seconds that the server asks for, if it names one."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
    return None
