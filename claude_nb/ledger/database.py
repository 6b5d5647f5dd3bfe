"""Opens the database: SQLite in WAL mode and for its owner only, or PostgreSQL."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, changes of direction, halves of surrogate pairs."""

BUSY_SECONDS = 3.0
"""How long a writer waits for another before the row goes to the side folder."""


def connect(url: str, path: Path | None, label: str) -> "Connection":
    """A connection that commits each statement by itself, to a database with our tables.

    Args:
        url: The database.
        path: Its file, for SQLite with one.
        label: What to call it in an error.

    Raises:
        LedgerError: A newer claude_nb wrote it.
        OSError: The file cannot be made.
        sqlalchemy.exc.SQLAlchemyError: It cannot be opened.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool, StaticPool

    from .schema import SCHEMA, create_tables

    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
    if url.startswith("sqlite"):
        _create_file(path)
        options["connect_args"] = {"check_same_thread": False, "timeout": BUSY_SECONDS}
        options["poolclass"] = StaticPool if path is None else NullPool
    connection = create_engine(url, **options).connect()
    try:
        if path is not None:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
        found = create_tables(connection, insert_of(url))
    except BaseException:
        dispose(connection)
        raise
    if found > SCHEMA:
        dispose(connection)
        raise LedgerError(
            f"The ledger ({label}) was written by a newer claude_nb (schema {found}, this one knows {SCHEMA}). "
            "Type: pip install --upgrade claude_nb."
        )
    return connection


def dispose(connection: "Connection") -> None:
    """Close the connection and its engine; what cannot be closed is gone already."""
    with suppress(Exception):
        connection.close()
        connection.engine.dispose()


def insert_of(url: str) -> Any:
    """The dialect's ``insert``, which knows ``ON CONFLICT``."""
    if url.startswith("sqlite"):
        from sqlalchemy.dialects import sqlite

        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return postgresql.insert


def storable(value: Any) -> Any:
    """The value, a text without what no database takes or a terminal would obey: a server's words are hostile."""
    return value if not isinstance(value, str) or value.isprintable() else _UNSAFE.sub("\ufffd", value)


def _create_file(path: Path | None) -> None:
    """SQLite gives its side files the mode of the main one, so that is made first."""
    if path is not None and not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
