"""The ledger beside the invoice, as a frame, as text and as a static table."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from .money import format_usd

if TYPE_CHECKING:
    import pandas as pd

    from .invoice import Billed, Key
    from .reconcile import Own

REASONS = ("unfinished", "unpriced", "elsewhere", "only_here", "price", "discount")
_ZERO = Decimal(0)
_SEEN = Decimal("0.005")
"""Half a cent: below it a difference is rounding, and said so."""
_SHOWN = 15
_CELL = "padding:2px 10px;border-bottom:1px solid rgba(128,128,128,.3)"
_TABLE = '<table style="color:inherit;font-size:inherit;border-collapse:collapse">'
_GREY = "color:color-mix(in srgb,currentColor 65%,transparent)"


@dataclass(frozen=True, slots=True)
class Line:
    """One UTC day of one model at one tier, speed and place."""

    key: "Key"
    own: "Own"
    billed: "Billed | None"
    reported: bool
    reasons: Mapping[str, Decimal]

    @property
    def residual(self) -> Decimal | None:
        """USD billed less USD recorded; None while the invoice does not reach that day."""
        return None if self.billed is None else self.billed.amount - self.own.usd

    @property
    def name(self) -> str:
        """Day, model and how it was served, in words."""
        plain = {"standard", "global"}
        parts = (self.key.model or "no model", *self.key[2:])
        return " ".join([self.key.day, parts[0], *(part for part in parts[1:] if part not in plain)])

    def explanations(self) -> Iterator[str]:
        """Each part of the difference, largest first, in words."""
        if self.billed is None:
            yield "not on the invoice yet"
            return
        for reason, usd in sorted(self.reasons.items(), key=lambda one: -abs(one[1])):
            if abs(usd) >= _SEEN:
                yield f"{_signed(usd)} {self._words(reason)}"
        small = sum((usd for usd in self.reasons.values() if abs(usd) < _SEEN), _ZERO)
        if abs(small) >= _SEEN / 10:
            yield f"{_signed(small)} rounding"

    def _words(self, reason: str) -> str:
        own, billed = self.own, self.billed
        if reason == "unfinished":
            most = "unknown" if own.high is None else format_usd(own.high)
            return f"{_calls(own.unfinished)} in flight or broken off, at {format_usd(own.low)} to {most}"
        if reason == "unpriced":
            return f"{_calls(own.unpriced_calls)} of this ledger without a known price"
        if reason == "elsewhere":
            return f"not in this ledger: {self._who()}"
        if reason == "only_here":
            late = "" if self.reported else " yet (its data ends before that day does)"
            batch = (
                "; batches stand on the day their results were read"
                if self.key.service_tier == "batch"
                else ""
            )
            return f"recorded here, not on the invoice{late}{batch}"
        if reason == "discount":
            return "discount on the list price" if billed and billed.amount < billed.listed else "surcharge"
        return "the same tokens at other prices: ledger.reprice() uses today's price data"

    def _who(self) -> str:
        billed, named = self.billed, []
        if billed is not None:
            named = [
                f"{format_usd(usd)} {kind.replace('_', ' ')}" for kind, usd in billed.extra.items() if usd
            ]
            if billed.elsewhere:
                named.append(f"{format_usd(billed.elsewhere)} in other workspaces")
            known = billed.elsewhere + sum(billed.extra.values(), _ZERO)
            rest = self.reasons["elsewhere"] - known
            if named and rest >= _SEEN:
                named.append(f"{format_usd(rest)} with other keys, machines or unmetered clients")
        return ", ".join(named) or "other keys, machines or unmetered clients"


class Reconciliation:
    """The ledger beside the organisation's invoice, per UTC day, model, tier, speed and place.

    Attributes:
        lines: The comparison, line by line.
        start: Its first moment, UTC.
        end: The first moment that is out.
        refreshed: Until when the invoice's data goes; None where the endpoint did not say.
        on_clouds: Calls through Bedrock, Vertex or Foundry: those clouds bill them.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        *,
        start: datetime,
        end: datetime,
        refreshed: datetime | None,
        on_clouds: int,
    ) -> None:
        self.lines = list(lines)
        self.start, self.end, self.refreshed, self.on_clouds = start, end, refreshed, on_clouds

    @property
    def residual(self) -> Decimal:
        """USD billed less USD recorded, over the lines that the invoice reaches."""
        return sum((line.residual for line in self.lines if line.residual is not None), _ZERO)

    def frame(self) -> "pd.DataFrame":
        """A row a line: USD of ledger and invoice, the difference, and its six reasons, which add up to it.

        Columns: ``day`` (UTC), ``model``, ``service_tier``, ``speed``, ``inference_geo``, ``ledger_usd``,
        ``unfinished_low``, ``unfinished_high``, ``invoice_usd``, ``invoice_list_usd``, ``residual_usd``, the reasons
        ``unfinished_usd``, ``unpriced_usd``, ``elsewhere_usd``, ``only_here_usd``, ``price_usd``, ``discount_usd``;
        ``unpriced`` (calls), ``ledger_tokens``, ``invoice_tokens``, ``reported``. Unknown is ``NaN``.
        """
        import pandas as pd

        table = pd.DataFrame([_row(line) for line in self.lines], columns=_COLUMNS)
        table["day"] = pd.to_datetime(table["day"], utc=True)
        money = dict.fromkeys(
            (name for name in _COLUMNS if name.endswith(("_usd", "_low", "_high"))), "float64"
        )
        counts = dict.fromkeys(("unpriced", "ledger_tokens", "invoice_tokens"), "Int64")
        table = table.astype(money | counts | {"reported": "bool"})
        return table.sort_values(["day", "invoice_usd"], ascending=[True, False], ignore_index=True)

    def daily(self) -> "pd.DataFrame":
        """The sums by UTC day, for a plot: USD of ledger and invoice, the difference and its reasons."""
        money = [name for name in _COLUMNS if name.endswith(("_usd", "_low", "_high"))]
        return self.frame().groupby("day")[money].sum(min_count=1)

    def __str__(self) -> str:
        """The sums, the reasons, and a paragraph a line that differs."""
        lines = [self._head(), *(f"  {text}" for text in self._reasons())]
        differing = self._differing()
        for line in differing[:_SHOWN]:
            lines += ["", f"{line.name}: {_beside(line)}", *(f"  {text}" for text in line.explanations())]
        if len(differing) > _SHOWN:
            lines += ["", f"and {len(differing) - _SHOWN} more lines that differ: reconciliation.frame()"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same as a static table: no script, no widget."""
        differing = self._differing()
        head = "".join(
            f'<th style="{_CELL};text-align:{align}">{name}</th>'
            for name, align in (
                ("", "left"),
                ("ledger", "right"),
                ("invoice", "right"),
                ("difference", "left"),
            )
        )
        rows = "".join(map(_html_row, differing[:_SHOWN]))
        more = len(differing) - _SHOWN
        rest = (
            f'<p style="{_GREY}">and {more} more lines that differ: reconciliation.frame()</p>'
            if more > 0
            else ""
        )
        table = f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if differing else ""
        said = "<br>".join(escape(text) for text in self._reasons())
        return (
            '<div class="claude-nb tex2jax_ignore mathjax_ignore">'
            f'<p>{escape(self._head())}<br><span style="{_GREY}">{said}</span></p>{table}{rest}</div>'
        )

    def _head(self) -> str:
        reached = [line for line in self.lines if line.billed is not None]
        ledger = sum((line.own.usd for line in reached), _ZERO)
        invoice = sum((line.billed.amount for line in reached if line.billed), _ZERO)
        period = f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d} UTC"
        share = f" ({self.residual / invoice:+.1%})" if invoice else ""
        return (
            f"ledger {format_usd(ledger)}, invoice {format_usd(invoice)}, {period}: "
            f"difference {_signed(self.residual)}{share}"
        )

    def _reasons(self) -> list[str]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for line in self.lines:
            for reason, usd in line.reasons.items():
                sums[reason] += usd
        said = [f"{_signed(sums[name])} {_SUMMED[name]}" for name in REASONS if abs(sums[name]) >= _SEEN]
        waiting = [line for line in self.lines if line.billed is None]
        if waiting:
            usd = sum((line.own.usd for line in waiting), _ZERO)
            said.append(f"{format_usd(usd)} of this ledger is not on the invoice yet")
        if self.refreshed is not None:
            said.append(f"the invoice's data goes until {self.refreshed:%Y-%m-%d %H:%M} UTC")
        if self.on_clouds:
            said.append(
                f"{_calls(self.on_clouds)} through Bedrock, Vertex or Foundry, which bill them themselves"
            )
        return said

    def _differing(self) -> list[Line]:
        return sorted(
            (line for line in self.lines if line.residual is None or abs(line.residual) >= _SEEN),
            key=lambda line: -abs(line.residual or _ZERO),
        )


_SUMMED = {
    "unfinished": "calls in flight or broken off",
    "unpriced": "calls of this ledger without a known price",
    "elsewhere": "not in this ledger: other keys, machines, workspaces or tools",
    "only_here": "recorded here, not on the invoice",
    "price": "the same tokens at other prices",
    "discount": "discounts",
}
_COLUMNS = [
    *("day", "model", "service_tier", "speed", "inference_geo"),
    *("ledger_usd", "unfinished_low", "unfinished_high", "invoice_usd", "invoice_list_usd", "residual_usd"),
    *(f"{reason}_usd" for reason in REASONS),
    *("unpriced", "ledger_tokens", "invoice_tokens", "reported"),
]


def _row(line: Line) -> list[object]:
    own, billed = line.own, line.billed
    return [
        *line.key,
        own.usd,
        own.low,
        own.high,
        None if billed is None else billed.amount,
        None if billed is None else billed.listed,
        line.residual,
        *(line.reasons.get(reason) for reason in REASONS),
        own.unpriced_calls,
        _tokens(own.settled) + _tokens(own.unpriced),
        None if billed is None else _tokens(billed.pieces),
        line.reported,
    ]


def _tokens(pieces: Mapping[str, int]) -> int:
    return sum(count for name, count in pieces.items() if name.endswith("_tokens"))


def _beside(line: Line) -> str:
    if line.billed is None:
        return f"ledger {format_usd(line.own.usd)}"
    billed, residual = line.billed.amount, line.residual or _ZERO
    return f"ledger {format_usd(line.own.usd)}, invoice {format_usd(billed)}, difference {_signed(residual)}"


def _html_row(line: Line) -> str:
    billed = "" if line.billed is None else format_usd(line.billed.amount)
    residual = "" if line.residual is None else f"<b>{escape(_signed(line.residual))}</b><br>"
    why = "<br>".join(escape(text) for text in line.explanations())
    return (
        f'<tr><td style="{_CELL};text-align:left;white-space:nowrap">{escape(line.name)}</td>'
        f'<td style="{_CELL};text-align:right">{format_usd(line.own.usd)}</td>'
        f'<td style="{_CELL};text-align:right">{billed}</td>'
        f'<td style="{_CELL};text-align:left">{residual}<span style="{_GREY}">{why}</span></td></tr>'
    )


def _signed(usd: Decimal) -> str:
    return f"{'-' if usd < 0 else '+'}{format_usd(abs(usd))}"


def _calls(number: int) -> str:
    return f"{number:,} call" if number == 1 else f"{number:,} calls"
