"""Which blocks of labels a call is made in: a call has no label rather than another's.

Blocks travel in a context variable. A task, and a thread whose context was copied, is in the blocks that were open
where it began, whatever others open meanwhile.

A thread that began without a context, as the workers of a ``ThreadPoolExecutor`` do, is in those blocks of the main
thread that were open when it was started and still are, since what runs inside them started it (or another thread did,
which nothing tells). Three kinds are left out, where strangers are more likely: blocks opened in another thread, blocks
in a coroutine or a generator (others run while it waits), and blocks opened after the thread began (a pool that lives
longer may still work on something older).

A generator shares its context with whoever reads it; while it waits at a ``yield``, its blocks are not the reader's.
They are those of what is started with a copy of the context meanwhile, since the generator may have started it.
"""

import asyncio
import contextlib
import inspect
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context, ContextVar, Token, copy_context
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, TypeAlias
from warnings import warn
from weakref import WeakSet

_PAUSES = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_WAITS = _PAUSES | inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE


@dataclass(eq=False, slots=True)
class Block:
    """One ``with`` of labels.

    Attributes:
        given: The labels but for the tags.
        tags: The tags.
        generator: The generator it stands in, until it ends.
        flow: The thread and task that opened it.
        earlier: The threads that were there before it.
        ended: It ended in another context than it began in, which still holds it.
    """

    given: Mapping[str, str]
    tags: tuple[str, ...]
    generator: FrameType | None
    flow: tuple[int, int]
    earlier: "WeakSet[threading.Thread]" = field(default_factory=lambda: WeakSet(threading.enumerate()))
    ended: bool = False


Blocks: TypeAlias = tuple[Block, ...]

_own: ContextVar[Blocks | None] = ContextVar("claude_nb_labels", default=None)
_shared: list[Block] = []
"""What the main thread has open and the threads started in it are in."""


class Labelling(AbstractContextManager[None]):
    """Labels for everything inside a ``with``, or in a function that it decorates; it warns where it is neither.

    Args:
        given: The labels but for the tags.
        tags: The tags.
    """

    def __init__(self, given: Mapping[str, str], tags: tuple[str, ...]) -> None:
        self._used = False
        self._told = ", ".join([*(f"{name}={value!r}" for name, value in given.items()), f"tags={tags!r}"])
        self._opened = _opened(given, tags)

    def __call__(self, function: Any) -> Any:
        """The function, labelled whenever it runs."""
        self._used = True
        return self._opened(function)

    def __enter__(self) -> None:
        self._used = True
        self._opened.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<labels {self._told}: for the calls inside a with>"

    def __del__(self) -> None:
        if not self._used and not sys.is_finalizing():
            told = f"no call has the labels {self._told}: write with before them, and put the calls inside."
            warn(told, stacklevel=2)


@contextmanager
def _opened(given: Mapping[str, str], tags: tuple[str, ...]) -> Iterator[None]:
    opener = _opener(sys._getframe())  # noqa: SLF001 - the documented way to know who asks
    outer = _all()
    block = Block(given, tags, opener if opener.f_code.co_flags & _PAUSES else None, _flow())
    token = _own.set((*outer, block))
    if threading.current_thread() is threading.main_thread() and not opener.f_code.co_flags & _WAITS:
        _shared.append(block)
    del opener
    try:
        yield
    finally:
        block.generator = None
        if block in _shared:
            _shared.remove(block)
        _leave(block, outer, token)


def take_root() -> None:
    """Mark the main thread's context, so that a copy of it is told from the context of a new thread."""
    if threading.current_thread() is threading.main_thread() and _own.get() is None:
        _own.set(())


def carried() -> Context:
    """A copy of this context for a thread that goes on from here: its calls have the labels of a call made here."""
    context = copy_context()
    context.run(_own.set, _all())
    return context


def in_force() -> Blocks:
    """The blocks of a call made here and now, outermost first."""
    return tuple(block for block in _all() if not block.ended and not _is_paused(block))


def _all() -> Blocks:
    own = _own.get()
    if own is not None:
        return own
    thread = threading.current_thread()
    return tuple(block for block in tuple(_shared) if thread not in block.earlier)


def _leave(block: Block, outer: Blocks, token: "Token[Blocks | None]") -> None:
    rest = tuple(one for one in _own.get() or () if one is not block)
    try:
        _own.reset(token)
    except ValueError:  # in another context: whoever read the generator first did not read it to its end
        block.ended = True
    else:
        if rest != outer:  # generators end in any order
            _own.set(rest)


def _is_paused(block: Block) -> bool:
    """Whether the generator that opened it waits for us to go on; what it started itself meanwhile is still in it."""
    frame = block.generator
    return frame is not None and frame.f_back is None and block.flow == _flow()


def _opener(frame: FrameType) -> FrameType:
    """The frame whose ``with`` it is: other context managers, and generators that are ones, stand between."""
    while (caller := frame.f_back) and (
        _stands_between(frame) or (frame.f_code.co_flags & _PAUSES and _stands_between(caller))
    ):
        frame = caller
    return frame


def _stands_between(frame: FrameType) -> bool:
    module, function = frame.f_globals.get("__name__"), frame.f_code.co_name
    return module in (contextlib.__name__, __name__) or function in ("__enter__", "__aenter__")


def _flow() -> tuple[int, int]:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), id(task)


take_root()
