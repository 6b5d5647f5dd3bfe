"""The questions a ledger answers, as SQL: sums are made of integers by the database."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd
from sqlalchemy import ColumnElement, Integer, Select, and_, case, func, or_, select

from claude_nb.errors import LedgerError

from .asking import Key
from .attempt import IMPORTED
from .money import from_pico
from .schema import attempts
from .sessions import SESSION
from .total import TOKEN_CLASSES
from .upkeep import explain_abandoned

if TYPE_CHECKING:
    from .store import Store

_C = attempts.c
BILLED_OPS = ("messages", "batch_item", SESSION)
_BILLABLE = and_(_C.op.in_(BILLED_OPS), _C.outcome != "budget_refused")
_PENDING = and_(_C.usage_final.is_(False), _C.outcome != "http_error")
_UNPRICED = _C.cost_low_pico.is_(None)
_KEYS = get_args(Key)
SINCE = "since"  # beside column names in what a ledger is restricted to: the first moment that counts
TAG = "tag"  # likewise: a tag among those of a row
OWN = "own"  # the name, beside those of imported sources, of what this package recorded itself


_DERIVED: dict[str, ColumnElement[Any]] = {
    "cell": case((_C.notebook.is_(None), _C.cell), else_=_C.notebook + " cell " + _C.cell),
    "day": func.substr(_C.ts, 1, 10),
    "tag": _C.tags,
    "source": func.coalesce(_C.source, OWN),
}


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0), type_=Integer)


def _measures(key: str = "") -> list[ColumnElement[Any]]:
    """The sums. A call is counted at its first attempt; where a call's attempts fall into several groups, in each.

    A row without an attempt (an imported sum over a day) stands for nobody knows how many calls.
    """
    firsts = func.sum(case((_C.attempt == 0, 1), (_C.attempt.is_not(None), 0)), type_=Integer)
    calls = func.count(_C.call_id.distinct()) if key in ("outcome", "stop_reason") else firsts
    return [
        calls.label("calls"),
        func.count().label("attempts"),
        *(func.sum(_C[name]).label(name) for name in TOKEN_CLASSES),
        func.sum(_C.cost_pico).label("usd"),
        func.sum(case((_PENDING, _C.cost_low_pico))).label("low"),
        func.sum(case((_PENDING, _C.cost_high_pico))).label("high"),
        _count(_PENDING).label("unfinished"),
        _count(_UNPRICED).label("unpriced"),
        _count(_C.unpriced_tools.is_not(None)).label("partly_priced"),
        _count(and_(_PENDING, _C.cost_high_pico.is_(None))).label("unbounded"),
    ]


def filters(only: Mapping[str, str], *, simulated: bool | None = None) -> list[ColumnElement[bool]]:
    """What a view of a ledger is restricted to, as conditions. Imported rows are left out unless their source is named.

    Args:
        only: Columns and their values.
        simulated: Only rows that can be billed, real or simulated; every row if not given.
    """
    chosen = restricted(only)
    if only.get("source", OWN) != OWN:
        counted = _C.op == IMPORTED
    else:
        counted = _C.op != IMPORTED if simulated is None else _BILLABLE
    return [*chosen, counted] if simulated is None else [*chosen, counted, _C.simulated.is_(simulated)]


def restricted(only: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """The named columns and values as conditions, whatever the source."""
    return [_is(name, value) for name, value in only.items() if (name, value) != ("source", OWN)]


def _is(name: str, value: Any) -> ColumnElement[bool]:
    column: ColumnElement[Any] = _C[{SINCE: "ts", TAG: "tags"}.get(name, name)]
    if value is None:
        return column.is_(None)
    if name == "cell":  # as by("cell") names it, too
        return or_(column == value, _DERIVED[name] == value)
    if name == TAG:
        return _lists(column, json.dumps(value))
    found: ColumnElement[bool] = column >= value if name == SINCE else column == value
    return found


def _lists(column: ColumnElement[Any], element: str) -> ColumnElement[bool]:
    """Whether a list in JSON has the element: by replacing, which minds the case where SQLite's LIKE does not."""
    return or_(*(func.replace(column, f"{before}{element}", "") != column for before in ("[", ", ")))


def totals(store: "Store", only: Mapping[str, str], *, simulated: bool) -> dict[str, Any]:
    """One row of sums."""
    explain_abandoned(store)
    return store.query(sums(only, simulated=simulated))[0]._asdict()


def sums(only: Mapping[str, str], *, simulated: bool) -> Select[Any]:
    """What asks for one row of sums: calls, attempts, tokens by class, money in the stored unit, and what is unsure."""
    return select(*_measures()).where(*filters(only, simulated=simulated))


def grouped(store: "Store", only: Mapping[str, str], key: str, *, simulated: bool) -> pd.DataFrame:
    """The sums by one key."""
    if key not in _KEYS:
        raise LedgerError(f"The ledger cannot group by {key!r}. Choose one of: {', '.join(_KEYS)}.")
    explain_abandoned(store)
    column: ColumnElement[Any] = _DERIVED[key] if key in _DERIVED else _C[key]
    chosen = filters(only, simulated=simulated)
    if key == "source" and "source" not in only:
        chosen = [*restricted(only), or_(_BILLABLE, _C.op == IMPORTED), _C.simulated.is_(simulated)]
    statement = select(column.label("key"), *_measures(key)).where(*chosen).group_by(column)
    found = [row._asdict() for row in store.query(statement)]
    if key == "tag":
        found = _by_tag(found)
    rows = [
        {
            key: row["key"],
            "calls": row["calls"],
            "attempts": row["attempts"],
            **{name: row[name] for name in TOKEN_CLASSES},
            "cost_usd": _float(row["usd"]),
            "cost_low": _float(_sum(row["usd"], row["low"])),
            "cost_high": None if row["unbounded"] else _float(_sum(row["usd"], row["high"])),
            "unfinished": row["unfinished"],
            "unpriced": row["unpriced"],
            "partly_priced": row["partly_priced"],
        }
        for row in found
    ]
    columns = [
        key,
        "calls",
        "attempts",
        *TOKEN_CLASSES,
        "cost_usd",
        "cost_low",
        "cost_high",
        "unfinished",
        "unpriced",
        "partly_priced",
    ]
    table = pd.DataFrame(rows, columns=columns)
    counts = ["calls", "attempts", "unfinished", "unpriced", "partly_priced", *TOKEN_CLASSES]
    table = table.astype(
        dict.fromkeys(counts, "Int64") | dict.fromkeys(["cost_usd", "cost_low", "cost_high"], "float64")
    )
    order = table.assign(_name=table[key].astype(str)).sort_values(
        ["cost_usd", "_name"], ascending=[False, True]
    )
    return table.loc[order.index].set_index(key)


def sources(store: "Store") -> list[str]:
    """The names of the imported sources."""
    return sorted(row.source for row in store.query(select(_C.source).where(_C.op == IMPORTED).distinct()))


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


FRAME = (
    "ts",
    "op",
    "model",
    "outcome",
    "stop_reason",
    *TOKEN_CLASSES,
    "thinking_tokens",
    "web_search_requests",
    "unpriced_tools",
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
    "source",
    "project",
    "user",
    "error",
    "note",
    "price_version",
)
_MONEY = {"cost_pico": "cost_usd", "cost_low_pico": "cost_low", "cost_high_pico": "cost_high"}


def frame(store: "Store", only: Mapping[str, str]) -> pd.DataFrame:
    """A row an attempt."""
    explain_abandoned(store)
    names = (*FRAME, *_MONEY)
    statement = select(*(_C[name] for name in names)).where(*filters(only)).order_by(_C.ts, _C.attempt, _C.id)
    table = pd.DataFrame([tuple(row) for row in store.query(statement)], columns=list(names))
    for stored, shown in _MONEY.items():
        table[shown] = [_float(value) for value in table.pop(stored)]
    money = dict.fromkeys(_MONEY.values(), "float64")
    whole = [name for name in FRAME if isinstance(_C[name].type, Integer)]
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
    first = ["ts", "model", *TOKEN_CLASSES, *_MONEY.values(), "outcome", "stop_reason", "simulated"]
    return table[first + [name for name in table.columns if name not in first]]


def _sum(*amounts: int | None) -> int | None:
    """The sum of what is known; None when nothing is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _float(pico: int | None) -> float | None:
    amount = from_pico(pico)
    return None if amount is None else float(amount)
