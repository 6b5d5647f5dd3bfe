"""Which of the offered tools an invented reply calls, and with what."""

import re
from typing import Any

from . import fill

Json = dict[str, Any]

_SPLIT = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ARITHMETIC = re.compile(r"\d\s*[-+*/^×x]\s*\d")
_CALCULATES = re.compile(r"calc|arith|math|evaluat|comput|multipl|\badd\b|\bsum\b", re.IGNORECASE)
_GENERIC_WORDS = """
a an and by call check compute current data do fetch find for from get give in info is it list look lookup make my of
on or run set show the this to tool up use user value what with you your
"""
_GENERIC = frozenset(_GENERIC_WORDS.split())
_LEAST_SHARED_WORDS = 2
_MOST_PARALLEL = 4
# Tools whose input the API defines, by the beginning of their type.
_KNOWN_INPUTS: dict[str, Json] = {
    "bash": {"command": "echo sandbox"},
    "text_editor": {"command": "view", "path": "."},
    "memory": {"command": "view", "path": "/memories"},
}


def choose(body: Json, asked: str) -> list[tuple[str, Json]]:
    """The calls to make as ``(name, input)``; empty when no tool fits.

    Args:
        body: A valid request.
        asked: The prompt that may name tools.
    """
    choice = body.get("tool_choice") or {}
    offered = [
        tool for tool in body.get("tools") or () if _is_client_tool(tool) and not tool.get("defer_loading")
    ]
    kind = choice.get("type", "auto")
    if kind == "none" or not offered:
        return []
    if kind == "tool":
        named = [tool for tool in offered if tool["name"] == choice["name"]]
    else:
        named = [tool for tool in offered if _is_named(tool, asked)] or _described(offered, asked)
        if not named and kind == "any":
            named = offered[:1]
    single = bool(choice.get("disable_parallel_tool_use"))
    if single:
        named = named[:1]
    if len(named) == 1:
        return _spread(named[0], asked, single=single)
    return [(tool["name"], _input(tool, fill.Hints(asked))) for tool in named[:_MOST_PARALLEL]]


def web_search(body: Json, asked: str) -> bool:
    """Whether the prompt asks for the web search that the request offers."""
    offered = any(str(tool.get("type", "")).startswith("web_search") for tool in body.get("tools") or ())
    return offered and bool(re.search(r"\b(?:search|web|news|look up)\b", asked, re.IGNORECASE))


def _is_client_tool(tool: Json) -> bool:
    return "input_schema" in tool or str(tool.get("type", "")).startswith(tuple(_KNOWN_INPUTS))


def _is_named(tool: Json, asked: str) -> bool:
    lower = asked.lower()
    name = tool["name"].lower()
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", lower):
        return True
    return bool((_words(_CAMEL.sub(" ", tool["name"])) - _GENERIC) & _words(asked))


def _described(offered: list[Json], asked: str) -> list[Json]:
    """The tool whose description shares most words with the prompt."""
    if _ARITHMETIC.search(asked):
        for tool in offered:
            if _CALCULATES.search(f"{tool['name']} {tool.get('description', '')}".replace("_", " ")):
                return [tool]
    asked_for = {word for word in _words(asked) - _GENERIC if len(word) > len("the")}
    shared = [(len(asked_for & _words(tool.get("description", ""))), -at) for at, tool in enumerate(offered)]
    best, at = max(shared)
    return [offered[-at]] if best >= _LEAST_SHARED_WORDS else []


def _words(text: str) -> set[str]:
    return {word.removesuffix("s") for word in _SPLIT.split(text.lower()) if word}


def _spread(tool: Json, asked: str, *, single: bool) -> list[tuple[str, Json]]:
    """One call, or one for each name in a list of names: "the weather in Paris and London"."""
    schema = tool.get("input_schema") or {}
    required = list(schema.get("required") or ())
    found = fill.names(asked)
    wanted = (schema.get("properties") or {}).get(required[0], {}) if len(required) == 1 else {}
    if single or wanted.get("type") != "string" or "enum" in wanted or not 1 < len(found) <= _MOST_PARALLEL:
        return [(tool["name"], _input(tool, fill.Hints(asked)))]
    return [(tool["name"], {required[0]: name}) for name in found]


def _input(tool: Json, hints: fill.Hints) -> Json:
    for kind, known in _KNOWN_INPUTS.items():
        if str(tool.get("type", "")).startswith(kind):
            return known
    schema = tool["input_schema"]
    required = set(schema.get("required") or ())
    properties = schema.get("properties") or {}
    # A model fills what it must; optional properties only where the prompt names them.
    wanted = {
        name: member
        for name, member in properties.items()
        if name in required or name.lower() in hints.prompt.lower()
    }
    found = fill.value({**schema, "type": "object", "properties": wanted}, hints)
    return found if isinstance(found, dict) else {}
