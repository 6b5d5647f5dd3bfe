"""USD per million tokens of a model on a day: ``genai-prices``, and ``overlay.json`` for what it lacks."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens of one model on one day, for one prompt size."""

    input: Decimal
    write_5m: Decimal
    write_1h: Decimal
    read: Decimal
    output: Decimal

    def times(self, factor: Decimal) -> "Rates":
        """The same rates under a discount or surcharge on every token class."""
        return Rates(*(factor * getattr(self, name) for name in self.__slots__))


def rates_of(model: str, at: datetime | date | None, prompt: int, speed: str = "standard") -> Rates | None:
    """USD per million tokens of a model for a prompt of that many tokens; None when it has no known price."""
    name, _ = normalise(model)
    day = at if isinstance(at, date) and not isinstance(at, datetime) else utc_day(at)
    found = _rate_table(name, day, speed)
    if found is None or isinstance(found, Rates):
        return found
    tiers = overlay()["long_context"]
    size = prompt if name in tiers["tiered"] or day.isoformat() < tiers["flat_from"] else 0
    return Rates(*(_at_prompt_size(price, size) for price in found))


@cache
def _rate_table(model: str, day: date, speed: str) -> Rates | tuple[Any, ...] | None:
    """The overlay's rates, or those of genai-prices (a tuple with ``TieredPrices`` in it where size matters)."""
    for row in overlay()["rates"]:
        if row["model"] == model and row["speed"] == speed and _is_on(day, row):
            return Rates(*(Decimal(row[name]) for name in Rates.__slots__))
    return _published(model, day, speed)


def _published(model: str, day: date, speed: str) -> Rates | tuple[Any, ...] | None:
    """What genai-prices holds for exactly this model: its matching by prefix would price a stranger."""
    from genai_prices.data_snapshot import get_snapshot

    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    try:
        _, found = get_snapshot().find_provider_model(model, None, "anthropic", None)
    except LookupError:
        return None
    if model not in _names(found.id):
        return None
    context = {"speed": "fast"} if speed == "fast" else {}
    if speed not in ("standard", "fast") or (context and not _has_variant(found, context)):
        return None
    price = found.get_prices(noon, context)
    values = (
        price.input_mtok,
        price.cache_write_mtok,
        price.cache_write_1h_mtok,
        price.cache_read_mtok,
        price.output_mtok,
    )
    if price.input_mtok is None or price.output_mtok is None:
        return None
    plain = [value for value in values if isinstance(value, Decimal)]
    return Rates(*plain) if len(plain) == len(values) else values


def _has_variant(found: Any, context: Mapping[str, str]) -> bool:
    return any(variant.when == context for variant in found.price_variants or ())


def _names(published: str) -> set[str]:
    """The ids that mean the published model: with and without ``-latest``, and ``-0`` of a first version."""
    plain = published.removesuffix("-latest")
    return {plain, plain.removesuffix("-0")}


def _at_prompt_size(price: Any, prompt: int) -> Decimal:
    """The rate for a prompt of that size: past a threshold it holds for the whole request, not the part above."""
    if price is None:
        return Decimal("NaN")  # a class the table has no price for: an amount that uses it stays unknown
    if not hasattr(price, "tiers"):
        return Decimal(price)
    reached = [tier.price for tier in price.tiers if prompt > tier.start]
    return Decimal(reached[-1] if reached else price.base)


def normalise(model: str) -> tuple[str, bool]:
    """The Anthropic id without its date, and whether the id itself names a regional Bedrock endpoint."""
    name = model.lower().removeprefix("anthropic/")
    regional = False
    if match := re.fullmatch(
        r"(?:arn:.*/)?(?:(\w+)\.)?anthropic\.(claude-[\w.-]+?)(?:-v\d+(?::\d+)?)?(?::\w+)?", name
    ):
        regional, name = match[1] != "global", match[2]
    name = re.sub(r"[-@]\d{8}$|@default$|-latest$", "", name)
    return name, regional


@cache
def price_version() -> str:
    """The price data behind every amount, such as ``"genai-prices 0.2.3, overlay 2026-11-22"``."""
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}, overlay {overlay()['version']}"


def _is_on(day: date, row: Mapping[str, str]) -> bool:
    return row.get("from", "") <= day.isoformat() < row.get("until", "9999")


def utc_day(at: datetime | None) -> date:
    """The day prices are looked up by; a time without a zone is UTC."""
    if at is None:
        return datetime.now(UTC).date()
    return (at if at.tzinfo is None else at.astimezone(UTC)).date()


@cache
def overlay() -> dict[str, Any]:
    """The data beside genai-prices, each rule with its source."""
    text = files(__package__).joinpath("overlay.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
