"""From someone else's list of messages to a valid conversation, and what had to be changed for that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from claude_nb.errors import ClaudeNbError, HistoryError, PromptError

from . import content
from .content import Content, Json
from .entry import ELSEWHERE, RUNS_ON_SERVER, THINKING, Entry, running_tools
from .history import History

_LOST_RESULT = "No result of this call was recorded."
_TOLD = ("stop_reason", "model", "usage")
_ONLY_IN_REPLIES = ("tool_use", *RUNS_ON_SERVER, *THINKING)
_ONLY_FROM_USERS = ("tool_result", "image")
_COMPACTED = {"stop_reason": "compaction", "summary_of": ELSEWHERE}


@dataclass(frozen=True)
class Change:
    """What was wrong with a message, and what was done about it.

    Attributes:
        at: Index of the message in the list; None for the list itself.
        problem: What was wrong, such as ``"is empty"``.
        remedy: What was done.
    """

    at: int | None
    problem: str
    remedy: str

    @property
    def where(self) -> str:
        """The message in words."""
        return "the list" if self.at is None else f"message {self.at}"

    def __str__(self) -> str:
        return f"{self.where} {self.problem}: {self.remedy}"


@dataclass(frozen=True)
class Repair:
    """A valid conversation made of a malformed list.

    Attributes:
        history: The conversation.
        changes: What had to be changed, in order; empty when the list was valid.
    """

    history: History
    changes: list[Change]

    def __str__(self) -> str:
        return "\n".join(map(str, self.changes)) or "nothing had to be changed"

    __repr__ = __str__


def repair(messages: Any, *, system: Content | None = None, tools: Iterable[Any] | None = None) -> Repair:
    """Make the nearest valid conversation of a list of messages; see ``History.repair``.

    Raises:
        HistoryError: It is no list, or holds a prompt that is to be the system prompt where there is one.
    """
    if not isinstance(messages, list | tuple):
        raise HistoryError(
            f"messages is {type(messages).__name__}; it takes a list of messages. Write list(...) around a generator."
        )
    mender = _Mender()
    for at, message in enumerate(messages):
        mender.take(at, message)
        mender.before = message.get("role") if isinstance(message, Mapping) else None
    mender.close()
    if mender.system and system is None:
        system = mender.system
    elif mender.system:
        mender.note(0, "is a second system prompt", "left out")
    history = History(system=system, tools=tools)
    for entry in mender.entries:
        history._tree.append(entry)
    return Repair(history, sorted(mender.changes, key=lambda change: -1 if change.at is None else change.at))


class _Mender:
    """Takes one message after the other and keeps what the API accepts."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.changes: list[Change] = []
        self.system: str | None = None
        self.before: Any = None  # role of the message before
        self._calls: dict[str, int] = {}  # open tool calls, and the message they are in
        self._seen: set[str] = set()
        self._broken = False  # thinking after a change no longer fits

    def note(self, at: int | None, problem: str, remedy: str) -> None:
        self.changes.append(Change(at, problem, remedy))
        self._broken = True

    def take(self, at: int, message: Any) -> None:
        if not isinstance(message, Mapping) and hasattr(message, "to_dict"):
            self.note(at, f"is a {type(message).__name__} object, not its dict", "taken as message.to_dict()")
            message = message.to_dict()
        if not isinstance(message, Mapping):
            self.note(at, f"is {type(message).__name__}, not a dict with role and content", "left out")
            return
        role, given = message.get("role"), message.get("content")
        if role == "system":
            self._instruction(at, given) if self.entries else self._system(at, given)
            return
        if role == "user" and self.before == "system" and self.entries:
            self.note(at - 1, "has the role 'system' and a message of the user behind it", "sent behind that")
        if role not in ("user", "assistant"):
            self.note(at, f"has the role {role!r}; it is 'user' or 'assistant'", "left out")
            return
        blocks = self._blocks(at, role, given)
        told = {name: message.get(name) for name in _TOLD} if role == "assistant" else {}
        if blocks:
            self._add(at, role, blocks, told)

    def _system(self, at: int, given: Any) -> None:
        text = (
            given
            if isinstance(given, str)
            else " ".join(
                str(block.get("text", "")) for block in _listed(given) if isinstance(block, Mapping)
            )
        )
        if not text.strip():
            self.note(at, "is an empty system prompt", "left out")
        elif self.system is None:
            self.note(at, "has the role 'system'", "taken as the system prompt")
            self.system = text
        else:
            self.note(at, "is a second system prompt", "joined to the first")
            self.system += f"\n\n{text}"

    def _instruction(self, at: int, given: Any) -> None:
        """A message of the role ``system`` on the way, which the API takes behind the user's turn."""
        blocks = [block for block in self._blocks(at, "system", given) if block["type"] == "text"]
        if self.before not in ("user", "system"):
            self.note(at, "has the role 'system' and follows a reply", "sent behind the user's next message")
        if blocks:
            self._stop_servers(at)
            self.entries.append(Entry("system", blocks))

    def _blocks(self, at: int, role: str, given: Any) -> list[Json]:
        if isinstance(given, str):
            given = [{"type": "text", "text": given}] if given else []
        if not isinstance(given, list | tuple):
            self.note(
                at, f"has content of type {type(given).__name__}, not text or a list of blocks", "left out"
            )
            return []
        if not given:
            self.note(at, "is empty", "left out")
        kept = []
        for place, block in enumerate(given):
            try:
                kept.append(self._block(block, role))
            except ClaudeNbError as error:
                self.note(at, f"has a block {place} that {error}", "block left out")
        return kept

    def _block(self, block: Any, role: str) -> Json:
        if not isinstance(block, Mapping) and hasattr(block, "to_dict"):
            block = block.to_dict()
        if not isinstance(block, Mapping):
            raise PromptError(f"is {type(block).__name__}, not a dict")
        data: Json = content.as_json(block, "it")
        data.pop("parsed_output", None)
        kind = data.get("type")
        if kind == "text" and not str(data.get("text") or "").strip():
            raise PromptError("is empty text")
        if role == "system" and kind != "text":
            raise PromptError(f"is {kind}, and an instruction is text")
        if kind in (_ONLY_FROM_USERS if role == "assistant" else _ONLY_IN_REPLIES):
            raise PromptError(f"is {kind}, which a message of the {role} cannot hold")
        if kind == "thinking" and not data.get("signature"):
            raise PromptError("is thinking without a signature")
        content.check_shape(data, "it", PromptError)
        return data

    def _add(self, at: int, role: str, blocks: list[Json], told: Json) -> None:
        if role == "assistant":
            if not self.entries and any(
                block["type"] == "compaction" and block.get("content") for block in blocks
            ):
                self.entries.append(Entry("assistant", blocks, **(told | _COMPACTED)))
                return
            if not self.entries:
                self.note(at, "is a reply, and the conversation must begin with the user", "left out")
                return
            self._close_calls(at)
            self._reply(at, blocks, told)
            return
        answers = [block for block in blocks if block["type"] == "tool_result"]
        words = [block for block in blocks if block["type"] != "tool_result"]
        if [*answers, *words] != blocks:
            self.note(at, "has tool results behind other blocks", "results moved to the front")
        answers = [block for block in answers if self._answers(at, block)]
        if words and self._calls:
            answers += self._lost(at)
        if answers:
            self.entries.append(Entry("user", answers))
        if words:
            self._stop_servers(at)
            self.entries.append(Entry("user", words))

    def _stop_servers(self, at: int) -> None:
        """Leave out server tools that still run: no words may follow them."""
        end = len(self.entries)
        while end:
            while end and self.entries[end - 1].role != "assistant":
                end -= 1
            first = end
            while first and self.entries[first - 1].role == "assistant":
                first -= 1
            turn = self.entries[first:end]
            running = running_tools([block for entry in turn for block in entry.content])
            if not running:
                return
            names = ", ".join(str(block.get("name")) for block in running)
            self.note(at, f"comes while the server runs {names}", "call of the server left out")
            gone = [id(block) for block in running]
            left = [replace(entry, content=_without(entry.content, gone)) for entry in turn]
            self.entries[first:end] = [entry for entry in left if entry.sendable]
            if len(self.entries) > first and self.entries[first].role == "assistant":
                return
            end = first

    def _answers(self, at: int, block: Json) -> bool:
        if block["tool_use_id"] in self._calls:
            del self._calls[block["tool_use_id"]]
            return True
        self.note(
            at, f"has a tool result for {block['tool_use_id']!r}, which no open call has as id", "left out"
        )
        return False

    def _lost(self, at: int) -> list[Json]:
        lost = [
            {"type": "tool_result", "tool_use_id": key, "content": _LOST_RESULT, "is_error": True}
            for key in self._calls
        ]
        for key, where in self._calls.items():
            self.note(
                where, f"calls a tool ({key}) that message {at} gives no result for", "error result added"
            )
        self._calls = {}
        return lost

    def _close_calls(self, at: int) -> None:
        if self._calls:
            self.entries.append(Entry("user", self._lost(at)))

    def _reply(self, at: int, blocks: list[Json], told: Json) -> None:
        kept = []
        for block in blocks:
            if block["type"] == "tool_use" and block["id"] in self._seen:
                self.note(at, f"uses the tool call id {block['id']!r} again", "call left out")
            elif block["type"] in THINKING and self._broken:
                self.changes.append(
                    Change(at, "thinks, bound to what was changed before", "thinking left out")
                )
            else:
                kept.append(block)
                self._seen |= {block["id"]} if block["type"] == "tool_use" else set()
        calls = [block["id"] for block in kept if block["type"] == "tool_use"]
        ended = "tool_use" if calls else "pause_turn" if running_tools(kept) else "end_turn"
        reason = told.get("stop_reason") or ended
        entry = Entry("assistant", kept, **{**told, "stop_reason": reason})
        if not entry.sendable:
            self.note(at, "has nothing that can be sent", "left out")
            return
        self._calls = {block["id"]: at for block in entry.sendable if block["type"] == "tool_use"}
        self.entries.append(entry)

    def close(self) -> None:
        """Tell what is wrong with the list as a whole."""
        if not self.entries and not self.changes:
            self.changes.append(Change(None, "is empty", "nothing to do"))


def _without(blocks: Sequence[Json], gone: Sequence[int]) -> list[Json]:
    """The blocks without those, by identity, and without thinking, which no longer fits."""
    return [block for block in blocks if id(block) not in gone and block["type"] not in THINKING]


def _listed(given: Any) -> Sequence[Any]:
    return given if isinstance(given, list | tuple) else ()
