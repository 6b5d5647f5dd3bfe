"""Turns that grew the prompt far more than its turns usually do."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from .insight import Growth, part_name
from .leak import Leak, leak_of, paid_since, what_it_costs

_SCORE = 4.0
_TOKENS = 1_500
_RATIO = 4
_FEWEST_TURNS = 4
_NARROWEST_SPREAD = 0.25
"""Below this (a quarter, on a log scale) growth counts as even, so that a steady chat does not flag a long line."""
_PLAIN_TOKENS = 5_000
_PLAIN_RATIO = 8
"""Beyond these a turn stands out with no statistics at all: the only way to tell while a chat has few turns."""


def spikes(grown: Sequence[Growth]) -> Iterator[Leak]:
    """Turns whose growth is out of line: by a robust score on the log scale, or plainly, among few turns too."""
    added = [
        growth for growth in grown if growth.before is not None and not growth.changed and growth.delta > 0
    ]
    first = [tokens for growth in grown if growth.before is None and (tokens := _said(growth))]
    sizes = [growth.delta for growth in added]
    for growth, others in zip(added, stand_out(sizes, first), strict=True):
        if others is None:
            continue
        part, tokens = max(growth.new, key=lambda one: one[1], default=(None, 0))
        if part is None:
            continue
        usual = f"; a turn usually adds {others:,.0f}" if others else ""
        text = f"{part_name(part)}, about +{tokens:,} tokens: {what_it_costs(growth, tokens)}{usual}"
        yield leak_of("spike", growth, part, tokens, paid=paid_since(grown, growth, tokens), text=text)


def _said(growth: Growth) -> int:
    """Tokens of the messages a conversation began with, without its tools and system prompt."""
    return sum(tokens for part, tokens in growth.new if part.message is not None)


def stand_out(added: Sequence[int], first: Sequence[int] = ()) -> list[float | None]:
    """Of each turn that adds far more than its conversation's turns do, what the others add at the median; else None.

    Args:
        added: What each turn added to the prompt, in tokens, above 0.
        first: What the conversation began with, where there are few turns to compare with.
    """
    least = _out_of_line(added)
    found: list[float | None] = []
    for place, size in enumerate(added):
        others = None
        if size >= min(least, _PLAIN_TOKENS):
            usual = median([*added[:place], *added[place + 1 :], *first] or [0])
            others = usual if size >= least or _is_plain(size, usual) else None
        found.append(others)
    return found


def _is_plain(size: int, usual: float) -> bool:
    return size >= _PLAIN_TOKENS and size >= _PLAIN_RATIO * usual


def _out_of_line(added: Sequence[int]) -> float:
    """The tokens from which on a turn is out of line, by a score that a spike does not distort."""
    if len(added) < _FEWEST_TURNS:
        return math.inf
    logs = [math.log(size) for size in added]
    middle = median(logs)
    spread = max(1.4826 * median(abs(log - middle) for log in logs), _NARROWEST_SPREAD)
    return max(math.exp(middle + _SCORE * spread), _TOKENS, _RATIO * math.exp(middle))
