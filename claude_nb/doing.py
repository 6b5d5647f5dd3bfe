"""Does the steps of one ``send``, in a thread or in an event loop: asks the model, runs tools, and shows both."""

from typing import Any, Self

from .ledger import label
from .results import show_results
from .servers import advise, checked, streaming, streaming_async
from .showing import Showing
from .steps import Ask, Run
from .stream import Reading, read, read_async
from .tools import Confirm, Toolbox


class Doing:
    """What one ``send`` does, step by step; leave its ``with`` when it is over, however it ended.

    Args:
        client: A client of the SDK; sync for ``do``, async for ``ado``.
        tools: The tools that can be run.
        confirm: Asked before a tool that wants it.
        conversation: What the calls are called in the ledger.
        display: Whether replies and results are shown.
    """

    def __init__(
        self, client: Any, tools: Toolbox, *, confirm: Confirm | None, conversation: str, display: bool
    ) -> None:
        self._client, self._tools, self._confirm = client, tools, confirm
        self._conversation, self._display = conversation, display
        self._showing = Showing(display=display)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._showing.settle()

    def do(self, step: Ask | Run) -> Reading | None:
        """Do a step with the sync client."""
        with label(conversation=self._conversation):
            if isinstance(step, Run):
                self._showing.settle()
                self._tools.run(step, confirm=self._confirm)
                self._show(step)
                return None
            try:
                with (
                    self._showing.reply(after=step.after) as screen,
                    streaming(self._client, step.request) as stream,
                ):
                    reading = read(stream, screen=screen)
            except Exception as error:
                advise(error, self._client)
                raise
            return checked(reading, stream.response.request.url.host)

    async def ado(self, step: Ask | Run) -> Reading | None:
        """Do a step with the async client."""
        with label(conversation=self._conversation):
            if isinstance(step, Run):
                self._showing.settle()
                await self._tools.arun(step, confirm=self._confirm)
                self._show(step)
                return None
            try:
                with self._showing.reply(after=step.after) as screen:
                    async with streaming_async(self._client, step.request) as stream:
                        reading = await read_async(stream, screen=screen)
            except Exception as error:
                advise(error, self._client)
                raise
            return checked(reading, stream.response.request.url.host)

    def _show(self, run: Run) -> None:
        if self._display:
            show_results(run)
