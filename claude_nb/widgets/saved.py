"""What a notebook keeps of a turn: safe HTML and honest plain text, the same wherever the notebook is read.

It looks like the live view it takes over from, works in a light and a dark page, and still reads well where the
styles are taken out, as on GitHub. Equal turns give equal bytes: no ids, no clocks.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from .markdown import citation_mark, link, render
from .wire import Chip, State, encodable

Block = Mapping[str, Any]

_ROOT: Final = (
    "--m:var(--jp-ui-font-color2,color-mix(in srgb,currentColor 65%,transparent));--s:var(--jp-ui-font-size1,13px)"
)
_LINE: Final = "rgba(128,128,128,.4)"
_MUTED: Final = "color:var(--m)"
_TONES: Final = {
    "ok": "color:var(--jp-success-color1,#2e8b57)",
    "muted": _MUTED,
    "warn": "color:var(--jp-warn-color1,#c77700)",
    "bad": "color:var(--jp-error-color1,#d9363e)",
}
_SMALL: Final = "font-size:var(--s)"
_ASIDE: Final = f"margin:0 0 .75em;padding:0 0 0 12px;border-left:2px solid {_LINE};{_SMALL};{_MUTED}"
_CARD: Final = f"margin:0 0 .75em;padding:4px 12px;border:1px solid {_LINE};border-radius:6px;{_SMALL}"
_CAPPED: Final = "max-height:16em;overflow:auto;margin:4px 0;white-space:pre-wrap;overflow-wrap:anywhere"
_BAR: Final = f"margin:.75em 0 .5em;{_SMALL};{_MUTED}"
_PILL: Final = "border:1px solid;border-radius:9px;padding:0 7px"
_LEXEME: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?$)|[^\s"]', re.DOTALL)
_OPEN_LINES: Final = 20
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def static_bundle(blocks: Sequence[Block], footer: Sequence[Chip], *, state: State) -> dict[str, str]:
    """The MIME bundle that stands in the notebook when the stream is over.

    Args:
        blocks: Content blocks in order. Only ``type`` is required; ``text`` (also for thinking), ``name``,
            ``input``, ``citations`` (dicts with ``title`` and ``url``), ``result`` and ``done`` are shown where
            they are present.
        footer: The facts below the reply.
        state: How the turn ended; its text is shown unless the phase is ``done``.

    Returns:
        ``text/html`` and ``text/plain``. Never ``text/markdown``: front ends run scripts in it.

    Example:
        display(static_bundle(turn.blocks, footer, state=turn.state), raw=True)
    """
    blocks, footer, state = encodable(list(blocks)), encodable(list(footer)), encodable(state)
    ended = state["text"] if state["phase"] != "done" else ""
    html = "".join(_html(blocks)) + _html_bar(ended, footer)
    plain = [*_plain(blocks), ended, " · ".join(chip["text"] for chip in footer)]
    return {
        # The classes keep MathJax away: "$5 and $6" is money.
        "text/html": f'<div class="claude-nb tex2jax_ignore mathjax_ignore" style="{_ROOT}">\n{html}</div>',
        "text/plain": _CONTROL.sub("\ufffd", "\n\n".join(part.strip("\n") for part in plain if part.strip())),
    }


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


def _runs(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Blocks one by one, but text that stands together as one: citations cut a sentence into several blocks."""
    run: list[Block] = []
    for block in blocks:
        if block["type"] == "text":
            run.append(block)
            continue
        if run:
            yield run
        run = []
        yield [block]
    if run:
        yield run


def _markdown(run: Sequence[Block], sources: Sources) -> str:
    text, cited = "", False
    for block in run:
        citations = block.get("citations") or []
        cited = cited or bool(citations)
        text += ("" if cited or not text else "\n\n") + str(block.get("text") or "")
        marks = "".join(citation_mark(number) for number in dict.fromkeys(map(sources.number, citations)))
        body = text.rstrip()
        text = body + marks + text[len(body) :]
    return text


def _html(blocks: Sequence[Block]) -> Iterator[str]:
    sources = Sources()
    for run in _runs(blocks):
        if run[0]["type"] == "text":
            count = len(sources.urls)
            text = _markdown(run, sources)
            yield f"<div>\n{render(text, sources.urls)}</div>\n"
            new = [
                f"[{number}] {link(url, escape(title), title=url)}"
                for number, title, url in sources.since(count)
            ]
            if new:
                yield f'<p style="{_BAR}">Sources: {" · ".join(new)}</p>\n'
        else:
            yield _html_aside(run[0])


def _html_aside(block: Block) -> str:
    label, name, body = describe(block)
    thinking = "thinking" in block["type"]
    title = escape(label) + (f" <code>{escape(name)}</code>" if name else "")
    if not body:
        return f'<p style="{_ASIDE if thinking else _CARD}">{title}</p>\n'
    shown = (
        render(body)
        if thinking
        else f'<pre style="{_CAPPED}"><code>{escape(body, quote=False)}</code></pre>\n'
    )
    is_open = " open" if block["type"].endswith("tool_use") and body.count("\n") < _OPEN_LINES else ""
    style = _ASIDE if thinking else _CARD
    return f'<details{is_open} style="{style}"><summary>{title}</summary>\n{shown}</details>\n'


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
        return "Tool result", str(block.get("name") or kind.removesuffix("_tool_result")), _result(block)
    return "Block", kind, body or _result(block) or _input(block)


def _input(block: Block) -> str:
    value = block.get("input")
    if value is None:
        value = str(block.get("text") or "")
    if not isinstance(value, str):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return indent_json(value) or ("{}" if block.get("done", True) else "")


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


def _result(block: Block) -> str:
    value = block.get("result")
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _html_bar(ended: str, footer: Sequence[Chip]) -> str:
    chips = " · ".join(map(_html_chip, footer))
    lines = [f'<span style="{_TONES["warn"]}">{escape(ended)}</span>'] if ended else []
    lines += [chips] if chips else []
    return f'<p style="{_BAR}">{"<br>".join(lines)}</p>\n' if lines else ""


def _html_chip(chip: Chip) -> str:
    tone = _TONES.get(chip["tone"], _MUTED)
    pill = f";{_PILL}" if chip["kind"] in {"badge", "stop", "error"} else ""
    title = f' title="{escape(chip["title"])}"' if chip["title"] else ""
    return f'<span style="{tone}{pill}"{title}>{escape(chip["text"])}</span>'


def _plain(blocks: Sequence[Block]) -> Iterator[str]:
    sources = Sources()
    for run in _runs(blocks):
        if run[0]["type"] == "text":
            count = len(sources.urls)
            text = _markdown(run, sources)
            yield text.replace("\u2e28", "[").replace("\u2e29", "]") if sources.urls else text
            yield "\n".join(
                f"[{number}] {title} {url}".rstrip() for number, title, url in sources.since(count)
            )
        else:
            label, name, body = describe(run[0])
            head = f"[{label}: {name}]" if name else f"[{label}]"
            yield f"{head}\n{body}" if body else head
