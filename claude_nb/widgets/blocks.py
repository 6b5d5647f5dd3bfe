"""How the blocks of a reply read: which belong together, what each is called, and what it says."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from .markdown import citation_mark

Block = Mapping[str, Any]

_LEXEME: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?$)|[^\s"]', re.DOTALL)


class Sources:
    """The cited sources of a turn, numbered from 1 in the order in which they appear."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def number(self, citation: Mapping[str, Any]) -> int:
        """The number of this source, a new one if it was not cited before."""
        key = (str(citation.get("title") or ""), str(citation.get("url") or ""))
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    @property
    def urls(self) -> list[str]:
        """The URL of each source; empty where it has none."""
        return [url for _, url in self._numbers]

    def since(self, count: int) -> Iterator[tuple[int, str, str]]:
        """Number, title and URL of the sources after the first ``count``."""
        for (title, url), number in list(self._numbers.items())[count:]:
            yield number, title or url or "untitled source", url


def runs(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Blocks one by one, but text that stands together as one: citations cut a sentence into several blocks."""
    for is_text, group in groupby(blocks, key=lambda block: block["type"] == "text"):
        if is_text:
            yield list(group)
        else:
            yield from ([block] for block in group)


def markdown(run: Sequence[Block], sources: Sources) -> str:
    """The text of a run with a mark where each block ends that cites."""
    parts: list[str] = []
    for block in run:
        text = str(block.get("text") or "")
        numbers = dict.fromkeys(map(sources.number, block.get("citations") or []))
        body = text.rstrip(" \t\n")
        parts += [body, *map(citation_mark, numbers), text[len(body) :]]
    return "".join(parts)


def describe(block: Block) -> tuple[str, str, str]:
    """Label, name and body of a block that is not text, as a reader should see them."""
    kind = str(block["type"])
    body = str(block.get("text") or "")
    unfinished = "" if block.get("done", True) else " (incomplete)"
    match kind:
        case "thinking":
            return "Thinking" + (unfinished if body else " (hidden by the model)"), "", body
        case "redacted_thinking":
            return "Thinking (redacted)", "", ""
    if kind.endswith("tool_use"):
        label = "Tool call" if kind == "tool_use" else "Server tool call"
        return label + unfinished, str(block.get("name") or ""), _input(block)
    if kind.endswith("tool_result"):
        return (
            "Tool result",
            str(block.get("name") or kind.removesuffix("_tool_result")),
            _said(block.get("result")),
        )
    return "Block", kind, body or _said(block.get("result")) or _said(block.get("input"))


def _input(block: Block) -> str:
    value = block.get("input", block.get("text"))
    if isinstance(value, str):
        value = indent_json(value)
    return _said(value) or ("{}" if block.get("done", True) else "")


def _said(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def indent_json(text: str) -> str:
    """JSON with an indent of two, also when it is cut short; every literal stays as it is written."""
    lines, depth, opened = [""], 0, False
    for lexeme in _LEXEME.findall(text):
        if lexeme in "}]":
            depth = max(0, depth - 1)
            lines += [] if opened else ["  " * depth]
        elif opened:
            lines.append("  " * depth)
        lines[-1] += ": " if lexeme == ":" else lexeme
        opened = lexeme in "{["
        depth += opened
        lines += ["  " * depth] if lexeme == "," else []
    return "\n".join(lines)
