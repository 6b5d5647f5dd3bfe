"""The ledger as its user sees it: meter a client, ask what it cost."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from claude_nb.errors import LedgerError

from . import labels
from .money import from_pico
from .total import TOKEN_CLASSES, Health, Total

if TYPE_CHECKING:
    from datetime import date

    import anthropic
    import pandas as pd

    from claude_nb.credentials import Secret

    from .imports import Imported
    from .insight import Explanation
    from .leaks import Leaks
    from .meter import Meter
    from .reconciliation import Reconciliation

Client = TypeVar("Client")

Key = Literal[
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
    "project",
    "user",
    "source",
]


class Ledger:
    """Every token accounted for: one row per HTTP attempt, written before the request and settled after it.

    Args:
        url: A path, ``":memory:"`` or a database URL (``"sqlite:///spend.db"``,
            ``"postgresql+psycopg://…"``). If not given: the environment's ``CLAUDE_NB_LEDGER``, else one file
            in the user's data folder, shared by all notebooks and kernels.

    Nothing is opened until the first call or question. No prompt text is stored, only lengths and digests.

    Example:
        >>> ledger = Ledger(":memory:")
        >>> client = ledger.meter(anthropic.Anthropic())  # doctest: +SKIP
        >>> ledger.total()
        $0.00
    """

    def __init__(self, url: str | os.PathLike[str] | None = None) -> None:
        from .address import resolve
        from .store import Store, store_at

        address = resolve(url)
        self._store: Store = Store(address) if address == "sqlite://" else store_at(address)
        self._only: dict[str, str] = {}
        self._meters: dict[bool, Meter] = {}

    def __repr__(self) -> str:
        chosen = "".join(f", {name}" for name in self._only)
        return f"<Ledger {self._store.label}{chosen}>"

    @property
    def location(self) -> str:
        """Where the rows are: the whole path of the file, or the database's address without its password."""
        return str(self._store.path or self._store.label)

    # ---- recording

    def middleware(self, *, simulated: bool = False) -> "Meter":
        """The recorder, for ``Anthropic(middleware=[..., ledger.middleware()])``: put it last.

        Args:
            simulated: Count every call as simulated. The sandbox's responses are recognised without this.
        """
        from .meter import Meter

        labels.follow_cells()
        if simulated not in self._meters:
            self._meters[simulated] = Meter(self._store, simulated=simulated)
        return self._meters[simulated]

    def meter(self, client: Client, *, simulated: bool | None = None) -> Client:
        """A client of the same class, on the same connections, whose every attempt is recorded here.

        Metering twice records once. The given client stays as it was.

        Args:
            client: Any client of the SDK, synchronous or not.
            simulated: Count its calls as simulated; by default only those of a client with the key
                ``"sandbox"``, and those the sandbox answers.

        Raises:
            LedgerError: The object is not a client of the SDK.
        """
        from anthropic._base_client import BaseClient

        if not isinstance(client, BaseClient):
            raise LedgerError(
                f"Ledger.meter() was given a {type(client).__name__}, which is not a client of the SDK. "
                "Type: client = ledger.meter(anthropic.Anthropic())."
            )
        if simulated is None:
            simulated = getattr(client, "api_key", None) == "sandbox"
        ours = self.middleware(simulated=simulated)
        others = [entry for entry in client.middleware if getattr(entry, "store", None) is not self._store]
        return client.with_options(middleware=[*others, ours])  # type: ignore[attr-defined, no-any-return]  # every family has it

    @contextmanager
    def tag(self, *tags: str) -> Iterator[None]:
        """Every call made inside the ``with`` carries these tags; see ``by("tag")``."""
        with labels.label(tags=tags):
            yield

    # ---- asking

    def session(self) -> "Ledger":
        """The same ledger, restricted to the calls of this kernel: what this notebook cost."""
        from .attempt import SESSION

        return self.where(session=SESSION)

    def where(self, **only: str) -> "Ledger":
        """The same ledger, restricted to rows with these values, such as ``where(conversation="c1")``.

        Raises:
            LedgerError: There is no such column.
        """
        from .schema import attempts

        if unknown := [name for name in only if name not in attempts.c]:
            raise LedgerError(
                f"The ledger has no column {unknown[0]!r}. Its columns: {', '.join(attempts.c.keys())}."
            )
        view = copy(self)
        view._only = {**self._only, **only}  # noqa: SLF001 - a copy of this very class
        return view

    def since(self, when: "str | date") -> "Ledger":
        """The same ledger, restricted to calls made from a moment on, in UTC.

        Args:
            when: ``"7d"``, ``"12h"`` or ``"2w"`` back from now; or a date or time, as ISO 8601 text or an object.

        Raises:
            LedgerError: It is none of these.

        Example:
            >>> Ledger(":memory:").since("7d").total()
            $0.00
        """
        from .moment import moment
        from .questions import SINCE

        view = copy(self)
        view._only = {**self._only, SINCE: moment(when)}  # noqa: SLF001 - a copy of this very class
        return view

    def total(self, *, simulated: bool = False) -> Total:
        """What the calls cost: real ones, or (``simulated=True``) the sandbox's. The two are never mixed."""
        from . import questions

        row = questions.totals(self._store, self._only, simulated=simulated)
        beside, source = 0, self._only.get("source", questions.OWN)
        if not simulated and not row["calls"] and source == questions.OWN:
            beside = questions.totals(self._store, self._only, simulated=True)["calls"] or 0
        return Total(
            usd=from_pico(row["usd"]) or Decimal(0),
            low=from_pico(row["low"]) or Decimal(0),
            high=None if row["unbounded"] else from_pico(row["high"]) or Decimal(0),
            calls=row["calls"] or 0,
            attempts=row["attempts"],
            unfinished=row["unfinished"] or 0,
            unpriced=row["unpriced"] or 0,
            tokens={name: int(row[name] or 0) for name in TOKEN_CLASSES},
            simulated=simulated,
            beside=beside,
            source=None if source == questions.OWN else source,
        )

    def by(self, key: Key, *, simulated: bool = False) -> "pd.DataFrame":
        """Calls, tokens and cost by model, notebook, cell, conversation, tag, day (UTC) and so on, dearest first.

        Args:
            key: What to group by.
            simulated: The sandbox's calls instead of the real ones.

        Raises:
            LedgerError: There is no such key.
        """
        from . import questions

        return questions.grouped(self._store, self._only, key, simulated=simulated)

    def frame(self) -> "pd.DataFrame":
        """A row an attempt, oldest first, with the API's own column names.

        Costs are in USD: ``cost_usd`` where it is exact, ``cost_low`` and ``cost_high`` around it otherwise.
        Unknown is ``<NA>`` or ``NaN``, never 0. Simulated and real rows stand in one frame, marked.
        """
        from . import questions

        return questions.frame(self._store, self._only)

    def health(self) -> Health:
        """Whether the accounting itself is well: what was swallowed, what waits, what is open or unpriced."""
        from . import questions

        try:
            counts = questions.counts(self._store, self._only)
        except LedgerError as error:
            self._store.note(error)
            counts = dict.fromkeys(("open", "unfinished", "unpriced"))
        return Health(
            ledger=self._store.label,
            swallowed=self._store.swallowed,
            last_error=self._store.last_error,
            waiting=len(self._store.aside.files()),
            **counts,
        )

    def explain(self, call: Any = -1) -> "Explanation":
        """Why one call cost what it did: what its prompt was made of, and what the call added to it.

        Args:
            call: A message, its id, a call or request id, or a number: 0 is the first answered call, -1 the last.

        Raises:
            LedgerError: There is no such call, or it reported no tokens.
        """
        from .insight import explain

        return explain(self._store, self._only, call)

    def leaks(self, conversation: Any = None) -> "Leaks":
        """What made a conversation cost more than it has to, in words, priced, dearest first.

        Spikes, cells run twice, blocks sent again, growing tool results, caches gone cold, cache misses, endless
        tool loops. Simulated calls are examined like real ones.

        Args:
            conversation: The label of a conversation or an object with one (a ``Chat``); all calls if not given.

        Raises:
            LedgerError: The ledger knows no call of this conversation.
        """
        from .insight import turns
        from .leaks import find_leaks

        label = getattr(conversation, "conversation", conversation)
        ledger = self if label is None else self.where(conversation=str(label))
        found = turns(ledger._store, ledger._only)  # noqa: SLF001 - a ledger too
        if label is not None and not found:
            raise LedgerError(
                f"The ledger has no answered call of the conversation {label!r}. Pass a Chat, or one of the names that "
                'ledger.by("conversation") lists.'
            )
        return find_leaks(found)

    # ---- other sources

    def import_claude_code(self, folder: str | os.PathLike[str] | None = None) -> "Imported":
        """Bring in the calls of Claude Code's logs, each once, at API prices; a subscription is not billed by them.

        They stand apart from this ledger's own: ``ledger.where(source="claude-code")``, ``ledger.by("source")``.
        Importing again adds only what is new.

        Args:
            folder: The logs, or one of them (``.jsonl``); where Claude Code keeps them if not given.

        Returns:
            What was found: rows, new ones, repeats, and lines that cannot be read. It prints as one line.

        Raises:
            LedgerError: There are no logs there, or the ledger cannot be written.
        """
        from .claude_code import read_logs
        from .imports import bring_in

        log = read_logs(folder)
        return bring_in(self._store, log.found(), log.rows())

    def import_console(self, path: str | os.PathLike[str]) -> "Imported":
        """Bring in a CSV export of the Console: usage as source ``"console-usage"``, cost as ``"console-cost"``.

        A line is a sum over many calls, so that their number is unknown. Importing again adds only what is new.

        Args:
            path: A CSV file, or a folder of them.

        Raises:
            LedgerError: There is no such file, it is no export of the Console, or the ledger cannot be written.
        """
        from .console import Export
        from .imports import bring_in

        export = Export(self._store, path)
        return bring_in(self._store, export.found(), export.rows())

    def reconcile(
        self,
        admin: "anthropic.Anthropic | Secret | str | None" = None,
        *,
        since: "str | date" = "7d",
        until: "str | date | None" = None,
        workspace_ids: Sequence[str] = (),
        api_key_ids: Sequence[str] = (),
    ) -> "Reconciliation":
        """The ledger beside the organisation's invoice, per UTC day, model and tier, with the difference explained.

        The invoice is never in the ledger's totals. Calls through Bedrock, Vertex and Foundry are billed elsewhere.

        Args:
            admin: An Admin key (or one with ``read:analytics``), or a client with it; by default the key in the
                environment's ``ANTHROPIC_ADMIN_API_KEY``.
            since: The first day, as for ``since()``; whole UTC days are compared.
            until: The first moment that is out; now if not given.
            workspace_ids: Only usage in these workspaces (``wrkspc_…``).
            api_key_ids: Only usage with these keys (``apikey_…``).

        Raises:
            LedgerError: There is no Admin key, or the invoice or the ledger cannot be read.

        Source: ``/v1/organizations/analytics/usage`` and ``cost`` (not for individual accounts).
        """
        from claude_nb.credentials import Secret

        from .reconcile import reconcile

        if isinstance(admin, str):
            admin = Secret(admin)  # verbose tracebacks print every variable
        asked = {"workspace_ids": list(workspace_ids), "api_key_ids": list(api_key_ids)}
        filters = {name: ids for name, ids in asked.items() if ids}
        return reconcile(self._store, self._only, admin, since=since, until=until, filters=filters)

    def reprice(self) -> int:
        """Compute every cost again with today's price data, imported calls too; tokens never change.

        Returns:
            The number of rows whose cost changed.
        """
        from . import questions, upkeep

        return upkeep.reprice(self._store, questions.restricted(self._only))
