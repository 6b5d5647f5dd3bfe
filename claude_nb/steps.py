"""The steps of one ``send``: what is to be done, what can stop it, and who does it, in a thread or in an event loop."""

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from .errors import ClaudeNbError


class IncompleteReply(ClaudeNbError):  # noqa: N818 - names what came, as the field does
    """A reply ended before it was complete, and a complete one was asked for.

    Attributes:
        message: The SDK's ``Message`` as far as it came. The history keeps it too.
    """

    def __init__(self, text: str, message: Any = None) -> None:
        super().__init__(text)
        self.message = message


class LimitReached(IncompleteReply):
    """A limit in turns, seconds or USD was reached before the answer was complete."""


@dataclass(frozen=True)
class Limits:
    """How far one ``send`` may go on its own.

    Attributes:
        turns: Requests at most, the first one included.
        seconds: No further request after so many seconds, and no longer wait for tools; None for no limit.
        usd: No further request once so many USD are spent; None for no limit.

    Raises:
        ClaudeNbError: One of them is no number that can limit anything.
    """

    turns: int = 20
    seconds: float | None = None
    usd: float | None = None

    def __post_init__(self) -> None:
        for name, limit, least in (
            ("turns", self.turns, 1),
            ("seconds", self.seconds, 0),
            ("usd", self.usd, 0),
        ):
            if limit is None and name != "turns":
                continue
            if not isinstance(limit, int | float) or not limit >= least:  # NaN is neither
                raise ClaudeNbError(f"max_{name} is {limit!r}; it takes a number, {least} or more.")


@dataclass
class Ask:
    """Send this request; answer with a ``Reading``.

    Attributes:
        request: Arguments of ``client.messages.stream``.
        after: The ``Message`` that the reply goes on with, cut or paused, so that both are shown in one view.
    """

    request: dict[str, Any]
    after: Any = None


@dataclass
class Run:
    """Run these tool calls (the SDK's ``tool_use`` blocks) and put a ``tool_result`` block for each into ``results``.

    Attributes:
        calls: The calls, in the order of the reply.
        seconds: How long to wait for them at most; None for no limit.
        results: ``tool_result`` blocks by ``tool_use_id``; also those that were ready before an interrupt.
        took: Seconds that each call took, by ``tool_use_id``.
        simulated: Whether the offline sandbox made the calls; their times are then not worth telling.
    """

    calls: list[Any]
    seconds: float | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    simulated: bool = False


def drive(steps: Generator[Ask | Run, Any, Any], do: Callable[[Ask | Run], Any]) -> Any:
    """Do each step and give what the steps return; what goes wrong is raised inside them, so that they clean up."""
    try:
        step = next(steps)
        while True:
            try:
                came = do(step)
            except BaseException as error:  # noqa: BLE001 - an interrupt too; the steps raise it again
                step = steps.throw(error)
            else:
                step = steps.send(came)
    except StopIteration as end:
        return end.value


async def drive_async(
    steps: Generator[Ask | Run, Any, Any], do: Callable[[Ask | Run], Awaitable[Any]]
) -> Any:
    """Do the same as :func:`drive` in an event loop."""
    try:
        step = next(steps)
        while True:
            try:
                came = await do(step)
            except BaseException as error:  # noqa: BLE001 - a cancel too; the steps raise it again
                step = steps.throw(error)
            else:
                step = steps.send(came)
    except StopIteration as end:
        return end.value
