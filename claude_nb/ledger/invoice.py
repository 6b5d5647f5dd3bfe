"""Reads what the organisation was billed: its usage and cost endpoints, by UTC day, model, tier, speed and place.

Amounts are strings of fractional cents; ``amount`` is after discounts, ``list_amount`` before them. Source: the types
and docstrings of ``anthropic.resources.beta.organization.analytics`` (beta ``analytics-usage-cost-2026-08-24``).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .rates import normalise

if TYPE_CHECKING:
    import anthropic

_DIMENSIONS: Final = ["model", "service_tier", "speed", "inference_geo", "workspace_id"]
_LONGEST = timedelta(days=31)
_PAGE = 1_000
_CENT = Decimal("0.01")
SEARCHES = "web_search"
CLASSES = (
    "uncached_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    SEARCHES,
)
"""What is billed by the piece, as the endpoints name it."""


class Key(NamedTuple):
    """One line of the comparison."""

    day: str
    model: str
    service_tier: str
    speed: str
    inference_geo: str


@dataclass(slots=True)
class Billed:
    """One line of the invoice.

    Attributes:
        amount: USD billed, after discounts.
        listed: USD before discounts.
        pieces: Tokens and searches by class, in the workspaces this ledger knows.
        by_class: USD before discounts by class, in the workspaces this ledger knows.
        elsewhere: USD before discounts in other workspaces.
        extra: USD before discounts of what no ledger row can hold, by kind: code execution, session time.
    """

    amount: Decimal = Decimal(0)
    listed: Decimal = Decimal(0)
    pieces: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_class: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    elsewhere: Decimal = Decimal(0)
    extra: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


@dataclass(slots=True)
class Invoice:
    """What was billed in USD.

    Attributes:
        lines: The amounts.
        refreshed: Until when the data goes; None where the endpoint did not say.
        foreign: The other currencies on it, whose amounts are in no line.
    """

    lines: dict[Key, Billed]
    refreshed: datetime | None
    foreign: list[str]


def key_of(day: str, model: str | None, tier: str | None, speed: str | None, geo: str | None) -> Key:
    """A line's key, with the names that mean the same made the same."""
    name = normalise(model)[0] if model else ""
    return Key(day, name, tier or "standard", speed or "standard", "us" if geo == "us" else "global")


def fetch(
    client: "anthropic.Anthropic",
    start: datetime,
    end: datetime,
    *,
    known: frozenset[str],
    only: Mapping[str, Sequence[str]],
) -> Invoice:
    """The invoice of a period, page by page.

    Args:
        client: One with an Admin key.
        start: The first moment, UTC.
        end: The first moment that is out.
        known: The workspaces this ledger has calls of; usage in others is set apart, unless the invoice names none
            of them.
        only: Filters of the endpoints: ``workspace_ids``, ``api_key_ids``.

    Raises:
        anthropic.AnthropicError: An endpoint cannot be read.
    """
    usages: list[Any] = []
    costs: list[Any] = []
    refreshed: list[datetime] = []
    analytics = client.beta.organization.analytics
    for first, last in _windows(start, end):
        asked: dict[str, Any] = {
            "starting_at": first,
            "ending_at": last,
            "time_bucket_width": "1d",
            "limit": _PAGE,
        }
        asked |= {"order_by": "time", "order": "asc", **only}
        by_usage = analytics.usage.list(**asked, **_by())
        by_cost = analytics.cost.list(**asked, **_by("cost_type", "token_type"))
        refreshed += [
            page.data_refreshed_at for page in (by_usage, by_cost) if page.data_refreshed_at is not None
        ]
        usages += by_usage  # these ask for page after page
        costs += by_cost
    lines: dict[Key, Billed] = defaultdict(Billed)
    known &= {item.group.workspace_id for item in costs}
    for item in usages:
        if _is_known(item.group.workspace_id, known):
            _add_pieces(lines[_key(item)], item.usage)
    foreign = set()
    for item in costs:
        if item.cost.currency == "USD":
            _add_cost(lines[_key(item)], item, own=_is_known(item.group.workspace_id, known))
        else:
            foreign.add(str(item.cost.currency))
    return Invoice(dict(lines), min(refreshed, default=None), sorted(foreign))


def _by(*more: str) -> dict[str, Any]:
    return {"group_by": [*_DIMENSIONS, *more]}


def _windows(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        last = min(start + _LONGEST, end)
        yield start, last
        start = last


def _key(item: Any) -> Key:
    group = item.group
    day = item.starting_at.astimezone(UTC).date().isoformat()
    return key_of(day, group.model, group.service_tier, group.speed, group.inference_geo)


def _is_known(workspace: str | None, known: frozenset[str]) -> bool:
    return not known or workspace is None or workspace in known


def _add_pieces(line: Billed, usage: Any) -> None:
    counts = (
        usage.uncached_input_tokens,
        usage.cache_creation.ephemeral_5m_input_tokens,
        usage.cache_creation.ephemeral_1h_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
        usage.server_tool_use.web_search_requests,
    )
    for name, count in zip(CLASSES, counts, strict=True):
        line.pieces[name] += count or 0


def _add_cost(line: Billed, item: Any, *, own: bool) -> None:
    amount, listed = _usd(item.cost.amount), _usd(item.cost.list_amount)
    line.amount += amount
    line.listed += listed
    kind = item.group.token_type or item.group.cost_type or "other"
    if not own:
        line.elsewhere += listed
    elif kind in CLASSES:
        line.by_class[kind] += listed
    else:
        line.extra[kind] += listed


def _usd(cents: str) -> Decimal:
    amount = Decimal(cents) * _CENT
    if not amount.is_finite():
        raise ValueError(f"an amount of {cents} cents")
    return amount
