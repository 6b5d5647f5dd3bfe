"""A conversation that is valid by construction.

The API is stateless: each request carries the whole conversation. :class:`History` keeps it. What is *stored* is
everything, as the API sent it, append-only; what is *sent* is a view that the API accepts (``request()``):

- a refused or empty reply is not sent;
- an interrupted reply is sent as far as its text goes, and the next message tells the model that it was cut;
- tool calls that were cut, thinking without a signature and blank text blocks are not sent;
- neighbouring messages of one role become one message, tool results first.

The rules are those of the API's pages on stop reasons, tool use and preserved thinking. Going back (``undo``,
``edit``) starts a new branch and keeps the old one, so nothing that was paid for is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

from .errors import HistoryError, PromptError

Content = str | Sequence[Mapping[str, Any]]
Role = Literal["user", "assistant"]

CUT_NOTE = "[Note: your reply above was interrupted before it was complete.]"

_THINKING = ("thinking", "redacted_thinking")
_UNSENT_FIELDS = ("parsed_output",)  # the SDK's own, the API refuses it


@dataclass(frozen=True)
class Entry:
    """One stored message.

    Attributes:
        role: ``"user"`` or ``"assistant"``.
        content: Content blocks as the API takes or sent them.
        parent: Number of the entry before it on its branch; None for a first message.
        stop_reason: Why a reply ended; None for a user's message and for an interrupted reply.
        model: The model that replied, as the server named it.
        usage: The reply's usage as the server reported it, in tokens.
        simulated: Whether the offline sandbox replied, not a model.
    """

    role: Role
    content: list[dict[str, Any]]
    parent: int | None = None
    stop_reason: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    simulated: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether this is a reply that was cut on its way."""
        return self.role == "assistant" and self.stop_reason is None

    @property
    def is_results(self) -> bool:
        """Whether this is a message of tool results rather than a prompt."""
        return self.role == "user" and any(block.get("type") == "tool_result" for block in self.content)

    @property
    def text(self) -> str:
        """Its text blocks, joined by line breaks."""
        return "\n".join(block["text"] for block in self.content if block.get("type") == "text")


class History:
    """A conversation to send with every request, kept valid whatever happens to it.

    Args:
        system: The system prompt, text or text blocks; it stays the same for the whole conversation.
        tools: Tool definitions, likewise.

    Example:
        >>> history = History(system="Answer in one sentence.")
        >>> history.user("What is a token?")
        0
        >>> history.request()["messages"]
        [{'role': 'user', 'content': [{'type': 'text', 'text': 'What is a token?'}]}]
    """

    def __init__(self, *, system: Content | None = None, tools: Iterable[Any] | None = None) -> None:
        self._system = (
            deepcopy(system) if isinstance(system, str) else _blocks(system, "system") if system else None
        )
        if isinstance(self._system, str) and not self._system.strip():
            raise PromptError("the system prompt is blank. Write one, or leave it out.")
        self._tools = [_tool(tool) for tool in tools or ()]
        self._entries: list[Entry] = []
        self._head: int | None = None

    # What is said -----------------------------------------------------------------------------------------------

    def user(self, content: Content) -> int:
        """Add the user's message and give its place in the conversation.

        Args:
            content: Text, or a list of content blocks (text, image, document).

        Raises:
            PromptError: The message is empty or not of a kind the API takes.
            HistoryError: Tool calls wait for their results.
        """
        blocks = _blocks(content, "the prompt")
        if waiting := self.waiting():
            raise HistoryError(
                f"the last reply asked for tools and waits for {_named(waiting)}. Send history.results({{id: result}}) "
                "first, or history.skip_tools() to go on without."
            )
        return self._append(Entry("user", blocks, self._head))

    def reply(self, message: Any, *, simulated: bool = False) -> int:
        """Add the model's reply, an SDK ``Message`` (partial ones too), and give its place.

        Args:
            message: What ``watch()`` or ``client.messages.create()`` gave.
            simulated: Whether the offline sandbox replied, not a model.

        Raises:
            HistoryError: There is no prompt it could answer, or it is not a message.
        """
        data = message if isinstance(message, Mapping) else getattr(message, "to_dict", dict)()
        if data.get("role") != "assistant" or not isinstance(data.get("content"), list):
            raise HistoryError(
                f"reply() takes the Message that the API returned, not {type(message).__name__}. "
                "For your own words use history.user(...)."
            )
        last = self._last()
        if last is None or (last.role == "assistant" and last.stop_reason != "pause_turn"):
            raise HistoryError(
                "there is no message this could be the reply to. Call history.user(...) first."
            )
        blocks = [{k: v for k, v in block.items() if k not in _UNSENT_FIELDS} for block in data["content"]]
        told = {name: data.get(name) for name in ("stop_reason", "model", "usage")}
        return self._append(Entry("assistant", deepcopy(blocks), self._head, **told, simulated=simulated))

    def results(self, results: Mapping[str, Content] | Sequence[Mapping[str, Any]]) -> int:
        """Add results of the tools that the last reply asked for, and give their place.

        Args:
            results: ``{tool_use_id: text or content blocks}``, or a list of ``tool_result`` blocks. Results may come in
                several calls; the request waits for all of them.

        Raises:
            HistoryError: A result answers no open call, or answers one twice.
        """
        if isinstance(results, Mapping):
            results = [
                {"type": "tool_result", "tool_use_id": key, "content": value}
                for key, value in results.items()
            ]
        blocks = [deepcopy(dict(result)) for result in results]
        waiting = self.waiting()
        for block in blocks:
            tool_use_id = block.get("tool_use_id")
            if block.get("type") != "tool_result" or tool_use_id not in waiting:
                raise HistoryError(
                    f"no open tool call has the id {tool_use_id!r}. Open calls: {_named(waiting) or 'none'}."
                )
            del waiting[tool_use_id]
        if not blocks:
            raise HistoryError("results() got nothing to add. Pass {tool_use_id: result}.")
        return self._append(Entry("user", blocks, self._head))

    def skip_tools(self, reason: str = "The user chose not to run this tool.") -> None:
        """Answer every open tool call with an error that gives the reason, so that the talk can go on."""
        if waiting := self.waiting():
            self.results(
                [
                    {"type": "tool_result", "tool_use_id": key, "content": reason, "is_error": True}
                    for key in waiting
                ]
            )

    def waiting(self) -> dict[str, str]:
        """Give the tool calls without a result, as ``{tool_use_id: tool name}``."""
        calls: dict[str, str] = {}
        for entry in self._path():
            if entry.role == "assistant":
                calls = {
                    block["id"]: block["name"]
                    for block in _sendable(entry)
                    if block.get("type") == "tool_use"
                }
            else:
                for block in entry.content:
                    calls.pop(block.get("tool_use_id", ""), None)
        return calls

    # What is sent -----------------------------------------------------------------------------------------------

    def request(self) -> dict[str, Any]:
        """Give ``system``, ``tools`` and ``messages`` for the next call, acceptable to the API as they are.

        Parts that were never set are left out, so that ``client.messages.create(..., **history.request())`` works.
        Everything is a copy: changing it does not change the conversation.

        Raises:
            HistoryError: There is nothing to answer yet; the message says what is missing.
        """
        if waiting := self.waiting():
            raise HistoryError(
                f"tool calls wait for their results: {_named(waiting)}. Call history.results({{id: result}})."
            )
        messages = self._view()
        last = self._last()
        if not messages or last is None:
            raise HistoryError("the conversation is empty. Call history.user(...) first.")
        if last.role == "assistant" and last.stop_reason != "pause_turn":
            raise HistoryError(
                "the conversation ends with a reply. Call history.user(...) before the next request."
            )
        parts = {"system": self._system, "tools": self._tools, "messages": messages}
        return deepcopy({name: part for name, part in parts.items() if part})

    def _view(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        cut = False
        for entry in self._path():
            blocks = _sendable(entry)
            if cut and entry.role == "user":
                blocks = [*blocks, {"type": "text", "text": CUT_NOTE}]
            if entry.role == "assistant" or blocks:
                cut = entry.interrupted and bool(blocks)
            if not blocks:
                continue
            if messages and messages[-1]["role"] == entry.role:
                messages[-1]["content"].extend(blocks)
            else:
                messages.append({"role": entry.role, "content": list(blocks)})
        for message in messages:
            if message["role"] == "user":
                message["content"].sort(key=lambda block: block.get("type") != "tool_result")
        return messages

    # Going back -------------------------------------------------------------------------------------------------

    def undo(self) -> str:
        """Take back the last prompt with everything after it, and give its text. The old branch is kept.

        Raises:
            HistoryError: There is no prompt to take back.
        """
        number = self._head
        while number is not None:
            entry = self._entries[number]
            if entry.role == "user" and not entry.is_results:
                self._head = entry.parent
                return entry.text
            number = entry.parent
        raise HistoryError("there is no prompt to take back: the conversation is empty.")

    def edit(self, at: int, content: Content) -> int:
        """Say the prompt at place ``at`` differently and go on from there. The old branch is kept.

        Args:
            at: A place as given by ``user()``, counted from 0; negative counts from the end.
            content: The new message.

        Raises:
            HistoryError: There is no prompt of the user at this place.
        """
        path = self._path()
        if not -len(path) <= at < len(path) or path[at].role != "user" or path[at].is_results:
            prompts = [
                place for place, entry in enumerate(path) if entry.role == "user" and not entry.is_results
            ]
            raise HistoryError(f"there is no prompt at place {at}; prompts are at {prompts}.")
        blocks = _blocks(content, "the prompt")
        self._head = path[at].parent
        return self._append(Entry("user", blocks, self._head))

    def fork(self, at: int | None = None) -> "History":
        """Give a conversation of its own with the first ``at`` messages of this one (default: all of them).

        Raises:
            HistoryError: There are fewer messages than that.
        """
        path = self._path()
        if at is not None and not -len(path) <= at <= len(path):
            raise HistoryError(f"cannot fork at {at}: the conversation has {len(path)} messages.")
        other = History(system=self._system, tools=self._tools)
        for entry in path[:at]:
            other._append(Entry(**{**deepcopy(vars(entry)), "parent": other._head}))
        return other

    # Keeping it -------------------------------------------------------------------------------------------------

    def save(self, path: "str | Path") -> Path:
        """Write the conversation with all its branches to a JSON Lines file, all of it or nothing."""
        from .transcript import save

        return save(self, Path(path))

    @classmethod
    def load(cls, path: "str | Path") -> "History":
        """Read a conversation that :meth:`save` wrote.

        Raises:
            HistoryError: The file is missing, is no saved conversation, or was saved by a newer version.
        """
        from .transcript import load

        return load(Path(path))

    def to_dict(self) -> dict[str, Any]:
        """Give everything that is stored, all branches included, as JSON-ready data."""
        entries = [asdict(entry) for entry in self._entries]
        return deepcopy(
            {"system": self._system, "tools": self._tools, "head": self._head, "entries": entries}
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "History":
        """Give the conversation that :meth:`to_dict` described.

        Raises:
            HistoryError: An entry is malformed, or builds on one that is missing.
        """
        history = cls(system=data.get("system"), tools=data.get("tools"))
        for number, fields in enumerate(data["entries"]):
            try:
                entry = Entry(**deepcopy(dict(fields)))
            except TypeError as error:
                raise HistoryError(f"stored message {number} is malformed: {error}.") from None
            if entry.parent is not None and not 0 <= entry.parent < number:
                raise HistoryError(
                    f"stored message {number} builds on message {entry.parent}, which is missing."
                )
            history._entries.append(entry)
        head = data.get("head")
        last = len(history._entries) - 1
        history._head = head if head is None or 0 <= head <= last else (last if last >= 0 else None)
        return history

    # Looking at it ----------------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Everything stored on this branch, as copies: also what is not sent."""
        return [{"role": entry.role, "content": deepcopy(entry.content)} for entry in self._path()]

    @property
    def entries(self) -> list[Entry]:
        """The stored messages of this branch with their stop reason, model and usage, as copies."""
        return deepcopy(self._path())

    @property
    def system(self) -> Any:
        """The system prompt, or None."""
        return deepcopy(self._system)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tool definitions."""
        return deepcopy(self._tools)

    def __len__(self) -> int:
        return len(self._path())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        parts = [_count(len(self), "message")]
        if self._system:
            parts.append("system prompt")
        if self._tools:
            parts.append(_count(len(self._tools), "tool"))
        if waiting := self.waiting():
            parts.append(f"waits for {_named(waiting)}")
        return f"History({', '.join(parts)})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{place}</td><td>{entry.role}</td><td>{escape(_kinds(entry))}</td>"
            f"<td style='text-align:left'>{escape(_first_words(entry))}</td><td>{escape(_fate(entry))}</td></tr>"
            for place, entry in enumerate(self._path())
        )
        head = "<tr><th></th><th>role</th><th>blocks</th><th style='text-align:left'>first words</th><th></th></tr>"
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"

    def _append(self, entry: Entry) -> int:
        self._entries.append(entry)
        self._head = len(self._entries) - 1
        return len(self) - 1

    def _last(self) -> Entry | None:
        return None if self._head is None else self._entries[self._head]

    def _path(self) -> list[Entry]:
        path, number = [], self._head
        while number is not None:
            path.append(self._entries[number])
            number = path[-1].parent
        return path[::-1]


def _sendable(entry: Entry) -> list[dict[str, Any]]:
    """The blocks of a message that the API accepts back."""
    if entry.role == "user":
        return entry.content
    if entry.stop_reason == "refusal":
        return []
    cut = entry.stop_reason in (None, "max_tokens", "model_context_window_exceeded")
    answered = {block.get("tool_use_id") for block in entry.content}
    blocks = [block for block in entry.content if _keeps(block, entry, answered, cut=cut)]
    return [] if all(block.get("type") in _THINKING for block in blocks) else blocks


def _keeps(block: dict[str, Any], entry: Entry, answered: set[Any], *, cut: bool) -> bool:
    kind = block.get("type")
    if kind == "text":
        return bool(str(block.get("text", "")).strip())
    if kind == "thinking":
        return bool(block.get("signature")) and not entry.interrupted
    if kind == "redacted_thinking":
        return not entry.interrupted
    if kind == "tool_use":
        return not cut
    if kind == "server_tool_use":
        return not cut or block.get("id") in answered
    return True


def _blocks(content: Any, what: str) -> list[dict[str, Any]]:
    """Check what a user says and give it as content blocks, copied."""
    if isinstance(content, str):
        if not content.strip():
            raise PromptError(f"{what} is empty, and the API refuses empty text. Write something.")
        return [{"type": "text", "text": content}]
    if not isinstance(content, list | tuple):
        raise PromptError(
            f"{what} is {type(content).__name__}; it takes text, or a list of content blocks such as "
            '[{"type": "text", "text": "…"}]. For a reply of the API use history.reply(message).'
        )
    if not content:
        raise PromptError(f"{what} has no content blocks, and the API refuses an empty message.")
    for place, block in enumerate(content):
        if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
            raise PromptError(f'block {place} of {what} is no content block; it takes a dict with a "type".')
        if block["type"] == "text" and not str(block.get("text") or "").strip():
            raise PromptError(
                f"block {place} of {what} is empty text, and the API refuses that. Leave it out."
            )
        if block["type"] == "tool_result":
            raise PromptError(f"block {place} of {what} is a tool result. Add it with history.results(...).")
    return [deepcopy(dict(block)) for block in content]


def _tool(tool: Any) -> dict[str, Any]:
    data = tool if isinstance(tool, Mapping) else tool.to_dict() if hasattr(tool, "to_dict") else None
    if data is None:
        raise HistoryError(
            f"a tool is a dict with name and input_schema, or a tool of the SDK, not {type(tool).__name__}."
        )
    return deepcopy(dict(data))


def _named(waiting: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({key})" for key, name in waiting.items())


def _kinds(entry: Entry) -> str:
    return ", ".join(dict.fromkeys(str(block.get("type")) for block in entry.content)) or "empty"


def _first_words(entry: Entry, width: int = 80) -> str:
    words = " ".join(entry.text.split())
    return words if len(words) <= width else words[: width - 1] + "…"


def _fate(entry: Entry) -> str:
    if entry.role == "user":
        return ""
    if not _sendable(entry):
        return f"{entry.stop_reason or 'interrupted'}: not sent"
    return "interrupted" if entry.interrupted else str(entry.stop_reason)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
