"""Checks for the exercises in the tutorials: they look at structure, never at a model's wording.

Each check takes what the learner made and says either that it is right, or what is still missing. A check never
raises: a blank or odd answer is "not yet".
"""

from typing import Any

from . import conversations, costs, programs, replies  # noqa: F401 - their checks register themselves
from .register import CHECKS

__all__ = ["check", "exercises", "what_is_missing"]


def check(exercise: str, answer: Any = ...) -> None:
    """Print whether an exercise is solved, and what is missing if not.

    Args:
        exercise: Its name as the notebook gives it, such as ``"00-1"``.
        answer: What the learner made; three dots count as blank.
    """
    missing = what_is_missing(exercise, answer)
    print(f"not yet: {missing}" if missing else "yes, that is it.")


def what_is_missing(exercise: str, answer: Any) -> str | None:
    """Give what an answer still lacks as one sentence, or None when the exercise is solved."""
    if exercise not in CHECKS:
        return f"there is no exercise {exercise!r}; there are {', '.join(exercises())}."
    if answer is ...:
        return "replace the three dots with your own code, then run the cell again."
    try:
        return CHECKS[exercise](answer)
    except Exception as error:  # noqa: BLE001 - whatever an odd answer does, the learner gets a sentence
        return f"this is not what the check expects ({type(error).__name__}: {error})."


def exercises() -> list[str]:
    """Give the names of all exercises."""
    return sorted(CHECKS)
