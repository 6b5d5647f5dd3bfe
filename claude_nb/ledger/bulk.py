"""A ledger read in bulk, for plots: its last rows, the sums of each hour, the prompts sent twice."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from .money import from_pico

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import ColumnElement

    from .ledger import Ledger

_TOKENS = (
    "input_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)
_MONEY = ("cost_usd", "low", "high")
_HOUR = len("2026-11-22T10")
_STEPS = (100_000, 200_000)
"""Sizes of prompt at which some model has changed its price: prompts of both sides are not summed together."""


def recent(ledger: "Ledger", most: int) -> "tuple[Ledger, int]":
    """The ledger from its ``most``-th last attempt on, and how many attempts are earlier."""
    from sqlalchemy import func, select

    from .questions import filters
    from .schema import attempts

    store, only = ledger._store, ledger._only  # noqa: SLF001 - a reader in the ledger's own room
    at = attempts.c.ts
    found = store.query(select(at).where(*filters(only)).order_by(at.desc()).limit(1).offset(most - 1))
    if not found:
        return ledger, 0
    first = found[0].ts
    count = select(func.count()).select_from(attempts).where(*filters(only), at < first)
    earlier = store.query(count)[0][0]
    return (ledger.since(first), int(earlier)) if earlier else (ledger, 0)


def hourly(ledger: "Ledger", keys: Sequence[str] = ()) -> "pd.DataFrame":
    """Calls, tokens and costs summed by UTC hour, model and speed, real calls or else simulated ones, oldest first.

    Args:
        ledger: The ledger, or a part of it.
        keys: Columns that are not summed over either.

    Returns:
        The columns of ``Ledger.frame()`` that can be summed, and ``calls``, ``unfinished``, ``unpriced``, ``low`` and
        ``high``: the least and the most the calls cost in USD. ``ts`` is the first of a row's calls.
    """
    import pandas as pd
    from sqlalchemy import Integer, case, func, select

    from .questions import filters
    from .schema import attempts

    column = attempts.c
    counts = [func.coalesce(column[name], 0) for name in _TOKENS[:4]]
    prompt: ColumnElement[int] = reduce(add, counts)
    size = case(*((prompt > step, step) for step in reversed(_STEPS)), else_=0)
    groups = [
        func.substr(column.ts, 1, _HOUR).label("hour"),
        size.label("size"),
        *(column[name] for name in dict.fromkeys(("model", "speed", *keys))),
    ]

    def count(condition: "ColumnElement[bool]") -> "ColumnElement[int]":
        return func.sum(case((condition, 1), else_=0), type_=Integer)

    unknown = column.cost_low_pico.is_(None)
    measures: dict[str, ColumnElement[Any]] = {
        "ts": func.min(column.ts),
        "op": func.min(column.op),
        "calls": count(func.coalesce(column.attempt, 0) == 0),
        **{name: func.sum(column[name]) for name in _TOKENS},
        "cost_usd": func.sum(column.cost_pico),
        "low": func.sum(func.coalesce(column.cost_pico, column.cost_low_pico)),
        "high": func.sum(func.coalesce(column.cost_pico, column.cost_high_pico, column.cost_low_pico)),
        "unpriced": count(unknown),
        "unfinished": count(column.cost_pico.is_(None) & ~unknown),
    }
    asked = select(*groups, *(value.label(name) for name, value in measures.items())).group_by(*groups)
    store, only = ledger._store, ledger._only  # noqa: SLF001 - as above
    for simulated in (False, True):
        found = store.query(asked.where(*filters(only, simulated=simulated)))
        if found:
            break
    names = [*(group.name for group in groups), *measures]
    table = pd.DataFrame([tuple(row) for row in found], columns=names).drop(columns=["hour", "size"])
    for name in _MONEY:
        table[name] = [None if value is None else float(from_pico(value) or 0) for value in table[name]]
    table["simulated"] = simulated
    table["ts"] = pd.to_datetime(table["ts"], format="ISO8601", utc=True)
    return table.sort_values("ts", ignore_index=True)


def repeated(ledger: "Ledger") -> set[str]:
    """The call ids of answers to a prompt that an earlier call to the same model had answered in full.

    Prompts are compared by the digests of their blocks. Asking again after a truncated or refused reply is none.
    """
    from sqlalchemy import func, select

    from .questions import filters
    from .schema import attempts

    column = attempts.c
    same = [column.simulated, column.model, column.prompt]
    number = func.row_number().over(partition_by=same, order_by=[column.ts, column.id]).label("number")
    answered = [
        column.op == "messages",
        column.outcome == "ok",
        column.prompt.is_not(None),
        func.coalesce(column.stop_reason, "").not_in(
            ("max_tokens", "model_context_window_exceeded", "refusal")
        ),
    ]
    store, only = ledger._store, ledger._only  # noqa: SLF001 - as above
    asked = select(column.call_id, number).where(*answered, *filters(only)).subquery()
    return {row.call_id for row in store.query(select(asked.c.call_id).where(asked.c.number > 1))}
