"""What to leave out of a long conversation, and what that saves or costs.

With cache reads at 2.5 to 10 % of the price of input, leaving out a few messages each turn usually costs more than
it saves: everything behind the gap is written to the cache again. So each policy here cuts rarely and in large
steps, and rather when the cache has expired anyway. Turns are cut whole, so tool calls keep their results and the
conversation still begins with the user; pinned turns stay. Nothing is ever removed from what is stored.

>>> history = History(trim=keep_tokens(100_000))
>>> history.request()  # cut as needed; history.report says what was left out and when that pays
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

from .errors import HistoryError

_EARLY = 0.8
"""With a cold cache a cut costs nothing extra: it is made when the limit is this near."""


@dataclass(frozen=True)
class Cut:
    """What a request leaves out, by places in the conversation.

    Attributes:
        left_out: Ranges of places ``(first, end)`` that are not sent.
        cleared: Places of tool results that are sent without their content.
        thinking_from: Thinking before this place is not sent, where the model checks what came before it.
    """

    left_out: tuple[tuple[int, int], ...] = ()
    cleared: tuple[int, ...] = ()
    thinking_from: int = 0

    def places(self) -> frozenset[int]:
        """All places that are not sent."""
        return self._places

    def cleared_places(self) -> frozenset[int]:
        """All places whose tool results are cleared."""
        return self._cleared

    @cached_property
    def _cleared(self) -> frozenset[int]:
        return frozenset(self.cleared)

    @cached_property
    def _places(self) -> frozenset[int]:
        return frozenset(place for first, end in self.left_out for place in range(first, end))

    def to_dict(self) -> dict[str, Any]:
        """The cut as JSON."""
        ranges = [list(pair) for pair in self.left_out]
        return {"left_out": ranges, "cleared": list(self.cleared), "thinking_from": self.thinking_from}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Cut":
        """The cut that ``to_dict`` described."""
        ranges = tuple((int(first), int(end)) for first, end in data["left_out"])
        return cls(ranges, tuple(int(place) for place in data["cleared"]), int(data["thinking_from"]))

    def without(self, turns: Iterable["Turn"]) -> "Cut":
        """This cut with more turns left out."""
        ranges: list[tuple[int, int]] = []
        for first, end in sorted([*self.left_out, *((turn.first, turn.end) for turn in turns)]):
            if ranges and ranges[-1][1] >= first:
                ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
            else:
                ranges.append((first, end))
        return replace(self, left_out=tuple(ranges))

    def keeping(self, turns: Iterable["Turn"]) -> "Cut":
        """This cut with some turns sent whole again."""
        kept = {place for turn in turns for place in range(turn.first, turn.end)}
        if not kept & (self.places() | self.cleared_places()):
            return self
        left_out = sorted(self.places() - kept)
        starts = [place for place in left_out if place - 1 not in left_out]
        ends = [place + 1 for place in left_out if place + 1 not in left_out]
        cleared = tuple(place for place in self.cleared if place not in kept)
        return replace(self, left_out=tuple(zip(starts, ends, strict=True)), cleared=cleared)


WHOLE = Cut()


@dataclass(frozen=True, slots=True)
class Item:
    """One stored message as a policy sees it.

    Attributes:
        tokens: What it adds to the prompt; an estimate.
        cleared_tokens: What it adds once its tool results are cleared.
        is_prompt: Whether a turn begins here.
        is_results: Whether it holds tool results.
        pinned: Whether it must be sent.
    """

    tokens: int
    cleared_tokens: int
    is_prompt: bool
    is_results: bool
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt with everything that followed it: places from ``first`` up to ``end``."""

    first: int
    end: int
    pinned: bool


@dataclass(frozen=True)
class Talk:
    """A conversation as a policy sees it: sizes and kinds, no text.

    Attributes:
        items: Its messages, in order.
        fixed: Tokens of system prompt and tools.
        cold: Whether what the prompt cache held of it has expired.
        cached: Whether its requests used the prompt cache.
    """

    items: Sequence[Item]
    fixed: int = 0
    cold: bool = False
    cached: bool = True

    @cached_property
    def turns(self) -> list[Turn]:
        """Its turns. What precedes the first prompt belongs to the first."""
        starts = [place for place, item in enumerate(self.items) if item.is_prompt][1:]
        bounds = [0, *starts, len(self.items)]
        return [
            Turn(first, end, any(item.pinned for item in self.items[first:end]))
            for first, end in pairwise(bounds)
        ]

    def sent(self, cut: Cut) -> list[Turn]:
        """The turns that are sent and could be left out; the last is the one being asked."""
        left_out = cut.places()
        return [turn for turn in self.turns if turn.first not in left_out and not turn.pinned]

    def size(self, cut: Cut = WHOLE) -> int:
        """Tokens of the whole prompt under a cut."""
        return self.fixed + self.between(0, len(self.items), cut)

    def between(self, first: int, end: int, cut: Cut = WHOLE) -> int:
        """Tokens of the messages from place ``first`` up to ``end`` under a cut."""
        left_out, cleared = cut.places(), cut.cleared_places()
        items = self.items
        return sum(
            items[place].cleared_tokens if place in cleared else items[place].tokens
            for place in range(first, end)
            if place not in left_out
        )


class Policy(Protocol):
    """Says what to leave out. It only ever adds to the cut before, so that what is cached stays."""

    def cut(self, talk: Talk, before: Cut) -> Cut:
        """The cut for a conversation that was last sent under ``before``."""


Trim = Policy | Sequence[Policy]


@dataclass(frozen=True, slots=True)
class _KeepLast:
    turns: int
    step: int

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


@dataclass(frozen=True, slots=True)
class _KeepTokens:
    limit: int
    to: int

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


@dataclass(frozen=True, slots=True)
class _DropToolResults:
    older_than: int
    keep: int
    at_least: int

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


@dataclass(frozen=True)
class Report:
    """What a cut leaves out, what it saves and what it costs. All tokens are estimates.

    Attributes:
        left_out: Stored messages that are not sent.
        cleared: Messages whose tool results are sent without content.
        tokens: Tokens of the prompt.
        saved: Tokens saved in each request, compared to sending everything.
        newly_saved: How many of them are saved for the first time now.
        rewritten: Tokens behind the new gap, which the cache has to store again; 0 where nothing was cached.
        break_even: Requests after which the new cut has paid for that; None where that is unknown.
        without_thinking: Whether thinking before the gap is left out too, as the model demands.
    """

    left_out: int
    cleared: int
    tokens: int
    saved: int
    newly_saved: int
    rewritten: int
    break_even: int | None
    without_thinking: bool

    def __str__(self) -> str:
        if not (self.left_out or self.cleared):
            return f"nothing left out, about {self.tokens:,} tokens of prompt"
        gone = [f"{self.left_out:,} messages left out"] if self.left_out else []
        gone += [f"{self.cleared:,} tool results cleared"] if self.cleared else []
        text = f"{', '.join(gone)}: about {self.saved:,} tokens saved in each request, {self.tokens:,} sent"
        if self.newly_saved and self.rewritten:
            pays = (
                "unknown when it pays"
                if self.break_even is None
                else f"pays after {self.break_even} requests"
            )
            text += f"; about {self.rewritten:,} tokens of cache rewritten, {pays}"
        elif self.newly_saved:
            text += "; no cache lost, pays at once"
        return text + ("; thinking before the gap not sent" if self.without_thinking else "")


def report(talk: Talk, cut: Cut, before: Cut, *, first_change: float, model: str | None) -> Report:
    """Say what ``cut`` does to a conversation that was last sent under ``before``.

    Args:
        talk: The conversation.
        cut: What is left out now.
        before: What was left out of the request before.
        first_change: The first place that the two treat differently.
        model: Whose prices decide when it pays; None or unknown leaves that open.
    """
    tokens, newly = talk.size(cut), talk.size(before) - talk.size(cut)
    lost = talk.cached and not talk.cold and math.isfinite(first_change)
    rewritten = talk.between(int(first_change), len(talk.items), cut) if lost else 0
    return Report(
        left_out=len(cut.places()),
        cleared=len(cut.cleared),
        tokens=tokens,
        saved=talk.size() - tokens,
        newly_saved=max(0, newly),
        rewritten=rewritten,
        break_even=break_even(newly, rewritten, model) if newly > 0 else None,
        without_thinking=cut.thinking_from > 0,
    )


def break_even(saved: int, rewritten: int, model: str | None) -> int | None:
    """Requests after which leaving out ``saved`` tokens pays for writing ``rewritten`` ones to the cache again.

    ``(rewritten / saved) * (write - read) / read``, at the model's prices; None where they are unknown.
    """
    if rewritten == 0:
        return 0
    from .ledger.rates import rates_of

    rates = rates_of(model, None, rewritten) if model else None
    if rates is None or not rates.read or saved <= 0:
        return None
    return math.ceil(rewritten / saved * float((rates.write_5m - rates.read) / rates.read))
