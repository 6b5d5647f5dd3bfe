"""The branches of a conversation, and how two conversations differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claude_nb.errors import HistoryError

from .entry import Entry

if TYPE_CHECKING:
    from .history import History


_AROUND = 40  # characters of a quote on each side of what was found


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


def diff(history: "History", other: "History | Branch | int") -> Diff:
    """Give how another conversation, or another branch of this one, differs: print it to read it.

    Raises:
        HistoryError: There is no such branch.
    """
    here, tree = history._tree.path(), history._tree
    if hasattr(other, "entries"):
        settings = [name for name in ("system", "tools") if getattr(history, name) != getattr(other, name)]
        return _compared(here, other.entries, settings)
    number = other.number if isinstance(other, Branch) else other
    if not isinstance(number, int) or not 0 <= number < len(tree.entries):
        known = [one.number for one in history.branches()]
        raise HistoryError(f"there is no branch {number!r}; the branches are {known}.")
    return _compared(here, [tree.entries[one] for one in tree.line(number)], [])


def _compared(here: Sequence[Entry], there: Sequence[Entry], settings: list[str]) -> Diff:
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


def find(history: "History", text: str) -> list[Found]:
    """Give the messages that hold ``text``, also in tool calls and results, with the words around it.

    Upper and lower case are the same.

    Raises:
        HistoryError: There is no text to look for.
    """
    if not isinstance(text, str) or not text:
        raise HistoryError('find() takes a text to look for, such as history.find("token").')
    found = []
    for place, entry in enumerate(history._tree.path()):
        for said in _texts(entry.content):
            at = said.casefold().find(text.casefold())
            if at >= 0:
                quote = said[max(0, at - _AROUND) : at + len(text) + _AROUND]
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
