"""The live meter: what it counts is what the ledger counts, whoever calls from wherever; what it leaves is static."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import anthropic
import nbformat
import pytest
from ledger_server import REQUEST, Reply, message, serving, sse
from nbclient import NotebookClient

from claude_nb import Ledger
from claude_nb.ledger import Budget, label
from claude_nb.ledger import live as live_module

USAGE = {"input_tokens": 1_000, "cache_read_input_tokens": 3_000, "output_tokens": 500}


@pytest.fixture
def ledger():
    return Ledger(":memory:")


@pytest.fixture
def server():
    with serving(Reply(message(USAGE))) as server:
        yield server


def call(server, ledger, **more):
    client = anthropic.Anthropic(api_key="test", base_url=server.url, max_retries=0)
    return ledger.meter(client).messages.create(**{**REQUEST, **more})


class Handle:
    """Stands for a display in a notebook."""

    def __init__(self):
        self.bundles = []

    def update(self, bundle, *, raw):
        assert raw
        self.bundles.append(bundle)


@pytest.fixture
def shown(ledger):
    """A meter that is displayed twice."""
    meter = ledger.live()
    meter._handles = [Handle(), Handle()]
    return meter


def test_it_starts_from_what_the_ledger_has_and_follows(ledger, server):
    assert str(ledger.live()) == "$0.00 · no calls yet"
    call(server, ledger)
    meter = ledger.live()
    assert str(meter) == "$0.00038 · 1 call · 4,000 tokens in, 500 out · 75% from the cache"
    call(server, ledger)
    assert str(meter).startswith("$0.00076 · 2 calls · 8,000 tokens in, 1,000 out")
    assert meter.total() == ledger.total()


def test_it_counts_what_the_ledger_counts_whatever_becomes_of_the_calls(ledger):
    replies = [
        Reply(message(USAGE)),
        sse("Hello", "there"),
        Reply({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}, status=529),
        Reply(message({"input_tokens": 5, "output_tokens": 5}, model="claude-unheard-of")),
        Reply(message(USAGE)),
    ]
    meter = ledger.live()
    with serving(*replies) as server:
        client = ledger.meter(anthropic.Anthropic(api_key="test", base_url=server.url, max_retries=0))
        client.messages.create(**REQUEST)
        stream = client.messages.create(**REQUEST, stream=True)
        next(iter(stream))
        stream.close()
        with pytest.raises(anthropic.APIStatusError):
            client.messages.create(**REQUEST)
        client.messages.create(**REQUEST)
        with Budget(0.000001, per="call", ledger=ledger), pytest.raises(Exception, match="not sent"):
            client.messages.create(**REQUEST)
    assert meter.total() == ledger.total()
    assert "…" in str(meter)
    assert "1 unpriced" in str(meter)


def test_a_part_of_a_ledger_has_a_meter_of_its_own(ledger, server):
    one = ledger.where(conversation="a").live()
    with label(conversation="b"):
        call(server, ledger)
    with label(conversation="a"):
        call(server, ledger)
    assert (one.total().calls, ledger.live().total().calls) == (1, 2)
    assert ledger.session().live().total().calls == 2
    assert ledger.since("1h").live().total().calls == 2


def test_threads_lose_no_call_and_the_screen_is_drawn_a_few_times_only(ledger, server, shown):
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: call(server, ledger), range(40)))
    live_module.draw_all()
    took = time.monotonic() - began
    assert shown.total() == ledger.total()
    for handle in shown._handles:
        assert "40 calls" in handle.bundles[-1]["text/plain"]
        assert len(handle.bundles) <= took / live_module._EVERY_SECONDS + 3


def test_a_streamed_event_costs_it_nothing(ledger, shown, monkeypatch):
    told = []
    monkeypatch.setattr(live_module.Live, "settled", lambda self, row: told.append(row["outcome"]))
    with serving(sse(*["word"] * 200)) as server:
        list(
            ledger.meter(anthropic.Anthropic(api_key="test", base_url=server.url)).messages.create(
                **REQUEST, stream=True
            )
        )
    assert told == ["ok"]


def test_what_is_left_of_each_budget_is_shown(ledger, server, shown):
    with Budget(1, per="day", ledger=ledger), Budget("0.01", per="notebook", ledger=ledger):
        call(server, ledger)
        live_module.draw_all()
    plain = shown._handles[0].bundles[-1]["text/plain"]
    assert plain.endswith("left: $1.00 of $1.00 this day · left: $0.00962 of $0.01 for this notebook")
    assert "width:96%" in shown._handles[0].bundles[-1]["text/html"]


def test_the_sandboxes_calls_say_so(server, ledger):
    simulated = ledger.meter(anthropic.Anthropic(api_key="sandbox", base_url=server.url), simulated=True)
    meter = ledger.live()
    simulated.messages.create(**REQUEST)
    assert str(meter).startswith("$0.00038 simulated, not billed · 1 call")
    assert "sandbox: nothing is billed" in meter._bundle()["text/html"]


def test_a_meter_that_fails_costs_no_call(server, ledger, monkeypatch):
    meter = ledger.live()
    monkeypatch.setattr(live_module.Live, "settled", lambda self, row: 1 / 0)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        call(server, ledger)
    assert (ledger.total().calls, ledger.health().swallowed, meter.total().calls) == (1, 1, 0)


def test_a_budget_asked_while_calls_settle_locks_nothing(ledger, server, shown):
    """Drawing asks the database for the budget; settling holds the database and tells the meter."""
    with Budget(5, per="total", ledger=ledger), ThreadPoolExecutor(4) as pool:
        drawing = [pool.submit(lambda: [shown.draw() for _ in range(20)]) for _ in range(2)]
        calling = [pool.submit(call, server, ledger) for _ in range(10)]
        for future in [*drawing, *calling]:
            future.result(timeout=30)


def test_a_closed_meter_and_a_forgotten_one_follow_no_more(ledger, server, shown):
    shown.close()
    forgotten = ledger.live()
    del forgotten
    call(server, ledger)
    assert shown.total().calls == 0
    assert len(ledger._store.listeners) == 0


CELLS = [
    "from claude_nb import Ledger, connect\nledger = Ledger()\nmeter = ledger.live()\nmeter",
    """client = connect(quiet=True)
def ask():
    client.messages.create(model="claude-haiku-5-5", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
ask()""",
    "import threading\nworker = threading.Thread(target=ask); worker.start(); worker.join()\nmeter",
]


def test_a_notebook_keeps_the_last_numbers_as_static_html(tmp_path):
    """Executed as CI and nbconvert do: calls of later cells and of threads update the first cell's output."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    first, last = notebook.cells[0].outputs, notebook.cells[2].outputs
    assert [output.output_type for output in first] == ["display_data"]
    assert set(first[0].data) == {"text/html", "text/plain"}
    assert " · 2 calls · " in first[0].data["text/plain"]
    assert first[0].data == last[0].data
    assert "widgets" not in notebook.metadata
    assert "<script" not in first[0].data["text/html"]


def test_in_a_terminal_it_prints_a_line():
    cell = "from claude_nb import Ledger; Ledger(':memory:').live()"
    code = f"from IPython.core.interactiveshell import InteractiveShell as S; S.instance().run_cell({cell!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("$0.00 · no calls yet")
    assert not done.stderr
