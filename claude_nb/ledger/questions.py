"""The questions a ledger answers, as SQL: sums are made of integers by the database."""

import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import ColumnElement, Integer, and_, case, func, select, update

from claude_nb.errors import LedgerError

from .attempt import SESSION, cost_columns
from .money import from_pico
from .schema import attempts
from .store import ABANDONED

if TYPE_CHECKING:
    from .store import Store

_C = attempts.c
_BILLABLE = and_(_C.op.in_(("messages", "batch_item")), _C.outcome != "budget_refused")
_PENDING = and_(_C.usage_final.is_(False), _C.outcome != "http_error")
_UNPRICED = _C.cost_low_pico.is_(None)
_KEYS = (
    "model",
    "notebook",
    "cell",
    "conversation",
    "tag",
    "day",
    "outcome",
    "stop_reason",
    "provider",
    "service_tier",
    "speed",
    "inference_geo",
    "session",
    "op",
)
_TOKENS = (
    "input_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)
SINCE = "since"  # beside column names in what a ledger is restricted to: the first moment that counts
_ABANDONED_AFTER = timedelta(hours=24)


_DERIVED: dict[str, ColumnElement[Any]] = {"day": func.substr(_C.ts, 1, 10), "tag": _C.tags}


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0), type_=Integer)


def _measures(key: str = "") -> list[ColumnElement[Any]]:
    """The sums. A call is counted at its first attempt; where a call's attempts fall into several groups, in each."""
    apart = key in ("outcome", "stop_reason")
    return [
        (func.count(_C.call_id.distinct()) if apart else _count(_C.attempt == 0)).label("calls"),
        func.count().label("attempts"),
        *(func.sum(_C[name]).label(name) for name in _TOKENS),
        func.sum(_C.cost_pico).label("usd"),
        func.sum(case((_PENDING, _C.cost_low_pico))).label("low"),
        func.sum(case((_PENDING, _C.cost_high_pico))).label("high"),
        _count(_PENDING).label("unfinished"),
        _count(_UNPRICED).label("unpriced"),
        _count(and_(_PENDING, _C.cost_high_pico.is_(None))).label("unbounded"),
    ]


def filters(only: Mapping[str, str], *, simulated: bool | None = None) -> list[ColumnElement[bool]]:
    """What a view of a ledger is restricted to, as conditions."""
    chosen = [_C.ts >= value if name == SINCE else _C[name] == value for name, value in only.items()]
    return chosen if simulated is None else [*chosen, _C.simulated.is_(simulated), _BILLABLE]


def totals(store: "Store", only: Mapping[str, str], *, simulated: bool) -> dict[str, Any]:
    """One row of sums."""
    explain_abandoned(store)
    found = store.query(select(*_measures()).where(*filters(only, simulated=simulated)))
    return found[0]._asdict()


def grouped(store: "Store", only: Mapping[str, str], key: str, *, simulated: bool) -> pd.DataFrame:
    """The sums by one key."""
    if key not in _KEYS:
        raise LedgerError(f"The ledger cannot group by {key!r}. Choose one of: {', '.join(_KEYS)}.")
    explain_abandoned(store)
    column: ColumnElement[Any] = _DERIVED[key] if key in _DERIVED else _C[key]
    statement = select(column.label("key"), *_measures(key)).group_by(column)
    found = [row._asdict() for row in store.query(statement.where(*filters(only, simulated=simulated)))]
    if key == "tag":
        found = _by_tag(found)
    rows = [
        {
            key: row["key"],
            "calls": row["calls"],
            "attempts": row["attempts"],
            **{name: row[name] for name in _TOKENS},
            "cost_usd": _float(row["usd"]),
            "cost_low": _float(_sum(row["usd"], row["low"])),
            "cost_high": None if row["unbounded"] else _float(_sum(row["usd"], row["high"])),
            "unfinished": row["unfinished"],
            "unpriced": row["unpriced"],
        }
        for row in found
    ]
    columns = [
        key,
        "calls",
        "attempts",
        *_TOKENS,
        "cost_usd",
        "cost_low",
        "cost_high",
        "unfinished",
        "unpriced",
    ]
    table = pd.DataFrame(rows, columns=columns)
    counts = ["calls", "attempts", "unfinished", "unpriced", *_TOKENS]
    table = table.astype(
        dict.fromkeys(counts, "Int64") | dict.fromkeys(["cost_usd", "cost_low", "cost_high"], "float64")
    )
    order = table.assign(_name=table[key].astype(str)).sort_values(
        ["cost_usd", "_name"], ascending=[False, True]
    )
    return table.loc[order.index].set_index(key)


def _by_tag(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A call with two tags counts under both."""
    sums: dict[str | None, dict[str, Any]] = {}
    for row in found:
        for tag in json.loads(row["key"]) if row["key"] else [None]:
            into = sums.setdefault(tag, {"key": tag})
            for name, value in row.items():
                if name != "key" and value is not None:
                    into[name] = into.get(name, 0) + value
                elif name != "key":
                    into.setdefault(name, None)
    return list(sums.values())


def counts(store: "Store", only: Mapping[str, str]) -> dict[str, int | None]:
    """What is not settled, final or priced."""
    explain_abandoned(store)
    measures = [_count(_C.outcome == "open"), _count(_PENDING), _count(_UNPRICED)]
    found = store.query(select(*measures).where(_BILLABLE, *filters(only)))[0]
    return {name: value or 0 for name, value in zip(("open", "unfinished", "unpriced"), found, strict=True)}


_FRAME = (
    "ts",
    "op",
    "model",
    "outcome",
    "stop_reason",
    *_TOKENS,
    "thinking_tokens",
    "web_search_requests",
    "status",
    "attempt",
    "call_id",
    "message_id",
    "request_id",
    "notebook",
    "cell",
    "conversation",
    "tags",
    "stream",
    "simulated",
    "usage_final",
    "service_tier",
    "speed",
    "inference_geo",
    "provider",
    "cache_miss_reason",
    "cache_missed_input_tokens",
    "max_tokens",
    "streamed_chars",
    "first_ms",
    "total_ms",
    "session",
    "error",
    "note",
    "price_version",
)
_MONEY = {"cost_pico": "cost_usd", "cost_low_pico": "cost_low", "cost_high_pico": "cost_high"}


def frame(store: "Store", only: Mapping[str, str]) -> pd.DataFrame:
    """A row an attempt."""
    explain_abandoned(store)
    names = (*_FRAME, *_MONEY)
    statement = select(*(_C[name] for name in names)).where(*filters(only)).order_by(_C.ts, _C.attempt, _C.id)
    table = pd.DataFrame([tuple(row) for row in store.query(statement)], columns=list(names))
    for stored, shown in _MONEY.items():
        table[shown] = [_float(value) for value in table.pop(stored)]
    money = dict.fromkeys(_MONEY.values(), "float64")
    whole = [name for name in _FRAME if isinstance(_C[name].type, Integer)]
    table = table.astype(
        money | dict.fromkeys(whole, "Int64") | dict.fromkeys(["stream", "simulated", "usage_final"], "bool")
    )
    table["ts"] = pd.to_datetime(table["ts"], format="ISO8601", utc=True)
    table["tags"] = [tuple(json.loads(tags)) if isinstance(tags, str) else () for tags in table["tags"]]
    written = table[["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]]
    table["cache_creation_input_tokens"] = written.sum(axis=1, min_count=1).astype("Int64")
    return _in_order(table)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The columns a reader looks for first, first."""
    first = ["ts", "model", *_TOKENS, *_MONEY.values(), "outcome", "stop_reason", "simulated"]
    return table[first + [name for name in table.columns if name not in first]]


def _sum(*amounts: int | None) -> int | None:
    """The sum of what is known; None when nothing is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _float(pico: int | None) -> float | None:
    amount = from_pico(pico)
    return None if amount is None else float(amount)


def explain_abandoned(store: "Store") -> None:
    """Settle the open rows of processes that are gone: what they cost stays an interval, why is said."""
    columns = [_C.id, _C.pid, _C.host, _C.session, _C.ts]
    for row in store.query(select(*columns).where(_C.outcome == "open", _C.session != SESSION)):
        if _is_gone(row):
            with store.transaction() as connection:
                connection.execute(
                    update(attempts)
                    .where(_C.id == row.id, _C.outcome == "open")
                    .values(outcome="aborted", error=ABANDONED)
                )


def _is_gone(row: Any) -> bool:
    if datetime.now(UTC) - datetime.fromisoformat(row.ts) > _ABANDONED_AFTER:
        return True
    if row.host != socket.gethostname() or os.name == "nt":  # there, asking a process ends it
        return False
    if row.pid == os.getpid():
        return True  # the number was given out again: to this process
    try:
        os.kill(row.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def reprice(store: "Store", only: Mapping[str, str]) -> int:
    """Write every cost again."""
    explain_abandoned(store)
    settled = select(attempts).where(_C.outcome != "open", *filters(only))
    changed = 0
    with store.transaction() as connection:
        for row in (row._asdict() for row in connection.execute(settled).all()):
            fresh = cost_columns(row)
            if any(fresh[name] != row[name] for name in fresh):
                changed += any(fresh[name] != row[name] for name in _MONEY)
                connection.execute(update(attempts).where(_C.id == row["id"]).values(fresh))
    return changed
