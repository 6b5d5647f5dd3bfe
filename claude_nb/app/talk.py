"""Says what is written in the window, beside the cells: in threads with a sync client, in a task with an async one.

The kernel stays free to hear Stop, and to run other cells. Stop ends the waiting at once in every phase: a reply
that has begun is kept as far as it came, a request that has not is taken back. A call that waits for the server
cannot be broken off from outside, so its thread is left behind; it ends itself at the first thing it hears.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from threading import Thread, Timer
from typing import TYPE_CHECKING, Any, Protocol

from claude_nb.ledger import label
from claude_nb.ledger.blocks import carried
from claude_nb.models import SANDBOX_HEADER
from claude_nb.screens import Notebook
from claude_nb.servers import advise, checked, streaming, streaming_async
from claude_nb.steps import Ask, Run, drive, drive_async
from claude_nb.stream import Reading, read, read_async
from claude_nb.waiting import listening

if TYPE_CHECKING:
    from claude_nb.chat import Chat

_PATIENCE = 1.0  # seconds for a stopped reply to end by itself

CELL = "chat.app()"
"""What the ledger calls the place. It also keeps a cell that runs again from replacing what was said here."""


class Stage(Protocol):
    """What a talk needs of the window."""

    def step(self, step: Ask | Run) -> "Live | None":
        """Show that a step begins; give the view of the reply that is asked for."""

    def allow(self, name: str, given: dict[str, Any]) -> bool:
        """Ask whether a tool may run, and wait for the answer."""

    def ended(self, error: BaseException | None) -> None:
        """Show that it is over: None where it went well or was stopped after the reply had begun."""


class Live(Notebook):
    """The reply under way: the streaming view, inside the window instead of below the cell."""

    def __init__(self, place: Any) -> None:
        super().__init__()
        self._place = place
        self.begun = self.left = False

    def begin(self) -> None:
        """Show the view, waiting."""
        self._place.children = (self._view,)
        self._view.push([["state", {"phase": "waiting", "text": "Waiting for the first token"}]])

    def draw(self, ops: list[Any]) -> None:
        """Follow the reply; once nobody waits for it any more, end it."""
        if self.left:
            raise KeyboardInterrupt
        self.begun = self.begun or any(op[0] != "state" for op in ops)
        super().draw(ops)

    def end(self, *_: Any, **__: Any) -> None:
        """Show all of it; the transcript takes over."""
        self._outbox.flush()

    def cancel(self) -> None:
        """Leave it to the window."""

    def close(self) -> None:
        """Take the view away."""
        self._outbox.flush()
        self._place.children = ()
        self._view.close()


class Talk:
    """One message at a time, from the prompt to the last reply.

    Args:
        chat: Whose history, tools and limits are used.
        stage: The window.
        loop: The kernel's event loop, for an async client; None runs a loop of its own.
    """

    def __init__(self, chat: "Chat", stage: Stage, loop: asyncio.AbstractEventLoop | None) -> None:
        self._chat, self._stage, self._loop = chat, stage, loop
        self._live: Live | None = None
        self._stopped = False
        self._first: Callable[[], None] = lambda: None
        self._leave: Callable[[], object] = lambda: None
        self._came_so_far: Callable[[], Reading | None] = lambda: None

    def say(self, prompt: Any, first: Callable[[], None]) -> None:
        """Send a message, and come back at once.

        Args:
            prompt: Text or content blocks.
            first: Called when it is sure that nobody else speaks, before the message is added.

        Raises:
            PromptError, HistoryError, ModelError: It cannot be sent; nothing was.
        """
        self._stopped, self._first, self._live = False, first, None
        steps = self._chat._steps(prompt, None, "warn", None, {})  # noqa: SLF001 - the window is the chat's own
        if not is_async(self._chat._client):  # noqa: SLF001 - likewise
            self._beside(self._run, steps)
        elif self._loop is not None and self._loop.is_running():
            task = asyncio.run_coroutine_threadsafe(self._run_async(steps), self._loop)
            self._leave = task.cancel
        else:
            self._beside(asyncio.run, self._run_async(steps))

    def stop(self) -> None:
        """End it now. What has come is kept."""
        self._stopped = True
        if self._live is not None and self._live.begun:
            self._live.stop()
            late = Timer(
                _PATIENCE, self._leave
            )  # closing a connection does not wake who waits for a silent server
            late.daemon = True
            late.start()
        else:
            self._leave()

    def _run(self, steps: Any) -> None:
        error: BaseException | None = None
        try:
            with self._alone():
                drive(steps, self._do)
        except BaseException as caught:  # noqa: BLE001 - it is shown in the window; the thread has no other reader
            error = caught
        self._stage.ended(error)

    async def _run_async(self, steps: Any) -> None:
        error: BaseException | None = None
        try:
            with self._alone():
                await drive_async(steps, self._do_async)
        except BaseException as caught:  # noqa: BLE001 - it is shown in the window; the task has no other reader
            error = caught
        self._stage.ended(error)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with label(conversation=self._chat.conversation, cell=CELL), self._chat._alone():  # noqa: SLF001 - likewise
            self._first()
            yield

    # One step ---------------------------------------------------------------------------------------------------

    def _do(self, step: Ask | Run) -> Reading | None:
        """Do a step in a thread that can be left behind, and wait for it or for Stop."""
        came: Future[Reading | None] = Future()
        self._live = live = self._stage.step(step)
        self._came_so_far = lambda: None

        def leave() -> None:
            if live is not None:
                live.left = True
            if partial := self._came_so_far():
                _set(came.set_result, partial)
            _set(came.set_exception, KeyboardInterrupt())

        self._leave = leave
        if self._stopped:
            raise KeyboardInterrupt
        self._beside(self._answer, step, live, came)
        return came.result()

    def _answer(self, step: Ask | Run, live: Live | None, came: "Future[Reading | None]") -> None:
        found = None
        try:
            if isinstance(step, Ask):
                found = self._ask(step, live)
            else:
                self._use(step, came)
        except BaseException as error:  # noqa: BLE001 - raised again where the step is waited for
            _set(came.set_exception, error)
        else:
            _set(came.set_result, found)

    def _ask(self, step: Ask, live: Any) -> Reading:
        chat = self._chat
        live.begin()
        try:
            with (
                listening(lambda state: live.draw([["state", state]])),
                streaming(chat._client, step.request) as stream,  # noqa: SLF001 - likewise
            ):
                simulated = SANDBOX_HEADER in stream.response.headers
                self._came_so_far = lambda: (
                    Reading(stream.current_message_snapshot, None, simulated) if live.begun else None
                )
                reading = read(stream, screen=live)
        except Exception as error:
            advise(error, chat._client)  # noqa: SLF001 - likewise
            raise
        return checked(reading, stream.response.request.url.host)

    def _use(self, step: Run, came: "Future[Reading | None]") -> None:
        allow = self._chat.confirm or self._stage.allow

        def still_allowed(name: str, given: dict[str, Any]) -> bool:
            return not came.done() and allow(name, given) is True  # after Stop nothing is asked any more

        self._chat._tools.run(step, confirm=still_allowed)  # noqa: SLF001 - likewise

    async def _do_async(self, step: Ask | Run) -> Reading | None:
        chat = self._chat
        self._live = live = self._stage.step(step)
        if self._stopped:
            raise asyncio.CancelledError
        if isinstance(step, Run):
            await chat._tools.arun(step, confirm=chat.confirm or self._stage.allow)  # noqa: SLF001 - likewise
            return None
        assert live is not None  # noqa: S101 - for the type checker: every Ask has a view
        live.begin()
        try:
            with listening(lambda state: live.draw([["state", state]])):
                async with streaming_async(chat._client, step.request) as stream:  # noqa: SLF001 - likewise
                    reading = await read_async(stream, screen=live)
        except Exception as error:
            advise(error, chat._client)  # noqa: SLF001 - likewise
            raise
        return checked(reading, stream.response.request.url.host)

    def _beside(self, work: Callable[..., Any], *arguments: Any) -> None:
        context = carried()
        Thread(target=context.run, args=(work, *arguments), name="claude_nb chat.app", daemon=True).start()


def is_async(client: Any) -> bool:
    """Whether a client is awaited; the SDK names them so, also for cloud platforms."""
    return type(client).__name__.startswith("Async")


def _set(settle: Callable[[Any], None], value: Any) -> None:
    with suppress(InvalidStateError):  # Stop and the end of a step may come at once
        settle(value)
