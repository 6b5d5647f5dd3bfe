"""Rows sent through the Message Batches API: in any number, at half the price, collected by id at any later time."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal

from .errors import PromptError
from .ledger import format_usd, price_usage, worst_usage
from .models import SANDBOX_HEADER

MOST_REQUESTS = 100_000
MOST_BYTES = 200_000_000  # the API takes 256 MB


class Batch:
    """Rows as one or several batches.

    Args:
        rows: Rows with a ``request`` (empty for those not to be sent), filled in with ``message`` and ``error``.
        client: An SDK client.
        quiet: Print nothing.
    """

    def __init__(self, rows: Sequence[Any], client: Any, *, quiet: bool = False) -> None:
        self._rows = {_name(place, row): row for place, row in enumerate(rows) if row.request}
        self._batches, self._quiet = client.messages.batches, quiet
        self._simulated = False

    def run(self, given: Literal[True] | str | Iterable[str], *, poll: float) -> None:
        """Send the rows (``given`` is True) or take up batches by id; wait and collect.

        Raises:
            PromptError: The batches were made from other rows.
        """
        import anthropic

        sent = [] if given is True else [given] if isinstance(given, str) else list(given)
        try:
            if given is True:
                sent.extend(self._send())  # what was sent before an error stays in the list
            for batch_id in sent:
                self._wait(batch_id, poll)
        except anthropic.NotFoundError:
            raise  # there is no batch to collect later
        except BaseException as error:
            if sent:
                error.add_note(
                    "The batch goes on without this kernel. Collect it later with the same data and "
                    f"batch={_ids(sent)}."
                )
            raise
        known = sum(self._collect(batch_id) for batch_id in sent)
        if self._rows and not known:
            raise PromptError(
                f"{_ids(sent)} was made from other rows or another type: none of its results belongs here. Give the "
                "data, column, type and options it was made with."
            )

    def _send(self) -> Iterator[str]:
        if self._rows and not self._quiet:
            print(f"claude_nb: {len(self._rows):,} rows as a batch, {_estimate(self._rows.values())}.")  # noqa: T201 - what it may cost, before it is sent
        for part in _parts(self._rows):
            batch = self._batches.create(requests=part)
            if not self._quiet:
                print(f"claude_nb: batch {batch.id}, {len(part):,} rows. It can be collected by its id.")  # noqa: T201 - the id is what a restart needs
            yield batch.id

    def _wait(self, batch_id: str, poll: float) -> None:
        pause = min(1.0, poll)
        while True:
            answer = self._batches.with_raw_response.retrieve(batch_id)
            self._simulated = SANDBOX_HEADER in answer.headers
            if answer.parse().processing_status == "ended":
                return
            time.sleep(pause)
            pause = min(2 * pause, poll)

    def _collect(self, batch_id: str) -> int:
        """Take the results in and give how many belong to these rows."""
        known = 0
        for entry in self._batches.results(batch_id):
            row = self._rows.get(entry.custom_id)
            if row is None:
                continue
            known += 1
            result = entry.result
            if result.type == "succeeded":
                row.message, row.error, row.simulated = result.message, None, self._simulated
            elif result.type == "errored":
                row.error = f"{result.error.error.type}: {result.error.error.message}"
            else:
                row.error = result.type
        return known


def _estimate(rows: Iterable[Any]) -> str:
    """What the rows may cost, in words: the input by its length, the output at most all of ``max_tokens``."""
    tokens, most = 0, Decimal(0)
    for row in rows:
        worst = worst_usage(row.request) or {}
        price = price_usage(row.request["model"], {**worst, "service_tier": "batch"})
        if price is None:
            return "price unknown"
        tokens, most = tokens + worst["input_tokens"], most + price
    return f"about {tokens:,} tokens in: at most {format_usd(most)} at half the price (estimated)"


def _name(place: int, row: Any) -> str:
    """A row's name in the batch: its place and what was asked, so that other data is noticed."""
    asked = json.dumps(row.request, sort_keys=True, default=str)
    return f"{place}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def _parts(rows: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for name, row in rows.items():
        weight = len(json.dumps(row.request).encode())
        if part and (len(part) == MOST_REQUESTS or size + weight > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append({"custom_id": name, "params": row.request})
        size += weight
    if part:
        yield part


def _ids(sent: list[str]) -> str:
    return repr(sent[0] if len(sent) == 1 else sent)
