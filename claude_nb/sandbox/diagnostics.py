"""Why the prompt cache could not reuse the previous request: ``diagnostics.cache_miss_reason``."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from claude_nb.models import Model

from . import cache, prompt

Json = dict[str, Any]

_MOST_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class _Request:
    model: tuple[str, str | None]
    parts: tuple[prompt.Part, ...]
    settings: str

    def section(self, level: str) -> tuple[str, ...]:
        return tuple(part.text for part in self.parts if part.level == level)

    def tokens_from(self, index: int) -> int:
        return sum(part.tokens for part in self.parts[index:])


class Diagnostics:
    """Requests that opted in, by the id of their reply."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Request] = OrderedDict()

    def explain(self, body: Json, model: Model, message_id: str) -> Json | None:
        """The ``diagnostics`` of a reply; ``None`` when the request did not ask or nothing diverged.

        Args:
            body: A valid request.
            model: The model it names.
            message_id: Id of the reply, under which the request is remembered.
        """
        asked = body.get("diagnostics")
        if asked is None:
            return None
        current = _Request(
            (model.id, body.get("speed")), tuple(prompt.parts(body, model)), cache.settings(body, model)
        )
        previous_id = asked.get("previous_message_id")
        reason = None if previous_id is None else _compare(self._kept.get(previous_id), current)
        self._kept[message_id] = current
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return {"cache_miss_reason": reason} if reason else None


def _compare(before: _Request | None, now: _Request) -> Json | None:
    if before is None:
        return {"type": "previous_message_not_found"}
    tools, system = len(before.section("tools")), len(before.section("system"))
    if before.model != now.model:
        return _changed("model", before.tokens_from(0))
    if before.section("tools") != now.section("tools"):
        return _changed("tools", before.tokens_from(0))
    if before.section("system") != now.section("system"):
        return _changed("system", before.tokens_from(tools))
    old, new = before.section("messages"), now.section("messages")
    common = next(
        (at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    if common < len(old):
        return _changed("messages", before.tokens_from(tools + system + common))
    return {"type": "unavailable"} if before.settings != now.settings else None


def _changed(what: str, missed: int) -> Json:
    return {"type": f"{what}_changed", "cache_missed_input_tokens": missed}
