"""Which cell adds a message, so that running it again replaces its turn instead of doubling it."""

from dataclasses import dataclass
from uuid import uuid4

from claude_nb.ledger.labels import current, follow_cells

from .tree import Tree

_SESSION = uuid4().hex[:8]  # execution counts start anew with each kernel


def running() -> tuple[str | None, str | None]:
    """The running cell and its execution; None and None outside of a notebook, or where it does not name its cells."""
    follow_cells()
    labels = current()
    if labels.cell_id is None:
        return None, None
    return f"{labels.notebook or ''}#{labels.cell_id}", f"{_SESSION}:{labels.cell}"


@dataclass(frozen=True)
class Replaced:
    """What gave way to a new execution of a cell: the old branch, and how many messages of other cells are on it."""

    branch: int
    later: int


def replace(tree: Tree, cell: str | None, run: str | None) -> Replaced | None:
    """Go back to before what earlier executions of the cell added; None where they added nothing."""
    entries = tree.path() if cell is not None else []
    mine = [entry.cell == cell and entry.run != run for entry in entries]
    if tree.head is None or True not in mine:
        return None
    first, head = mine.index(True), tree.head
    tree.go(entries[first].parent)
    return Replaced(head, mine[first:].count(False))


def say(replaced: Replaced) -> None:
    """Tell that an earlier turn was replaced, and how to get it back."""
    later = replaced.later
    lost = f", with {later} later message{'' if later == 1 else 's'}," if later else ""
    print(  # noqa: T201 - the reader must see that the conversation went on elsewhere
        f"claude_nb: this cell ran before, so its turn is replaced. The earlier one{lost} is kept: "
        f"history.switch({replaced.branch}). To add instead: History(rerun='append')."
    )
