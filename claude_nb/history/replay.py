"""A conversation made again in thought: what each of its requests would have used under other trim policies.

A request that a policy would have sent as it was sent keeps what the server measured. Any other is as large as its
messages were measured, and goes through the sandbox's model of the prompt cache at the time of the real one, so
lookback, minimum, lifetime and invalidation are those of the sandbox.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from claude_nb import trim as trimming
from claude_nb.ledger import is_unbilled_refusal, made_output
from claude_nb.models import Model, find
from claude_nb.trim import WHOLE, Cut, Item, ServerSide, Summarize, Talk
from claude_nb.trim.server import CLEARING

from . import sizes
from .content import Json
from .lines import Lines, Request, tokens_of
from .prefix import Prefix
from .tree import Tree

_PAUSE = 60.0
"""Seconds between requests whose time is not known."""
_SUMMARY = 1_000
"""Tokens of a summary that was never written."""
_WRITTEN = -1
"""In place of a number: such a summary."""
_ASSUMED = Item(_SUMMARY, _SUMMARY, is_prompt=True, is_results=False)


@dataclass(frozen=True)
class Used:
    """What one request used.

    Attributes:
        model: Who was asked.
        usage: Tokens, in the API's own fields.
        at: When, in seconds since the epoch; None where that is not known.
        measured: Whether the server said so, of the very same request.
        unbilled: Whether it is a refusal that is not billed.
    """

    model: str
    usage: Json
    at: float | None
    measured: bool
    unbilled: bool = False


@dataclass
class Run:
    """One policy over all requests.

    Attributes:
        cached: What each request used with the prompt cache, calls for summaries included.
        uncached: What it used without.
        notes: Turns that could not be made again as they would have been, and what is assumed there.
    """

    cached: list[Used] = field(default_factory=list)
    uncached: list[Used] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def used(self, *, caching: bool) -> list[Used]:
        """What each request used, with the prompt cache or without it."""
        return self.cached if caching else self.uncached

    def add(self, used: Used) -> None:
        """A call that the cache makes no difference to."""
        self.cached.append(used)
        self.uncached.append(used)


class Replay:
    """One conversation, to be run under several policies.

    Args:
        tree: The conversation.
        known: The sizes of its messages.
        model: Whom to ask instead; None for who was asked.
    """

    def __init__(self, tree: Tree, known: sizes.Sizes, model: Model | None) -> None:
        self.tree, self.known, self.model = tree, known, model
        self.own = model or sizes.model_of([entry for entry in tree.entries if entry.is_reply])
        self.lines = Lines(tree)
        self.requests = self.lines.requests()
        self.fixed, self.tokens = tokens_of(tree, known, self.own)
        self.items = [known.item(tree, number, self.own) for number in range(len(tree.entries))]
        self.guessed_fixed = known.fixed(self.own)
        self.parts = [max(1, len(entry.sendable)) for entry in tree.entries]
        self._measured = [self._as_measured(number) for number in range(len(tree.entries))]
        usages = [request.entry.usage or {} for request in self.requests]
        self.cached = any(
            usage.get("cache_read_input_tokens") or usage.get("cache_creation_input_tokens")
            for usage in usages
        )
        self.ttl = "1h" if any(_split(usage).get("ephemeral_1h_input_tokens") for usage in usages) else "5m"

    def run(self, policies: Sequence[trimming.Policy]) -> Run:
        """Make every request again under these policies."""
        return _Running(self, policies).run()

    def measured_items(self, line: Sequence[int]) -> list[Item]:
        """The messages of a line in the tokens that were measured."""
        return [self._measured[number] if number >= 0 else _ASSUMED for number in line]

    def _as_measured(self, number: int) -> Item:
        item, tokens = self.items[number], self.tokens[number]
        small = round(item.cleared_tokens * tokens / item.tokens) if item.tokens else 0
        return replace(item, tokens=tokens, cleared_tokens=small)


class _Running:
    def __init__(self, replay: Replay, policies: Sequence[trimming.Policy]) -> None:
        from claude_nb.sandbox.cache import PromptCache

        self.replay, self.policies = replay, policies
        self.result, self.cache = Run(), PromptCache()
        self.cuts: dict[int, Cut] = {}  # of each request, by the number of its reply
        self.happened: set[int] = set()  # real summaries that this policy made too
        self.written: list[
            tuple[int, int]
        ] = []  # other summaries: the last message each stands for, and its number
        self.prefix = Prefix()
        self.now = 0.0

    def run(self) -> Run:
        for request in self.replay.requests:
            self._make(request)
        return self.result

    def _make(self, request: Request) -> None:
        replay = self.replay
        line = self._line(request)
        idle = self._idle(request)
        loop = replay.tree.entries[request.real[-1]] if request.real else None
        before = self._cut_before(line)
        cut = before
        if self.policies and loop is not None:
            talk = self._talk(line, cold=idle)
            if loop.is_results:
                cut = trimming.apply_in_loop(self.policies, talk, before)
            elif loop.role == "user":
                now = self._summarised(request, line, talk)
                talk = talk if now is line else self._talk(now, cold=idle)
                line = now
                cut = trimming.apply(self.policies, talk, self._cut_before(line))
        self.cuts[request.number] = cut
        self._charge(request, line, cut)

    def _line(self, request: Request) -> list[int]:
        """What this policy would have before it, with the summaries that it made."""
        line = self.replay.lines.before(request.real, self.happened)
        for last, number in self.written:
            if last in line:
                line = [number, *line[line.index(last) + 1 :]]
        return line

    def _idle(self, request: Request) -> bool:
        """Whether the cache had expired when a request was made; moves the clock on."""
        asked = request.asked_at or self.now + _PAUSE
        last = next(
            (e for e in (self.replay.tree.entries[n] for n in reversed(request.real)) if e.is_reply), None
        )
        self.now = max(self.now, asked)
        return bool(last and last.at and asked - last.at > sizes.lifetime(last))

    def _cut_before(self, line: Sequence[int]) -> Cut:
        return next((self.cuts[number] for number in reversed(line) if number in self.cuts), WHOLE)

    def _talk(self, line: list[int], *, cold: bool) -> Talk:
        """The conversation as the policy saw it then: estimates, put right by what had been measured."""
        replay = self.replay
        items = [replay.items[number] if number >= 0 else _ASSUMED for number in line]
        path = [replay.tree.entries[number] for number in line if number >= 0]
        exact = len(path) == len(items)
        scale = sizes.scale_of(path, items, replay.guessed_fixed) if exact else 1.0
        return Talk(items, replay.guessed_fixed, scale, cold=cold)

    def _summarised(self, request: Request, line: list[int], talk: Talk) -> list[int]:
        """The line once the policies have summarised it, by a model or by the API."""
        for policy in self.policies:
            if not isinstance(policy, Summarize) or not (upto := policy.old(talk)):
                continue
            real = self.replay.lines.summary_after(line[upto - 1]) if line[upto - 1] >= 0 else None
            if real is not None and self.replay.tree.entries[real].role == "user":
                self.happened.add(real)
                self._charge_summary(request, policy, real, talk.between(0, upto))
                return self._line(request)
            self._assume(request, "no summary was written there", policy.model, talk.between(0, upto))
            self.written.append((line[upto - 1], _WRITTEN - len(self.written)))
            return self._line(request)
        return line

    def _charge_summary(self, request: Request, policy: Summarize, real: int, old: int) -> None:
        entry = self.replay.tree.entries[real]
        if entry.usage is None:
            self._assume(request, "what its summary used was not kept", policy.model, old)
            return
        self.result.add(Used(entry.model or policy.model, entry.usage, entry.at, measured=True))

    def _assume(self, request: Request, why: str, model: str, old: int) -> None:
        turn = self.replay.lines.turn_of(self.replay.lines.before(request.real))
        self.result.notes.append(f"turn {turn}: {why}, one of {_SUMMARY:,} tokens is assumed")
        usage = {"input_tokens": old, "output_tokens": _SUMMARY}
        self.result.add(Used(model, usage, request.entry.at, measured=False))

    # What a request uses

    def _charge(self, request: Request, line: list[int], cut: Cut) -> None:
        replay, entry = self.replay, request.entry
        model = replay.model or find(entry.model or "") or replay.own
        same = self._is_as_it_was(request, line, cut)
        items = replay.measured_items(line)
        size = Talk(items, replay.fixed).size(cut)
        edited = self._edited_by_the_api(request, items, size, cut, same=same)
        same = same and edited == (size, cut)
        size, cut = edited
        prompt = entry.prompt_tokens if same and entry.prompt_tokens else size
        unbilled = is_unbilled_refusal(entry.stop_reason, entry.refusal, produced=made_output(entry.content))
        for caching in (True, False):
            if same and entry.usage is not None and caching == replay.cached:
                used = Used(entry.model or model.id, entry.usage, entry.at, measured=True, unbilled=unbilled)
                if caching:
                    self._through_the_cache(line, items, cut, prompt, model)  # for the requests that follow
            else:
                usage = (
                    self._through_the_cache(line, items, cut, prompt, model)
                    if caching
                    else {"input_tokens": prompt}
                )
                output = (entry.usage or {}).get("output_tokens")
                usage["output_tokens"] = output if output is not None else replay.tokens[request.number]
                used = Used(model.id, usage, entry.at, measured=False, unbilled=unbilled)
            self.result.used(caching=caching).append(used)

    def _is_as_it_was(self, request: Request, line: list[int], cut: Cut) -> bool:
        """Whether this policy would have sent the very request that was sent."""
        entry = request.entry
        if line != request.real or (self.replay.model and self.replay.model.id != (entry.model or "")):
            return False
        real = WHOLE if entry.cut is None else self.replay.tree.cuts[entry.cut] if entry.cut >= 0 else None
        if real is None or replace(real, thinking_from=0) != replace(cut, thinking_from=0):
            return False
        edited = entry.edits or any(block["type"] == "compaction" for block in entry.content)
        edits = any(isinstance(policy, ServerSide) for policy in self.policies)
        if edited and not edits:
            turn = self.replay.lines.turn_of(line)
            self.result.notes.append(
                f"turn {turn}: the API had edited its prompt, whose size without that is an estimate"
            )
        return edits or not edited

    def _edited_by_the_api(
        self, request: Request, items: list[Item], size: int, cut: Cut, *, same: bool
    ) -> tuple[int, Cut]:
        """What the API itself would have left out of a request that it never saw."""
        entry = request.entry
        if same and (entry.edits or any(block["type"] == "compaction" for block in entry.content)):
            return size, cut
        for policy in self.policies:
            if not isinstance(policy, ServerSide) or size <= policy.edit["trigger"]["value"]:
                continue
            turn = self.replay.lines.turn_of(self.replay.lines.before(request.real))
            if policy.edit["type"] == CLEARING:
                keep = policy.edit["keep"]["value"]
                results = [at for at, item in enumerate(items) if item.is_results and at not in cut.places()]
                cut = replace(cut, cleared=tuple(results[: len(results) - keep]))
                size = Talk(items, self.replay.fixed).size(cut)
                self.result.notes.append(f"turn {turn}: what the API would clear there is an estimate")
            else:
                last = max((at for at, item in enumerate(items) if item.is_prompt), default=0)
                cut = replace(cut, left_out=((0, last),) if last else ())
                size = Talk(items, self.replay.fixed).size(cut) + _SUMMARY
                self._assume(request, "the API compacted nothing there", self.replay.own.id, size)
        return size, cut

    def _through_the_cache(
        self, line: list[int], items: list[Item], cut: Cut, prompt: int, model: Model
    ) -> dict[str, Any]:
        replay = self.replay
        chain, upto = self.prefix.extended(replay.parts, line, items, cut, fixed=replay.fixed, model=model.id)
        upto = [*upto[:-1], max(prompt, upto[-2] if len(upto) > 1 else 0)]
        marks = [(len(chain) - 1, self.replay.ttl)]
        return self.cache.settle(marks, chain, upto, model, now=self.now)


def _split(usage: Json) -> Json:
    return usage.get("cache_creation") or {}
