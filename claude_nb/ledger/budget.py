"""A limit on spending that holds before the money is gone, across threads, kernels and processes.

The row written before each request is the reservation: it carries the most the call can cost. A budget is checked
and the row inserted in one immediate transaction, so that calls made at the same time cannot pass the same check.
"""

import inspect
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from claude_nb.errors import LedgerError

from .money import format_usd, from_pico, to_pico
from .prices import price_usage
from .texts import TEXTS

if TYPE_CHECKING:
    from types import TracebackType

    import pandas as pd

    from .ledger import Ledger
    from .store import Store

Per = Literal["call", "notebook", "day", "month", "total"]
On = Literal["raise", "warn", "ask"]


_standing: "dict[Store, Budget]" = {}


def set_limit(ledger: "Ledger", usd: float | None) -> None:
    """Hold the calls of this kernel to an amount in USD, in place of the amount set before; None lifts it."""
    store = ledger._store  # noqa: SLF001 - a budget is a part of its ledger
    if (earlier := _standing.pop(store, None)) is not None:
        earlier.close()
    if usd is not None:
        _standing[store] = Budget(usd, per="notebook", ledger=ledger)


class BudgetExceeded(LedgerError):  # noqa: N818 - what happened, as the SDK names its own
    """A call was refused, or a stream stopped, because a budget would not hold. A refused call sent nothing.

    Attributes:
        cost: The most the call could have cost, in USD; None when its price is unknown.
        left: What the budget had left, in USD.
    """

    def __init__(self, text: str, *, cost: Decimal | None, left: Decimal) -> None:
        super().__init__(text)
        self.cost = cost
        self.left = left


class Budget:
    """At most this much money, checked before each request at the most it can cost, settled after it.

    Active from its creation until ``close()`` or the end of its ``with``. Several budgets hold together. Only calls
    through clients metered by the same ledger are seen. Simulated calls are held to the same limit by their own
    account, so that the sandbox rehearses it.

    The most includes the tenth more that a workspace or an endpoint in one region costs, which is known only
    afterwards. What server tools will read cannot be foreseen. A reply that nobody can price uses up what was reserved
    for it. A batch counts at its worst until its results are read; a managed agents' session has a budget of its own
    there.

    Args:
        usd: The limit in USD.
        per: ``"call"``; ``"notebook"``, the calls of this kernel; ``"day"`` and ``"month"`` in UTC; ``"total"``,
            all the ledger ever recorded.
        ledger: The ledger it watches; the user's if not given.
        on: What to do with a call that does not fit: ``"raise"``, ``"warn"`` and let it pass, or ``"ask"``.
        stop_streams: Let a stream begin that fits only in part, and stop it when the rest is used up.
        ask: Answers a question with yes or no for ``on="ask"``; the keyboard if not given.

    Raises:
        LedgerError: The amount, period or reaction is not one of these.

    Example:
        >>> with Budget(0.10, per="notebook", ledger=ledger):  # doctest: +SKIP
        ...     client.messages.create(...)
    """

    def __init__(
        self,
        usd: float | str | Decimal,
        per: Per = "notebook",
        *,
        ledger: "Ledger | None" = None,
        on: On = "raise",
        stop_streams: bool = False,
        ask: Callable[[str], bool] | None = None,
    ) -> None:
        from .ledger import Ledger

        if not isinstance(ledger, Ledger | None):
            raise LedgerError(
                f"ledger= takes a Ledger, not {ledger!r}. Type: Budget(5, ledger=Ledger('spend.db'))."
            )
        self.usd = _amount(usd)
        self.per, self.on, self.stop_streams = per, on, stop_streams
        self.ledger = ledger if ledger is not None else Ledger()
        self._ask = ask or _ask_at_keyboard
        if not callable(self._ask) or inspect.iscoroutinefunction(self._ask):
            raise LedgerError(
                "ask= takes a function of the question that gives True or False, and is not async."
            )
        if per not in get_args(Per) or on not in get_args(On) or self.usd < 0:
            raise LedgerError(
                f"Budget({usd!r}, per={per!r}, on={on!r}) is not a budget. Type an amount in USD, per one of "
                f"{', '.join(get_args(Per))}, on one of {', '.join(get_args(On))}."
            )
        self._store.budgets.append(self)

    @property
    def _store(self) -> "Store":
        return self.ledger._store  # noqa: SLF001 - a budget is a part of its ledger

    def spent(self, *, simulated: bool = False) -> Decimal:
        """USD used up in the current period; calls under way or unfinished count at the most they can cost."""
        with self._store.transaction() as connection:
            return self._used(connection, simulated=simulated)

    def left(self, *, simulated: bool = False) -> Decimal:
        """USD that can still be spent in the current period."""
        return max(self.usd - self.spent(simulated=simulated), Decimal(0))

    def calls(self) -> "pd.DataFrame":
        """The frame of the calls that count in the current period; for ``"call"`` those of this kernel."""
        ledger = self.ledger if self.per in ("day", "month", "total") else self.ledger.session()
        frame = ledger.frame()
        if self.per in ("day", "month"):
            frame = frame[frame["ts"] >= _period_start(self.per)]
        return frame

    def close(self) -> None:
        """Stop limiting. What was recorded stays."""
        if self in self._store.budgets:
            self._store.budgets.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Budget {format_usd(self.usd)} per {self.per}>"

    def _used(self, connection: Any, *, simulated: bool) -> Decimal:
        if self.per == "call":
            return Decimal(0)
        from sqlalchemy import func, or_, select

        from .attempt import IMPORTED, SESSION
        from .schema import attempts

        columns = attempts.c
        used = select(
            func.sum(func.coalesce(columns.cost_pico, columns.cost_high_pico, columns.reserved_pico))
        )
        used = used.where(columns.simulated.is_(simulated), columns.op != IMPORTED)
        fetched = select(columns.batch_id).where(
            columns.op == "batches.results", columns.outcome == "ok", columns.batch_id.is_not(None)
        )
        waits = or_(columns.op != "batches", columns.batch_id.is_(None), columns.batch_id.not_in(fetched))
        used = used.where(waits)  # of a batch whose results were read its items count
        if self.per == "notebook":
            used = used.where(columns.session == SESSION)
        elif self.per in ("day", "month"):
            used = used.where(columns.ts >= _period_start(self.per).isoformat())
        return from_pico(connection.execute(used).scalar()) or Decimal(0)


def _period_start(per: Per) -> datetime:
    """Midnight UTC of today, or of the first of the month."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today if per == "day" else today.replace(day=1)


@dataclass(frozen=True, slots=True)
class Admission:
    """How a call may proceed: ``allowance`` is the USD at which its stream is stopped, None for no stop."""

    allowance: Decimal | None = None


def admit(store: "Store", row: dict[str, Any]) -> Admission:
    """Write the row that reserves the call's worst case, if every budget of the store has room for it.

    Raises:
        BudgetExceeded: A budget has not. The refusal is recorded; nothing is sent.
        LedgerError: The ledger cannot be read, so that no budget can be checked.
    """
    worst = from_pico(row["cost_high_pico"])
    simulated = bool(row["simulated"])
    allowance: Decimal | None = None
    passed: list[Budget] = []  # budgets whose owner said yes
    while True:
        short: tuple[Budget, Decimal] | None = None
        with store.exclusive() as connection:
            for budget in [one for one in store.budgets if one not in passed]:
                left = budget.usd - budget._used(connection, simulated=simulated)  # noqa: SLF001 - the same room
                if worst is not None and worst <= left:
                    continue
                if budget.stop_streams and row["stream"] and _lets_begin(row, left):
                    allowance = left if allowance is None else min(allowance, left)
                    continue
                short = (budget, left)
                break
            if short is None:
                if allowance is not None:
                    row["reserved_pico"] = to_pico(allowance)
                store.write(
                    connection, row if allowance is None else row | {"cost_high_pico": to_pico(allowance)}
                )
                return Admission(allowance)
        budget, left = short
        _react(store, row, budget, max(left, Decimal(0)), worst)
        passed.append(budget)


def _lets_begin(row: Mapping[str, Any], left: Decimal) -> bool:
    """Whether at least the prompt and a few words fit."""
    worst = json.loads(row["worst"]) if row["worst"] else None
    prompt = (
        price_usage(row["model"] or "", {**worst, "output_tokens": 1, "iterations": None}) if worst else None
    )
    return prompt is not None and prompt < left


def _react(store: "Store", row: dict[str, Any], budget: Budget, left: Decimal, worst: Decimal | None) -> None:
    """Raise, or return when the call may pass all the same."""
    text = _refusal(row, budget, left, worst)
    if budget.on == "warn":
        warnings.warn(text.replace("was not sent", "is sent all the same", 1), RuntimeWarning, stacklevel=2)
        return
    if budget.on == "ask" and _says_yes(budget, text):
        return
    zero = {"cost_pico": 0, "cost_low_pico": 0, "cost_high_pico": 0}
    refused = {"outcome": "budget_refused", "usage_final": True, "error": text[:200], TEXTS: {}}
    store.put(row | zero | refused)
    raise BudgetExceeded(text, cost=worst, left=left)


def _says_yes(budget: Budget, text: str) -> bool:
    """Whether the owner allows the call: only True does, and a question that fails is a no."""
    try:
        return budget._ask(f"{text} Send it all the same?") is True  # noqa: SLF001 - the same room
    except Exception as error:  # noqa: BLE001 - whatever goes wrong with the question, the money stays
        warnings.warn(
            f"The question about the budget failed ({type(error).__name__}: {error}).", stacklevel=2
        )
        return False


def _refusal(row: Mapping[str, Any], budget: Budget, left: Decimal, worst: Decimal | None) -> str:
    if worst is None:
        most = f"nobody knows what {row['model'] or 'each of its models'} costs"
        advice = "Use a model with a known price, set max_tokens, or close the budget: budget.close()."
    else:
        limit = "all its requests together" if row["op"] == "batches" else f"max_tokens={row['max_tokens']}"
        most = f"it could cost up to {format_usd(worst)} ({limit})"
        advice = (
            "Lower max_tokens, shorten the prompt, or make a larger budget after budget.close(); ledger.budgets "
            "has them all."
        )
    period = {"call": "per call", "total": "in total"}.get(budget.per, f"per {budget.per}")
    return (
        f"The call was not sent: {most}, and of the budget of {format_usd(budget.usd)} {period} "
        f"{format_usd(left)} is left. {advice}"
    )


def stop_text(allowance: Decimal) -> str:
    """What a stopped stream says."""
    return (
        f"The stream was stopped: it had used about {format_usd(allowance)}, all that the budget had left. What "
        "arrived is kept. Make a larger budget after budget.close(); ledger.budgets has them all."
    )


def _amount(usd: float | str | Decimal) -> Decimal:
    """The amount, or -1 for what is no amount."""
    try:
        amount = Decimal(str(usd))
    except InvalidOperation:
        return Decimal(-1)
    return amount if amount.is_finite() else Decimal(-1)


def _ask_at_keyboard(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, RuntimeError):  # no keyboard: a kernel run by nbval, a script in the background
        return False
