"""Reads what a response tells about its usage from the bytes as they pass, without keeping or delaying them."""

import base64
import json
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

from .refusals import made_output

_DELTA = b'"content_block_delta"'
_TEXT = re.compile(rb'"(?:text|thinking|partial_json)"\s*:\s*"')
_PREAMBLE = 80
"""Bytes within which a delta names its type: the API writes the type first."""


class Seen:
    """What has been seen of one reply: its message fields, its usage, and how much was produced."""

    __slots__ = (
        "chars",
        "container",
        "counted",
        "ended",
        "error",
        "message",
        "note",
        "produced",
        "session",
        "stop",
        "usage",
    )

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.usage: dict[str, Any] | None = None
        self.stop: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None
        self.chars = 0
        self.produced = False  # any output at all: decides whether a refusal is billed
        self.ended = False  # the final message_delta came, or the whole JSON body
        self.counted = (
            True  # False while a stream has only the placeholder its first event says of its output
        )
        self.container = False  # a tool ran in a container, which is billed by its hours
        self.session: dict[str, Any] | None = (
            None  # of managed agents: the session, or a snapshot of its usage
        )
        self.note: str | None = None

    def take_message(self, message: Any) -> None:
        """A whole message: the body of a reply that was not streamed, or an item of a batch."""
        if not isinstance(message, Mapping):
            return
        if message.get("type") == "session":
            self.session = dict(message)
            return
        if message.get("type") == "message_batch":
            self.message = {"id": message.get("id")}
            return
        if isinstance(message.get("error"), Mapping):
            self.error = dict(message["error"])
        if isinstance(message.get("input_tokens"), int):  # the answer of count_tokens
            self.usage, self.ended = {"input_tokens": message["input_tokens"]}, True
        if not isinstance(message.get("usage"), Mapping):
            return
        self.take_start(message)
        content = message.get("content")
        blocks = content if isinstance(content, list) else []
        self.produced = made_output(blocks)
        self.stop = {"stop_reason": message.get("stop_reason"), "stop_details": message.get("stop_details")}
        self.ended = True

    def take_start(self, message: Mapping[str, Any]) -> None:
        """``message_start``: identity, served tier, and the only place with the cache-write split."""
        if self.usage is not None:
            self.note = "several message_start events in one body; counted as the SDK counts them"
            return
        self.message = {name: message.get(name) for name in ("id", "model", "diagnostics")}
        self.container = bool(message.get("container"))
        usage = message.get("usage")
        self.usage = dict(usage) if isinstance(usage, Mapping) else {}

    def take_event(self, data: bytes) -> None:
        """One server-sent event's data."""
        if _DELTA in data[:_PREAMBLE]:
            self._take_delta(data)
            return
        try:
            event = json.loads(data)
        except ValueError:
            return
        kind = event.get("type") if isinstance(event, dict) else None
        if kind == "message_start" and isinstance(event.get("message"), dict):
            self.counted = self.counted and self.usage is not None
            self.take_start(event["message"])
        elif kind == "message_delta":
            self._take_usage(event)
        elif kind == "session.usage":
            self.session = {"usage": event.get("usage")}
        elif kind == "content_block_start":
            self.produced = self.produced or made_output([event.get("content_block")])
        elif kind == "content_block_delta":
            self._take_delta(json.dumps(event, separators=(",", ":")).encode())
        elif kind == "error":
            error = event.get("error")
            self.error = dict(error) if isinstance(error, Mapping) else {"type": "error"}

    def _take_delta(self, data: bytes) -> None:
        """Counts the characters of a delta without parsing it: this runs once per streamed event."""
        if found := _TEXT.search(data):
            length = data.rfind(b'"') - found.end()
            self.chars += length
            self.produced = self.produced or length > 0
            return
        self.produced = True  # a signature or a citation belongs to output that was made

    def _take_usage(self, event: Mapping[str, Any]) -> None:
        """``message_delta``: counts are cumulative, so they replace; what it leaves out stays as it was."""
        usage = event.get("usage")
        if isinstance(usage, Mapping):
            self.counted = self.counted or usage.get("output_tokens") is not None
            self.usage = {**(self.usage or {}), **{k: v for k, v in usage.items() if v is not None}}
            split = self.usage.get("cache_creation")
            if isinstance(split, Mapping) and "cache_creation" not in usage:
                known = sum(value for value in split.values() if isinstance(value, int))
                if (self.usage.get("cache_creation_input_tokens") or 0) > known:
                    self.note = (
                        "cache writes grew after their 5m/1h split was sent; the difference counts as 5m"
                    )
        delta = event.get("delta")
        if isinstance(delta, Mapping):
            self.stop = dict(delta)
            self.container = self.container or bool(delta.get("container"))
        self.ended = self.ended or self.stop.get("stop_reason") is not None


class Parser(Protocol):
    """Takes decoded bytes as they come; ``end`` is called once, after the last."""

    def feed(self, data: bytes) -> None: ...  # noqa: D102 - as the class says
    def end(self) -> None: ...  # noqa: D102 - as the class says


class EventParser:
    """Server-sent events, at any chunking; an event without its blank line at the end still counts."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.rstrip(b"\r"))

    def end(self) -> None:
        """Take what is left."""
        self._take(self._rest)
        self._take(b"")

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].lstrip(b" "))
        elif not line and self._data:
            event = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            self._data = []
            self._seen.take_event(event)


class JsonParser:
    """One JSON body."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._body += data

    def end(self) -> None:
        """Parse the body; one that broke off says nothing."""
        try:
            self._seen.take_message(json.loads(self._body))
        except ValueError:
            return


class LineParser:
    """JSON Lines: the results of a batch. Each whole line is kept as soon as it is complete."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self._items = items
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """Take the last line."""
        self._take(self._rest)

    def _take(self, line: bytes) -> None:
        try:
            item = json.loads(line)
        except ValueError:
            return
        if isinstance(item, dict):
            self._items.append(item)


class AwsParser:
    """The binary event stream of Bedrock: length-prefixed frames whose payload holds a base64 event."""

    _PRELUDE = 12
    _CHECKSUM = 4

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data
        while len(self._buffer) >= self._PRELUDE:
            total, headers = struct.unpack_from(">II", self._buffer)
            if total < self._PRELUDE or len(self._buffer) < total:
                return
            payload = bytes(self._buffer[self._PRELUDE + headers : total - self._CHECKSUM])
            del self._buffer[:total]
            self._take(payload)

    def end(self) -> None:
        """Nothing is left to take: a frame counts when it is whole."""

    def _take(self, payload: bytes) -> None:
        try:
            frame = json.loads(payload)
            if "bytes" in frame:
                self._seen.take_event(base64.b64decode(frame["bytes"]))
            elif "message" in frame:
                self._seen.error = {"type": "error", "message": frame["message"]}
        except (ValueError, TypeError):
            return


class Inflater:
    """Undoes the content encoding for the parser only; the caller's bytes stay as they came."""

    def __init__(self, encoding: str, parser: Parser) -> None:
        self._parser = parser
        self._decode = _decoder(encoding)

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._parser.feed(self._decode(data))

    def end(self) -> None:
        """End the parser. A missing trailer loses nothing that was inflated before it."""
        self._parser.end()


def parser_for(content_type: str, encoding: str, seen: Seen) -> Parser:
    """The parser of a message's body, by its headers."""
    parser: Parser
    if "text/event-stream" in content_type:
        parser = EventParser(seen)
    elif "vnd.amazon.eventstream" in content_type:
        parser = AwsParser(seen)
    else:
        parser = JsonParser(seen)
    return inflated(encoding, parser)


def inflated(encoding: str, parser: Parser) -> Parser:
    """The parser behind the content encoding, if there is one."""
    return parser if encoding in ("", "identity") else Inflater(encoding, parser)


def _decoder(encoding: str) -> Any:
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress
    # httpx2 has no public name for the decoders it offers the server (brotli, zstd) in accept-encoding
    from httpx2._decoders import SUPPORTED_DECODERS

    return SUPPORTED_DECODERS[encoding]().decode
