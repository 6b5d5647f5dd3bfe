"""Where rows are kept: whatever happens to the database, the user's call succeeds and no row is lost."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path

import anthropic
import pytest
from ledger_server import REQUEST, Reply, message, serving, stream

from claude_nb.errors import LedgerError
from claude_nb.ledger import Ledger
from claude_nb.ledger import store as store_module
from claude_nb.ledger.address import resolve

pytestmark = pytest.mark.filterwarnings("ignore:The ledger")


@pytest.fixture(autouse=True)
def own_stores(monkeypatch, tmp_path):
    """Each test opens its files anew, as a new process would, and sets rows aside in a folder of its own."""
    store_module.store_at.cache_clear()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    yield
    for store in list(store_module._stores):
        store.close()


def reopened(path):
    store_module.store_at.cache_clear()
    return Ledger(path)


def call(server, ledger, **more):
    client = anthropic.Anthropic(api_key="test", base_url=server.url, max_retries=0)
    return ledger.meter(client).messages.create(**{**REQUEST, **more})


# ---- addresses


def test_the_address_is_a_path_a_url_memory_or_the_environment(monkeypatch, tmp_path):
    path = tmp_path / "spend.db"
    monkeypatch.setenv("CLAUDE_NB_LEDGER", str(path))
    assert resolve(None) == resolve(path) == resolve(str(path)) == f"sqlite:///{path}"
    monkeypatch.chdir(tmp_path)
    assert (
        resolve("sqlite:///spend.db") == resolve("spend.db") == f"sqlite:///{path}"
    )  # a later chdir moves nothing
    assert resolve(f"sqlite:///{path}") == f"sqlite:///{path}"
    assert resolve(":memory:") == resolve("sqlite://") == resolve("sqlite:///:memory:") == "sqlite://"
    monkeypatch.setenv("CLAUDE_NB_LEDGER", "postgresql+psycopg://u:secret@h/db")
    assert resolve(None).startswith("postgresql")
    monkeypatch.delenv("CLAUDE_NB_LEDGER")
    assert resolve(None).endswith("claude_nb/ledger.db")


def test_a_request_goes_out_only_after_its_row_is_safe():
    ledger = Ledger(":memory:")
    with serving(Reply(message())) as server:
        worker = threading.Thread(target=call, args=(server, ledger))
        with ledger._store.transaction():
            worker.start()
            time.sleep(0.5)
            assert server.hits == []
        worker.join()
        assert len(server.hits) == 1


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/db", "https://example.com/x", "postgresql://u:secret@h:port/db"]
)
def test_another_kind_of_database_is_refused_at_once(url):
    with pytest.raises(LedgerError, match=r"SQLite or PostgreSQL|cannot be read") as refusal:
        Ledger(url)
    assert "secret" not in str(refusal.value)


def test_a_missing_driver_is_named_and_costs_no_call():
    ledger = Ledger("postgresql+pg8000://u:secret@127.0.0.1:1/db")
    with serving(Reply(message())) as server:
        assert call(server, ledger).usage.output_tokens == 17
    with pytest.raises(LedgerError) as refusal:
        ledger.total()
    assert "secret" not in f"{refusal.value}{ledger.health()}"
    assert ledger.health().waiting == 2


def test_a_row_written_in_the_thread_that_holds_the_database_waits_its_turn():
    """A garbage collection can settle a dropped stream at any moment, even inside the ledger's own query."""
    ledger = Ledger(":memory:")
    with serving(Reply(message())) as server:
        client = ledger.meter(anthropic.Anthropic(api_key="test", base_url=server.url, max_retries=0))
        opened = client.messages.create(**REQUEST, stream=True)
        with ledger._store.transaction():
            opened.close()
            del opened
    assert list(ledger.frame()["outcome"]) == ["aborted"]


def test_repr_is_one_stable_line_without_a_password_or_a_path(tmp_path):
    assert repr(Ledger(tmp_path / "spend.db")) == "<Ledger spend.db>"
    assert repr(Ledger(":memory:").session()) == "<Ledger in memory, session>"
    assert repr(Ledger("postgresql+psycopg://u:secret@h/db")) == "<Ledger postgresql+psycopg://u:***@h/db>"


def test_nothing_is_opened_before_the_first_call_or_question(tmp_path):
    path = tmp_path / "deep" / "spend.db"
    ledger = Ledger(path)
    assert not path.parent.exists()
    assert str(ledger.total()) == "$0.00"
    assert path.exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX file modes")
def test_the_file_is_for_its_owner_only(tmp_path):
    path = tmp_path / "spend.db"
    with serving(Reply(message())) as server:
        call(server, Ledger(path))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir() if file.is_file()}
    assert set(modes.values()) == {0o600}, modes


def test_ledgers_in_memory_are_apart_and_serve_threads():
    first, second = Ledger(":memory:"), Ledger(":memory:")
    with serving(Reply(message())) as server:
        worker = threading.Thread(target=call, args=(server, first))
        worker.start()
        worker.join()
    assert (first.total().calls, second.total().calls) == (1, 0)


def test_session_is_this_process_only(tmp_path):
    path = tmp_path / "spend.db"
    with serving(Reply(message())) as server:
        run_python(CALLS, server.url, path, 2).wait()
        call(server, Ledger(path))
    ledger = Ledger(path)
    assert (ledger.total().calls, ledger.session().total().calls) == (3, 1)


# ---- what goes wrong


def not_a_folder(path):
    path.parent.write_text("a file where the folder should be")


def mend_folder(path):
    path.parent.unlink()


def corrupt(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database " * 500)


def mend_file(path):
    path.unlink()


def newer(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE claude_nb_ledger (key VARCHAR PRIMARY KEY, value VARCHAR)")
        database.execute("INSERT INTO claude_nb_ledger VALUES ('schema', '999')")


def mend_schema(path):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE claude_nb_ledger SET value = '1'")


BROKEN = {
    "folder": (not_a_folder, mend_folder),
    "corrupt": (corrupt, mend_file),
    "newer": (newer, mend_schema),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_database_costs_no_call_and_its_rows_come_in_when_it_is_mended(tmp_path, kind):
    breaks, mends = BROKEN[kind]
    path = tmp_path / "folder" / "spend.db"
    breaks(path)
    ledger = reopened(path)
    with serving(Reply(message())) as server:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert [call(server, ledger).usage.output_tokens for _ in range(3)] == [17] * 3
        with pytest.raises(LedgerError, match=r"spend\.db"):
            ledger.total()
        health = ledger.health()
    assert [str(one.message)[:10] for one in said if "ledger" in str(one.message)] == ["The ledger"]
    assert not health.ok
    assert health.waiting == 6  # three rows before, three after
    mends(path)
    mended = reopened(path)
    assert list(mended.frame()["outcome"]) == ["ok"] * 3
    assert mended.health().waiting == 0


def test_a_newer_schema_says_how_to_upgrade(tmp_path):
    path = tmp_path / "folder" / "spend.db"
    newer(path)
    with pytest.raises(LedgerError, match="pip install --upgrade claude_nb"):
        reopened(path).total()


def test_a_full_disk_costs_no_call_and_loses_no_row(tmp_path):
    path = tmp_path / "spend.db"
    ledger = reopened(path)
    with serving(Reply(message())) as server:
        call(server, ledger)
        with ledger._store.transaction() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for number in range(40):
            call(server, ledger, messages=[{"role": "user", "content": f"{number}"}] * 50)
    assert "full" in ledger.health().last_error
    assert list(reopened(path).frame()["outcome"]) == ["ok"] * 41


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_costs_no_call(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with serving(Reply(message())) as server:
        call(server, reopened(folder / "spend.db"))
    folder.chmod(0o700)
    assert reopened(folder / "spend.db").total().calls == 1


def test_a_locked_database_delays_one_call_and_loses_no_row(tmp_path, monkeypatch):
    monkeypatch.setattr("claude_nb.ledger.database.BUSY_SECONDS", 0.2)
    path = tmp_path / "spend.db"
    ledger = reopened(path)
    with serving(Reply(message())) as server:
        call(server, ledger)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        ledger._store._close()  # a fresh connection has the short timeout
        for _ in range(5):
            call(server, ledger)
        other.execute("ROLLBACK")
        other.close()
    assert "locked" in ledger.health().last_error
    assert list(reopened(path).frame()["outcome"]) == ["ok"] * 6


def test_a_deleted_file_is_noticed_and_made_again(tmp_path):
    path = tmp_path / "spend.db"
    ledger = reopened(path)
    with serving(Reply(message())) as server:
        call(server, ledger)
        for file in tmp_path.glob("spend.db*"):
            file.unlink()
        call(server, ledger)
    assert reopened(path).total().calls == 1


def test_nowhere_to_write_at_all_costs_no_call(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "spend.db"
    not_a_folder(path)
    (tmp_path / "temp").write_text("a file where the temp folder should be")
    with serving(Reply(message())) as server:
        assert call(server, reopened(path)).usage.output_tokens == 17


def test_a_settled_row_in_the_side_folder_replaces_one_given_up_for_dead(tmp_path):
    """The killed process had settled its row, but only on the side: its final usage counts."""
    path = tmp_path / "spend.db"
    ledger = reopened(path)
    with serving(Reply(message())) as server:
        call(server, ledger)
    with ledger._store.transaction() as connection:
        row = dict(connection.exec_driver_sql("SELECT * FROM claude_nb_attempts").mappings().one())
        connection.exec_driver_sql(
            "UPDATE claude_nb_attempts SET outcome = 'open', usage_final = 0, pid = 999999999, session = 'gone'"
        )
    assert ledger.frame()["outcome"][0] == "aborted"
    aside = path.with_name("spend.db.waiting")
    aside.mkdir()
    row |= {
        name: bool(row[name])
        for name in ("usage_final", "simulated", "stream", "unbilled_refusal", "regional")
    }
    (aside / "row.settled.json").write_text(json.dumps(row))
    assert list(reopened(path).frame()["outcome"]) == ["ok"]


def test_a_row_the_database_never_takes_keeps_no_other_out(tmp_path):
    path = tmp_path / "spend.db"
    aside = path.with_name("spend.db.waiting")
    aside.mkdir()
    (aside / "a.settled.json").write_text(json.dumps({"id": "a", "outcome": "ok", "input_tokens": 10**30}))
    (aside / "b.settled.json").write_text(json.dumps({"id": "b", "outcome": "ok"}))
    (aside / "c.settled.json").write_text("[1, 2]")
    (aside / "d.settled.json").write_text('{"id": "d"')
    ledger = reopened(path)
    with serving(Reply(message())) as server:
        for _ in range(2):
            call(server, ledger)
    assert list(ledger.frame()["outcome"]) == ["ok"] * 2
    assert not ledger.health().ok
    store_module.store_at.cache_clear()
    assert reopened(path).total().calls == 2


def test_text_that_no_database_takes_or_a_terminal_would_obey_is_stored_without_it(tmp_path):
    ledger = reopened(tmp_path / "spend.db")
    with serving(Reply(message(message_id="m\0\ud800", model="\x1b[2Jcaf\u00e9\u202e"))) as server:
        call(server, ledger)
    assert ledger.health().ok
    assert list(ledger.frame()["message_id"]) == ["m\ufffd\ufffd"]
    assert list(ledger.frame()["model"]) == ["\ufffd[2Jcaf\u00e9\ufffd"]


# ---- several processes

CALLS = """
import sys, anthropic
from claude_nb.ledger import Ledger
url, path, number = sys.argv[1:]
client = Ledger(path).meter(anthropic.Anthropic(api_key="test", base_url=url, max_retries=0))
for turn in range(int(number)):
    client.messages.create(model=f"claude-haiku-5-5", max_tokens=10, messages=[{"role": "user", "content": "Hi"}])
"""

STREAMS = """
import sys, os, anthropic
from claude_nb.ledger import Ledger
url, path, number = sys.argv[1:]
client = Ledger(path).meter(anthropic.Anthropic(api_key="test", base_url=url, max_retries=0))
for turn in range(int(number)):
    name = f"m-{os.getpid()}-{turn}"
    list(client.messages.create(model=name, max_tokens=10, stream=True, messages=[{"role": "user", "content": "Hi"}]))
"""

OPEN_AT_EXIT = """
import sys, anthropic
from claude_nb.ledger import Ledger
url, path, number = sys.argv[1:]
client = Ledger(path).meter(anthropic.Anthropic(api_key="test", base_url=url, max_retries=0))
messages = [{"role": "user", "content": "Hi"}]
stream = client.messages.create(model="claude-haiku-5-5", max_tokens=10, stream=True, messages=messages)
for _, event in zip(range(4), stream):
    pass
kept = stream  # alive until the interpreter has gone
"""

FORKS = """
import sys, os, anthropic
from claude_nb.ledger import Ledger
url, path, number = sys.argv[1:]
ledger = Ledger(path)
client = ledger.meter(anthropic.Anthropic(api_key="test", base_url=url, max_retries=0))
def call():
    client.messages.create(model="claude-haiku-5-5", max_tokens=10, messages=[{"role": "user", "content": "Hi"}])
call()
with ledger._store.transaction():  # another thread could be at the database when a process forks
    child = os.fork()
    if child == 0:
        call()
        os._exit(0)
os.waitpid(child, 0)
call()
"""


def run_python(code, url, path, number):
    return subprocess.Popen([sys.executable, "-c", code, url, str(path), str(number)])


def test_processes_writing_at_once_lose_and_double_nothing(tmp_path):
    """Three for a test; benchmarks/ledger_processes.py runs eight with 1,000 calls each."""
    path = tmp_path / "spend.db"
    with serving(Reply(message())) as server:
        workers = [run_python(CALLS, server.url, path, 25) for _ in range(3)]
        assert [worker.wait() for worker in workers] == [0] * 3
    ledger = reopened(path)
    assert list(ledger.frame()["outcome"]) == ["ok"] * 75
    assert ledger.frame()["call_id"].nunique() == 75


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_killed_processes_leave_every_request_explained(tmp_path):
    path = tmp_path / "spend.db"
    with serving(Reply(chunks=list(stream(*["word"] * 5)), pause=0.002)) as server:
        for number in (5, 12, 23):  # the moment inside a call differs with each
            worker = run_python(STREAMS, server.url, path, 10_000)
            while len(server.hits) < number:
                time.sleep(0.001 * number / 5)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        asked = [json.loads(body)["model"] for _, body in server.hits]
    ledger = reopened(path)
    with ledger._store.transaction() as connection:
        rows = connection.exec_driver_sql(
            "SELECT model_requested, outcome, error FROM claude_nb_attempts"
        ).all()
    ledger.total()
    assert len(asked) >= 23
    assert set(asked) <= {row[0] for row in rows}
    assert len(rows) == len({row[0] for row in rows})
    explained = ledger.frame()
    assert "open" not in set(explained["outcome"])
    assert set(explained["error"].dropna()) <= {"the process ended while the call was open"}


def test_a_stream_open_at_interpreter_exit_keeps_what_was_seen(tmp_path):
    path = tmp_path / "spend.db"
    with serving(Reply(chunks=list(stream(*["word"] * 50)), pause=0.01)) as server:
        run_python(OPEN_AT_EXIT, server.url, path, 1).wait()
    row = reopened(path).frame().iloc[0]
    assert (row["outcome"], row["input_tokens"]) == ("aborted", 25)
    assert row["streamed_chars"] > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_fork_records_with_a_connection_of_its_own(tmp_path):
    path = tmp_path / "spend.db"
    with serving(Reply(message())) as server:
        assert run_python(FORKS, server.url, path, 1).wait() == 0
    assert list(reopened(path).frame()["outcome"]) == ["ok"] * 3


# ---- PostgreSQL: the same code

POSTGRES = os.environ.get("CLAUDE_NB_TEST_POSTGRES")


@pytest.mark.skipif(not POSTGRES, reason="CLAUDE_NB_TEST_POSTGRES names no database")
def test_postgresql_records_sums_and_explains(tmp_path):
    ledger = Ledger(POSTGRES)
    with ledger._store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM claude_nb_attempts")
    with serving(Reply(message())) as server, ledger.tag("pg"):
        call(server, ledger)
        worker = run_python(CALLS, server.url, POSTGRES, 3)
        assert worker.wait() == 0
    assert (ledger.total().calls, str(ledger.total())) == (4, "$0.000044")
    assert ledger.by("model").loc["claude-haiku-5-5", "calls"] == 4
    assert ledger.by("tag").loc["pg", "calls"] == 1
    assert list(ledger.frame()["outcome"]) == ["ok"] * 4
    assert ledger.health().ok
    assert ledger.reprice() == 0
    assert Path(tmp_path).exists()


# ---- pricing again


def test_repricing_changes_costs_never_tokens(tmp_path):
    ledger = reopened(tmp_path / "spend.db")
    with serving(Reply(message())) as server:
        call(server, ledger)
    with ledger._store.transaction() as connection:
        connection.exec_driver_sql("UPDATE claude_nb_attempts SET cost_pico = 1, price_version = 'old'")
    assert ledger.reprice() == 1
    assert str(ledger.total()) == "$0.000011"
    assert ledger.reprice() == 0


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away"
)
def test_a_side_folder_of_another_user_is_neither_read_nor_written(tmp_path):
    path = tmp_path / "spend.db"
    aside = path.with_name("spend.db.waiting")
    aside.mkdir()
    (aside / "planted.settled.json").write_text("{}")
    os.chown(aside, 12345, 12345)
    ledger = reopened(path)
    assert str(ledger.total()) == "$0.00"
    assert ledger.health().waiting == 0
    assert (aside / "planted.settled.json").exists()
