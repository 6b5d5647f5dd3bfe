"""A value that fits a JSON schema, made from what the prompt holds where that is possible."""

import re
from collections import deque
from collections.abc import Iterable
from typing import Any

from .schemas import resolve

Json = dict[str, Any]

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|\.\d)")
_NAME = re.compile(r"\b[A-Z][\w'’-]*(?:[ ]+[A-Z][\w'’-]*)*")
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]|(?<!\w)'([^']+)'(?!\w)")
_ARITHMETIC = re.compile(r"\(*-?\d[\d\s.+*/()^%x×-]*[\d)]")
_FORMATS = {
    "date": (re.compile(r"\d{4}-\d\d-\d\d"), "2026-01-01"),
    "date-time": (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)"), "2026-01-01T00:00:00Z"),
    "time": (re.compile(r"\b\d\d:\d\d:\d\d\b"), "00:00:00"),
    "duration": (re.compile(r"\bP[\dT][\dYMWDTHS.]*\b"), "PT0S"),
    "email": (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w"), "sandbox@example.com"),
    "uri": (re.compile(r"https?://[^\s\"'<>)]+"), "https://example.com/sandbox"),
    "hostname": (re.compile(r"\b(?:[\w-]+\.)+[a-z]{2,}\b"), "sandbox.example.com"),
    "uuid": (
        re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        "00000000-0000-4000-8000-000000000000",
    ),
    "ipv4": (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "192.0.2.1"),
    "ipv6": (re.compile(r"\b[0-9a-f:]*::[0-9a-f:]*\b"), "2001:db8::1"),
}
_BY_NAME = {"email": "email", "url": "uri", "uri": "uri", "link": "uri", "website": "uri"}
_WHOLE_PROMPT = {"query", "question", "text", "prompt", "input", "message", "content"}
_EXPRESSION = {"expression", "formula", "calculation", "equation"}
# Words that begin a sentence with a capital and are no names.
_NO_NAME_WORDS = """
a add an and answer are as ask at book call can check choose classify compare compute convert could count
create describe do does draw explain extract find for from generate get give has have he hello help her here
hi his how i i'm i'd i've if in is it let list look make may me my no not now of on or order our plan please
read return run say search send set she should show so start summarize tell test thanks that the their then
there these they think this to today tomorrow translate try turn use was we what what's what’s when where
which who why will with would write yes you your
"""
_NO_NAMES = frozenset(_NO_NAME_WORDS.split())
_DEEPEST = 12


class Hints:
    """What a prompt offers to fill a schema with; each value is handed out once.

    Args:
        prompt: The last user message.
    """

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self._numbers = deque(match.group().replace(",", "") for match in _NUMBER.finditer(prompt))
        self._names = deque(names(prompt))

    def string(self, name: str) -> str:
        """Text for a property called ``name``; when the prompt has none, text that says where it comes from."""
        words = set(re.split(r"[^a-z]+", name.lower()))
        if kind := next((_BY_NAME[word] for word in sorted(words) if word in _BY_NAME), None):
            return self.formatted(kind)
        if words & _EXPRESSION and (found := _ARITHMETIC.search(self.prompt)):
            return found.group().strip()
        if words & _WHOLE_PROMPT and self.prompt:
            return self.prompt
        return self._names.popleft() if self._names else f"(sandbox) {name}".strip()

    def formatted(self, kind: str) -> str:
        """Text in a JSON-schema format."""
        pattern, example = _FORMATS[kind]
        found = pattern.search(self.prompt)
        return found.group() if found else example

    def number(self) -> float:
        """The next number of the prompt, or 0."""
        return float(self._numbers.popleft()) if self._numbers else 0.0

    def lacks(self, kind: str, options: Iterable[Any]) -> bool:
        """Whether the prompt says nothing of this kind, so that a value that may be missing should be."""
        if options:
            return not any(
                isinstance(one, str) and one and one.lower() in self.prompt.lower() for one in options
            )
        offered = {"integer": self._numbers, "number": self._numbers, "string": self._names, "boolean": ()}
        return kind in offered and not offered[kind]


def names(prompt: str) -> list[str]:
    """Quoted phrases and proper names of a prompt, in order, each once."""
    found = [(match.start(), match.group(1) or match.group(2)) for match in _QUOTED.finditer(prompt)]
    for match in _NAME.finditer(prompt):
        words = match.group().replace("’s", "").replace("'s", "").split()
        while words and words[0].lower() in _NO_NAMES:
            words.pop(0)
        while words and words[-1].lower() in _NO_NAMES:
            words.pop()
        if words:
            found.append((match.start(), " ".join(words)))
    return list(dict.fromkeys(name for _, name in sorted(found)))


def value(schema: Json, hints: Hints, *, root: Json | None = None, name: str = "", depth: int = 0) -> Any:
    """A value that the schema accepts.

    Args:
        schema: JSON schema, possibly with local references.
        hints: What to fill it with.
        root: The schema that references start from.
        name: The property to fill.
        depth: How deep in the value this is; far down, optional properties are left out.
    """
    root = schema if root is None else root
    may_miss = _is_nullable(resolve(schema, root))
    schema = _merged(schema, root)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if may_miss and hints.lacks(kind, schema.get("enum") or ()):
        return None
    if options := schema.get("enum"):
        return _mentioned(options, hints.prompt)
    if kind == "object":
        return _object(schema, hints, root, depth)
    if kind == "array":
        return _array(schema, hints, root, name, depth)
    return _scalar(kind, schema, hints, name)


def _scalar(kind: str, schema: Json, hints: Hints, name: str) -> Any:
    match kind:
        case "integer" | "number":
            number = _within(hints.number(), schema)
            return int(number) if kind == "integer" or number.is_integer() else number
        case "boolean":
            return True
        case "null":
            return None
    return _string(schema, hints, name)


def _is_nullable(schema: Json) -> bool:
    options = (*(schema.get("anyOf") or ()), *(schema.get("oneOf") or ()))
    return "null" in (schema.get("type") or ()) or any(one.get("type") == "null" for one in options)


def _merged(schema: Json, root: Json) -> Json:
    """One plain schema: references followed, ``allOf`` joined, the first useful alternative taken."""
    schema = resolve(schema, root)
    for name in ("anyOf", "oneOf"):
        if options := schema.get(name):
            chosen = next((one for one in options if one.get("type") != "null"), options[0])
            schema = {**{key: val for key, val in schema.items() if key != name}, **_merged(chosen, root)}
    for part in schema.get("allOf") or ():
        part = _merged(part, root)  # noqa: PLW2901 - the merged part is the part
        both = {"properties": {**schema.get("properties", {}), **part.get("properties", {})}}
        schema = {**schema, **part, **(both if both["properties"] else {})}
    return schema


def _object(schema: Json, hints: Hints, root: Json, depth: int) -> Json:
    properties = schema.get("properties") or {}
    required = list(schema.get("required") or ())
    order = [*required, *(name for name in properties if name not in required)]
    wanted = order if depth < _DEEPEST else required
    return {
        name: value(properties.get(name, {}), hints, root=root, name=name, depth=depth + 1)
        for name in wanted
        if depth < 2 * _DEEPEST
    }


def _array(schema: Json, hints: Hints, root: Json, name: str, depth: int) -> list[Any]:
    items = schema.get("items")
    size = max(1, schema.get("minItems", 0)) if depth < _DEEPEST else schema.get("minItems", 0)
    size = min(size, schema.get("maxItems", size))
    if isinstance(schema.get("prefixItems"), list):
        return [value(one, hints, root=root, name=name, depth=depth + 1) for one in schema["prefixItems"]]
    singular = name.removesuffix("s")
    return [value(items or {}, hints, root=root, name=singular, depth=depth + 1) for _ in range(size)]


def _string(schema: Json, hints: Hints, name: str) -> str:
    text = hints.formatted(schema["format"]) if schema.get("format") in _FORMATS else hints.string(name)
    text = text.ljust(schema.get("minLength", 0), ".")
    return text[: schema.get("maxLength", len(text))]


def _within(number: float, schema: Json) -> float:
    low, high = schema.get("minimum"), schema.get("maximum")
    if (above := schema.get("exclusiveMinimum")) is not None:
        low = above + 1
    if (below := schema.get("exclusiveMaximum")) is not None:
        high = below - 1
    if low is not None and number < low:
        number = low
    if high is not None and number > high:
        number = high
    step = schema.get("multipleOf")
    return float(number // step * step if step else number)


def _mentioned(options: Iterable[Any], prompt: str) -> Any:
    """The first option that the prompt mentions, or the first."""
    options = list(options)
    lower = prompt.lower()
    return next((one for one in options if isinstance(one, str) and one and one.lower() in lower), options[0])
