"""Where a ledger lives: a path, a URL, memory, the environment or the user's folder, as one database URL."""

import os
from pathlib import Path

from claude_nb.errors import LedgerError

ENVIRONMENT = "CLAUDE_NB_LEDGER"


def resolve(url: str | os.PathLike[str] | None) -> str:
    """The database URL of a path, a URL, ``":memory:"``, or (None) of the environment or the user's folder.

    Raises:
        LedgerError: It is none of these, or names a database other than SQLite and PostgreSQL.
    """
    if not isinstance(url, str | os.PathLike | None) or (url is not None and not str(url).strip("\0 ")):
        raise LedgerError(
            f"Ledger({url!r}): a ledger is named by a path, ':memory:' or a database URL. Type Ledger('spend.db'), or "
            "Ledger() for your own."
        )
    given = os.fspath(url) if url is not None else os.environ.get(ENVIRONMENT) or str(_default_path())
    kind, is_url, rest = given.partition("://")
    if given == ":memory:" or (is_url and kind.startswith("sqlite") and rest in ("", "/", "/:memory:")):
        return "sqlite://"
    if "\0" in given:
        raise LedgerError("A path with a null character names no file. Type Ledger('spend.db').")
    if not is_url:
        return f"sqlite:///{Path(given).expanduser().absolute()}"
    if kind.startswith("sqlite"):  # absolute, so that a later chdir does not change the file
        return f"{kind}:///{Path(rest.removeprefix('/')).absolute()}"
    if not kind.startswith("postgresql"):
        raise LedgerError(
            f"A ledger lives in SQLite or PostgreSQL, not in {kind!r}. Type Ledger('spend.db') or "
            "Ledger('postgresql+psycopg://user@host/database')."
        )
    _check(given)
    return given


def _check(url: str) -> None:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(url)
    except (ArgumentError, ValueError):
        raise LedgerError(  # without the URL: it can hold a password
            "The ledger's database URL cannot be read. Type it as postgresql+psycopg://user@host:port/database."
        ) from None


def _default_path() -> Path:
    from platformdirs import user_data_path

    return user_data_path("claude_nb", appauthor=False) / "ledger.db"


def path_of(given: object, what: str) -> Path:
    """A file or folder that was named.

    Raises:
        LedgerError: It is not a path.
    """
    if not isinstance(given, str | os.PathLike) or not str(given).strip():
        raise LedgerError(f"{what} is named by a path, not by {given!r}.")
    return Path(given).expanduser()
