"""Where a reply is shown: a widget in a notebook, text elsewhere, nowhere on request."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from .footer import footer, footer_text, thinking_share
from .turn import Block, Chip, Op, State, block_info

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Ending:
    """How a reply ended, and what its footer is made of.

    Attributes:
        message: The SDK's ``Message``, partial ones too; None when none arrived.
        state: The last state, for the reader.
        simulated: Whether the offline sandbox replied.
        failure: What went wrong, in words; None when nothing did.
        first_token: Time to the first token in seconds, of a live reply.
        seconds: Time of the whole reply in seconds, of a live reply.
        note: What else the reader should know; empty for nothing.
    """

    message: Any
    state: State
    simulated: bool = False
    failure: str | None = None
    first_token: float | None = None
    seconds: float | None = None
    note: str = ""

    @property
    def chips(self) -> list[Chip]:
        """The footer."""
        times = {"first_token": self.first_token, "seconds": self.seconds}
        chips = footer(self.message, simulated=self.simulated, error=self.failure, **times)
        return (
            [*chips, {"kind": "note", "text": self.note, "title": "", "tone": "warn"}] if self.note else chips
        )


class Screen(Protocol):
    """What ``watch`` needs of a place to show a reply.

    Attributes:
        stop: What a Stop button calls; it may be replaced while the reply is shown.
    """

    stop: Callable[[], object]

    def stop_waits(self) -> bool:
        """Tell whether Stop was pressed where only an interrupt could arrive."""

    def begin(self) -> None:
        """Show that the reply is awaited."""

    def draw(self, ops: list[Op]) -> None:
        """Follow the reply by some display operations."""

    def end(self, blocks: list[Block], ending: Ending) -> None:
        """Show the reply as it stays."""

    def cancel(self) -> None:
        """Take everything away again: no reply began, and an error tells the rest."""


def _nothing() -> None:
    """Stop nothing."""


class Silent:
    """Shows nothing."""

    stop: Callable[[], object] = staticmethod(_nothing)

    def stop_waits(self) -> bool:
        """No button, no Stop."""
        return False

    def begin(self) -> None:
        """Show nothing."""

    def draw(self, ops: list[Op]) -> None:
        """Show nothing."""

    def end(self, blocks: list[Block], ending: Ending) -> None:
        """Show nothing."""

    def cancel(self) -> None:
        """Show nothing."""


class Terminal:
    """Prints text as it arrives; colours only on a terminal, plain text into a pipe or file."""

    stop: Callable[[], object] = staticmethod(_nothing)  # Ctrl-C stops here

    def __init__(self) -> None:
        self._out = sys.stdout
        self._dim, self._plain = ("\033[2m", "\033[0m") if self._out.isatty() else ("", "")
        self._inside, self._hidden = False, ""

    def stop_waits(self) -> bool:
        """No button, no Stop."""
        return False

    def begin(self) -> None:
        """Print nothing yet."""

    def cancel(self) -> None:
        """Print nothing more."""

    def draw(self, ops: list[Op]) -> None:
        """Print what the operations add; of the states only that another try is waited for."""
        for op in ops:
            if op[0] == "state" and op[1]["phase"] == "retrying":
                self._write(f"{self._dim}[{op[1]['text']}]{self._plain}\n")
            elif op[0] == "open":
                self._open(op[2], op[3])
            elif op[0] == "add":
                self._hidden = ""
                self._write(_printable(op[2]))
            elif op[0] == "close":
                self._close()

    def end(self, blocks: list[Block], ending: Ending) -> None:
        """Print the footer, and what went wrong if the reply failed."""
        del blocks  # they are printed already
        if self._inside:
            self._close()
        self._write(f"{self._dim}[{_printable(footer_text(ending.chips))}]{self._plain}\n")

    def _open(self, kind: str, info: dict[str, Any]) -> None:
        self._inside, self._hidden = True, "hidden by the model" if kind.endswith("thinking") else ""
        if kind != "text":
            name = f" {info['name']}" if info.get("name") else ""
            self._write(f"{self._dim}[{_printable(kind + name)}] {_printable(info.get('result', ''))}")

    def _close(self) -> None:
        self._write(f"{self._hidden}{self._plain}\n")
        self._inside = False

    def _write(self, text: str) -> None:
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        self._out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._out.flush()


class Notebook:
    """A live widget that gives way to static output, so that the saved notebook reads the same without a kernel."""

    stop: Callable[[], object] = staticmethod(_nothing)

    def __init__(self) -> None:
        from .widgets.stream import Outbox, StreamView

        self._view = StreamView()
        self._outbox = Outbox(self._view.push)
        self._view.on_pace(self._outbox.pace)

    def begin(self) -> None:
        """Show the live view, waiting."""
        self._view.on_stop(self._pressed)
        self._view.show()
        self._view.push([["state", {"phase": "waiting", "text": "Waiting for the first token"}]])

    def stop_waits(self) -> bool:
        """Ask the view."""
        return self._view.stop_waits

    def _pressed(self) -> None:
        self.stop()  # looked up when it is pressed: what Stop does changes once the reply has begun

    def cancel(self) -> None:
        """Take the live view away."""
        self._outbox.flush()
        self._view.clear()

    def draw(self, ops: list[Op]) -> None:
        """Send the operations on, a few times a second."""
        for op in ops:
            if op[0] == "add":
                self._outbox.add(op[1], op[2])
            else:
                self._outbox.put(op)

    def end(self, blocks: list[Block], ending: Ending) -> None:
        """Replace the live view by the static one."""
        from IPython.display import display

        chips, share = ending.chips, thinking_share(ending.message)
        for index in [index for index, block in enumerate(blocks) if block.type == "thinking"][:1]:
            self._outbox.put(["note", index, share])
        self._outbox.put(["state", ending.state])
        self._outbox.put(["footer", chips])
        self._outbox.flush()
        # The static view first: with the live one emptied first, the page would collapse for a frame and jump.
        saved = saved_bundle(blocks, chips, ending.state, thinking=share)
        display(saved, raw=True)  # type: ignore[no-untyped-call] # IPython's own
        self._view.clear()


def saved_bundle(
    blocks: list[Block], chips: list[Chip], state: State, *, thinking: str = ""
) -> dict[str, str]:
    """Give the static form of a reply, ``text/html`` (safe) and ``text/plain``.

    Args:
        blocks: What was said.
        chips: The footer.
        state: How it ended.
        thinking: What stands at the first thinking of the reply, see ``thinking_share``.
    """
    from .widgets.saved import static_bundle

    saved = [saved_block(block) for block in blocks]
    for block in [block for block in saved if block["type"] == "thinking"][:1]:
        block["note"] = thinking
    return static_bundle(saved, chips, state=state)


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
