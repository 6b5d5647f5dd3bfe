"""Which cell adds a message, so that running it again replaces its turn instead of doubling it."""

from uuid import uuid4

from claude_nb.ledger.labels import current, follow_cells

_SESSION = uuid4().hex[:8]  # execution counts start anew with each kernel


def running() -> tuple[str | None, str | None]:
    """The running cell and its execution; None and None outside of a notebook, or where it does not name its cells."""
    follow_cells()
    labels = current()
    if labels.cell_id is None:
        return None, None
    return f"{labels.notebook or ''}#{labels.cell_id}", f"{_SESSION}:{labels.cell}"


def say(number: int, later: int) -> None:
    """Tell that an earlier turn was replaced, and how to get it back."""
    lost = f", with {later} later message{'' if later == 1 else 's'}" if later else ""
    print(  # noqa: T201 - the reader must see that the conversation went on elsewhere
        f"claude_nb: this cell ran before, so its turn is replaced. The earlier one{lost} is kept: "
        f"history.switch({number}). To add instead: History(rerun='append')."
    )
