"""The live view of one turn: the kernel sends numbered deltas, the page draws them. ``wire`` has the messages."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from claude_nb.turn import Op

from .live import LiveView
from .unheard import stop_waits
from .wire import Outbox, Page, encodable

__all__ = ["Outbox", "StreamView"]

_STATIC: Final = Path(__file__).parent / "static"


class StreamView(LiveView):
    """One turn as the page shows it while it streams.

    The view keeps what it has sent, so it answers a page that missed something by itself. No text is ever
    held in a trait: nothing of the reply is saved with the widget state of a notebook.

    Example:
        view = StreamView()
        view.on_stop(stop.set)
        view.show()
        view.push([["state", {"phase": "waiting", "text": "Waiting for the first token"}]])
        ...
        view.clear()
    """

    # Every view brings the module: one that was sent once would be missing after a reload and in front ends that give
    # each cell a frame of its own, and a busy kernel could not send it again.
    _esm = _STATIC / "stream.js"
    _css = _STATIC / "stream.css"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._q = 0
        self._page = Page()
        self._stoppers: list[Callable[[], None]] = []
        self._pacers: list[Callable[[float], None]] = []
        super().__init__()
        self.on_msg(self._on_page_message)

    def close(self) -> None:
        """End the view and leave nothing behind: nbclient stores the state even of widgets that were closed."""
        if self.comm is not None:
            layout = self.layout
            self.comm.close(data={"state": {"_esm": "", "_css": ""}})
            super().close()
            layout.close()

    def push(self, ops: list[Op]) -> None:
        """Send operations as one numbered message."""
        with self._lock:
            ops = encodable(ops)
            self._page.fold(ops)
            self._q += 1
            self.send({"q": self._q, "ops": ops})

    def snapshot(self) -> None:
        """Send everything the page should show by now; it replaces what is there."""
        with self._lock:
            self._q += 1
            self.send({"q": self._q, "snapshot": self._page.snapshot()})

    def on_stop(self, fn: Callable[[], None]) -> None:
        """Call ``fn()`` when the reader presses Stop; possibly in another thread, while the cell runs."""
        self._stoppers.append(fn)

    def on_pace(self, fn: Callable[[float], None]) -> None:
        """Call ``fn(seconds)`` when the page says how often it has time to draw."""
        self._pacers.append(fn)

    @property
    def stop_waits(self) -> bool:
        """Whether Stop was pressed and cannot be heard yet, as on ipykernel 6 while a cell runs."""
        return self.comm is not None and stop_waits(self.comm.comm_id)

    def _on_page_message(self, _: Any, content: Any, __: Any) -> None:
        match content:
            case {"want": "snapshot"}:
                self.snapshot()
            case {"do": "stop"}:
                self.send({"ack": "stop"})
                for stop in self._stoppers:
                    stop()
            case {"do": "pace", "ms": int(milliseconds)}:
                for pace in self._pacers:
                    pace(milliseconds / 1000)
