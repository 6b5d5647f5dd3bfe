"""The answered calls of a conversation, each with what its prompt was made of and what it used."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .lineage import bases, resolve
from .money import from_pico
from .prices import Tokens, answering_request, served_rates
from .prompt import Part
from .rates import Rates

if TYPE_CHECKING:
    from .store import Store


@dataclass(frozen=True, slots=True)
class Turn:
    """One answered call of a conversation."""

    number: int
    at: datetime
    cell: str | None
    cell_id: str | None
    model: str
    parts: tuple[Part, ...]
    tokens: Tokens
    thinking: int
    cost: Decimal | None
    miss: str | None
    missed: int | None
    ids: frozenset[str]
    usage: Mapping[str, Any] = field(default_factory=dict, repr=False)
    regional: bool = False

    def rates(self) -> Rates | None:
        """USD per million tokens of this turn, as it was served: speed, tier and region included."""
        return served_rates(self.model, self.usage, self.at, self.tokens.prompt, regional=self.regional)

    def rate_of_new(self) -> Decimal | None:
        """USD per million of what this turn added: written to the cache where it wrote, else plain input."""
        rates = self.rates()
        if rates is None:
            return None
        if self.tokens.write_1h > self.tokens.write_5m:
            return rates.write_1h
        return rates.write_5m if self.tokens.write_5m else rates.input

    def rate_of_old(self) -> Decimal | None:
        """USD per million of what stays in the prompt: read from the cache where it is used, else plain input."""
        rates = self.rates()
        if rates is None:
            return None
        cached = self.tokens.read or self.tokens.write_5m or self.tokens.write_1h
        return rates.read if cached else rates.input


def turns(store: "Store", only: Mapping[str, str]) -> list[Turn]:
    """The answered calls, oldest first."""
    from sqlalchemy import select

    from .questions import filters
    from .schema import attempts

    columns = attempts.c
    chosen = filters(only)
    asked = select(attempts).where(columns.op == "messages", columns.usage.is_not(None), *chosen)
    found: list[Turn] = []
    rows = store.query(asked.order_by(columns.ts, columns.attempt, columns.id))
    prompts = _prompts(store, rows)
    for row in rows:
        usage = json.loads(row.usage)
        tokens = Tokens.of(answering_request(usage))
        if tokens is None or not tokens.prompt:
            continue
        found.append(
            Turn(
                number=len(found) + 1,
                at=datetime.fromisoformat(row.ts),
                cell=row.cell,
                cell_id=row.cell_id,
                model=row.model or "",
                parts=prompts[row.id],
                tokens=tokens,
                thinking=row.thinking_tokens or 0,
                cost=from_pico(row.cost_pico),
                miss=row.cache_miss_reason,
                missed=row.cache_missed_input_tokens,
                usage=usage,
                regional=bool(row.regional),
                ids=frozenset({row.id, row.call_id, row.message_id, row.request_id} - {None}),
            )
        )
    return found


def _prompts(store: "Store", rows: Sequence[Any]) -> dict[str, tuple[Part, ...]]:
    """The whole prompts of rows, with the help of rows they refer to that were not asked for."""
    from sqlalchemy import select

    from .schema import attempts

    stored = [(row.id, row.prompt) for row in rows]
    if bases(stored):
        sessions = {row.session for row in rows}  # a process refers to its own rows only
        columns = attempts.c
        asked = select(columns.id, columns.prompt).where(
            columns.session.in_(sessions), columns.op == "messages", columns.prompt.is_not(None)
        )
        stored += [(row.id, row.prompt) for row in store.query(asked)]
    return resolve(stored)
