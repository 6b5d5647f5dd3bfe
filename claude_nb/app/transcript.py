"""A conversation as it is read: message by message in the window, whole in the saved notebook. Safe HTML only."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from html import escape
from typing import Any, Literal

from claude_nb.footer import footer
from claude_nb.history import Entry, History
from claude_nb.models import find
from claude_nb.outcome import INTERRUPTED
from claude_nb.turn import State, block_info, citation_source, result_text
from claude_nb.widgets.saved import static_bundle
from claude_nb.widgets.wire import encodable

from .files import label_of

Json = dict[str, Any]

_MUTED = "color:var(--jp-ui-font-color2,color-mix(in srgb,currentColor 65%,transparent))"
_SMALL = "font-size:var(--jp-ui-font-size1,13px)"
_WHO = f"margin:0 0 4px;{_SMALL};font-weight:600;{_MUTED}"
_SAID = (
    "margin:0 0 12px;padding:8px 12px;border-radius:8px;background:rgba(128,128,128,.1);"
    "white-space:pre-wrap;overflow-wrap:anywhere"
)
_FILE = f"margin:0 0 6px;{_SMALL};{_MUTED}"
_ASIDE = f"margin:0 0 12px;padding:0 0 0 12px;border-left:2px solid rgba(128,128,128,.4);{_SMALL};{_MUTED}"
_UNREAD = ("at", "cell", "run", "parent", "cut")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Item:
    """One message to read.

    Attributes:
        html: What is shown, safe.
        plain: The same as plain text.
        place: Its place in the conversation.
        can: What the reader may do with it: say a prompt differently, or go on elsewhere after a reply.
        name: What its buttons call it, such as ``"message 3"``.
    """

    html: str
    plain: str
    place: int
    can: Literal["edit", "fork", ""]
    name: str

    def to_dict(self) -> Json:
        """What the page is sent."""
        return {"html": self.html, "place": self.place, "can": self.can, "name": self.name}


def items_of(history: History) -> list[Item]:
    """Give the messages of the current branch."""
    found: list[Item] = []
    names: dict[str, str] = {}
    for place, entry in enumerate(history.entries):
        names |= {block["id"]: block["name"] for block in entry.content if block.get("type") == "tool_use"}
        # Rendering costs more than anything else here, and what was said stays as it is.
        html, plain = _rendered(json.dumps([_told(entry), names if entry.is_results else {}], default=str))
        found.append(Item(html, plain, place, _can(entry), f"message {place + 1}"))
    return found


def _can(entry: Entry) -> Literal["edit", "fork", ""]:
    if entry.is_prompt:
        return "edit" if entry.summary_of is None else ""
    calls = any(
        block.get("type") == "tool_use" for block in entry.content
    )  # a copy that ends here waits for results
    return "fork" if entry.is_reply and not entry.is_paused and not calls else ""


def awaited(name: str, place: int) -> Item:
    """Give the heading of a reply that has not come yet."""
    return Item(f'<p style="{_WHO}">{_safe(name)}</p>\n', "", place, "", "the reply")


def saved_of(history: History, items: list[Item]) -> tuple[dict[str, str], str]:
    """Give the MIME bundle that stands in the notebook, and the stamp in it by which the page knows it again."""
    html, plain = [item.html for item in items], [item.plain for item in items]
    if system := system_text(history):
        shown = f'<pre style="white-space:pre-wrap;margin:4px 0">{_safe(system)}</pre>'
        html.insert(0, f'<details style="{_ASIDE}"><summary>System prompt</summary>{shown}</details>\n')
        plain.insert(0, f"System prompt:\n{_printable(system)}")
    if not items:
        html.append(f'<p style="{_SMALL};{_MUTED}">A chat window; nothing is said yet.</p>\n')
        plain.append("A chat window; nothing is said yet.")
    text = "\n\n".join(plain)
    stamp = sha256("".join(html).encode("utf-8", "replace")).hexdigest()[:12]
    opened = f'<div class="claude-nb cnb-transcript tex2jax_ignore mathjax_ignore" data-stamp="{stamp}">\n'
    return {"text/html": f"{opened}{''.join(html)}</div>", "text/plain": text}, stamp


def system_text(history: History) -> str:
    """Give the system prompt as text; empty where there is none."""
    system = history.system or ""
    if isinstance(system, str):
        return system
    return "\n\n".join(str(block.get("text") or "") for block in system)


def name_of(model: str | None) -> str:
    """Give the name by which people know a model."""
    known = find(model or "")
    return known.display_name if known else model or "Reply"


def _told(entry: Entry) -> Json:
    """What is read of an entry: not when and where it was said, nor the data of files."""
    data = {name: value for name, value in entry.to_dict().items() if name not in _UNREAD}
    if not entry.is_reply:
        data["content"] = [_short(block) for block in entry.content]
    return data


def _short(block: Json) -> Json:
    if block.get("type") == "text":
        return block
    if block.get("type") != "tool_result":
        return {"type": "file", "label": label_of(block)}
    return {**block, "content": result_text(block.get("content"))}


@lru_cache(maxsize=1024)
def _rendered(key: str) -> tuple[str, str]:
    data, names = json.loads(key)
    entry = Entry(**data)
    parts = list(_reply(entry) if entry.is_reply else _said(entry, names))
    return "".join(html for html, _ in parts), "\n\n".join(plain for _, plain in parts if plain.strip())


def _said(entry: Entry, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    results = [block for block in entry.content if block.get("type") == "tool_result"]
    if results:
        bundle = static_bundle([_result(block, names) for block in results], [], state=_DONE)
        yield bundle["text/html"], bundle["text/plain"]
    said = [block for block in entry.content if block.get("type") != "tool_result"]
    if not said:
        return
    who = "Instruction" if entry.is_instruction else "You"
    if entry.summary_of is not None:
        who = "Summary of what came before"
    text = "\n".join(str(block.get("text") or "") for block in said if block.get("type") == "text")
    files = [str(block["label"]) for block in said if block.get("type") == "file"]
    html = [f'<p style="{_WHO}">{who}</p>\n']
    html += [f'<p style="{_FILE}">Attached: {_safe(label)}</p>\n' for label in files]
    html += [f'<div style="{_SAID}">{_safe(text)}</div>\n'] if text else []
    plain = [f"{who}:", *(f"[attached: {_printable(label)}]" for label in files), _printable(text)]
    yield "".join(html), "\n".join(line for line in plain if line)


def _reply(entry: Entry) -> Iterator[tuple[str, str]]:
    who = name_of(entry.model)
    yield f'<p style="{_WHO}">{_safe(who)}</p>\n', f"{_printable(who)}:"
    blocks = [_block(block) for block in entry.content]
    if entry.interrupted and blocks:
        blocks[-1]["done"] = False
    bundle = static_bundle(
        blocks, footer(_message(entry), simulated=entry.simulated), state=_CUT if entry.interrupted else _DONE
    )
    yield bundle["text/html"], bundle["text/plain"]


_DONE: State = {"phase": "done", "text": ""}
_CUT: State = {"phase": "interrupted", "text": INTERRUPTED.label}


def _block(block: Json) -> Json:
    found = {**block_info(block), "type": block["type"], "done": True}
    found["text"] = block.get("text") or block.get("thinking") or ""
    if "input" in block:
        found["input"] = block["input"]
    if block.get("citations"):
        found["citations"] = [citation_source(citation) for citation in block["citations"]]
    return found


def _result(block: Json, names: Mapping[str, str]) -> Json:
    failed = bool(block.get("is_error"))
    name = names.get(str(block.get("tool_use_id")), "") + (" (error)" if failed else "")
    return {
        "type": "tool_result",
        "name": name,
        "result": ("error: " if failed else "") + result_text(block["content"]),
    }


def _message(entry: Entry) -> Any:
    """The stored reply as the SDK's ``Message``, for its footer."""
    from anthropic.types import Message

    refused = entry.stop_reason == "refusal"
    details = {"type": "refusal", "category": entry.refusal, "explanation": None} if refused else None
    return Message.construct(
        id="",
        type="message",
        role="assistant",
        content=entry.content,
        model=entry.model,
        stop_reason=entry.stop_reason,
        stop_sequence=None,
        stop_details=details,
        usage=entry.usage,
    )


def _safe(text: str) -> str:
    return escape(_clean(text)).replace("$", "<span>$</span>")  # typesetters look for pairs of dollars


def _printable(text: str) -> str:
    return _CONTROL.sub("\ufffd", _clean(text).replace("\r\n", "\n"))


def _clean(text: str) -> str:
    return str(encodable(text))
