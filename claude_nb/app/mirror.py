"""Shows a conversation where it is to be seen: in the window, and in the saved notebook."""

import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .facts import choices, facts
from .panel import Panel
from .transcript import awaited, items_of, name_of, saved_of, system_text

if TYPE_CHECKING:
    from claude_nb.chat import Chat
    from claude_nb.history import History


class Mirror:
    """What the panel and the saved outputs show of a chat.

    Attributes:
        histories: Every conversation to choose from; the chat's own is always among them.
    """

    def __init__(self, chat: "Chat", panel: Panel) -> None:
        self.histories: list[History] = []
        self._chat, self._panel = chat, panel
        self._outputs: dict[str | None, Any] = {}  # by cell: one that runs again has a new output
        self._windows: dict[str, int] = {}  # context windows in tokens, as the server lists them
        self._seen: Any = None

    def save_here(self) -> None:
        """Show the transcript below the running cell, and keep it up to date."""
        from IPython.display import display

        from claude_nb.ledger.labels import current

        bundle, _ = saved_of(self._chat.history, items_of(self._chat.history))
        self._outputs[current().cell_id] = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types

    def show(self) -> None:
        """Show everything as it is now."""
        history = self._chat.history
        if not any(one is history for one in self.histories):
            self.histories.append(history)
        items = items_of(history)
        bundle, stamp = saved_of(history, items)
        for output in self._outputs.values():
            output.update(bundle, raw=True)
        self._panel.log.show([item.to_dict() for item in items], root=self._panel.root.model_id, stamp=stamp)
        self.show_choices()
        self.show_facts()
        self._seen = self._now()

    def show_changes(self) -> None:
        """Show what cells did to the conversation, if they did."""
        if self._now() != self._seen:
            self.show()

    def show_step(self, model: str | None) -> None:
        """Show what was said so far, while the turn goes on; and who speaks next, where a reply is awaited."""
        items = items_of(self._chat.history)
        items += [awaited(name_of(model), len(items))] if model else []
        self._panel.log.show([item.to_dict() for item in items], root=self._panel.root.model_id, stamp="")

    def show_facts(self) -> None:
        """Show model, cost and context."""
        self._panel.facts.put(**facts(self._chat, self._windows.get(self._chat.model)))
        self._panel.choose_model(self._chat.model)

    def offer_models(self, models: list[Any]) -> None:
        """List the models to choose from."""
        sizes = {
            model.id: getattr(model, "max_input_tokens", None) for model in models if hasattr(model, "id")
        }
        self._windows = {name: size for name, size in sizes.items() if isinstance(size, int)}
        self._panel.offer_models(choices(models, self._chat.model), self._chat.model)

    def send_items(self) -> None:
        """Send everything to a page that lacks it."""
        self._panel.log.again()

    def send_saved(self) -> None:
        """Send the saved output to a page whose notebook lacks it."""
        bundle, _ = saved_of(self._chat.history, items_of(self._chat.history))
        self._panel.log.send({"saved": bundle})

    def show_choices(self) -> None:
        """Show the conversations to choose from, and the system prompt of this one."""
        options: list[tuple[str, Any]] = []
        current: Any = None
        for index, history in enumerate(self.histories):
            for branch in history.branches():
                here = branch.current and history is self._chat.history
                if here:
                    current = (index, branch.number)
                elif history._tree.entries[branch.number].is_prompt:  # noqa: SLF001 - what branches() does not tell
                    continue  # a prompt that was taken back, since no reply came
                options.append((f"{branch.messages} messages: {branch.text}", (index, branch.number)))
        if current is None:
            current = (len(self.histories) - 1, None)
            options.append(("new", current))
        numbered = [(f"{place}. {label}", value) for place, (label, value) in enumerate(options, 1)]
        self._panel.offer_branches(numbered, current)
        self._panel.show_system(system_text(self._chat.history), said=len(self._chat.history) > 0)

    def _now(self) -> Any:
        history = self._chat.history
        head = [branch.number for branch in history.branches() if branch.current]
        return id(history), len(history), head, self._chat.model


def follow_cells(look: Callable[[], None]) -> None:
    """Call a window's ``look`` after every cell, as long as the window lives."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    found = weakref.WeakMethod(look)

    def after(*_: Any) -> None:
        if (alive := found()) is not None:
            alive()

    if shell is not None:
        shell.events.register("post_run_cell", after)
