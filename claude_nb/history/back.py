"""Going back in a conversation, and other ways it went. Nothing is lost: what is left behind is a branch."""

from typing import TYPE_CHECKING

from claude_nb.errors import HistoryError

from . import branches as comparing
from . import content, saying
from .branches import Branch
from .content import Content
from .entry import Entry

if TYPE_CHECKING:
    from .history import History

_SUMMARISED = (
    "what came before is summarised. history.branches() lists the branches with all of it; "
    "history.switch(number) goes back to one."
)


def undo(history: "History") -> str:
    """Take back the last prompt with everything after it, and give its text. The old branch is kept.

    Where an instruction was given last, that alone is taken back.

    Raises:
        HistoryError: There is no prompt to take back.
    """
    tree = history._tree
    for number in reversed(tree.numbers):
        entry = tree.entries[number]
        if entry.summary_of is not None:
            raise HistoryError(_SUMMARISED)
        if entry.is_prompt or (entry.is_instruction and number == tree.head):
            tree.go(entry.parent)
            return entry.text
    raise HistoryError("there is no prompt to take back: the conversation is empty.")


def retract(history: "History") -> None:
    """Take back the last reply, so that the same can be asked again. Its branch is kept.

    Raises:
        HistoryError: The conversation does not end with a reply.
    """
    last = history._tree.last
    if last is not None and last.role == "assistant" and not last.is_reply:
        raise HistoryError(_SUMMARISED)
    if last is None or last.role != "assistant":
        raise HistoryError("there is no reply to take back: the conversation does not end with one.")
    history._tree.go(last.parent)


def edit(history: "History", at: int, content: Content) -> int:
    """Say the prompt at place ``at`` differently and go on from there. The old branch is kept.

    Editing a summary keeps what follows it.

    Args:
        history: The conversation.
        at: A place as given by ``user()``, counted from 0; negative counts from the end.
        content: The new message.

    Raises:
        HistoryError: There is no prompt of the user at this place.
    """
    tree, path = history._tree, history._tree.path()
    prompts = [place for place, entry in enumerate(path) if entry.is_prompt]
    if (
        not isinstance(at, int)
        or isinstance(at, bool)
        or at % max(1, len(path)) not in prompts
        or (not -len(path) <= at < len(path))
    ):
        raise HistoryError(f"there is no prompt at place {at!r}; prompts are at {prompts}.")
    blocks, entry = _prompt(content), path[at]
    follow = tree.numbers[at % len(path) + 1 :] if entry.summary_of is not None else []
    tree.go(entry.parent)
    place = saying.add(history, Entry("user", blocks, summary_of=entry.summary_of))
    tree.append_again(follow)
    return place


def rewind(history: "History", at: int) -> int:
    """Go on from behind the message at place ``at``, and give the number of the branch that is left for ``switch()``.

    What came after is kept on its branch; :meth:`fork` gives a conversation of its own instead.

    Args:
        history: The conversation.
        at: A place, counted from 0; negative counts from the end.

    Raises:
        HistoryError: There is no such message.
    """
    tree = history._tree
    number, old = tree.numbers[_place(history, at)], tree.numbers[-1]
    tree.go(number)
    return old


def fork(history: "History", at: int | None = None) -> "History":
    """Give a conversation of its own with the first ``at`` messages of this one (default: all of them).

    Raises:
        HistoryError: There are fewer messages than that.
    """
    path, tree = history._tree.path(), history._tree
    whole = isinstance(at, int) and not isinstance(at, bool)
    if at is not None and not (whole and -len(path) <= at <= len(path)):
        raise HistoryError(f"cannot fork at {at!r}: the conversation has {len(path)} messages.")
    other = history._like()
    other._tree.cuts = list(tree.cuts)
    for number, entry in zip(tree.numbers, path[:at], strict=False):
        place = other._tree.append(entry)
        if number in tree.pins:
            other.pin(place)
    return other


def branches(history: "History") -> list[Branch]:
    """Give every way the conversation went: also those that ``undo``, ``edit`` and running a cell again left."""
    tree, found = history._tree, []
    for number in comparing.leaves(tree.entries, tree.head):
        numbers = tree.line(number)
        shared = sum(1 for one, other in zip(numbers, tree.numbers, strict=False) if one == other)
        text = comparing.words(tree.entries[number])
        found.append(Branch(number, len(numbers), shared, number == tree.head, text))
    return found


def switch(history: "History", branch: int | Branch) -> None:
    """Go on with another branch, as listed by :meth:`branches`. The current one is kept.

    Raises:
        HistoryError: There is no such branch.
    """
    number = branch.number if isinstance(branch, Branch) else branch
    known = [one.number for one in branches(history)]
    if number not in known:
        raise HistoryError(f"there is no branch {branch!r}; the branches are {known} (numbers, not places).")
    history._tree.go(number)


def pin(history: "History", at: int, *, on: bool = True) -> None:
    """Never leave out the turn with the message at place ``at``, whatever the trim policy.

    Args:
        history: The conversation.
        at: A place, counted from 0; negative counts from the end.
        on: False takes the pin away.

    Raises:
        HistoryError: There is no such message.
    """
    history._tree.pin(_place(history, at), on=on)


def _place(history: "History", at: object) -> int:
    """A place of the conversation.

    Raises:
        HistoryError: There is none like that.
    """
    length = len(history)
    if not isinstance(at, int) or isinstance(at, bool) or not -length <= at < length:
        raise HistoryError(f"there is no message at place {at!r}: the conversation has {length}.")
    return at


_prompt = content.prompt
