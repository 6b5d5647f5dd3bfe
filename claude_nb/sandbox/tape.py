"""Tapes: exchanges with the API, one JSON object a line, that the sandbox replays.

A recorded entry, as :class:`~claude_nb.sandbox.recorder.Recorder` writes it, holds the whole request and replays for
an equal one only. An entry written by hand holds the fields of the request that matter and a reply, as in
``Sandbox(replies=[...])``; the first line of such a tape says so::

    {"tape": 1, "made": "by hand", "about": "the replies of lesson 3"}
    {"request": {"messages": [{"role": "user", "content": "Hello"}]}, "reply": "Hi! What shall we look at?"}
"""

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from claude_nb.errors import SandboxError

Json = dict[str, Any]

TAPE_HEADER = "x-claude-nb-tape"
"""Response header of a sandbox with a tape: ``replay`` or ``miss``."""

_UNMATCHED = ("metadata",)  # who asked does not change the answer, and stays out of the tape
_LONG_DATA = 1_000
_SHOWN = 40
_KEYS = {
    "method",
    "path",
    "request",
    "hash",
    "status",
    "headers",
    "events",
    "body",
    "seconds",
    "reply",
    "note",
}


@dataclass(slots=True)
class Entry:
    """One line of a tape.

    Attributes:
        line: Number of the line in the file, from 1.
        method: HTTP method.
        path: Path with query.
        request: The request body, or the part of it that must match.
        hash: Digest of the whole request; ``None`` in entries written by hand.
        status: HTTP status.
        headers: Response headers worth keeping.
        events: ``[seconds since the request, event]``; a ``str`` instead of an object is a frame that was no JSON.
        body: The response body when it was not streamed.
        seconds: How long the body took.
        reply: A reply as in ``Sandbox(replies=...)``.
    """

    line: int
    request: Json
    method: str = "POST"
    path: str = "/v1/messages"
    hash: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    events: list[tuple[float, Json | str]] | None = None
    body: Any = None
    seconds: float = 0.0
    reply: Any = None
    note: str | None = None

    def matches(self, method: str, path: str, body: Json, digest: str) -> bool:
        """Whether the entry answers this request."""
        if (self.method, self.path) != (method, path):
            return False
        if self.hash is not None:
            return self.hash == digest
        return all(name in body and canonical(body[name]) == self.request[name] for name in self.request)


class Tape:
    """A tape in memory. Equal requests get their entries in the order of the file, then the last one again.

    Args:
        path: The JSONL file.

    Raises:
        SandboxError: The file is missing or a line is no entry.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.about: Json = {}
        self.entries = list(self._read())
        self._played: set[int] = set()

    def _read(self) -> Iterator[Entry]:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SandboxError(
                f"The tape {self.path} cannot be read: {error}. Give the path of a .jsonl file."
            ) from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError:
                text = f"{self.path}: line {number} is torn and was skipped; the recording was interrupted there."
                warnings.warn(text, stacklevel=4)
                continue
            if isinstance(found, dict) and "tape" in found:
                self.about = found
            else:
                yield self._entry(found, number)

    def _entry(self, found: Any, number: int) -> Entry:
        where = f"{self.path}, line {number}"
        if not isinstance(found, dict) or not isinstance(found.get("request"), dict):
            raise SandboxError(f'{where}: an entry is an object with "request" and "reply".')
        if unknown := found.keys() - _KEYS:
            raise SandboxError(f"{where}: unknown {sorted(unknown)}; an entry has {sorted(_KEYS)}.")
        if not found.keys() & {"reply", "events", "body"}:
            raise SandboxError(f'{where}: the entry has no "reply" (nor recorded "events" or "body").')
        return Entry(line=number, **(found | {"request": canonical(found["request"])}))

    def find(self, method: str, path: str, body: Json) -> Entry | None:
        """The entry that answers a request, or ``None``."""
        digest = fingerprint(method, path, body)
        fitting = [entry for entry in self.entries if entry.matches(method, path, body, digest)]
        if not fitting:
            return None
        # An entry by hand that asks for more of the request is meant for it more than one that asks for less.
        most = max(len(entry.request) if entry.hash is None else len(body) + 1 for entry in fitting)
        fitting = [
            entry
            for entry in fitting
            if (len(entry.request) if entry.hash is None else len(body) + 1) == most
        ]
        chosen = next((entry for entry in fitting if entry.line not in self._played), fitting[-1])
        self._played.add(chosen.line)
        return chosen

    def nearest(self, method: str, path: str, body: Json) -> str:
        """A sentence about the entry closest to a request that none answers."""
        same = [entry for entry in self.entries if (entry.method, entry.path) == (method, path)]
        if not same:
            return f"No entry of the tape {self.path.name} is a {method} {path}."
        found = canonical(body)
        ranked = [(_differences(entry, found), entry) for entry in same]
        differences, entry = min(ranked, key=lambda pair: (len(pair[0]), pair[1].line))
        if not differences:
            return f"The tape {self.path.name} matches in line {entry.line}."
        name, taped, sent = differences[0]
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        return (
            f"No entry of the tape {self.path.name} matches. "
            f"The nearest, line {entry.line}, differs in `{name}`{more}: "
            f"the tape has {_shown(taped)}, this request {_shown(sent)}."
        )


def canonical(value: Any) -> Any:
    """A request body as tapes compare it: without metadata, long base64 data as a digest."""
    if isinstance(value, dict):
        return {name: canonical(member) for name, member in value.items() if name not in _UNMATCHED}
    if isinstance(value, list):
        return [canonical(member) for member in value]
    if isinstance(value, str) and len(value) > _LONG_DATA and re.fullmatch(r"[A-Za-z0-9+/]+=*", value):
        return f"sha256:{sha256(value.encode()).hexdigest()}"
    return value


def fingerprint(method: str, path: str, body: Json) -> str:
    """Digest of a whole request: equal requests, equal digests."""
    text = json.dumps([method, path, canonical(body)], sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:32]


def _differences(entry: Entry, body: Json) -> list[tuple[str, Any, Any]]:
    names = entry.request if entry.hash is None else entry.request | body
    return [
        _first(name, entry.request.get(name, _ABSENT), body.get(name, _ABSENT))
        for name in names
        if entry.request.get(name, _ABSENT) != body.get(name, _ABSENT)
    ]


def _first(path: str, taped: Any, sent: Any) -> tuple[str, Any, Any]:
    """The first place, going in, where two values differ."""
    if isinstance(taped, dict) and isinstance(sent, dict):
        pairs = [(name, taped.get(name, _ABSENT), sent.get(name, _ABSENT)) for name in taped | sent]
    elif isinstance(taped, list) and isinstance(sent, list):
        size = max(len(taped), len(sent))
        pairs = [(str(at), _at(taped, at), _at(sent, at)) for at in range(size)]
    else:
        return path, taped, sent
    name, one, other = next(pair for pair in pairs if pair[1] != pair[2])
    return _first(f"{path}.{name}", one, other)


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


_ABSENT = _Absent()


def _at(values: list[Any], at: int) -> Any:
    return values[at] if at < len(values) else _ABSENT


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
