"""The ledger as its user sees it: meter a client, ask what it cost."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from claude_nb.errors import LedgerError

from . import labels
from .asking import Asking

if TYPE_CHECKING:
    from datetime import date

    import anthropic

    from claude_nb.credentials import Secret

    from .budget import Budget
    from .imports import Imported
    from .meter import Meter
    from .reconciliation import Reconciliation

Client = TypeVar("Client")


class Ledger(Asking):
    """Every token accounted for: one row per HTTP attempt, written before the request and settled after it.

    Args:
        url: A path, ``":memory:"`` or a database URL (``"sqlite:///spend.db"``,
            ``"postgresql+psycopg://…"``). If not given: the environment's ``CLAUDE_NB_LEDGER``, else one file
            in the user's data folder, shared by all notebooks and kernels.
        keep_text: Also store the text of the prompts that this ledger meters, each block once: ``prompt()`` then shows
            what was sent. What looks like a key is left out, and of images and files all but their size.

    Nothing is opened until the first call or question. Of prompts only lengths and digests are stored, unless
    ``keep_text=True``; replies become part of the next prompt.

    Raises:
        LedgerError: The address is none, or names another kind of database; or ``keep_text`` is neither True nor False.

    Example:
        >>> ledger = Ledger(":memory:")
        >>> client = ledger.meter(anthropic.Anthropic())  # doctest: +SKIP
        >>> ledger.total()
        $0.00
    """

    def __init__(self, url: str | os.PathLike[str] | None = None, *, keep_text: bool = False) -> None:
        from .address import resolve
        from .store import Store, store_at

        if not isinstance(keep_text, bool):
            raise LedgerError(f"keep_text is {keep_text!r}; it takes True or False.")
        address = resolve(url)
        self._store: Store = Store(address) if address == "sqlite://" else store_at(address)
        self._only: dict[str, str] = {}
        self._keep_text = keep_text
        self._meters: dict[bool, Meter] = {}

    def __repr__(self) -> str:
        chosen = "".join(f", {name}" for name in self._only)
        return f"<Ledger {self._store.label}{chosen}>"

    @property
    def location(self) -> str:
        """Where the rows are: the whole path of the file, or the database's address without its password."""
        return str(self._store.path or self._store.label)

    @property
    def budgets(self) -> "tuple[Budget, ...]":
        """The budgets that hold now for this database in this process, those of ``connect(budget=...)`` too."""
        return tuple(self._store.budgets)

    def exists(self) -> bool:
        """Whether there is something to read without making it: a file, rows set aside for it, a database, memory."""
        path = self._store.path
        return path is None or path.exists() or bool(self._store.aside.files())

    # ---- recording

    def middleware(self, *, simulated: bool = False) -> "Meter":
        """The recorder, for ``Anthropic(middleware=[..., ledger.middleware()])``: put it last.

        Args:
            simulated: Count every call as simulated. The sandbox's responses are recognised without this.
        """
        from .meter import Meter

        labels.follow_cells()
        if simulated not in self._meters:
            self._meters[simulated] = Meter(self._store, simulated=simulated, keep_text=self._keep_text)
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

    def tag(self, *tags: str) -> AbstractContextManager[None]:
        """Every call made inside the ``with`` carries these tags; see ``by("tag")``, and ``label`` about threads.

        Raises:
            LedgerError: A tag is not text.

        Example:
            >>> with ledger.tag("draft"):
            ...     chat.send("...")  # doctest: +SKIP
        """
        return labels.label(tags=tags)

    def forget_text(self) -> int:
        """Delete the text of every prompt that was kept in this ledger's database, whoever kept it.

        The rows stay, with their lengths and digests; a client of a ledger with ``keep_text=True`` keeps text again.
        On PostgreSQL what held it is free, and overwritten when the server likes.

        Returns:
            The number of blocks whose text is gone.

        Raises:
            LedgerError: The ledger cannot be written; another program reads it, so that its journal still holds the
                text; or this is only a part of the ledger.
        """
        from .texts import forget_texts

        if self._only:
            raise LedgerError(
                "A text can stand in many rows, so that only the whole ledger forgets it. Type: "
                "Ledger(...).forget_text(), without where() and since()."
            )
        return forget_texts(self._store)

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

        A line is a sum over many calls, so that their number is unknown. Importing again adds only what is new. Lines
        that cannot be read are counted, and the rest comes in.

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
            workspace_ids: Only usage in these workspaces, or this one (``wrkspc_…``).
            api_key_ids: Only usage with these keys (``apikey_…``).

        Raises:
            LedgerError: There is no Admin key, the invoice or the ledger cannot be read, or an amount is not in USD.

        Source: ``/v1/organizations/analytics/usage`` and ``cost`` (not for individual accounts).
        """
        from claude_nb.credentials import Secret

        from .reconcile import reconcile

        if isinstance(admin, str):
            admin = Secret(admin)  # verbose tracebacks print every variable
        asked = {"workspace_ids": workspace_ids, "api_key_ids": api_key_ids}
        filters = {name: [ids] if isinstance(ids, str) else list(ids) for name, ids in asked.items() if ids}
        return reconcile(self._store, self._only, admin, since=since, until=until, filters=filters)

    def reprice(self) -> int:
        """Compute every cost again with today's price data, imported calls too; tokens never change.

        Returns:
            The number of rows whose cost changed.
        """
        from . import questions, upkeep

        return upkeep.reprice(self._store, questions.restricted(self._only))
