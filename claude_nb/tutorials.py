"""Where the tutorial notebooks are, and how they get to a folder of the learner's own."""

import shutil
from pathlib import Path

from .errors import ClaudeNbError

FIRST = "00_start_here.ipynb"

_PACKAGE = Path(__file__).parent
_UNWANTED = ("__pycache__", ".ipynb_checkpoints", ".gitkeep", "conftest.py", "TEACHING.md")


def shipped() -> Path:
    """Give the folder of the tutorials that came with this installation.

    Raises:
        ClaudeNbError: They are missing.
    """
    for place in (_PACKAGE / "_notebooks", _PACKAGE.parent / "notebooks"):  # in a wheel; in a clone
        if (place / FIRST).is_file():
            return place
    raise ClaudeNbError(
        "the tutorials are missing from this installation. Install again: pip install claude_nb[lab]"
    )


def in_clone() -> bool:
    """Tell whether the package runs from a clone, whose own ``notebooks/`` may be opened as they are."""
    return shipped() == _PACKAGE.parent / "notebooks"


def copy_to(folder: Path, *, solutions: bool = True) -> list[Path]:
    """Copy the tutorials into ``folder`` and give the files that are new there; nothing is overwritten.

    Args:
        folder: Where to; made if need be.
        solutions: Whether the solutions of the exercises go with them.
    """
    source, new = shipped(), []
    unwanted = {*_UNWANTED, *(() if solutions else ("solutions",))}
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        if path.is_dir() or target.exists() or unwanted & set(path.relative_to(source).parts):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        new.append(target)
    return new


def in_colab() -> None:
    """Make a notebook that was opened in Colab complete: the tapes beside it, and our widgets allowed."""
    from google.colab import output

    output.enable_custom_widget_manager()
    new = copy_to(Path())
    print(f"{len(new)} files of the tutorials copied to {Path.cwd()}.")  # noqa: T201 - the learner finds them there


def notebooks(folder: Path) -> list[Path]:
    """Give the tutorials in a folder, in order.

    Raises:
        ClaudeNbError: There are none.
    """
    found = sorted(path for path in folder.glob("[0-9][0-9]_*.ipynb") if path.is_file())
    if not found:
        raise ClaudeNbError(
            f"there are no tutorials in {folder}. Copy them there: claude-nb tutorials {folder}"
        )
    return found


def title(path: Path) -> str:
    """Give the heading of a notebook."""
    import json

    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]).splitlines()[0].removeprefix("# ") if cells else path.stem
