"""Compares the ledger with the organisation's invoice, and divides the difference among its reasons.

The invoice's own rates (its list amount of a class by its tokens) turn tokens into money, so that discounts by tier,
place and prompt size need no second guess. The six reasons of a line add up to its difference exactly.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from claude_nb.credentials import Secret
from claude_nb.errors import LedgerError

from .attempt import IMPORTED, describe
from .invoice import CLASSES, SEARCHES, Billed, Invoice, Key, fetch, key_of
from .moment import moment
from .money import from_pico
from .prices import Tokens, billed_requests, price_usage
from .reconciliation import Line, Reconciliation

if TYPE_CHECKING:
    import anthropic

    from .store import Store

ADMIN_KEY = "ANTHROPIC_ADMIN_API_KEY"
_CLOUDS = ("bedrock", "vertex", "foundry")
_ZERO = Decimal(0)
_NO_KEY = (
    "The invoice needs an Admin key (sk-ant-admin…) of the organisation. Put it into the environment as "
    f"{ADMIN_KEY}, or pass a client: ledger.reconcile(anthropic.Anthropic(api_key=...))."
)


@dataclass(slots=True)
class Own:
    """What the ledger has for one line of the invoice.

    Attributes:
        usd: The cost of settled calls with a known price.
        calls: Attempts that reported tokens.
        settled: Their tokens and searches by class.
        unpriced: Those of settled calls without a known price.
        unpriced_calls: How many these are.
        unfinished: Calls whose final usage never arrived.
        low: What they add at least.
        high: What they add at most; None when unknown.
    """

    usd: Decimal = _ZERO
    calls: int = 0
    settled: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unpriced: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unpriced_calls: int = 0
    unfinished: int = 0
    low: Decimal = _ZERO
    high: Decimal | None = _ZERO


def reconcile(
    store: "Store",
    only: Mapping[str, str],
    admin: "anthropic.Anthropic | Secret | None",
    *,
    since: object,
    until: object,
    filters: Mapping[str, Sequence[str]],
) -> Reconciliation:
    """The comparison; see ``Ledger.reconcile``."""
    start = datetime.fromisoformat(moment(since)).replace(hour=0, minute=0, second=0, microsecond=0)
    end = datetime.now(UTC) if until is None else datetime.fromisoformat(moment(until))
    if start >= end:
        raise LedgerError(f"There is no day between {start:%Y-%m-%d} and {end:%Y-%m-%d}. Type: since='7d'.")
    own, elsewhere, workspaces = _own_lines(store, only, start, end)
    invoice = _fetch(_client(admin), start, end, known=workspaces, only=filters)
    if invoice.foreign:
        raise LedgerError(
            f"The invoice has amounts in {' and '.join(invoice.foreign)}, which cannot be compared with USD. Choose "
            "what is billed in USD: workspace_ids=[...] or api_key_ids=[...]."
        )
    keys = sorted({*own, *invoice.lines})
    lines = [_line(key, own.get(key), invoice.lines.get(key), invoice.refreshed) for key in keys]
    return Reconciliation(lines, start=start, end=end, refreshed=invoice.refreshed, on_clouds=elsewhere)


def _client(admin: "anthropic.Anthropic | Secret | None") -> "anthropic.Anthropic":
    import os

    import anthropic

    if isinstance(admin, anthropic.Anthropic):
        return admin
    if not isinstance(admin, Secret | None):
        raise LedgerError(
            f"The invoice is read by an anthropic.Anthropic, not by a {type(admin).__name__}. {_NO_KEY}"
        )
    key = admin or Secret(os.environ.get(ADMIN_KEY, ""))
    if not isinstance(key, Secret) or not key.reveal().strip():
        raise LedgerError(_NO_KEY)
    return anthropic.Anthropic(api_key=key.reveal().strip())


def _fetch(client: "anthropic.Anthropic", start: datetime, end: datetime, **how: Any) -> Invoice:
    try:
        return fetch(client, start, end, **how)
    except Exception as error:  # noqa: BLE001 - whatever it is, the frames below hold the key
        problem, refused = _problem(error)
    advice = _NO_KEY if refused else "Try again in a minute; the endpoints are polled at most once a minute."
    raise LedgerError(f"The invoice cannot be read: {problem}. {advice}")


def _problem(error: Exception) -> tuple[str | None, bool]:
    """What went wrong, without a key that a server may echo, and whether it is about the key."""
    from anthropic import APIStatusError

    if not isinstance(error, APIStatusError):
        return describe(error), False
    told = error.body.get("error") if isinstance(error.body, Mapping) else None
    return describe(told if isinstance(told, Mapping) else error), error.status_code in (401, 403, 404)


# ---- the ledger's side


def _own_lines(
    store: "Store", only: Mapping[str, str], start: datetime, end: datetime
) -> tuple[dict[Key, Own], int, frozenset[str]]:
    """The lines, how many calls the clouds bill instead, and the workspaces that the calls were made in."""
    from sqlalchemy import select

    from .questions import filters
    from .schema import attempts
    from .upkeep import explain_abandoned

    explain_abandoned(store)
    columns = attempts.c
    period = (columns.ts >= moment(start), columns.ts < moment(end), columns.op != IMPORTED)
    lines: dict[Key, Own] = defaultdict(Own)
    on_clouds, workspaces = 0, set()
    for row in store.query(select(attempts).where(*period, *filters(only, simulated=False))):
        if row.provider in _CLOUDS:
            on_clouds += 1
            continue
        workspaces.add(row.workspace_id)
        if row.usage_final or row.outcome == "http_error":
            _add_settled(lines, row)
        else:
            line = lines[_key(row, row.model)]
            low, high = from_pico(row.cost_low_pico), from_pico(row.cost_high_pico)
            line.unfinished += 1
            line.low += low or _ZERO
            line.high = None if line.high is None or high is None else line.high + high
    return dict(lines), on_clouds, frozenset(workspaces - {None})


def _key(row: Any, model: str | None) -> Key:
    return key_of(row.ts[:10], model, row.service_tier, row.speed, row.inference_geo)


def _add_settled(lines: dict[Key, Own], row: Any) -> None:
    """A call's tokens, each under the model that billed them; what is not billed stays out."""
    if not row.usage:
        return
    usage = json.loads(row.usage)
    main, unpriced = lines[_key(row, row.model)], row.cost_pico is None
    main.calls += 1
    main.unpriced_calls += unpriced
    main.usd += from_pico(row.cost_pico) or _ZERO
    if row.web_search_requests and not unpriced:
        main.settled[SEARCHES] += row.web_search_requests
    served = {name: usage.get(name) for name in ("service_tier", "speed", "inference_geo")}
    for model, request in billed_requests(row.model or "", usage, refused=bool(row.unbilled_refusal)):
        line, tokens = lines[_key(row, model)], Tokens.of(request)
        if tokens is None:
            continue
        counts = (tokens.input, tokens.write_5m, tokens.write_1h, tokens.read, tokens.output)
        for name, count in zip(CLASSES, counts, strict=False):
            (line.unpriced if unpriced else line.settled)[name] += count
        if line is not main and not unpriced:  # an adviser's or a fallback's share of the call
            alone = {**request, **served, "iterations": None, "server_tool_use": None}
            share = (
                price_usage(model, alone, datetime.fromisoformat(row.ts), regional=bool(row.regional))
                or _ZERO
            )
            line.usd += share
            main.usd -= share


# ---- line by line


def _line(key: Key, own: Own | None, billed: Billed | None, refreshed: datetime | None) -> Line:
    own = own or Own()
    over = datetime.fromisoformat(key.day).replace(tzinfo=UTC) + timedelta(days=1)
    reported = refreshed is None or over <= refreshed
    if billed is None and not reported:
        return Line(key, own=own, billed=None, reported=False, reasons={})
    billed = billed or Billed()
    rates = {name: _rate(key, billed, name) for name in CLASSES}
    unpriced = sum(
        (min(own.unpriced[name], billed.pieces[name]) * rate for name, rate in rates.items()), _ZERO
    )
    beyond = [
        (billed.pieces[name] - own.settled[name] - own.unpriced[name]) * rate for name, rate in rates.items()
    ]
    more = sum((value for value in beyond if value > 0), _ZERO)
    less = sum((value for value in beyond if value < 0), _ZERO)
    unfinished = (more if own.high is None else min(more, own.high)) if own.unfinished else _ZERO
    known = sum(billed.by_class.values(), _ZERO)
    reasons = {
        "unfinished": unfinished,
        "unpriced": unpriced,
        "elsewhere": more - unfinished + billed.elsewhere + sum(billed.extra.values(), _ZERO),
        "only_here": less,
        "price": known - own.usd - unpriced - more - less,
        "discount": billed.amount - billed.listed,
    }
    return Line(key, own=own, billed=billed, reported=reported, reasons=reasons)


def _rate(key: Key, billed: Billed, name: str) -> Decimal:
    """USD a piece at list price: the invoice's own, or ours where it has none of that class."""
    if billed.pieces[name] and name in billed.by_class:
        return billed.by_class[name] / billed.pieces[name]
    one: dict[str, Any] = {"input_tokens": 0, "service_tier": key.service_tier, "speed": key.speed}
    one["inference_geo"] = key.inference_geo
    if name == SEARCHES:
        one["server_tool_use"] = {"web_search_requests": 1}
    elif name.startswith("cache_creation."):
        one["cache_creation"] = {name.removeprefix("cache_creation."): 1}
    else:
        one["input_tokens" if name == "uncached_input_tokens" else name] = 1
    return price_usage(key.model, one, datetime.fromisoformat(key.day)) or _ZERO
