"""Checks for the exercises in the tutorials: they look at structure, never at a model's wording.

Each check takes what the learner made and says either that it is right, or what is still missing. A check never
raises: a blank or odd answer is "not yet".
"""

import json
import os
import traceback
from pathlib import Path
from typing import Any

from . import conversations, costs, programs, replies  # noqa: F401 - their checks register themselves
from .register import CHECKS

__all__ = ["REPORT", "check", "exercises", "what_is_missing"]

REPORT = "CLAUDE_NB_EXERCISES"
"""Environment variable: a file to which each check appends its verdict as a line of JSON."""


def check(exercise: str, answer: Any = ...) -> None:
    """Print whether an exercise is solved, and what is missing if not.

    Args:
        exercise: Its name as the notebook gives it, such as ``"00-1"``.
        answer: What the learner made; three dots count as blank.
    """
    missing = what_is_missing(exercise, answer)
    print(f"not yet: {missing}" if missing else "yes, that is it.")
    if report := os.environ.get(
        REPORT
    ):  # `claude-nb tutorials --check` reads it; what a cell prints proves nothing
        with Path(report).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"exercise": exercise, "missing": missing}) + "\n")


def what_is_missing(exercise: str, answer: Any) -> str | None:
    """Give what an answer still lacks as one sentence, or None when the exercise is solved."""
    if exercise not in CHECKS:
        return f"there is no exercise {exercise!r}; there are {', '.join(exercises())}."
    if answer is ...:
        return "replace the three dots with your own code, then run the cell again."
    try:
        return CHECKS[exercise](answer)
    except Exception as error:  # noqa: BLE001 - whatever an odd answer does, the learner gets a sentence
        return _in_words(error)


def _in_words(error: Exception) -> str:
    """Whose mistake it was: the learner's function raised, or what it gave cannot be used."""
    said = getattr(error, "api_message", None) or str(error).splitlines()[0] if str(error) else "no message"
    what = f"{type(error).__name__}: {said}"
    files = {Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)}
    if files <= set(Path(__file__).parent.glob("*.py")):
        return f"the check cannot use what it was given ({what}). Does your function `return` its result?"
    return f"it raised {what}"


def exercises() -> list[str]:
    """Give the names of all exercises."""
    return sorted(CHECKS)
