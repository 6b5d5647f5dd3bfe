"""The text of prompts is kept where its owner asks for it and nowhere else: once, without keys, until forgotten."""

import sqlite3
from contextlib import closing

import anthropic
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_nb import Chat, connect
from claude_nb.errors import LedgerError
from claude_nb.ledger import Budget, BudgetExceeded, Ledger
from claude_nb.ledger import store as store_module
from claude_nb.ledger.prompt import digest_prompt
from claude_nb.ledger.texts import hide_keys, texts_of

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


@pytest.fixture(autouse=True)
def own_stores(monkeypatch, tmp_path):
    store_module.store_at.cache_clear()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spend.db"


def ask(ledger, content, **more):
    client = connect(mode="sandbox", quiet=True, ledger=ledger)
    messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
    return client.messages.create(model="claude-haiku-5-5", max_tokens=300, messages=messages, **more)


def bytes_of(path):
    """All that lies on the disk beside the ledger, its journal and side folder included."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.rglob("*")) if file.is_file())


def count(ledger):
    with ledger._store.transaction() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM claude_nb_prompts").scalar_one()


def test_no_text_is_stored_unless_asked(path):
    ledger = Ledger(path)
    ask(ledger, "the secret plan", system="a secret rule")
    assert list(ledger.prompt()["text"]) == [None, None]
    assert list(ledger.prompt()["chars"]) == [13, 15]
    ledger._store.close()
    assert b"secret" not in bytes_of(path)


def test_what_was_sent_is_shown_block_by_block(path):
    ledger = Ledger(path, keep_text=True)
    ask(
        ledger,
        [{"role": "user", "content": [IMAGE, {"type": "text", "text": "What is\tthis?\n"}]}],
        system="Short.",
    )
    table = ledger.prompt()
    assert list(table.columns) == ["message", "role", "kind", "chars", "text"]
    assert list(table["kind"]) == ["", "image", "text"]
    assert table["text"].iloc[0] == "Short."
    assert table["text"].iloc[2] == "What is\tthis?\n"
    assert "user text (message 0), 14 characters: 'What is this?'" in str(ledger.explain())


def test_of_images_and_files_only_the_size_is_kept(path):
    """Also inside a tool's result."""
    ledger = Ledger(path, keep_text=True)
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [IMAGE]}
    messages = [
        {"role": "user", "content": [IMAGE, {"type": "text", "text": "Look."}]},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    ask(ledger, messages, tools=[{"name": "look", "input_schema": {"type": "object"}}])
    ledger._store.close()
    assert PIXEL.encode() not in bytes_of(path)
    assert f"{len(PIXEL)} characters of base64" in ledger.prompt()["text"].iloc[-1]


def test_a_block_that_is_sent_again_and_again_is_stored_once(path):
    ledger = Ledger(path, keep_text=True)
    chat = Chat(client=connect(mode="sandbox", quiet=True, ledger=ledger), system="Be brief.", display=False)
    for number in range(12):
        chat(f"Question {number}")
    sent = ledger.prompt()
    assert sent["text"].notna().all()
    assert [text for text in sent["text"] if text.startswith("Question")] == [
        f"Question {n}" for n in range(12)
    ]
    assert count(ledger) == sent["text"].nunique()


def test_keys_are_left_out_of_what_is_kept(path, key):
    ledger = Ledger(path, keep_text=True)
    ask(ledger, f"My key is {key}, and Authorization: Bearer abc.def.0123456789", system=f"key={key}")
    ledger._store.close()
    assert key.encode() not in bytes_of(path)
    assert b"abc.def" not in bytes_of(path)
    assert ledger.prompt()["text"].iloc[-1] == "My key is [key], and Authorization: [key]"


def test_forgotten_text_is_gone_from_the_disk_and_the_rows_stay(path):
    ledger = Ledger(path, keep_text=True)
    ask(ledger, "the secret plan")
    assert ledger.forget_text() == 1
    assert list(ledger.prompt()["text"]) == [None]
    assert ledger.total(simulated=True).calls == 1
    assert b"secret" not in bytes_of(path)
    ask(ledger, "the secret plan")
    assert list(ledger.prompt()["text"]) == ["the secret plan"]


def test_text_that_another_process_had_forgotten_is_kept_again(path):
    ledger = Ledger(path, keep_text=True)
    ask(ledger, "Hello")
    store_module.store_at.cache_clear()
    assert Ledger(path).forget_text() == 1
    ask(ledger, "Hello")
    ask(Ledger(path), "not kept")
    assert ledger.prompt(1)["text"].tolist() == ["Hello"]
    assert ledger.prompt(2)["text"].tolist() == [None]


def test_a_ledger_that_keeps_none_beside_one_that_does_keeps_none(path):
    """Two clients on one file: what is kept is the choice of the ledger that metered the call."""
    keeps, plain = Ledger(path, keep_text=True), Ledger(path)
    ask(keeps, "open words")
    ask(plain, "secret words")
    assert list(plain.prompt(0)["text"]) == ["open words"]
    assert list(keeps.prompt(1)["text"]) == [None]


def test_text_waits_with_its_row_while_the_database_is_away(path):
    path.mkdir()  # a folder where the file should be
    ledger = Ledger(path, keep_text=True)
    with pytest.warns(RuntimeWarning, match="could not record"):
        ask(ledger, "Hello")
    path.rmdir()
    store_module.store_at.cache_clear()
    assert list(Ledger(path).prompt()["text"]) == ["Hello"]


def test_a_file_begun_anew_gets_every_text_again(path):
    ledger = Ledger(path, keep_text=True)
    ask(ledger, "Hello")
    for file in path.parent.glob("spend.db*"):
        file.unlink()
    ask(ledger, "Hello")
    assert list(ledger.prompt()["text"]) == ["Hello"]


def test_whether_to_keep_text_is_no_matter_of_guessing(path):
    with pytest.raises(LedgerError, match="True or False"):
        Ledger(path, keep_text="no")


def test_a_refused_call_was_not_sent_and_keeps_no_text(path):
    ledger = Ledger(path, keep_text=True)
    with Budget(0.000001, ledger=ledger, per="call"), pytest.raises(BudgetExceeded):
        ask(ledger, "too dear")
    assert count(ledger) == 0


def test_text_that_is_forgotten_while_its_call_is_under_way_stays_forgotten(path):
    ledger = Ledger(path, keep_text=True)
    client = connect(mode="sandbox", quiet=True, ledger=ledger)
    asked = [{"role": "user", "content": "the secret plan"}]
    with client.messages.stream(model="claude-haiku-5-5", max_tokens=300, messages=asked) as stream:
        assert ledger.forget_text() == 1
        stream.until_done()
    assert list(ledger.prompt()["text"]) == [None]


def test_a_journal_that_another_reader_holds_open_is_told(path):
    ledger = Ledger(path, keep_text=True)
    ask(ledger, "the secret plan")
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM claude_nb_prompts").fetchall()
        with pytest.raises(LedgerError, match=r"then type ledger\.forget_text\(\) again"):
            ledger.forget_text()
    ledger.forget_text()
    assert b"secret" not in bytes_of(path)


def test_a_part_of_a_ledger_forgets_nothing(path):
    ledger = Ledger(path, keep_text=True)
    ask(ledger, "Hello")
    for part in (ledger.where(user="ada"), ledger.since("1d")):
        with pytest.raises(LedgerError, match="only the whole ledger"):
            part.forget_text()
    assert list(ledger.prompt()["text"]) == ["Hello"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("A risk-assessment of the task-oriented desk-research plan", True),
        ("the bearer of bad news was the messenger himself", True),
        ("sk-learn, sk-ipped-and-forgotten-words", True),
        ("AKIAIOSFODNN7EXAMPLE", False),
        ("key=sk-ant-oat-NO-FIGURES-IN-IT", False),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", False),
        ("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc", False),
    ],
)
def test_words_that_only_look_a_little_like_keys_stay(text, kept):
    assert (hide_keys(text) == text) is kept


def test_an_async_client_keeps_text_as_well(path, run):
    ledger = Ledger(path, keep_text=True)
    reply = {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "content": []}
    reply |= {
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=reply))

    async def scenario():
        client = anthropic.AsyncAnthropic(api_key="x", http_client=httpx2.AsyncClient(transport=transport))
        messages = [{"role": "user", "content": "Hello"}]
        await ledger.meter(client).messages.create(model="claude-haiku-5-5", max_tokens=9, messages=messages)

    run(scenario())
    assert list(ledger.prompt()["text"]) == ["Hello"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "tool_result", "x"])}, optional={"text": JSON}
)
BODY = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries({"role": JSON, "content": JSON | st.lists(BLOCK)}), max_size=4
        )
    },
    optional={"system": JSON, "tools": JSON},
)


@settings(max_examples=300)
@given(BODY)
def test_any_request_has_a_storable_text_for_each_of_its_parts(body):
    texts = texts_of(body)
    assert texts.keys() == {part.digest for part in digest_prompt(body)}
    assert all("\0" not in text and text.encode() for text in texts.values() if text)
