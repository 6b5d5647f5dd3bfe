"""Saved conversations: JSON Lines that can be added to, branches included.

The first line says what the file is and holds what never changes; each further line is one piece of news: a stored
message (which is then the last of the current branch), ``{"head": n}`` after going back, ``{"pins": […]}`` or
``{"cut": {…}}``.
"""

import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from claude_nb.errors import HistoryError

from .entry import Entry
from .history import History

_OWNERS: "WeakValueDictionary[Path, History]" = WeakValueDictionary()
FORMAT = "claude_nb history"
VERSION = 3


def save(history: History, path: Path) -> Path:
    """Write ``history`` to ``path``: the file is replaced whole, or left as it was."""
    data = history.to_dict()
    settings = {name: data[name] for name in ("system", "tools", "rerun", "trim", "params")}
    first = {"format": FORMAT, "version": VERSION, **settings}
    lines = [first, *({"cut": cut} for cut in data["cuts"]), *data["entries"]]
    lines += [{"pins": data["pins"]}] if data["pins"] else []
    if data["head"] != len(data["entries"]) - 1:
        lines.append({"head": data["head"]})
    if path.is_dir():
        raise HistoryError(f"{path} is a folder. Name a file in it: {str(path / 'talk.jsonl')!r}.")
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise HistoryError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(_line(line) for line in lines)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def claim(path: Path, history: History) -> None:
    """Make sure that nothing is lost when ``history`` keeps itself in this file.

    Raises:
        HistoryError: The file holds something else, or another history of this kernel keeps itself there.
    """
    owner = _OWNERS.get(path.resolve())
    if owner is not None and owner is not history and owner._tree.file is not None:
        raise HistoryError(f"another conversation saves itself to {path}. Name another file.")
    if path.exists() and path.stat().st_size:
        advice = f"Go on with it by History.load({str(path)!r}), or name another file."
        try:
            kept = load(path).to_dict()["entries"]
        except HistoryError as error:
            raise HistoryError(f"{path} exists and is no saved conversation. Name another file.") from error
        if history.to_dict()["entries"][: len(kept)] != kept:
            raise HistoryError(f"{path} holds another conversation. {advice}")
    _OWNERS[path.resolve()] = history


def add(path: Path, news: Entry | dict[str, Any]) -> None:
    """Add one line to a saved conversation."""
    if not path.exists():
        raise FileNotFoundError(2, "the file is gone", str(path))
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(news.to_dict() if isinstance(news, Entry) else news))


def load(path: Path) -> History:
    """Read a saved conversation; a torn last line loses only itself, with a warning."""
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except OSError as error:
        raise HistoryError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise HistoryError(f"{path} is no saved conversation: it is not UTF-8 text.") from error
    lines = lines[:-1] if not lines[-1] else lines
    first = _parse(lines[0]) if lines else None
    if not isinstance(first, dict) or first.get("format") != FORMAT:
        raise HistoryError(f"{path} is no saved conversation. history.save(path) writes one.")
    version = first.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise HistoryError(
            f"{path} was saved by a newer version of claude_nb (format {version}, "
            f"this one reads {VERSION}). Upgrade with: pip install -U claude_nb"
        )
    data = {**first, "entries": [], "cuts": [], "head": None}
    for number, line in enumerate(lines[1:], 2):
        news = _parse(line)
        if isinstance(news, dict):
            _take(data, news)
        elif number < len(lines):
            raise HistoryError(f"line {number} of {path} is damaged, and later messages build on it.")
        else:
            warnings.warn(f"the last line of {path} is torn and was left out", stacklevel=3)
    if "head" in first:  # the first format said so there
        data["head"] = first["head"]
    return History.from_dict(data)


def _take(data: dict[str, Any], news: dict[str, Any]) -> None:
    if "role" in news:
        data["entries"].append(news)
        data["head"] = len(data["entries"]) - 1
    elif "cut" in news:
        data["cuts"].append(news["cut"])
    else:
        data |= news


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
