"""Where the checks of the exercises are kept, and what they have in common."""

from collections.abc import Callable, Iterable
from typing import Any

Check = Callable[[Any], str | None]  # gives what is missing, or None when it is right

CHECKS: dict[str, Check] = {}


def exercise(name: str) -> Callable[[Check], Check]:
    """Register a check under the name its notebook uses."""

    def register(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return register


def text_of(message: Any) -> str:
    """Give all text of a reply."""
    return "".join(block.text for block in message.content if block.type == "text")


def is_message(thing: Any) -> str | None:
    """Say what is wrong if this is no ``Message``."""
    if getattr(thing, "type", None) != "message":
        return f"a Message is expected, as watch() or create() gives it; this is {type(thing).__name__}."
    return None


def practice_client(faults: Iterable[Any] = (), **script: Any) -> tuple[Any, Callable[[], str]]:
    """Give a client on a sandbox of its own, and a way to ask how its last call ended."""
    from claude_nb.client import connect
    from claude_nb.ledger import Ledger
    from claude_nb.sandbox import Sandbox

    ledger = Ledger(":memory:")
    client = connect(sandbox=Sandbox(faults=list(faults), **script), ledger=ledger, quiet=True)
    return client, lambda: str(ledger.frame().iloc[-1].outcome) if len(ledger.frame()) else "none"
