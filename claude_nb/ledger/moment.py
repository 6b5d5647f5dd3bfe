"""A moment as a reader writes it: back from now, or a date."""

import re
from datetime import UTC, date, datetime, time, timedelta

from claude_nb.errors import LedgerError

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(when: object, now: datetime | None = None) -> str:
    """Give a moment as the ledger's own time text, UTC and ISO 8601; a time without a zone is taken as UTC.

    Args:
        when: ``"7d"``, ``"12h"``, ``"30m"``, ``"2w"`` back from now; ISO 8601 text; a date or datetime.
        now: The moment to count back from.

    Raises:
        LedgerError: It is none of these.
    """
    try:
        return _moment(when, now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    except (TypeError, ValueError, OverflowError):
        raise LedgerError(
            'a moment is "7d", "12h" or "2w" back from now, or a date such as "2026-11-22".'
        ) from None


def _moment(when: object, now: datetime) -> datetime:
    if isinstance(when, str) and (back := re.fullmatch(r"(\d+)([mhdw])", when.strip())):
        return now - timedelta(**{_UNITS[back[2]]: int(back[1])})
    if isinstance(when, str):
        when = datetime.fromisoformat(when.strip())
    if isinstance(when, date) and not isinstance(when, datetime):
        when = datetime.combine(when, time())
    if not isinstance(when, datetime):
        raise TypeError
    return when if when.tzinfo else when.replace(tzinfo=UTC)
