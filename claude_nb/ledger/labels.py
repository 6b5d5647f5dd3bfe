"""Which project, user, notebook, cell, conversation and tags a call belongs to.

Concurrent tasks keep their own labels; worker threads that a cell starts inside a ``with`` have its labels. The rule is
in ``blocks``. Where nothing names the cell, it is the one whose context the call has, else the one that runs.
"""

import getpass
import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from claude_nb.errors import LedgerError

from .blocks import Labelling, in_force, take_root


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


_running_cell: dict[str, str | None] = {"cell": None, "cell_id": None}
_cell: ContextVar[dict[str, str | None] | None] = ContextVar("claude_nb_cell", default=None)
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

    So do the calls of tasks that are started inside it, and of threads that the main thread starts inside it. A worker
    that was there before, or one that a task or another thread starts, has them where it is given the context:
    ``pool.submit(copy_context().run, ask, prompt)``. It decorates functions too.

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

    Warns:
        UserWarning: There was no ``with``, so that no call has them.

    Example:
        >>> with label(project="thesis", tags=("draft",)):
        ...     chat.send("...")  # doctest: +SKIP
    """
    given = {
        "conversation": conversation,
        "notebook": notebook,
        "cell": cell,
        "project": project,
        "user": user,
    }
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        shown = tags if isinstance(tags, str) and tags else "draft"
        raise LedgerError(f"tags= takes several texts, not {tags!r}. Type: label(tags=({shown!r},)).")
    tags = tuple(tags)
    for name, value in (*given.items(), *(("tag", tag) for tag in tags)):
        if not isinstance(value, str | None) or (name == "tag" and not value):
            raise LedgerError(f"A {name} is a short text, not {value!r}.")
    return Labelling({name: value for name, value in given.items() if value}, tags)


def current() -> Labels:
    """The labels of a call made here and now."""
    blocks = in_force()
    given = {name: value for block in blocks for name, value in block.given.items()}
    cell = _cell.get() or _running_cell
    return Labels(
        notebook=given.get("notebook") or _notebook(),
        cell=given.get("cell") or cell["cell"],
        cell_id=None if "cell" in given else cell["cell_id"],
        conversation=given.get("conversation"),
        tags=tuple(dict.fromkeys(tag for block in blocks for tag in block.tags)),
        project=given.get("project") or os.environ.get("CLAUDE_NB_PROJECT") or _project(),
        user=given.get("user") or _user(),
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
    shell.events.register("post_run_cell", _leave_cell)
    take_root()


def _note_cell(info: Any) -> None:
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    numbered = shell is not None and getattr(info, "store_history", True)
    _running_cell["cell"] = str(_inputs(shell)) if numbered else None
    _running_cell["cell_id"] = getattr(info, "cell_id", None)
    _cell.set(dict(_running_cell))  # tasks of this cell stay with it when the next one runs
    take_root()


def _leave_cell(_: Any) -> None:
    _cell.set(None)


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
