"""A conversation that is valid by construction.

The API is stateless: each request carries the whole conversation. :class:`History` keeps it. What is *stored* is
everything, as the API sent it, append-only; what is *sent* is a view that the API accepts (``request()``):

- a refused or empty reply is not sent;
- an interrupted reply is sent as far as its text goes, and the next message tells the model that it was cut;
- tool calls that were cut, thinking without a signature and blank text blocks are not sent;
- neighbouring messages of one role become one message, tool results first;
- what a trim policy leaves out is not sent, nor the thinking that no longer fits what is sent before it.

The rules are those of the API's pages on stop reasons, tool use and preserved thinking. Going back (``undo``,
``edit``, running a cell again) starts a new branch and keeps the old one, so nothing that was paid for is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Never

from claude_nb import trim as trimming
from claude_nb.errors import HistoryError, PromptError
from claude_nb.trim import WHOLE, Cut, Report, Trim

from . import asking, back, cells, content, costs, keeping, panel, saying, sizes, summary, unfinished, whatif
from . import branches as comparing
from . import table as tables
from .content import Content, Json, Role, copied
from .entry import Entry
from .tree import Tree
from .view import Sent, build

if TYPE_CHECKING:
    from pathlib import Path

    from .repair import Repair

__all__ = ["Content", "History", "Role"]


class History:
    """A conversation to send with every request, kept valid whatever happens to it.

    Args:
        system: The system prompt, text or text blocks; it stays the same for the whole conversation.
        tools: Tool definitions, likewise.
        rerun: What happens when a notebook cell that added messages runs again. ``"replace"``: they give way to the
            new ones, on a new branch, and a printed line says so. ``"append"``: the new ones are added behind.
        trim: What to leave out of long conversations: a policy of :mod:`claude_nb.trim`, or several.

    Raises:
        PromptError: The system prompt is blank, or no text.
        HistoryError: Something else is not of the kind that is told here.

    Example:
        >>> history = History(system="Answer in one sentence.")
        >>> history.user("What is a token?")
        0
        >>> history.request()["messages"]
        [{'role': 'user', 'content': [{'type': 'text', 'text': 'What is a token?'}]}]
    """

    def __init__(
        self,
        *given: Never,
        system: Content | None = None,
        tools: Iterable[Any] | None = None,
        rerun: Literal["replace", "append"] = "replace",
        trim: Trim | None = None,
    ) -> None:
        if given:
            raise HistoryError(
                "History() takes its arguments by name: History(system='…'). A saved one is read by History.load(path)."
            )
        if isinstance(system, str) and not system.strip():
            raise PromptError("the system prompt is blank. Write one, or leave it out.")
        if rerun not in ("replace", "append"):
            raise HistoryError(f"rerun is {rerun!r}; it is 'replace' or 'append'.")
        self._system = None if not system else _system(system)
        self._tools = content.tools(tools)
        content.check_marks(self._system, self._tools)
        self._rerun = rerun
        self._tree = Tree()
        self.trim = trim
        self._asked: tuple[int | None, int | None] | None = None  # head and cut of the last request
        self._compacting: int | None = None  # last message of what compaction() asked to summarise
        self._ran: tuple[str | None, str | None] = (None, None)
        self._built: tuple[tuple[int | None, Cut, bool], list[Sent]] | None = None
        self._sizes = sizes.Sizes(self._system, self._tools)
        self.params: dict[str, Any] = {}
        """What :meth:`from_params` was given beside the conversation, such as ``model``; for :meth:`to_params`."""
        self.report: Report | None = None
        """What the last request left out, what that saves and costs; None before the first with a policy."""
        cells.running()  # from now on the kernel says which cell runs

    # Each of these is a function of the room that it is named after.

    user, instruct, reply = saying.user, saying.instruct, saying.reply
    results, skip_tools = saying.results, saying.skip_tools
    request = asking.request
    undo, retract, edit, rewind = back.undo, back.retract, back.edit, back.rewind
    fork, branches, switch, pin = back.fork, back.branches, back.switch, back.pin
    diff, find = comparing.diff, comparing.find
    compact, compaction = summary.compact, summary.compaction
    table, view = tables.table, panel.view
    tokens, what_if = costs.tokens, whatif.what_if
    save, autosave, to_dict, to_params = keeping.save, keeping.autosave, keeping.to_dict, keeping.to_params
    to_markdown, to_script = keeping.to_markdown, keeping.to_script

    def waiting(self) -> dict[str, str]:
        """Give the tool calls without a result, as ``{tool_use_id: tool name}``."""
        return unfinished.waiting(self._tree)

    @property
    def trim(self) -> tuple[trimming.Policy, ...]:
        """The trim policies of every request that names none of its own; can be set."""
        return self._trim

    @trim.setter
    def trim(self, trim: Trim | None) -> None:
        self._trim = trimming.policies(trim)
        self._tree.tell({"trim": trimming.described(self._trim)})

    # Where it comes from ----------------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: "str | Path") -> "History":
        """Read a conversation that :meth:`save` wrote, with its trim policies and what else was set.

        Functions are not in the file: ``Chat(history=History.load(path), tools=[…])`` takes those of its tools again.

        Raises:
            HistoryError: The file is missing, is no saved conversation, or was saved by a newer version.
        """
        from .transcript import load

        return load(keeping.as_path(path, "load"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "History":
        """Give the conversation that :meth:`to_dict` described.

        Raises:
            HistoryError: It describes none, an entry is malformed, or builds on one that is missing.
        """
        if not isinstance(data, Mapping):
            raise HistoryError(f"from_dict() takes what to_dict() gave, not {type(data).__name__}.")
        history = cls(
            system=data.get("system"), tools=data.get("tools"), rerun=data.get("rerun") or "replace"
        )
        keeping.restore(history, data)
        return history

    @classmethod
    def from_messages(
        cls, messages: Sequence[Any], *, system: Content | None = None, tools: Iterable[Any] | None = None
    ) -> "History":
        """Give a conversation made of a list of messages, as ``client.messages.create(messages=…)`` takes it.

        Args:
            messages: Dicts with ``role`` and ``content``.
            system: The system prompt.
            tools: Tool definitions.

        Raises:
            HistoryError: The list breaks a rule of the API; says which message, and how.
        """
        from .repair import repair

        repaired = repair(messages, system=system, tools=tools)
        if repaired.changes:
            first = repaired.changes[0]
            raise HistoryError(
                f"{first.where} {first.problem}. History.repair(messages) gives a valid conversation and says what "
                "it changed."
            )
        return repaired.history

    @classmethod
    def from_params(cls, params: Any) -> "History":
        """Give the conversation of a call's arguments, or of a thread of the SDK.

        Args:
            params: What ``client.messages.create(...)`` takes, as a dict, or ``client.beta.messages.thread(...)``, or
                its ``params``. What is no part of the conversation (model, limits, …) is kept in ``history.params``.

        Raises:
            HistoryError: It is neither, has no messages, or its messages break a rule of the API.

        Example:
            >>> history = History.from_params(thread)  # of client.beta.messages.thread(...)
            >>> client.beta.messages.create(**history.to_params(messages=[...]))
        """
        found = keeping.given(params)
        history = cls.from_messages(
            list(found["messages"]), system=found.get("system"), tools=found.get("tools")
        )
        history.params = keeping.others(found)
        return history

    @staticmethod
    def repair(
        messages: Sequence[Any], *, system: Content | None = None, tools: Iterable[Any] | None = None
    ) -> "Repair":
        """Make a valid conversation of a malformed list: ``.history``, and ``.changes`` that say what was done.

        Args:
            messages: Dicts with ``role`` and ``content``, or what somebody took for that.
            system: The system prompt.
            tools: Tool definitions.

        Raises:
            HistoryError: It is no list.
        """
        from .repair import repair

        return repair(messages, system=system, tools=tools)

    # Looking at it ----------------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Everything stored on this branch, as copies: also what is not sent."""
        return [{"role": entry.role, "content": copied(entry.content)} for entry in self._tree.path()]

    @property
    def entries(self) -> list[Entry]:
        """The stored messages of this branch with their stop reason, model and usage, as copies."""
        return [
            replace(
                entry, content=copied(entry.content), usage=copied(entry.usage), edits=copied(entry.edits)
            )
            for entry in self._tree.path()
        ]

    @property
    def system(self) -> Any:
        """The system prompt, or None."""
        return copied(self._system)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tool definitions."""
        found: list[Json] = copied(self._tools)
        return found

    def __len__(self) -> int:
        return len(self._tree.numbers)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        parts = [_count(len(self), "message")]
        if self._system:
            parts.append("system prompt")
        if self._tools:
            parts.append(_count(len(self._tools), "tool"))
        if waiting := self.waiting():
            parts.append(f"waits for {saying.named(waiting)}")
        return f"History({', '.join(parts)})"

    def _repr_html_(self) -> str:
        return tables.table(self, "html")

    # For the rooms of this package ------------------------------------------------------------------------------

    def _fixed(self) -> dict[str, Any]:
        """Copies of system prompt and tools, where there are any."""
        parts = {"system": copied(self._system), "tools": copied(self._tools)}
        return {name: part for name, part in parts.items() if part}

    def _view(self, cut: Cut, *, system_messages: bool) -> list[Sent]:
        """The messages under a cut; made once for as long as nothing is added."""
        key = (self._tree.head, cut, system_messages)
        if self._built is None or self._built[0] != key:
            self._built = (key, build(self._tree.path(), cut, system_messages=system_messages))
        return self._built[1]

    def _like(self) -> "History":
        """An empty conversation with the same settings."""
        other = History(system=self._system, tools=self._tools, rerun=self._rerun, trim=self.trim)
        other.params = copied(self.params)
        return other

    def _shown_cut(self) -> Cut:
        """What the last request left out, or the next one would."""
        if self._asked and self._asked[0] == self._tree.head:
            return WHOLE if self._asked[1] is None else self._tree.cuts[self._asked[1]]
        return self._tree.cut_before()


def _system(given: Any) -> Any:
    if isinstance(given, str):
        return content.as_json(given, "the system prompt")
    return content.prompt(given, "system")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
