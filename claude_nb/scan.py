"""``claude-nb scan``: keys that slipped into notebooks, scripts or tapes, before they are shared."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .credentials import Secret
from .errors import ClaudeNbError

_KEY = re.compile(r"sk-ant-[a-z]+\d*-[\w-]{20,}")
_SKIPPED = {".git", "node_modules", ".venv", "venv", "__pycache__", ".ipynb_checkpoints", "site-packages"}
_LARGEST = 20_000_000  # bytes


@dataclass(frozen=True)
class Leaked:
    """A key that was found.

    Attributes:
        path: The file.
        place: Where in it, such as ``"cell 3, output"`` or ``"line 12"``.
        masked: The key as it may be shown: its kind and last four characters.
    """

    path: Path
    place: str
    masked: str


def scan(paths: Iterable[Path]) -> tuple[list[Leaked], int]:
    """Give the keys found in files and folders, and how many files were read.

    Files named ``.env`` are where keys belong and are passed over in folders, as are binary files.

    Raises:
        ClaudeNbError: A path does not exist.
    """
    leaked: list[Leaked] = []
    read = 0
    for path in _files(paths):
        text = _text(path)
        if text is not None:
            read += 1
            leaked += _in_file(path, text)
    return leaked, read


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        elif not path.is_dir():
            raise ClaudeNbError(f"{path} does not exist. Name a file or a folder: claude-nb scan notebooks/")
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if name not in _SKIPPED)
            yield from (Path(folder) / name for name in sorted(names) if not _is_env(name))


def _is_env(name: str) -> bool:
    return name == ".env" or (name.startswith(".env.") and name != ".env.example")


def _text(path: Path) -> str | None:
    """The text of a file; None for what is no text, too large or not readable."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _in_file(path: Path, text: str) -> Iterator[Leaked]:
    if not _KEY.search(text):
        return
    parts = _cells(text) if path.suffix == ".ipynb" else None
    for place, part in parts or ((f"line {at}", line) for at, line in enumerate(text.splitlines(), 1)):
        for key in dict.fromkeys(_KEY.findall(part)):
            yield Leaked(path, place, Secret(key).masked)


def _cells(text: str) -> list[tuple[str, str]] | None:
    """The parts of a notebook with their places; None if it is not one."""
    try:
        notebook = json.loads(text)
        cells = list(notebook["cells"])
        parts = [("metadata", _joined(notebook.get("metadata")))]
        for at, cell in enumerate(cells, 1):
            parts.append((f"cell {at}", _joined(cell.get("source"))))
            parts.append((f"cell {at}, output", _joined(cell.get("outputs"))))
            parts.append((f"cell {at}, metadata", _joined([cell.get("metadata"), cell.get("attachments")])))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return parts


def _joined(value: Any) -> str:
    """All text in a value, lines of a list put together again, so that a key cut by a line end is found."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        between = "" if all(isinstance(one, str) for one in value) else "\n"
        return between.join(map(_joined, value))
    if isinstance(value, dict):
        return "\n".join(f"{name} {_joined(one)}" for name, one in value.items())
    return ""
