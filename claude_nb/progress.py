"""Which exercises of a learner's notebooks pass: every cell is run anew, on the sandbox, in a kernel of its own."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ClaudeNbError
from .lessons import REPORT, exercises

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


def marks(path: Path) -> tuple[list[Mark], list[str]]:
    """Run a copy of a notebook: a mark for each of its exercises, and a line for each cell that broke.

    The file stays as it is. A cell that raises does not end the run: the exercises after it are checked too. Only a
    cell that takes longer than a minute does. Nothing is sent or billed.

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
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    folder = {"metadata": {"path": str(path.parent)}}
    runner = NotebookClient(notebook, timeout=_SECONDS, allow_errors=True, resources=folder)
    ended = ""
    with tempfile.TemporaryDirectory(prefix="claude_nb-", ignore_cleanup_errors=True) as away:
        report = Path(away) / "exercises.jsonl"
        offline = {"CLAUDE_NB_MODE": "sandbox", "CLAUDE_NB_LEDGER": f"{away}/ledger.db", REPORT: str(report)}
        try:
            runner.execute(env=os.environ | offline, stderr=subprocess.DEVNULL)
        except CellTimeoutError:
            ended = f"took longer than {_SECONDS} seconds; the cells after it were not run"
        except DeadKernelError:
            ended = "ended the kernel; the cells after it were not run"
        lines = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    said = {line["exercise"]: line["missing"] for line in map(json.loads, lines)}
    return [_mark(name, said) for name in exercises() if name.startswith(path.stem[:2])], _broken(code, ended)


def _mark(name: str, said: dict[str, str | None]) -> Mark:
    missing = said.get(name, "its check did not run.")
    return Mark(name, missing is None, missing or "")


def _broken(code: list[Any], ended: str) -> list[str]:
    """What went wrong outside the checks, by the number of the code cell."""
    lines = []
    for number, cell in enumerate(code, 1):
        if "raises-exception" in cell.metadata.get("tags", ()):
            continue
        lines += [
            f"cell {number} raised {output.ename}: {output.evalue}".splitlines()[0]
            for output in cell.outputs
            if output.output_type == "error" and not (ended and output.ename == "KeyboardInterrupt")
        ]
    if ended:
        reached = max((number for number, cell in enumerate(code, 1) if cell.execution_count), default=1)
        lines.append(f"cell {reached} {ended}")
    return lines
