"""What a usage cost: dated rates from ``genai-prices``, our overlay for what it lacks, the API's published rules.

Every rule is data (``overlay.json``) or one named step below. An amount that cannot be known is None, never 0.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from claude_nb.errors import LedgerError

from .rates import Rates, normalise, overlay, rates_of, utc_day

_MILLION = Decimal(1_000_000)
_FEWEST_TOKENS_PER_CHAR = 8
"""Characters per token that no ordinary text exceeds: what was streamed is at least this many tokens' worth."""

MOST_TOKENS = 10**12
"""Beyond this a number is no count of tokens, and no database would hold its price."""

Usage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The five disjoint token classes of one request."""

    input: int
    write_5m: int
    write_1h: int
    read: int
    output: int

    @property
    def prompt(self) -> int:
        """The whole prompt: what decides a tier and fills the context window."""
        return self.input + self.write_5m + self.write_1h + self.read

    @classmethod
    def of(cls, usage: Usage) -> "Tokens | None":
        """The token classes of a usage in the API's own fields; None when it does not report counts.

        A cache write without the 5m/1h split, or the part of one beyond its split, is a 5-minute write.
        """
        if usage.get("input_tokens") is None and usage.get("output_tokens") is None:
            return None
        split = usage.get("cache_creation") or {}
        if not isinstance(split, Mapping):
            return None
        one_hour = split.get("ephemeral_1h_input_tokens") or 0
        five_minutes = split.get("ephemeral_5m_input_tokens") or 0
        written = usage.get("cache_creation_input_tokens")
        counts = (
            usage.get("input_tokens") or 0,
            five_minutes if written is None else written - one_hour if _is_count(written, one_hour) else None,
            one_hour,
            usage.get("cache_read_input_tokens") or 0,
            usage.get("output_tokens") or 0,
        )
        return cls(*(int(count or 0) for count in counts)) if _is_count(*counts) else None


def price_usage(
    model: str, usage: Usage, at: datetime | None = None, *, refused: bool = False, regional: bool = False
) -> Decimal | None:
    """The exact cost of one request in USD, or None when it is unknown.

    Uses what was served (``speed``, ``inference_geo``, ``service_tier`` in the usage), never what was asked for,
    and prices each entry of ``iterations`` by its own model. Price requests one by one: a summed usage can fall
    into a tier that none of its requests reached.

    Args:
        model: The model id of the response; Bedrock and Vertex ids work too.
        usage: The ``usage`` of one response, as the SDK's object or with the API's field names. Missing token fields
            count as 0.
        at: When the request was made; now if not given. A time without a zone is UTC.
        refused: The reply is a refusal that is not billed: its tokens are informational.
        regional: Sent to a regional Bedrock or Vertex endpoint (+10 %).

    Example:
        >>> price_usage("claude-haiku-5-5", {"input_tokens": 1_000, "output_tokens": 100})
        Decimal('0.00015')

    Raises:
        LedgerError: The model is not text, the usage no mapping or SDK object, or the time no datetime.

    Rules: platform.claude.com, about-claude/pricing and refusals-and-fallback, 2026-11.
    """
    usage = _checked(model, usage, at)
    day = utc_day(at)
    entries = billed_requests(model, usage, refused=refused)
    parts = [_token_cost(name, Tokens.of(entry), usage, day, regional=regional) for name, entry in entries]
    tools = usage.get("server_tool_use")
    searches = (tools.get("web_search_requests") if isinstance(tools, Mapping) else None) or 0
    if any(part is None for part in parts) or not _is_count(searches):
        return None
    total = sum((part for part in parts if part is not None), Decimal(0))
    return _plain(total + searches * Decimal(overlay()["web_search_usd"]))


def _checked(model: object, usage: Any, at: object) -> Usage:
    usage = usage.to_dict() if hasattr(usage, "to_dict") else usage
    if isinstance(model, str) and isinstance(usage, Mapping) and isinstance(at, datetime | None):
        return usage
    raise LedgerError(
        "A price needs a model's id, a usage and, if you like, a datetime. Type: price_usage(message.model, "
        f"message.usage). Given were {model!r}, {type(usage).__name__} and {type(at).__name__}."
    )


def cost_interval(
    model: str,
    usage: Usage | None,
    at: datetime | None = None,
    *,
    max_tokens: int | None = None,
    streamed_chars: int = 0,
    worst: Usage | None = None,
    regional: bool = False,
) -> tuple[Decimal | None, Decimal | None]:
    """The least and the most that an unfinished request can have cost, in USD. Either is None when unknown.

    The API documents no rule for a client that disconnects, so the least is what was seen to be produced and
    the most is the whole of ``max_tokens``.

    Args:
        model: The model id.
        usage: The usage seen so far (``message_start``), or None when nothing arrived.
        at: When the request was made.
        max_tokens: The request's limit on output tokens.
        streamed_chars: Characters of output that arrived.
        worst: The usage to assume at most when ``usage`` is None, such as ``worst_usage(request_body)``.
        regional: As for ``price_usage``.
    """
    if usage is None:
        known = price_usage(model, {"input_tokens": 0, "output_tokens": 0}, at) is not None
        low = Decimal(0) if known else None
        return low, price_usage(model, worst, at, regional=regional) if worst else None
    counted = usage.get("output_tokens")
    seen: int = max(
        counted if counted and _is_count(counted) else 0, streamed_chars // _FEWEST_TOKENS_PER_CHAR
    )
    low = price_usage(model, {**usage, "output_tokens": seen}, at, regional=regional)
    if max_tokens is None:
        return low, None
    most = {**usage, "output_tokens": max(seen, max_tokens)}
    return low, price_usage(model, most, at, regional=regional)


def billed_requests(model: str, usage: Usage, *, refused: bool = False) -> list[tuple[str, Usage]]:
    """The requests that a usage was billed as, each with its model: itself, or the billed of its ``iterations``."""
    if usage.get("iterations"):
        return _billed_iterations(model, usage["iterations"], refused=refused)
    return [] if refused else [(model, usage)]


def answering_request(usage: Usage) -> Usage:
    """The request of a usage that gave the answer: of ``iterations`` the last message, else what there is."""
    entries = [entry for _, entry in billed_requests("", usage)]
    answers = [entry for entry in entries if str(entry.get("type")) in ("message", "fallback_message")]
    return (answers or entries or [usage])[-1]


def _billed_iterations(model: str, iterations: Any, *, refused: bool) -> list[tuple[str, Usage]]:
    """The entries that are billed, each with its model.

    With a ``fallback_message``, a ``message`` hop that declined before any output is not billed; of a refused
    reply only what ran beside it (compaction, advisor) is.
    """
    entries = (
        [entry for entry in iterations if isinstance(entry, Mapping)]
        if isinstance(iterations, list | tuple)
        else []
    )
    if not entries or len(entries) < len(iterations):
        return [(model, {})]  # which has no price
    fell_back = any(entry.get("type") == "fallback_message" for entry in entries)
    billed = []
    for entry in entries:
        kind = entry.get("type")
        declined = fell_back and kind == "message" and not entry.get("output_tokens")
        unbilled = refused and kind in ("message", "fallback_message")
        if not declined and not unbilled:
            named = entry.get("model")
            billed.append((named if isinstance(named, str) else model, entry))
    return billed


def _token_cost(
    model: str, tokens: Tokens | None, served: Usage, day: date, *, regional: bool
) -> Decimal | None:
    """The tokens of one iteration at the rates under which they were served."""
    rates = None if tokens is None else served_rates(model, served, day, tokens.prompt, regional=regional)
    return None if tokens is None or rates is None else _sum_of(tokens, rates)


def served_rates(
    model: str, served: Usage, at: date | datetime, prompt: int, *, regional: bool = False
) -> Rates | None:
    """USD per million tokens with the surcharges and discounts under which a request was served; None if unknown.

    Args:
        model: The model that answered.
        served: The usage, which says ``speed``, ``service_tier`` and ``inference_geo``.
        at: When.
        prompt: Tokens of prompt.
        regional: Through a regional Bedrock or Vertex endpoint.
    """
    name, regional_id = normalise(model)
    speed, tier = served.get("speed") or "standard", served.get("service_tier") or "standard"
    factor = _geo_factor(name, served.get("inference_geo"))
    if factor is None or tier not in ("standard", "batch") or (tier == "batch" and speed == "fast"):
        return None
    if speed not in ("standard", "fast"):
        return None
    if (regional or regional_id) and not _is_before(name, overlay()["regional"]["without"]):
        factor *= Decimal(overlay()["regional"]["factor"])
    if tier == "batch":
        factor *= Decimal(overlay()["batch_factor"])
    rates = rates_of(name, at, prompt, speed)
    return None if rates is None else rates.times(factor)


def _sum_of(tokens: Tokens, rates: Rates) -> Decimal:
    used = (name for name in Rates.__slots__ if getattr(tokens, name))
    return sum((getattr(tokens, name) * getattr(rates, name) for name in used), Decimal(0)) / _MILLION


def _is_before(name: str, names: Iterable[str]) -> bool:
    return any(name == old or (old in ("claude-2", "claude-3") and name.startswith(old)) for old in names)


def _geo_factor(name: str, geo: Any) -> Decimal | None:
    rule = overlay()["geo"]
    factor = rule["factors"].get(geo or "global") if isinstance(geo, str | None) else None
    if factor is None:
        return None
    return Decimal(1) if _is_before(name, rule["without"]) else Decimal(factor)


def _is_count(*values: Any) -> bool:
    return all(type(value) is int and 0 <= value <= MOST_TOKENS for value in values)


def _plain(amount: Decimal) -> Decimal | None:
    """The amount without trailing zeros or an exponent, so that equal amounts print alike."""
    if amount.is_nan():
        return None
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount.normalize()
