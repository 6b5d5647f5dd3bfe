"""What is left out of a conversation, and the conversation as policies see it: sizes and kinds, no text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """Steps of a tool loop that are sent in words: places from ``first`` up to ``end``, in about ``tokens`` tokens."""

    first: int
    end: int
    tokens: int


@dataclass(frozen=True)
class Cut:
    """What a request leaves out, by places in the conversation.

    Attributes:
        left_out: Ranges of places ``(first, end)`` that are not sent.
        cleared: Places of tool results that are sent without their content.
        told: Steps of tool loops that are sent in words, as part of the prompt before them.
        thinking_from: Thinking before this place is not sent, where the model checks what came before it.
    """

    left_out: tuple[tuple[int, int], ...] = ()
    cleared: tuple[int, ...] = ()
    thinking_from: int = 0
    told: tuple[Told, ...] = ()

    def places(self) -> frozenset[int]:
        """All places that are not sent."""
        return self._places

    def cleared_places(self) -> frozenset[int]:
        """All places whose tool results are cleared."""
        return self._cleared

    def told_places(self) -> frozenset[int]:
        """All places that are sent in words."""
        return self._told

    @cached_property
    def _told(self) -> frozenset[int]:
        return frozenset(place for one in self.told for place in range(one.first, one.end))

    @cached_property
    def _cleared(self) -> frozenset[int]:
        return frozenset(self.cleared)

    @cached_property
    def _places(self) -> frozenset[int]:
        return frozenset(place for first, end in self.left_out for place in range(first, end))

    def to_dict(self) -> dict[str, Any]:
        """The cut as JSON."""
        ranges = [list(pair) for pair in self.left_out]
        data = {"left_out": ranges, "cleared": list(self.cleared), "thinking_from": self.thinking_from}
        return data | ({"told": [[one.first, one.end, one.tokens] for one in self.told]} if self.told else {})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Cut":
        """The cut that ``to_dict`` described."""
        ranges = tuple((int(first), int(end)) for first, end in data["left_out"])
        told = tuple(Told(int(first), int(end), int(tokens)) for first, end, tokens in data.get("told", ()))
        return cls(ranges, tuple(int(place) for place in data["cleared"]), int(data["thinking_from"]), told)

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
        if not kept & (self.places() | self.cleared_places() | self.told_places()):
            return self
        left_out = sorted(self.places() - kept)
        starts = [place for place in left_out if place - 1 not in left_out]
        ends = [place + 1 for place in left_out if place + 1 not in left_out]
        cleared = tuple(place for place in self.cleared if place not in kept)
        told = tuple(one for one in self.told if one.first not in kept)
        return replace(self, left_out=tuple(zip(starts, ends, strict=True)), cleared=cleared, told=told)

    def telling(self, first: int, end: int, tokens: int) -> "Cut":
        """This cut with the steps from ``first`` up to ``end`` sent in words."""
        others = [one for one in self.told if not first <= one.first < end]
        return replace(self, told=(*others, Told(first, end, tokens)))


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
        always: Whether it is sent whatever is left out around it, as instructions are.
    """

    tokens: int
    cleared_tokens: int
    is_prompt: bool
    is_results: bool
    pinned: bool = False
    always: bool = False


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
        scale: How much larger prompts were measured than the estimates of ``items`` and ``fixed``.
        cold: Whether what the prompt cache held of it has expired.
        cached: Whether its requests used the prompt cache.
    """

    items: Sequence[Item]
    fixed: int = 0
    scale: float = 1.0
    cold: bool = False
    cached: bool = True

    @cached_property
    def turns(self) -> list[Turn]:
        """Its turns. What precedes the first prompt belongs to the first."""
        starts = [place for place, item in enumerate(self.items) if item.is_prompt][1:]
        bounds = [0, *starts, len(self.items)]
        pinned = [place for place, item in enumerate(self.items) if item.pinned]
        return [
            Turn(first, end, any(first <= place < end for place in pinned)) for first, end in pairwise(bounds)
        ]

    def sent(self, cut: Cut) -> list[Turn]:
        """The turns that are sent and could be left out; the last is the one being asked."""
        left_out = cut.places()
        return [turn for turn in self.turns if turn.first not in left_out and not turn.pinned]

    def size(self, cut: Cut = WHOLE) -> int:
        """Tokens of the whole prompt under a cut."""
        return round(self.fixed * self.scale) + self.between(0, len(self.items), cut)

    def between(self, first: int, end: int, cut: Cut = WHOLE) -> int:
        """Tokens of the messages from place ``first`` up to ``end`` under a cut."""
        left_out, cleared, told = cut.places(), cut.cleared_places(), cut.told_places()
        items = self.items
        size = self.scale * sum(
            items[place].cleared_tokens if place in cleared else items[place].tokens
            for place in range(first, end)
            if (place not in left_out and place not in told) or items[place].always
        )
        return round(size) + sum(
            one.tokens for one in cut.told if first <= one.first < end and one.first not in left_out
        )

    def steps(self, cut: Cut) -> Turn | None:
        """The steps of the last turn, from its first call on; None where there are none, or they are pinned."""
        if not self.turns or self.turns[-1].pinned:
            return None
        last = self.turns[-1]
        own = (place for place in range(last.first, last.end) if not self.items[place].always)
        first = next((place for place in own if not self.items[place].is_prompt), last.end)
        return Turn(first, last.end, pinned=False) if first < last.end and first not in cut.places() else None
