"""The conversation as a table with controls: ``history.view()``.

The table is a static display of its own, drawn anew after each act, so a saved notebook holds it as it was last seen.
The controls are ipywidgets' own: they work by keyboard, follow the theme, and show what was said as text, never as
markup.
"""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import ClaudeNbError, HistoryError
from claude_nb.ledger import label
from claude_nb.screens import in_notebook

from .branches import leaves, words
from .table import rows, table

if TYPE_CHECKING:
    from .history import History

_MOST_BRANCHES = 30
"""The newest ones; history.switch() takes any."""


def view(history: "History", *, page: int = 30) -> "Panel":
    """Give the conversation as a table with controls: pin, undo, edit, fork, and go on with another branch.

    Each act changes ``history`` itself, and the table shows what it is then; nothing is lost, what is left behind is a
    branch. Outside of a notebook it prints as a table.

    Args:
        history: The conversation.
        page: Messages shown at once, the newest first.

    Raises:
        HistoryError: ``page`` is no whole number of 1 or more.

    Example:
        >>> history.view()  # as the last line of a cell
    """
    if not isinstance(page, int) or isinstance(page, bool) or page < 1:
        raise HistoryError(f"page is {page!r}; it takes how many messages to show at once, such as 30.")
    return Panel(history, page)


class Panel:
    """What ``history.view()`` shows. Shown twice, it is two tables of one conversation.

    Attributes:
        history: The conversation that it shows and changes.
    """

    def __init__(self, history: "History", page: int) -> None:
        self.history, self._page = history, page
        self._shown: list[_Controls] = []

    def __repr__(self) -> str:
        first, end = _last_page(len(self.history), self._page)
        return table(self.history, "text", first=first, end=end)

    def _ipython_display_(self) -> None:
        if in_notebook():
            self._shown.append(_Controls(self.history, self._page))
            self._shown[-1].show()
        else:
            print(self)  # noqa: T201 - what a terminal shows of it


class _Controls:
    """One display of the table with its controls."""

    def __init__(self, history: "History", page: int) -> None:
        import ipywidgets as w

        self.history, self.page = history, page
        self.first, self.end = _last_page(len(history), page)
        self._seen: Any = None
        self._drawing = False
        self._table: Any = None
        wide = w.Layout(width="auto", max_width="100%")
        self.message = w.Dropdown(description="Message", layout=wide)
        self.branch = w.Dropdown(description="Branch", layout=wide)
        self.earlier, self.later = _button("Earlier", "arrow-up"), _button("Later", "arrow-down")
        self.pin = _button("Pin", "thumb-tack", "Never leave out the turn of this message")
        self.fork = _button(
            "Fork here", "code-fork", "Go on from behind this message; what follows stays a branch"
        )
        self.undo = _button("Undo", "undo", "Take back the last prompt with everything after it")
        self.edit = _button("Edit", "pencil", "Say this prompt differently and go on from there")
        self.text = w.Textarea(description="Prompt", layout=w.Layout(width="100%", height="6em"))
        self.save, self.cancel = _button("Go on with this", "check"), _button("Cancel", "times")
        self.editor = w.VBox([self.text, w.HBox([self.save, self.cancel])], layout=w.Layout(display="none"))
        self.told = w.Label()
        row = w.Layout(flex_flow="row wrap")
        self.box = w.VBox(
            [
                self.message,
                w.HBox([self.earlier, self.later, self.pin, self.fork, self.edit, self.undo], layout=row),
                self.branch,
                self.editor,
                self.told,
            ]
        )
        self._wire()

    def show(self) -> None:
        """Display the controls, and below them the table as static output."""
        from IPython.display import display

        view = self.box._repr_mimebundle_()
        data = view[0] if isinstance(view, tuple) else view
        kept = {mime: value for mime, value in data.items() if mime.endswith("widget-view+json")}
        self.draw()
        # Where no kernel runs there is nothing to control: only the table below is seen.
        display(kept | {"text/html": "", "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call] # IPython's own
        self._table = display(self._static(), raw=True, display_id=True)  # type: ignore[no-untyped-call] # likewise

    def _static(self) -> dict[str, str]:
        return {
            "text/html": table(self.history, "html", first=self.first, end=self.end),
            "text/plain": table(self.history, "text", first=self.first, end=self.end),
        }

    def _wire(self) -> None:
        acts = {
            self.pin: self._pin,
            self.fork: self._fork,
            self.undo: self._undo,
            self.edit: self._open,
            self.save: self._edit,
            self.cancel: self._close,
            self.earlier: lambda: self._turn(-self.page),
            self.later: lambda: self._turn(self.page),
        }
        for button, act in acts.items():
            button.on_click(lambda _, act=act: self._act(act))
        self.message.observe(lambda _: self._act(self._chosen), names="value")
        self.branch.observe(lambda _: self._act(self._switch), names="value")

    # What each control does: it gives what is then told below.

    def _act(self, act: Any) -> None:
        if self._drawing:
            return
        try:
            if self._seen == self._state():
                told = act()
            else:
                told = "The conversation has changed in the meantime. This is what it is now."
                self._turn_to_end()
        except ClaudeNbError as error:
            told = str(error)
        self.draw()
        self.told.value = told
        if self._table is not None:
            self._table.update(self._static(), raw=True)

    def _pin(self) -> str:
        on = not self._is_pinned()
        self.history.pin(self.message.value, on=on)
        return f"Message {self.message.value} is {'pinned: its turn is always sent' if on else 'no longer pinned'}."

    def _fork(self) -> str:
        old = self.history.rewind(self.message.value)
        self._turn_to_end()
        return f"It goes on from message {len(self.history) - 1}. The rest is kept: branch {old}."

    def _undo(self) -> str:
        self.history.undo()
        self._turn_to_end()
        return "The last prompt is taken back. Its branch is kept."

    def _switch(self) -> str:
        self.history.switch(self.branch.value)
        self._turn_to_end()
        return f"It goes on with branch {self.branch.value}."

    def _open(self) -> str:
        entry = self.history.entries[self.message.value]
        if not entry.is_prompt:
            raise HistoryError(
                f"Message {self.message.value} is no prompt: only what the user said can be edited."
            )
        self.text.value = entry.text
        self.editor.layout.display = ""
        return f"Say message {self.message.value} differently."

    def _edit(self) -> str:
        at = self.message.value
        others = [block for block in self.history.entries[at].content if block["type"] != "text"]
        text = self.text.value
        with label(
            cell="history.view()"
        ):  # not the cell that ran last, whose messages running it again replaces
            self.history.edit(at, [*others, {"type": "text", "text": text}] if others else text)
        self._turn_to_end()
        return f"Message {at} is said differently. The old branch is kept."

    def _close(self) -> str:
        self.editor.layout.display = "none"
        return ""

    def _chosen(self) -> str:
        return ""

    def _turn(self, by: int) -> str:
        self.first = max(0, min(self.first + by, len(self.history) - 1))
        self.end = min(self.first + self.page, len(self.history))
        return f"Messages {self.first} to {self.end - 1} of {len(self.history):,}."

    def _turn_to_end(self) -> None:
        self.first, self.end = _last_page(len(self.history), self.page)

    # What is shown

    def draw(self) -> None:
        """Bring every control up to date."""
        self._drawing = True
        try:
            self._draw()
        finally:
            self._drawing = False
        self._seen = self._state()

    def _draw(self) -> None:
        history, opened = self.history, self.editor.layout.display == ""
        chosen = self.message.value
        tree = history._tree
        shown = rows(history, range(self.first, self.end))
        places = [row.at for row in shown]
        chosen = chosen if chosen in places else (places[-1] if places else None)
        _offer(self.message, [(f"{row.at}  {row.role}: {row.words[:60]}", row.at) for row in shown], chosen)
        found = leaves(tree.entries, tree.head)[-_MOST_BRANCHES:]
        found = found if tree.head in found or tree.head is None else [*found, tree.head]
        sizes = [len(tree.line(one)) for one in found]
        labels = [
            f"{one}  {size} message{'' if size == 1 else 's'}: {words(tree.entries[one], 60)}"
            for one, size in zip(found, sizes, strict=True)
        ]
        _offer(self.branch, list(zip(labels, found, strict=True)), tree.head)
        entry = tree.entries[tree.numbers[self.message.value]] if places else None
        self.pin.description = "Unpin" if entry and self._is_pinned() else "Pin"
        self.pin.disabled = self.fork.disabled = self.message.disabled = entry is None
        self.edit.disabled = entry is None or not entry.is_prompt
        self.undo.disabled = not any(one.role == "user" for one in tree.path())
        self.branch.disabled = len(found) < 2  # noqa: PLR2004 - one is no choice
        self.earlier.disabled, self.later.disabled = self.first == 0, self.end >= len(history)
        paged = len(history) > self.page
        self.earlier.layout.display = self.later.layout.display = "" if paged else "none"
        if opened and self._seen != self._state():
            self.editor.layout.display = "none"

    def _is_pinned(self) -> bool:
        tree = self.history._tree
        return tree.numbers[self.message.value] in tree.pins

    def _state(self) -> tuple[Any, ...]:
        tree = self.history._tree
        return tree.head, len(tree.entries), frozenset(tree.pins)


def _button(title: str, icon: str, tip: str = "") -> Any:
    import ipywidgets as w

    return w.Button(description=title, icon=icon, tooltip=tip or title, layout=w.Layout(width="auto"))


def _offer(choice: Any, options: list[tuple[str, int]], value: int | None) -> None:
    """Give a dropdown its options and choice; what is the same stays, so that the page keeps its focus."""
    if list(choice.options) != options:
        choice.options = options
    if choice.value != value:
        choice.value = value


def _last_page(length: int, page: int) -> tuple[int, int]:
    """The newest messages, as ``(first, end)``."""
    return max(0, length - page), length
