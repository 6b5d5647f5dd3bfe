"""From what is stored to what is sent: messages that the API accepts, under any cut.

- neighbouring messages of one role become one, tool results first;
- the message after an interrupted reply tells the model that it was cut;
- a server tool that never answered is sent only where it can still answer;
- an instruction stands behind the user's turn, whatever is left out around it;
- thinking is sent as long as everything before it is sent as it was when the model thought (preserved thinking).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from claude_nb.models import find
from claude_nb.trim import WHOLE, Cut, Turn

from .content import Json, Role, copied, marked, marks
from .entry import ELSEWHERE, THINKING, Entry, running_tools, whole
from .telling import in_words

CUT_NOTE = "[Note: your reply above was interrupted before it was complete.]"
CLEARED = "[Result left out to save tokens.]"
INSTRUCTION = "[Instruction of the operator: {}]"
"""How an instruction is sent to a model that takes no system messages."""

_MOST_MARKS = 4


@dataclass(slots=True)
class Sent:
    """One message of a request. Its blocks are those of the store: they are copied before they leave.

    Attributes:
        role: ``"user"``, ``"assistant"`` or ``"system"``.
        content: Blocks.
        places: Which stored messages it was made of.
    """

    role: Role
    content: list[Json]
    places: list[int] = field(default_factory=list)


def build(path: Sequence[Entry], cut: Cut = WHOLE, *, system_messages: bool = True) -> list[Sent]:
    """The messages of a branch as they are sent under a cut.

    Args:
        path: The entries of the branch.
        cut: What is left out.
        system_messages: Whether the model takes instructions as messages of the role ``system``.
    """
    messages: list[Sent] = []
    interrupted = False
    left_out, cleared, told = cut.places(), cut.cleared_places(), cut.told_places()
    for place, entry in enumerate(path):
        if entry.is_instruction:
            continue
        if place in left_out and not entry.is_always_sent:
            interrupted = False
            continue
        if place in told:
            blocks = in_words(path, cut, place, CLEARED)
            interrupted = False
        else:
            blocks = _as_sent(entry, place, cut, cleared=place in cleared, interrupted=interrupted)
            interrupted = entry.interrupted and bool(blocks)
        role: Role = "user" if place in told else entry.role
        if not blocks:
            continue
        if messages and messages[-1].role == role:
            messages[-1].content.extend(blocks)
            messages[-1].places.append(place)
        else:
            messages.append(Sent(role, list(blocks), [place]))
    return _instructed(_settled(messages), path, system_messages=system_messages)


def _as_sent(entry: Entry, place: int, cut: Cut, *, cleared: bool, interrupted: bool) -> list[Json]:
    blocks = entry.sendable
    if entry.role == "user":
        if cleared:
            blocks = [_cleared(block) for block in blocks]
        if interrupted:
            blocks = [*blocks, {"type": "text", "text": CUT_NOTE}]
    elif place < cut.thinking_from and thinks(entry):
        blocks = [block for block in blocks if block["type"] not in THINKING]
    return blocks


def _settled(messages: list[Sent]) -> list[Sent]:
    """The messages with running server tools and the order of results put right, from the last to the first."""
    kept: list[Sent] = []
    for message in reversed(messages):
        if message.role == "assistant" and kept:
            message.content = still_sent(message.content, kept[-1].content)
        if not message.content:
            continue
        if kept and kept[-1].role == message.role:
            message.content.extend(kept[-1].content)
            message.places.extend(kept.pop().places)
        kept.append(message)
    for message in kept:
        if message.role == "user" and any(block["type"] == "tool_result" for block in message.content):
            message.content.sort(key=lambda block: block["type"] != "tool_result")
    return kept[::-1]


def _instructed(messages: list[Sent], path: Sequence[Entry], *, system_messages: bool) -> list[Sent]:
    """The messages with each instruction behind the turn of the user in which it was given, or the next one.

    That is where the API takes it (build-with-claude/mid-conversation-system-messages). One that no turn of the user
    follows yet is not sent yet.
    """
    places = [place for place, entry in enumerate(path) if entry.is_instruction]
    found: list[Sent] = []
    for index, message in enumerate(messages):
        found.append(message)
        if message.role != "user" or not places:
            continue
        until = messages[index + 1].places[0] if index + 1 < len(messages) else len(path)
        mine = [place for place in places if place < until]
        places = places[len(mine) :]
        blocks = [block for place in mine for block in path[place].content]
        if blocks and system_messages:
            found.append(Sent("system", blocks, mine))
        elif blocks:
            words = [INSTRUCTION.format(block["text"]) for block in blocks if block["type"] == "text"]
            message.content.extend({"type": "text", "text": text} for text in words)
            message.places.extend(mine)
    return found


def settled(path: Sequence[Entry], cut: Cut, cuts: Sequence[Cut]) -> Cut:
    """A cut with what it makes impossible to send: thinking that no longer fits, and a tool loop that lost its own."""
    cut = replace(cut, thinking_from=thinking_from(path, cut, cuts))
    while lost := lost_loop(path, cut):
        cut = cut.without([lost])
    return cut


def lost_loop(path: Sequence[Entry], cut: Cut) -> Turn | None:
    """A tool loop at the end whose thinking can no longer be sent: the API refuses to go on with it.

    Returns:
        The places of its last call and what came of it, to be left out; None when there is no such loop.
    """
    place, unsent = len(path) - 1, cut.places() | cut.told_places()
    end = first = None
    lost = calls = False
    while place >= 0:
        entry = path[place]
        if place in unsent or entry.is_instruction or not entry.sendable:
            place -= 1
            continue
        if entry.role == "user":
            if first is not None:
                break
            end = place + 1 if end is None and entry.is_results else end
        else:
            first, end = place, end or place + 1
            lost |= place < cut.thinking_from and thinks(entry)
            calls |= any(block["type"] == "tool_use" for block in entry.sendable)
        place -= 1
    return Turn(first, end, pinned=False) if first is not None and end and lost and calls else None


def last_turn(path: Iterable[Entry], said: Sequence[Json] = ()) -> tuple[list[Json], list[Json]]:
    """The blocks of the model's last turn that is sent, and those of the user after it.

    Args:
        path: The entries of a branch, last first.
        said: What the user would say next.
    """
    calls: list[Json] = []
    after = list(said)
    for entry in path:
        if entry.is_instruction:
            continue
        if entry.role == "assistant":
            calls = [*entry.sendable, *calls]
            continue
        if calls and (calls := still_sent(calls, after)):
            break
        after = [*entry.content, *after]
    return calls, after


def still_sent(turn: list[Json], after: Sequence[Json]) -> list[Json]:
    """A turn of the model as it can be sent before what the user says: no server tool may still run before words.

    Words behind results of the same turn are refused when they are said.
    """
    if not after or any(block["type"] == "tool_result" for block in after):
        return turn
    running = running_tools(turn)
    return whole(turn, running) if running else turn


def as_messages(sent: Sequence[Sent], fixed_marks: int) -> list[Json]:
    """Copies of the messages, with no more cache breakpoints than a request may have: the last ones.

    One breakpoint stays free for automatic caching.
    """
    messages = [{"role": message.role, "content": copied(message.content)} for message in sent]
    found = [block for message in messages for one in message["content"] for block in marked(one)]
    allowed = max(0, _MOST_MARKS - fixed_marks - (fixed_marks < _MOST_MARKS))
    keep = found[len(found) - allowed :] if allowed else []
    lives = [block["cache_control"].get("ttl", "5m") for block in keep]
    for block in found[: len(found) - len(keep)]:
        del block["cache_control"]
    for index, block in enumerate(keep):
        if lives[index] == "5m" and "1h" in lives[index:]:  # a longer life may not follow a shorter one
            del block["cache_control"]
    return messages


def thinking_from(path: Sequence[Entry], cut: Cut, cuts: Sequence[Cut]) -> int:
    """The first place whose thinking still fits what is sent before it.

    A thinking block is bound to all that was sent when it was made, thinking excepted, which may be missing from
    the start and never from the middle (build-with-claude/preserved-thinking).
    """
    unsent = cut.places() | cut.told_places()
    for place in range(len(path) - 1, -1, -1):
        entry = path[place]
        if entry.role != "assistant" or place in unsent or not thinks(entry):
            continue
        if entry.cut == ELSEWHERE:
            return place + 1
        made = WHOLE if entry.cut is None else cuts[entry.cut]
        if made is not cut and first_difference(made, cut) < place:
            return place + 1
    return 0


def thinks(entry: Entry) -> bool:
    """Whether a reply holds thinking that its model refuses after an edit; so do models that are not known."""
    model = find(entry.model or "")
    bound = model is None or model.checks_thinking_prefix
    return bound and any(block["type"] in THINKING for block in entry.sendable)


@lru_cache(maxsize=256)
def first_difference(one: Cut, other: Cut) -> float:
    """The first place that two cuts treat differently; infinite when they agree."""
    differ = (one.places() ^ other.places()) | (one.cleared_places() ^ other.cleared_places())
    differ |= {told.first for told in {*one.told} ^ {*other.told}}
    return min(differ, default=float("inf"))


def _cleared(block: Json) -> Json:
    return {**block, "content": CLEARED} if block["type"] == "tool_result" else block


def fixed_marks(system: object, tools: Sequence[Json]) -> int:
    """Cache breakpoints on system and tools."""
    return marks(system if isinstance(system, list) else []) + marks(tools)
