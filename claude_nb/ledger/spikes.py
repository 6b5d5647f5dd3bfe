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
    first = [_said(growth) for growth in grown if growth.before is None]
    for growth in added:
        others = [other.delta for other in added if other is not growth] + [
            tokens for tokens in first if tokens
        ]
        if not (_is_plain(growth.delta, others) or _is_out_of_line(growth.delta, added)):
            continue
        part, tokens = max(growth.new, key=lambda one: one[1], default=(None, 0))
        if part is None:
            continue
        usual = f"; a turn usually adds {median(others):,.0f}" if others else ""
        text = f"{part_name(part)}, about +{tokens:,} tokens: {what_it_costs(growth, tokens)}{usual}"
        yield leak_of("spike", growth, part, tokens, paid=paid_since(grown, growth, tokens), text=text)


def _said(growth: Growth) -> int:
    """Tokens of the messages a conversation began with, without its tools and system prompt."""
    return sum(tokens for part, tokens in growth.new if part.message is not None)


def _is_plain(delta: int, others: Sequence[int]) -> bool:
    return delta >= _PLAIN_TOKENS and delta >= _PLAIN_RATIO * median(others or [0])


def _is_out_of_line(delta: int, added: Sequence[Growth]) -> bool:
    if len(added) < _FEWEST_TURNS:
        return False
    logs = [math.log(growth.delta) for growth in added]
    middle = median(logs)
    spread = max(1.4826 * median(abs(log - middle) for log in logs), _NARROWEST_SPREAD)
    usual = math.exp(middle)
    return (math.log(delta) - middle) / spread >= _SCORE and delta >= max(_TOKENS, _RATIO * usual)
