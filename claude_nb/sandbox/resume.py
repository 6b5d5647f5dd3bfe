"""The rest of an invented reply that was cut, for a prompt that asks to go on."""

import re

from . import filler, prompt
from .prompt import Json

_GO_ON = re.compile(r"\b(?:continue|go on|carry on|cut off)\b", re.IGNORECASE)
_QUOTED = re.compile(r"last words were:\n\n(.+?)\n\n", re.DOTALL)
_TAIL = 40  # characters that tell one place of the text from any other


def rest(messages: list[Json]) -> str | None:
    """What is left of the filler that an earlier prompt asked for; None where there is nothing to go on with.

    A prompt that quotes the last words is answered from these words on, as it asks.
    """
    *before, last = messages
    asked = _text(last)
    said = next((_text(message) for message in reversed(before) if message["role"] == "assistant"), "")
    wholes = (filler.text(_text(message)) for message in reversed(before) if message["role"] == "user")
    whole = next((text for text in wholes if text), None)
    if whole is None or not said.strip() or not _GO_ON.search(asked):
        return None
    quoted = _QUOTED.search(asked)
    tail = quoted.group(1).strip() if quoted else said.rstrip()[-_TAIL:]
    at = whole.rfind(tail)
    if at < 0:
        return None
    left = whole[at if quoted else at + len(tail) :]
    return left.lstrip() if left.strip() else "From the sandbox: that was all of it."


def _text(message: Json) -> str:
    return "".join(
        block.get("text", "") for block in prompt.blocks(message["content"]) if block["type"] == "text"
    )
