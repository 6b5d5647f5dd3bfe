"""Which blocks of labels a call is made in: a call has no label rather than another's.

Blocks travel in a context variable. A task, and a thread whose context was copied, is in the blocks that were open
where it began, whatever others open meanwhile. A generator shares the context of whoever reads it, as with any context
variable of Python.

A thread that began without a context, as the workers of a ``ThreadPoolExecutor`` do, is in those blocks of the main
thread that were open when it was started and still are. Blocks of other threads are left out, since nothing tells which
thread started it; blocks of tasks, since others run while a task waits; and blocks opened after the thread began, since
a pool that lives longer may still work on something older.
"""

import asyncio
import inspect
import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import Context, ContextVar, Token, copy_context
from dataclasses import dataclass, field
from functools import wraps
from types import TracebackType
from typing import Any, TypeAlias
from warnings import warn
from weakref import WeakSet

from claude_nb.errors import LedgerError


@dataclass(eq=False, slots=True)
class Block:
    """One ``with`` of labels.

    Attributes:
        given: The labels but for the tags.
        tags: The tags.
        earlier: The threads that were there before it.
        token: What the context held before it.
        ended: It ended in another context than it began in, which still holds it.
    """

    given: Mapping[str, str]
    tags: tuple[str, ...]
    earlier: "WeakSet[threading.Thread]" = field(default_factory=lambda: WeakSet(threading.enumerate()))
    token: "Token[Blocks | None] | None" = None
    ended: bool = False


Blocks: TypeAlias = tuple[Block, ...]

_own: ContextVar[Blocks | None] = ContextVar("claude_nb_labels", default=None)
_shared: list[Block] = []
"""What the main thread, and none of its tasks, has open."""


class Labelling(AbstractContextManager[None]):
    """Labels for everything inside a ``with``, or in a function that it decorates; it warns where it is neither.

    Args:
        given: The labels but for the tags.
        tags: The tags.
    """

    def __init__(self, given: Mapping[str, str], tags: tuple[str, ...]) -> None:
        self._given, self._tags = given, tags
        self._used = False
        self._opened: list[Block] = []

    def __call__(self, function: Any) -> Any:
        """The function, labelled whenever it runs.

        Raises:
            LedgerError: It is a generator, whose body runs only when it is read.
        """
        self._used = True
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise LedgerError("A generator runs while it is read. Write with label(...): inside it instead.")
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def labelled_async(*args: Any, **kwargs: Any) -> Any:
                with Labelling(self._given, self._tags):
                    return await function(*args, **kwargs)

            return labelled_async

        @wraps(function)
        def labelled(*args: Any, **kwargs: Any) -> Any:
            with Labelling(self._given, self._tags):
                return function(*args, **kwargs)

        return labelled

    def __enter__(self) -> None:
        self._used = True
        block = Block(self._given, self._tags)
        self._opened.append(block)
        if threading.current_thread() is threading.main_thread() and not _in_task():
            _shared.append(block)
        block.token = _own.set((*_all(), block))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        own = _own.get() or ()
        block = next((one for one in reversed(own) if one in self._opened), self._opened[-1])
        self._opened.remove(block)
        if block in _shared:
            _shared.remove(block)
        rest = tuple(one for one in own if one is not block)
        try:
            _own.reset(block.token)  # type: ignore[arg-type]  # set as it was entered
        except ValueError:  # a generator that somebody else reads to its end
            block.ended = True
        if block in own and rest != (_own.get() or ()):  # generators end in any order
            _own.set(rest)

    def __repr__(self) -> str:
        return f"<labels {self._told()}: for the calls inside a with>"

    def _told(self) -> str:
        return ", ".join(
            [*(f"{name}={value!r}" for name, value in self._given.items()), f"tags={self._tags!r}"]
        )

    def __del__(self) -> None:
        if not self._used and not sys.is_finalizing():
            told = f"no call has the labels {self._told()}: write with before them, and put the calls inside."
            warn(told, stacklevel=2)


def take_root() -> None:
    """Mark the main thread's context, so that a copy of it is told from the context of a new thread."""
    if threading.current_thread() is threading.main_thread() and _own.get() is None:
        _own.set(())


def carried() -> Context:
    """A copy of this context for a thread that goes on from here: its calls have the labels of a call made here."""
    context = copy_context()
    context.run(_own.set, in_force())
    return context


def in_force() -> Blocks:
    """The blocks of a call made here and now, outermost first."""
    return tuple(block for block in _all() if not block.ended)


def _all() -> Blocks:
    own = _own.get()
    if own is not None:
        return own
    thread = threading.current_thread()
    return tuple(block for block in tuple(_shared) if thread not in block.earlier)


def _in_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


take_root()
