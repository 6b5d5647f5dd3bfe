"""Checks of 08 to 10: typed answers, tools, and code that leaves the notebook."""

import json
from typing import Any

from claude_nb.models import MODEL

from .register import exercise, practice_client

_MOST_REQUESTS = 8


def _asking(prompt: str, max_tokens: int = 1_000) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": max_tokens, "messages": [{"role": "user", "content": prompt}]}


@exercise("08-1")
def _recipe(shape: Any) -> str | None:
    from pydantic import BaseModel

    if not (isinstance(shape, type) and issubclass(shape, BaseModel)):
        return "a class is expected: class Recipe(BaseModel): ..."
    kinds = [_kinds(field.annotation) for field in shape.model_fields.values()]
    for wanted, found in (
        ("text, for the name", any(str in kind and list not in kind for kind in kinds)),
        ("a number, for the minutes", any({int, float} & kind for kind in kinds)),
        ("a list, for the ingredients", any(list in kind for kind in kinds)),
        (
            "yes, no, or unknown: bool | None",
            any({bool, type(None)} <= kind or "words" in kind for kind in kinds),
        ),
    ):
        if not found:
            return f"no field is {wanted}."
    return None


def _kinds(annotation: Any) -> set[Any]:
    """The types that make up an annotation; ``"words"`` for a choice of three or more."""
    from enum import Enum
    from typing import Literal, get_args, get_origin

    origin, parts = get_origin(annotation), get_args(annotation)
    choices = len(parts) if origin is Literal else 0
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        choices = len(annotation)
    if choices:
        return {"words"} if choices > 2 else {"choice"}  # noqa: PLR2004 - yes, no and unknown
    return {origin or annotation}.union(*map(_kinds, parts))


@exercise("08-2")
def _load(function: Any) -> str | None:
    import sqlite3

    import pandas as pd

    if not callable(function):
        return "a function is expected: def load(table, database): ..."
    table = pd.DataFrame(
        {
            "product": ["lamp", None, "chair"],
            "stars": [5, None, None],
            "kind": ["praise", None, "question"],
            "error": [None, "refused (cyber)", None],
            "stop_reason": ["end_turn", "refusal", "end_turn"],
            **dict.fromkeys(("input_tokens", "cache_read_input_tokens", "output_tokens"), 9),
            "cost_usd": 0.001,
        }
    )
    database = sqlite3.connect(":memory:")
    try:
        number = function(table, database)
        stored = pd.read_sql("SELECT * FROM reviews", database)
    finally:
        database.close()
    if list(stored["product"]) != ["lamp", "chair"]:
        return f"the table should hold the lamp and the chair; it holds {list(stored['product'])}."
    if more := sorted({"error", "stop_reason", "cost_usd"} & set(stored.columns)):
        return f"{', '.join(more)} say something about the call, not about the review. Leave them out."
    return (
        None
        if number == len(stored)
        else f"{len(stored)} rows were put in, and your function gives {number!r}."
    )


@exercise("08-3")
def _value_or_none(function: Any) -> str | None:
    from pydantic import BaseModel

    class Word(BaseModel):
        word: str
        letters: int

    if not callable(function):
        return "a function is expected: def value_or_none(client, request, shape): ..."
    text = '{"word": "lamp", "letters": 4}'
    refused = {"content": text, "stop_reason": "refusal"}
    cases: list[tuple[str, Any, int, Any]] = [
        ("a whole answer", text, 1_000, Word(word="lamp", letters=4)),
        ("an answer cut at max_tokens", text, 55, None),
        ("a refused answer", refused, 1_000, None),
    ]
    for name, reply, ceiling, wanted in cases:
        client, _ = practice_client(replies=[reply])
        got = function(client, _asking("How many letters has lamp?", ceiling), Word)
        if got != wanted:
            return f"for {name} it gives {got!r}."
    return None


@exercise("09-1")
def _described_tool(function: Any) -> str | None:
    from claude_nb.tools import Toolbox

    if not callable(function):
        return "a function is expected: def opening_hours(day: str) -> str: ..."
    definition = Toolbox([function]).definitions[0]
    described = definition["input_schema"]["properties"]
    if definition["name"] != "opening_hours" or list(described) != ["day"]:
        return "its name is opening_hours, and it takes one argument, day."
    if described["day"].get("type") != "string":
        return "the type of day is missing: day: str."
    if not definition.get("description"):
        return "it has no docstring: the model would not know what it does."
    if not described["day"].get("description"):
        return 'the docstring does not describe day. Add "Args:" and a line "day: ..." as in stock.'
    return None if isinstance(function("Monday"), str) else "opening_hours('Monday') should give text."


@exercise("09-2")
def _two_tools(chat: Any) -> str | None:
    from claude_nb.history import History

    history = getattr(chat, "history", None)
    if not isinstance(history, History):
        return f"a Chat is expected; this is {type(chat).__name__}."
    blocks = [block for message in history.messages for block in message["content"]]
    names = {block["name"] for block in blocks if block["type"] == "tool_use"}
    if len(names) < 2:  # noqa: PLR2004 - two tools
        return f"two tools should be called; so far: {', '.join(sorted(names)) or 'none'}."
    if waiting := history.waiting():
        return f"a call still waits for its result: {', '.join(waiting)}."
    return None if history.messages[-1]["role"] == "assistant" else "the last results have no reply yet."


@exercise("09-3")
def _own_loop(function: Any) -> str | None:
    if not callable(function):
        return "a function is expected: def run_tools(client, request, functions): ..."
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("clock", "fails")]
    for prompt, wanted in (
        ("Use the tool clock.", ["noon"]),
        ("Use the tool fails.", ["error"]),
        ("Use the tools clock and fails.", ["noon", "error"]),
    ):
        client, _ = practice_client()
        seen: list[dict[str, Any]] = []
        request = _asking(prompt) | {"tools": tools}
        message = function(_watched(client, seen), request, {"clock": lambda: "noon", "fails": _fails})
        if getattr(message, "stop_reason", None) != "end_turn":
            return f"for {prompt!r} it gives a {type(message).__name__} that is not the last Message."
        if len(seen) == 1:
            return f"for {prompt!r} it sends no results."
        answers = _answers(seen[-1]["messages"])
        if sorted(answers) != sorted(wanted):
            return f"for {prompt!r} the results sent are {answers}; wanted: {wanted}, errors with is_error."
    return None


def _fails() -> str:
    raise RuntimeError("a tool that fails")


def _answers(messages: list[Any]) -> list[str]:
    """What the results behind the last reply say."""
    last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
    blocks = [block for message in messages[last + 1 :] for block in message["content"]]
    results = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_result"]
    return ["error" if result.get("is_error") else _text(result.get("content")) for result in results]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content or ())


class _NoEnd(Exception):  # noqa: N818 - what happened
    """Raised into a learner's loop that would go on for ever."""


def _watched(client: Any, seen: list[dict[str, Any]]) -> Any:
    """The client, with the body of every request also put into ``seen``; it stops a loop without an end."""

    def watch(request: Any, call_next: Any) -> Any:
        seen.append(dict(request.json))
        if len(seen) > _MOST_REQUESTS:
            raise _NoEnd(
                f"{_MOST_REQUESTS} requests and no end. Are the reply and its results in the next one?"
            )
        return call_next(request)

    return client.with_options(middleware=[watch, *client.middleware])


@exercise("10-1")
def _worth_retrying(function: Any) -> str | None:
    import anthropic

    from claude_nb.sandbox import faults

    if not callable(function):
        return "a function is expected: def worth_retrying(error): ..."
    cases: list[tuple[Any, dict[str, Any], bool]] = [
        ([faults.rate_limit()], {}, True),
        ([faults.overloaded()], {}, True),
        ([faults.server_error()], {}, True),
        ([faults.connection_refused()], {}, True),
        ([faults.timeout()], {}, True),
        ([faults.spend_limit()], {}, False),
        ([], {"max_tokens": -1}, False),
        ([], {"model": "no-such-model"}, False),
    ]
    for fault, change, wanted in cases:
        client, _ = practice_client(fault)
        try:
            client.with_options(max_retries=0).messages.create(**(_asking("Hello.") | change))
        except anthropic.APIError as error:
            if bool(function(error)) != wanted:
                return f"for {type(error).__name__} it gives {not wanted}."
    return None


@exercise("10-2")
def _tape(path: Any) -> str | None:
    from pathlib import Path

    if not isinstance(path, str | Path) or not Path(path).is_file():
        return "the path of a file is expected."
    try:
        about, *entries = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        return f"a line is no JSON: {error}. Each line is one object."
    if "tape" not in about or "made" not in about:
        return 'the first line does not say who made it: {"tape": 1, "made": "by hand"}.'
    prompts = [entry["prompt"] for entry in entries if "prompt" in entry]
    if len(set(prompts)) < 2:  # noqa: PLR2004 - as the exercise says
        return f"at least two prompts are expected; it has {len(set(prompts))}."
    client, _ = practice_client(tape=Path(path))
    for entry in entries:
        asked = {name: part for name, part in (entry.get("request") or {}).items() if part is not None}
        said = client.messages.with_raw_response.create(**(_asking(entry.get("prompt", "Hello")) | asked))
        if said.headers.get("x-claude-nb-tape") != "replay":
            return f"the prompt {entry.get('prompt')!r} is not found when it is asked."
    return None


@exercise("10-3")
def _ask_safely(function: Any) -> str | None:
    import anthropic

    from claude_nb.sandbox import faults

    if not callable(function):
        return "a function is expected: def ask_safely(client, request): ..."
    cases: list[tuple[str, Any, int]] = [
        ("an overload", [faults.overloaded()], 1_000),
        ("a refused connection", [faults.connection_refused()], 1_000),
        ("a line that breaks", [faults.cut(after=12)], 1_000),
        ("an error in the stream", [faults.error_event(after=12)], 1_000),
        ("a refusal", [faults.refusal(category="cyber", after=9)], 1_000),
        ("a cut answer", [], 60),
    ]
    for name, fault, ceiling in cases:
        client, _ = practice_client(fault)
        if (got := function(client, _asking("Tell me a story of 100 words.", ceiling))) is not None:
            return f"for {name} it gives {got!r}, not None."
    client, _ = practice_client()
    text = function(client, _asking("Tell me a story of 100 words."))
    if not isinstance(text, str) or "Sentence" not in text:
        return f"for a whole answer it gives {text!r}."
    try:
        function(client, _asking("Hello.", -1))
    except anthropic.BadRequestError:
        return None
    return "a wrong request (max_tokens=-1) is hidden; let anthropic.BadRequestError through."
