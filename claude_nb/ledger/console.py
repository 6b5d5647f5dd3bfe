"""Reads the Console's CSV exports: usage (tokens by day, model, key) and cost (USD by day, model, kind of token).

The two stand under two names, since they count the same calls: adding them up would count everything twice.
"""

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .address import path_of
from .attempt import settle
from .claude_code import stamp
from .imports import Imported, opened
from .money import to_pico
from .prices import MOST_TOKENS, price_usage
from .wire import Seen

if TYPE_CHECKING:
    from .store import Store

USAGE, COST = "console-usage", "console-cost"
_DAY = "usage_date_utc"
_TOKENS = {
    "usage_input_tokens_no_cache": "input_tokens",
    "usage_input_tokens_cache_write_5m": "ephemeral_5m_input_tokens",
    "usage_input_tokens_cache_write_1h": "ephemeral_1h_input_tokens",
    "usage_input_tokens_cache_read": "cache_read_input_tokens",
    "usage_output_tokens": "output_tokens",
    "web_search_count": "web_search_requests",
}
_NEEDED = {USAGE: {_DAY, "model_version", "usage_output_tokens"}, COST: {_DAY, "model", "cost_usd"}}
_MEASURES = {*_TOKENS, "cost_usd", "list_price_usd"}
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_WHOLE_DAY = len("2026-11-22")
_SUMMED = "a sum over calls of unknown prompt size, and long prompts of this model cost more"


class Export:
    """What the files of one export hold.

    Args:
        store: The ledger's store, asked which days it has already in another width.
        path: A CSV file, or a folder of them.

    Raises:
        LedgerError: There is no such file, or it is no export of the Console.
    """

    def __init__(self, store: "Store", path: str | os.PathLike[str]) -> None:
        self._rows: dict[str, dict[str, Any]] = {}
        self._repeats = self._malformed = self._skipped = 0
        place = path_of(path, "An export of the Console")
        files = sorted(place.glob("*.csv")) if place.is_dir() else [place]
        if not files or not files[0].exists():
            raise LedgerError(
                f"There is no CSV file at {place}. Export one in the Console under Usage or Cost."
            )
        kinds = {_kind(file) for file in files}
        if len(kinds) > 1:
            raise LedgerError(f"{place} holds both usage and cost exports. Import them one after the other.")
        self.source, self._files = kinds.pop(), len(files)
        self._widths = _widths(store, self.source)
        for file in files:
            for line in _lines(file):
                self._take(line)

    def found(self) -> Imported:
        """The numbers for the report."""
        return Imported(
            self.source,
            files=self._files,
            rows=len(self._rows),
            repeats=self._repeats,
            skipped=self._skipped,
            malformed=self._malformed,
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """A settled row a line."""
        yield from self._rows.values()

    def _take(self, line: Mapping[str, str] | None) -> None:
        at = stamp(line[_DAY].strip()) if line else None
        row = None
        if line and at is not None:
            row = _usage_row(line, at) if self.source == USAGE else _cost_row(line, at)
        if row is None:
            self._malformed += 1
        elif self._widths.setdefault(row["ts"][:_WHOLE_DAY], row["session"]) != row["session"]:
            self._skipped += 1  # the day is there by the hour, or the hours by the day
        else:
            self._repeats += row["id"] in self._rows
            self._rows[row["id"]] = row


def _kind(file: Path) -> str:
    header = set(_header(file)[0])
    for source, needed in _NEEDED.items():
        if needed <= header:
            return source
    raise LedgerError(
        f"{file.name} is not an export of the Console: its columns are {', '.join(sorted(header)) or 'none'}. "
        "Usage has usage_date_utc, model_version and usage_output_tokens; cost has usage_date_utc, model and cost_usd."
    )


def _header(file: Path) -> tuple[list[str], str, list[bytes]]:
    """The names of the columns, what stands between them, and the lines below."""
    try:
        first, *rest = file.read_bytes().splitlines() or [b""]
        told = first.decode("utf-8-sig")
        delimiter = max(",;\t", key=told.count)
        return next(csv.reader([told], delimiter=delimiter), []), delimiter, rest
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LedgerError(
            f"{file} cannot be read: {error}. Download it from the Console once more."
        ) from error


def _lines(file: Path) -> Iterator[dict[str, str] | None]:
    """Each line by its columns; None where it has not as many of them as the header, or is no text."""
    header, delimiter, rest = _header(file)

    def read(told: bytes) -> dict[str, str] | None:
        try:
            cells = next(csv.reader([told.decode()], delimiter=delimiter, strict=True), [])
        except (UnicodeDecodeError, csv.Error):
            return None
        return dict(zip(header, cells, strict=True)) if len(cells) == len(header) else None

    def broken(place: int) -> tuple[dict[str, str] | None, int]:
        """A line with line breaks inside of quotes, and where the next one is."""
        for last in range(place + 1, len(rest)):
            if rest[last].count(b'"') % 2:
                line = read(b"\n".join(rest[place : last + 1]))
                return line, place + 1 if line is None else last + 1
            if read(rest[last]) is not None:
                break
        return None, place + 1

    place = 0
    while place < len(rest):  # one by one: a quote that is never closed would swallow all that follow
        line, after = read(rest[place]), place + 1
        if line is None and rest[place].count(b'"') % 2:
            line, after = broken(place)
        if rest[place]:
            yield line
        place = after


def _widths(store: "Store", source: str) -> dict[str, str]:
    """By the day or by the hour: how each day of the source stands in the ledger."""
    from sqlalchemy import select

    from .schema import attempts

    columns = attempts.c
    asked = select(columns.ts, columns.session).where(columns.source == source).distinct()
    return {row.ts[:_WHOLE_DAY]: row.session for row in store.query(asked)}


def _usage_row(line: Mapping[str, str], at: str) -> dict[str, Any] | None:
    counts = {name: _count(line.get(column, "")) for column, name in _TOKENS.items()}
    if any(count is not None and count < 0 for count in counts.values()):
        return None
    known = {name: count for name, count in counts.items() if count is not None}
    split = {name: known.pop(name) for name in list(known) if name.startswith("ephemeral")}
    searches = known.pop("web_search_requests", None)
    usage: dict[str, Any] = {**known, "service_tier": _tier(line)}
    usage |= {name: line[name] for name in ("speed", "inference_geo") if line.get(name)}
    if split:
        usage |= {"cache_creation": split, "cache_creation_input_tokens": sum(split.values())}
    if searches is not None:
        usage["server_tool_use"] = {"web_search_requests": searches}
    seen = Seen()
    seen.take_start({"model": line["model_version"], "usage": usage})
    seen.ended = True
    row = settle(_opened(USAGE, line, at), seen, "ok")
    return row | _cost_of_sum(line["model_version"], usage, at)


def _cost_of_sum(model: str, usage: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Exact where the price does not depend on the size of each prompt; else between none and all of them long."""
    moment = datetime.fromisoformat(at)
    split = usage.get("cache_creation") or {}
    served = {name: usage.get(name) for name in ("service_tier", "speed", "inference_geo")}
    classes: list[tuple[int | None, dict[str, Any]]] = [
        *(
            (usage.get(name), {name: 1})
            for name in ("input_tokens", "cache_read_input_tokens", "output_tokens")
        ),
        *((count, {"input_tokens": 0, "cache_creation": {name: 1}}) for name, count in split.items()),
    ]
    most = price_usage(model, usage, moment)
    searches = price_usage(
        model, {"input_tokens": 0, **served, "server_tool_use": usage.get("server_tool_use")}, moment
    )
    least = searches
    for count, unit in classes:
        price = price_usage(model, {"input_tokens": 0, **unit, **served}, moment) if count else Decimal(0)
        least = None if least is None or price is None else least + (count or 0) * price
    if least == most:
        return {}
    known = {"cost_pico": None, "cost_low_pico": to_pico(least), "cost_high_pico": to_pico(most)}
    return {**known, "usage_final": False, "note": _SUMMED}


def _cost_row(line: Mapping[str, str], at: str) -> dict[str, Any] | None:
    amount = _number(line["cost_usd"].strip())
    cost = to_pico(amount)
    if cost is None:
        return None
    kind = line.get("token_type") or line.get("cost_type") or None
    row = _opened(COST, line, at, *([kind] if kind else []))
    money = {
        "cost_pico": cost,
        "cost_low_pico": cost,
        "cost_high_pico": cost,
        "price_version": "the Console's amount",
    }
    model = line["model"].strip().lower().replace(" ", "-").replace(".", "-") or None
    served = {"service_tier": _tier(line), "speed": line.get("speed") or None}
    return row | money | served | {"model": model, "outcome": "ok", "usage_final": True}


def _opened(source: str, line: Mapping[str, str], at: str, *tags: str) -> dict[str, Any]:
    told = "|".join(f"{name}={value}" for name, value in sorted(line.items()) if name not in _MEASURES)
    key = hashlib.sha256(told.encode()).hexdigest()[:24]
    names = [*tags, *([line["api_key"]] if line.get("api_key") else [])]
    width = "by the day" if len(line[_DAY].strip()) <= _WHOLE_DAY else "by the hour"
    return opened(
        source,
        key,
        ts=at,
        session=width,
        project=line.get("workspace") or None,
        tags=json.dumps(names) if names else None,
        inference_geo=line.get("inference_geo") or None,
        provider="anthropic",
    )


def _tier(line: Mapping[str, str]) -> str:
    kind = (line.get("usage_type") or "standard").strip().lower()
    return "standard" if kind == "message" else kind


def _count(text: str) -> int | None:
    """The number in a cell; None for an empty one, -1 for what is no count."""
    text = text.strip()
    if not text:
        return None
    count = _number(text)
    if count is None or not 0 <= count <= MOST_TOKENS or count != count.to_integral_value():
        return -1
    return int(count)


def _number(text: str) -> Decimal | None:
    """The number in a cell; None where it is none, or its comma may be that of a fraction."""
    if "," in text and not _THOUSANDS.fullmatch(text):
        return None
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
