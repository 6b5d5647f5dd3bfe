"""How many tokens each message is: an estimate by a fixed rule, put right by the prompts the server measured."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from claude_nb.models import MODEL, Model, find
from claude_nb.trim import Item, Talk

from .content import Json
from .entry import THINKING, Entry
from .tree import Tree
from .view import CLEARED

if TYPE_CHECKING:
    import pandas as pd

_FIVE_MINUTES, _HOUR = 300.0, 3600.0
_THOUGHT = 200
"""Tokens of a thinking block whose text the server neither shows nor counts."""
_LEAST, _MOST = 0.5, 2.0
"""How far an estimate can be from what was measured; beyond, something else was measured."""


class Sizes:
    """The sizes of the messages of one history, each estimated once.

    Args:
        system: The system prompt.
        tools: The tool definitions.
    """

    def __init__(self, system: Any, tools: Sequence[Json]) -> None:
        self._system, self._tools = system, tools
        self._known: dict[tuple[int, int], Item] = {}

    def guesses(self, tree: Tree, model: Model) -> list[tuple[int, int]]:
        """Estimated tokens of each message as it is sent, and with its tool results cleared."""
        return [(item.tokens, item.cleared_tokens) for item in self.items(tree, tree.numbers, model)]

    def fixed(self, model: Model) -> int:
        """Estimated tokens of system prompt and tools."""
        from claude_nb.sandbox import tokens

        size = sum(tokens.count_text(json.dumps(tool), model) for tool in self._tools)
        size += tokens.tools_overhead(model) if self._tools else 0
        blocks = [{"type": "text", "text": self._system}] if isinstance(self._system, str) else self._system
        return size + tokens.PROMPT_OVERHEAD + sum(tokens.count_block(block, model) for block in blocks or ())

    def talk(self, tree: Tree) -> Talk:
        """The current branch as trim policies see it: estimates, put right by the last prompt that was measured."""
        path = tree.path()
        model = model_of(path)
        fixed = self.fixed(model)
        items = self.items(tree, tree.numbers, model)
        last = next((entry for entry in reversed(path) if entry.is_reply), None)
        usage = (last.usage or {}) if last else {}
        cached = bool(usage.get("cache_read_input_tokens") or usage.get("cache_creation_input_tokens"))
        idle = time.time() - last.at if last and last.at else 0.0
        return Talk(
            items,
            fixed,
            scale_of(path, items, fixed),
            cold=idle > lifetime(last),
            cached=cached or not usage,
        )

    def items(self, tree: Tree, numbers: Sequence[int], model: Model) -> list[Item]:
        """Messages as trim policies see them: estimates."""
        return [self.item(tree, number, model) for number in numbers]

    def item(self, tree: Tree, number: int, model: Model) -> Item:
        """One message likewise; estimated once, because it never changes."""
        found = self._known.get((number, model.tokenizer))
        if found is None:
            entry = tree.entries[number]
            size, small = _estimate(entry, model)
            found = Item(size, small, entry.is_prompt, entry.is_results, always=entry.is_always_sent)
            self._known[number, model.tokenizer] = found
        return replace(found, pinned=True) if number in tree.pins else found

    def frame(self, tree: Tree, measured_now: int | None) -> "pd.DataFrame":
        """A row a message: ``at``, ``role``, ``tokens``, ``estimated``, ``text``; see ``History.tokens``."""
        import pandas as pd

        from .branches import words

        head, rows, residual = self.measured(tree, measured_now)
        texts = (words(entry, 50) for entry in tree.path())
        table = [head | {"text": ""}, *(row | {"text": text} for row, text in zip(rows, texts, strict=True))]
        if residual:
            text = "measured, but of no one message: the prompt before it changed"
            table.append(
                {"at": None, "role": "residual", "tokens": residual, "estimated": False, "text": text}
            )
        return pd.DataFrame(table).astype({"at": "Int64", "tokens": "Int64"})

    def measured(self, tree: Tree, measured_now: int | None = None) -> tuple[Json, list[Json], int]:
        """What system and tools are, what each message is, and what was measured of none; see :meth:`frame`."""
        path = tree.path()
        model = model_of(path)
        rows = [
            {"at": place, "role": entry.role, "tokens": size, "estimated": True}
            for place, (entry, (size, _)) in enumerate(zip(path, self.guesses(tree, model), strict=True))
        ]
        head = {"at": None, "role": "system and tools", "tokens": self.fixed(model), "estimated": True}
        return head, rows, _measure(path, rows, head, measured_now)


def model_of(path: Sequence[Entry]) -> Model:
    """The model that replied last; the default model where none did, or none that is known."""
    named = next((entry.model for entry in reversed(path) if entry.model and entry.is_reply), None)
    found = (find(named) if named else None) or find(MODEL)
    assert found is not None  # noqa: S101 - the default model is in the data file
    return found


def takes_instructions(path: Sequence[Entry], model: str | None) -> bool:
    """Whether the model that is asked (default: that replied last) takes messages of the role ``system``."""
    found = find(model) if model else model_of(path)
    return found is not None and found.system_messages


def lifetime(last: Entry | None) -> float:
    """Seconds for which the prompt cache holds what a reply's request put into it."""
    hour = ((last.usage or {}).get("cache_creation") or {}).get("ephemeral_1h_input_tokens") if last else None
    return _HOUR if hour else _FIVE_MINUTES


def scale_of(path: Sequence[Entry], items: Sequence[Item], fixed: int) -> float:
    """How much larger the last measured prompt of the whole conversation was than its estimate."""
    for place in range(len(path) - 1, -1, -1):
        measured = path[place].prompt_tokens
        if measured and path[place].cut is None:
            guess = fixed + sum(item.tokens for item in items[:place])
            return max(_LEAST, min(_MOST, measured / guess)) if guess else 1.0
    return 1.0


def _estimate(entry: Entry, model: Model) -> tuple[int, int]:
    from claude_nb.sandbox import tokens

    whole = cleared = tokens.MESSAGE_OVERHEAD
    reported = _thought(entry)
    for block in entry.sendable:
        if block["type"] in THINKING:
            guess = tokens.count_text(block.get("thinking") or "", model) or _THOUGHT
            size = smaller = guess if reported is None else reported
            reported = None if reported is None else 0  # of all its thinking blocks together
        else:
            size = smaller = tokens.count_block(block, model)
        if block["type"] == "tool_result":
            smaller = tokens.count_block({**block, "content": CLEARED}, model)
        whole, cleared = whole + size, cleared + smaller
    return (whole, cleared) if entry.sendable else (0, 0)


def _thought(entry: Entry) -> int | None:
    """Tokens of a reply's thinking as the server reported them: shown or hidden, they are what is sent back."""
    details = (entry.usage or {}).get("output_tokens_details") or {}
    reported = details.get("thinking_tokens")
    return reported if isinstance(reported, int) else None


def _measure(path: Sequence[Entry], rows: list[Json], head: Json, measured_now: int | None) -> int:
    """Replace estimates by differences of measured prompts; what cannot be attributed is the residual."""
    residual, known, since = 0, 0, 0
    before: tuple[int | None, str | None] | None = None
    ends = [
        (place, entry.prompt_tokens, entry.cut, entry.model)
        for place, entry in enumerate(path)
        if entry.prompt_tokens is not None
    ]
    if measured_now is not None:
        last = ends[-1] if ends else (0, 0, None, None)
        ends.append((len(path), measured_now, last[2], last[3]))
    for place, prompt, cut, model in ends:
        group = rows[since:place] if before else [head, *rows[:place]]
        whole = cut is None
        grown = (prompt or 0) - known
        if (before in (None, (cut, model)) and grown >= 0 and (whole or before)) and group:
            _divide(group, grown)
        elif before:
            residual += grown - sum(row["tokens"] for row in group)
        before, known, since = (cut, model), prompt or 0, place
    return residual


def _divide(group: list[Json], tokens: int) -> None:
    """Give a measured number to several messages by their estimates; to one message it is exact."""
    weights = [row["tokens"] for row in group]
    total = sum(weights)
    if len([weight for weight in weights if weight]) == 1:
        for row in group:
            row["tokens"], row["estimated"] = (tokens, False) if row["tokens"] else (0, False)
        return
    left, weight_left = tokens, total
    for row, weight in zip(group, weights, strict=True):
        share = round(left * weight / weight_left) if weight_left else 0
        row["tokens"], left, weight_left = share, left - share, weight_left - weight
