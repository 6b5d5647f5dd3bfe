"""Where a reply is shown from before its request is sent, and how an answer of several replies stays one view."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .join import added, certain, joined, seam
from .screens import Ending, Screen, Silent, screen_here
from .turn import Block, Op
from .waiting import listening


def begun(*, display: bool) -> Screen:
    """Give the screen that fits here, already showing that a reply is awaited."""
    screen = screen_here() if display else Silent()
    screen.begin()
    return screen


@contextmanager
def awaiting(*, display: bool = True) -> Iterator[Screen]:
    """Show that a reply is awaited, from before its request is sent; the screen is for ``read(..., screen=...)``.

    Inside the ``with`` the screen follows what the call waits for: the connection, or the next try. Stop interrupts
    the waiting as the kernel's own interrupt does. Where no reply begins, the screen is taken away again.
    """
    screen = begun(display=display)
    try:
        with _following(screen):
            yield screen
    except BaseException:
        screen.cancel()
        raise


class Showing:
    """Shows the replies of one answer: those that go on with one another in one view, every other in its own.

    Args:
        display: False shows nothing.

    Example:
        >>> showing = Showing()
        >>> with showing.reply() as screen, client.messages.stream(**request) as stream:
        ...     first = read(stream, screen=screen)
        >>> with showing.reply(after=first.message) as screen, client.messages.stream(**more) as stream:
        ...     second = read(stream, screen=screen)
        >>> showing.settle()
    """

    def __init__(self, *, display: bool = True) -> None:
        self._display = display
        self._answer: _Answer | None = None

    @contextmanager
    def reply(self, *, after: Any = None) -> Iterator[Screen]:
        """Show that a reply is awaited, as :func:`awaiting` does.

        Args:
            after: The SDK's ``Message`` that the reply goes on with: where it was cut its text grows on, and what
                the reply repeats of it is left out; where it was paused the new blocks follow. None for a reply
                that stands for itself.
        """
        if after is None or self._answer is None:
            self.settle()
            self._answer = _Answer(begun(display=self._display))
        answer = self._answer
        answer.go_on(cut=after is not None and after.stop_reason != "pause_turn")
        try:
            with _following(answer):
                yield answer
        except BaseException:
            self.settle()
            raise

    def settle(self) -> None:
        """Let what is shown stay as it is; the next reply gets a view of its own. Nothing is shown: does nothing."""
        if self._answer is not None:
            answer, self._answer = self._answer, None
            answer.settle()


@contextmanager
def _following(screen: Screen) -> Iterator[None]:
    """Let the screen follow what a call waits for, and its Stop interrupt the waiting."""
    screen.stop = _interrupt
    with listening(lambda state: screen.draw([["state", state]])):
        yield


def _interrupt() -> None:
    """Wake the main thread from the SDK's sleep between two tries."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class _Answer:
    """The replies of one answer on one screen; each of them sees it as a screen of its own."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._blocks: list[Block] = []
        self._endings: list[Ending] = []
        self._onto: int | None = None  # the text block that this reply goes on with
        self._first: int | None = 0  # the first block of this reply that is shown; None until it has begun
        self._seam = _Seam("")
        self._held: list[Op] = []  # the closing of blocks at the end: their text may go on

    @property
    def stop(self) -> Callable[[], object]:
        return self._screen.stop

    @stop.setter
    def stop(self, stop: Callable[[], object]) -> None:
        self._screen.stop = stop

    def stop_waits(self) -> bool:
        return self._screen.stop_waits()

    def begin(self) -> None:
        """Show nothing new: the view is there."""

    def cancel(self) -> None:
        """Take nothing away: that is for ``settle``."""

    def go_on(self, *, cut: bool) -> None:
        """Expect another reply, which goes on with the last text if that was cut."""
        self._onto = _last_text(self._blocks) if cut else None
        self._first = 0 if self._onto is None else None
        if self._onto is not None:
            self._seam = _Seam(self._blocks[self._onto].text)

    def draw(self, ops: list[Op]) -> None:
        for op in ops:
            if op[0] == "state":
                self._screen.draw([op])
            elif self._first is not None:
                at = len(self._blocks) if self._onto is None else self._onto
                self._place([op[0], op[1] - self._first + at, *op[2:]])
            elif op[0] == "open":
                self._begin_onward(op)

    def _begin_onward(self, op: Op) -> None:
        """Go on with the cut text, or behind it; what was thought in between is left out."""
        _, index, kind, _ = op
        if kind == "text":
            self._first = index
            self._held = [held for held in self._held if held != ["close", self._onto]]
        elif not kind.endswith("thinking"):
            self._first, self._onto = index, None
            self.draw([op])

    def _place(self, op: Op) -> None:
        name, index = op[:2]
        ops = [op]
        if index == self._onto and name in ("add", "close"):
            more = self._seam.add(op[2]) if name == "add" else self._seam.end()
            ops = [["add", index, more]] if more else []
            ops += [op] if name == "close" else []
        for each in ops:
            if name == "close" and each is op:
                self._held.append(op)
            else:
                self._screen.draw([*self._held, each])
                self._held = []

    def end(self, blocks: list[Block], ending: Ending) -> None:
        shown = blocks[self._first :] if self._first is not None else []
        if self._onto is not None and shown:
            shown[0] = _continued(self._blocks[self._onto], shown[0])
            self._blocks = self._blocks[: self._onto]
        self._blocks = self._blocks + shown
        self._endings.append(ending)

    def settle(self) -> None:
        """Show the replies as they stay; where none began take the view away."""
        if not self._endings:
            self._screen.cancel()
            return
        self._screen.draw(self._held)
        first, last = self._endings[0], self._endings[-1]
        message = joined([ending.message for ending in self._endings if ending.message is not None])
        seconds = [ending.seconds for ending in self._endings if ending.seconds is not None]
        whole = replace(last, message=message, first_token=first.first_token, seconds=sum(seconds) or None)
        self._screen.end(self._blocks, whole)


class _Seam:
    """What a continuation adds to the text it goes on with, while it arrives."""

    def __init__(self, before: str) -> None:
        self._before = before
        self._start: str | None = ""  # held back until it is certain what of it is repetition

    def add(self, text: str) -> str:
        if self._start is None:
            return text
        self._start += text
        return self.end() if certain(self._before, self._start) else ""

    def end(self) -> str:
        start, self._start = self._start, None
        return added(self._before, start) if start else ""


def _last_text(blocks: list[Block]) -> int | None:
    return max((index for index, block in enumerate(blocks) if block.type == "text"), default=None)


def _continued(before: Block, after: Block) -> Block:
    citations = before.citations + after.citations
    return replace(after, pieces=[seam(before.text, after.text)], citations=citations)
