"""Edits that the API makes itself, passed through to its own features (build-with-claude/context-editing)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from claude_nb.errors import HistoryError

from .cut import Cut, Talk
from .limits import whole

COMPACTION = "compact_20260112"
COMPACTION_BETA = "compact-2026-01-12"
CLEARING = "clear_tool_uses_20250919"
_LEAST_TRIGGER = 50_000
"""Tokens; the API refuses to compact below."""


@dataclass(frozen=True)
class ServerSide:
    """An edit that the API makes itself: nothing is left out here, so no thinking is lost.

    Attributes:
        edit: The entry of ``context_management.edits``.
        beta: The beta it needs.
    """

    edit: dict[str, Any] = field(hash=False)
    beta: str

    def __repr__(self) -> str:
        name = "server_compaction" if self.edit["type"] == COMPACTION else "server_clearing"
        return f"{name}({self.edit.get('trigger', {}).get('value', '')})"

    def cut(self, talk: Talk, before: Cut) -> Cut:  # noqa: ARG002 - the protocol's arguments
        """Leave the cut as it is."""
        return before


def server_compaction(trigger: int = 150_000, *, instructions: str | None = None) -> ServerSide:
    """Let the API summarise the conversation (beta ``compact-2026-01-12``, Claude 4.6 and later).

    The request then has ``betas`` and ``context_management``: send it with ``client.beta.messages``. The reply holds
    a ``compaction`` block, which is kept and sent back as it is. To compact when you choose, see
    ``history.compaction()``.

    Args:
        trigger: Tokens of prompt at which to compact; the API takes 50,000 and more.
        instructions: What to attend to; None for the API's own.

    Raises:
        HistoryError: The trigger is lower than the API takes.
    """
    whole("server_compaction", "a trigger", trigger, _LEAST_TRIGGER, such_as="server_compaction(150_000)")
    if instructions is not None and not isinstance(instructions, str):
        raise HistoryError(
            f"server_compaction() takes instructions as text, not {type(instructions).__name__}."
        )
    edit = {"type": COMPACTION, "trigger": {"type": "input_tokens", "value": trigger}}
    return ServerSide(edit | ({"instructions": instructions} if instructions else {}), COMPACTION_BETA)


def server_clearing(
    trigger: int = 100_000, *, keep: int = 3, at_least: int | None = None, exclude_tools: Sequence[str] = ()
) -> ServerSide:
    """Let the API clear old tool results (beta ``context-management-2025-06-27``).

    Args:
        trigger: Tokens of prompt at which to clear.
        keep: The newest tool uses, which keep their results.
        at_least: Tokens to clear at once.
        exclude_tools: Names of tools whose results stay.

    Raises:
        HistoryError: A number is none, or ``exclude_tools`` is no list of names.
    """
    such_as = "server_clearing(100_000, keep=3)"
    whole("server_clearing", "a trigger", trigger, 0, such_as=such_as)
    whole("server_clearing", "keep", keep, 0, such_as=such_as)
    edit: dict[str, Any] = {
        "type": CLEARING,
        "trigger": {"type": "input_tokens", "value": trigger},
        "keep": {"type": "tool_uses", "value": keep},
    }
    if at_least is not None:
        whole("server_clearing", "at_least", at_least, 0, such_as=such_as)
        edit["clear_at_least"] = {"type": "input_tokens", "value": at_least}
    if isinstance(exclude_tools, str) or not all(isinstance(name, str) for name in exclude_tools):
        raise HistoryError(f"exclude_tools= takes a list of names of tools, not {exclude_tools!r}.")
    if exclude_tools:
        edit["exclude_tools"] = list(exclude_tools)
    return ServerSide(edit, "context-management-2025-06-27")


def server_side(trim: Sequence[Any]) -> dict[str, Any]:
    """The further arguments of a request whose context the API edits."""
    found = [policy for policy in trim if isinstance(policy, ServerSide)]
    if not found:
        return {}
    return {
        "betas": list(dict.fromkeys(policy.beta for policy in found)),
        "context_management": {"edits": [policy.edit for policy in found]},
    }
