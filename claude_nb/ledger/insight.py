"""Why a call cost what it did: each prompt's growth, attributed to the blocks that made it grow.

The prompt of a turn less the prompt before it is exact, measured by the server. How it divides among the blocks
that were added is an estimate by their length, said so wherever it is shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError
from claude_nb.models import find

from .money import format_usd
from .prices import Tokens
from .prompt import Part
from .texts import kept
from .turns import Turn, turns

if TYPE_CHECKING:
    import pandas as pd

    from .store import Store

_IMAGE_CHARS = 12_000
"""What an image weighs beside text, in characters: its base64 says nothing about its tokens."""
_THINKING = ("thinking", "redacted_thinking")
_LOOK_BACK = 50
"""Turns searched for the one that a prompt continues."""
_SHOWN = 60
"""Characters shown of a block whose text was kept."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Growth:
    """What a turn added to the prompt of the turn it continues.

    Attributes:
        turn: The turn.
        before: The turn it continues; None for the first.
        kept: How many parts the two prompts begin with in common.
        delta: Tokens of prompt more than before: exact. Negative after trimming.
        new: The parts added, each with its tokens: an estimate that adds up to ``delta``.
        changed: Whether something sent before was edited or left out.
    """

    turn: Turn
    before: Turn | None
    kept: int
    delta: int
    new: tuple[tuple[Part, int], ...]
    changed: bool


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """What one call cost and why: ``str`` for a reader, ``frame()`` for the numbers.

    Attributes:
        growth: What the call added.
        texts: What was kept of the added parts' text, by digest.
    """

    growth: Growth
    texts: Mapping[str, str] = field(default_factory=dict)

    def frame(self) -> "pd.DataFrame":
        """A row a part that the call added: message, role, kind, chars, estimated tokens, USD now and per turn."""
        import pandas as pd

        turn = self.growth.turn
        rows = [
            {
                "message": part.message,
                "role": part.role,
                "kind": part.kind,
                "chars": part.chars,
                "tokens": tokens,
                "usd_now": _usd_float(tokens, turn.rate_of_new()),
                "usd_per_turn": _usd_float(tokens, turn.rate_of_old()),
            }
            for part, tokens in self.growth.new
        ]
        columns = ["message", "role", "kind", "chars", "tokens", "usd_now", "usd_per_turn"]
        return pd.DataFrame(rows, columns=columns).astype({"message": "Int64"})

    def __str__(self) -> str:
        growth, turn = self.growth, self.growth.turn
        tokens = turn.tokens
        first = f"{place_of(turn)}: {tokens.prompt:,} tokens of prompt, {tokens.output:,} of output"
        lines = [f"{first}, {format_usd(turn.cost)}"]
        lines.append("  " + ", ".join(_billed(tokens)))
        if growth.before is not None:
            lines.append(f"  {_change(growth, growth.before)}")
        largest = sorted((one for one in growth.new if one[1]), key=lambda one: -one[1])[:5]
        for part, count in largest:
            text = self.texts.get(part.digest)
            begins = "" if text is None else f": {' '.join(text.split())[:_SHOWN]!r}"
            lines.append(f"  about {count:,} tokens: {part_name(part)}, {part.chars:,} characters{begins}")
        if turn.miss:
            lines.append(f"  cache missed: {turn.miss}, {turn.missed or 'unknown'} tokens")
        return "\n".join(lines)

    __repr__ = __str__


def _change(growth: Growth, before: Turn) -> str:
    """What the call changed against the turn it continues, in words; the parts follow where there are new ones."""
    over = f"{growth.delta:+,} tokens over turn {before.number}"
    if growth.changed:
        return f"{over} (after an edit or trim)" + (":" if growth.new else "; nothing was added")
    if not growth.new:
        same = f"the same prompt as turn {before.number}"
        return f"{same}, {growth.delta:+,} tokens" if growth.delta else f"{same}: nothing was added"
    return f"{over} (new):"


def explain(store: "Store", only: Mapping[str, str], call: Any) -> Explanation:
    """The explanation of one call.

    Args:
        store: The ledger's store.
        only: The ledger's restriction.
        call: A message, its id, a call or request id, or the number of the call from 0 (-1 is the last).

    Raises:
        LedgerError: There is no such call, or it reported no tokens.
    """
    grown = growths(turns(store, only))
    if isinstance(call, int):
        found = grown[call] if -len(grown) <= call < len(grown) else None
    else:
        wanted = str(getattr(call, "id", call))
        found = next((growth for growth in grown if wanted in growth.turn.ids), None)
    if found is not None:
        return Explanation(found, kept(store, (part.digest for part, _ in found.new)))
    if not grown:
        raise LedgerError(
            "The ledger has no answered call yet. Make one with a metered client, then ask again."
        )
    raise LedgerError(
        f"The ledger has no answered call {getattr(call, 'id', call)!r}. Type ledger.frame() to see its calls, or "
        "ledger.explain(-1) for the last one."
    )


def growths(conversation: Sequence[Turn]) -> list[Growth]:
    """Each turn with what it added to the one it continues: the one with the longest beginning in common."""
    found: list[Growth] = []
    for place, turn in enumerate(conversation):
        earlier = conversation[max(0, place - _LOOK_BACK) : place]
        shared = [
            (_messages_in(turn, kept), kept, before) for before in earlier for kept in [_common(before, turn)]
        ]
        best = max(shared, key=_closeness, default=None)
        if best is None or (not best[0] and not _is_followed(best[2], turn)):
            found.append(
                Growth(
                    turn, None, 0, turn.tokens.prompt, _share(turn.parts, turn.tokens.prompt), changed=False
                )
            )
        else:
            found.append(_growth(best[2], turn, best[1]))
    return found


def _closeness(one: tuple[int, int, Turn]) -> tuple[int, bool, int]:
    """Most messages in common; then a prompt that was continued whole (a fork is no edit); then the latest."""
    messages, kept, before = one
    return messages, kept == len(before.parts), before.number


def _growth(before: Turn, turn: Turn, kept: int) -> Growth:
    delta = turn.tokens.prompt - before.tokens.prompt
    new = turn.parts[kept:]
    if kept < len(before.parts):
        whole = sum(_weight(part) for part in turn.parts) or 1
        tokens = turn.tokens.prompt * sum(_weight(part) for part in new) // whole
        return Growth(turn, before, kept, delta, _share(new, tokens), changed=True)
    reply = tuple(takewhile(lambda part: part.role == "assistant", new))
    thought = _thought_again(before, turn, reply)
    output = before.tokens.output - before.thinking + thought
    said = max(0, min(output, delta)) if len(reply) < len(new) else max(delta, 0)
    rest = _share(new[len(reply) :], max(delta, 0) - (said if reply else 0))
    return Growth(turn, before, kept, delta, (*_share_reply(reply, said, thought), *rest), changed=False)


def _thought_again(before: Turn, turn: Turn, reply: Sequence[Part]) -> int:
    """Tokens of a reply's thinking that its next prompt holds: sent back, and not stripped by the model."""
    model = find(turn.model)
    sent_back = any(part.kind in _THINKING for part in reply)
    return before.thinking if sent_back and model is not None and model.keeps_thinking else 0


def _share_reply(reply: Sequence[Part], said: int, thought: int) -> Iterator[tuple[Part, int]]:
    """The tokens of a reply: its thinking as counted, however little of its text is shown; the rest by length."""
    counted = min(thought, said)
    shares = iter(_share([part for part in reply if part.kind in _THINKING], counted))
    others = iter(_share([part for part in reply if part.kind not in _THINKING], said - counted))
    return (next(shares if part.kind in _THINKING else others) for part in reply)


def _share(parts: Sequence[Part], tokens: int) -> tuple[tuple[Part, int], ...]:
    """The tokens divided by length, adding up exactly."""
    whole, given, passed = sum(_weight(part) for part in parts) or 1, 0, 0
    shares: list[tuple[Part, int]] = []
    for part in parts:
        passed += _weight(part)
        upto = tokens * passed // whole
        shares.append((part, upto - given))
        given = upto
    return tuple(shares)


def _weight(part: Part) -> int:
    return min(part.chars, _IMAGE_CHARS) if part.kind == "image" else max(part.chars, 1)


def _common(before: Turn, turn: Turn) -> int:
    """How many parts two prompts begin with in common."""
    pairs = zip(before.parts, turn.parts, strict=False)
    return sum(
        1
        for _ in takewhile(
            lambda pair: pair[0].digest == pair[1].digest and pair[0].role == pair[1].role, pairs
        )
    )


def _messages_in(turn: Turn, kept: int) -> int:
    return sum(part.message is not None for part in turn.parts[:kept])


def _is_followed(before: Turn, turn: Turn) -> bool:
    """Whether a prompt whose very beginning changed (tools, system) still holds most of the earlier messages."""
    old = {part.digest for part in before.parts if part.message is not None}
    return len(old) > 1 and len(old & {part.digest for part in turn.parts}) > len(old) // 2


def part_name(part: Part) -> str:
    """A part in words, such as ``tool_result read_csv (message 5)``."""
    if part.message is None:
        return part.role
    what = part.kind if part.kind != "text" else f"{part.role} text"
    return f"{what} (message {part.message})"


def place_of(turn: Turn) -> str:
    """Where a call stands, in words: the cell where it is known, and the turn."""
    return f"cell {turn.cell} (turn {turn.number})" if turn.cell else f"turn {turn.number}"


def usd(tokens: int, rate: Decimal | None) -> Decimal | None:
    """USD of that many tokens at a rate per million."""
    return None if rate is None else tokens * rate / _MILLION


def _usd_float(tokens: int, rate: Decimal | None) -> float | None:
    amount = usd(tokens, rate)
    return None if amount is None else float(amount)


def _billed(tokens: Tokens) -> list[str]:
    counts = {
        "uncached": tokens.input,
        "cache write 5m": tokens.write_5m,
        "cache write 1h": tokens.write_1h,
        "cache read": tokens.read,
    }
    return [f"{name} {count:,}" for name, count in counts.items() if count]
