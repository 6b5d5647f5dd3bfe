"""Questions about the conversation itself, answered from the request: what it does not hold, nobody knows."""

import re
from typing import Any

from . import prompt

Json = dict[str, Any]

_NAME = re.compile(
    r"(?i:\b(?:my name is|call me|i am called|i'm called))\s+([\w'-]+)|\b(?:I am|I'm)\s+([A-Z][\w'-]+)"
)
_ASKS_NAME = re.compile(
    r"\bwhat(?:'s| is| was) my name\b|\bwho am i\b|\b(?:know|remember) my name\b", re.IGNORECASE
)
_ASKS_EARLIER = re.compile(
    r"\bwhat did i (?:just )?(?:say|ask|tell|write)\b|\bmy (?:first|last|previous) (?:message|question)\b"
    r"|\bdo you remember\b|\bearlier i\b",
    re.IGNORECASE,
)
_ASKS_ABOUT_ME = re.compile(
    r"^(?:and |so )?(?:what|who|where|when|which|how (?:many|much|old|tall|long)|do you know|am i|did i|have i)\b"
    r".*\b(?:my|mine|am i|do i (?:have|own|like|live|work|want)|did i|have i)\b.*\?$",
    re.IGNORECASE,
)
_MOST_WORDS = 14  # a longer prompt brings along what it asks about
_COMMON_WORDS = """
about and are did does for had have how many much own tell that the this was what when where which with you your
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_LEAST_LETTERS = 3
_QUOTE = 60


def answer(messages: list[Json], asked: str) -> str | None:
    """A reply to a question about what the user said before, or ``None`` when the prompt is no such question."""
    if _ASKS_NAME.search(asked):
        return _name(messages)
    if _ASKS_EARLIER.search(asked):
        return _everything(messages)
    if _ASKS_ABOUT_ME.search(asked) and len(asked.split()) <= _MOST_WORDS:
        return _mention(messages, asked)
    return None


def earlier(messages: list[Json]) -> list[tuple[int, str]]:
    """The user's earlier texts with their index in ``messages``."""
    return [
        (index, text)
        for index, message in enumerate(messages[:-1])
        if message["role"] == "user" and (text := text_of(message))
    ]


def last_prompt(messages: list[Json]) -> str:
    """The text of the last user message that has any, or ``""``."""
    for message in reversed(messages):
        if message["role"] == "user" and (found := text_of(message)):
            return found
    return ""


def text_of(message: Json) -> str:
    """The text blocks of a message, joined."""
    blocks = prompt.blocks(message["content"])
    return "\n".join(block["text"] for block in blocks if block["type"] == "text").strip()


def quoted(text: str, length: int = _QUOTE) -> str:
    """Text in quotation marks, on one line and cut to a length; ``""`` for none."""
    flat = " ".join(text.replace("`", "'").split())
    if not flat:
        return ""
    return f"“{flat}”" if len(flat) <= length else f"“{flat[: length - 1].rstrip()}…”"


def _name(messages: list[Json]) -> str:
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "user" and (found := _NAME.search(text_of(messages[index]))):
            return (
                f"From the sandbox: your name is **{found.group(1) or found.group(2)}**. It is in this request, in "
                f"`messages[{index}]`. The API remembers nothing between calls; you sent it along."
            )
    return (
        "From the sandbox: this request does not contain your name. The API keeps no memory between calls: "
        "what is not in `messages`, the model cannot know. Send the earlier turns again and ask once more."
    )


def _everything(messages: list[Json]) -> str:
    before = earlier(messages)
    if not before:
        return (
            "From the sandbox: this request holds one message, the question itself, so nothing came before it. "
            "The API keeps no memory between calls: send the earlier turns again."
        )
    lines = [f"{number}. {quoted(text)}" for number, (_, text) in enumerate(before, 1)]
    start = "From the sandbox: this request also holds what you wrote before:"
    return "\n".join([start, "", *lines, "", "The model knows it only because you sent it again."])


def _mention(messages: list[Json], asked: str) -> str:
    wanted = _words(asked)
    found = [(len(wanted & _words(text)), index, text) for index, text in earlier(messages)]
    best = max(found, default=(0, 0, ""))
    if not best[0]:
        return (
            "From the sandbox: this request does not say. The API keeps no memory between calls: what is not in "
            "`messages`, the model cannot know. Send the earlier turns again and ask once more."
        )
    return (
        f"From the sandbox: you wrote {quoted(best[2])} in `messages[{best[1]}]` of this request. "
        "A model would answer from that, and only because you sent it again."
    )


def _words(text: str) -> set[str]:
    words = {word.removesuffix("s") for word in re.findall(r"\w+", text.lower())}
    return {word for word in words if len(word) >= _LEAST_LETTERS} - _COMMON
