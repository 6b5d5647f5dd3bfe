"""A ledger read in bulk, for plots: its last rows, the sums of each hour, the prompts sent twice."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .total import TOKEN_CLASSES

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import ColumnElement

    from .ledger import Ledger

_PICO = 1e12
_MONEY = ("cost_usd", "low", "high")


def recent(ledger: "Ledger", most: int) -> "Ledger | None":
    """The ledger from its ``most``-th last attempt on; None where it has no more than these."""
    from sqlalchemy import select

    from .questions import filters
    from .schema import attempts

    store, only = ledger._store, ledger._only  # noqa: SLF001 - a reader in the ledger's own room
    at = attempts.c.ts
    last = select(at).where(*filters(only)).order_by(at.desc()).limit(2).offset(most - 1)
    found = store.query(last)
    return ledger.since(found[0].ts) if len(found) > 1 else None


def size_of(ledger: "Ledger") -> int:
    """How many attempts the ledger holds."""
    from sqlalchemy import func, select

    from .questions import filters
    from .schema import attempts

    store, only = ledger._store, ledger._only  # noqa: SLF001 - as above
    return int(store.query(select(func.count()).select_from(attempts).where(*filters(only)))[0][0])


def hourly(ledger: "Ledger") -> "pd.DataFrame":
    """Calls, tokens and costs summed by UTC hour, model and speed, real calls or else simulated ones, oldest first.

    Returns:
        The columns of ``Ledger.frame()`` that can be summed, and ``calls``, ``unfinished``, ``unpriced``, ``low`` and
        ``high``: the least and the most the calls cost in USD. ``ts`` is the beginning of the hour.
    """
    import pandas as pd
    from sqlalchemy import func

    from .schema import HOUR, SIZE, attempts

    column = attempts.c
    groups = {"model": column.model, "hour": HOUR, "size": SIZE, "speed": column.speed}
    table = _sums(ledger, groups, {name: func.sum(column[name]) for name in TOKEN_CLASSES})
    table.insert(0, "ts", pd.to_datetime(table.pop("hour"), format="%Y-%m-%dT%H", utc=True))
    return table.drop(columns="size").sort_values("ts", kind="stable", ignore_index=True)


def by_label(ledger: "Ledger", keys: Sequence[str]) -> "pd.DataFrame":
    """Calls and costs summed by columns, in the columns of ``hourly``; ``ts`` to ``last`` is when they all were."""
    import pandas as pd
    from sqlalchemy import select

    from .questions import filters
    from .schema import attempts

    table = _sums(ledger, {key: attempts.c[key] for key in keys}, {})
    store, only = ledger._store, ledger._only  # noqa: SLF001 - as above
    at, simulated = attempts.c.ts, bool(table["simulated"].any())
    moments = select(at).where(*filters(only, simulated=simulated)).limit(1)
    # two steps in an index: min() and max() would compare the text of every row
    for name, order in {"ts": at.asc(), "last": at.desc()}.items():
        found = [row.ts for row in store.query(moments.order_by(order))]
        table[name] = pd.to_datetime(found * len(table), format="ISO8601", utc=True)
    return table


def _sums(
    ledger: "Ledger", groups: "Mapping[str, ColumnElement[Any]]", measures: "Mapping[str, ColumnElement[Any]]"
) -> "pd.DataFrame":
    """One pass, in the order of an index where there is one: SQLite sorts what it groups."""
    import pandas as pd
    from sqlalchemy import func, select

    from .questions import filters
    from .schema import attempts

    column = attempts.c
    unsettled = column.cost_pico.is_(None)
    asked = {
        **groups,
        **measures,
        "calls": func.count().filter(func.coalesce(column.attempt, 0) == 0),
        "cost_usd": func.sum(column.cost_pico),
        "low": func.sum(func.coalesce(column.cost_pico, column.cost_low_pico)),
        "high": func.sum(func.coalesce(column.cost_pico, column.cost_high_pico, column.cost_low_pico)),
        "unpriced": func.count().filter(unsettled & column.cost_high_pico.is_(None)),
        "unfinished": func.count().filter(unsettled & column.cost_low_pico.is_not(None)),
    }
    columns = {name: value.label(name) for name, value in asked.items()}
    statement = select(*columns.values()).group_by(*(columns[name] for name in groups))
    store, only = ledger._store, ledger._only  # noqa: SLF001 - as above
    for simulated in (False, True):
        found = store.query(statement.where(*filters(only, simulated=simulated)))
        if found:
            break
    table = pd.DataFrame([tuple(row) for row in found], columns=list(columns))
    for name in _MONEY:
        table[name] = [None if value is None else float(value) / _PICO for value in table[name]]
    table["simulated"] = simulated
    return table


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
