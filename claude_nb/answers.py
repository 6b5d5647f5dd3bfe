"""Several requests answered at the same time, each answer with its times, its price and what went wrong."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from .bill import cost_of
from .columns import Columns
from .errors import BadStream
from .footer import footer
from .ledger.blocks import carried
from .models import SANDBOX_HEADER
from .outcome import INTERRUPTED, in_words
from .servers import checked, streaming, streaming_async
from .stream import Reading, hang_up
from .turn import Block, Chip, State, Turn
from .waiting import listening

_AT_ONCE = 8
_GRACE = 2.0  # seconds for the streams to end after an interrupt

Asked = tuple[str, dict[str, Any]]
"""What is asked: its label, and the arguments of ``client.messages.stream``."""


@dataclass(frozen=True)
class Answer:
    """One of the answers compared.

    Attributes:
        label: What is different about it: the model, or the prompt.
        message: The SDK's ``Message``; None when none came.
        error: What went wrong, in one line; None when nothing did.
        first_token: Seconds to the first token; None in the sandbox and where none came.
        seconds: Seconds in all; None in the sandbox.
        simulated: Whether the sandbox answered.
        blocks: Its content blocks, as they are shown.
    """

    label: str
    message: Any = None
    error: str | None = None
    first_token: float | None = None
    seconds: float | None = None
    simulated: bool = False
    blocks: Sequence[Block] = field(default=(), repr=False)

    @property
    def cost_usd(self) -> Decimal | None:
        """The price in USD; None where it is unknown, as for a reply that was cut on its way."""
        return cost_of(self.message)


class Interrupted(KeyboardInterrupt):
    """An interrupt while several requests were answered.

    Attributes:
        answers: What had come by then, whole or cut, in order.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__("interrupted; what had come is in error.answers")
        self.answers = tuple(answers)


def ask_all(
    client: Any, asked: Sequence[Asked], *, display: bool = False, **options: Any
) -> tuple[Answer, ...]:
    """Give an answer for each label and request, a few at the same time; what fails is an answer with the reason.

    Args:
        client: A sync client.
        asked: The labels and requests.
        display: Whether they are shown in columns while they stream.
        **options: Further arguments of every request.

    Raises:
        Interrupted: The kernel was interrupted; it has the answers as far as they came.
    """
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="claude_nb compare")
    with Columns([label for label, _ in asked], display=display) as columns:
        clocks = [_Clock(label, columns, place) for place, (label, _) in enumerate(asked)]
        try:
            answers = [
                pool.submit(carried().run, _ask, client, clock, {**request, **options})
                for clock, (_, request) in zip(clocks, asked, strict=True)
            ]
            return tuple(answer.result() for answer in answers)
        except KeyboardInterrupt:
            for clock, answer in zip(clocks, answers, strict=True):
                answer.cancel()
                clock.stop()
            came = wait([answer for answer in answers if not answer.cancelled()], timeout=_GRACE).done
            raise Interrupted([answer.result() for answer in answers if answer in came]) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupt waits for nobody


async def ask_all_async(
    client: Any, asked: Sequence[Asked], *, display: bool = False, **options: Any
) -> tuple[Answer, ...]:
    """Do the same as :func:`ask_all` with an async client."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(columns: Columns, place: int) -> Answer:
        label, request = asked[place]
        async with free:
            return await _ask_async(client, _Clock(label, columns, place), {**request, **options})

    with Columns([label for label, _ in asked], display=display) as columns:
        return tuple(await asyncio.gather(*(one(columns, place) for place in range(len(asked)))))


def chips_of(answer: Answer) -> list[Chip]:
    """Give the footer of an answer."""
    times = {"first_token": answer.first_token, "seconds": answer.seconds}
    return footer(answer.message, simulated=answer.simulated, error=answer.error, **times)


class _Clock:
    """Follows one stream: when its first token came, and when it ended."""

    def __init__(self, label: str, columns: Columns, place: int) -> None:
        self.stopped = False
        self._hang_up: Callable[[], object] = lambda: None
        self._label, self._turn = label, Turn()
        self._columns, self._place = columns, place
        self._began = time.monotonic()
        self._first: float | None = None

    def begin(self, stop: Callable[[], object]) -> None:
        """Let the Stop of this column end its stream."""
        self._hang_up = stop
        self._columns.on_stop(self._place, self.stop)
        if self.stopped:
            stop()

    def stop(self) -> None:
        """End the stream; what came stays."""
        self.stopped = True
        self._hang_up()

    def tell(self, state: State) -> None:
        """Show what is waited for."""
        self._columns.draw(self._place, [["state", state]])

    def see(self, event: Any) -> None:
        ops = self._turn.fold(event)
        if ops and self._first is None:
            self._first = time.monotonic() - self._began
        self._columns.draw(self._place, ops)

    def answer(self, stream: Any, error: BaseException | None) -> Answer:
        answer = self._answer(stream, None if self.stopped else error)
        if self.stopped and answer.message is None:
            answer = replace(answer, error="stopped before it began")
        state: State = {"phase": "done", "text": "Done"}
        if answer.error:
            state = {"phase": "failed", "text": answer.error}
        elif answer.message.stop_reason is None:
            state = {"phase": "interrupted", "text": INTERRUPTED.label}
        self._columns.end(self._place, chips_of(answer), state)
        return answer

    def _answer(self, stream: Any, error: BaseException | None) -> Answer:
        reading = Reading(None, error, simulated=False)
        if stream is not None:
            reading = checked(_reading(stream, error), stream.response.request.url.host)
        said = in_words(reading.error) if reading.error is not None else None
        answer = Answer(
            self._label, reading.message, said, simulated=reading.simulated, blocks=self._turn.blocks
        )
        if reading.simulated:
            return answer
        return replace(answer, first_token=self._first, seconds=time.monotonic() - self._began)


def _reading(stream: Any, error: BaseException | None) -> Reading:
    simulated = SANDBOX_HEADER in stream.response.headers
    try:
        return Reading(stream.current_message_snapshot, error, simulated)
    except AssertionError:  # the SDK's way to say that no message began
        host, kind = (
            stream.response.request.url.host,
            stream.response.headers.get("content-type", "no content type"),
        )
        named = BadStream(
            f"{host} answered the stream request with {kind} and no message in it. Check base_url."
        )
        return Reading(None, error or named, simulated)


def _ask(client: Any, clock: _Clock, request: dict[str, Any]) -> Answer:
    stream = None
    try:
        with listening(clock.tell), streaming(client, request) as stream:
            response = stream.response
            clock.begin(lambda: hang_up(response))
            for event in stream:
                clock.see(event)
                if clock.stopped:
                    break
    except Exception as error:  # noqa: BLE001 - it stands in its column
        return clock.answer(stream, error)
    return clock.answer(stream, None)


async def _ask_async(client: Any, clock: _Clock, request: dict[str, Any]) -> Answer:
    stream = None
    try:
        with listening(clock.tell):
            async with streaming_async(client, request) as stream:
                clock.begin(lambda: None)  # seen at the next event
                async for event in stream:
                    clock.see(event)
                    if clock.stopped:
                        break
    except Exception as error:  # noqa: BLE001 - it stands in its column
        return clock.answer(stream, error)
    return clock.answer(stream, None)
