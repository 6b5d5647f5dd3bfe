"""How fast a sandbox streams."""

import re
from dataclasses import dataclass

from claude_nb.errors import SandboxError

REAL_TIME = 60.0
"""Tokens per second of an invented reply at ``pace=1``."""

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*tok(?:ens)?/s\s*")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait before an event.

    Attributes:
        rate: Tokens per second, or ``None`` when nothing waits.
        speed: Factor on recorded times, or ``None`` when the rate counts for them too.
    """

    rate: float | None
    speed: float | None = None

    def wait(self, tokens: float) -> float:
        """Seconds for so many tokens."""
        return tokens / self.rate if self.rate else 0.0

    def recorded(self, seconds: float, tokens: float) -> float:
        """Seconds for an event that took so long when it was recorded."""
        return seconds / self.speed if self.speed else self.wait(tokens)


def read(pace: float | str) -> Pace:
    """Understand ``pace=``.

    Args:
        pace: ``0`` at once, ``1`` real time, ``2`` twice as fast, or a rate such as ``"60 tok/s"``.

    Raises:
        SandboxError: Anything else.
    """
    if isinstance(pace, str):
        if (found := _RATE.fullmatch(pace)) and float(found.group(1)) > 0:
            return Pace(float(found.group(1)))
    elif isinstance(pace, int | float) and pace >= 0:
        return Pace(REAL_TIME * pace or None, pace or None)
    raise SandboxError(
        f'pace={pace!r} is no speed. Use 0 (at once), 1 (real time) or a rate such as "60 tok/s".'
    )
