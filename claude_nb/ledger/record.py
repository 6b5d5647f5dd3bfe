"""One HTTP attempt under way: what has been seen of it, and the one moment it is settled."""

import atexit
import time
import weakref
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2

from .attempt import batch_row, elapsed_ms, settle
from .budget import BudgetExceeded, stop_text
from .prices import price_usage
from .sessions import SESSION, session_row
from .wire import Parser, Seen

if TYPE_CHECKING:
    from .store import Store

_CHARS_PER_TOKEN = 2
"""So few that the count of tokens is rather too high: a stream is stopped early, not late."""
_live: "weakref.WeakSet[Record]" = weakref.WeakSet()


class Record:
    """One attempt under way: its row, what has been seen, and the one moment it is settled."""

    def __init__(self, store: "Store", row: dict[str, Any], batch_id: str | None) -> None:
        self.store = store
        self.row = row
        self.batch_id = batch_id
        self.seen = Seen()
        self.items: list[dict[str, Any]] = []
        self.parser: Parser | None = None
        self.started = time.perf_counter()
        self.settled = False
        self.taken_over = False  # by another meter of the same ledger, further in
        self.followed = False  # by a meter of another ledger
        self.allowance: Decimal | None = None
        _live.add(self)

    def feed(self, data: bytes) -> None:
        """Bytes that passed to the caller."""
        if "first_ms" not in self.row:
            self.row["first_ms"] = elapsed_ms(self.started)
        if self.parser is not None and not self.settled:
            try:
                self.parser.feed(data)
                self._store_items()
            except Exception as error:  # noqa: BLE001 - accounting must not break the user's stream
                self.parser = None
                self.store.note(error)

    def check(self) -> None:
        """Stop a stream that has used up what its budget had left.

        Raises:
            BudgetExceeded: It has, by the usage it reported or the characters it sent.
        """
        if self.allowance is None or self.settled:
            return
        seen = self.seen
        produced = max((seen.usage or {}).get("output_tokens") or 0, seen.chars // _CHARS_PER_TOKEN)
        cost = price_usage(self.row["model"] or "", {**(seen.usage or {}), "output_tokens": produced})
        if cost is not None and cost >= self.allowance:
            raise BudgetExceeded(stop_text(self.allowance), cost=cost, left=Decimal(0))

    def finish(self, how: str, error: BaseException | None = None) -> None:
        """The body ended: ``read``, ``closed`` by the caller, or ``failed``. The first call decides."""
        if self.settled:
            return
        try:
            if self.parser is not None:
                self.parser.end()
                self._store_items()
            self.settle(self._outcome(how, error), error)
        except Exception as problem:  # noqa: BLE001 - accounting must not break the user's stream
            self.store.note(problem)

    def _outcome(self, how: str, error: BaseException | None) -> str:
        if self.row["op"] in ("batches.results", "batches") and how == "read":
            return "ok"
        if self.seen.error is not None:
            return "stream_error"
        if self.seen.ended:
            return "ok"
        if how == "failed":
            return "dropped_by_server" if isinstance(error, httpx2.HTTPError) else "aborted"
        if how == "closed":
            return "aborted"
        return "truncated" if self.seen.usage is not None else "unparsed"

    def settle(self, outcome: str, error: BaseException | str | None = None, *, unsent: bool = False) -> None:
        """Write the row as it stays."""
        if self.settled:
            return
        self.settled = True
        _live.discard(self)
        self.row["total_ms"] = elapsed_ms(self.started)
        if self.row["op"] == SESSION:
            row = session_row(self.row, self.seen.session, self.batch_id)
            if row is not None:
                self.store.put(row)
            return
        if self.row["op"] == "batches":  # what reading its results will name
            self.row["batch_id"] = self.seen.message.get("id")
        self.store.put(settle(self.row, self.seen, outcome, error, unsent=unsent))

    def drop(self) -> None:
        """Forget the attempt: another meter records it, or it was refused."""
        self.settled = True
        _live.discard(self)

    def _store_items(self) -> None:
        while self.items:
            row = batch_row(self.row, self.items.pop(0), self.batch_id)
            if row is not None:
                self.store.put(row)


@atexit.register
def _settle_open_streams() -> None:
    """A stream still open when the interpreter exits would otherwise lose what was seen of it."""
    for record in list(_live):
        record.finish("closed")
