"""The requests that a conversation made, on whichever branch, and what each message was in tokens."""

from collections.abc import Iterable
from dataclasses import dataclass

from claude_nb.models import Model

from . import sizes
from .branches import leaves
from .entry import ELSEWHERE, Entry
from .tree import Tree


@dataclass(frozen=True)
class Request:
    """One request, by the reply that came.

    Attributes:
        number: Number of the reply.
        entry: The reply.
        real: Numbers of the messages before it, on its branch.
        asked_at: When it was asked for, in seconds since the epoch; None where that is not known.
    """

    number: int
    entry: Entry
    real: list[int]
    asked_at: float | None


class Lines:
    """The messages before each request, with summaries or with what they stand for.

    Args:
        tree: The conversation.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._same = _copies(tree)

    def requests(self) -> list[Request]:
        """Every request, in the order in which they were made; copies behind a summary are none."""
        found = []
        for number, entry in enumerate(self.tree.entries):
            if entry.is_reply and number not in self._same:
                real = self.tree.line(number)[:-1]
                found.append(Request(number, entry, real, self.tree.entries[real[-1]].at if real else None))
        return found

    def before(self, real: list[int], happened: Iterable[int] = ()) -> list[int]:
        """The messages of a branch with each summary replaced by what it stands for, unless it ``happened``."""
        root = self.tree.entries[real[0]] if real else None
        if root is None or root.summary_of in (None, ELSEWHERE) or real[0] in happened:
            return real
        assert root.summary_of is not None  # noqa: S101 - told by the line above
        whole = self.before(self.tree.line(root.summary_of), happened)
        known = set(whole)
        rest = [self._same.get(number, number) for number in real[1:]]
        return whole + [number for number in rest if number not in known]

    def summary_after(self, number: int) -> int | None:
        """The summary that stands for everything up to a message, where one was made."""
        found = (at for at, entry in enumerate(self.tree.entries) if entry.summary_of == number)
        return next(found, None)

    def turn_of(self, line: list[int]) -> int:
        """Number of the turn that a line ends in, counted from 1."""
        return sum(self.tree.entries[number].is_prompt for number in line)


def _copies(tree: Tree) -> dict[int, int]:
    """Messages that were taken over behind a summary, by number, and the numbers of the originals."""
    if all(entry.summary_of is None for entry in tree.entries):
        return {}
    first: dict[tuple[object, ...], int] = {}
    found: dict[int, int] = {}
    summarised: set[int] = set()  # messages behind a summary
    for number, entry in enumerate(tree.entries):
        if entry.summary_of is not None or entry.parent in summarised:
            summarised.add(number)
        key = (entry.role, entry.at, repr(entry.content))
        if key in first and number in summarised and entry.summary_of is None:
            found[number] = found.get(first[key], first[key])
        first.setdefault(key, number)
    return found


def tokens_of(tree: Tree, known: sizes.Sizes, model: Model) -> tuple[int, dict[int, int]]:
    """Tokens of system and tools, and of each message by number: as measured where that can be told.

    Args:
        tree: The conversation.
        known: Its estimates.
        model: Whose tokens; those measured with another tokenizer are converted by the estimates.
    """
    found: dict[int, int] = {}
    fixed = known.fixed(model)
    ends = leaves(tree.entries, tree.head)
    for end in sorted(ends, key=lambda number: number != tree.head):
        branch = Tree()
        branch.entries, branch.numbers = tree.entries, tree.line(end)
        own = sizes.model_of(branch.path())
        head, rows, _ = known.measured(branch)
        if end == tree.head:
            fixed = _converted(head["tokens"], known.fixed(own), known.fixed(model))
        for number, row in zip(branch.numbers, rows, strict=True):
            if number not in found:
                theirs, mine = (known.item(tree, number, one).tokens for one in (own, model))
                found[number] = _converted(row["tokens"], theirs, mine)
    return fixed, found


def _converted(tokens: int, theirs: int, mine: int) -> int:
    return tokens if theirs == mine or not theirs else round(tokens * mine / theirs)
