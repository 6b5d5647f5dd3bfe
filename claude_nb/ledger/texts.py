"""The text of prompts, where its owner asked to keep it: each block once, under the digest the rows know it by."""

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .prompt import Part, read_prompt

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection

    from .store import Store

TEXTS = "texts"
"""Where a row on its way to the database carries the texts of its prompt by digest, beside its columns."""
_UNDER_WAY = 1_000
"""Rows remembered as stored before their request, so that settling them does not write their texts again."""
_AT_ONCE = 500
"""Digests asked for in one statement: SQLite limits the values of one."""
_KEY = re.compile(
    r"sk-ant-[\w-]{8,}|(?<![\w-])sk-(?=[\w-]*\d)[\w-]{16,}|(?i:bearer)\s+(?=\S*\d)\S{16,}"
    r"|\bAKIA[A-Z\d]{16}\b|\bgh[a-z]_\w{20,}|\bAIza[\w-]{30,}"
)
"""Anthropic's keys; what else is long and has figures in it: other keys, tokens of a header, of AWS, GitHub, Google."""
_UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no database takes or a terminal would obey; line breaks and tabs are text."""


def hide_keys(text: str) -> str:
    """The text without anything that looks like a key."""
    return _KEY.sub("[key]", text)


def texts_of(body: Mapping[str, Any]) -> dict[str, str]:
    """The text of every block of a request's JSON by its digest: no keys, and of images and files their size only."""
    return {part.digest: _readable(content) for part, content in read_prompt(body)}


class Texts:
    """Writes the texts that rows carry: with the row before the request, and with no later one that has them stored."""

    def __init__(self) -> None:
        self._stored: OrderedDict[str, None] = OrderedDict()  # ids of rows under way

    def write(self, connection: "Connection", insert: Any, row: Mapping[str, Any]) -> None:
        """Store the row's texts, each once for all rows.

        Args:
            connection: Open, committing by itself.
            insert: The dialect's ``insert``, which knows ``ON CONFLICT``.
            row: The row, with its texts by digest.
        """
        from .schema import prompts

        if row["id"] in self._stored:
            del self._stored[row["id"]]
            return
        texts = [{"digest": digest, "text": text} for digest, text in row[TEXTS].items()]
        connection.execute(insert(prompts).on_conflict_do_nothing(index_elements=["digest"]), texts)
        self._stored[row["id"]] = None
        if len(self._stored) > _UNDER_WAY:
            self._stored.popitem(last=False)

    def forget(self) -> None:
        """Take nothing as stored: the database may be another."""
        self._stored.clear()


def kept(store: "Store", digests: Iterable[str]) -> dict[str, str]:
    """The texts that were kept of these."""
    from sqlalchemy import select

    from .schema import prompts

    wanted = sorted(set(digests))
    found: dict[str, str] = {}
    for begin in range(0, len(wanted), _AT_ONCE):
        some = prompts.c.digest.in_(wanted[begin : begin + _AT_ONCE])
        found |= {row.digest: row.text for row in store.query(select(prompts).where(some))}
    return found


def prompt_frame(store: "Store", parts: Iterable[Part]) -> "pd.DataFrame":
    """A row a part of a prompt, with its text where it was kept, else None."""
    import pandas as pd

    parts = list(parts)
    texts = kept(store, (part.digest for part in parts))
    rows = [(part.message, part.role, part.kind, part.chars) for part in parts]
    table = pd.DataFrame(rows, columns=["message", "role", "kind", "chars"]).astype({"message": "Int64"})
    return table.assign(text=pd.Series([texts.get(part.digest) for part in parts], dtype=object))


def forget_texts(store: "Store") -> int:
    """Delete every kept text, and overwrite what held it; the number of texts.

    Raises:
        LedgerError: Another program is reading the ledger, so that the text is still in its journal.
    """
    from sqlalchemy import delete

    from .schema import prompts

    sqlite, busy = store.url.startswith("sqlite"), 0
    with store.transaction() as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
        count = connection.execute(delete(prompts)).rowcount
        if sqlite:
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    if busy:
        raise LedgerError(
            "The text is deleted, but another program reads the ledger, and its journal still holds what was there. "
            "Close that program, then type ledger.forget_text() again."
        )
    return count


def _readable(content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(_without_data(content), ensure_ascii=False)
    return _UNSAFE.sub("\ufffd", hide_keys(text))


def _without_data(value: Any) -> Any:
    """Base64 replaced by its length: megabytes that nobody reads."""
    if hasattr(value, "to_dict"):  # the SDK's own blocks
        value = value.to_dict()
    if isinstance(value, Mapping):
        if value.get("type") == "base64" and isinstance(value.get("data"), str):
            return {**value, "data": f"{len(value['data']):,} characters of base64"}
        return {str(name): _without_data(inner) for name, inner in value.items() if name != "cache_control"}
    if isinstance(value, list | tuple):
        return [_without_data(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
