"""Replies that arrive at the same time, side by side in the cell while they stream; gone when all are there."""

from collections.abc import Callable, Sequence
from typing import Any, Self

from .screens import in_notebook
from .turn import Chip, Op, State


class Columns:
    """A live view for each reply, in columns; outside of a notebook nothing is shown.

    Args:
        labels: The headings, one a column.
        display: False shows nothing.
    """

    def __init__(self, labels: Sequence[str], *, display: bool = True) -> None:
        self._views: list[Any] = []
        self._outboxes: list[Any] = []
        self._row: Any = None
        self._handle: Any = None
        if display and in_notebook():
            self._make(labels)

    def __enter__(self) -> Self:
        if self._row is not None:
            from IPython.display import display

            bundle = self._row._repr_mimebundle_()
            view = {mime: value for mime, value in bundle.items() if mime.endswith("widget-view+json")}
            self._handle = display(view, raw=True, display_id=True)  # type: ignore[no-untyped-call] # IPython's own
        return self

    def __exit__(self, *error: object) -> None:
        for outbox in self._outboxes:
            outbox.flush()
        if self._handle is not None:
            self._handle.update({}, raw=True)
            for box in (*self._views, *self._row.children, self._row):
                box.close()

    def draw(self, place: int, ops: Sequence[Op]) -> None:
        """Follow the reply of a column by some display operations; from any thread."""
        if not self._outboxes:
            return
        for op in ops:
            if op[0] == "add":
                self._outboxes[place].add(op[1], op[2])
            else:
                self._outboxes[place].put(op)

    def end(self, place: int, chips: Sequence[Chip], state: State) -> None:
        """Show how the reply of a column ended."""
        self.draw(place, [["state", state], ["footer", list(chips)]])

    def on_stop(self, place: int, stop: Callable[[], None]) -> None:
        """Call ``stop()`` when Stop is pressed in a column."""
        if self._views:
            self._views[place].on_stop(stop)

    def _make(self, labels: Sequence[str]) -> None:
        from ipywidgets import HBox, Label, Layout, VBox

        from .widgets.stream import Outbox, StreamView

        self._views = [StreamView() for _ in labels]
        self._outboxes = [Outbox(view.push) for view in self._views]
        for view, outbox in zip(self._views, self._outboxes, strict=True):
            view.on_pace(outbox.pace)
        column = Layout(
            flex="1 1 20em", min_width="0", padding="0 12px", border_left="2px solid rgba(128,128,128,.4)"
        )
        headings = [Label(label, style={"font_weight": "bold"}) for label in labels]
        for heading in headings:  # "$5 and $6" is money
            heading.add_class("mathjax_ignore").add_class("tex2jax_ignore")
        boxes = [VBox(column_of, layout=column) for column_of in zip(headings, self._views, strict=True)]
        self._row = HBox(boxes, layout=Layout(flex_flow="row wrap"))
        for place in range(len(labels)):
            self.draw(place, [["state", {"phase": "waiting", "text": "Waiting for the first token"}]])
