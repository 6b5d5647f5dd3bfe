"""What is stored: messages in branches, append-only, written to a file as they come where that is wanted."""

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from claude_nb.errors import HistoryError
from claude_nb.trim import WHOLE, Cut

from .content import Json, copied
from .entry import ELSEWHERE, Entry

if TYPE_CHECKING:
    from pathlib import Path


class Tree:
    """The messages of a conversation with all its branches, one of which is the current one.

    Attributes:
        entries: Every message ever added; its number is its index.
        numbers: The entries of the current branch, in order. Numbers ascend along a branch.
        pins: Numbers of the messages that are never left out.
        cuts: What was left out of requests; replies name theirs by index.
        file: Where each further message is written to, if anywhere.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.numbers: list[int] = []
        self.pins: set[int] = set()
        self.cuts: list[Cut] = []
        self.file: Path | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def head(self) -> int | None:
        """Number of the last message of the current branch."""
        return self.numbers[-1] if self.numbers else None

    @property
    def last(self) -> Entry | None:
        """The last message of the current branch."""
        return self.entries[self.numbers[-1]] if self.numbers else None

    def path(self) -> list[Entry]:
        """The messages of the current branch."""
        return [self.entries[number] for number in self.numbers]

    def line(self, head: int) -> list[int]:
        """Numbers of the messages from the first to ``head``."""
        numbers: list[int] = []
        number: int | None = head
        while number is not None:
            numbers.append(number)
            number = self.entries[number].parent
        return numbers[::-1]

    def append(self, entry: Entry) -> int:
        """Add a message to the current branch and give its place there."""
        entry = replace(entry, parent=self.head, at=entry.at or round(time.time(), 3))
        self.entries.append(entry)
        self.numbers.append(len(self.entries) - 1)
        self.tell(entry)
        return len(self.numbers) - 1

    def append_again(self, numbers: list[int]) -> None:
        """Add messages of another branch to this one; their thinking was made elsewhere."""
        for number in numbers:
            entry = self.entries[number]
            place = self.append(replace(entry, cut=ELSEWHERE if entry.is_reply else None))
            if number in self.pins:
                self.pin(place, on=True)

    def go(self, head: int | None) -> None:
        """Make ``head`` the last message of the current branch."""
        if head == self.head:
            return
        while self.numbers and self.numbers[-1] != head:
            self.numbers.pop()
        if not self.numbers and head is not None:
            self.numbers = self.line(head)
        self.tell({"head": head})

    def pin(self, at: int, *, on: bool) -> None:
        """Mark the message at a place as never to be left out, or no longer."""
        (self.pins.add if on else self.pins.discard)(self.numbers[at])
        self.tell({"pins": sorted(self.pins)})

    def number_of(self, cut: Cut) -> int | None:
        """The number under which a cut is kept; None for the whole conversation."""
        if cut == WHOLE:
            return None
        if not self.cuts or self.cuts[-1] != cut:
            self.cuts.append(cut)
            self.tell({"cut": cut.to_dict()})
        return len(self.cuts) - 1

    def cut_before(self) -> Cut:
        """The cut under which the last reply of the current branch was asked for."""
        for number in reversed(self.numbers):
            entry = self.entries[number]
            if entry.is_reply:
                return WHOLE if entry.cut in (None, ELSEWHERE) else self.cuts[entry.cut]
        return WHOLE

    def to_dict(self) -> Json:
        """Everything, as JSON."""
        return {
            "head": self.head,
            "pins": sorted(self.pins),
            "cuts": [cut.to_dict() for cut in self.cuts],
            "entries": [entry.to_dict() for entry in self.entries],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Tree":
        """The tree that ``to_dict`` described.

        Raises:
            HistoryError: An entry is malformed, or builds on one that is missing.
        """
        tree = cls()
        if not isinstance(data.get("entries"), list):
            raise HistoryError('this describes no conversation: it has no list of "entries".')
        try:
            tree.cuts = [Cut.from_dict(cut) for cut in data.get("cuts") or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise HistoryError(f"a stored cut is malformed: {error!r}.") from None
        waiting: list[dict[str, bool]] = []
        for number, fields in enumerate(data["entries"]):
            entry = _entry(number, fields, len(tree.cuts))
            parent = None if entry.parent is None else tree.entries[entry.parent]
            waiting.append(
                _pairs(number, entry, parent, {} if entry.parent is None else waiting[entry.parent])
            )
            tree.entries.append(entry)
        head, last = data.get("head"), len(tree.entries) - 1
        within = isinstance(head, int) and 0 <= head <= last
        tree.go(head if head is None or within else (last if last >= 0 else None))
        tree.pins = {pin for pin in data.get("pins") or () if isinstance(pin, int) and 0 <= pin <= last}
        return tree

    def tell(self, news: Entry | Json) -> None:
        """Write a piece of news to the file, if the conversation keeps itself in one."""
        if self.file is None:
            return
        from .transcript import add

        try:
            add(self.file, news)
        except OSError as error:
            warnings.warn(
                f"{self.file} is no longer saved to: {error.strerror}. history.autosave(path) starts again.",
                stacklevel=4,
            )
            self.file = None


def _entry(number: int, fields: Any, cuts: int) -> Entry:
    """A stored entry, checked."""
    try:
        entry = Entry(**copied(dict(fields)))
    except (TypeError, ValueError) as error:
        raise HistoryError(f"stored message {number} is malformed: {error}.") from None
    if entry.role not in ("user", "assistant", "system"):
        raise HistoryError(
            f"stored message {number} has the role {entry.role!r}; it is 'user', 'assistant' or 'system'."
        )
    blocks = entry.content
    if not isinstance(blocks, list) or not all(
        isinstance(one, dict) and isinstance(one.get("type"), str) for one in blocks
    ):
        raise HistoryError(f"stored message {number} is malformed: its content is no list of blocks.")
    if not blocks and entry.role != "assistant":
        raise HistoryError(f"stored message {number} is malformed: only a reply may be empty.")
    if entry.parent is not None and not (isinstance(entry.parent, int) and 0 <= entry.parent < number):
        raise HistoryError(f"stored message {number} builds on message {entry.parent}, which is missing.")
    if entry.cut is not None and not ELSEWHERE <= entry.cut < cuts:
        raise HistoryError(f"stored message {number} names cut {entry.cut}, which is missing.")
    return entry


def _pairs(number: int, entry: Entry, parent: Entry | None, waiting: dict[str, bool]) -> dict[str, bool]:
    """The tool calls that wait after an entry, given those that wait before it.

    Raises:
        HistoryError: It answers a call that does not wait, or leaves one without its result.
    """
    if entry.is_instruction:
        return waiting
    if entry.role == "assistant":
        if parent is None and entry.is_reply:
            raise HistoryError(f"stored message {number} is a reply to nothing.")
        calls = {block["id"]: True for block in entry.sendable if block["type"] == "tool_use"}
        if waiting and parent is not None and parent.role != "assistant":
            raise HistoryError(f"stored message {number} comes before the results of {', '.join(waiting)}.")
        return waiting | calls
    answered = [block.get("tool_use_id") for block in entry.content if block["type"] == "tool_result"]
    if wrong := [key for key in answered if key not in waiting]:
        raise HistoryError(
            f"stored message {number} has a result for {wrong[0]!r}, which no open call has as id."
        )
    left = {key: True for key in waiting if key not in answered}
    if left and len(answered) < len(entry.content):
        raise HistoryError(f"stored message {number} comes before the results of {', '.join(left)}.")
    return left
