"""The live view of one turn: the kernel sends numbered deltas, the page draws them. ``wire`` has the messages."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anywidget

from claude_nb.turn import Op

from .unheard import stop_waits
from .wire import Outbox, Page, encodable

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

__all__ = ["Outbox", "StreamView"]

_STATIC: Final = Path(__file__).parent / "static"


class StreamView(anywidget.AnyWidget):
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

    _esm = _STATIC / "stream.js"
    _css = _STATIC / "stream.css"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._q = 0
        self._page = Page()
        self._stoppers: list[Callable[[], None]] = []
        self._handle: DisplayHandle | None = None
        super().__init__()
        self.on_msg(self._on_page_message)
        self._let_page_speak()

    def __repr__(self) -> str:
        return "StreamView()"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {mime: value for mime, value in data.items() if mime.endswith("widget-view+json")}, metadata

    def show(self) -> None:
        """Display the view in the running cell, and only the view: the saved output is a second display."""
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        self._handle = display(data, metadata=metadata, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types

    def clear(self) -> None:
        """Empty the live display and end the view, so that a notebook keeps only the saved output."""
        if self._handle is not None:
            self._handle.update({}, raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
            self._handle = None
        self.close()

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

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers)
        self._let_page_speak()

    def _let_page_speak(self) -> None:
        # ipykernel >= 7.4 delivers a comm's messages to the shell that last sent on it. While a cell streams
        # that is the busy main shell, and Stop would arrive after the end. Without this mark it is at once.
        with suppress(AttributeError):
            del self.comm._reply_subshell_id  # noqa: SLF001 - there is no public way
