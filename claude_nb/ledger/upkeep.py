"""What keeps the rows true: calls whose process died are explained, costs are computed again with new prices."""

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, or_, select, update

from .attempt import IMPORTED, SESSION
from .costs import cost_columns
from .schema import attempts
from .sessions import SESSION as SESSION_OP
from .store import ABANDONED

if TYPE_CHECKING:
    from .store import Store

_C = attempts.c
_ABANDONED_AFTER = timedelta(hours=24)
_COSTS = ("cost_pico", "cost_low_pico", "cost_high_pico")


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


def reprice(store: "Store", chosen: Sequence[ColumnElement[bool]]) -> int:
    """Write the cost of the chosen rows again. Amounts computed by others (the Console; the API, of a session) stay."""
    explain_abandoned(store)
    priceable = or_(_C.op != IMPORTED, _C.usage.is_not(None))
    settled = select(attempts).where(_C.outcome != "open", _C.op != SESSION_OP, priceable, *chosen)
    changed = 0
    with store.transaction() as connection:
        for row in (row._asdict() for row in connection.execute(settled).all()):
            fresh = cost_columns(row)
            if any(fresh[name] != row[name] for name in fresh):
                changed += any(fresh[name] != row[name] for name in _COSTS)
                connection.execute(update(attempts).where(_C.id == row["id"]).values(fresh))
    return changed
