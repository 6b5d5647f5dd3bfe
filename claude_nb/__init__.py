"""Claude in a notebook: replies that stream, conversations that stay valid, every token accounted for.

Nothing heavy is imported until it is used:

    from claude_nb import connect, watch, MODEL

    client = connect()  # live with a key, otherwise the offline sandbox
    with client.messages.stream(
        model=MODEL, max_tokens=500, messages=[{"role": "user", "content": "Hello"}]
    ) as stream:
        message = watch(stream)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import plots
    from .anatomy import show
    from .chat import Chat
    from .client import connect, connect_async
    from .comparison import acompare, compare
    from .extract import aextract_many, extract_many
    from .history import History
    from .ledger import Budget, Ledger
    from .models import MODEL
    from .sandbox import Sandbox
    from .stream import watch, watch_async
    from .tools import tool

__version__ = "0.1.0"

__all__ = [
    "MODEL",
    "Budget",
    "Chat",
    "History",
    "Ledger",
    "Sandbox",
    "acompare",
    "aextract_many",
    "compare",
    "connect",
    "connect_async",
    "extract_many",
    "plots",
    "show",
    "tool",
    "watch",
    "watch_async",
]

_ROOMS = {
    "MODEL": "models",
    "Budget": "ledger",
    "Chat": "chat",
    "History": "history",
    "Ledger": "ledger",
    "Sandbox": "sandbox",
    "acompare": "comparison",
    "aextract_many": "extract",
    "compare": "comparison",
    "connect": "client",
    "connect_async": "client",
    "extract_many": "extract",
    "show": "anatomy",
    "tool": "tools",
    "watch": "stream",
    "watch_async": "stream",
}


def __getattr__(name: str) -> Any:
    if name == "plots":
        return import_module(".plots", __name__)
    if name in _ROOMS:
        value = getattr(import_module(f".{_ROOMS[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """Make ``%%claude`` and ``%claude`` known: IPython calls this for ``%load_ext claude_nb``."""
    from .magics import load_ipython_extension as load

    load(shell)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
