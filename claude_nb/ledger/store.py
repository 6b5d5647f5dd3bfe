"""Where rows are kept: SQLite or PostgreSQL through SQLAlchemy, and a side folder for when that fails.

Writing never raises into the caller. A row that cannot be written goes to the side folder, one small file a
row, and the next healthy opening takes it in; what was swallowed is counted and shown by ``Ledger.health()``.
"""

import atexit
import os
import threading
import time
import warnings
import weakref
from collections import deque
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .aside import OPEN, Aside
from .database import BUSY_SECONDS, connect, dispose, insert_of, storable
from .lineage import Lineage
from .texts import TEXTS, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Executable, Row

_RETRY_AFTER_SECONDS = 15.0
"""How long a failed database is left alone, so that a run of calls is not slowed by it again and again."""

_ADVISORY_LOCK = 0x636C61756465
"""The number by which processes on PostgreSQL agree to take turns."""

ABANDONED = "the process ended while the call was open"
"""Why a row is unfinished that nobody can settle any more, unless its settled twin waits in the side folder."""


@cache
def store_at(url: str) -> "Store":
    """The one store of this process for that URL; every ledger in memory is one of its own."""
    return Store(url)


class Store:
    """One database, one kept connection, any number of threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.swallowed = 0
        self.last_error: str | None = None
        self.budgets: list[Any] = []  # of budget.Budget, which stands above this room
        self.listeners: weakref.WeakSet[Any] = weakref.WeakSet()  # of live.Live, which does too
        self.lineage = Lineage()
        self.texts = Texts()
        self.aside = Aside(url, self.path, self.note)
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._abandoned: Connection | None = None
        self._inode: int | None = None
        self._statement: tuple[Any, dict[str, None]] | None = None
        self._waiting: deque[dict[str, Any]] = deque()
        self._down_until = 0.0
        self._warned = False
        _stores.add(self)

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None for a database without one."""
        name = self.url.partition("://")[2].removeprefix("/").partition("?")[0]
        return Path(name) if self.url.startswith("sqlite") and name else None

    @property
    def label(self) -> str:
        """The address for a reader: no password, the file's name only."""
        if self.path is not None:
            return self.path.name
        if self.url == "sqlite://":
            return "in memory"
        from sqlalchemy import make_url

        return make_url(self.url).set(query={}).render_as_string(hide_password=True)

    # ---- writing: never raises

    def put(self, row: dict[str, Any], *, wait: bool = False) -> None:
        """Insert the row, or settle the open row with its id. A settled row is never changed by this, a session's is.

        Args:
            row: The columns.
            wait: Return only when the row is safe, even if another thread is at the database: for the row before
                a request. Never from a destructor, which can run in the very thread that holds the lock.
        """
        self._waiting.append(row)
        if wait and self._lock.acquire(timeout=BUSY_SECONDS):
            self._lock.release()
        self.flush()

    def flush(self) -> None:
        """Write what waits. Safe inside a garbage collection that struck while this thread held the lock."""
        while self._waiting and self._lock.acquire(blocking=False):
            try:
                self._write_waiting()
            finally:
                self._lock.release()

    def _write_waiting(self) -> None:
        while self._waiting:
            row = self._waiting[0]  # leaves the queue only once it is safe somewhere
            try:
                if time.monotonic() < self._down_until:
                    self.aside.put(row)
                else:
                    self._upsert(row)
            except Exception as error:  # noqa: BLE001 - accounting must not break the user's call
                self._down_until = time.monotonic() + _RETRY_AFTER_SECONDS
                self._close()
                self.note(error)
                self.aside.put(row)
            self._waiting.popleft()
            if self.listeners and row["outcome"] != OPEN:
                self._tell(row)

    def _tell(self, row: dict[str, Any]) -> None:
        for listener in list(self.listeners):
            try:
                listener.settled(row)
            except Exception as error:  # noqa: BLE001 - a meter must not break the user's call
                self.note(error)

    def _upsert(self, row: dict[str, Any]) -> None:
        self.write(self._connected(), row)

    def write(self, connection: "Connection", row: dict[str, Any]) -> None:
        """The row, and the texts it may carry, on a connection that is open; raises what the database raises."""
        if self._statement is None:
            self._statement = self._settling_insert()
        statement, empty = self._statement
        connection.execute(statement, _columns(empty | row))
        if row.get(TEXTS):
            self.texts.write(connection, insert_of(self.url), row)

    def _settling_insert(self) -> tuple[Any, dict[str, None]]:
        """Insert a row, or replace the open one with its id; and a row of nothing, to fill the columns."""
        from sqlalchemy import or_

        from .schema import attempts

        insert = insert_of(self.url)(attempts)
        names = attempts.c.keys()
        unsettled = or_(attempts.c.outcome == OPEN, attempts.c.error == ABANDONED, attempts.c.op == "session")
        settled = {name: insert.excluded[name] for name in names if name not in ("id", "ts")}
        statement = insert.on_conflict_do_update(index_elements=["id"], set_=settled, where=unsettled)
        return statement, dict.fromkeys(names)

    def note(self, error: BaseException) -> None:
        """Count an error that was kept from the caller, and warn about the first."""
        self.swallowed += 1
        self.last_error = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        if not self._warned:
            self._warned = True
            with suppress(Exception):  # a filter may turn warnings into errors
                warnings.warn(
                    f"The ledger ({self.label}) could not record: {self.last_error}. Your calls go on; rows wait "
                    f"in a side folder and are taken in when it opens again. See ledger.health().",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _take_in(self) -> None:
        from sqlalchemy.exc import InterfaceError, OperationalError

        for file in self.aside.files():
            row = self.aside.read(file)
            if row is None:
                continue
            try:
                self._upsert(row)
            except (OperationalError, InterfaceError):  # the database itself
                raise
            except Exception as error:  # noqa: BLE001 - a row it will never take must not keep all others out
                self.note(error)
                file.replace(file.with_suffix(".refused"))
            else:
                file.unlink(missing_ok=True)

    # ---- reading: raises LedgerError

    def query(self, statement: "Executable") -> "Sequence[Row[Any]]":
        """The rows of a select.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self.transaction() as connection:
            return connection.execute(statement).all()

    @contextmanager
    def transaction(self) -> "Iterator[Connection]":
        """One connection under an immediate transaction: what is read inside cannot change before it is written.

        Raises:
            LedgerError: The database cannot be opened, read or written.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._lock:
                self._write_waiting()
                yield self._connected()
        except ImportError as error:
            raise LedgerError(
                f"The ledger ({self.label}) needs a driver: {error}. Type: pip install 'psycopg[binary]'."
            ) from error
        except (SQLAlchemyError, OSError) as error:
            self._close()
            raise LedgerError(
                f"The ledger ({self.label}) cannot be read: {str(error).partition(chr(10))[0]}. "
                "Check the file, or open another with Ledger('path.db')."
            ) from error
        finally:
            self.flush()

    @contextmanager
    def exclusive(self) -> "Iterator[Connection]":
        """A transaction in which no other process can write: what is read holds until what is written.

        Raises:
            LedgerError: The database cannot be opened, read or written.
        """
        with self.transaction() as connection:
            if self.url.startswith("sqlite"):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("BEGIN")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    def _connected(self) -> "Connection":
        if self._connection is None or self._is_replaced():
            self._close()
            self.texts.forget()
            self.lineage.forget()  # the rows before may be in another file, or nowhere
            self._connection = connect(self.url, self.path, self.label)
            self._inode = self._file_id()
            self._take_in()
        return self._connection

    def _is_replaced(self) -> bool:
        """Whether the file was deleted or swapped: SQLite would go on writing into what nobody sees."""
        return self.path is not None and self._file_id() != self._inode

    def _file_id(self) -> int | None:
        try:
            return self.path.stat().st_ino if self.path is not None else None
        except OSError:
            return None

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            dispose(connection)

    def close(self) -> None:
        """Write what waits and let go of the database; the next use opens it again."""
        self.flush()
        self._close()

    def __del__(self) -> None:
        self._close()

    def after_fork(self) -> None:
        """A child starts with no connection and a free lock: neither may be shared with the parent."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self.listeners = weakref.WeakSet()  # their displays are the parent's
        self.lineage = Lineage()
        self.texts = Texts()
        self._abandoned, self._connection = self._connection, None  # closing it would end the parent's locks


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    return {name: storable(value) for name, value in row.items() if name != TEXTS}


_stores: "weakref.WeakSet[Store]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for store in list(_stores):
        store.close()


def _after_fork() -> None:
    for store in list(_stores):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
