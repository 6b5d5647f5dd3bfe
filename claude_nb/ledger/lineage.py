"""Stores of a prompt only what it adds to an earlier one: a chat's rows grow with what is said, not with its square.

A row's ``prompt`` is a list of parts, or ``{"after": id, "keep": n, "parts": [...]}``: the first n parts of that row's
prompt, then these. The rows a process makes refer to its own earlier rows; the first is whole.
"""

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from .prompt import Part

_CONVERSATIONS = 64
_LATEST = 4
"""Prompts kept of each conversation: parallel branches continue not only the last one."""
_WORTH_IT = 4
"""Parts in common below which a reference saves nothing."""

Parts = tuple[Part, ...]


class Lineage:
    """The latest prompts that this process stored in one ledger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: OrderedDict[str | None, deque[tuple[str, Parts]]] = OrderedDict()

    def shorten(self, row_id: str, conversation: str | None, parts: Sequence[Part]) -> str:
        """The text to store for a prompt, which later ones may refer to by its row's id."""
        with self._lock:
            known = self._latest.setdefault(conversation, deque(maxlen=_LATEST))
            self._latest.move_to_end(conversation)
            if len(self._latest) > _CONVERSATIONS:
                self._latest.popitem(last=False)
            keep, after = 0, ""
            base: Parts = ()
            for name, earlier in reversed(known):
                common = _common(earlier, parts)
                if common > keep:
                    keep, after, base = common, name, earlier
                if common == len(earlier):  # continued whole: none before it can have more
                    break
            known.append((row_id, (*base[:keep], *parts[keep:])))  # what is equal is kept in memory once
        if keep < _WORTH_IT:
            return _json(parts)
        return f'{{"after":"{after}","keep":{keep},"parts":{_json(parts[keep:])}}}'

    def forget(self) -> None:
        """Refer to no earlier row: they may not be where the next one goes."""
        with self._lock:
            self._latest.clear()


def resolve(stored: Iterable[tuple[str, str | None]]) -> dict[str, Parts]:
    """The whole prompt of each row, by its id; of a row whose base is missing nothing is known.

    Args:
        stored: Rows' ids and texts, in any order.
    """
    texts = {row_id: json.loads(text) if text else [] for row_id, text in stored}
    found: dict[str, Parts] = {}
    for row_id in texts:
        chain = [row_id]
        while isinstance(texts.get(chain[-1]), Mapping) and chain[-1] not in found:
            chain.append(texts[chain[-1]]["after"])
        for one in reversed(chain):
            if one not in found:
                found[one] = _whole(texts.get(one, []), found)
    return found


def bases(stored: Iterable[tuple[str, str | None]]) -> set[str]:
    """The ids that these rows refer to and that are not among them."""
    rows = dict(stored)
    referred = {json.loads(text)["after"] for text in rows.values() if text and text.startswith("{")}
    return referred - rows.keys()


def _whole(text: object, found: Mapping[str, Parts]) -> Parts:
    if isinstance(text, Mapping):
        base = found.get(text["after"], ())
        if len(base) < text["keep"]:
            return ()
        return (*base[: text["keep"]], *(Part(*part) for part in text["parts"]))
    return tuple(Part(*part) for part in text) if isinstance(text, list) else ()


def _common(before: Sequence[Part], parts: Sequence[Part]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, parts, strict=False)))


def _json(parts: Sequence[Part]) -> str:
    return json.dumps(parts, separators=(",", ":"))
