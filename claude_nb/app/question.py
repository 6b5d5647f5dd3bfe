"""Asks in the window whether a tool may run."""

from collections.abc import Callable
from threading import Event
from typing import Any

from claude_nb.attach import text
from claude_nb.widgets.blocks import indent_json


class Question:
    """One question at a time, answered by a button.

    Args:
        show: Called with what the page is to ask, and with None when it is answered.
    """

    def __init__(self, show: Callable[[dict[str, Any] | None], None]) -> None:
        self._show = show
        self._count = 0
        self._yes = False
        self._answered: Event | None = None

    def ask(self, name: str, given: dict[str, Any]) -> bool:
        """Ask, and wait for the answer."""
        self._yes, self._answered = False, (answered := Event())
        self._count += 1
        self._show({"n": self._count, "name": name, "input": indent_json(text(given))})
        answered.wait()
        self._show(None)
        return self._yes

    def settle(self, *, yes: bool) -> None:
        """Answer the open question; without one nothing happens."""
        answered, self._answered = self._answered, None
        if answered is not None:
            self._yes = yes
            answered.set()
