"""When are two requests the same, and where do they differ?"""

import json
import re
from hashlib import sha256
from typing import Any

from . import prompt, recall

Json = dict[str, Any]

_UNMATCHED = ("metadata",)  # who asked does not change the answer, and stays out of the tape
_LONG_DATA = 1_000
_SHOWN = 40


def canonical(value: Any) -> Any:
    """A request body as tapes compare it: without metadata, long base64 data as a digest."""
    if isinstance(value, dict):
        return {name: canonical(member) for name, member in value.items() if name not in _UNMATCHED}
    if isinstance(value, list):
        return [canonical(member) for member in value]
    if isinstance(value, str) and len(value) > _LONG_DATA and re.fullmatch(r"[A-Za-z0-9+/]+=*", value):
        return f"sha256:{sha256(value.encode()).hexdigest()}"
    return value


def fingerprint(method: str, path: str, body: Json) -> str:
    """Digest of a whole request: equal requests, equal digests."""
    text = json.dumps([method, path, canonical(body)], sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:32]


def loose(name: str, value: Any) -> Any:
    """A field of a request as entries by hand compare it; what has no such form stays as it is."""
    try:
        return _loosened(name, value)
    except (AttributeError, KeyError, TypeError):
        return value


def _loosened(name: str, value: Any) -> Any:
    if name == "system":
        return canonical(prompt.canonical(prompt.blocks(value)))
    if name != "messages":
        return canonical(prompt.canonical(value))
    return [
        {
            "role": message["role"],
            "content": [
                canonical(prompt.canonical(block))
                for block in prompt.blocks(message["content"])
                if block["type"] not in prompt.THINKING
            ],
        }
        for message in value
    ]


def last_prompt(body: Json) -> str:
    """The last text of the user, or ``""``, also of a request that the rules will refuse."""
    try:
        return recall.last_prompt(body["messages"])
    except (AttributeError, KeyError, TypeError):
        return ""


def first_difference(path: str, taped: Any, sent: Any) -> tuple[str, Any, Any]:
    """The first place, going in, where two values differ."""
    if isinstance(taped, dict) and isinstance(sent, dict):
        pairs = [(name, taped.get(name, ABSENT), sent.get(name, ABSENT)) for name in taped | sent]
    elif isinstance(taped, list) and isinstance(sent, list):
        size = max(len(taped), len(sent))
        pairs = [(str(at), _at(taped, at), _at(sent, at)) for at in range(size)]
    else:
        return path, taped, sent
    name, one, other = next(pair for pair in pairs if pair[1] != pair[2])
    return first_difference(f"{path}.{name}", one, other)


class Absent:
    """A field that is not there."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = Absent()


def _at(values: list[Any], at: int) -> Any:
    return values[at] if at < len(values) else ABSENT


def shown(value: Any) -> str:
    """A value for a sentence: short, and text blocks as their text."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and "text" in value[0]:
        value = value[0]["text"]
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
