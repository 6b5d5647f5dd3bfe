"""Where a reply is shown: a widget in a notebook, text elsewhere, nowhere on request."""

import re
import sys
from collections.abc import Callable
from typing import Any, Protocol

from .footer import footer_text
from .turn import Block, Chip, Op, State, block_info

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Screen(Protocol):
    """What ``watch`` needs of a place to show a reply."""

    def begin(self, stop: Callable[[], None]) -> None:
        """Show that the reply is awaited; ``stop`` is what a Stop button calls."""

    def draw(self, ops: list[Op]) -> None:
        """Follow the reply by some display operations."""

    def end(self, blocks: list[Block], chips: list[Chip], state: State) -> None:
        """Show the reply as it stays."""


class Silent:
    """Shows nothing."""

    def begin(self, stop: Callable[[], None]) -> None:
        """Show nothing."""

    def draw(self, ops: list[Op]) -> None:
        """Show nothing."""

    def end(self, blocks: list[Block], chips: list[Chip], state: State) -> None:
        """Show nothing."""


class Terminal:
    """Prints text as it arrives; colours only on a terminal, plain text into a pipe or file."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._dim, self._plain = ("\033[2m", "\033[0m") if self._out.isatty() else ("", "")
        self._inside, self._hidden = False, ""

    def begin(self, stop: Callable[[], None]) -> None:
        """Print nothing yet."""

    def draw(self, ops: list[Op]) -> None:
        """Print what the operations add."""
        for op in ops:
            if op[0] == "open":
                self._open(op[2], op[3])
            elif op[0] == "add":
                self._hidden = ""
                self._write(_printable(op[2]))
            elif op[0] == "close":
                self._close()

    def end(self, blocks: list[Block], chips: list[Chip], state: State) -> None:
        """Print the footer, and what went wrong if the reply failed."""
        del blocks, state  # both are printed already, or said in the footer
        if self._inside:
            self._close()
        self._write(f"{self._dim}[{_printable(footer_text(chips))}]{self._plain}\n")

    def _open(self, kind: str, info: dict[str, Any]) -> None:
        self._inside, self._hidden = True, "hidden by the model" if kind.endswith("thinking") else ""
        if kind != "text":
            name = f" {info['name']}" if info.get("name") else ""
            self._write(f"{self._dim}[{_printable(kind + name)}] {_printable(info.get('result', ''))}")

    def _close(self) -> None:
        self._write(f"{self._hidden}{self._plain}\n")
        self._inside = False

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class Notebook:
    """A live widget that gives way to static output, so that the saved notebook reads the same without a kernel."""

    def __init__(self) -> None:
        from .widgets.stream import Outbox, StreamView

        self._view = StreamView()
        self._outbox = Outbox(self._view.push)

    def begin(self, stop: Callable[[], None]) -> None:
        """Show the live view, waiting."""
        self._view.on_stop(stop)
        self._view.show()
        self._view.push([["state", {"phase": "waiting", "text": "Waiting for the first token"}]])

    def draw(self, ops: list[Op]) -> None:
        """Send the operations on, a few times a second."""
        for op in ops:
            if op[0] == "add":
                self._outbox.add(op[1], op[2])
            else:
                self._outbox.put(op)

    def end(self, blocks: list[Block], chips: list[Chip], state: State) -> None:
        """Replace the live view by the static one."""
        from IPython.display import display

        self._outbox.put(["state", state])
        self._outbox.put(["footer", chips])
        self._outbox.flush()
        # The static view first: with the live one emptied first, the page would collapse for a frame and jump.
        display(saved_bundle(blocks, chips, state), raw=True)  # type: ignore[no-untyped-call] # IPython's own
        self._view.clear()


def saved_bundle(blocks: list[Block], chips: list[Chip], state: State) -> dict[str, str]:
    """Give the static form of a reply, ``text/html`` (safe) and ``text/plain``."""
    from .widgets.saved import static_bundle

    return static_bundle([saved_block(block) for block in blocks], chips, state=state)


def saved_block(block: Block) -> dict[str, Any]:
    """Give one block as the static view takes it."""
    data = {**block_info(block.start), "type": block.type, "text": block.text, "done": block.done}
    if block.type.endswith("tool_use"):
        data["input"] = block.text
    if block.citations:
        data["citations"] = block.citations
    return data


def screen_here() -> Screen:
    """Give the screen that fits where the code runs."""
    return Notebook() if in_notebook() else Terminal()


def in_notebook() -> bool:
    """Tell whether a Jupyter kernel runs this code (not plain Python, not IPython in a terminal)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def _printable(text: str) -> str:
    """Model text must not steer the terminal: control characters are shown, not obeyed."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
