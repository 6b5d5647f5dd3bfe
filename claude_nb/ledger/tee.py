"""Shows a body to the recorder as the caller reads it, without reading ahead or holding anything back."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from .record import Record


class Tee(httpx2.SyncByteStream):
    """Passes the body through, showing each chunk to the record. Kept like the SDK's own ``SpanEndingStream``."""

    def __init__(self, body: Any, record: "Record") -> None:
        self._body = body
        self._record = record

    @property
    def elapsed(self) -> timedelta | None:
        """What ``httpx2.Response.elapsed`` reads from its stream."""
        return getattr(self._body, "elapsed", None)

    def __iter__(self) -> Iterator[bytes]:
        record = self._record
        try:
            for chunk in self._body:
                record.feed(chunk)
                yield chunk
                record.check()
            record.finish("read")
        except GeneratorExit:
            record.finish("closed")
            raise
        except BaseException as error:
            record.finish("failed", error)
            raise

    def close(self) -> None:
        """The caller has read enough."""
        self._record.finish("closed")
        self._body.close()

    def __del__(self) -> None:
        self._record.finish("closed")


class AsyncTee(httpx2.AsyncByteStream):
    """The same for an asynchronous body."""

    def __init__(self, body: Any, record: "Record") -> None:
        self._body = body
        self._record = record

    @property
    def elapsed(self) -> timedelta | None:
        """What ``httpx2.Response.elapsed`` reads from its stream."""
        return getattr(self._body, "elapsed", None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        record = self._record
        chunks = self._body.__aiter__()
        try:
            async for chunk in chunks:
                record.feed(chunk)
                yield chunk
                record.check()
            record.finish("read")
        except GeneratorExit:
            record.finish("closed")
            raise
        except BaseException as error:
            record.finish("failed", error)
            raise
        finally:
            if hasattr(chunks, "aclose"):  # in the task that read, as the SDK's tracing does
                await chunks.aclose()

    async def aclose(self) -> None:
        """The caller has read enough."""
        self._record.finish("closed")
        await self._body.aclose()

    def __del__(self) -> None:
        self._record.finish("closed")


class BothTee(Tee, AsyncTee):
    """A body that is of both kinds at once, as ``httpx2.ByteStream`` is."""


def tee(body: Any, record: "Record") -> Any:
    """The wrapper of the body's own kind, so that httpx2's checks on the kind still hold."""
    if not isinstance(body, httpx2.SyncByteStream):
        return AsyncTee(body, record)
    return BothTee(body, record) if isinstance(body, httpx2.AsyncByteStream) else Tee(body, record)
