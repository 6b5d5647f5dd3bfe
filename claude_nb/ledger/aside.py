"""The side folder: where rows wait, one small file a row, while the database cannot take them.

One file a row needs no lock: writers add files, whoever opens the database next takes them in and removes them.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

OPEN = "open"
"""The outcome of a row whose call is under way."""


class Aside:
    """The rows of one database that wait.

    Args:
        url: The database.
        path: Its file, where it has one.
        note: Told about what goes wrong; nothing is raised.
    """

    def __init__(self, url: str, path: Path | None, note: Callable[[BaseException], None]) -> None:
        self._url = url
        self._path = path
        self._note = note

    def folders(self) -> list[Path]:
        """Beside the database, or (read-only, full, remote) in the temp folder."""
        key = hashlib.sha256(self._url.encode()).hexdigest()[:16]
        user = os.getuid() if hasattr(os, "getuid") else 0
        elsewhere = Path(tempfile.gettempdir()) / f"claude_nb-{user}" / key
        return (
            [elsewhere]
            if self._path is None
            else [self._path.with_name(f"{self._path.name}.waiting"), elsewhere]
        )

    def put(self, row: dict[str, Any]) -> None:
        """Keep the row in the first folder that can be written."""
        state = OPEN if row["outcome"] == OPEN else "settled"
        name = re.sub(r"[^-\w]", "_", row["id"]) + f".{state}.json"
        for folder in self.folders():
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not _is_ours(folder):
                    continue
                part = folder / f"{name}.part"
                part.touch(mode=0o600)
                part.write_text(json.dumps(row), encoding="utf-8")
                part.replace(folder / name)
            except OSError as error:
                self._note(error)
            else:
                return

    def files(self) -> list[Path]:
        """The rows that wait; a call's row before its request sorts before the one that settles it."""
        return [
            file for folder in self.folders() if _is_ours(folder) for file in sorted(folder.glob("*.json"))
        ]

    def read(self, file: Path) -> dict[str, Any] | None:
        """The row in a file; None when another process took it in, or it cannot be read."""
        try:
            row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            self._note(error)
            return None
        return row


def _is_ours(folder: Path) -> bool:
    """Whether the folder is this user's: in a shared temp folder anyone can make one by that name."""
    try:
        return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    except OSError:
        return False
