"""Which exercises of a learner's notebooks pass: every cell is run anew, on the sandbox, in a kernel of its own."""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ClaudeNbError
from .lessons import exercises

_CHECKED = re.compile(r"""\bcheck\(\s*["'](\d\d-\d)["']""")
_VERDICT = re.compile(r"^(yes, that is it\.|not yet: .*)$", re.MULTILINE)
_SECONDS = 60  # for one cell


@dataclass(frozen=True)
class Mark:
    """What became of one exercise.

    Attributes:
        exercise: Its name, such as ``"00-1"``.
        passed: Whether its check said yes.
        said: What is missing, in words; empty where nothing is.
    """

    exercise: str
    passed: bool
    said: str


def marks(path: Path) -> list[Mark]:
    """Run a copy of a notebook and give a mark for each of its exercises; the file stays as it is.

    A cell that raises does not end the run: the exercises after it are checked too. Nothing is sent or billed.

    Raises:
        ClaudeNbError: The file cannot be read as a notebook, or what runs notebooks is not installed.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
    except ImportError as error:
        raise ClaudeNbError(
            'running notebooks needs JupyterLab. Type: python -m pip install "claude_nb[lab]"'
        ) from error
    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    except Exception as error:
        raise ClaudeNbError(f"{path} cannot be read as a notebook: {str(error).splitlines()[0]}") from error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []  # what a run that ends early does not reach must not count
    stopped = ""
    folder = {"metadata": {"path": str(path.parent)}}
    runner = NotebookClient(notebook, timeout=_SECONDS, allow_errors=True, resources=folder)
    with tempfile.TemporaryDirectory(prefix="claude_nb-", ignore_cleanup_errors=True) as away:
        offline = {"CLAUDE_NB_MODE": "sandbox", "CLAUDE_NB_LEDGER": str(Path(away) / "ledger.db")}
        try:
            runner.execute(env=os.environ | offline, stderr=subprocess.DEVNULL)
        except (CellTimeoutError, DeadKernelError) as error:
            stopped = f"the run ended before it: {type(error).__name__} in an earlier cell or this one."
    return _marks(path.stem[:2], notebook.cells, stopped)


def _marks(number: str, cells: Any, stopped: str) -> list[Mark]:
    found: dict[str, Mark] = {}
    for cell in cells:
        names = _CHECKED.findall(cell.source) if cell.cell_type == "code" else []
        said = _VERDICT.findall(_printed(cell)) if names else []
        for place, name in enumerate(names):
            words = said[place] if place < len(said) else ""
            missing = words.removeprefix("not yet: ") or _why(cell) or stopped or "its cell gave no verdict."
            passed = words.startswith("yes")
            found[name] = Mark(name, passed, "" if passed else missing)
    gone = "its cell is not in the notebook any more."
    return [found.get(name, Mark(name, False, gone)) for name in exercises() if name.startswith(number)]


def _printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def _why(cell: Any) -> str:
    """The exception of a cell, in one line."""
    for output in cell.outputs:
        if output.output_type == "error":
            return f"its cell raised {output.ename}: {output.evalue}".splitlines()[0]
    return ""
