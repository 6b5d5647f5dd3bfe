"""Fills in what the SDK needs of a stream's events and some servers leave out; what they did not say stays unknown.

Without this the SDK stumbles in the middle of an otherwise good reply: over a message without usage, role or content,
a block that never began, or blocks that are numbered from somewhere else than 0.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any


class Mender:
    """Mends the events of one stream, in order."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}  # of each block in the message, by the number the server gave it
        self._count = 0

    def events(self, event: Any) -> Iterator[Any]:
        """Give the event as the SDK can add it up, with a block's beginning in front where that is missing."""
        match event.type:
            case "message_start":
                _mend_message(event.message)
            case "content_block_start":
                _mend_block(event.content_block)
                self._begin(event)
            case "content_block_delta":
                if event.index not in self._places:
                    start = _missing_start(event)
                    if start is None:
                        return  # of a call nobody knows the name
                    self._begin(start)
                    yield start
                event.index = self._places[event.index]
            case "content_block_stop":
                if event.index not in self._places:
                    return
                event.index = self._places[event.index]
            case "message_delta":
                _mend_end(event)
        yield event

    def _begin(self, start: Any) -> None:
        self._places[start.index] = self._count
        start.index = self._count
        self._count += 1


class Mended:
    """A raw stream of the sync client with its events mended; for the SDK's ``MessageStream`` to add up."""

    def __init__(self, raw: Any) -> None:
        self._raw, self.response = raw, raw.response

    def __iter__(self) -> Iterator[Any]:
        mender = Mender()
        for event in self._raw:
            yield from mender.events(event)

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()


class MendedAsync:
    """The same of the async client."""

    def __init__(self, raw: Any) -> None:
        self._raw, self.response = raw, raw.response

    async def __aiter__(self) -> AsyncIterator[Any]:
        mender = Mender()
        async for event in self._raw:
            for mended in mender.events(event):
                yield mended

    async def close(self) -> None:
        """Close the connection."""
        await self._raw.close()


def _mend_message(message: Any) -> None:
    from anthropic.types import Usage

    if message is None:
        return
    message.role = message.role or "assistant"
    message.content = message.content if isinstance(message.content, list) else []
    if message.usage is None:
        message.usage = Usage.construct()


def _mend_block(block: Any) -> None:
    name = {"text": "text", "thinking": "thinking"}.get(block.type)
    if name and not isinstance(getattr(block, name, None), str):
        setattr(block, name, "")


def _mend_end(event: Any) -> None:
    from anthropic.types import MessageDeltaUsage
    from anthropic.types.raw_message_delta_event import Delta

    event.usage = event.usage if event.usage is not None else MessageDeltaUsage.construct()
    event.delta = event.delta if event.delta is not None else Delta.construct()


def _missing_start(event: Any) -> Any:
    """The beginning of a block that a server left out, as its first piece tells it."""
    from anthropic.types import RawContentBlockStartEvent, TextBlock, ThinkingBlock

    block: Any
    if event.delta.type == "text_delta":
        block = TextBlock.construct(type="text", text="")
    elif event.delta.type == "thinking_delta":
        block = ThinkingBlock.construct(type="thinking", thinking="", signature="")
    else:
        return None
    return RawContentBlockStartEvent.construct(
        type="content_block_start", index=event.index, content_block=block
    )
