"""Where a call came from: the cell IPython runs, the notebook Jupyter names, the labels in force."""

import os
import subprocess
import sys

import anthropic
import pytest
from ledger_server import REQUEST, Reply, message, serving

from claude_nb.errors import LedgerError
from claude_nb.ledger import Ledger, label
from claude_nb.ledger.labels import current

CELLS = """
import sys
from IPython.core.interactiveshell import InteractiveShell
url, path = sys.argv[1:]
shell = InteractiveShell.instance()
run = lambda code: shell.run_cell(code, store_history=True).raise_error()
run(f'''
import threading, anthropic
from claude_nb.ledger import Ledger, label
ledger = Ledger({path!r})
client = ledger.meter(anthropic.Anthropic(api_key="test", base_url={url!r}, max_retries=0))
def call():
    client.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=[dict(role="user", content="Hi")])
call()
''')
run("call()")
run("worker = threading.Thread(target=call); worker.start(); worker.join()")
run("with label(conversation='c1', cell='mine'): call()")
"""


def test_calls_carry_their_cell_and_notebook_even_from_worker_threads(tmp_path):
    path = tmp_path / "spend.db"
    with serving(Reply(message())) as server:
        command = [sys.executable, "-c", CELLS, server.url, str(path)]
        environment = {
            **os.environ,
            "JPY_SESSION_NAME": "/home/ada/lessons/first.ipynb",
            "IPYTHONDIR": str(tmp_path),
        }
        subprocess.run(command, check=True, env=environment, capture_output=True)
    frame = Ledger(path).frame()
    assert list(frame["cell"]) == ["1", "2", "3", "mine"]
    assert set(frame["notebook"]) == {"first.ipynb"}
    assert list(frame["conversation"].dropna()) == ["c1"]


def test_labels_nest_and_end_with_their_block():
    with label(notebook="n", tags=("a",)), label(conversation="c", cell="3", tags=("b", "a")):
        inner = current()
    assert (inner.notebook, inner.conversation, inner.cell, inner.tags) == ("n", "c", "3", ("a", "b"))
    assert current().conversation is None
    assert current().tags == ()


def test_by_groups_by_any_label_and_refuses_others(tmp_path):
    ledger = Ledger(tmp_path / "spend.db")
    with serving(Reply(message())) as server:
        client = ledger.meter(anthropic.Anthropic(api_key="test", base_url=server.url))
        for tags, cell in ((("x", "y"), "1"), (("x",), "2"), ((), "2")):
            with label(tags=tags, cell=cell):
                client.messages.create(**REQUEST)
    assert dict(ledger.by("tag")["calls"].rename(index=str).items())["x"] == 2
    assert list(ledger.by("cell").loc[["1", "2"], "calls"]) == [1, 2]
    assert ledger.by("day")["calls"].sum() == 3
    assert ledger.where(cell="2").total().calls == 2
    for wrong in (lambda: ledger.by("colour"), lambda: ledger.where(colour="red")):
        with pytest.raises(LedgerError, match="colour"):
            wrong()


def test_project_and_user_come_from_where_the_notebook_runs(monkeypatch, tmp_path):
    from claude_nb.ledger import labels

    labels._user.cache_clear()
    repository = tmp_path / "thesis"
    (repository / ".git").mkdir(parents=True)
    (repository / "chapters").mkdir()
    monkeypatch.chdir(repository / "chapters")
    monkeypatch.setenv("JUPYTERHUB_USER", "ann")
    assert (current().project, current().user) == ("thesis", "ann")
    monkeypatch.setenv("CLAUDE_NB_PROJECT", "course")
    with label(user="bob"):
        assert (current().project, current().user) == ("course", "bob")
        with label(project="homework"):
            assert (current().project, current().user) == ("homework", "bob")
    monkeypatch.delenv("CLAUDE_NB_PROJECT")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "loose.ipynb"))
    assert current().project is None
    labels._user.cache_clear()


def test_a_working_folder_that_was_deleted_costs_no_call(monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert current().project is None
    with serving(Reply(message())) as server:
        client = Ledger(":memory:").meter(anthropic.Anthropic(api_key="test", base_url=server.url))
        assert client.messages.create(**REQUEST).usage.output_tokens == 17
