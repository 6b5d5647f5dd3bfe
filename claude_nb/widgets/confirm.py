"""A question in the cell with two buttons: may this tool run?

Messages between kernel and page:

    {"want": "question"} -> {"question": {"title", "text"}}  the page is there, so answers will arrive
    {"do": "allow"}, {"do": "refuse"}                        the reader has decided
"""

import threading
from pathlib import Path
from typing import Any, Final

from .live import LiveView
from .wire import encodable

_HERE: Final = Path(__file__).parent
_TICK: Final = 0.1  # seconds


class ConfirmView(LiveView):
    """Asks once; the answer may come in another thread while the cell runs.

    Args:
        title: What is asked, in one line.
        text: What the reader has to judge, shown as it is.
    """

    _esm = _HERE / "confirm.js"
    _css = _HERE / "confirm.css"

    def __init__(self, title: str, text: str) -> None:
        self._question = encodable({"title": title, "text": text})
        self._seen, self._decided = threading.Event(), threading.Event()
        self._allowed = False
        super().__init__()
        self.on_msg(self._on_page_message)

    def wait(self, seconds: float) -> bool | None:
        """Wait for the reader's decision; None where no page has shown the question within so many seconds."""
        if not self._seen.wait(seconds):
            return None
        while not self._decided.wait(_TICK):
            pass  # in short waits, which an interrupt can end on every system
        return self._allowed

    def give_up(self) -> None:
        """Let ``wait`` return: nobody needs the answer any more."""
        self._seen.set()
        self._decided.set()

    def _on_page_message(self, _: Any, content: Any, __: Any) -> None:
        match content:
            case {"want": "question"}:
                self.send({"question": self._question})
                self._seen.set()
            case {"do": "allow" | "refuse" as answer} if not self._decided.is_set():
                self._allowed = answer == "allow"
                self._decided.set()
