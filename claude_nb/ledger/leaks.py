"""What makes a conversation cost more than it has to, named in words and priced.

Each detector takes the growth of every turn and yields what it is sure of: a false alarm costs trust.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise

from .insight import Growth, growths, part_name, usd
from .leak import Leak, Leaks, leak_of, paid_since, what_it_costs
from .money import format_usd
from .prompt import Part
from .spikes import spikes
from .turns import Turn

_REPEATED_CHARS = 40
"""Short prompts (``go on``, ``please continue where you left off``) repeat for good reasons."""
_BLOCK_CHARS = 500
_FEWEST_RESULTS = 5
_RESULTS_GROW = 3
_RESULT_CHARS = 2_000
_CACHED_TOKENS = 1_024
_LOOP_CALLS = 15
_HOUR = 3600
_FIVE_MINUTES = 300


def find_leaks(conversation: Sequence[Turn]) -> Leaks:
    """Every leak that the turns of one conversation show."""
    grown = growths(conversation)
    detectors = (spikes, _repeats, _growing_tools, _cold_caches, _cache_misses, _loops)
    found = [leak for detector in detectors for leak in detector(grown)]
    return Leaks(sorted(found, key=lambda leak: (-(leak.usd or 0), leak.turn, leak.kind)))


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
            paid = paid_since(grown, growth, tokens)
            text = f"{what} about {tokens:,} tokens, {what_it_costs(growth, tokens)}"
            yield leak_of(kind, growth, part, tokens, paid=paid, text=text)


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
        yield leak_of("growing_tool_results", growth, part, tokens, paid=paid, text=text)


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
        yield leak_of("cold_cache", growth, None, lost, paid=paid, text=text)


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
        yield leak_of("cache_miss", growth, None, missed, paid=paid, text=text)


def _loops(grown: Sequence[Growth]) -> Iterator[Leak]:
    """Many calls without a new word from the user, most for a tool call made before: a loop that does not end."""
    runs: list[list[Growth]] = [[]]
    for growth in grown:
        spoken = any(part.role == "user" and part.kind == "text" for part, _ in growth.new)
        if growth.before is None or spoken:
            runs.append([])
        runs[-1].append(growth)
    for run in runs:
        asked = [(part.kind, part.digest) for growth in run for part, _ in growth.new if _is_call(part)]
        again = len(asked) - len(set(asked))
        if len(run) < _LOOP_CALLS or again * 2 < len(run):
            continue
        last = run[-1]
        known = [growth.turn.cost for growth in run if growth.turn.cost is not None]
        tokens = sum(growth.turn.tokens.prompt for growth in run)
        text = (
            f"{len(run)} calls in a row without a new message from the user, {again} of them for a tool call made "
            "before: does the tool loop end?"
        )
        yield leak_of("loop", last, None, tokens, paid=sum(known, Decimal(0)), text=text)


def _is_call(part: Part) -> bool:
    return part.role == "assistant" and part.kind.partition(" ")[0].endswith("tool_use")


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
