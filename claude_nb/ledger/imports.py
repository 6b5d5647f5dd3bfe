"""Brings in what other programs counted: each row under the name of its source, and once, however often it is read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .attempt import IMPORTED

if TYPE_CHECKING:
    from .store import Store

_COMPARED = ("ts", "model", "usage", "usage_final", "cost_pico", "cost_low_pico", "cost_high_pico")


@dataclass(frozen=True, slots=True, repr=False)
class Imported:
    """What an import found and did.

    Attributes:
        source: The name under which the rows stand: ``ledger.where(source=...)``.
        files: Files read.
        rows: Distinct calls (or, from the Console, sums) found in them.
        new: Rows the ledger did not have.
        changed: Rows it had with older numbers.
        repeats: Lines that repeat a row found already; they count once.
        skipped: Lines that are no billed call, such as errors the program made up itself.
        malformed: Lines that cannot be read.
        unreadable: Files that cannot be read.
    """

    source: str
    files: int = 0
    rows: int = 0
    new: int = 0
    changed: int = 0
    repeats: int = 0
    skipped: int = 0
    malformed: int = 0
    unreadable: int = 0

    def __str__(self) -> str:
        """One line, such as ``claude-code: 231 rows in 4 files, 231 new (695 repeats, 2 malformed lines)``."""
        notes = [
            _count(self.repeats, "repeat"),
            _count(self.skipped, "other line"),
            _count(self.malformed, "malformed line"),
            _count(self.unreadable, "unreadable file"),
        ]
        said = ", ".join(note for note in notes if not note.startswith("0 "))
        did = f"{self.new:,} new" + (f", {self.changed:,} brought up to date" if self.changed else "")
        text = f"{self.source}: {_count(self.rows, 'row')} in {_count(self.files, 'file')}, {did}"
        return f"{text} ({said})" if said else text

    __repr__ = __str__


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def opened(source: str, key: str, **columns: Any) -> dict[str, Any]:
    """A row of a source, before it is settled; equal keys mean the same row in every import."""
    row: dict[str, Any] = {
        "id": f"{source}:{key}",
        "call_id": f"{source}:{key}",
        "op": IMPORTED,
        "source": source,
    }
    row |= {"model": None, "simulated": False, "outcome": "open", "usage_final": False, "stream": False}
    return {**row, **columns}


def bring_in(store: "Store", found: Imported, rows: Iterable[Mapping[str, Any]]) -> Imported:
    """Write what is new or has newer numbers, all of it or nothing.

    Numbers that are final are never replaced by ones that are not: a log may be cut short between two imports.

    Raises:
        LedgerError: The database cannot be read or written.
    """
    from sqlalchemy import select

    from .database import insert_of, storable
    from .schema import attempts

    columns = attempts.c
    kept = [columns.id, *(columns[name] for name in _COMPARED)]
    insert = insert_of(store.url)(attempts)
    names = columns.keys()
    upsert = insert.on_conflict_do_update(
        index_elements=["id"], set_={name: insert.excluded[name] for name in names if name != "id"}
    )
    empty: dict[str, Any] = dict.fromkeys(names)
    with store.exclusive() as connection:
        there = {
            row.id: row for row in connection.execute(select(*kept).where(columns.source == found.source))
        }
        fresh = [row for row in rows if _is_news(there.get(row["id"]), row)]
        if fresh:
            whole = [empty | {name: storable(value) for name, value in row.items()} for row in fresh]
            connection.execute(upsert, whole)
    changed = sum(row["id"] in there for row in fresh)
    return replace(found, new=len(fresh) - changed, changed=changed)


def _is_news(known: Any, row: Mapping[str, Any]) -> bool:
    if known is None:
        return True
    if known.usage_final and not row["usage_final"]:
        return False
    return any(getattr(known, name) != row.get(name) for name in _COMPARED)
