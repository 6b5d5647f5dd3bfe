import comm
import IPython.display
import pytest
from test_widgets import Wire

from claude_nb import Sandbox, compare, connect
from claude_nb.columns import Columns
from claude_nb.sandbox import faults

MODELS = ["claude-haiku-5-5", "claude-opus-5-5"]


@pytest.fixture
def notebook(monkeypatch):
    """A notebook's kernel: what is displayed, and what is sent to the page."""
    shown, wires = [], []

    class Handle:
        def update(self, data, *, raw):
            shown.append(data)

    def wire(**settings):
        wires.append(Wire(**settings))
        return wires[-1]

    monkeypatch.setattr(comm, "create_comm", wire)
    monkeypatch.setattr("claude_nb.columns.in_notebook", lambda: True)
    monkeypatch.setattr(IPython.display, "display", lambda data, **_: shown.append(data) or Handle())
    return shown, wires


def ops(wires) -> list[list]:
    """The operations of each column, in order."""
    streams = [[op for message in wire.custom for op in message.get("ops", ())] for wire in wires]
    return [column for column in streams if column]


def test_every_answer_streams_into_its_own_column_and_leaves_nothing_behind(notebook):
    shown, wires = notebook
    found = compare("hi", models=MODELS, client=connect(sandbox=Sandbox(), quiet=True))
    columns = ops(wires)
    assert len(columns) == 2
    for column, answer in zip(columns, found.answers, strict=True):
        text = "".join(op[2] for op in column if op[0] == "add")
        assert answer.message.content[-1].text in text
        assert column[-2] == ["state", {"phase": "done", "text": "Done"}]
        assert column[-1][0] == "footer"
    assert list(shown[0]) == ["application/vnd.jupyter.widget-view+json"]
    assert shown[1:] == [{}]
    assert all(wire.sent[-1]["type"] == "comm_close" for wire in wires if wire.custom)


def test_a_failure_and_a_cut_are_said_in_their_column(notebook):
    _, wires = notebook
    sandbox = Sandbox(faults=[faults.truncated()])
    compare("hi", models=[MODELS[0]], client=connect(sandbox=sandbox, quiet=True, max_retries=0))
    sandbox = Sandbox(faults=[faults.overloaded()])
    compare("hi", models=[MODELS[0]], client=connect(sandbox=sandbox, quiet=True, max_retries=0))
    cut, failed = ops(wires)
    assert cut[-2][1]["phase"] == "interrupted"
    assert failed[-2][1]["phase"] == "failed"


def test_stop_ends_one_column_and_the_others_go_on(notebook, monkeypatch):
    sandbox = Sandbox(replies=["word " * 300] * 2, pace="300 tok/s")

    class Stops(Columns):
        def on_stop(self, place, stop):
            if place == 0:
                stop()

    monkeypatch.setattr("claude_nb.answers.Columns", Stops)
    found = compare("hi", models=MODELS, client=connect(sandbox=sandbox, quiet=True))
    assert found[0].message is None or found[0].message.stop_reason is None
    assert found[1].message.stop_reason == "end_turn"


@pytest.mark.parametrize("display", [True, False])
def test_outside_of_a_notebook_nothing_is_shown(capsys, display):
    compare("hi", models=MODELS, client=connect(sandbox=Sandbox(), quiet=True), display=display)
    assert not capsys.readouterr().out
