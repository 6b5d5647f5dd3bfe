"""What a conversation would have cost under other trim policies, with and without the prompt cache.

The prompt of each request is rebuilt with a text of the right length for every block, and goes through the cache of
the sandbox at the time of the real request. So lookback, minimum, lifetime and invalidation are those of the sandbox.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from claude_nb import trim as trimming
from claude_nb.errors import HistoryError, ModelError
from claude_nb.ledger import price_usage
from claude_nb.models import Model, find
from claude_nb.trim import WHOLE, Cut, Talk, Trim

from . import sizes, view
from .content import Json
from .entry import Entry
from .tree import Tree

if TYPE_CHECKING:
    import pandas as pd


_PAUSE = 60.0
"""Seconds between requests whose time is not known."""
_COLD = 300.0


def replay(
    tree: Tree, known: sizes.Sizes, policies: Sequence[Trim | None], *, model: str | None
) -> "pd.DataFrame":
    """A row a policy and kind of caching; see ``History.what_if``."""
    import pandas as pd

    path = tree.path()
    chosen = find(model) if model else sizes.model_of(path)
    if chosen is None:
        raise ModelError(f"nothing is known of the model {model!r}. Give one of claude_nb.models.known().")
    counted = known.frame(tree, None)
    tokens = [int(size) for size in counted.loc[counted["at"].notna(), "tokens"]]
    fixed = int(counted["tokens"].iloc[0])
    cleared = [
        round(small * size / guess) if guess else 0
        for size, (guess, small) in zip(tokens, known.guesses(tree, chosen), strict=True)
    ]
    rows = [
        _row(_Replay(path, tokens, cleared, fixed, chosen), policy, caching=caching)
        for policy in policies
        for caching in (True, False)
    ]
    return pd.DataFrame(rows)


class _Replay:
    """One conversation, request by request."""

    def __init__(
        self, path: Sequence[Entry], tokens: list[int], cleared: list[int], fixed: int, model: Model
    ) -> None:
        self.path, self.tokens, self.cleared, self.fixed, self.model = path, tokens, cleared, fixed, model

    def run(self, policies: Sequence[trimming.Policy], *, caching: bool) -> list[tuple[Json, float]]:
        """The usage of each request, and when it was made."""
        from claude_nb.sandbox.cache import PromptCache

        cache, cut, now, usages = PromptCache(), WHOLE, 0.0, list[tuple[Json, float]]()
        for place, entry in enumerate(self.path):
            if entry.role != "assistant":
                continue
            before, now = now, entry.at or now + _PAUSE
            if self.path[place - 1].is_prompt:
                cut = trimming.apply(policies, self._talk(place, cold=now - before > _COLD), cut)
            body = self._body(place, cut, caching=caching)
            usage = cache.charge(body, self.model, owner="", now=now)
            usages.append((usage | {"output_tokens": (entry.usage or {}).get("output_tokens") or 0}, now))
        return usages

    def _talk(self, end: int, *, cold: bool) -> Talk:
        items = [
            trimming.Item(self.tokens[place], self.cleared[place], entry.is_prompt, entry.is_results)
            for place, entry in enumerate(self.path[:end])
        ]
        return Talk(items, self.fixed, cold=cold)

    def _body(self, end: int, cut: Cut, *, caching: bool) -> Json:
        messages: list[Json] = []
        cleared = cut.cleared_places()
        for message in view.build(self.path[:end], cut):
            sizes_of = [self.cleared[at] if at in cleared else self.tokens[at] for at in message.places]
            blocks = [
                _text(f"{place}{'c' if place in cleared else ''}", size, self.model)
                for place, size in zip(message.places, sizes_of, strict=True)
            ]
            messages.append({"role": message.role, "content": blocks})
        body: Json = {"model": self.model.id, "max_tokens": 1, "messages": messages}
        body["system"] = [_text("system", self.fixed, self.model)]
        return body | ({"cache_control": {"type": "ephemeral"}} if caching else {})


def _text(name: str, tokens: int, model: Model) -> Json:
    """A text block that the sandbox counts as so many tokens."""
    from claude_nb.sandbox.tokens import count_text

    per_token = 2.5 if model.tokenizer > 1 else 3.3
    size = max(1, int(tokens * per_token))
    text = (f"{name} " * (size // (len(name) + 1) + 1))[:size]
    while count_text(text, model) > max(1, tokens):
        text = text[:-1]
    return {"type": "text", "text": text}


def _row(replayed: _Replay, policy: Trim | None, *, caching: bool) -> dict[str, Any]:
    policies = trimming.policies(policy)
    if any(isinstance(one, trimming.Summarize | trimming.ServerSide) for one in policies):
        raise HistoryError(
            "what_if() replays what is cut here; what a model or the API would write instead of it is unknown."
        )
    usages = replayed.run(policies, caching=caching)
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    sums = {name: sum(usage[name] for usage, _ in usages) for name in names}
    prompt = sum(sums[name] for name in names[:3])
    turns = sum(entry.is_prompt for entry in replayed.path) or 1
    costs = [
        price_usage(
            replayed.model.id, usage, datetime.fromtimestamp(now, UTC) if now > _PAUSE * 1e6 else None
        )
        for usage, now in usages
    ]
    known = [cost for cost in costs if cost is not None]
    return {
        "policy": "everything" if not policies else " + ".join(map(repr, policies)),
        "caching": caching,
        "requests": len(usages),
        **sums,
        "tokens_per_turn": round(prompt / turns),
        "cache_hit": round(sums["cache_read_input_tokens"] / prompt, 3) if prompt else None,
        "cost_usd": sum(known, Decimal(0)) if len(known) == len(costs) else None,
    }
