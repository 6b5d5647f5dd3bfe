"""What a notebook keeps of a turn: safe HTML and honest plain text, the same wherever the notebook is read.

It looks like the live view it takes over from, works in a light and a dark page, and still reads well where the
styles are taken out, as on GitHub. Equal turns give equal bytes: no ids, no clocks.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from claude_nb.turn import Chip, State

from .blocks import Block, Sources, describe, markdown, runs
from .markdown import link, render
from .wire import encodable

_GREY: Final = "var(--jp-ui-font-color2,color-mix(in srgb,currentColor 65%,transparent))"
_ROOT: Final = f"--m:{_GREY};--s:var(--jp-ui-font-size1,13px)"
_COLOURS: Final = "".join(
    f";--h{role}:var(--jp-mirror-editor-{name}-color,{other})"
    for role, name, other in (
        ("c", "comment", "var(--m)"),
        ("k", "keyword", "color-mix(in srgb,#2e8b57 60%,currentColor)"),
        ("s", "string", "color-mix(in srgb,#d9363e 60%,currentColor)"),
        ("m", "number", "color-mix(in srgb,#4c8bf5 70%,currentColor)"),
    )
)
_LINE: Final = "rgba(128,128,128,.4)"
_MUTED: Final = "color:var(--m)"
_TEXT: Final = "var(--jp-content-font-color1,currentColor)"
_TONES: Final = {
    tone: f"color:color-mix(in srgb,{colour} 60%,{_TEXT})"  # readable on white and on black
    for tone, colour in {
        "ok": "var(--jp-success-color1,#2e8b57)",
        "warn": "var(--jp-warn-color1,#c77700)",
        "bad": "var(--jp-error-color1,#d9363e)",
    }.items()
}
_SMALL: Final = "font-size:var(--s)"
_ASIDE: Final = f"margin:0 0 .75em;padding:0 0 0 12px;border-left:2px solid {_LINE};{_SMALL};{_MUTED}"
_CARD: Final = f"margin:0 0 .75em;padding:4px 12px;border:1px solid {_LINE};border-radius:6px;{_SMALL}"
_CAPPED: Final = "max-height:16em;overflow:auto;margin:4px 0;white-space:pre-wrap;overflow-wrap:anywhere"
_BAR: Final = f"margin:.75em 0 .5em;{_SMALL};{_MUTED}"
_PILL: Final = "border:1px solid;border-radius:9px;padding:0 7px"
_OPEN_LINES: Final = 20
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def static_bundle(blocks: Sequence[Block], footer: Sequence[Chip], *, state: State) -> dict[str, str]:
    """The MIME bundle that stands in the notebook when the stream is over.

    Args:
        blocks: Content blocks in order. Only ``type`` is required; ``text`` (also for thinking), ``name``,
            ``input``, ``citations`` (dicts with ``title`` and ``url``), ``result``, ``note`` (of thinking, how much it
            was) and ``done`` are shown where they are present.
        footer: The facts below the reply.
        state: How the turn ended; its text is shown unless the phase is ``done``.

    Returns:
        ``text/html`` and ``text/plain``. Never ``text/markdown``: front ends run scripts in it.

    Example:
        display(static_bundle(turn.blocks, footer, state=turn.state), raw=True)
    """
    blocks, footer, state = encodable(list(blocks)), encodable(list(footer)), encodable(state)
    said = {chip["text"] for chip in footer}
    ended = "" if state["phase"] == "done" or state["text"] in said else state["text"]
    html = "".join(_html(blocks)) + _html_bar(ended, footer)
    root = _ROOT + (_COLOURS if 'class="highlight' in html else "")
    parts = [*_plain(blocks), ended, " · ".join(chip["text"] for chip in footer)]
    plain = "\n\n".join(part.strip("\n") for part in parts if part.strip()).replace("\r\n", "\n")
    return {
        # The classes keep MathJax away: "$5 and $6" is money.
        "text/html": f'<div class="claude-nb tex2jax_ignore mathjax_ignore" style="{root}">\n{html}</div>',
        "text/plain": _CONTROL.sub("\ufffd", plain),
    }


def _html(blocks: Sequence[Block]) -> Iterator[str]:
    sources = Sources()
    for run in runs(blocks):
        if run[0]["type"] == "text":
            count = len(sources.urls)
            text = markdown(run, sources)
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
    if note := block.get("note"):
        title += f" · {escape(str(note))}"
    if not body:
        return f'<p style="{_ASIDE if thinking else _CARD}">{title}</p>\n'
    capped = f'<pre style="{_CAPPED}"><code>{escape(body, quote=False)}</code></pre>\n'
    shown = render(body) if thinking else capped
    is_open = " open" if block["type"].endswith("tool_use") and body.count("\n") < _OPEN_LINES else ""
    style = _ASIDE if thinking else _CARD
    return f'<details{is_open} style="{style}"><summary>{title}</summary>\n{shown}</details>\n'


def _html_bar(ended: str, footer: Sequence[Chip]) -> str:
    chips = " · ".join(map(_html_chip, footer))
    lines = [f'<span style="color:{_TEXT}">{escape(ended)}</span>'] if ended else []
    lines += [chips] if chips else []
    return f'<p style="{_BAR}">{"<br>".join(lines)}</p>\n' if lines else ""


def _html_chip(chip: Chip) -> str:
    tone = _TONES.get(chip["tone"], _MUTED)
    pill = f";{_PILL}" if chip["kind"] in {"badge", "stop", "error"} else ""
    title = f' title="{escape(chip["title"])}"' if chip["title"] else ""
    return f'<span style="{tone}{pill}"{title}>{escape(chip["text"])}</span>'


def _plain(blocks: Sequence[Block]) -> Iterator[str]:
    sources = Sources()
    for run in runs(blocks):
        if run[0]["type"] == "text":
            count = len(sources.urls)
            text = markdown(run, sources)
            yield text.replace("\u2e28", "[").replace("\u2e29", "]") if sources.urls else text
            yield "\n".join(
                f"[{number}] {title} {url}".rstrip() for number, title, url in sources.since(count)
            )
        else:
            label, name, body = describe(run[0])
            head = f"[{label}: {name}]" if name else f"[{label}]"
            yield f"{head}\n{body}" if body else head
