"""The prompt cache: what a request reads, what it writes, and for how long that lives.

Rules of the documentation (prompt caching, 2026-08): the order is tools, system, messages; writes happen only at
breakpoints; a read looks back at most 20 blocks from each; lifetimes count from the start of the request and are
renewed by use; prompts under the model's minimum are silently not cached.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from claude_nb.models import Model

from . import prompt, sealing, thinking

Json = dict[str, Any]

LIFETIMES = {"5m": 300.0, "1h": 3600.0}
_LOOKBACK = 20
_MOST_ENTRIES = 10_000


@dataclass(slots=True)
class _Entry:
    lifetime: float
    expires: float


class PromptCache:
    """Entries of one sandbox, kept apart by key and model."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    def charge(self, body: Json, model: Model, *, owner: str, now: float) -> Json:
        """The input side of the usage of a request; what it writes can be read from now on.

        Args:
            body: A valid request.
            model: The model it names.
            owner: Digest of the key: caches are not shared between workspaces.
            now: Seconds since the epoch.
        """
        parts = prompt.parts(body, model)
        marks = breakpoints(body, parts)
        chain = digests(body, model, parts, owner) if marks else []
        upto = list(accumulate((part.tokens for part in parts), initial=0))
        return self.settle(marks, chain, upto, model, now=now)

    def settle(
        self,
        marks: Sequence[tuple[int, str]],
        chain: Sequence[Hashable],
        upto: Sequence[int],
        model: Model,
        *,
        now: float,
    ) -> Json:
        """The input side of the usage of a prompt whose parts are known by their sizes alone.

        Args:
            marks: Where it asks to cache: ``(index of the part, ttl)``, in order.
            chain: A key of the prompt up to and including each part.
            upto: Tokens before each part, and at last of all of them.
            model: Whose cache it is.
            now: Seconds since the epoch.
        """
        read = self._read(marks, chain, now)
        hour = five = read
        for index, ttl in marks:
            if upto[index + 1] < (model.min_cacheable_tokens or 0):
                continue
            lifetime = LIFETIMES[ttl]
            entry = self._entries.setdefault(chain[index], _Entry(lifetime, now))
            entry.lifetime = max(entry.lifetime, lifetime) if entry.expires > now else lifetime
            entry.expires = now + entry.lifetime
            five = max(five, index + 1)
            hour = max(hour, index + 1) if ttl == "1h" else hour
        self._forget(now)
        written = {
            "ephemeral_5m_input_tokens": upto[max(five, hour)] - upto[hour],
            "ephemeral_1h_input_tokens": upto[hour] - upto[read],
        }
        return {
            "input_tokens": upto[-1] - upto[max(five, hour)],
            "cache_creation_input_tokens": sum(written.values()),
            "cache_read_input_tokens": upto[read],
            "cache_creation": written,
        }

    def _read(self, marks: Sequence[tuple[int, str]], chain: Sequence[Hashable], now: float) -> int:
        """How many parts the longest live entry covers; using it renews it."""
        for index, _ in reversed(marks):
            for at in range(index, max(index - _LOOKBACK, -1), -1):
                entry = self._entries.get(chain[at])
                if entry and entry.expires > now:
                    entry.expires = now + entry.lifetime
                    return at + 1
        return 0

    def _forget(self, now: float) -> None:
        if len(self._entries) > _MOST_ENTRIES:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.expires > now}
        while len(self._entries) > _MOST_ENTRIES:
            self._entries.pop(next(iter(self._entries)))


def breakpoints(body: Json, parts: list[prompt.Part]) -> list[tuple[int, str]]:
    """Where the request asks to cache: ``(index of the part, ttl)``, in order."""
    found = {
        index: part.cache_control.get("ttl", "5m") for index, part in enumerate(parts) if part.cache_control
    }
    if automatic := body.get("cache_control"):
        last = next((at for at in range(len(parts) - 1, -1, -1) if parts[at].cacheable), None)
        if last is not None:
            found.setdefault(last, automatic.get("ttl", "5m"))
    return sorted(found.items())


def digests(body: Json, model: Model, parts: list[prompt.Part], owner: str = "") -> list[str]:
    """A digest of the prompt up to and including each part, with the settings that its section depends on."""
    levels = {
        "tools": f"{owner} {model.id}",
        "system": str(body.get("speed")),
        "messages": settings(body, model),
    }
    has_image = any('"type":"image"' in part.text for part in parts)
    levels["messages"] += f" image={has_image}"
    chain, found = "", []
    for level, own in levels.items():
        chain = sealing.digest(f"{chain} {own}", 16)
        for part in parts:
            if part.level == level:
                if part.tokens:  # thinking that the server leaves out is not part of the prompt
                    chain = sealing.digest(f"{chain} {part.text}", 16)
                found.append(chain)
    return found


def settings(body: Json, model: Model) -> str:
    """Settings that are part of the messages' prefix: changing one makes the cached messages useless."""
    budget = (body.get("thinking") or {}).get("budget_tokens")
    wanted = (body.get("output_config") or {}).get("format")
    used = {
        "tool_choice": body.get("tool_choice") or {"type": "auto"},
        "thinking": [thinking.mode(body, model), budget],
        "effort": thinking.effort(body, model),
        "format": wanted,
    }
    return prompt.text_of(used)
