"""Reads Claude Code's logs: one JSON line a content block, so that a call stands there several times.

A call is known by its message id, whatever file, session or sidechain repeats it: resumed sessions copy lines,
subagents replay them, streaming writes a placeholder first. The line with the final count wins.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from claude_nb.errors import LedgerError

from .address import path_of
from .attempt import settle
from .imports import Imported, opened
from .prices import Tokens
from .wire import Seen

SOURCE = "claude-code"
_MADE_UP = "<synthetic>"
"""The model of messages that Claude Code writes itself, such as errors: no call was made."""
_DEEPEST = 20
"""Lists and objects in each other in a usage; the API has three."""


@dataclass(slots=True)
class Call:
    """One call, as far as its lines told it by now."""

    at: str
    session: str
    folder: str
    sidechain: bool
    request_id: str | None
    seen: Seen = field(default_factory=Seen)
    rank: tuple[bool, int] = (False, -1)


@dataclass(slots=True)
class Log:
    """What the lines of many files add up to."""

    calls: dict[str, Call] = field(default_factory=dict)
    files: int = 0
    repeats: int = 0
    skipped: int = 0
    malformed: int = 0
    unreadable: int = 0

    def found(self) -> Imported:
        """The numbers for the report."""
        return Imported(
            SOURCE,
            files=self.files,
            rows=len(self.calls),
            repeats=self.repeats,
            skipped=self.skipped,
            malformed=self.malformed,
            unreadable=self.unreadable,
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """A settled row a call; a call without a final count keeps an interval."""
        for key, call in self.calls.items():
            row = opened(
                SOURCE,
                key,
                ts=call.at,
                session=call.session,
                conversation=call.session,
                project=PurePath(call.folder.replace("\\", "/")).name or None,
                tags=json.dumps(["sidechain"]) if call.sidechain else None,
                request_id=call.request_id,
                attempt=0,
                stream=True,
            )
            yield settle(row, call.seen, "ok" if call.seen.ended else "truncated")


def folders() -> list[Path]:
    """Where Claude Code keeps its logs: ``CLAUDE_CONFIG_DIR`` (several, with commas), or both usual places."""
    given = os.environ.get("CLAUDE_CONFIG_DIR")
    homes = given.split(",") if given else ["~/.claude", "~/.config/claude"]
    return [Path(home.strip()).expanduser() / "projects" for home in homes]


def read_logs(folder: str | os.PathLike[str] | None = None) -> Log:
    """Every call in the logs of a folder and the folders below it, or in one file.

    Args:
        folder: Where to look; where Claude Code keeps its logs if not given.

    Raises:
        LedgerError: There are no logs there.
    """
    places = [path_of(folder, "Claude Code's logs")] if folder is not None else folders()
    files = [
        file
        for place in places
        for file in ([place] if place.is_file() else sorted(place.rglob("*.jsonl"), key=_age))
    ]
    if not files:
        raise LedgerError(
            f"No Claude Code logs (*.jsonl) in {' or '.join(map(str, places))}. Name the folder that holds them, "
            "such as ~/.claude/projects."
        )
    log = Log()
    for file in files:
        try:
            with file.open("rb") as lines:
                log.files += 1
                for line in lines:
                    _take_line(log, line)
        except OSError:
            log.unreadable += 1
    return log


def _age(file: Path) -> tuple[float, str]:
    """Older files first: of two sessions with the same lines, the first made the call."""
    try:
        return file.stat().st_mtime, str(file)
    except OSError:
        return 0.0, str(file)


def _take_line(log: Log, line: bytes) -> None:
    line = line.strip()
    if not line or (b"assistant" not in line and line.endswith(b"}")):
        return
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        log.malformed += 1
        return
    record = _unwrapped(record)
    if not isinstance(record, Mapping) or record.get("type") != "assistant":
        return
    message = record.get("message")
    if not isinstance(message, Mapping):
        log.malformed += 1
        return
    if message.get("model") == _MADE_UP or record.get("isApiErrorMessage"):
        log.skipped += 1
        return
    usage, at = message.get("usage"), stamp(record.get("timestamp"))
    if usage is None:
        log.skipped += 1
    elif at is None or not _is_whole(record, message, usage):
        log.malformed += 1
    else:
        _take_call(log, record, message, at)


def _is_whole(record: Mapping[str, Any], message: Mapping[str, Any], usage: Any) -> bool:
    """Whether a line has what a call is known and counted by, each of its kind."""
    texts = [
        message.get("model") or 0,  # a call without a model is none
        *(message.get(name) for name in ("id", "stop_reason")),
        *(record.get(name) for name in ("requestId", "sessionId", "uuid", "cwd")),
    ]
    told = all(isinstance(text, str | None) for text in texts) and isinstance(usage, Mapping)
    return told and Tokens.of(usage) is not None and _depth(usage) <= _DEEPEST


def _depth(value: Any) -> int:
    """How many lists and objects stand in each other, or more than is looked at."""
    layer, depth = [value], 0
    while layer and depth <= _DEEPEST:
        groups = [
            one.values() if isinstance(one, Mapping) else one
            for one in layer
            if isinstance(one, Mapping | list)
        ]
        layer, depth = [one for group in groups for one in group], depth + bool(groups)
    return depth


def _unwrapped(record: Any) -> Any:
    """A subagent's message, where the line reports the subagent's progress."""
    if isinstance(record, Mapping) and record.get("type") == "progress":
        data = record.get("data")
        inner = data.get("message") if isinstance(data, Mapping) else None
        if isinstance(inner, Mapping):
            return {**record, "type": None, "isSidechain": True, **inner}
    return record


def _take_call(log: Log, record: Mapping[str, Any], message: Mapping[str, Any], at: str) -> None:
    key = str(message.get("id") or record.get("requestId") or record.get("uuid") or at)
    session, folder = str(record.get("sessionId") or "unknown"), str(record.get("cwd") or "")
    sidechain, request_id = bool(record.get("isSidechain")), record.get("requestId")
    call = log.calls.get(key)
    if call is None:
        call = log.calls[key] = Call(at, session, folder, sidechain, request_id)
    else:
        log.repeats += 1
        if at < call.at:
            call.at, call.session, call.folder = at, session, folder
        call.sidechain = call.sidechain and sidechain
        call.request_id = call.request_id or request_id
    produced = call.seen.produced
    rank = (message.get("stop_reason") is not None, message["usage"].get("output_tokens") or 0)
    if rank >= call.rank:
        call.rank, call.seen = rank, Seen()
        call.seen.take_message(message)
        call.seen.ended = rank[0]
        call.seen.message["id"] = message.get("id")
    call.seen.produced = call.seen.produced or produced


def stamp(text: Any) -> str | None:
    """The moment as the ledger writes it; a time without a zone is UTC."""
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return at.isoformat(timespec="microseconds")
