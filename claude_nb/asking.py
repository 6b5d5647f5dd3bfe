"""Asks whether a tool may run: two buttons in a notebook, the keyboard elsewhere; where nobody can answer, no."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from .screens import in_notebook

if TYPE_CHECKING:
    from .widgets.confirm import ConfirmView

_PAGE_SECONDS = (
    5.0  # until a page shows the buttons; one that has not by then cannot be heard while a cell runs
)


def ask(name: str, given: Any) -> bool:
    """Ask the user whether a call may run, and wait for the answer.

    Args:
        name: The tool.
        given: Its input, as the model wrote it.
    """
    if not in_notebook():
        return _at_keyboard(name, given)
    if not _somebody_is_there():
        return False
    with _buttons(name, given) as view:
        answer = view.wait(_PAGE_SECONDS)
    return _at_keyboard(name, given) if answer is None else answer


async def ask_async(name: str, given: Any) -> bool:
    """Do the same as :func:`ask` without holding up the event loop."""
    if not in_notebook():
        return await _at_keyboard_async(name, given)
    if not _somebody_is_there():
        return False
    with _buttons(name, given) as view:
        answer = await in_thread(view.wait, _PAGE_SECONDS)
    return await _at_keyboard_async(name, given) if answer is None else bool(answer)


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """Await a function that waits for a person; its thread holds up neither the loop nor the program's end."""
    loop, context = asyncio.get_running_loop(), copy_context()
    came: asyncio.Future[Any] = loop.create_future()

    def settle(set_it: Callable[[Any], None], value: Any) -> None:
        if not came.done():
            set_it(value)

    def run() -> None:
        try:
            outcome = came.set_result, context.run(work, *arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            outcome = came.set_exception, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name="claude_nb asking", daemon=True).start()
    return await came


@contextmanager
def _buttons(name: str, given: Any) -> Iterator["ConfirmView"]:
    """Show the question until it is answered, or until an interrupt."""
    from .widgets.confirm import ConfirmView

    view = ConfirmView(f"Run {name}?", json.dumps(given, indent=2, ensure_ascii=False))
    view.show()
    try:
        yield view
    finally:
        view.give_up()
        view.clear()


def _at_keyboard(name: str, given: Any) -> bool:
    try:
        # JSON with ASCII only: what the model wrote must not steer the terminal
        return input(f"Run {name}({json.dumps(given)})? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, OSError, NotImplementedError):
        return False
    except Exception as error:
        if type(error).__name__ == "StdinNotImplementedError":  # a kernel without a keyboard, as under nbval
            return False
        raise


async def _at_keyboard_async(name: str, given: Any) -> bool:
    if sys.stdin is not None and sys.stdin.isatty():
        return bool(await in_thread(_at_keyboard, name, given))
    return _at_keyboard(name, given)  # a pipe has its answer ready, or none


def _somebody_is_there() -> bool:
    """Whether the front end that runs the cell takes input; nbconvert and nbval do not."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", True))
