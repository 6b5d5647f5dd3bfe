"""The widgets of the window and how they stand: standard controls, and the parts of our own between them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as controls

from claude_nb.widgets.app import Log, Part

from .files import ACCEPT

_VIEW = "application/vnd.jupyter.widget-view+json"


class Panel:
    """The widgets of one window.

    Args:
        do: Called with each wish of the reader; see ``claude_nb.widgets.app``.
    """

    def __init__(self, do: Callable[[dict[str, Any]], None]) -> None:
        self._do = do
        self._quiet = False
        self._shown_system = ""
        self.model = controls.Dropdown(description="Model")
        self.branch = controls.Dropdown(description="Conversation")
        self._opener = controls.ToggleButton(
            description="System prompt", tooltip="Show or hide the system prompt"
        )
        self.system = controls.Textarea(
            description="System prompt", placeholder="None", continuous_update=False, rows=4
        )
        self._anew = controls.Button(description="Use this system prompt")
        self._fixed = controls.Label()
        self._drawer = controls.VBox([self.system, controls.HBox([self._anew, self._fixed])])
        self.log, self.desk, self.facts = Log(do), Part("desk", do), Part("facts", do)
        self.live = controls.VBox()
        head = controls.HBox([self.model, self.branch, self._opener])
        talk = controls.VBox([self.log, self.live])
        self.desk.put(accept=ACCEPT)
        self.root = controls.VBox([head, self._drawer, talk, self.desk, self.facts])
        for widget, name in (
            (self.root, "cnb-app"),
            (head, "cnb-app-head"),
            (self._drawer, "cnb-app-drawer"),
            (talk, "cnb-app-talk"),
            (self.desk, "cnb-app-desk"),
        ):
            widget.add_class(name)
        self._drawer.layout.display = "none"
        self._wire()

    def bundle(self) -> dict[str, Any]:
        """What shows the window. Its plain text is empty: the saved transcript beside it is what a reader gets."""
        return {
            _VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.root.model_id},
            "text/plain": "",
        }

    def offer_models(self, choices: list[tuple[str, str]], current: str) -> None:
        """List the models."""
        with self._quietly():
            self.model.options = choices
            self.model.value = current

    def choose_model(self, model: str) -> None:
        """Show which model is in use."""
        names = [name for _, name in self.model.options]
        if model not in names:
            self.offer_models([*self.model.options, (model, model)], model)
        with self._quietly():
            self.model.value = model

    def offer_branches(self, branches: list[tuple[str, Any]], current: Any) -> None:
        """List the conversations; one alone needs no list."""
        with self._quietly():
            self.branch.options = branches
            self.branch.value = current
        self.branch.layout.display = None if len(branches) > 1 else "none"

    def show_system(self, text: str, *, said: bool) -> None:
        """Show the system prompt, and what can be done about it."""
        if text != self._shown_system:
            self.system.value = self._shown_system = text
        self._anew.description = "New conversation with this prompt" if said else "Use this system prompt"
        self._fixed.value = "It is fixed once something is said; this conversation is kept." if said else ""

    def _wire(self) -> None:
        self.model.observe(lambda change: self._wish("model", model=change["new"]), "value")
        self.branch.observe(lambda change: self._wish("switch", to=change["new"]), "value")
        self._opener.observe(self._open, "value")
        self._anew.on_click(lambda _: self._wish("anew", system=self.system.value))

    def _open(self, change: Any) -> None:
        self._drawer.layout.display = None if change["new"] else "none"

    def _wish(self, do: str, **how: Any) -> None:
        if not self._quiet:
            self._do({"do": do, **how})

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Change a control without its change being taken for the reader's."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before
