"""How fast a sandbox streams."""

import re

from claude_nb.errors import SandboxError

REAL_TIME = 60.0
"""Tokens per second of an invented reply at ``pace=1``."""

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*tok(?:ens)?/s\s*")


def rate(pace: float | str) -> float | None:
    """Tokens per second, or ``None`` for at once.

    Args:
        pace: ``0`` at once, ``1`` real time, ``2`` twice as fast, or a rate such as ``"60 tok/s"``.

    Raises:
        SandboxError: Anything else.
    """
    if isinstance(pace, str):
        if (found := _RATE.fullmatch(pace)) and float(found.group(1)) > 0:
            return float(found.group(1))
    elif pace >= 0:
        return REAL_TIME * pace or None
    raise SandboxError(
        f'pace={pace!r} is no speed. Use 0 (at once), 1 (real time) or a rate such as "60 tok/s".'
    )
