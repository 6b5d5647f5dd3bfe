"""What makes a conversation cost more than it has to, named in words and priced.

Each detector takes the growth of every turn and yields what it is sure of: a false alarm costs trust.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from statistics import median

from .insight import Growth, Turn, growths, in_cell, part_name, usd
from .money import format_usd
from .prompt import Part

_SPIKE_SCORE = 4.0
_SPIKE_TOKENS = 1_500
_SPIKE_RATIO = 4
_FEWEST_TURNS = 4
_NARROWEST_SPREAD = 0.25
"""Below this (a quarter, on a log scale) growth counts as even, so that a steady chat does not flag a long line."""
_REPEATED_CHARS = 24
"""Short replies (``yes``, ``go on``) repeat for good reasons."""
_BLOCK_CHARS = 500
_FEWEST_RESULTS = 5
_RESULTS_GROW = 3
_RESULT_CHARS = 2_000
_CACHED_TOKENS = 1_024
_LOOP_CALLS = 15
_HOUR = 3600
_FIVE_MINUTES = 300


@dataclass(frozen=True, slots=True, repr=False)
class Leak:
    """One thing that costs more than it has to.

    Attributes:
        kind: ``spike``, ``duplicate``, ``resent_block``, ``growing_tool_results``, ``cold_cache``,
            ``cache_miss`` or ``loop``.
        turn: The number of the turn it shows in, from 1.
        cell: The cell that made the call, where known.
        message: The index of the message to look at, where there is one.
        tokens: The tokens it is about.
        usd: What it cost so far, where the price is known.
        text: All of this in words.
    """

    kind: str
    turn: int
    cell: str | None
    message: int | None
    tokens: int
    usd: Decimal | None
    text: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


class Leaks(list[Leak]):
    """The leaks found, dearest first; prints a line each."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) if self else "no leaks found"

    __str__ = __repr__


def find_leaks(conversation: Sequence[Turn]) -> Leaks:
    """Every leak that the turns of one conversation show."""
    grown = growths(conversation)
    detectors = (_spikes, _repeats, _growing_tools, _cold_caches, _cache_misses, _loops)
    found = [leak for detector in detectors for leak in detector(grown)]
    return Leaks(sorted(found, key=lambda leak: (-(leak.usd or 0), leak.turn, leak.kind)))


def _spikes(grown: Sequence[Growth]) -> Iterator[Leak]:
    """Turns that grew the prompt far more than its turns usually do, by a robust score on the log scale."""
    added = [
        growth for growth in grown if growth.before is not None and not growth.changed and growth.delta > 0
    ]
    if len(added) < _FEWEST_TURNS:
        return
    logs = [math.log(growth.delta) for growth in added]
    middle = median(logs)
    spread = max(1.4826 * median(abs(log - middle) for log in logs), _NARROWEST_SPREAD)
    for growth, log in zip(added, logs, strict=True):
        usual = math.exp(middle)
        if (log - middle) / spread < _SPIKE_SCORE or growth.delta < max(_SPIKE_TOKENS, _SPIKE_RATIO * usual):
            continue
        part, tokens = max(growth.new, key=lambda one: one[1], default=(None, 0))
        if part is None:
            continue
        text = (
            f"{part_name(part)} added about {tokens:,} tokens of {growth.delta:+,}, where a turn adds {usual:,.0f}: "
            f"{_now(growth, tokens)}"
        )
        yield _leak("spike", growth, part, tokens, paid=_paid_since(grown, growth, tokens), text=text)


def _repeats(grown: Sequence[Growth]) -> Iterator[Leak]:
    """Content that a prompt holds twice: a cell run again, or a block sent again."""
    named: set[tuple[str, int]] = set()
    for growth in grown:
        whole = _by_message(growth.turn.parts)
        for part, tokens in growth.new:
            if part.role != "user" or part.message is None:
                continue
            twins = _earlier_twins(growth.turn.parts, part)
            if not twins or (part.digest, len(twins)) in named:
                continue
            twin = twins[-1]
            same = [one.digest for one in whole[part.message]] == [one.digest for one in whole[twin.message]]
            if same and part.kind == "text" and part.chars >= _REPEATED_CHARS:
                kind, what = (
                    "duplicate",
                    f"message {part.message} repeats message {twin.message}: was a cell run twice?",
                )
            elif part.chars >= _BLOCK_CHARS:
                kind = "resent_block"
                what = (
                    f"{part_name(part)} is the same {part.chars:,} characters as in message {twin.message}:"
                )
            else:
                continue
            named.add((part.digest, len(twins)))
            paid = _paid_since(grown, growth, tokens)
            text = f"{what} about {tokens:,} tokens, {_now(growth, tokens)}"
            yield _leak(kind, growth, part, tokens, paid=paid, text=text)


def _growing_tools(grown: Sequence[Growth]) -> Iterator[Leak]:
    """Tools whose every result is longer than the one before."""
    results: dict[str, list[tuple[Growth, Part, int]]] = defaultdict(list)
    for growth in grown:
        for part, tokens in growth.new:
            if part.kind.startswith("tool_result "):
                results[part.kind].append((growth, part, tokens))
    for kind, series in results.items():
        sizes = [part.chars for _, part, _ in series]
        steps = [after > before for before, after in pairwise(sizes)]
        enough = len(sizes) >= _FEWEST_RESULTS and steps.count(False) <= len(sizes) // 8
        if not enough or sizes[-1] < max(_RESULTS_GROW * sizes[0], _RESULT_CHARS):
            continue
        growth, part, _ = series[-1]
        tokens = sum(count for _, _, count in series)
        text = f"each {kind} is longer than the last: {sizes[0]:,} to {sizes[-1]:,} characters over {len(sizes)} calls"
        paid = usd(tokens, growth.turn.rate_of_new())
        yield _leak("growing_tool_results", growth, part, tokens, paid=paid, text=text)


def _cold_caches(grown: Sequence[Growth]) -> Iterator[Leak]:
    """Pauses longer than the cache lives: the prompt was paid for again."""
    for growth, before, lost in _lost_reads(grown):
        idle = (growth.turn.at - before.at).total_seconds()
        if idle <= _lifetime(before):
            continue
        paid = _rewritten(growth.turn, lost)
        text = f"the cache went cold in a pause of {_pause(idle)}: {lost:,} tokens were paid again"
        rates = growth.turn.rates()
        if rates is not None and paid is not None and idle <= _HOUR and _lifetime(before) < _HOUR:
            dearer = usd(lost, rates.write_1h - rates.write_5m) or Decimal(0)
            better = paid - dearer
            verdict = f"would have saved {format_usd(better)}" if better > 0 else "would not have paid"
            text += f'; "ttl": "1h" {verdict}'
        yield _leak("cold_cache", growth, None, lost, paid=paid, text=text)


def _cache_misses(grown: Sequence[Growth]) -> Iterator[Leak]:
    """Cached prompts that were not read although the cache was warm: something before the breakpoint changed."""
    told = {
        growth.turn.number: (growth.turn.miss, growth.turn.missed)
        for growth in grown
        if growth.turn.miss and growth.turn.miss.endswith("_changed")
    }
    for growth, before, lost in _lost_reads(grown):
        if (growth.turn.at - before.at).total_seconds() <= _lifetime(before):
            reason = _what_changed(growth, before)
            if reason is not None:
                told.setdefault(growth.turn.number, (reason, lost))
    for growth in grown:
        reason, missed = told.get(growth.turn.number, (None, None))
        if reason is None or not missed:
            continue
        paid = _rewritten(growth.turn, missed)
        what = reason.removesuffix("_changed")
        text = f"a change in {what} made the cache miss {missed:,} tokens"
        yield _leak("cache_miss", growth, None, missed, paid=paid, text=text)


def _loops(grown: Sequence[Growth]) -> Iterator[Leak]:
    """Many calls of one cell without a new word from the user: a tool loop that does not end."""
    runs: list[list[Growth]] = [[]]
    for growth in grown:
        spoken = any(part.role == "user" and part.kind == "text" for part, _ in growth.new)
        if growth.before is None or spoken:
            runs.append([])
        runs[-1].append(growth)
    for run in runs:
        if len(run) < _LOOP_CALLS:
            continue
        last = run[-1]
        known = [growth.turn.cost for growth in run if growth.turn.cost is not None]
        tokens = sum(growth.turn.tokens.prompt for growth in run)
        text = f"{len(run)} calls in a row without a new message from the user: does the tool loop end?"
        yield _leak("loop", last, None, tokens, paid=sum(known, Decimal(0)), text=text)


def _lost_reads(grown: Iterable[Growth]) -> Iterator[tuple[Growth, Turn, int]]:
    """Turns that read less than half of what the turn before had in the cache, and how much they missed."""
    for growth in grown:
        before = growth.before
        if before is None:
            continue
        cached = before.tokens.read + before.tokens.write_5m + before.tokens.write_1h
        lost = min(cached, growth.turn.tokens.prompt) - growth.turn.tokens.read
        if cached >= _CACHED_TOKENS and lost * 2 > cached:
            yield growth, before, lost


def _what_changed(growth: Growth, before: Turn) -> str | None:
    if growth.turn.model != before.model:
        return "model_changed"
    if not growth.changed:
        return None
    old = before.parts[growth.kept]
    return f"{old.role if old.message is None else 'messages'}_changed"


def _lifetime(turn: Turn) -> int:
    return _HOUR if turn.tokens.write_1h else _FIVE_MINUTES


def _rewritten(turn: Turn, tokens: int) -> Decimal | None:
    """What it cost that these tokens were not read from the cache."""
    rates, rate = turn.rates(), turn.rate_of_new()
    return None if rates is None or rate is None else usd(tokens, rate - rates.read)


def _paid_since(grown: Sequence[Growth], first: Growth, tokens: int) -> Decimal | None:
    """What tokens have cost since a turn added them: once as new, then as old with each turn."""
    total = usd(tokens, first.turn.rate_of_new())
    for growth in grown:
        again = usd(tokens, growth.turn.rate_of_old())
        if growth.turn.number > first.turn.number and total is not None and again is not None:
            total += again
    return total


def _now(growth: Growth, tokens: int) -> str:
    """What tokens cost now, and with each turn they stay."""
    now = usd(tokens, growth.turn.rate_of_new())
    if now is None:
        return "price unknown"
    return (
        f"{format_usd(now)} now, {format_usd(usd(tokens, growth.turn.rate_of_old()))} a turn while it stays"
    )


def _earlier_twins(parts: Sequence[Part], part: Part) -> list[Part]:
    """The same content in earlier messages."""
    here = part.message or 0
    return [
        one
        for one in parts
        if one.digest == part.digest
        and one.role == part.role
        and one.message is not None
        and one.message < here
    ]


def _by_message(parts: Sequence[Part]) -> dict[int | None, list[Part]]:
    found: dict[int | None, list[Part]] = defaultdict(list)
    for part in parts:
        found[part.message].append(part)
    return found


def _pause(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"  # noqa: PLR2004 - two hours


def _leak(
    kind: str, growth: Growth, part: Part | None, tokens: int, *, paid: Decimal | None, text: str
) -> Leak:
    turn = growth.turn
    cost = "" if paid is None else f" [{format_usd(paid)} so far]"
    where = f"turn {turn.number}{in_cell(turn)}"
    message = part.message if part else None
    return Leak(kind, turn.number, turn.cell, message, tokens, paid, f"{where}: {text}{cost}")
