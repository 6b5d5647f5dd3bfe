"""One thing that costs more than it has to, in numbers and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from .insight import Growth, place_of, usd
from .money import format_usd
from .prompt import Part


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


def paid_since(grown: Sequence[Growth], first: Growth, tokens: int) -> Decimal | None:
    """What tokens have cost since a turn added them: once as new, then as old with each turn."""
    total = usd(tokens, first.turn.rate_of_new())
    for growth in grown:
        again = usd(tokens, growth.turn.rate_of_old())
        if growth.turn.number > first.turn.number and total is not None and again is not None:
            total += again
    return total


def what_it_costs(growth: Growth, tokens: int) -> str:
    """What tokens cost now, and with each turn they stay."""
    now = usd(tokens, growth.turn.rate_of_new())
    if now is None:
        return "price unknown"
    return f"{format_usd(now)} now and {format_usd(usd(tokens, growth.turn.rate_of_old()))} for every turn it stays"


def leak_of(
    kind: str, growth: Growth, part: Part | None, tokens: int, *, paid: Decimal | None, text: str
) -> Leak:
    """A leak that shows in a turn, its text with where it is and what it cost so far."""
    turn = growth.turn
    cost = "" if paid is None else f" [{format_usd(paid)} so far]"
    message = part.message if part else None
    return Leak(kind, turn.number, turn.cell, message, tokens, paid, f"{place_of(turn)}: {text}{cost}")
