"""Saved conversations: one JSON line for the head, one for each stored message, branches included."""

import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from .errors import HistoryError
from .history import History

FORMAT = "claude_nb history"
VERSION = 1


def save(history: History, path: Path) -> Path:
    """Write ``history`` to ``path``: the file is replaced whole, or left as it was."""
    data = history.to_dict()
    entries = data.pop("entries")
    lines = [{"format": FORMAT, "version": VERSION, **data}, *entries]
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def load(path: Path) -> History:
    """Read a saved conversation; a torn last line loses only itself, with a warning."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise HistoryError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise HistoryError(f"{path} is no saved conversation: it is not UTF-8 text.") from error
    head = _parse(lines[0]) if lines else None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise HistoryError(f"{path} is no saved conversation. history.save(path) writes one.")
    if head["version"] > VERSION:
        raise HistoryError(
            f"{path} was saved by a newer version of claude_nb (format {head['version']}, "
            f"this one reads {VERSION}). Upgrade with: pip install -U claude_nb"
        )
    entries = []
    for number, line in enumerate(lines[1:], 2):
        entry = _parse(line)
        if entry is None and number < len(lines):
            raise HistoryError(f"line {number} of {path} is damaged, and later messages build on it.")
        if entry is None:
            warnings.warn(f"the last line of {path} is torn and was left out", stacklevel=3)
        else:
            entries.append(entry)
    return History.from_dict({**head, "entries": entries})


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
