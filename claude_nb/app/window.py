"""The chat window: what the reader does with it, and how that reaches the talk and the history."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

from claude_nb.errors import ClaudeNbError
from claude_nb.history import History
from claude_nb.screens import in_notebook
from claude_nb.steps import Ask, Run

from .facts import known_models, look_up
from .files import File
from .mirror import Mirror, follow_cells
from .panel import Panel
from .question import Question
from .talk import Live, Talk
from .transcript import system_text
from .words import told

if TYPE_CHECKING:
    from claude_nb.chat import Chat

_ANY_TIME = ("send", "attach", "detach", "model", "dismiss")  # wishes that do not touch the reply under way
_WISHES = (*_ANY_TIME, "edit", "cancel", "fork", "switch", "anew")
_WAIT = "Wait for the reply, or stop it first with Escape."


def open_window(chat: "Chat") -> "Window":
    """Give the one window of a chat.

    Raises:
        ClaudeNbError: There is no notebook to show it in.
    """
    if not in_notebook():
        raise ClaudeNbError('chat.app() opens a window in a Jupyter notebook; here use chat.send("…").')
    window: Window = vars(chat).get("_window") or Window(chat)
    vars(chat)["_window"] = window
    return window


@dataclass
class _Sent:
    """A message on its way, to be given back should it not be kept."""

    text: str
    files: list[File] = field(default_factory=list)
    edited: int | None = None
    branch: int | None = None  # what to return to
    before: int | None = None  # messages before it; None until it may begin


class Window:
    """A chat window for a notebook cell; ``chat.app()`` gives it, and displaying it opens it.

    Attributes:
        chat: Whose window it is. What is said here is in ``chat.history``.
    """

    def __init__(self, chat: "Chat") -> None:
        if chat._client is None:  # noqa: SLF001 - the window is the chat's own
            from claude_nb.client import connect

            chat._client = connect()  # noqa: SLF001 - likewise
        self.chat = chat
        self._lock = RLock()
        self._panel = Panel(self._do)
        self._mirror = Mirror(chat, self._panel)
        self._question = Question(lambda ask: self._panel.desk.put(ask=ask))
        self._files: list[File] = []
        self._arriving: dict[str, bytes] = {}
        self._editing: int | None = None
        self._sent: _Sent | None = None
        self._live: Live | None = None
        self._drafts = 0
        loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
        self._talk = Talk(chat, self, loop)
        self._mirror.offer_models(known_models())
        self._looking = look_up(chat._client, loop, self._found_models)  # noqa: SLF001 - likewise
        self._mirror.show()
        follow_cells(self.look)

    @property
    def histories(self) -> list[History]:
        """Every conversation this window has had, the current one included."""
        return list(self._mirror.histories)

    def __repr__(self) -> str:
        return f"Window({self.chat!r})"

    def _ipython_display_(self, **_: Any) -> None:
        from IPython.display import display

        display(self._panel.bundle(), raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
        with self._lock:
            self._mirror.save_here()

    # What the reader does ---------------------------------------------------------------------------------------

    def _do(self, wish: dict[str, Any]) -> None:
        """Do what the reader wants; called by the page, possibly in another thread."""
        match wish:
            case {"do": "stop"}:  # without the lock: it never waits
                self._stop()
            case {"do": "answer", "yes": yes}:
                self._question.settle(yes=yes is True)
            case {"want": want}:
                with self._lock:
                    (self._mirror.send_saved if want == "saved" else self._mirror.send_items)()
            case {"do": str(name), **how} if name in _WISHES:
                with self._lock:
                    if self._sent is None or name in _ANY_TIME:
                        getattr(self, f"_{name}")(**how)
                    else:
                        self._mirror.show_choices()
                        self._say(_WAIT)

    def _send(self, text: str, n: str) -> None:
        """Send what is written, with the files attached; in place of an earlier prompt where one is edited."""
        self._panel.desk.put(accepted=n)
        if self._sent is not None:
            self._give_back(_Sent(text))
            self._say(_WAIT)
            return
        self._sent = sent = _Sent(text, self._files, self._editing)
        self._files, self._editing = [], None
        content = [*self._attached_to(sent.edited), *(file.block for file in sent.files)]
        content += [{"type": "text", "text": text}] if text.strip() else []
        self._panel.desk.put(busy="Sending", stopping=False, editing=None, notice=None, draft=None, files=[])
        try:
            self._talk.say(content or text, lambda: self._make_room(sent))
        except ClaudeNbError as error:
            self.ended(error)

    def _attached_to(self, place: int | None) -> list[dict[str, Any]]:
        """What a prompt has beside its words."""
        if place is None:
            return []
        return [block for block in self.chat.history.entries[place].content if block.get("type") != "text"]

    def _make_room(self, sent: _Sent) -> None:
        """Go back to before the edited prompt. Its branch is kept."""
        history = self.chat.history
        if sent.edited is not None:
            sent.branch = next((one.number for one in history.branches() if one.current), None)
            while len(history) > sent.edited:
                history.undo()
        sent.before = len(history)

    def _stop(self) -> None:
        if self._sent is not None:
            self._panel.desk.put(stopping=True)
            self._question.settle(yes=False)
            self._talk.stop()

    def _edit(self, at: int) -> None:
        entries = self.chat.history.entries
        if 0 <= at < len(entries) and entries[at].is_prompt:
            self._editing = at
            self._draft(entries[at].text, instead=True)

    def _cancel(self) -> None:
        self._editing = None
        self._draft("", instead=True)

    def _attach(self, name: str, data: bytes = b"", *, more: bool = False) -> None:
        """Take a file, which comes in pieces."""
        arrived = self._arriving.pop(name, b"") + data
        if more:
            self._arriving[name] = arrived
            return
        try:
            self._files.append(File.read(name, arrived))
        except ClaudeNbError as error:
            self._say(str(error), "bad")
        self._show_files()

    def _detach(self, at: int) -> None:
        self._files[at : at + 1] = []
        self._show_files()

    def _model(self, model: str) -> None:
        self.chat.model = model
        self._mirror.show_facts()

    def _dismiss(self) -> None:
        self._say("")

    def _fork(self, at: int) -> None:
        self._go_to(self.chat.history.fork(at + 1))
        self._say("This is a copy up to here, and chat.history is it now. The whole is in the list above.")

    def _switch(self, to: tuple[int, int | None]) -> None:
        index, number = to
        history = self._mirror.histories[index]
        if number is not None:
            history.switch(number)
        self._go_to(history)

    def _anew(self, system: str) -> None:
        """Begin another conversation: a system prompt is fixed once something is said."""
        old = self.chat.history
        new = old.fork(0)
        if system.strip() != system_text(old).strip():
            new = History(system=system if system.strip() else None, tools=old.tools, trim=old.trim)
        if not len(old):
            self._mirror.histories.remove(old)
        self._go_to(new)
        if len(old):
            self._say(
                "A new conversation: chat.history is this one now. The earlier one is in the list above."
            )

    def _go_to(self, history: History) -> None:
        self._editing = None
        self._panel.desk.put(editing=None)
        self.chat.history = history
        self._say("")
        self._mirror.show()

    # What the talk tells (Stage) --------------------------------------------------------------------------------

    def step(self, step: Ask | Run) -> Live | None:
        """Show what was said so far, and a place for what comes."""
        with self._lock:
            asks = isinstance(step, Ask)
            self._mirror.show_step(self.chat.model if asks else None)
            self._clear_live()
            if isinstance(step, Run):
                names = ", ".join(dict.fromkeys(str(call.name) for call in step.calls))
                self._panel.desk.put(busy=f"Running {names}")
                return None
            self._panel.desk.put(busy="Answering")
            self._live = Live(self._panel.live)
            return self._live

    def allow(self, name: str, given: dict[str, Any]) -> bool:
        """Ask in the window whether a tool may run; Stop is a no."""
        return self._question.ask(name, given)

    def ended(self, error: BaseException | None) -> None:
        """Show how it went; what was not kept is given back."""
        with self._lock:
            sent, self._sent = self._sent, None
            history = self.chat.history
            lost = sent is not None and (sent.before is None or len(history) <= sent.before)
            if sent is not None and lost:
                if sent.branch is not None:
                    history.switch(sent.branch)
                self._give_back(sent)
            try:
                self._mirror.show()
            finally:  # whatever is wrong with showing it, the next message can be sent
                self._clear_live()
                self._panel.desk.put(busy=None, stopping=False, ask=None)
            back = " Your message is back below." if lost else ""
            if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
                self._say(f"Stopped before a reply began.{back}" if lost else "")
            else:
                self._say(f"{told(error)}{back}" if error is not None else "", "bad")

    def _give_back(self, sent: _Sent) -> None:
        self._files, self._editing = [*sent.files, *self._files], sent.edited
        self._show_files()
        self._draft(sent.text)

    # What is shown ----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Show what cells did to the conversation."""
        with self._lock:
            if self._sent is None:
                self._mirror.show_changes()

    def _found_models(self, models: list[Any]) -> None:
        with self._lock:
            self._mirror.offer_models(models)
            self._mirror.show_facts()

    def _say(self, text: str, tone: str = "muted") -> None:
        self._panel.desk.put(notice={"text": text, "tone": tone} if text else None)

    def _draft(self, text: str, *, instead: bool = False) -> None:
        """Put a text into the field, before what is written there or instead of it."""
        self._drafts += 1
        self._panel.desk.put(
            editing=self._editing, draft={"n": self._drafts, "text": text, "instead": instead}
        )

    def _show_files(self) -> None:
        self._panel.desk.put(files=[file.label for file in self._files])

    def _clear_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.close()
