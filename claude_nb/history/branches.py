"""The branches of a conversation, and how two conversations differ."""

from collections.abc import Sequence
from dataclasses import dataclass

from .entry import Entry


@dataclass(frozen=True)
class Branch:
    """One way the conversation went.

    Attributes:
        number: What ``history.switch()`` takes.
        messages: How many messages it has.
        shared: How many of them it shares with the current branch.
        current: Whether it is the one that goes on.
        text: First words of its last message.
    """

    number: int
    messages: int
    shared: int
    current: bool
    text: str


@dataclass(frozen=True)
class Found:
    """A place where a text was found: the message, and the words around it."""

    at: int
    role: str
    quote: str


@dataclass(frozen=True)
class Diff:
    """How two conversations differ: what they begin with in common, and what each says alone.

    Attributes:
        same: How many messages they begin with in common.
        here: The messages after that in this one, as ``(role, text)``.
        there: Those in the other one.
        settings: Which of ``system`` and ``tools`` differ.
    """

    same: int
    here: list[tuple[str, str]]
    there: list[tuple[str, str]]
    settings: list[str]

    def __bool__(self) -> bool:
        return bool(self.here or self.there or self.settings)

    def __str__(self) -> str:
        if not self:
            return f"the same {self.same} messages"
        lines = [f"the same up to message {self.same}"] + [f"different {name}" for name in self.settings]
        lines += [f"- {role}: {text}" for role, text in self.here]
        return "\n".join(lines + [f"+ {role}: {text}" for role, text in self.there])

    __repr__ = __str__


def leaves(entries: Sequence[Entry], head: int | None) -> list[int]:
    """Numbers of the entries that end a branch, the current one included."""
    inner = {entry.parent for entry in entries}
    ends = {number for number in range(len(entries)) if number not in inner}
    return sorted(ends | ({head} if head is not None else set()))


def diff(here: Sequence[Entry], there: Sequence[Entry], settings: list[str]) -> Diff:
    """Compare two branches by role and content."""
    same = 0
    for one, other in zip(here, there, strict=False):
        if (one.role, one.content) != (other.role, other.content):
            break
        same += 1
    return Diff(
        same,
        [(entry.role, words(entry)) for entry in here[same:]],
        [(entry.role, words(entry)) for entry in there[same:]],
        settings,
    )


def words(entry: Entry, width: int = 80) -> str:
    """The first words of a message, or its kinds of blocks where it has none."""
    text = " ".join(entry.text[: 20 * width].split())
    if not text:
        return f"[{', '.join(dict.fromkeys(str(block.get('type')) for block in entry.content)) or 'empty'}]"
    return text if len(text) <= width else text[: width - 1] + "…"


def find(path: Sequence[Entry], text: str, around: int = 40) -> list[Found]:
    """Where a text occurs, in words, tool inputs or results; upper and lower case are the same."""
    found = []
    for place, entry in enumerate(path):
        for said in _texts(entry.content):
            at = said.casefold().find(text.casefold())
            if at >= 0:
                quote = said[max(0, at - around) : at + len(text) + around]
                found.append(Found(place, entry.role, " ".join(quote.split())))
                break
    return found


def _texts(value: object) -> list[str]:
    """Every text in a block, data of images and signatures excepted."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for member in value for text in _texts(member)]
    if isinstance(value, dict):
        skip = ("type", "id", "tool_use_id", "signature", "data", "media_type")
        return [text for name, member in value.items() if name not in skip for text in _texts(member)]
    return []
