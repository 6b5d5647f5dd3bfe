import json
import runpy
from pathlib import Path

import pytest
from anthropic.types import Message, TextBlock, ThinkingBlock, Usage

from claude_nb import Chat, History, connect
from claude_nb.lessons import check, exercises, what_is_missing

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
    """Each runs with what the first cell of its notebook defines, as a reader would run it."""
    notebook = json.loads((path.parent.parent / f"{path.stem}.ipynb").read_text())
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
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


def test_right_answers_pass():
    assert what_is_missing("05-1", undone(again=True)) is None
    assert what_is_missing("05-2", called(answered=True)) is None
    assert what_is_missing("00-2", reply("cut", stop_reason="max_tokens")) is None
    talk = Chat(connect(mode="sandbox", quiet=True), system="s", display=False)
    for prompt in ("a", "b", "c"):
        talk.send(prompt)
    assert what_is_missing("00-3", talk) is None
