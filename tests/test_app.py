"""The chat window without a browser: what the page asks for comes in by the comm, what it is sent is written down."""

import asyncio
import json
import socket
import threading
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import anthropic
import comm
import pytest
from comm.base_comm import BaseComm
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from claude_nb import Budget, Chat, History, Ledger, Sandbox, connect, connect_async, tool
from claude_nb.app import Window
from claude_nb.app.facts import choices, facts, warning
from claude_nb.app.files import block_of, label_of
from claude_nb.app.transcript import items_of, saved_of
from claude_nb.app.words import told
from claude_nb.errors import ClaudeNbError, HistoryError, PromptError
from claude_nb.models import MODEL, find, known
from claude_nb.sandbox import faults

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> [x](javascript:alert(3)) `\"' $5 and $6"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
SECONDS = 20.0
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


class Wire(BaseComm):
    """A comm that writes down what goes to the page, as JSON would carry it."""

    sent: list[dict[str, Any]]

    def publish_msg(self, msg_type: str, data: Any = None, **_: Any) -> None:
        vars(self).setdefault("sent", []).append(json.loads(json.dumps(data or {}, default=str)))


class Page:
    """A window and a reader at it."""

    def __init__(self, chat: Chat) -> None:
        self.chat, self.window = chat, Window(chat)
        self.panel = self.window._panel
        self.n = 0

    def wish(self, **wish: Any) -> None:
        """Let the page ask for something."""
        data, buffers = wish.pop("data", None), []
        if data is not None:
            buffers = [memoryview(data)]
        self.panel.desk.comm.handle_msg(
            {"content": {"data": {"method": "custom", "content": wish}}, "buffers": buffers}
        )

    def send(self, text: str) -> None:
        self.n += 1
        self.wish(do="send", text=text, n=str(self.n))

    def say(self, text: str) -> None:
        """Send and wait for the end."""
        self.send(text)
        self.wait(lambda: not self.busy)

    def wait(self, true: Any) -> None:
        ends = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < ends, (self.state, self.texts)
            time.sleep(0.01)

    async def until(self, true: Any) -> None:
        """Wait without holding up the event loop."""
        ends = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < ends, (self.state, self.texts)
            await asyncio.sleep(0.01)

    @property
    def state(self) -> dict[str, Any]:
        return self.panel.desk.state

    @property
    def busy(self) -> bool:
        return bool(self.state.get("busy"))

    @property
    def notice(self) -> str:
        return (self.state.get("notice") or {}).get("text", "")

    @property
    def texts(self) -> list[str]:
        return [entry.text for entry in self.chat.history.entries]

    @property
    def streamed(self) -> str:
        """What the view of the reply under way shows."""
        live = self.window._live
        return json.dumps(live._view._page.snapshot()) if live is not None else ""

    @property
    def log(self) -> list[dict[str, Any]]:
        """The items as a page has them, put together of all messages."""
        items: list[dict[str, Any]] = []
        for data in self.panel.log.comm.sent:
            content = data.get("content", {}) if data.get("method") == "custom" else {}
            if "items" in content:
                assert content["from"] <= len(items)
                items = [*items[: content["from"]], *content["items"]]
        return items


@pytest.fixture(autouse=True)
def wires(monkeypatch):
    monkeypatch.setattr(comm, "create_comm", Wire)


def page(*replies: Any, struck: Any = (), pace: Any = 0, tools: Any = None, **chat: Any) -> Page:
    sandbox = Sandbox(replies=list(replies) or None, faults=list(struck), pace=pace)
    return Page(Chat(connect(sandbox=sandbox, quiet=True, max_retries=0), tools=tools, **chat))


class TestSaying:
    def test_what_is_said_is_in_the_history_and_in_the_window(self):
        at = page("Hello Ada.", "I am well.")
        at.say("I am Ada.")
        at.say("How are you?")
        assert at.texts == ["I am Ada.", "Hello Ada.", "How are you?", "I am well."]
        assert [item["can"] for item in at.log] == ["edit", "fork", "edit", "fork"]
        assert "I am well." in at.log[3]["html"]
        assert at.notice == ""

    def test_a_sent_message_is_taken_at_once_and_the_kernel_stays_free(self):
        at = page(pace="20 tok/s")
        began = time.monotonic()
        at.send("Write 300 words.")
        assert time.monotonic() - began < 1
        assert at.state["accepted"] == "1"
        assert at.busy
        at.wish(do="stop")
        at.wait(lambda: not at.busy)

    def test_only_what_changed_goes_to_the_page(self):
        at = page("one", "two")
        at.say("a")
        at.panel.log.comm.sent.clear()
        at.say("b")
        sent = [data["content"] for data in at.panel.log.comm.sent if data.get("method") == "custom"]
        assert min(message["from"] for message in sent) == 2

    def test_a_page_that_was_loaded_anew_gets_everything(self):
        at = page("one")
        at.say("a")
        at.panel.log.comm.sent.clear()
        at.panel.log.comm.handle_msg(
            {"content": {"data": {"method": "custom", "content": {"want": "items"}}}, "buffers": []}
        )
        assert len(at.log) == 2

    def test_no_text_of_the_talk_is_held_in_a_trait_that_is_saved_with_the_widgets(self):
        at = page("a very special reply")
        at.say("a very special prompt")
        states = json.dumps(
            [part.get_state(drop_defaults=True) for part in (at.panel.log, at.panel.desk)], default=str
        )
        assert "very special" not in states

    def test_a_message_sent_while_a_cell_is_answered_is_refused_and_given_back(self):
        at = page("one", pace=0)
        with at.chat._alone():
            at.say("hi")
        assert "still answering" in at.notice
        assert at.state["draft"]["text"] == "hi"
        assert at.texts == []

    def test_a_cell_that_sends_while_the_window_streams_is_refused(self):
        at = page(pace="20 tok/s")
        at.send("Write 300 words.")
        at.wait(lambda: at.window._live is not None and at.window._live.begun)
        with pytest.raises(HistoryError, match="still answering"):
            at.chat.send("me too")
        at.wish(do="stop")
        at.wait(lambda: not at.busy)
        assert at.texts[0] == "Write 300 words."

    def test_a_second_message_waits_in_the_field(self):
        at = page(pace="20 tok/s")
        at.send("Write 300 words.")
        at.send("And more.")
        assert at.state["draft"]["text"] == "And more."
        assert "Wait for the reply" in at.notice
        at.wish(do="stop")
        at.wait(lambda: not at.busy)
        assert at.texts.count("And more.") == 0

    def test_what_cells_say_is_shown_when_the_cell_is_over(self):
        at = page("one", "two", display=False)
        at.chat.send("from a cell")
        at.window.look()
        assert len(at.log) == 2
        at.chat.history.undo()
        at.window.look()
        assert at.log == []

    def test_the_window_looks_after_every_cell(self):
        shell = InteractiveShell.instance()
        try:
            at = page("one", display=False)
            at.chat.send("from a cell")
            shell.run_cell("1 + 1", silent=False)
            assert len(at.log) == 2
        finally:
            InteractiveShell.clear_instance()

    def test_a_cell_that_runs_again_does_not_replace_what_was_said_in_the_window(self, monkeypatch):
        from claude_nb.ledger import labels

        at = page("one", "two")
        monkeypatch.setitem(labels._running_cell, "cell_id", "abc")
        monkeypatch.setitem(labels._running_cell, "cell", "1")
        at.say("a")
        monkeypatch.setitem(labels._running_cell, "cell", "2")
        at.say("b")
        assert at.texts == ["a", "one", "b", "two"]

    def test_the_ledger_knows_the_calls_as_those_of_the_window(self):
        at = page("one")
        at.say("a")
        frame = Ledger().where(conversation=at.chat.conversation).frame()
        assert list(frame["cell"]) == ["chat.app()"]

    def test_an_async_client_works_alike_on_the_kernels_loop(self, run):
        async def go():
            sandbox = Sandbox(replies=["Hello Ada."])
            at = Page(Chat(connect_async(sandbox=sandbox, quiet=True)))
            at.send("I am Ada.")
            await at.until(lambda: not at.busy)
            return at.texts

        assert run(go()) == ["I am Ada.", "Hello Ada."]


class TestStop:
    def test_a_reply_that_has_begun_is_kept_as_far_as_it_came(self):
        at = page(pace="30 tok/s")
        at.send("Write 300 words.")
        at.wait(lambda: at.window._live is not None and at.window._live.begun)
        time.sleep(0.3)
        at.wish(do="stop")
        at.wait(lambda: not at.busy)
        assert at.chat.history.entries[-1].interrupted
        assert "interrupted" in at.log[-1]["html"]

    def test_a_request_that_waits_is_left_at_once_and_the_prompt_comes_back(self):
        class Stuck(Sandbox):
            def handle_request(self, request):
                waiting.set()
                go_on.wait(SECONDS)
                return super().handle_request(request)

        waiting, go_on = threading.Event(), threading.Event()
        at = Page(Chat(connect(sandbox=Stuck(replies=["late", "in time"]), quiet=True)))
        at.wait(lambda: not at.window._looking.is_alive() or go_on.set())
        waiting.clear()
        go_on.clear()
        at.send("hi")
        assert waiting.wait(SECONDS)
        at.wish(do="stop")
        at.wait(lambda: not at.busy)
        assert at.texts == []
        assert at.state["draft"]["text"] == "hi"
        assert "Stopped before a reply began" in at.notice
        go_on.set()
        at.say("again")
        assert at.texts[0] == "again"
        assert len(at.texts) == 2

    def test_a_reply_whose_server_has_gone_silent_is_kept_as_far_as_it_came(self):
        """On a real connection: closing it does not wake the thread that reads."""
        events = [
            {"type": "message_start", "message": MESSAGE},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        ]
        sent = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer() -> None:
                while True:  # whoever asks for the list of models is told the same
                    connection = server.accept()[0]
                    connections.append(connection)
                    connection.recv(65536)
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + sent.encode()
                    )

            connections: list[socket.socket] = []
            threading.Thread(target=answer, daemon=True).start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            at = Page(Chat(anthropic.Anthropic(api_key="x", base_url=url, max_retries=0)))
            at.send("hi")
            at.wait(lambda: "Hello" in at.streamed)
            at.wish(do="stop")
            at.wait(lambda: not at.busy)
            assert at.texts == ["hi", "Hello"]
            assert at.chat.history.entries[-1].interrupted
            for connection in connections:
                connection.close()

    def test_stop_ends_the_wait_for_the_next_try(self):
        sandbox = Sandbox(faults=[faults.overloaded(at=n, retry_after=30) for n in range(1, 4)])
        at = Page(Chat(connect(sandbox=sandbox, quiet=True, max_retries=3)))
        at.send("hi")
        time.sleep(0.5)
        at.wish(do="stop")
        at.wait(lambda: not at.busy)
        assert at.texts == []
        assert at.state["draft"]["text"] == "hi"

    def test_a_tool_that_hangs_is_left_behind_with_a_valid_history(self):
        started, release = threading.Event(), threading.Event()

        def dig() -> str:
            """Dig."""
            started.set()
            release.wait(SECONDS)
            return "deep"

        at = page([{"type": "tool_use", "name": "dig", "input": {}}], "done", tools=[dig])
        at.send("dig")
        assert started.wait(SECONDS)
        at.wish(do="stop")
        at.wait(lambda: not at.busy)
        assert not at.chat.history.waiting()
        release.set()
        at.say("go on")
        assert at.texts[-1] == "done"

    def test_an_async_reply_is_stopped_and_kept(self, run):
        async def go():
            at = Page(Chat(connect_async(sandbox=Sandbox(pace="30 tok/s"), quiet=True)))
            at.send("Write 300 words.")
            await at.until(lambda: at.window._live and at.window._live.begun)
            at.wish(do="stop")
            await at.until(lambda: not at.busy)
            return at.chat.history.entries

        entries = run(go())
        assert len(entries) == 2
        assert entries[-1].interrupted

    def test_stop_without_anything_under_way_does_nothing(self):
        at = page("one")
        at.wish(do="stop")
        at.say("a")
        assert at.texts == ["a", "one"]


class TestErrors:
    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            (faults.overloaded(), "Send it again in a moment, or choose another model."),
            (faults.rate_limit(), "Wait a moment"),
            (faults.reset(), "Check the network"),
        ],
        ids=["overloaded", "rate limit", "no network"],
    )
    def test_an_error_says_what_to_do_and_the_prompt_is_not_lost(self, fault, words):
        at = page(struck=[fault])
        at.say("hi")
        assert words in at.notice
        assert "Your message is back below." in at.notice
        assert at.state["draft"]["text"] == "hi"
        assert at.state["notice"]["tone"] == "bad"
        assert at.texts == []
        assert len(at.panel.branch.options) == 1

    def test_a_refused_budget_says_so(self):
        sandbox = Sandbox(replies=["one"])
        client = connect(sandbox=sandbox, quiet=True, budget=Budget(0.0000001, ledger=Ledger()))
        at = Page(Chat(client))
        at.say("hi")
        assert "The call was not sent" in at.notice
        assert at.state["draft"]["text"] == "hi"

    def test_a_refusal_says_its_category(self):
        at = page(struck=[faults.refusal(category="cyber")])
        at.say("hi")
        assert "refused (cyber)" in at.log[-1]["html"]

    def test_a_reply_that_breaks_off_stays_marked(self):
        at = page(struck=[faults.cut(at=1, after=6)])
        at.say("hi")
        assert len(at.texts) == 2
        assert "interrupted" in at.log[-1]["html"]
        assert "back below" not in at.notice

    def test_a_retired_model_is_refused_with_the_way_out(self):
        at = page("one")
        at.wish(do="model", model=known("retired")[0].id)
        at.say("hi")
        assert "was retired" in at.notice
        assert at.state["draft"]["text"] == "hi"

    def test_a_wish_of_no_meaning_is_ignored(self):
        at = page("one")
        at.wish(do="__init__", chat=1)
        at.wish(nothing=1)
        at.wish(do="edit", at=99)
        at.say("a")
        assert at.texts == ["a", "one"]


class TestEditing:
    def test_an_edited_prompt_starts_a_branch_and_the_old_one_is_kept(self):
        at = page("one", "two", "other")
        at.say("a")
        at.say("b")
        at.wish(do="edit", at=2)
        assert at.state["editing"] == 2
        assert at.state["draft"]["text"] == "b"
        at.say("c")
        assert at.texts == ["a", "one", "c", "other"]
        assert len(at.chat.history.branches()) == 2
        labels = [label for label, _ in at.panel.branch.options]
        assert len(labels) == 2
        at.panel.branch.value = at.panel.branch.options[0][1]
        assert at.texts == ["a", "one", "b", "two"]
        assert "two" in at.log[-1]["html"]

    def test_an_edit_that_fails_leaves_the_conversation_as_it_was(self):
        at = page("one", struck=[faults.overloaded(at=2)])
        at.say("a")
        at.wish(do="edit", at=0)
        at.say("b")
        assert at.texts == ["a", "one"]
        assert at.state["editing"] == 0
        assert at.state["draft"]["text"] == "b"

    def test_an_edit_while_a_cell_is_answered_changes_nothing(self):
        at = page("one")
        at.say("a")
        at.wish(do="edit", at=0)
        with at.chat._alone():
            at.say("b")
        assert at.texts == ["a", "one"]

    def test_an_edited_prompt_keeps_its_attachments(self):
        at = page("one", "two")
        at.wish(do="attach", name="a.png", more=False, data=PNG)
        at.say("what is it?")
        at.wish(do="edit", at=0)
        at.say("what colour is it?")
        kinds = [block["type"] for block in at.chat.history.entries[0].content]
        assert kinds == ["image", "text"]

    def test_cancel_gives_the_field_back(self):
        at = page("one", "two")
        at.say("a")
        at.wish(do="edit", at=0)
        at.wish(do="cancel")
        assert at.state["editing"] is None
        at.say("b")
        assert at.texts == ["a", "one", "b", "two"]

    def test_fork_goes_on_in_a_copy_and_the_whole_can_be_had_again(self):
        at = page("one", "two", "three")
        at.say("a")
        at.say("b")
        whole = at.chat.history
        at.wish(do="fork", at=1)
        assert at.texts == ["a", "one"]
        assert "copy" in at.notice
        at.say("c")
        assert at.texts == ["a", "one", "c", "three"]
        assert len(whole) == 4
        [(_, back)] = [option for option in at.panel.branch.options if option[1][0] == 0]
        at.panel.branch.value = back
        assert at.chat.history is whole

    def test_a_reply_that_calls_tools_cannot_be_the_end_of_a_copy(self):
        def dig() -> str:
            """Dig."""
            return "deep"

        at = page([{"type": "tool_use", "name": "dig", "input": {}}], "done", tools=[dig])
        at.say("dig")
        assert [item["can"] for item in at.log] == ["edit", "", "", "fork"]

    def test_nothing_is_switched_while_a_reply_is_under_way(self):
        at = page("one", "two", "three", pace="5 tok/s")
        at.chat.history.user("x")
        at.send("Write 300 words.")
        before = at.chat.history
        at.wish(do="fork", at=0)
        assert at.chat.history is before
        assert "Wait for the reply" in at.notice
        at.wish(do="stop")
        at.wait(lambda: not at.busy)


class TestSystemPrompt:
    def test_it_is_shown_and_can_be_chosen_before_anything_is_said(self):
        at = page("one", system="Be brief.")
        assert at.panel.system.value == "Be brief."
        at.panel.system.value = "Be long."
        at.panel._anew.click()
        assert at.chat.history.system == "Be long."
        assert len(at.window.histories) == 1

    def test_once_something_is_said_a_change_begins_anew_and_says_so(self):
        at = page("one", system="Be brief.")
        at.say("a")
        old = at.chat.history
        at.panel.system.value = "Be long."
        at.panel._anew.click()
        assert at.chat.history is not old
        assert at.chat.history.system == "Be long."
        assert at.log == []
        assert "A new conversation" in at.notice
        assert len(old) == 2
        assert at.window.histories == [old, at.chat.history]

    def test_tools_come_along(self):
        def dig() -> str:
            """Dig."""
            return "deep"

        at = page("one", "two", tools=[dig])
        at.say("a")
        at.panel._anew.click()
        at.say("b")
        assert at.texts == ["b", "two"]
        assert [definition["name"] for definition in at.chat.history.tools] == ["dig"]


@tool(confirm=True)
def remove(path: str) -> str:
    """Remove a file."""
    return f"removed {path}"


CALL = [{"type": "tool_use", "name": "remove", "input": {"path": HOSTILE}}]


class TestTools:
    @pytest.mark.parametrize(
        ("yes", "said"), [(True, "removed"), (False, "did not allow"), ("yes", "did not allow")]
    )
    def test_a_tool_that_asks_is_run_only_after_a_yes(self, yes, said):
        at = page(CALL, "done", tools=[remove])
        at.send("remove it")
        at.wait(lambda: at.state.get("ask"))
        assert at.state["ask"]["name"] == "remove"
        at.wish(do="answer", yes=yes)
        at.wait(lambda: not at.busy)
        assert said in json.dumps(at.chat.history.messages)
        assert at.state["ask"] is None
        assert at.texts[-1] == "done"

    def test_stop_is_a_no(self):
        at = page(CALL, "done", tools=[remove])
        at.send("remove it")
        at.wait(lambda: at.state.get("ask"))
        at.wish(do="stop")
        at.wait(lambda: not at.busy)
        assert "removed" not in json.dumps(at.chat.history.messages)
        assert not at.chat.history.waiting()

    def test_after_stop_nothing_more_is_asked(self):
        at = page([*CALL, *CALL], "done", tools=[remove])
        at.send("remove them")
        at.wait(lambda: at.state.get("ask"))
        at.wish(do="stop")
        at.wait(lambda: not at.busy)
        time.sleep(0.2)
        assert at.state["ask"] is None

    def test_an_async_chat_asks_without_holding_up_the_loop(self, run):
        async def go():
            sandbox = Sandbox(replies=[CALL, "done"])
            at = Page(Chat(connect_async(sandbox=sandbox, quiet=True), tools=[remove]))
            at.send("remove it")
            await at.until(lambda: at.state.get("ask"))
            at.wish(do="answer", yes=True)
            await at.until(lambda: not at.busy)
            return json.dumps(at.chat.history.messages)

        assert "removed" in run(go())

    def test_a_callback_of_the_chat_is_asked_instead(self):
        asked = []
        at = page(CALL, "done", tools=[remove], confirm=lambda name, given: not asked.append(name))
        at.say("remove it")
        assert asked == ["remove"]
        assert "removed" in json.dumps(at.chat.history.messages)


class TestFiles:
    def test_a_file_that_comes_in_pieces_is_sent_whole(self):
        at = page("one")
        pdf = b"%PDF-1.4\n" + bytes(range(256)) * 10
        at.wish(do="attach", name="r.pdf", more=True, data=pdf[:1000])
        assert not at.state.get("files")
        at.wish(do="attach", name="r.pdf", more=False, data=pdf[1000:])
        assert at.state["files"] == ["r.pdf (PDF, 3 kB)"]
        at.say("what is it?")
        [document, text] = at.chat.history.entries[0].content
        assert (document["type"], document["title"], text["text"]) == ("document", "r.pdf", "what is it?")
        assert not at.state.get("files")
        assert "r.pdf (PDF, 3 kB)" in at.log[0]["html"]

    def test_a_file_can_be_sent_without_words_and_removed_before(self):
        at = page("one")
        at.wish(do="attach", name="a.png", more=False, data=PNG)
        at.wish(do="attach", name="b.txt", more=False, data=b"hello")
        at.wish(do="detach", at=0)
        at.say("")
        assert [block["type"] for block in at.chat.history.entries[0].content] == ["document"]

    def test_what_the_api_does_not_take_is_said_by_name(self):
        at = page("one")
        at.wish(do="attach", name="a.zip", more=False, data=b"PK\x03\x04\x00\xff")
        assert at.notice.startswith("a.zip is no picture")
        assert not at.state.get("files")

    def test_files_come_back_with_the_message(self):
        at = page(struck=[faults.overloaded()])
        at.wish(do="attach", name="a.png", more=False, data=PNG)
        at.say("hi")
        assert at.state["files"] == ["a.png (PNG, 48 bytes)"]

    @pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"a\0b"])
    def test_bytes_of_no_known_kind_are_refused(self, data):
        with pytest.raises(PromptError, match=r"^x "):
            block_of("x", data)

    def test_a_picture_that_is_too_large_is_refused_before_it_is_sent(self):
        with pytest.raises(PromptError, match="too large"):
            block_of("x.png", PNG + b"0" * 5_000_000)

    def test_what_the_window_attaches_the_api_accepts(self):
        at = page()
        for name, data in {"a.png": PNG, "b.pdf": b"%PDF-1.4\n%", "c.txt": "é".encode()}.items():
            at.wish(do="attach", name=name, more=False, data=data)
        at.say("what are these?")
        assert at.notice == ""
        assert len(at.texts) == 2


class TestFacts:
    def test_cost_and_context_of_the_sandbox_are_said_to_be_simulated(self):
        at = page("one")
        at.say("a")
        told_ = facts(at.chat)
        assert told_["cost"].startswith("Simulated: $")
        assert told_["cost"].endswith("if it were live")
        assert told_["used"] == at.chat.history.entries[-1].prompt_tokens
        assert told_["window"] == find(MODEL).max_input_tokens
        assert at.panel.facts.state == told_

    def test_a_budget_says_what_is_left(self):
        ledger = Ledger()
        client = connect(sandbox=Sandbox(), quiet=True, budget=Budget(2, per="day", ledger=ledger))
        assert facts(Chat(client))["budget"] == "$2.00 left of $2.00 per day"

    def test_a_client_without_a_ledger_says_that_nothing_is_recorded(self):
        assert "not recorded" in facts(Chat(connect(mode="sandbox", quiet=True, ledger=False)))["cost"]

    def test_the_models_are_those_the_server_lists(self):
        at = page("one")
        at.window._looking.join(SECONDS)
        listed = [name for _, name in at.panel.model.options]
        assert listed == [model.id for model in known()]

    def test_the_next_message_goes_to_the_chosen_model(self):
        at = page("one")
        at.window._looking.join(SECONDS)
        at.panel.model.value = "claude-opus-4-8"
        at.say("a")
        assert at.chat.history.entries[-1].model == "claude-opus-4-8"

    def test_a_deprecated_model_is_marked_and_warned_of(self):
        old = known("deprecated")[0]
        [(label, _)] = [choice for choice in choices(known(), MODEL) if choice[1] == old.id]
        assert f"deprecated, retires {old.retires_at}" in label
        assert "Choose a current model" in warning(old.id)
        assert warning(MODEL) == ""

    def test_a_server_that_lists_only_ids_is_enough(self):
        class Listed:
            id = "local-lm"

        assert choices([Listed()], "other") == [("local-lm", "local-lm"), ("other", "other")]

    def test_two_models_of_one_name_can_be_told_apart(self):
        class Listed:
            display_name = "LM"

            def __init__(self, name):
                self.id = name

        assert [label for label, _ in choices([Listed("a"), Listed("b")], "a")] == ["LM (a)", "LM (b)"]

    def test_a_server_without_a_list_of_models_leaves_ours(self):
        sandbox = Sandbox(replies=["one"], faults=[faults.reset()])
        at = Page(Chat(connect(sandbox=sandbox, quiet=True, max_retries=0)))
        at.window._looking.join(SECONDS)
        assert [name for _, name in at.panel.model.options] == [model.id for model in known()]


class Scripts(HTMLParser):
    """Whatever in HTML could run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "iframe", "object", "embed", "form", "svg", "link", "style"):
            self.found.append(tag)
        self.found += [name for name, value in attrs if name.startswith("on")]
        self.found += [
            value for _, value in attrs if value and value.strip().lower().startswith("javascript:")
        ]


def dangers(html: str) -> list[str]:
    parser = Scripts()
    parser.feed(html)
    return parser.found


class TestTranscript:
    def test_the_saved_notebook_reads_the_whole_conversation(self):
        at = page(
            CALL, "Here is **bold**.", tools=[remove], confirm=lambda name, given: True, system="Be brief."
        )
        at.say("remove it")
        bundle, _ = saved_of(at.chat.history, items_of(at.chat.history))
        plain = bundle["text/plain"]
        for words in (
            "Be brief.",
            "remove it",
            "[Tool call: remove]",
            "removed",
            "Here is **bold**.",
            "sandbox",
        ):
            assert words in plain
        assert "<strong>bold</strong>" in bundle["text/html"]
        assert set(bundle) == {"text/html", "text/plain"}

    def test_equal_conversations_give_equal_bytes(self):
        made = []
        for _ in range(2):
            at = page("one")
            at.say("a")
            made.append(saved_of(at.chat.history, items_of(at.chat.history)))
        assert made[0] == made[1]

    def test_an_empty_window_says_that_it_is_one(self):
        bundle, _ = saved_of(History(), [])
        assert bundle["text/plain"] == "A chat window; nothing is said yet."

    def test_hostile_text_of_every_origin_is_only_text(self):
        history = History(system=HOSTILE)
        document = {
            "type": "document",
            "title": HOSTILE,
            "source": {"type": "text", "media_type": "text/plain", "data": "x"},
        }
        history.user([document, {"type": "text", "text": HOSTILE}])
        history.reply(
            {
                "role": "assistant",
                "model": HOSTILE,
                "stop_reason": HOSTILE,
                "content": [
                    {"type": "text", "text": HOSTILE},
                    {"type": "thinking", "thinking": HOSTILE, "signature": "x"},
                    {"type": HOSTILE, "x": HOSTILE},
                    {"type": "tool_use", "id": "toolu_1", "name": HOSTILE, "input": {HOSTILE: HOSTILE}},
                ],
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
        )
        history.results({"toolu_1": HOSTILE})
        items = items_of(history)
        assert dangers(saved_of(history, items)[0]["text/html"]) == []
        assert all(dangers(item.html) == [] for item in items)

    @given(st.text(max_size=80))
    def test_any_words_of_the_user_are_kept_and_harmless(self, text):
        history = History()
        try:
            history.user(text)
        except PromptError:
            return
        [item] = items_of(history)
        assert dangers(item.html) == []
        assert "\x1b" not in item.plain

    def test_instructions_and_summaries_are_told_from_what_the_reader_said(self):
        history = History()
        history.user("a")
        history.reply(
            {
                "role": "assistant",
                "model": MODEL,
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "b"}],
            }
        )
        history.instruct("Be brief.")
        history.user("c")
        items = items_of(history)
        assert [item.plain.partition(":")[0] for item in items] == [
            "You",
            find(MODEL).display_name,
            "Instruction",
            "You",
        ]
        assert [item.can for item in items] == ["edit", "fork", "", "edit"]
        history.undo()
        history.compact("a and b", 2)
        assert items_of(history)[0].plain.startswith("Summary of what came before:")

    def test_a_reply_without_usage_says_unknown(self):
        history = History()
        history.user("a")
        history.reply(
            {
                "role": "assistant",
                "model": "local-lm",
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "b"}],
            }
        )
        [_, reply] = items_of(history)
        assert "unknown" in reply.plain
        assert "local-lm:" in reply.plain


def test_outside_a_notebook_one_sentence_says_what_to_use():
    with pytest.raises(ClaudeNbError, match=r"here use chat\.send"):
        Chat(connect(mode="sandbox", quiet=True)).app()


def test_an_error_of_ours_is_told_whole_and_one_without_words_by_its_name():
    assert told(PromptError("x is wrong. Type y.")) == "X is wrong. Type y."
    assert told(ZeroDivisionError()) == "ZeroDivisionError."


def test_a_label_of_an_unknown_block_is_its_kind():
    assert label_of({"type": "search_result"}) == "search result"


def test_the_page_is_loaded_from_files_that_are_in_the_package():
    folder = Path(__file__).parents[1] / "claude_nb" / "widgets"
    assert (folder / "app.js").stat().st_size < 30_000
    assert (folder / "app.css").is_file()
