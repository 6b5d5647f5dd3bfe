import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import anthropic
import httpx2
import pytest
from anthropic.types import Message, TextBlock, ThinkingBlock, Usage
from pydantic import BaseModel, ValidationError, create_model

from claude_nb import Chat, History, connect
from claude_nb.lessons import check, exercises, what_is_missing
from claude_nb.trim import keep_last, keep_tokens

SOLUTIONS = sorted((Path(__file__).parent.parent / "notebooks" / "solutions").glob("*.py"))


def reply(*words: str, stop_reason: str = "end_turn") -> Message:
    text = [TextBlock(type="text", text=word, citations=None) for word in words]
    blocks = [ThinkingBlock(type="thinking", thinking="", signature="s"), *text]
    usage = Usage(input_tokens=1, output_tokens=1)
    return Message.construct(
        type="message", role="assistant", content=blocks, stop_reason=stop_reason, usage=usage
    )


def chat(system: str | None, turns: int) -> Chat:
    history = History(system=system)
    for _ in range(turns):
        history.user("hi")
        history.reply(reply("hello"))
    return Chat(history=history)


def undone(*, again: bool) -> Chat:
    """A chat whose second prompt was taken back, with or without another one instead."""
    talk = chat(None, 2)
    talk.history.undo()
    if again:
        talk.history.user("again")
        talk.history.reply(reply("hello"))
    return talk


def called(*, answered: bool) -> History:
    """A history with a tool call."""
    history = History()
    history.user("hi")
    call = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}
    history.reply({"role": "assistant", "content": [call], "stop_reason": "tool_use"})
    if answered:
        history.results({"toolu_1": "noon"})
    return history


KEPT: list = []


def leave_open(client, request, n: int) -> str:
    """Enough text, but the connection stays open."""
    KEPT.append(stream := client.messages.stream(**request).__enter__())
    text = ""
    for piece in stream.text_stream:
        text += piece
        if len(text) >= n:
            break
    return text


def plain(client, request) -> tuple[str, bool]:
    """Raises when the line breaks."""
    with client.messages.stream(**request) as stream:
        return "".join(stream.text_stream), True


class Recipe(BaseModel):
    """Nothing says what it is made of."""

    name: str
    minutes: int


RECIPE = {
    "name": (str, ...),
    "minutes": (int, ...),
    "ingredients": (list[str], ...),
    "vegetarian": (bool, ...),
}
COLUMNS = ["product", "stars"]


def value_of_any(client, request, shape):
    """Takes a refused answer for an answer."""
    try:
        return client.messages.parse(**request, output_format=shape).parsed_output
    except ValidationError:
        return None


def bare_hours(day: str) -> str:
    return f"open on {day}"


def undescribed_hours(day: str) -> str:
    """Give the hours."""
    return f"open on {day}"


def untyped_hours(day) -> str:
    """Give the hours.

    Args:
        day: A day.
    """
    return f"open on {day}"


def open_hours(day: str) -> str:
    """Give the hours.

    Args:
        day: A day.
    """
    return f"open on {day}"


def wrong_kind_of_hours(day: str) -> int:
    """Give the hours.

    Args:
        day: A day.
    """
    return len(day)


wrong_kind_of_hours.__name__ = "opening_hours"


def loop_that_raises(client, request, functions):
    """One failing tool ends it."""
    while (message := client.messages.create(**request)).stop_reason == "tool_use":
        answers = [
            {"type": "tool_result", "tool_use_id": call.id, "content": functions[call.name]()}
            for call in message.content
            if call.type == "tool_use"
        ]
        added = [message.to_param(), {"role": "user", "content": answers}]
        request = request | {"messages": request["messages"] + added}
    return message


def loop_that_hides_errors(client, request, functions):
    """A tool that failed looks as if it had answered."""

    def calm(function):
        try:
            return function()
        except RuntimeError as error:
            return str(error)

    quiet = {name: lambda function=function: calm(function) for name, function in functions.items()}
    return loop_that_raises(client, request, quiet)


def safely(client, request, trouble, *, whole: bool = True) -> str | None:
    """Catches what it is told to; may take half an answer."""
    try:
        with client.messages.stream(**request) as stream:
            message = stream.get_final_message()
    except trouble:
        return None
    if whole and message.stop_reason != "end_turn":
        return None
    return "".join(block.text for block in message.content if block.type == "text")


WRONG = [
    ("00-1", [None, "words", reply(), {"type": "message"}]),
    ("00-2", [None, reply("whole"), reply(stop_reason="max_tokens")]),
    ("00-3", [None, History(), chat(None, 3), chat("s", 2), chat("s", 4)]),
    ("01-1", [None, "words", reply("cut", stop_reason="max_tokens")]),
    (
        "01-2",
        [
            None,
            "text",
            lambda message: message.content[0].text,
            lambda message: message.content[-1].text,
            lambda message: None,
        ],
    ),
    (
        "01-3",
        [
            None,
            7,
            lambda usage: usage.input_tokens,
            lambda usage: usage.input_tokens + usage.cache_read_input_tokens,
            lambda usage: usage.input_tokens + usage.output_tokens,
        ],
    ),
    (
        "02-1",
        [
            None,
            True,
            lambda message: True,
            lambda message: message.stop_reason != "max_tokens",
            lambda message: message.stop_reason == "end_turn",
            lambda message: message.stop_reason is not None,
        ],
    ),
    ("02-2", [None, "words", reply("x"), reply("x", stop_reason="max_tokens")]),
    (
        "02-3",
        [
            None,
            [],
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": " "},
                {"role": "user", "content": "c"},
            ],
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": ""}]},
                {"role": "user", "content": "c"},
            ],
        ],
    ),
    ("03-1", [None, 7, "Be brief.", "word " * 61]),
    (
        "03-2",
        [
            None,
            0.75,
            lambda terse, chatty: terse.usage.output_tokens / chatty.usage.output_tokens,
            lambda a, b: 0,
        ],
    ),
    ("03-3", [None, "code", lambda message: message.content[0].text, lambda message: None]),
    ("04-1", [None, "text", ["all of it"], [1, 2]]),
    (
        "04-2",
        [
            None,
            lambda client, request, n: "",
            lambda client, request, n: "x" * 500,
            leave_open,
            lambda client, request, n: plain(client, request)[0][:n],
            lambda client, request, n: "x" * n,
        ],
    ),
    (
        "04-3",
        [
            None,
            lambda client, request: ("text", True),
            lambda client, request: ("", False),
            plain,
        ],
    ),
    ("05-1", [None, History(), chat(None, 1), chat(None, 2), undone(again=False)]),
    ("05-2", [None, "history", History(), chat(None, 1).history, called(answered=False)]),
    (
        "05-3",
        [
            None,
            lambda history: [],
            lambda history: [
                (e.text, f.text) for e, f in zip(history.entries, history.entries[1:], strict=False)
            ],
            lambda history: [("What time is it?", ""), ("Thanks.", "You are welcome.")],
        ],
    ),
    (
        "06-1",
        [
            None,
            0.8,
            lambda usage: usage.cache_read_input_tokens or 0,
            lambda usage: (usage.cache_read_input_tokens or 0) / usage.input_tokens,
            lambda usage: usage.cache_read_input_tokens / 100,
        ],
    ),
    ("06-2", ["keep_tokens", 2000, (), keep_tokens(5000), keep_last(14)]),
    (
        "06-3",
        [
            None,
            [],
            lambda messages, keep: messages,
            lambda messages, keep: messages[-keep:],
            lambda messages, keep: messages[-1:],
            lambda messages, keep: [messages.pop()],
            lambda messages, keep: messages[-1 if keep == 1 else 2 :],
        ],
    ),
    (
        "07-1",
        [
            None,
            3,
            lambda frame: frame.cost_usd.idxmin(),
            lambda frame: frame.cost_usd.max(),
            lambda frame: frame.cost_usd.tolist().index(max(frame.cost_usd)),
        ],
    ),
    ("07-2", [None, ValueError("too dear"), "refused"]),
    (
        "07-3",
        [
            None,
            3,
            lambda sizes: None,
            lambda sizes: sizes.index(max(sizes)),
            lambda sizes: max(
                range(1, len(sizes)), key=lambda turn: sizes[turn] - sizes[turn - 1], default=None
            ),
        ],
    ),
    (
        "08-1",
        [None, "Recipe", Recipe, Recipe(name="soup", minutes=5), dict, create_model("Recipe", **RECIPE)],
    ),
    (
        "08-2",
        [
            None,
            2,
            lambda table, database: None,
            lambda table, database: table.to_sql("reviews", database),
            lambda table, database: table.dropna(subset=["stars"])[COLUMNS].to_sql(
                "reviews", database, index=False
            ),
            lambda table, database: str(
                table[table.error.isna()][COLUMNS].to_sql("reviews", database, index=False)
            ),
        ],
    ),
    (
        "08-3",
        [
            None,
            lambda client, request, shape: None,
            lambda client, request, shape: (
                client.messages.parse(**request, output_format=shape).parsed_output
            ),
            value_of_any,
        ],
    ),
    (
        "09-1",
        [
            None,
            "opening_hours",
            bare_hours,
            undescribed_hours,
            untyped_hours,
            open_hours,
            wrong_kind_of_hours,
        ],
    ),
    ("09-2", [None, History(), chat(None, 2), SimpleNamespace(history=called(answered=True))]),
    (
        "09-3",
        [
            None,
            lambda client, request, functions: client.messages.create(**request),
            lambda client, request, functions: "done",
            loop_that_raises,
            loop_that_hides_errors,
        ],
    ),
    (
        "10-1",
        [
            None,
            True,
            lambda error: True,
            lambda error: False,
            lambda error: isinstance(error, anthropic.APIStatusError) and error.status_code >= 429,
            lambda error: not isinstance(error, anthropic.BadRequestError),
        ],
    ),
    ("10-2", [None, "tape", 7, __file__]),
    (
        "10-3",
        [
            None,
            lambda client, request: None,
            lambda client, request: "text",
            lambda client, request: client.messages.create(**request).content[-1].text,
            lambda client, request: safely(client, request, Exception),
            lambda client, request: safely(client, request, anthropic.APIConnectionError),
            lambda client, request: safely(
                client, request, (anthropic.APIError, httpx2.HTTPError), whole=False
            ),
        ],
    ),
]


@pytest.mark.parametrize(
    ("exercise", "answer"), [(name, answer) for name, wrong in WRONG for answer in wrong]
)
def test_a_wrong_answer_is_told_what_is_missing(exercise, answer, capsys):
    check(exercise, answer)
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_exercise_has_wrong_answers_here():
    assert [name for name, _ in WRONG] == exercises()


@pytest.mark.parametrize("exercise", exercises())
def test_a_blank_answer_is_not_yet(exercise, capsys):
    check(exercise, ...)
    assert (
        capsys.readouterr().out
        == "not yet: replace the three dots with your own code, then run the cell again.\n"
    )


def test_an_exercise_that_does_not_exist_is_named():
    assert "no exercise '99-9'; there are 00-1," in what_is_missing("99-9", 1)


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_the_solutions_pass_their_checks(path, capsys, monkeypatch):
    """Each runs with what the setup cell of its notebook defines, as a reader would run it."""
    notebook = json.loads((path.parent.parent / f"{path.stem}.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    first = next(cell for cell in code if "from claude_nb import" in "".join(cell["source"]))
    setup: dict = {}
    monkeypatch.chdir(path.parent.parent)  # where the kernel of a notebook runs
    exec("".join(first["source"]), setup)  # noqa: S102 - our own notebook
    capsys.readouterr()
    runpy.run_path(str(path), init_globals=setup)
    out = capsys.readouterr().out
    wanted = [name for name in exercises() if name.startswith(path.stem[:2])]
    assert out.count("yes, that is it.\n") == len(wanted)
    assert "not yet" not in out


def test_every_notebook_has_its_solutions():
    notebooks = (Path(__file__).parent.parent / "notebooks").glob("*.ipynb")
    assert {path.stem for path in notebooks} == {path.stem for path in SOLUTIONS}


class Soup(BaseModel):
    title: str
    minutes: int | None
    ingredients: list[Recipe]
    vegetarian: Literal["yes", "no", "unknown"]


@pytest.mark.parametrize("columns", [["product", "stars", "kind"], ["product"]])
def test_any_table_of_the_reviews_will_do(columns):
    def load(table, database):
        return table[table.error.isna()][columns].to_sql("reviews", database, index=False)

    assert what_is_missing("08-2", load) is None


@pytest.mark.parametrize("kind", [lambda block: block.type, lambda block: block["type"]])
def test_blocks_may_be_read_as_objects_or_as_dicts(kind):
    def prune(messages, keep):
        prompts = [place for place, message in enumerate(messages) if isinstance(message["content"], str)]
        kept = []
        for message in messages[prompts[-keep] :]:
            blocks = message["content"]
            if message["role"] == "assistant":
                blocks = [block for block in blocks if kind(block) != "thinking"]
            kept.append(message | {"content": blocks})
        return kept

    assert what_is_missing("06-3", prune) is None


def test_a_check_says_whose_mistake_it_was():
    said = what_is_missing("06-1", lambda usage: usage.no_such_count)
    assert said.startswith("it raised AttributeError: ")
    assert "Does your function `return` its result?" in what_is_missing("06-1", lambda usage: None)


def test_a_tape_with_conditions_is_a_tape(tmp_path):
    lines = [
        {"tape": 1, "made": "by hand"},
        {"prompt": "a", "request": {"system": "Be brief."}, "reply": "one"},
        {"prompt": "b", "request": {"system": None}, "reply": "two"},
    ]
    path = tmp_path / "tape.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert what_is_missing("10-2", path) is None
    path.write_text("\n".join(map(json.dumps, lines[1:])))
    assert "the first line does not say who made it" in what_is_missing("10-2", path)
    path.write_text("{")
    assert "a line is no JSON" in what_is_missing("10-2", path)


def test_a_loop_that_never_sends_results_is_stopped():
    def endless(client, request, functions):
        while True:
            client.messages.create(**request)

    assert "8 requests and no end" in what_is_missing("09-3", endless)


def test_right_answers_pass():
    assert what_is_missing("08-1", Soup) is None
    assert what_is_missing("05-1", undone(again=True)) is None
    assert what_is_missing("05-2", called(answered=True)) is None
    assert what_is_missing("00-2", reply("cut", stop_reason="max_tokens")) is None
    talk = Chat(connect(mode="sandbox", quiet=True), system="s", display=False)
    for prompt in ("a", "b", "c"):
        talk.send(prompt)
    assert what_is_missing("00-3", talk) is None
