"""The anatomy of what the API takes and gives: every field with its value and one line that explains it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from .errors import ClaudeNbError
from .screens import in_notebook

_VALUE = 44  # characters of a value; the rest is cut, with its size
_KEY = re.compile(r"sk-ant-[\w-]+")
_SECRET = ("api_key", "x-api-key", "authorization", "auth_token", "webhook_key")
_WHOLE = ("input", "input_schema", "schema")  # JSON of the user's own making, shown in one line
_CELL = "text-align:left;vertical-align:top;max-width:26em;overflow-wrap:anywhere"
_TABLE = "table-layout:auto;margin-left:0"  # JupyterLab's own tables have columns of equal width


@dataclass(frozen=True)
class Row:
    """One field: how deep it lies, its name, its value in short, and what it means."""

    depth: int
    name: str
    value: str
    meaning: str

    def html(self) -> str:
        """Its three table cells; a name is never broken."""
        indent = f"{_CELL};padding-left:{0.5 + 1.25 * self.depth}em"
        return (
            f"<td style='{indent}'><code style='white-space:nowrap'>{escape(self.name)}</code></td>"
            f"<td style='{_CELL}'>{escape(self.value)}</td>"
            f"<td style='{_CELL};opacity:.75'>{escape(self.meaning)}</td>"
        )


@dataclass(frozen=True)
class Anatomy:
    """The fields of one object, to be shown as a table in a notebook or as text."""

    title: str
    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        names = [f"{'  ' * row.depth}{row.name}" for row in self.rows]
        left, middle = max(map(len, names)), max(len(row.value) for row in self.rows)
        lines = [
            f"{name:<{left}}  {row.value:<{middle}}  {row.meaning}".rstrip()
            for name, row in zip(names, self.rows, strict=True)
        ]
        return "\n".join([self.title, *lines])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr>{row.html()}</tr>" for row in self.rows)
        # Model text stands in the cells; the classes keep MathJax from reading "$5 and $6" as a formula.
        return (
            f"<table class='tex2jax_ignore mathjax_ignore' style='{_TABLE}'><caption style='{_CELL}'>"
            f"<b>{escape(self.title)}</b></caption><tbody>{rows}</tbody></table>"
        )


def show(thing: Any) -> None:
    """Show what an object of the API is made of: each field, its value, and what it means.

    A table in a notebook, text elsewhere.

    Args:
        thing: A message, its usage or one of its blocks; a request (the dict of arguments); a stream that was
            begun; a model; a token count; an API error.

    Raises:
        ClaudeNbError: It is nothing that the API takes or gives.

    Example:
        >>> show(message.usage)
    """
    found = anatomy(thing)
    if in_notebook():
        from IPython.display import display

        display(found)  # type: ignore[no-untyped-call] # IPython's own
    else:
        print(found)  # noqa: T201 - showing is its job


def anatomy(thing: Any) -> Anatomy:
    """Give what :func:`show` shows, as rows."""
    title, kind, data = _recognised(thing)
    rows = tuple(_rows(data, kind, ""))
    return Anatomy(title, rows or (Row(0, "(empty)", "", ""),))


def _recognised(thing: Any) -> tuple[str, str, dict[str, Any]]:
    """Name the thing and give its fields."""
    from anthropic import BaseModel

    name = type(thing).__name__.removeprefix("Parsed").removeprefix("Beta")
    body = getattr(thing, "body", None)
    if isinstance(thing, Exception) and isinstance(body, Mapping):
        return f"{name}: HTTP status {getattr(thing, 'status_code', 'unknown')}", "error", dict(body)
    snapshot = _snapshot(thing)
    if snapshot is not None:
        return f"{name}: the message so far", "message", snapshot.to_dict()
    data = thing if isinstance(thing, Mapping) else thing.to_dict() if isinstance(thing, BaseModel) else None
    kind = _kind(data, name) if data is not None else None
    if data is None or kind is None:
        raise ClaudeNbError(
            f"show() explains what the API takes and gives (a message, usage, a block, a request, a model, an error), "
            f"not {name}."
        )
    titles = {"request": "A request", "block": f"A {data.get('type')} block"}
    return titles.get(kind, name if not isinstance(thing, Mapping) else kind.capitalize()), kind, dict(data)


def _kind(data: Mapping[str, Any], name: str) -> str | None:
    kind = data.get("type")
    if kind in ("message", "error", "model"):
        return str(kind)
    if "messages" in data:
        return "request"
    if "Usage" in name or "output_tokens" in data:
        return "usage"
    if "TokensCount" in name or set(data) == {"input_tokens"}:
        return "count"
    return "block" if isinstance(kind, str) else None


def _snapshot(thing: Any) -> Any:
    try:
        return getattr(thing, "current_message_snapshot", None)
    except AssertionError:  # a stream before its first event
        raise ClaudeNbError(
            "this stream has not begun. Read it with watch(stream), then show(message)."
        ) from None


def _rows(data: Mapping[str, Any], kind: str, path: str, depth: int = 0) -> Iterator[Row]:
    known = list(_texts()[kind])
    prefix = f"{path}." if path else ""
    order = {name.removeprefix(prefix): place for place, name in enumerate(known)}
    for name, value in sorted(data.items(), key=lambda item: order.get(item[0], len(known))):
        where = prefix + name
        if name.lower() in _SECRET:
            yield Row(depth, name, "(not shown)", "A secret: it is never displayed.")
            continue
        inside = isinstance(value, Mapping) and bool(value) and name not in _WHOLE
        yield Row(depth, name, _count(value) if inside else _short(value), _texts()[kind].get(where, ""))
        inner = _inner(kind, where)
        if inside:
            yield from _rows(value, *inner, depth + 1)
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from _items(value, name, inner, depth + 1)


def _items(values: list[Any], name: str, inner: tuple[str, str], depth: int) -> Iterator[Row]:
    for place, value in enumerate(values):
        if not isinstance(value, Mapping):
            yield Row(depth, f"{name}[{place}]", _short(value), "")
            continue
        yield Row(
            depth,
            f"{name}[{place}]",
            str(value.get("type") or value.get("role") or value.get("name") or ""),
            "",
        )
        yield from _rows(value, *inner, depth + 1)


def _inner(kind: str, where: str) -> tuple[str, str]:
    """The section of the explanations, and the path in it, for what lies inside a field."""
    last = where.rsplit(".", 1)[-1]
    if last == "content" or (kind == "request" and where == "system"):
        return "block", ""
    if last in ("usage", "stop_details"):
        return last, ""
    return kind, where


@cache
def _texts() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = json.loads(files(__package__).joinpath("anatomy.json").read_bytes())
    return texts


def _count(value: Any) -> str:
    noun = "field" if isinstance(value, Mapping) else "item"
    return f"{len(value)} {noun}{'' if len(value) == 1 else 's'}"


def _short(value: Any) -> str:
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return _count(value)
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = _KEY.sub("(a key, not shown)", text)
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}… ({len(text):,} characters)"
