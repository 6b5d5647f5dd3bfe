import asyncio
import enum
import functools
import io
import json
import threading
from dataclasses import dataclass
from types import SimpleNamespace

import anthropic
import pandas as pd
import pytest
from anthropic.lib.tools import ToolError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from replay import Replay
from test_stream import END, START, STOP, done, event

from claude_nb import Chat, History, Sandbox, connect, connect_async
from claude_nb.asking import ask
from claude_nb.attach import CHARACTERS, content, text
from claude_nb.errors import ClaudeNbError, PromptError
from claude_nb.results import show_results
from claude_nb.steps import LimitReached, Run
from claude_nb.tools import Toolbox, in_one_line, tool


def call(name: str, /, **given) -> dict:
    return {"type": "tool_use", "name": name, "input": given}


def chat_of(*replies, tools, **settings) -> tuple[Chat, Sandbox]:
    """A chat whose model answers by script; then the sandbox quotes the results."""
    script = iter(replies)
    sandbox = Sandbox(replies=lambda _: next(script, None))
    return Chat(connect(sandbox=sandbox, quiet=True), tools=tools, display=False, **settings), sandbox


def results(sandbox: Sandbox, request: int = -1) -> list[dict]:
    """The tool results of a request as the API saw them: text, and whether it is an error."""
    return [
        {
            "text": block["content"]
            if isinstance(block["content"], str)
            else block["content"][0].get("text"),
            "error": block.get("is_error", False),
        }
        for block in sandbox.requests[request]["messages"][-1]["content"]
        if block["type"] == "tool_result"
    ]


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: The first number.
        b: The second number.
    """
    return a + b


class TestDefinitions:
    def test_a_plain_function_is_described_by_the_sdk(self):
        (definition,) = Toolbox([add]).definitions
        assert definition == anthropic.beta_tool(add).to_dict()
        assert definition["description"] == "Add two numbers."
        assert definition["input_schema"]["properties"]["a"]["description"] == "The first number."

    def test_dicts_and_tools_of_the_sdk_are_taken_as_they_are(self):
        given = {"name": "other", "input_schema": {"type": "object"}}
        box = Toolbox([given, anthropic.beta_tool(add)])
        assert box.definitions[0] == given
        assert box.names == {"add"}

    @pytest.mark.parametrize("wrong", [5, "add", None, int, lambda x: x])
    def test_what_is_no_tool_is_one_clear_error(self, wrong):
        with pytest.raises(PromptError, match="tool"):
            Chat(tools=[wrong])

    def test_arguments_without_a_schema_are_one_clear_error(self):
        def plot(figure: threading.Thread) -> str:
            """Plot."""

        with pytest.raises(PromptError, match="arguments of plot cannot be described"):
            Toolbox([plot])

    @pytest.mark.parametrize("thing", [5, "add", None])
    def test_only_a_function_can_be_marked(self, thing):
        with pytest.raises(PromptError, match=r"tool marks a function.*@tool\(confirm=True\)"):
            tool(confirm=True)(thing)

    def test_two_tools_of_one_name_are_one_clear_error(self):
        with pytest.raises(PromptError, match="two tools are called 'add'"):
            Toolbox([add, {"name": "add", "input_schema": {"type": "object"}}])

    def test_a_history_takes_the_functions_it_was_begun_with_and_no_others(self):
        history = Chat(tools=[add]).history
        assert Chat(history=History.from_dict(history.to_dict()), tools=[add])._tools.names == {"add"}
        with pytest.raises(PromptError, match="begun with"):
            Chat(history=History(), tools=[add])


class TestTheLoop:
    def test_a_call_is_run_and_its_result_sent_back(self):
        chat, sandbox = chat_of([call("add", a=17, b=4)], tools=[add])
        message = chat.send("17 + 4?")
        assert message.stop_reason == "end_turn"
        assert results(sandbox) == [{"text": "21", "error": False}]
        assert [entry.role for entry in chat.history.entries] == ["user", "assistant"] * 2

    def test_the_async_chat_runs_sync_and_async_tools(self, run):
        async def wait(seconds: float) -> str:
            """Wait."""
            await asyncio.sleep(0)
            return f"waited {seconds}"

        script = iter([[call("wait", seconds=0.5), call("add", a=1, b=2)]])
        sandbox = Sandbox(replies=lambda _: next(script, None))
        chat = Chat(connect_async(sandbox=sandbox, quiet=True), tools=[wait, add], display=False)
        run(chat.asend("go"))
        assert [one["text"] for one in results(sandbox)] == ["waited 0.5", "3"]

    def test_the_sync_chat_runs_async_tools_even_inside_a_running_loop(self, run):
        async def wait() -> str:
            """Wait."""
            return "waited"

        async def inside():
            chat, sandbox = chat_of([call("wait")], tools=[wait])
            chat.send("go")
            return results(sandbox)

        assert run(inside()) == [{"text": "waited", "error": False}]

    def test_calls_of_one_reply_run_at_the_same_time_and_answer_in_order(self):
        together = threading.Barrier(3, timeout=10)

        def meet(name: str) -> str:
            """Meet the others."""
            together.wait()
            return name

        chat, sandbox = chat_of([call("meet", name=name) for name in "abc"], tools=[meet])
        chat.send("go")
        assert [one["text"] for one in results(sandbox)] == ["a", "b", "c"]

    def test_calls_to_the_api_inside_a_tool_belong_to_the_conversation(self):
        from claude_nb.ledger.labels import current

        seen = []

        def look(n: int) -> str:
            """Look."""
            seen.append(current().conversation)
            return "x"

        chat, _ = chat_of([call("look", n=1), call("look", n=2)], tools=[look])
        chat.send("go")
        assert seen == [chat.conversation] * 2

    def test_a_loop_without_end_stops_at_its_limit_and_the_conversation_goes_on(self):
        sandbox = Sandbox(replies=lambda body: [call("add", a=1, b=1)] if body.get("tools") else None)
        chat = Chat(connect(sandbox=sandbox, quiet=True), tools=[add], display=False, max_turns=5)
        with pytest.raises(LimitReached, match="5 turns") as caught:
            chat.send("count")
        assert len(sandbox.requests) == 5
        assert caught.value.message.stop_reason == "tool_use"
        assert not chat.history.waiting()
        chat._client = connect(mode="sandbox", quiet=True)
        assert chat.send("Enough.").stop_reason in ("end_turn", "tool_use")

    def test_a_loop_stops_at_its_limit_in_money(self):
        sandbox = Sandbox(replies=lambda _: [call("add", a=1, b=1)])
        chat = Chat(connect(sandbox=sandbox, quiet=True), tools=[add], display=False, max_usd=0.0005)
        with pytest.raises(LimitReached, match="max_usd"):
            chat.send("count")
        assert 1 < len(sandbox.requests) < 20

    def test_a_tool_that_hangs_is_answered_for_when_the_time_is_over(self):
        go = threading.Event()

        def hang() -> str:
            """Hang."""
            go.wait(10)
            return "late"

        chat, sandbox = chat_of([call("hang"), call("add", a=1, b=2)], tools=[hang, add], max_seconds=0.5)
        with pytest.raises(LimitReached, match="max_seconds"):
            chat.send("go")
        go.set()
        chat.max_seconds = None
        chat.send()
        late, ready = results(sandbox)
        assert "Not finished after" in late["text"]
        assert ready == {"text": "3", "error": False}

    @pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "add"}])
    def test_a_forced_tool_is_forced_once(self, choice):
        sandbox = Sandbox()
        chat = Chat(connect(sandbox=sandbox, quiet=True), tools=[add], display=False)
        choice = {**choice, "disable_parallel_tool_use": True}
        assert chat.send("17 + 4", tool_choice=choice).stop_reason == "end_turn"
        released = {"type": "auto", "disable_parallel_tool_use": True}
        assert [body["tool_choice"] for body in sandbox.requests] == [choice, released]

    def test_a_truncated_call_is_never_run(self):
        ran = []

        def wipe(path: str) -> str:
            """Wipe a path."""
            ran.append(path)
            return "done"

        chat, _ = chat_of(
            {"content": [call("wipe", path="/a/b/c")], "stop_reason": "max_tokens"}, tools=[wipe]
        )
        assert chat.send("go").stop_reason == "max_tokens"
        assert not ran
        assert chat.send("And now?").stop_reason == "end_turn"

    def test_a_call_under_another_stop_reason_is_not_run_and_says_so(self):
        """Some servers end with end_turn when the limit is reached, so the call may be cut."""
        ran = []

        def wipe(path: str) -> str:
            """Wipe a path."""
            ran.append(path)

        start = event("content_block_start", index=0, content_block={**call("wipe"), "id": "call_1"})
        piece = event(
            "content_block_delta",
            index=0,
            delta={"type": "input_json_delta", "partial_json": '{"path": "/"}'},
        )
        chat = Chat(
            Replay(START, start, piece, END, done("stop"), STOP).client(), tools=[wipe], display=False
        )
        with pytest.warns(UserWarning, match="'stop' instead of 'tool_use'"):
            chat.send("go")
        assert not ran
        assert not chat.history.waiting()

    def test_a_tool_given_as_a_dict_waits_for_the_user_beside_one_that_is_run(self):
        other = {"name": "other", "input_schema": {"type": "object"}}
        chat, sandbox = chat_of([call("add", a=1, b=2), call("other")], tools=[add, other])
        message = chat.send("go")
        assert message.stop_reason == "tool_use"
        ((key, name),) = chat.history.waiting().items()
        assert name == "other"
        chat.history.results({key: "mine"})
        chat.send()
        assert sorted(one["text"] for one in results(sandbox)) == ["3", "mine"]

    def test_an_interrupt_in_a_tool_keeps_the_conversation_valid(self):
        def stop() -> str:
            """Stop."""
            raise KeyboardInterrupt

        chat, sandbox = chat_of([call("stop")], tools=[stop])
        with pytest.raises(KeyboardInterrupt):
            chat.send("go")
        assert not chat.history.waiting()
        chat.send()
        assert results(sandbox)[0]["error"]

    def test_an_interrupt_while_tools_run_in_parallel_keeps_what_is_ready(self, monkeypatch):
        go = threading.Event()

        def slow() -> str:
            """Be slow."""
            go.wait(10)
            return "late"

        def interrupted(futures, timeout):
            list(futures)[1].result()
            raise KeyboardInterrupt

        monkeypatch.setattr("claude_nb.tools.wait", interrupted)
        chat, sandbox = chat_of([call("slow"), call("add", a=1, b=2)], tools=[slow, add])
        with pytest.raises(KeyboardInterrupt):
            chat.send("go")
        go.set()
        chat.send()
        assert results(sandbox) == [
            {"text": "Interrupted before it had finished.", "error": True},
            {"text": "3", "error": False},
        ]

    def test_a_cancel_while_tools_run_keeps_what_is_ready(self, run):
        async def hang() -> str:
            """Hang."""
            await asyncio.sleep(30)

        async def quick() -> str:
            """Be quick."""
            return "ready"

        async def go():
            script = iter([[call("hang"), call("quick")]])
            sandbox = Sandbox(replies=lambda _: next(script, None))
            chat = Chat(connect_async(sandbox=sandbox, quiet=True), tools=[hang, quick], display=False)
            task = asyncio.ensure_future(chat.asend("go"))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await chat.asend()
            return results(sandbox)

        late, ready = run(go())
        assert late == {"text": "Interrupted before it had finished.", "error": True}
        assert ready["text"] == "ready"

    def test_a_failure_after_the_tools_ran_keeps_their_results(self):
        from claude_nb.sandbox import faults

        sandbox = Sandbox(replies=[[call("add", a=1, b=2)]], faults=[faults.reset(at=2)])
        chat = Chat(connect(sandbox=sandbox, quiet=True, max_retries=0), tools=[add], display=False)
        with pytest.raises(anthropic.APIConnectionError) as caught:
            chat.send("go")
        assert "chat.send() goes on" in caught.value.__notes__[0]
        chat.send()
        assert results(sandbox)[0]["text"] == "3"


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (ToolError("Ask for a smaller range."), "Ask for a smaller range."),
            (ValueError("bad\nrange"), "ValueError: bad range"),
            (KeyError("x"), "KeyError: 'x'"),
            (
                RuntimeError("no https://bob:hunter2@host/?api_key=abc sk-ant-api03-abcdefgh123"),
                "RuntimeError: no https://[secret]@host/?api_key=[secret] [secret]",
            ),
            (SystemExit(3), "SystemExit: 3"),
        ],
    )
    def test_the_model_is_told_in_one_line_without_secrets(self, error, says):
        def fail() -> str:
            """Fail."""
            raise error

        chat, sandbox = chat_of([call("fail")], tools=[fail])
        chat.send("go")
        assert results(sandbox) == [{"text": says, "error": True}]

    def test_a_long_message_is_cut(self):
        assert len(in_one_line(RuntimeError("x" * 9000))) < 400

    def test_wrong_arguments_name_the_field(self):
        chat, sandbox = chat_of([call("add", a="many", b=1)], tools=[add])
        chat.send("go")
        (result,) = results(sandbox)
        assert result["error"]
        assert "add: a: Input should be a valid integer" in result["text"]

    def test_an_unknown_tool_is_named_with_those_there_are(self):
        chat, sandbox = chat_of([call("subtract", a=1)], tools=[add])
        chat.send("go")
        assert results(sandbox) == [{"text": "There is no tool 'subtract'. Tools: add.", "error": True}]

    def test_one_failing_call_leaves_the_others_their_results(self):
        chat, sandbox = chat_of([call("add", a=1, b=2), call("add", a="x", b=2)], tools=[add])
        chat.send("go")
        assert [one["error"] for one in results(sandbox)] == [False, True]


class TestConfirmation:
    @staticmethod
    def wiping(**settings):
        ran = []

        @tool(confirm=True)
        def wipe(path: str) -> str:
            """Wipe a path."""
            ran.append(path)
            return "wiped"

        return *chat_of([call("wipe", path="/a")], tools=[wipe, add], **settings), ran

    def test_a_callback_is_asked_with_name_and_input(self):
        seen = []
        chat, sandbox, ran = self.wiping(confirm=lambda name, given: seen.append((name, given)) or True)
        chat.send("go")
        assert seen == [("wipe", {"path": "/a"})]
        assert ran == ["/a"]
        assert results(sandbox)[0]["text"] == "wiped"

    def test_what_is_not_allowed_is_not_run_and_the_model_is_told(self):
        chat, sandbox, ran = self.wiping(confirm=lambda *_: False)
        chat.send("go")
        assert not ran
        assert results(sandbox) == [{"text": "The user did not allow this call.", "error": True}]

    def test_without_a_keyboard_nothing_is_allowed(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        chat, _, ran = self.wiping()
        chat.send("go")
        assert not ran

    @pytest.mark.parametrize(("typed", "allowed"), [("y", True), ("YES ", True), ("", False), ("n", False)])
    def test_the_keyboard_decides(self, monkeypatch, typed, allowed):
        asked = []
        monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or typed)
        assert ask("wipe", {"path": "\x1b[2J\u202e"}) is allowed
        assert "\x1b" not in asked[0]
        assert "\u202e" not in asked[0]

    def test_an_async_callback_is_awaited_by_the_async_chat_and_refused_by_the_other(self, run):
        async def confirm(name, given):
            await asyncio.sleep(0)
            return given == {"path": "/a"}

        chat, _, ran = self.wiping(confirm=confirm)
        with pytest.raises(ClaudeNbError, match=r"await chat.asend"):
            chat.send("go")
        assert len(chat.history) == 0
        chat._client = connect_async(sandbox=Sandbox(replies=[[call("wipe", path="/a")], "done"]), quiet=True)
        run(chat.asend("go"))
        assert ran == ["/a"]

    def test_the_event_loop_goes_on_while_a_person_thinks(self, run):
        answer, ticks = threading.Event(), []
        chat, _, ran = self.wiping(confirm=lambda *_: answer.wait(10))
        chat._client = connect_async(sandbox=Sandbox(replies=[[call("wipe", path="/a")], "done"]), quiet=True)

        async def both():
            sent = asyncio.ensure_future(chat.asend("go"))
            while len(ticks) < 3:
                await asyncio.sleep(0.01)
                ticks.append(sent.done())
            answer.set()
            await sent

        run(both())
        assert ticks == [False] * 3
        assert ran == ["/a"]

    def test_a_cancel_while_a_person_thinks_leaves_the_conversation_valid(self, run):
        asked, answer = threading.Event(), threading.Event()
        chat, _, ran = self.wiping(confirm=lambda *_: asked.set() or answer.wait(10))
        chat._client = connect_async(sandbox=Sandbox(replies=[[call("wipe", path="/a")], "done"]), quiet=True)

        async def cancelled():
            task = asyncio.ensure_future(chat.asend("go"))
            assert await asyncio.to_thread(asked.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(cancelled())
        answer.set()
        assert not ran
        assert not chat.history.waiting()

    def test_what_a_callback_does_to_the_input_does_not_reach_the_tool(self):
        chat, _, ran = self.wiping(confirm=lambda _, given: given.clear() is None)
        chat.send("go")
        assert ran == ["/a"]

    def test_tools_without_the_mark_are_not_asked_about(self):
        chat, sandbox = chat_of([call("add", a=1, b=2)], tools=[add], confirm=lambda *_: 1 / 0)
        chat.send("go")
        assert results(sandbox)[0]["text"] == "3"

    def test_a_marked_function_stays_a_function(self):
        assert tool(add) is add
        assert tool(confirm=False)(add)(1, 2) == 3


class Colour(enum.Enum):
    RED = "red"


class Point(BaseModel):
    x: int


@dataclass
class Pair:
    a: int


class TestWhatToolsReturn:
    @pytest.mark.parametrize(
        ("value", "says"),
        [
            ("text", "text"),
            ("", "(empty)"),
            (None, "(empty)"),
            (3, "3"),
            (float("nan"), "NaN"),
            ({"a": [1]}, '{"a":[1]}'),
            (Colour.RED, '"red"'),
            (Point(x=1), '{"x":1}'),
            (Pair(2), '{"a":2}'),
            (b"\x00\x01", "(2 bytes)"),
            (pd.Series([1.5]).to_numpy(), "[1.5]"),
            (pd.DataFrame({"a": [1, 2]}), "a\n1\n2\n"),
        ],
    )
    def test_values_become_text(self, value, says):
        assert content(value) == [{"type": "text", "text": says}]

    def test_a_long_frame_is_cut_with_a_note(self):
        said = text(pd.DataFrame({"a": range(1000)}))
        assert said.count("\n") == 51
        assert said.endswith("… (the first 50 of 1,000 rows)")

    def test_a_long_text_is_cut_with_a_note(self):
        assert text("x" * 200_000).endswith(f"(cut: {CHARACTERS:,} of 200,000 characters)")

    def test_a_frame_keeps_an_index_that_says_something(self):
        assert text(pd.DataFrame({"a": [1]}, index=["k"])) == ",a\nk,1\n"

    def test_a_figure_becomes_an_image_the_model_can_see(self):
        from matplotlib.figure import Figure

        def plot() -> Figure:
            """Plot."""
            return Figure(figsize=(1, 1))

        chat, sandbox = chat_of([call("plot")], tools=[plot])
        chat.send("go")
        (block,) = sandbox.requests[-1]["messages"][-1]["content"][0]["content"]
        assert (block["type"], block["source"]["media_type"]) == ("image", "image/png")

    def test_content_blocks_stay_as_they_are(self):
        blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        assert content(blocks) == blocks

    @given(st.text())
    def test_any_text_can_be_sent(self, value):
        said = text(value)
        assert said.strip()
        json.loads(json.dumps(said)).encode()


class TestWhatIsShown:
    def test_a_terminal_shows_results_short_and_harmless(self, capsys):
        def dump() -> str:
            """Dump."""
            return "\x1b[2J" + "line\n" * 100

        chat, _ = chat_of([call("dump")], tools=[dump])
        chat.display = True
        chat.send("go")
        said = capsys.readouterr().out
        assert "[Tool result: dump]" in said
        assert "more lines)" in said
        assert "\x1b" not in said.split("[Tool result: dump]")[1].split("more lines")[0]

    def test_a_notebook_shows_results_without_running_them(self, monkeypatch):
        def dump() -> str:
            """Dump."""
            return "<script>alert(1)</script><img src=x onerror=alert(1)>"

        shown = []
        monkeypatch.setattr("claude_nb.results.in_notebook", lambda: True)
        monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
        chat, _ = chat_of([call("dump")], tools=[dump])
        chat.display = True
        chat.send("go")
        assert "&lt;script&gt;" in shown[0]["text/html"]
        assert "<img" not in shown[0]["text/html"]
        assert set(shown[0]) == {"text/html", "text/plain"}

    def test_an_error_is_shown_as_one(self, capsys):
        chat, _ = chat_of([call("nothing")], tools=[add])
        chat.display = True
        chat.send("go")
        assert "error: There is no tool 'nothing'" in capsys.readouterr().out


def test_an_exception_that_cannot_be_encoded_is_still_told_to_the_model():
    @tool
    def broken() -> str:
        """Break."""
        raise ValueError("\ud800")

    call = {"type": "tool_use", "id": "toolu_1", "name": "broken", "input": {}}
    client = connect(sandbox=Sandbox(replies=[[call], "done"]), quiet=True, ledger=False)
    message = Chat(client, tools=[broken], display=False).send("go")
    assert message.content[-1].text == "done"


def _yields(a: int):
    """Yield."""
    yield a


async def _yields_async(a: int):
    """Yield."""
    yield a


def _unnamed(*numbers: int) -> int:
    """Add."""
    return sum(numbers)


class _Callable:
    def __call__(self, a: int) -> int:
        """Give it back."""
        return a


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (_yields, "Return a list"),
        (_yields_async, "Return a list"),
        (functools.partial(add, b=2), "functools.partial"),
        (_unnamed, "arguments without names"),
        (_Callable(), "a _Callable object. Write a def"),
        (lambda a: a, "no name for a tool"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_by_the_chat_at_once(wrong, says):
    with pytest.raises(PromptError, match=says):
        Chat(tools=[wrong])


@pytest.mark.parametrize("make", [lambda box, job: box.run(job), lambda box, job: asyncio.run(box.arun(job))])
def test_a_live_call_says_how_long_it_took_and_a_simulated_one_does_not(make, capsys):
    calls = [SimpleNamespace(id="toolu_1", name="add", input={"a": 1, "b": 2})]
    for simulated, shown in ((False, "[Tool result: add · 0.0 s]"), (True, "[Tool result: add]")):
        job = Run(calls, simulated=simulated)
        make(Toolbox([add]), job)
        show_results(job)
        assert shown in capsys.readouterr().out


def test_pictures_in_a_tool_error_reach_the_model():
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    }

    def fail() -> str:
        """Fail with a picture."""
        raise ToolError([{"type": "text", "text": "see"}, picture])

    chat, sandbox = chat_of([call("fail")], tools=[fail])
    chat.send("go")
    (result,) = sandbox.requests[-1]["messages"][-1]["content"]
    assert result["is_error"]
    assert [block["type"] for block in result["content"]] == ["text", "image"]
