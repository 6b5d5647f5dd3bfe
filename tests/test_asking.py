"""The question in the cell: a page that is played here presses its buttons while the cell runs."""

import _thread
import asyncio
import threading
import time

import comm
import pytest
from test_widgets import Wire

import claude_nb.asking as room
from claude_nb.asking import ask, ask_async
from claude_nb.widgets.confirm import ConfirmView


class Stage:
    """What was shown, and whether the page has done what it was to do."""

    def __init__(self):
        self.view, self.wires, self.played = None, [], threading.Event()


@pytest.fixture
def page(monkeypatch):
    """A notebook whose page shows the question and then does what the test says."""
    monkeypatch.setattr(comm, "create_comm", Wire)
    monkeypatch.setattr(room, "in_notebook", lambda: True)
    monkeypatch.setattr(room, "_somebody_is_there", lambda: True)
    monkeypatch.setattr("builtins.input", lambda text: pytest.fail("the keyboard was asked"))
    stage = Stage()

    def plays(*messages):
        def show(view):
            stage.view, wire = view, view.comm
            stage.wires.append(wire)

            def press():
                for message in messages:
                    time.sleep(0.01)
                    wire.from_page(message)
                stage.played.set()

            threading.Thread(target=press).start()

        monkeypatch.setattr(ConfirmView, "show", show)
        return stage

    return plays


SEEN = {"want": "question"}


@pytest.mark.parametrize(("pressed", "allowed"), [("allow", True), ("refuse", False)])
def test_a_button_decides_while_the_cell_runs(page, run, pressed, allowed):
    shown = page(SEEN, {"do": pressed})
    assert ask("wipe", {"path": "/a"}) is allowed
    assert run(ask_async("wipe", {"path": "/a"})) is allowed
    question = shown.wires[0].custom[0]["question"]
    assert question["title"] == "Run wipe?"
    assert '"path": "/a"' in question["text"]


def test_the_first_button_counts_and_other_messages_do_not(page):
    page(SEEN, {"do": "format"}, "allow", None, {"do": "refuse"}, {"do": "allow"})
    assert ask("wipe", {}) is False


def test_the_view_is_gone_afterwards_and_keeps_nothing_in_the_notebook(page):
    shown = page(SEEN, {"do": "allow"})
    ask("wipe", {"secret": "s3"})
    assert shown.view.comm is None
    assert shown.wires[0].sent[-1]["type"] == "comm_close"
    assert "s3" not in str(shown.wires[0].sent[0])


def test_where_no_page_shows_the_question_the_keyboard_is_asked(page, run, monkeypatch):
    page()
    monkeypatch.setattr(room, "_PAGE_SECONDS", 0.01)
    monkeypatch.setattr("builtins.input", lambda text: "y")
    assert ask("wipe", {}) is True
    assert run(ask_async("wipe", {})) is True


def test_under_nbconvert_and_nbval_nobody_is_asked(page, run, monkeypatch):
    monkeypatch.setattr(room, "_somebody_is_there", lambda: False)
    page(SEEN, {"do": "allow"})
    assert ask("wipe", {}) is False
    assert run(ask_async("wipe", {})) is False


def test_a_cancel_takes_the_question_away(page, run):
    shown = page(SEEN)

    async def cancelled():
        task = asyncio.ensure_future(ask_async("wipe", {}))
        assert await asyncio.to_thread(shown.played.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    assert shown.view.wait(0) is False


def test_an_interrupt_takes_the_question_away(page):
    shown = page(SEEN)
    threading.Timer(0.3, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        ask("wipe", {})
    assert shown.view.wait(0) is False
