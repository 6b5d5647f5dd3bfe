"""One stored message, and which of its blocks the API takes back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

from .content import Json, Role, copied

THINKING = ("thinking", "redacted_thinking")
RUNS_ON_SERVER = ("server_tool_use", "mcp_tool_use")
ELSEWHERE = -1
"""As ``Entry.cut``: the reply was made in a conversation of other messages, so its thinking does not fit here."""

_CUT_SHORT = (None, "max_tokens", "model_context_window_exceeded")


@dataclass(frozen=True)
class Entry:
    """One stored message.

    Attributes:
        role: ``"user"``, ``"assistant"``, or ``"system"`` for an instruction on the way.
        content: Content blocks as the API takes or sent them.
        parent: Number of the entry before it on its branch; None for a first message.
        stop_reason: Why a reply ended; None for a user's message and for an interrupted reply.
        model: The model that replied (or wrote a summary), as the server named it.
        usage: What that call used, as the server reported it, in tokens.
        simulated: Whether the offline sandbox replied, not a model.
        at: When it was added, in seconds since the epoch.
        cell: The notebook cell that added it; None outside of one.
        run: Which execution of that cell.
        cut: Number of the cut under which a reply was asked for; None for the whole conversation.
        summary_of: Of a summary, or of a compaction by the API: the number of the last entry that it stands for.
        edits: What the API itself left out of the prompt (``context_management.applied_edits``).
        refusal: Of a refused reply its category, which decides whether it is billed (``stop_details.category``).
    """

    role: Role
    content: list[Json]
    parent: int | None = None
    stop_reason: str | None = None
    model: str | None = None
    usage: Json | None = None
    simulated: bool = False
    at: float | None = field(default=None, repr=False)
    cell: str | None = field(default=None, repr=False)
    run: str | None = field(default=None, repr=False)
    cut: int | None = None
    summary_of: int | None = None
    edits: list[Json] | None = field(default=None, repr=False)
    refusal: str | None = field(default=None, repr=False)

    @property
    def interrupted(self) -> bool:
        """Whether this is a reply that was cut on its way."""
        return self.is_reply and self.stop_reason is None

    @property
    def is_instruction(self) -> bool:
        """Whether this tells the model what to do from here on: it is always sent."""
        return self.role == "system"

    @property
    def is_reply(self) -> bool:
        """Whether a model replied here; a compaction by the API is no reply."""
        return self.role == "assistant" and self.summary_of is None

    @property
    def is_always_sent(self) -> bool:
        """Whether it is sent whatever is left out around it: an instruction, or a compaction by the API."""
        return self.is_instruction or (self.role == "assistant" and not self.is_reply)

    @property
    def is_paused(self) -> bool:
        """Whether this is a reply that goes on when it is sent back as it is."""
        return self.is_reply and self.stop_reason in ("pause_turn", "compaction")

    @property
    def is_results(self) -> bool:
        """Whether this is a message of tool results rather than a prompt."""
        return self.role == "user" and any(block.get("type") == "tool_result" for block in self.content)

    @property
    def is_prompt(self) -> bool:
        """Whether the user speaks here: a turn begins."""
        return self.role == "user" and not self.is_results

    @property
    def text(self) -> str:
        """Its text blocks, joined by line breaks."""
        return "\n".join(block["text"] for block in self.content if block.get("type") == "text")

    @cached_property
    def sendable(self) -> list[Json]:
        """The blocks that the API accepts back; shared with ``content``, so never to be changed."""
        if self.role != "assistant":
            return self.content
        if self.stop_reason == "refusal":
            return []
        lost = running_tools(self.content) if self.stop_reason in _CUT_SHORT else []
        return whole(self.content, [*lost, *(block for block in self.content if not self._keeps(block))])

    @property
    def prompt_tokens(self) -> int | None:
        """Of a reply: tokens of the prompt it answered, cached or not; None where unknown."""
        usage = self.usage or {}
        if usage.get("input_tokens") is None or not self.is_reply:
            return None
        names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        return sum(usage.get(name) or 0 for name in names)

    def to_dict(self) -> Json:
        """Its fields as JSON, without those that say nothing."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        told = {name: copied(value) for name, value in values.items() if value is not None}
        return {name: value for name, value in told.items() if not (name == "simulated" and not value)}

    def _keeps(self, block: Json) -> bool:
        kind = block.get("type")
        if kind == "text":
            text = str(block.get("text") or "")
            return bool(text) and not text.isspace()
        if kind == "thinking":
            return bool(block.get("signature")) and not self.interrupted
        if kind == "redacted_thinking":
            return not self.interrupted
        return not (kind == "tool_use" and self.stop_reason in _CUT_SHORT)


def running_tools(blocks: Sequence[Json]) -> list[Json]:
    """The calls of server tools that have no result among the blocks."""
    calls = [block for block in blocks if block.get("type") in RUNS_ON_SERVER]
    if not calls:
        return []
    done = {block.get("tool_use_id") for block in blocks}
    return [block for block in calls if block.get("id") not in done]


def whole(blocks: list[Json], dropped: list[Json]) -> list[Json]:
    """The blocks of a reply without the dropped ones, and without what only makes sense after them.

    Thinking is bound to the blocks before it, so it cannot follow a gap; a tool call needs the thinking before it.
    What is left is nothing when it is thinking only.
    """
    gone = {id(block) for block in dropped}
    kept: list[Json] = []
    gap = thought_lost = False
    for block in blocks:
        kind = block.get("type")
        if id(block) in gone:
            gap = gap or kind not in THINKING
        elif gap and kind in THINKING:
            thought_lost = True
        elif not (thought_lost and kind == "tool_use"):
            kept.append(block)
    return [] if all(block.get("type") in THINKING for block in kept) else kept
