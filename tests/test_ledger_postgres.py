"""The same ledger on PostgreSQL, for a class or a team: a schema of its own for each test, on a server on loopback."""

import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import anthropic
import pandas as pd
import pytest
from ledger_server import REQUEST, Reply, message, serving
from test_ledger_imports import HEAD, line
from test_ledger_live import USAGE

from claude_nb import plots
from claude_nb.ledger import Budget, BudgetExceeded, Ledger, label
from claude_nb.ledger import store as store_module

POSTGRES = os.environ.get("CLAUDE_NB_TEST_POSTGRES", "")
pytestmark = [
    pytest.mark.skipif(not POSTGRES, reason="CLAUDE_NB_TEST_POSTGRES names no database"),
    pytest.mark.filterwarnings("ignore:The ledger"),
]


@pytest.fixture
def url(monkeypatch, tmp_path):
    """An empty schema, dropped again at the end."""
    import psycopg

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    name = f"test_{uuid.uuid4().hex[:12]}"
    address = POSTGRES.replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield f"{POSTGRES}?options=-csearch_path%3D{name}"
        for store in list(store_module._stores):
            store.close()
        connection.execute(f"DROP SCHEMA {name} CASCADE")
    store_module.store_at.cache_clear()


def client(server, ledger):
    return ledger.meter(anthropic.Anthropic(api_key="test", base_url=server.url, max_retries=0))


def sql(ledger, statement):
    with ledger._store.transaction() as connection:
        connection.exec_driver_sql(statement)


def reopened(url):
    store_module.store_at.cache_clear()
    return Ledger(url)


def test_an_older_ledger_is_brought_up_to_date_by_several_at_once(url):
    ledger = Ledger(url)
    with serving(Reply(message())) as server:
        client(server, ledger).messages.create(**REQUEST)
        for column in ("source", "project", "user", "unpriced_tools"):
            sql(ledger, f'ALTER TABLE claude_nb_attempts DROP COLUMN "{column}"')
        sql(ledger, "UPDATE claude_nb_ledger SET value = '1'")
        ledger._store.close()
        code = "import sys; from claude_nb import Ledger; print(Ledger(sys.argv[1]).total().calls)"
        workers = [
            subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE) for _ in range(3)
        ]
        assert [worker.communicate()[0].strip() for worker in workers] == [b"1"] * 3
        client(server, reopened(url)).messages.create(**REQUEST)
    assert reopened(url).total().calls == 2


def test_a_class_sees_who_spent_what_and_a_budget_holds_for_all(url):
    """16 threads over a budget that has room for ten calls."""
    ledger = Ledger(url)
    spent = {"input_tokens": 10, "output_tokens": 500}  # all of max_tokens
    with serving(Reply(message(spent), hang=0.02)) as server, Budget("0.003", per="total", ledger=ledger):

        def ask(number):
            with label(user=f"student-{number % 4}"):
                try:
                    return client(server, ledger).messages.create(**REQUEST)
                except BudgetExceeded:
                    return None

        with ThreadPoolExecutor(16) as pool:
            answered = [one for one in pool.map(ask, range(48)) if one]
    assert 0 < len(answered) == len(server.hits) < 48
    assert ledger.total().usd <= Decimal("0.003")
    assert set(ledger.by("user").index) <= {f"student-{n}" for n in range(4)}
    assert ledger.total().calls == len(answered)


def test_imports_and_the_live_meter_work_alike(url, tmp_path):
    import json

    ledger = Ledger(url)
    meter = ledger.live()
    (tmp_path / "s.jsonl").write_text(f"{json.dumps(line())}\n{json.dumps(line())}\n")
    (tmp_path / "e.csv").write_text(
        f"{HEAD}\n2026-11-20,claude-opus-5-5,ann,Default,standard,x,1000000,0,0,0,0,0,,\n"
    )
    for new in (1, 0):
        assert ledger.import_claude_code(tmp_path).new == new
        assert ledger.import_console(tmp_path / "e.csv").new == new
    assert sorted(ledger.by("source").index) == ["claude-code", "console-usage"]
    assert ledger.where(source="console-usage").total().usd == 4
    with serving(Reply(message(USAGE))) as server:
        client(server, ledger).messages.create(**REQUEST)
    assert meter.total() == ledger.total()
    assert ledger.explain(-1).growth.turn.parts


def test_text_that_no_database_takes_is_stored_without_it(url):
    ledger = Ledger(url)
    with serving(Reply(message(USAGE, message_id="m\0\ud800"))) as server, label(conversation="a\0b\udfff"):
        client(server, ledger).messages.create(**REQUEST)
    assert ledger.health().ok
    assert list(ledger.frame()["conversation"]) == ["a\ufffdb\ufffd"]


def test_a_server_that_is_gone_costs_no_call_and_its_rows_come_in_later(url):
    away = url.replace(POSTGRES, "postgresql+psycopg://postgres@127.0.0.1:9/postgres")
    ledger = Ledger(url)
    ledger.total()
    ledger._store._close()
    ledger._store.url, there = away, ledger._store.url
    with serving(Reply(message(USAGE))) as server:
        for _ in range(3):
            client(server, ledger).messages.create(**REQUEST)
    assert ledger.health().waiting == 6
    ledger._store.url, ledger._store._down_until = there, 0
    assert ledger.total().calls == 3
    assert ledger.health().waiting == 0


def test_the_text_of_prompts_is_kept_on_request_and_forgotten(url):
    ledger = Ledger(url, keep_text=True)
    with serving(Reply(message(USAGE))) as server:
        for words in ("Hello \0 there", "Hello \0 there", "Goodbye"):
            asked = REQUEST | {"messages": [{"role": "user", "content": words}]}
            client(server, ledger).messages.create(**asked)
    assert list(ledger.prompt(0)["text"]) == ["Hello \ufffd there"]
    assert ledger.forget_text() == 2
    assert list(ledger.prompt(0)["text"]) == [None]
    assert ledger.health().ok


def test_long_ledgers_are_summed_and_selected_from_alike(url, monkeypatch):
    ledger = Ledger(url)
    with serving(Reply(message(USAGE))) as server:
        for number in range(6):
            with label(notebook=f"n{number % 2}.ipynb", cell="2", tags=("Draft",) if number else ("draft",)):
                client(server, ledger).messages.create(**REQUEST)
    frames = plots.daily_frame, plots.top_frame, plots.shares_frame
    whole = [frame(ledger) for frame in frames]
    monkeypatch.setattr("claude_nb.plots.calls.MOST", 2)
    for frame, table in zip(frames, whole, strict=True):
        pd.testing.assert_frame_equal(frame(ledger), table, check_dtype=False)
    assert sorted(ledger.by("cell").index) == ["n0.ipynb cell 2", "n1.ipynb cell 2"]
    assert [ledger.where(tag=tag).total().calls for tag in ("Draft", "draft", "DRAFT")] == [5, 1, 0]
    assert ledger.where(cell="n1.ipynb cell 2").total().calls == 3
