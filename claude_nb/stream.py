"""Shows an SDK stream as it arrives and gives back the SDK's own ``Message``.

Interrupting is normal here: Stop, a kernel interrupt, a lost connection or an error event leave the partial text
on screen, marked, and the connection closed. A stop by the button returns the partial message (its
``stop_reason`` is None); everything else raises what the SDK or Python raised.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import httpx2

from .errors import BadStream, NotAStream, StreamConsumed
from .models import SANDBOX_HEADER
from .outcome import INTERRUPTED, in_words
from .screens import Ending, Screen
from .showing import awaiting, begun
from .turn import State, Turn

_SENT: WeakSet[Any] = WeakSet()  # what client.messages.stream(...) gave and was opened here

__all__ = ["Reading", "awaiting", "read", "read_async", "watch", "watch_async"]


def watch(stream: Any, *, display: bool = True) -> Any:
    """Show a stream as it arrives, then give the finished ``Message``.

    In a notebook it is a live view with a Stop button that gives way to static output; elsewhere plain text.

    Args:
        stream: What ``client.messages.stream(...)`` gives, opened by ``with`` or not, a
            ``client.messages.create(..., stream=True)``, or the same of ``client.beta``.
        display: False shows nothing and only reads the stream.

    Returns:
        The SDK's ``Message``. After Stop its ``stop_reason`` is None and its text is partial.

    Raises:
        NotAStream: Something else was given.
        StreamConsumed: The stream was read or closed before.
        BadStream: The server's answer is no stream of messages.
        anthropic.APIError, httpx2.HTTPError, ValueError: What the SDK raised on the way, ``ValueError`` for damaged
            data; the partial text stays on screen.

    Example:
        >>> with client.messages.stream(model=MODEL, max_tokens=500, messages=messages) as stream:
        ...     message = watch(stream)
    """
    reading = read(stream, display=display)
    if reading.error is not None:
        raise reading.error
    return reading.message


async def watch_async(stream: Any, *, display: bool = True) -> Any:
    """Show a stream of the async client as it arrives, then give the finished ``Message``.

    Arguments, result and errors are those of :func:`watch`.
    """
    reading = await read_async(stream, display=display)
    if reading.error is not None:
        raise reading.error
    return reading.message


@dataclass
class Reading:
    """What came of reading a stream.

    Attributes:
        message: The SDK's ``Message``, partial when it was cut; None when none began.
        error: What is to be raised, or None. A Stop by the button is no error.
        simulated: Whether the offline sandbox replied, not a model.
    """

    message: Any
    error: BaseException | None
    simulated: bool


def read(stream: Any, *, display: bool = True, screen: Screen | None = None) -> Reading:
    """Read a stream to its end, showing it, and give message and error instead of raising.

    Raises:
        NotAStream: Something else than a stream of the sync client was given.
        StreamConsumed: The stream was begun by an earlier call.
    """
    import anthropic
    from anthropic.lib.streaming import BetaMessageStream, BetaMessageStreamManager

    if isinstance(stream, anthropic.MessageStreamManager | BetaMessageStreamManager):
        _refuse_twice(stream)
        with stream as opened:
            _SENT.add(stream)  # one whose request failed may be tried again
            return read(opened, display=display, screen=screen)
    if isinstance(stream, anthropic.Stream):
        stream = anthropic.MessageStream(stream, output_format=anthropic.NOT_GIVEN)
    if not isinstance(stream, anthropic.MessageStream | BetaMessageStream):
        raise NotAStream(_not_a_stream(stream))
    watching = _Watching(stream, screen or begun(display=display))
    try:
        watching.begin(lambda: hang_up(stream.response))
        for event in stream:
            watching.see(event)
            if watching.stopped:
                break
    except BaseException as error:  # noqa: BLE001 - an interrupt keeps the partial reply, then goes on
        watching.fail(error)
    finally:
        stream.close()
    return watching.end()


async def read_async(stream: Any, *, display: bool = True, screen: Screen | None = None) -> Reading:
    """Read a stream of the async client to its end, as :func:`read` does."""
    import anthropic
    from anthropic.lib.streaming import BetaAsyncMessageStream, BetaAsyncMessageStreamManager

    if isinstance(stream, anthropic.AsyncMessageStreamManager | BetaAsyncMessageStreamManager):
        _refuse_twice(stream)
        _SENT.add(stream)  # its request is a coroutine, so a failed one cannot be tried again either
        async with stream as opened:
            return await read_async(opened, display=display, screen=screen)
    if isinstance(stream, anthropic.AsyncStream):
        stream = anthropic.AsyncMessageStream(stream, output_format=anthropic.NOT_GIVEN)
    if not isinstance(stream, anthropic.AsyncMessageStream | BetaAsyncMessageStream):
        raise NotAStream(_not_a_stream(stream))
    watching = _Watching(stream, screen or begun(display=display))
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    try:
        watching.begin(lambda: loop.call_soon_threadsafe(task.cancel) if task else None)
        async for event in stream:
            watching.see(event)
            if watching.stopped:
                break
    except BaseException as error:  # noqa: BLE001 - a cancelled task keeps the partial reply, then goes on
        watching.fail(error)
        if watching.stopped and task and isinstance(error, asyncio.CancelledError):
            task.uncancel()
    finally:
        await stream.close()
    return watching.end()


class _Watching:
    """One stream being shown: what the sync and the async loop have in common."""

    def __init__(self, stream: Any, screen: Screen) -> None:
        self.stopped = False
        self.error: BaseException | None = None
        self._stream, self._screen, self._turn = stream, screen, Turn()
        self._before = self._snapshot()
        self._consumed = stream.response.is_stream_consumed
        self._fresh = True
        self._began = time.monotonic()
        self._first_token: float | None = None

    def begin(self, close: Callable[[], object]) -> None:
        def stop() -> None:
            self.stopped = True
            close()

        self._screen.stop = stop
        if self._before is not None:
            self._screen.draw(self._turn.seed(self._before))

    def see(self, event: Any) -> None:
        self._fresh = False
        ops = self._turn.fold(event)
        if ops:
            if self._first_token is None:
                self._first_token = time.monotonic() - self._began
            self._screen.draw(ops)

    def fail(self, error: BaseException) -> None:
        self.error = error
        interrupted = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
        if interrupted and not self.stopped and self._screen.stop_waits():
            self.stopped, self.error = True, None

    def end(self) -> Reading:
        message = self._snapshot()
        if self.stopped and not isinstance(self.error, KeyboardInterrupt):
            self.error = None  # closing the connection makes the reader fail; that was wanted
        else:
            self.error = self._explained(message)
        interrupted = isinstance(self.error, KeyboardInterrupt | asyncio.CancelledError)
        failure = in_words(self.error) if self.error and not interrupted else None
        simulated = SANDBOX_HEADER in self._stream.response.headers
        state: State = {"phase": "done", "text": "Done"}
        if failure:
            state = {"phase": "failed", "text": failure}
        elif message is None or message.stop_reason is None:
            state = {"phase": "interrupted", "text": INTERRUPTED.label}
        first, seconds = (None, None) if simulated else (self._first_token, time.monotonic() - self._began)
        answers = self._turn.answers
        note = (
            f"The server sent {answers} replies as one: they stand here one after the other."
            if answers > 1
            else ""
        )
        self._screen.end(self._turn.blocks, Ending(message, state, simulated, failure, first, seconds, note))
        return Reading(message, self.error, simulated)

    def _snapshot(self) -> Any:
        try:
            return self._stream.current_message_snapshot
        except AssertionError:  # the SDK's way to say that no message_start has come
            return None

    def _explained(self, message: Any) -> BaseException | None:
        """Give the error to raise, where the SDK says it badly or not at all."""
        closed = isinstance(self.error, httpx2.StreamError)
        if closed or (self.error is None and self._fresh and (self._before is not None or self._consumed)):
            error: Exception = StreamConsumed(
                "this stream was read or closed before, and a stream can be read once. Make a new call, and pass "
                "its stream to watch() inside the with block."
            )
        elif self.error is None and message is None:
            response = self._stream.response
            kind = response.headers.get("content-type", "no content type")
            error = BadStream(
                f"{response.request.url.host} answered the stream request with {kind} and no message in it. "
                "Check base_url: the server may not speak the Messages API, or not stream it."
            )
        else:
            return self.error
        error.__cause__ = self.error
        return error


def _refuse_twice(manager: Any) -> None:
    """Refuse a ``client.messages.stream(...)`` that was watched before; the SDK would send its request again."""
    if manager in _SENT:
        raise StreamConsumed(
            "this stream was begun before, and a stream can be read once. For another reply make a new call: "
            "watch(client.messages.stream(...))."
        )


def hang_up(response: Any) -> None:
    """Close a connection from another thread, so that whoever waits for a silent server's next byte wakes up."""
    network = response.extensions.get("network_stream")
    wire = network.get_extra_info("socket") if network is not None else None
    with suppress(OSError):
        if isinstance(
            wire, socket.socket
        ):  # not wire.shutdown: SSL's takes the encryption from under the reader
            socket.socket.shutdown(wire, socket.SHUT_RDWR)
    response.close()


def _not_a_stream(thing: Any) -> str:
    kind = type(thing).__name__
    if "Async" in kind:
        return f"{kind} belongs to the async client: use await watch_async(stream)."
    if kind in (
        "MessageStream",
        "MessageStreamManager",
        "Stream",
        "BetaMessageStream",
        "BetaMessageStreamManager",
    ):
        return f"{kind} belongs to the sync client: use watch(stream)."
    if hasattr(thing, "stop_reason"):
        return (
            f"watch() takes a stream, and this {kind} is complete already. Use show(message) to look at it."
        )
    return f"watch() takes a stream, not {kind}. Write: with client.messages.stream(...) as stream: watch(stream)"
