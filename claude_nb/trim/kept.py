"""Policies as JSON, for saved conversations."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .policies import DropToolResults, KeepLast, KeepTokens, Policy
from .server import ServerSide

_KINDS: dict[str, Any] = {
    "keep_last": KeepLast,
    "keep_tokens": KeepTokens,
    "drop_tool_results": DropToolResults,
    "server_side": ServerSide,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def described(trim: Sequence[Any]) -> list[dict[str, Any]]:
    """Each policy by its name and numbers; one that needs more than that (a client) by how it reads."""
    return [
        {"policy": _NAMES[type(policy)], **asdict(policy)}
        if type(policy) in _NAMES
        else {"reads": repr(policy)}
        for policy in trim
    ]


def restored(saved: Any) -> tuple[list[Policy], list[str]]:
    """The policies that :func:`described` described, and how those read that could not be made again."""
    found: list[Policy] = []
    lost: list[str] = []
    for one in saved or ():
        try:
            fields = dict(one)
            found.append(_KINDS[fields.pop("policy")](**fields))
        except (KeyError, TypeError, ValueError):
            lost.append(str(one.get("reads", one)) if isinstance(one, dict) else repr(one))
    return found, lost
