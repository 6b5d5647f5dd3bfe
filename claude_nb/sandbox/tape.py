"""Tapes: exchanges with the API, one JSON object a line, that the sandbox replays.

A recorded entry, as :class:`~claude_nb.sandbox.recorder.Recorder` writes it, holds the whole request and replays for
an equal one only. An entry written by hand holds a reply, as in ``Sandbox(replies=[...])``, and what must match: the
last prompt of the user, fields of the request, or both. The first line of such a tape says so::

    {"tape": 1, "made": "by hand", "about": "the replies of lesson 3"}
    {"prompt": "Hello", "reply": "Hi! What shall we look at?"}
    {"prompt": "Hello", "request": {"system": "Speak French."}, "reply": "Bonjour !"}

Fields by hand match in any spelling the API takes for equal: text or a list of text blocks, with or without cache
marks; thinking in ``messages`` is passed over, so that nobody has to copy signatures. A field that is ``null`` matches
requests without it: ``{"request": {"system": null}}``.
"""

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any

from claude_nb.errors import SandboxError

from . import matching

Json = dict[str, Any]

TAPE_HEADER = "x-claude-nb-tape"
"""Response header of a sandbox with a tape: ``replay`` or ``miss``."""

_KEYS = {
    "method",
    "path",
    "prompt",
    "request",
    "hash",
    "status",
    "headers",
    "events",
    "body",
    "seconds",
    "reply",
}


_TORN = object()


@dataclass(slots=True)
class Entry:
    """One line of a tape.

    Attributes:
        line: Number of the line in the file, from 1.
        method: HTTP method.
        path: Path with query.
        request: The request body, or the part of it that must match.
        prompt: The last text of the user that must match, in entries written by hand.
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
    prompt: str | None = None

    def matches(self, method: str, path: str, body: Json, digest: str) -> bool:
        """Whether the entry answers this request."""
        if (self.method, self.path) != (method, path):
            return False
        if self.hash is not None:
            return self.hash == digest
        if self.prompt is not None and matching.last_prompt(body) != self.prompt.strip():
            return False
        return all(
            matching.loose(name, body[name]) == wanted if name in body else wanted is None
            for name, wanted in self.request.items()
        )

    def differences(self, body: Json) -> list[tuple[str, Any, Any]]:
        """Where a request differs: the place, what the tape has, what the request has."""
        if self.hash is None:
            found = {name: matching.loose(name, value) for name, value in body.items()}
            taped = {
                name: matching.ABSENT if value is None else value for name, value in self.request.items()
            }
            names = set(taped)
        else:
            found, taped = matching.canonical(body), self.request
            names = {*taped, *found}
        differences = [
            matching.first_difference(
                name, taped.get(name, matching.ABSENT), found.get(name, matching.ABSENT)
            )
            for name in sorted(names)
            if taped.get(name, matching.ABSENT) != found.get(name, matching.ABSENT)
        ]
        if self.prompt is not None and matching.last_prompt(body) != self.prompt.strip():
            differences.append(("prompt", self.prompt, matching.last_prompt(body)))
        return differences

    def weight(self) -> float:
        """How much of a request the entry asks for: a recording asks for all of it."""
        return len(self.request) + (self.prompt is not None) if self.hash is None else inf


class Tape:
    """A tape in memory. Equal requests get their entries in the order of the file, then the last one again.

    Args:
        path: The JSONL file.

    Raises:
        SandboxError: The file is missing or no tape, or a line is no entry.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path_of(path, "tape=")
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
        parsed = [(number, _parsed(line)) for number, line in enumerate(lines, 1) if line.strip()]
        if parsed and all(found is _TORN for _, found in parsed):
            raise SandboxError(
                f"{self.path} is not a tape: no line of it is JSON. connect(record=...) records one, and "
                "help('claude_nb.sandbox.tape') shows how to write one."
            )
        for number, found in parsed:
            if found is _TORN:
                text = f"{self.path}: line {number} is torn and was skipped; the recording was interrupted there."
                warnings.warn(text, stacklevel=4)
            elif isinstance(found, dict) and "tape" in found:
                self.about = found
            else:
                yield self._entry(found, number)

    def _entry(self, found: Any, number: int) -> Entry:
        where = f"{self.path}, line {number}"
        if not isinstance(found, dict) or not isinstance(found.get("request", {}), dict):
            raise SandboxError(f'{where}: an entry is an object with "prompt" or "request", and "reply".')
        if unknown := found.keys() - _KEYS:
            raise SandboxError(f"{where}: unknown {sorted(unknown)}; an entry has {sorted(_KEYS)}.")
        if not found.keys() & {"reply", "events", "body"}:
            raise SandboxError(f'{where}: the entry has no "reply" (nor recorded "events" or "body").')
        if not found.keys() & {"prompt", "request"}:
            raise SandboxError(f'{where}: the entry has no "prompt" and no "request" to match.')
        request = found.get("request", {})
        if "hash" not in found:
            request = {
                name: None if value is None else matching.loose(name, value)
                for name, value in request.items()
            }
        return Entry(line=number, **(found | {"request": request}))

    def find(self, method: str, path: str, body: Json) -> Entry | None:
        """The entry that answers a request, or ``None``."""
        digest = matching.fingerprint(method, path, body)
        fitting = [entry for entry in self.entries if entry.matches(method, path, body, digest)]
        if not fitting:
            return None
        # The entry that asks for more of the request is meant for it more than one that asks for less.
        most = max(entry.weight() for entry in fitting)
        fitting = [entry for entry in fitting if entry.weight() == most]
        chosen = next((entry for entry in fitting if entry.line not in self._played), fitting[-1])
        self._played.add(chosen.line)
        return chosen

    def nearest(self, method: str, path: str, body: Json) -> str:
        """A sentence about the entry closest to a request that none answers."""
        same = [entry for entry in self.entries if (entry.method, entry.path) == (method, path)]
        if not same:
            return f"No entry of the tape {self.path.name} is a {method} {path}."
        ranked = [(entry.differences(body), entry) for entry in same]
        differences, entry = min(ranked, key=lambda pair: (len(pair[0]), pair[1].line))
        if not differences:
            return f"The tape {self.path.name} matches in line {entry.line}."
        name, taped, sent = differences[0]
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        return (
            f"No entry of the tape {self.path.name} matches. "
            f"The nearest, line {entry.line}, differs in `{name}`{more}: "
            f"the tape has {matching.shown(taped)}, this request {matching.shown(sent)}."
        )


def path_of(given: object, what: str) -> Path:
    """The path of a tape.

    Raises:
        SandboxError: It is none; says so of the argument ``what``.
    """
    if not isinstance(given, str | PathLike):
        raise SandboxError(f"{what} takes the path of a .jsonl file, not {type(given).__name__}.")
    return Path(given)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return _TORN
