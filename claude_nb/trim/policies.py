"""The policies: each says what to leave out, from sizes and kinds alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from claude_nb.errors import HistoryError

from .cut import Cut, Talk
from .limits import whole

_EARLY = 0.8
"""With a cold cache a cut costs nothing extra: it is made when the limit is this near."""


class Policy(Protocol):
    """Says what to leave out. It only ever adds to the cut before, so that what is cached stays.

    A policy may also have ``cut_loop``, with the same arguments: it is asked while a tool loop runs, and tells the
    loop's steps in words (``Cut.telling``) where it leaves anything out.
    """

    def cut(self, talk: Talk, before: Cut) -> Cut:
        """The cut for a conversation that was last sent under ``before``."""


Trim = Policy | Sequence[Policy]


@dataclass(frozen=True, slots=True, repr=False)
class KeepLast:
    """See :func:`keep_last`."""

    turns: int
    step: int

    def __repr__(self) -> str:
        return f"keep_last({self.turns}, step={self.step})"

    def cut(self, talk: Talk, before: Cut) -> Cut:
        """Leave out all but the last turns, once enough have gathered."""
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

    Raises:
        HistoryError: A number is none, or too small.
    """
    whole("keep_last", "turns", turns, 1, such_as="keep_last(10)")
    if step is not None:
        whole("keep_last", "step", step, 0, such_as="keep_last(10, step=5)")
    return KeepLast(turns, turns if step is None else step)


@dataclass(frozen=True, slots=True, repr=False)
class KeepTokens:
    """See :func:`keep_tokens`."""

    limit: int
    to: int

    def __repr__(self) -> str:
        return f"keep_tokens({self.limit}, to={self.to})"

    def cut(self, talk: Talk, before: Cut) -> Cut:
        """Leave out the oldest turns once the limit is passed."""
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

    def cut_loop(self, talk: Talk, before: Cut) -> Cut:
        """Leave out the oldest turns, and tell the steps of the loop in the words that there is room for."""
        steps = talk.steps(before)
        if steps is None or talk.size(before) <= self.limit:
            return before
        cut = self.cut(talk, before)
        now = talk.between(steps.first, steps.end, before)
        told = min(now, max(self.to - (talk.size(cut) - talk.between(steps.first, steps.end, cut)), 0))
        cut = cut.telling(steps.first, steps.end, told)
        size = talk.size(cut)
        rare = size <= self.to or size <= talk.size(before) // 3  # else the cache is rewritten at every step
        return cut if rare else before


def keep_tokens(limit: int, *, to: int | None = None) -> Policy:
    """Keep the prompt under a limit by leaving out the oldest turns.

    Where one turn alone grows past it, a long tool loop, its steps go on as words of the prompt, the newest in full
    and the oldest left out: the API takes no loop with a gap.

    Args:
        limit: Tokens the prompt may reach, system and tools included; estimated, and corrected by what was measured.
        to: Tokens it is cut down to; default half the limit. The lower, the rarer the cuts.

    Raises:
        HistoryError: A number is none, or ``to`` is above the limit.
    """
    whole("keep_tokens", "a limit", limit, 1, such_as="keep_tokens(100_000)")
    to = max(1, limit // 2) if to is None else to
    whole("keep_tokens", "`to`", to, 1, such_as="keep_tokens(100_000, to=50_000)")
    if to > limit:
        raise HistoryError(
            f"keep_tokens() takes a limit in tokens and a lower `to`, not {limit} and to={to}."
        )
    return KeepTokens(limit, to)


@dataclass(frozen=True, slots=True, repr=False)
class DropToolResults:
    """See :func:`drop_tool_results`."""

    older_than: int
    keep: int
    at_least: int

    def __repr__(self) -> str:
        return f"drop_tool_results({self.older_than}, keep={self.keep}, at_least={self.at_least})"

    def cut(self, talk: Talk, before: Cut) -> Cut:
        """Clear old results once enough have gathered."""
        turns = max(1, self.older_than)  # the turn that is being asked has results in a loop only
        old = talk.turns[-turns].first if len(talk.turns) > turns else 0
        return self._cleared(talk, before, old)

    def cut_loop(self, talk: Talk, before: Cut) -> Cut:
        """Clear old results of the loop too, and tell its steps in words; with ``older_than=0`` only."""
        steps = talk.steps(before)
        if steps is None or self.older_than:
            return before
        cut = self._cleared(talk, before, steps.end)
        if cut is before:
            return before
        return cut.telling(
            steps.first, steps.end, talk.between(steps.first, steps.end, replace(cut, told=()))
        )

    def _cleared(self, talk: Talk, before: Cut, old: int) -> Cut:
        unsent, cleared = before.places() | before.told_places(), before.cleared_places()
        results = [place for place, item in enumerate(talk.items) if item.is_results and place not in unsent]
        spare = results[: len(results) - self.keep] if self.keep else results
        found = [
            place for place in spare if place < old and place not in cleared and not talk.items[place].pinned
        ]
        saved = talk.scale * sum(
            talk.items[place].tokens - talk.items[place].cleared_tokens for place in found
        )
        if saved <= 0 or saved < (self.at_least * _EARLY if talk.cold else self.at_least):
            return before
        return replace(before, cleared=tuple(sorted(cleared | set(found))))


def drop_tool_results(older_than: int = 2, *, keep: int = 3, at_least: int = 5_000) -> Policy:
    """Send old tool results without their content; the calls stay.

    Args:
        older_than: Turns that keep their results, the current one included. 0 spares none: also in the loop that runs
            now old results are left out, and its steps go on as words of the prompt.
        keep: The newest messages of results, which keep their content however old.
        at_least: Tokens to save at once: less is not worth rewriting the cache.

    Raises:
        HistoryError: A number is none, or negative.
    """
    such_as = "drop_tool_results(2, keep=3)"
    whole("drop_tool_results", "older_than", older_than, 0, such_as=such_as)
    whole("drop_tool_results", "keep", keep, 0, such_as=such_as)
    whole("drop_tool_results", "at_least", at_least, 0, such_as=such_as)
    return DropToolResults(older_than, keep, at_least)


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

    Raises:
        HistoryError: The client is none, the model no text, or a number none.
    """
    if not hasattr(client, "messages"):
        raise HistoryError(
            f"summarize() takes a client of the SDK that writes the summary, not {type(client).__name__}: "
            "summarize(connect(), model=..., when=100_000)."
        )
    if not isinstance(model, str) or not model.strip():
        raise HistoryError(f"summarize() takes the id of a model as text, not {model!r}.")
    such_as = "summarize(client, model=..., when=100_000)"
    whole("summarize", "`when`", when, 1, such_as=such_as)
    whole("summarize", "keep", keep, 1, such_as=such_as)
    whole("summarize", "max_tokens", max_tokens, 1, such_as=such_as)
    return Summarize(client, model, when, keep, max_tokens)


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


def apply_in_loop(trim: Sequence[Policy], talk: Talk, before: Cut) -> Cut:
    """The cut while a tool loop runs: that of its first request, unless a policy tells the loop in words."""
    for policy in trim:
        cut_loop = getattr(policy, "cut_loop", None)
        before = cut_loop(talk, before) if cut_loop else before
    return before
