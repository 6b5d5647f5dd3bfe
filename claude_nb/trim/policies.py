"""The policies: each says what to leave out, from sizes and kinds alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from claude_nb.errors import HistoryError

from .cut import Cut, Talk

_EARLY = 0.8
"""With a cold cache a cut costs nothing extra: it is made when the limit is this near."""


class Policy(Protocol):
    """Says what to leave out. It only ever adds to the cut before, so that what is cached stays."""

    def cut(self, talk: Talk, before: Cut) -> Cut:
        """The cut for a conversation that was last sent under ``before``."""


Trim = Policy | Sequence[Policy]


@dataclass(frozen=True, slots=True, repr=False)
class _KeepLast:
    turns: int
    step: int

    def __repr__(self) -> str:
        return f"keep_last({self.turns}, step={self.step})"

    def cut(self, talk: Talk, before: Cut) -> Cut:
        sent = talk.sent(before)
        over = len(sent) - self.turns
        if over > self.step or (talk.cold and over > self.step * _EARLY):
            return before.without(sent[:over])
        return before


def keep_last(turns: int, *, step: int | None = None) -> Policy:
    """Send the last turns: a turn is a prompt with all that followed it.

    Args:
        turns: How many are always sent, the current one included.
        step: How many more may gather before they are left out together; default as many as ``turns``. With
            ``step=0`` exactly ``turns`` are sent, and the cache is rewritten every time.
    """
    if turns < 1 or (step is not None and step < 0):
        raise HistoryError("keep_last() takes at least 1 turn and no negative step, such as keep_last(10).")
    return _KeepLast(turns, turns if step is None else step)


@dataclass(frozen=True, slots=True, repr=False)
class _KeepTokens:
    limit: int
    to: int

    def __repr__(self) -> str:
        return f"keep_tokens({self.limit}, to={self.to})"

    def cut(self, talk: Talk, before: Cut) -> Cut:
        size = talk.size(before)
        if size <= (self.limit * _EARLY if talk.cold else self.limit):
            return before
        dropped = []
        for turn in talk.sent(before)[:-1]:
            if size <= self.to:
                break
            size -= talk.between(turn.first, turn.end, before)
            dropped.append(turn)
        return before.without(dropped) if dropped else before


def keep_tokens(limit: int, *, to: int | None = None) -> Policy:
    """Keep the prompt under a limit by leaving out the oldest turns.

    Args:
        limit: Tokens the prompt may reach, system and tools included; estimated, and corrected by what was measured.
        to: Tokens it is cut down to; default half the limit. The lower, the rarer the cuts.
    """
    to = limit // 2 if to is None else to
    if not 0 < to <= limit:
        raise HistoryError(
            "keep_tokens() takes a limit in tokens and a lower `to`, such as keep_tokens(100_000)."
        )
    return _KeepTokens(limit, to)


@dataclass(frozen=True, slots=True, repr=False)
class _DropToolResults:
    older_than: int
    keep: int
    at_least: int

    def __repr__(self) -> str:
        return f"drop_tool_results({self.older_than}, keep={self.keep}, at_least={self.at_least})"

    def cut(self, talk: Talk, before: Cut) -> Cut:
        old = talk.turns[-self.older_than].first if len(talk.turns) > self.older_than else 0
        left_out, cleared = before.places(), before.cleared_places()
        results = [
            place for place, item in enumerate(talk.items) if item.is_results and place not in left_out
        ]
        spare = results[: len(results) - self.keep] if self.keep else results
        found = [
            place for place in spare if place < old and place not in cleared and not talk.items[place].pinned
        ]
        saved = sum(talk.items[place].tokens - talk.items[place].cleared_tokens for place in found)
        if saved <= 0 or saved < (self.at_least * _EARLY if talk.cold else self.at_least):
            return before
        return replace(before, cleared=tuple(sorted(cleared | set(found))))


def drop_tool_results(older_than: int = 2, *, keep: int = 3, at_least: int = 5_000) -> Policy:
    """Send old tool results without their content; the calls stay.

    Args:
        older_than: Turns that keep their results, the current one included.
        keep: The newest messages of results, which keep their content however old.
        at_least: Tokens to save at once: less is not worth rewriting the cache.
    """
    if older_than < 1 or keep < 0 or at_least < 0:
        raise HistoryError("drop_tool_results() takes at least 1 turn and no negative numbers.")
    return _DropToolResults(older_than, keep, at_least)


@dataclass(frozen=True, slots=True)
class Summarize:
    """See :func:`summarize`. It cuts nothing itself: the history replaces old turns by a summary."""

    client: Any = field(repr=False)
    model: str
    when: int
    keep: int
    max_tokens: int

    def cut(self, talk: Talk, before: Cut) -> Cut:  # noqa: ARG002 - the protocol's arguments
        """Leave the cut as it is."""
        return before

    def old(self, talk: Talk) -> int:
        """How many messages to summarise now; 0 while there is no need."""
        early = talk.cold and talk.size() > self.when * _EARLY
        if not (early or talk.size() > self.when) or len(talk.turns) <= self.keep:
            return 0
        return talk.turns[-self.keep].first


def summarize(client: Any, *, model: str, when: int, keep: int = 4, max_tokens: int = 2_000) -> Policy:
    """Replace old turns by a summary that a model writes: a message you can read and edit. One call, billed.

    The conversation goes on in a new branch that begins with the summary; the old one is kept. If the call fails
    or is refused, the conversation goes on uncut, with a warning.

    Args:
        client: An SDK client.
        model: Who summarises; a small model will do.
        when: Tokens of prompt at which to summarise.
        keep: Turns that stay as they are, the current one included.
        max_tokens: Ceiling of the summary in tokens.
    """
    if when < 1 or keep < 1:
        raise HistoryError("summarize() takes `when` in tokens and keeps at least 1 turn.")
    return Summarize(client, model, when, keep, max_tokens)


@dataclass(frozen=True)
class ServerSide:
    """An edit that the API makes itself: nothing is left out here, so no thinking is lost.

    Attributes:
        edit: The entry of ``context_management.edits``.
        beta: The beta it needs.
    """

    edit: dict[str, Any] = field(hash=False)
    beta: str

    def cut(self, talk: Talk, before: Cut) -> Cut:  # noqa: ARG002 - the protocol's arguments
        """Leave the cut as it is."""
        return before


def server_compaction(trigger: int = 150_000, *, instructions: str | None = None) -> Policy:
    """Let the API summarise the conversation (beta ``compact-2026-01-12``, Claude 4.6 and later).

    The request then has ``betas`` and ``context_management``: send it with ``client.beta.messages``. The reply holds
    a ``compaction`` block, which is kept and sent back as it is.

    Args:
        trigger: Tokens of prompt at which to compact; the API takes 50,000 and more.
        instructions: What to attend to; None for the API's own.
    """
    if trigger < 50_000:  # noqa: PLR2004 - the API's own limit
        raise HistoryError(
            "server_compaction() takes a trigger of at least 50_000 tokens; the API refuses less."
        )
    edit = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": trigger}}
    return ServerSide(edit | ({"instructions": instructions} if instructions else {}), "compact-2026-01-12")


def server_clearing(
    trigger: int = 100_000, *, keep: int = 3, at_least: int | None = None, exclude_tools: Sequence[str] = ()
) -> Policy:
    """Let the API clear old tool results (beta ``context-management-2025-06-27``).

    Args:
        trigger: Tokens of prompt at which to clear.
        keep: The newest tool uses, which keep their results.
        at_least: Tokens to clear at once.
        exclude_tools: Names of tools whose results stay.
    """
    edit: dict[str, Any] = {
        "type": "clear_tool_uses_20250919",
        "trigger": {"type": "input_tokens", "value": trigger},
        "keep": {"type": "tool_uses", "value": keep},
    }
    if at_least is not None:
        edit["clear_at_least"] = {"type": "input_tokens", "value": at_least}
    if isinstance(exclude_tools, str):
        raise HistoryError(f"exclude_tools= takes a list of names: [{exclude_tools!r}].")
    if exclude_tools:
        edit["exclude_tools"] = list(exclude_tools)
    return ServerSide(edit, "context-management-2025-06-27")


def policies(trim: Any) -> tuple[Policy, ...]:
    """The policies of ``trim=``: none, one, or several applied in order.

    Raises:
        HistoryError: It is no policy.
    """
    found = () if trim is None else tuple(trim) if isinstance(trim, list | tuple) else (trim,)
    for policy in found:
        if not callable(getattr(policy, "cut", None)) or isinstance(policy, type):
            raise HistoryError(
                f"trim takes policies of claude_nb.trim, such as keep_tokens(100_000), not {policy!r}."
            )
    return found


def apply(trim: Sequence[Policy], talk: Talk, before: Cut) -> Cut:
    """The cut of several policies: each sees what those before it left. Pinned turns come back."""
    before = before.keeping(turn for turn in talk.turns if turn.pinned)
    for policy in trim:
        before = policy.cut(talk, before)
    return before


def server_side(trim: Sequence[Policy]) -> dict[str, Any]:
    """The further arguments of a request whose context the API edits."""
    found = [policy for policy in trim if isinstance(policy, ServerSide)]
    if not found:
        return {}
    return {
        "betas": list(dict.fromkeys(policy.beta for policy in found)),
        "context_management": {"edits": [policy.edit for policy in found]},
    }
