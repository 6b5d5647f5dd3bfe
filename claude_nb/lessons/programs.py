"""Checks of 08 to 10: typed answers, tools, and code that leaves the notebook."""

import json
from typing import Any

from claude_nb.models import MODEL

from .register import exercise, practice_client


def _asking(prompt: str, max_tokens: int = 1_000) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": max_tokens, "messages": [{"role": "user", "content": prompt}]}


@exercise("08-1")
def _recipe(shape: Any) -> str | None:
    from pydantic import BaseModel

    if not (isinstance(shape, type) and issubclass(shape, BaseModel)):
        return "a class is expected: class Recipe(BaseModel): ..."
    types = [str(field.annotation) for field in shape.model_fields.values()]
    for wanted, found in (
        ("text, for the name", "<class 'str'>" in types),
        ("a number, for the minutes", any(name in types for name in ("<class 'int'>", "<class 'float'>"))),
        ("a list of text, for the ingredients", "list[str]" in types),
        ("a bool that may be None", any("bool" in name and "None" in name for name in types)),
    ):
        if not found:
            return f"no field is {wanted}."
    return None


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
            "error": [None, "refused (cyber)", None],
        }
    )
    database = sqlite3.connect(":memory:")
    try:
        number = function(table, database)
        rows = database.execute("SELECT product, stars FROM reviews").fetchall()
    finally:
        database.close()
    if rows != [("lamp", 5), ("chair", None)]:
        return f"the table should hold the lamp and the chair; it holds {rows}."
    return (
        None if number == len(rows) else f"{len(rows)} rows were put in, and your function gives {number!r}."
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
        calls = _watched(client, seen)
        message = function(
            calls, _asking(prompt) | {"tools": tools}, {"clock": lambda: "noon", "fails": _fails}
        )
        if getattr(message, "stop_reason", None) != "end_turn":
            return f"for {prompt!r} it gives {message!r}, not the last Message."
        answers = [
            "error" if block.get("is_error") else "noon"
            for block in _results(seen[-1]["messages"][-1]["content"])
        ]
        if sorted(answers) != sorted(wanted):
            return f"for {prompt!r} the results sent are {answers}; a function that raises gives one with is_error."
    return None


def _fails() -> str:
    raise RuntimeError("a tool that fails")


def _results(content: Any) -> list[dict[str, Any]]:
    return [block for block in content if isinstance(block, dict) and block.get("type") == "tool_result"]


def _watched(client: Any, seen: list[dict[str, Any]]) -> Any:
    """The client, with the body of every request also put into ``seen``."""

    def watch(request: Any, call_next: Any) -> Any:
        seen.append(dict(request.json))
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
    entries = [
        json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    prompts = [entry["prompt"] for entry in entries if "prompt" in entry]
    if len(set(prompts)) < 2:  # noqa: PLR2004 - as the exercise says
        return f"at least two prompts are expected; it has {len(set(prompts))}."
    client, _ = practice_client(tape=Path(path))
    for prompt in prompts:
        said = client.messages.create(**_asking(prompt)).content[-1]
        if "of the tape" in getattr(said, "text", ""):
            return f"the prompt {prompt!r} is not found when it is asked."
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
