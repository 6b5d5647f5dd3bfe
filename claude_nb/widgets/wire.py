"""What the kernel tells the page, as values: operations, their fold, and an outbox that keeps them few.

A message to the page is ``{"q": n, "ops": [op, ...]}``, or ``{"q": n, "snapshot": {...}}`` which replaces
everything. The operations:

    ["open", index, type, info]    a content block begins; info is a small dict (name, id, result, ...)
    ["add", index, text]           more text, thinking or tool-input JSON for that block
    ["cite", index, {title, url}]  a source of that text block
    ["note", index, text]          a fact about that block, such as the tokens it took
    ["close", index]               the block is complete
    ["state", {phase, text, seconds}]  what is going on, see claude_nb.turn.Phase
    ["footer", [chip, ...]]        how it ended: {kind, text, title, tone}

The page answers ``{"want": "snapshot"}`` when it missed a message, ``{"do": "stop"}`` when Stop was pressed, and
``{"do": "pace", "ms": 200}`` when it cannot draw more often than that.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from claude_nb.turn import Chip, Op, State

FLUSH_SECONDS: Final = 0.05
_SLOWEST: Final = 1.0


class Outbox:
    """Collects operations and hands them on a few times a second, so that a fast stream stays cheap to show.

    Consecutive text for one block becomes one operation. Nothing waits longer than ``every``: a timer sends
    what no later operation has sent. Safe to use from several threads.

    Args:
        send: Receives the collected operations, usually ``StreamView.push``.
        every: Shortest time between two sends, in seconds.
        clock: Seconds that only go up.

    Example:
        outbox = Outbox(view.push)
        outbox.put(["open", 0, "text", {}])
        outbox.add(0, "Hello")
        outbox.flush()
    """

    def __init__(
        self,
        send: Callable[[list[Op]], None],
        *,
        every: float = FLUSH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._every = every
        self._clock = clock
        self._lock = threading.RLock()
        self._ops: list[Op] = []
        self._adding: tuple[int, list[str]] | None = None
        self._due = clock()
        self._timer: threading.Timer | None = None

    def add(self, index: int, text: str) -> None:
        """Append text to block ``index``."""
        with self._lock:
            if self._adding is not None and self._adding[0] == index:
                self._adding[1].append(text)
            else:
                self._settle()
                self._adding = (index, [text])
            self._flush_if_due()

    def put(self, op: Op) -> None:
        """Queue any other operation, in order."""
        with self._lock:
            self._settle()
            self._ops.append(op)
            self._flush_if_due()

    def pace(self, seconds: float) -> None:
        """Send only so often from now on, between the usual 0.05 and 1 s: the page draws no faster."""
        with self._lock:
            self._every = min(max(seconds, FLUSH_SECONDS), _SLOWEST)

    def flush(self) -> None:
        """Send everything collected so far, now."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._settle()
            ops, self._ops = self._ops, []
            self._due = self._clock() + self._every
            if ops:
                self._send(ops)

    def _settle(self) -> None:
        if self._adding is not None:
            index, parts = self._adding
            self._ops.append(["add", index, "".join(parts)])
            self._adding = None

    def _flush_if_due(self) -> None:
        wait = self._due - self._clock()
        if wait <= 0:
            self.flush()
        elif self._timer is None:
            self._timer = threading.Timer(wait, self.flush)
            self._timer.daemon = True
            self._timer.start()


def encodable(value: Any) -> Any:
    """The same JSON value, with halves of characters replaced: a stray one cannot be sent, and ends the turn."""
    match value:
        case str():
            return (
                value
                if value.isascii()
                else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            )
        case list():
            return [encodable(item) for item in value]
        case dict():
            return {encodable(key): encodable(item) for key, item in value.items()}
    return value


class Page:
    """What the page shows, folded from the operations sent to it."""

    def __init__(self) -> None:
        self._blocks: dict[int, dict[str, Any]] = {}
        self._state: State | None = None
        self._footer: list[Chip] = []

    def fold(self, ops: list[Op]) -> None:
        """Apply operations in order."""
        for op in ops:
            match op:
                case ["open", index, kind, info]:
                    self._blocks[index] = {
                        "index": index,
                        "type": kind,
                        "info": info,
                        "text": [],
                        "cites": [],
                        "closed": False,
                    }
                case ["add", index, text]:
                    self._blocks[index]["text"].append(text)
                case ["cite", index, source]:
                    self._blocks[index]["cites"].append(source)
                case ["note", index, text]:
                    self._blocks[index]["note"] = text
                case ["close", index]:
                    self._blocks[index]["closed"] = True
                case ["state", state]:
                    self._state = state
                case ["footer", chips]:
                    self._footer = chips
                case _:
                    raise ValueError(
                        f"not an operation of the stream view: {op!r}. See claude_nb.widgets.stream."
                    )

    def snapshot(self) -> dict[str, Any]:
        """Everything, as one JSON value."""
        blocks = [{**block, "text": "".join(block["text"])} for block in self._blocks.values()]
        return {"blocks": blocks, "state": self._state, "footer": self._footer}
