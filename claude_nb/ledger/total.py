"""The small answers of a ledger: what a set of calls cost, and whether the accounting is well."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .money import digits, format_usd, from_pico

TOKEN_CLASSES = (
    "input_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)
"""The five disjoint classes every billed token falls into, by the API's names."""


@dataclass(frozen=True, slots=True, repr=False)
class Total:
    """What a set of calls cost.

    Attributes:
        usd: The settled cost of every call whose usage is final and whose price is known.
        low: The least that unfinished calls add, in USD.
        high: The most they add, in USD; None when that is unknown.
        calls: Calls made; the retries of one call count once.
        attempts: HTTP attempts made.
        unfinished: Attempts that may be billed but whose final usage never arrived.
        unpriced: Attempts with tokens but no known price.
        partly_priced: Attempts whose container time is not in the amount: no reply tells it.
        tokens: Tokens by class, as reported.
        simulated: Whether these are the sandbox's calls, which nobody bills.
        beside: Where there are no real calls, how many simulated ones stand beside them.
        source: Who counted them, for imported calls; None for this ledger's own.
    """

    usd: Decimal
    low: Decimal
    high: Decimal | None
    calls: int
    attempts: int
    unfinished: int
    unpriced: int
    tokens: Mapping[str, int] = field(default_factory=dict)
    simulated: bool = False
    beside: int = 0
    source: str | None = None
    partly_priced: int = 0

    @classmethod
    def of(
        cls, sums: Mapping[str, Any], *, simulated: bool, source: str | None = None, beside: int = 0
    ) -> "Total":
        """The total of a row of sums, as the database or the live meter makes it."""
        return cls(
            usd=from_pico(sums["usd"]) or Decimal(0),
            low=from_pico(sums["low"]) or Decimal(0),
            high=None if sums["unbounded"] else from_pico(sums["high"]) or Decimal(0),
            calls=sums["calls"] or 0,
            attempts=sums["attempts"],
            unfinished=sums["unfinished"] or 0,
            unpriced=sums["unpriced"] or 0,
            tokens={name: int(sums[name] or 0) for name in TOKEN_CLASSES},
            simulated=simulated,
            source=source,
            partly_priced=sums["partly_priced"] or 0,
            beside=beside,
        )

    def __str__(self) -> str:
        """One line, such as ``$4.12 (+$0.03…0.40 unfinished, 2 calls unpriced)``."""
        notes = []
        if self.unfinished:
            most = "unknown" if self.high is None else digits(self.high)
            notes.append(f"+${digits(self.low)}…{most} unfinished")
        if self.unpriced:
            notes.append(f"{_calls(self.unpriced)} unpriced")
        if self.partly_priced:
            notes.append(f"{_calls(self.partly_priced)} with container time not priced")
        if self.beside:
            notes.append(f"no real calls; {self.beside:,} simulated: total(simulated=True)")
        if self.simulated:
            notes.insert(0, _calls(self.calls))
        amount = f"{format_usd(self.usd)} simulated, not billed" if self.simulated else format_usd(self.usd)
        amount += f" from {self.source}" if self.source else ""
        return f"{amount} ({', '.join(notes)})" if notes else amount

    __repr__ = __str__


@dataclass(frozen=True, slots=True, repr=False)
class Health:
    """Whether the accounting itself is well.

    Attributes:
        ledger: The ledger's address.
        swallowed: Errors of the recorder that were kept from the caller, in this process.
        last_error: The last of them.
        waiting: Rows in the side folder that no healthy opening has taken in yet.
        open: Attempts under way, or whose process was killed.
        unfinished: Attempts whose final usage never arrived.
        unpriced: Attempts with tokens but no known price.
    """

    ledger: str
    swallowed: int
    last_error: str | None
    waiting: int
    open: int | None
    unfinished: int | None
    unpriced: int | None

    @property
    def ok(self) -> bool:
        """True when nothing was swallowed and nothing waits."""
        return not self.swallowed and not self.waiting

    def __str__(self) -> str:
        """One line for a reader."""
        state = "healthy" if self.ok else f"{self.swallowed} errors swallowed, {self.waiting} rows waiting"
        counts = f"{self.open} open, {self.unfinished} unfinished, {self.unpriced} unpriced"
        last = f"; last error: {self.last_error}" if self.last_error else ""
        return f"ledger {self.ledger}: {state}; {counts}{last}"

    __repr__ = __str__


def _calls(number: int) -> str:
    return f"{number:,} call" if number == 1 else f"{number:,} calls"
