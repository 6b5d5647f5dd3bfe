"""How an amount of US dollars is written."""

from decimal import ROUND_HALF_EVEN, Decimal

PICO = Decimal("1e-12")
"""Costs are stored as integers of this many USD: the cheapest token has a price of 5,500 of them."""


_MOST = 2**63 * PICO


def format_usd(amount: Decimal | float | None) -> str:
    """The amount for a reader: cents from ten cents up, three significant digits below, ``"unknown"`` for None.

    Example:
        >>> format_usd(Decimal("4.1234")), format_usd(Decimal("0.000123")), format_usd(None)
        ('$4.12', '$0.000123', 'unknown')
    """
    return "unknown" if amount is None else f"${digits(Decimal(amount))}"


def digits(amount: Decimal) -> str:
    """The digits of ``format_usd``, without the currency sign."""
    if amount == 0:
        return "0.00"
    places = 2 if abs(amount) >= Decimal("0.1") else 2 - amount.adjusted()
    text = f"{amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def to_pico(amount: Decimal | None) -> int | None:
    """The amount as the integer the ledger stores; None where it is more than a database holds (9 million USD)."""
    if amount is None or abs(amount) >= _MOST:
        return None
    return int((amount / PICO).to_integral_value(ROUND_HALF_EVEN))


def from_pico(stored: int | Decimal | None) -> Decimal | None:
    """The amount in USD of what the ledger stored."""
    return None if stored is None else (Decimal(stored) * PICO).normalize() + 0
