"""Prompts are stored by what they add: small, the same when read, and readable where older rows are whole."""

import json
import os
import sqlite3
from contextlib import closing

import anthropic
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_nb.ledger import Ledger, label
from claude_nb.ledger import store as store_module
from claude_nb.ledger.lineage import Lineage, bases, resolve
from claude_nb.ledger.prompt import Part, digest_prompt

USAGE = {"input_tokens": 100, "output_tokens": 10}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-5-5",
    "stop_reason": "end_turn",
}
MESSAGE |= {"content": [{"type": "text", "text": "Hello"}], "stop_sequence": None, "usage": USAGE}


def client(ledger):
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=MESSAGE))
    return ledger.meter(anthropic.Anthropic(api_key="x", http_client=httpx2.Client(transport=transport)))


def chat(ledger, turns, *, name="c", messages=None):
    """A conversation; returns its messages."""
    messages = [] if messages is None else messages
    with label(conversation=name):
        for turn in range(turns):
            messages.append({"role": "user", "content": f"Question {len(messages)} of {name}, {turn}"})
            client(ledger).messages.create(model="claude-haiku-5-5", max_tokens=9, messages=messages)
            messages.append({"role": "assistant", "content": f"Answer {len(messages)}"})
    return messages


def stored(path):
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT prompt FROM claude_nb_attempts ORDER BY ts")]


@pytest.fixture
def path(tmp_path):
    store_module.store_at.cache_clear()
    return tmp_path / "spend.db"


def test_rows_of_a_chat_grow_with_what_is_said_and_not_with_its_square(path):
    ledger = Ledger(path)
    chat(ledger, 150)
    sizes = [len(prompt) for prompt in stored(path)]
    assert max(sizes) < 400
    turns = [ledger.explain(number).growth.turn for number in (0, 1, 80, 149)]
    assert [len(turn.parts) for turn in turns] == [1, 3, 161, 299]


def test_what_is_read_is_what_was_sent(path):
    messages = chat(Ledger(path), 20)
    whole = digest_prompt({"messages": messages[:-1]})
    last = Ledger(path).explain(-1).growth
    assert list(last.turn.parts) == whole
    assert [part.message for part, _ in last.new] == [37, 38]


def test_a_view_that_leaves_out_the_earlier_rows_reads_the_same(path):
    ledger = Ledger(path)
    chat(ledger, 12)
    since = ledger.frame()["ts"].iloc[10].to_pydatetime()
    assert len(ledger.since(since).explain(-1).growth.turn.parts) == 23


def test_forks_trims_and_other_conversations_refer_to_the_row_they_share_most_with(path):
    ledger = Ledger(path)
    messages = chat(ledger, 8)
    chat(ledger, 2, messages=[*messages[:6]])
    chat(ledger, 3, name="other")
    chat(ledger, 2, messages=messages[4:])
    with ledger._store.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT id, prompt FROM claude_nb_attempts ORDER BY ts").all()
    whole = resolve(rows)
    assert [len(parts) for parts in whole.values()] == [*range(1, 17, 2), 7, 9, 1, 3, 5, 13, 15]


def test_older_rows_that_are_whole_are_read_as_before(path):
    ledger = Ledger(path)
    chat(ledger, 6)
    before = [ledger.explain(number).growth for number in range(6)]
    with ledger._store.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT id, prompt FROM claude_nb_attempts").all()
        for row_id, parts in resolve(rows).items():
            update = "UPDATE claude_nb_attempts SET prompt = ? WHERE id = ?"
            connection.exec_driver_sql(update, (json.dumps(parts), row_id))
    assert all(prompt.startswith("[") for prompt in stored(path))
    assert [ledger.explain(number).growth for number in range(6)] == before


def test_a_file_begun_anew_refers_to_no_row_of_the_old_one(path):
    ledger = Ledger(path)
    messages = chat(ledger, 8)
    for file in path.parent.glob("spend.db*"):
        os.unlink(file)  # noqa: PTH108 - as a reader would
    chat(ledger, 3, messages=messages)
    assert len(ledger.explain(-1).growth.turn.parts) == 21


def test_a_row_whose_base_is_lost_is_explained_without_its_parts(path):
    ledger = Ledger(path)
    chat(ledger, 8)
    with ledger._store.transaction() as connection:
        first = "DELETE FROM claude_nb_attempts WHERE id = (SELECT id FROM claude_nb_attempts ORDER BY ts LIMIT 4)"
        connection.exec_driver_sql(first.replace("id = (", "id IN ("))
    assert ledger.explain(-1).growth.turn.parts == ()
    assert "100 tokens of prompt" in str(ledger.explain(-1))
    assert ledger.leaks("c") is not None


ROLES = st.sampled_from(["user", "assistant"])
PART = st.builds(Part, st.integers(0, 3), ROLES, st.just("text"), st.text("ab", max_size=1), st.just(9))
PARTS = st.lists(PART, max_size=14)


@settings(max_examples=200)
@given(
    prompts=st.lists(st.tuples(st.sampled_from(["a", "b", None]), PARTS), max_size=12), cut=st.integers(0, 12)
)
def test_any_prompts_come_back_whole(prompts, cut):
    lineage = Lineage()
    rows = []
    for number, (name, parts) in enumerate(prompts):
        if number == cut:
            lineage.forget()
        rows.append((f"{number:032}", lineage.shorten(f"{number:032}", name, parts)))
    assert resolve(reversed(rows)) == {f"{n:032}": tuple(parts) for n, (_, parts) in enumerate(prompts)}
    assert bases(rows) == set()
    later = rows[cut:]
    assert bases(later) == set()
