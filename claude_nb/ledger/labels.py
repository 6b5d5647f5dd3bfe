"""Which project, user, notebook, cell, conversation and tags a call belongs to.

Labels travel in a context variable, so that concurrent tasks keep their own. Worker threads start without
one; they fall back to the cell the kernel is running and the tags of the main flow, never to a conversation.
"""

import getpass
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from claude_nb.errors import LedgerError


@dataclass(frozen=True, slots=True)
class Labels:
    """Where a call came from. None where that is unknown."""

    notebook: str | None = None
    cell: str | None = None
    cell_id: str | None = None
    conversation: str | None = None
    tags: tuple[str, ...] = ()
    project: str | None = None
    user: str | None = None


_EMPTY = Labels()
_current: ContextVar[Labels] = ContextVar("claude_nb_labels", default=_EMPTY)
_running_cell: dict[str, str | None] = {"cell": None, "cell_id": None}
_open_tags: list[str] = []
_hooked: set[int] = set()


def label(
    *,
    conversation: str | None = None,
    notebook: str | None = None,
    cell: str | None = None,
    tags: tuple[str, ...] = (),
    project: str | None = None,
    user: str | None = None,
) -> AbstractContextManager[None]:
    """Every call made inside the ``with`` carries these labels in the ledger; None keeps the outer one.

    Args:
        conversation: Groups the turns of one conversation; any short id.
        notebook: The notebook's name, where Jupyter does not tell it.
        cell: The cell, where IPython does not tell it.
        tags: Added to the tags already in force.
        project: What it belongs to; otherwise ``CLAUDE_NB_PROJECT``, else the name of the Git repository around the
            notebook or the working folder.
        user: Who made it, where a class or team shares a ledger; otherwise JupyterHub's or the system's user name.

    Raises:
        LedgerError: A label is not text.
    """
    given = {
        "conversation": conversation,
        "notebook": notebook,
        "cell": cell,
        "project": project,
        "user": user,
    }
    if isinstance(tags, str):
        raise LedgerError(f"tags= takes several: label(tags=({tags!r},)).")
    for name, value in (*given.items(), *(("tag", tag) for tag in tags)):
        if not isinstance(value, str | None) or (name == "tag" and not value):
            raise LedgerError(f"A {name} is a short text, not {value!r}.")
    return _labelled({name: value for name, value in given.items() if value}, tuple(tags))


@contextmanager
def _labelled(given: Mapping[str, Any], tags: tuple[str, ...]) -> Iterator[None]:
    outer = _current.get()
    added = (*outer.tags, *(tag for tag in tags if tag not in outer.tags))
    token = _current.set(replace(outer, **given, tags=added))
    _open_tags.extend(tags)
    try:
        yield
    finally:
        for tag in tags:
            _open_tags.remove(tag)
        _current.reset(token)


def current() -> Labels:
    """The labels of a call made here and now."""
    labels = _current.get()
    tags = labels.tags or tuple(dict.fromkeys(_open_tags))
    return replace(
        labels,
        notebook=labels.notebook or _notebook(),
        cell=labels.cell or _running_cell["cell"],
        cell_id=None if labels.cell else _running_cell["cell_id"],
        tags=tags,
        project=labels.project or os.environ.get("CLAUDE_NB_PROJECT") or _project(),
        user=labels.user or _user(),
    )


def follow_cells() -> None:
    """In an IPython kernel, note which cell runs from now on. Anywhere else this does nothing."""
    if "IPython" not in sys.modules:
        return
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or id(shell) in _hooked:
        return
    _hooked.add(id(shell))
    _running_cell["cell"] = str(_inputs(shell) - 1)  # the cell that runs now is stored already
    shell.events.register("pre_run_cell", _note_cell)


def _note_cell(info: Any) -> None:
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    numbered = shell is not None and getattr(info, "store_history", True)
    _running_cell["cell"] = str(_inputs(shell)) if numbered else None
    _running_cell["cell_id"] = getattr(info, "cell_id", None)


def _inputs(shell: Any) -> int:
    """The length of ``In``: the number a cell shows. IPython's execution_count is one more in some versions."""
    return len(shell.history_manager.input_hist_parsed)


def _notebook() -> str | None:
    """The notebook's file name as the Jupyter server tells its kernels."""
    path = os.environ.get("JPY_SESSION_NAME")
    return PurePath(path).name if path else None


def _project() -> str | None:
    """The repository around the notebook where Jupyter tells its place, else around the working folder."""
    session = Path(os.environ.get("JPY_SESSION_NAME", ""))
    try:
        return _repository(session.parent if session.is_absolute() else Path.cwd())
    except OSError:  # the folder was deleted
        return None


@cache
def _repository(folder: Path) -> str | None:
    return next((one.name for one in (folder, *folder.parents) if (one / ".git").exists()), None)


@cache
def _user() -> str | None:
    try:
        return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return None
