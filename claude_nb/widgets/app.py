"""The parts of the chat window that standard controls cannot give: what was said, where to write, what it costs.

Messages between kernel and page, beside the trait ``state`` of desk and facts:

    {"from": n, "items": [...], "root", "stamp"}  what was said, from item n on; see claude_nb.app.transcript
    {"want": "items"}                             the page lacks items
    {"want": "saved"} -> {"saved": {...}}         the notebook lacks the saved output: its MIME bundle
    {"do": name, ...}                             what the reader wants, such as {"do": "send", "text", "n"};
                                                  with {"do": "attach", "name", "more"} a piece of a file
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anywidget
import traitlets

_HERE: Final = Path(__file__).parent


class Part(anywidget.AnyWidget):
    """One part of the window.

    Args:
        part: ``"log"``, ``"desk"`` or ``"facts"``.
        do: Called with each wish of the reader, possibly in another thread.
    """

    _esm = _HERE / "app.js"
    _css = _HERE / "app.css"
    part = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, part: str, do: Callable[[dict[str, Any]], None]) -> None:
        self._do = do
        super().__init__(part=part)
        self.on_msg(self._on_page_message)
        self._let_page_speak()

    def __repr__(self) -> str:
        return f"Part({self.part!r})"

    def put(self, **state: Any) -> None:
        """Change some of the state that the page shows."""
        self.state = {**self.state, **state}

    def _on_page_message(self, _: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict):
            self._do({**content, "data": b"".join(buffers)} if buffers else content)

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers)
        self._let_page_speak()

    def _let_page_speak(self) -> None:
        with suppress(AttributeError):  # as in StreamView: Stop must not wait for a busy shell
            del self.comm._reply_subshell_id  # noqa: SLF001 - there is no public way


class Log(Part):
    """What was said. Only what has changed goes to the page."""

    def __init__(self, do: Callable[[dict[str, Any]], None]) -> None:
        self._items: list[dict[str, Any]] = []
        self._about: dict[str, Any] = {}
        super().__init__("log", do)

    def show(self, items: list[dict[str, Any]], **about: Any) -> None:
        """Show these items, as dicts with ``html`` (safe), ``place``, ``can`` and ``name``."""
        same = 0
        for old, new in zip(self._items, items, strict=False):
            if old != new:
                break
            same += 1
        self._items, self._about = items, about
        self.send({"from": same, "items": items[same:], **about})

    def again(self) -> None:
        """Send everything to a page that lacks it."""
        self.send({"from": 0, "items": self._items, **self._about})
