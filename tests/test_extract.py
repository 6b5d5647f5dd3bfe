import asyncio
import enum
import json
import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

import anthropic
import pandas as pd
import pytest
from annotated_types import Ge
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from replay import Replay
from test_stream import END, OPEN, START, STOP, delta, done
from typing_extensions import TypedDict

from claude_nb import Chat, Sandbox, connect, connect_async
from claude_nb.bar import Progress
from claude_nb.errors import ClaudeNbError, PromptError
from claude_nb.extract import aextract_many, extract_many, storable
from claude_nb.sandbox import faults
from claude_nb.shape import ExtractionError, RefusedReply, Shape
from claude_nb.steps import IncompleteReply


class Person(BaseModel):
    name: str
    born: int = Field(ge=1000)


@dataclass
class City:
    name: str
    people: int


class Book(TypedDict):
    title: str


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Error(BaseModel):
    error: str


def chat_of(*replies, **settings) -> tuple[Chat, Sandbox]:
    sandbox = Sandbox(replies=replies, **settings)
    return Chat(connect(sandbox=sandbox, quiet=True), display=False), sandbox


ADA = '{"name": "Ada", "born": 1815}'


class TestOneValue:
    def test_a_model_is_filled_from_the_prompt_and_checked(self):
        chat, sandbox = chat_of()
        assert chat.extract("Ada Lovelace was born in 1815.", Person) == Person(
            name="Ada Lovelace", born=1815
        )
        assert sandbox.requests[0]["output_config"]["format"]["type"] == "json_schema"

    @pytest.mark.parametrize(
        ("kind", "reply", "value"),
        [
            (City, '{"name": "Rome", "people": 3}', City("Rome", 3)),
            (Book, '{"title": "Emma"}', {"title": "Emma"}),
            (Mood, '{"value": "bad"}', Mood.BAD),
            (Literal["a", "b"], '{"value": "b"}', "b"),
            (int, '{"value": 3}', 3),
            (list[Person], f'{{"value": [{ADA}]}}', [Person(name="Ada", born=1815)]),
            (Person | None, '{"value": null}', None),
            (list[Annotated[int, Ge(0)]], '{"value": [1]}', [1]),
        ],
    )
    def test_other_types_are_accepted_by_the_api_and_given_back(self, kind, reply, value):
        chat, _ = chat_of(reply)
        assert chat.extract("x", kind) == value
        assert chat_of()[0].extract("Emma 1815", kind) is not NotImplemented  # the sandbox takes the schema

    def test_the_async_chat_does_the_same(self, run):
        chat = Chat(connect_async(sandbox=Sandbox(replies=[ADA]), quiet=True), display=False)
        assert run(chat.aextract("x", Person)).name == "Ada"

    def test_other_output_settings_stay(self):
        chat, sandbox = chat_of(ADA)
        chat.extract("x", Person, output_config={"effort": "low"})
        assert sandbox.requests[0]["output_config"]["effort"] == "low"

    def test_truncation_is_reported_as_such(self):
        chat, _ = chat_of({"content": [{"type": "text", "text": '{"name": "A'}], "stop_reason": "max_tokens"})
        with pytest.raises(IncompleteReply, match="nothing was extracted: cut off at max_tokens") as caught:
            chat.extract("x", Person)
        assert caught.value.message.stop_reason == "max_tokens"
        assert chat.send("Go on.").stop_reason == "end_turn"

    def test_even_a_truncated_reply_that_would_parse_is_not_taken(self):
        chat, _ = chat_of({"content": [{"type": "text", "text": ADA}], "stop_reason": "max_tokens"})
        with pytest.raises(IncompleteReply):
            chat.extract("x", Person)

    def test_retry_asks_again_with_more_room(self):
        chat, sandbox = chat_of(
            {"content": [{"type": "text", "text": "{"}], "stop_reason": "max_tokens"}, ADA
        )
        assert chat.extract("x", Person, max_tokens=1000, on_truncation="retry").name == "Ada"
        assert [body["max_tokens"] for body in sandbox.requests] == [1000, 2000]

    def test_a_refusal_is_reported_as_such_and_can_fall_back(self):
        chat, _ = chat_of(faults=[faults.refusal(category="bio", at=1)])
        with pytest.raises(RefusedReply, match=r"refused \(bio\)"):
            chat.extract("x", Person)
        chat, _ = chat_of(faults=[faults.refusal(at=1)])
        assert isinstance(chat.extract("Ada 1815", Person, fallback="claude-opus-4-8"), Person)

    def test_an_interruption_is_reported_as_such(self):
        chat, _ = chat_of(faults=[faults.truncated(after=6)])
        with pytest.raises(IncompleteReply, match="interrupted"):
            chat.extract("x", Person)

    def test_a_value_outside_its_bounds_names_the_field(self):
        chat, _ = chat_of('{"name": "Ada", "born": 15}')
        with pytest.raises(
            ExtractionError, match="does not fit Person: born: Input should be greater"
        ) as caught:
            chat.extract("x", Person)
        assert caught.value.message.stop_reason == "end_turn"

    def test_a_server_that_answers_in_prose_is_named_as_the_cause(self):
        chat = Chat(Replay(START, OPEN, delta("Ada, 1815."), END, done(), STOP).client(), display=False)
        with pytest.raises(ExtractionError, match="may not support structured outputs"):
            chat.extract("x", Person)

    def test_a_fenced_answer_of_another_server_is_taken(self):
        fenced = f"```json\n{ADA}\n```"
        chat = Chat(Replay(START, OPEN, delta(fenced), END, done(), STOP).client(), display=False)
        assert chat.extract("x", Person).name == "Ada"

    def test_swapped_arguments_are_recognised(self):
        chat, sandbox = chat_of()
        for kind in (Person, list[Person], Literal["a"], int | None, Annotated[int, Ge(1)]):
            with pytest.raises(PromptError, match=r"shape is str, not a type.*chat\.extract\(text, Person\)"):
                chat.extract(kind, "Kettle leaked")
        with pytest.raises(
            PromptError, match=r"shape is DataFrame, not a type.*extract_many\(data, Person\)"
        ):
            extract_many(Person, pd.DataFrame({"t": ["a"]}), client=chat.client)
        with pytest.raises(PromptError, match="the prompt is"):
            chat.extract(Person, Person)
        assert not sandbox.requests

    @pytest.mark.parametrize("kind", [dict[str, int], dict, object(), "Nobody", lambda x: x])
    def test_a_type_that_cannot_be_described_is_one_clear_error_and_nothing_is_sent(self, kind):
        chat, sandbox = chat_of()
        with pytest.raises(PromptError):
            chat.extract("x", kind)
        assert not sandbox.requests
        assert len(chat.history) == 0

    def test_half_an_object_is_not_continued(self):
        with pytest.raises(PromptError, match="'raise' or 'retry'"):
            chat_of()[0].extract("x", Person, on_truncation="continue")

    @given(st.text(max_size=40), st.integers(1000, 3000))
    def test_what_was_written_is_read(self, name, born):
        message = anthropic.types.Message.construct(
            content=[anthropic.types.TextBlock(type="text", text=json.dumps({"name": name, "born": born}))],
            stop_reason="end_turn",
            model="m",
            usage=None,
        )
        assert Shape(Person).read(message) == Person(name=name, born=born)


def many(data, shape=Person, sandbox=None, **options) -> pd.DataFrame:
    return extract_many(
        data, shape, client=connect(sandbox=sandbox or Sandbox(), quiet=True), quiet=True, **options
    )


class TestManyRows:
    def test_a_frame_gives_a_frame_with_its_index(self):
        data = pd.DataFrame({"text": ["Ada 1815", "Alan 1912"], "n": [1, 2]}, index=["a", "b"])
        found = many(data, column="text")
        assert list(found.index) == ["a", "b"]
        assert list(found.columns[:3]) == ["name", "born", "error"]
        assert list(found["born"]) == [1815, 1912]
        assert found["error"].isna().all()
        assert float(found.attrs["cost_usd"]) == pytest.approx(found["cost_usd"].sum())
        assert data.join(found)["name"].tolist() == ["Ada", "Alan"]

    def test_a_list_and_a_series_do_too(self):
        assert many(["Ada 1815"])["name"].tolist() == ["Ada"]
        assert many(pd.Series(["Ada 1815"], index=[7])).index.tolist() == [7]

    def test_a_plain_type_gives_one_column(self):
        assert many(["good", "bad"], Mood)["value"].tolist() == ["good", "bad"]

    def test_each_row_has_its_own_error(self):
        def answer(body):
            asked = body["messages"][0]["content"][0]["text"]
            if "cut" in asked:
                return {"content": [{"type": "text", "text": "{"}], "stop_reason": "max_tokens"}
            return '{"name": "A", "born": 5}' if "old" in asked else ADA

        found = many(["fine", "cut", "old", "", None], sandbox=Sandbox(replies=answer))
        assert found["name"].tolist()[0] == "Ada"
        errors = found["error"].tolist()
        assert "cut off at max_tokens" in errors[1]
        assert "born: Input should be" in errors[2]
        assert errors[3:] == ["empty", "empty"]
        assert found.attrs["errors"] == 4

    def test_whole_numbers_stay_whole_where_rows_failed(self):
        found = many(["Ada 1815", None], sandbox=Sandbox(replies=[ADA]))
        assert found["born"].tolist() == [1815, pd.NA]
        assert str(found["output_tokens"].dtype) == "Int64"
        assert found["cost_usd"].dtype == "float64"
        assert many(["Ada 1815"])["born"].dtype == "int64"

    def test_a_failed_request_stands_in_its_row(self):
        sandbox = Sandbox(faults=[faults.server_error(at=(1, 2, 3))])
        found = many(["Ada 1815", "Alan 1912"], sandbox=sandbox, at_once=1)
        assert "Internal server error" in found["error"][0]
        assert found["born"][1] == 1912

    def test_what_no_row_can_survive_is_raised_at_once(self):
        sandbox = Sandbox()
        with pytest.raises(anthropic.NotFoundError):
            many(["x"] * 30, sandbox=sandbox, model="claude-tomorrow-9", at_once=1)
        assert len(sandbox.requests) < 30

    def test_the_system_prompt_says_what_to_do(self):
        sandbox = Sandbox()
        many(["Ada"], sandbox=sandbox, system="Find the person.")
        assert sandbox.requests[0]["system"] == "Find the person."

    def test_a_field_of_the_same_name_as_ours_keeps_it(self):
        found = many(["x"], Error, Sandbox(replies=['{"error": "none"}']))
        assert found["error"].tolist() == ["none"]
        assert found["error_"].isna().all()

    def test_an_interrupt_keeps_what_is_done(self):
        def answer(body):
            if "stop" in body["messages"][0]["content"][0]["text"]:
                raise KeyboardInterrupt
            return ADA

        with pytest.warns(UserWarning, match="interrupted"):
            found = many(["a", "b", "stop", "c", "d"], sandbox=Sandbox(replies=answer), at_once=1)
        assert found["name"].tolist()[:2] == ["Ada", "Ada"]
        assert found["error"].tolist()[3:] == ["no reply", "no reply"]

    @pytest.mark.parametrize("data", ["text", 5, {"a": 1}, pd.DataFrame({"a": ["x"], "b": ["y"]})])
    def test_data_that_cannot_be_read_is_one_clear_error(self, data):
        with pytest.raises(PromptError):
            many(data)

    def test_one_line_gives_errors_and_price(self, capsys):
        extract_many(["Ada 1815", ""], Person, client=connect(mode="sandbox", quiet=True))
        assert "2 rows, 1 with errors, $" in (said := capsys.readouterr().out)
        assert "if it were live" in said

    def test_no_rows_give_an_empty_frame(self):
        assert len(many([])) == 0

    def test_async_does_the_same(self, run):
        client = connect_async(mode="sandbox", quiet=True)
        found = run(aextract_many(["Ada 1815", "Alan 1912"], Person, client=client, quiet=True))
        assert found["born"].tolist() == [1815, 1912]


class TestBatches:
    DATA = ("Ada 1815", "Alan 1912", "")

    def test_a_batch_gives_the_same_frame_at_half_the_price(self):
        found, direct = many(self.DATA, batch=True, poll=0), many(self.DATA)
        assert found["born"].tolist()[:2] == [1815, 1912]
        assert found["error"].tolist()[2] == "empty"
        assert found.attrs["cost_usd"] * 2 == direct.attrs["cost_usd"]
        assert found.attrs["simulated"]

    def test_it_is_collected_by_its_id_from_another_kernel(self, capsys):
        sandbox = Sandbox()
        client = connect(sandbox=sandbox, quiet=True)
        extract_many(self.DATA, Person, client=client, batch=True, poll=0)
        batch_id = client.messages.batches.list().data[0].id
        assert f"batch {batch_id}, 2 rows" in capsys.readouterr().out
        again = many(self.DATA, sandbox=sandbox, batch=batch_id, poll=0)
        assert again["born"].tolist()[:2] == [1815, 1912]
        assert len(client.messages.batches.list().data) == 1

    def test_results_of_other_data_are_not_taken(self):
        sandbox = Sandbox()
        many(self.DATA, sandbox=sandbox, batch=True, poll=0)
        batch_id = connect(sandbox=sandbox, quiet=True).messages.batches.list().data[0].id
        with pytest.raises(PromptError, match="made from other rows"):
            many(["Grace 1906"], sandbox=sandbox, batch=batch_id, poll=0)

    def test_an_interrupt_names_the_id_to_collect_by(self, monkeypatch):
        def stop(_):
            raise KeyboardInterrupt

        monkeypatch.setattr("time.sleep", stop)
        with pytest.raises(KeyboardInterrupt) as caught:
            many(self.DATA, batch=True)
        assert "batch='msgbatch_" in caught.value.__notes__[0]

    def test_rows_of_a_cancelled_batch_say_so_and_the_others_are_kept(self, monkeypatch):
        sandbox = Sandbox()
        client = connect(sandbox=sandbox, quiet=True)
        monkeypatch.setattr("time.sleep", lambda _: client.messages.batches.cancel(batch_id()))

        def batch_id():
            return client.messages.batches.list().data[0].id

        found = many(self.DATA[:2], sandbox=sandbox, batch=True)
        assert sorted(found["error"].fillna("").tolist()) == ["", "canceled"]

    def test_a_bad_row_has_its_own_error(self):
        found = many(["Ada 1815", "Alan 1912"], batch=True, poll=0, max_tokens=-1)
        assert found["error"].str.contains("invalid_request_error").all()

    def test_many_rows_are_sent_in_parts(self, monkeypatch):
        monkeypatch.setattr("claude_nb.batch.MOST_REQUESTS", 2)
        sandbox = Sandbox()
        found = many([f"Ada {year}" for year in range(1800, 1805)], sandbox=sandbox, batch=True, poll=0)
        assert found["born"].tolist() == list(range(1800, 1805))
        assert len(connect(sandbox=sandbox, quiet=True).messages.batches.list().data) == 3


def test_every_kind_of_missing_value_is_an_empty_row():
    client = connect(sandbox=Sandbox(), quiet=True, ledger=False)
    rows = extract_many([None, float("nan"), pd.NA, pd.NaT, " "], Person, client=client, quiet=True)
    assert list(rows["error"]) == ["empty"] * 5


class Node(BaseModel):
    value: int
    children: list["Node"]


class Tagged(BaseModel):
    name: str
    tags: list[str]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (tuple[int, str], "tuple"),
        (list[tuple[int, int]], "tuple"),
        (Node, "Node holds itself"),
        (list[Node], "Node holds itself"),
        (dict[str, int], "free keys"),
    ],
)
def test_what_the_api_cannot_fill_is_refused_before_anything_is_sent(kind, says):
    chat, sandbox = chat_of()
    with pytest.raises(PromptError, match=says):
        chat.extract("x", kind)
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("fault", "says", "not_said"),
    [
        (faults.refusal(), "Rephrase the prompt, or ask another model", "conversation"),
        (faults.context_window(), "Send less", "history.undo"),
        (faults.truncated(), "Send it again", "continue"),
    ],
)
def test_the_remedy_is_one_for_an_extraction(fault, says, not_said):
    chat, _ = chat_of(faults=[fault])
    with pytest.raises(IncompleteReply, match=says) as caught:
        chat.extract("x", Person)
    assert not_said not in str(caught.value)


class TestTheTable:
    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"column": "x"}, r"no column 'x'. Say which to read, as column='…'; there are 't', 'u'\."),
            ({}, r"several columns. Say which to read, as column='…'; there are 't', 'u'\."),
        ],
    )
    def test_a_column_that_is_missing_is_named_with_those_there_are(self, wrong, says):
        with pytest.raises(PromptError, match=says):
            extract_many(pd.DataFrame({"t": ["a"], "u": ["b"]}), Person, **wrong)

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"at_once": 0}, "at_once is 0"),
            ({"at_once": "4"}, "at_once is '4'"),
            ({"at_once": True}, "at_once"),
            ({"poll": -1}, "poll is -1"),
            ({"client": "sk-x"}, "not a client of the SDK"),
            ({"model": 3}, "model is 3"),
            ({"model": "claude-3-opus-20240229"}, "was retired"),
        ],
    )
    def test_what_cannot_work_is_one_clear_error_at_the_call(self, wrong, says):
        with pytest.raises(ClaudeNbError, match=says):
            extract_many(["a"], Person, **wrong)

    def test_a_client_of_the_other_kind_is_told_what_to_call(self, run):
        with pytest.raises(ClaudeNbError, match="await aextract_many"):
            extract_many(["a"], Person, client=connect_async(mode="sandbox", quiet=True))
        with pytest.raises(ClaudeNbError, match=r"use extract_many\("):
            run(aextract_many(["a"], Person, client=connect(mode="sandbox", quiet=True)))

    def test_an_error_that_every_row_would_meet_is_raised_by_the_async_one_too(self, run):
        with pytest.raises(anthropic.NotFoundError):
            run(
                aextract_many(
                    ["a", "b"],
                    Person,
                    client=connect_async(mode="sandbox", quiet=True),
                    model="claude-tomorrow-9",
                )
            )

    def test_no_rows_give_an_empty_frame_with_its_columns(self, capsys):
        found = extract_many([], Person, client=connect(mode="sandbox", quiet=True))
        assert len(found) == 0
        assert {"error", "stop_reason", "cost_usd"} <= set(found.columns)

    def test_plain_fields_go_to_a_database_as_they_are(self):
        client = connect(sandbox=Sandbox(replies=[ADA, "no json"]), quiet=True)
        found = extract_many(["a", "", "b"], Person, client=client, at_once=1, quiet=True)
        database = sqlite3.connect(":memory:")
        found.to_sql("people", database, index=False)
        assert database.execute("select name, born from people where error is null").fetchall() == [
            ("Ada", 1815)
        ]

    def test_nested_fields_go_there_as_json(self):
        reply = '{"name": "Ada", "tags": ["math", "poetry"]}'
        client = connect(sandbox=Sandbox(replies=[reply]), quiet=True)
        found = extract_many(["a"], Tagged, client=client, quiet=True)
        assert found["tags"][0] == ["math", "poetry"]
        database = sqlite3.connect(":memory:")
        storable(found).to_sql("people", database, index=False)
        ((tags,),) = database.execute("select tags from people").fetchall()
        assert json.loads(tags) == ["math", "poetry"]

    def test_what_a_batch_may_cost_is_said_before_it_is_sent(self, capsys):
        sandbox = Sandbox()
        client = connect(sandbox=sandbox, quiet=True)
        found = extract_many(["Ada 1815", "Alan 1912"], Person, client=client, batch=True, poll=0.01)
        first, second, last = capsys.readouterr().out.splitlines()
        assert first.startswith("claude_nb: 2 rows as a batch, about ")
        assert "at half the price (estimated)" in first
        assert "msgbatch_" in second
        most = float(first.split("$")[1].split()[0])
        assert float(found.attrs["cost_usd"]) <= most
        assert "2 rows, 0 with errors" in last

    def test_an_unknown_batch_is_not_said_to_go_on(self):
        with pytest.raises(anthropic.NotFoundError) as caught:
            extract_many(["a"], Person, client=connect(mode="sandbox", quiet=True), batch="msgbatch_none")
        assert not getattr(caught.value, "__notes__", [])

    def test_a_cancelled_table_sends_nothing_more(self, run):
        sandbox = Sandbox(pace="20 tok/s")

        async def cancelled():
            client = connect_async(sandbox=sandbox, quiet=True)
            task = asyncio.ensure_future(
                aextract_many(["a"] * 9, Person, client=client, at_once=2, quiet=True)
            )
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            sent = len(sandbox.requests)
            await asyncio.sleep(0.3)
            return sent

        assert run(cancelled()) == len(sandbox.requests) == 2


class TestProgress:
    def test_a_terminal_sees_how_far_it_is_and_then_nothing(self, monkeypatch, capsys):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        with Progress(2) as progress:
            progress.step(Decimal("0.5"))
            progress.step(None)
        shown = capsys.readouterr().out
        assert "1 of 2 rows · $0.50" in shown
        assert "2 of 2 rows · unknown" in shown
        assert shown.endswith("\r\033[K")

    @pytest.mark.parametrize("quiet", [True, False])
    def test_a_pipe_sees_nothing(self, capsys, quiet):
        with Progress(1, quiet=quiet) as progress:
            progress.step(Decimal(0))
        assert not capsys.readouterr().out

    def test_a_notebook_has_a_bar_that_leaves_nothing_behind(self, monkeypatch):
        shown = []

        class Handle:
            def update(self, data, *, raw):
                shown.append(data)

        monkeypatch.setattr("claude_nb.bar.in_notebook", lambda: True)
        monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data) or Handle())
        with Progress(2) as progress:
            progress.step(Decimal("0.5"))
            assert progress._bar.value == 1
            assert "1 of 2 rows" in progress._bar.description
        assert list(shown[0]) == ["application/vnd.jupyter.widget-view+json"]
        assert shown[1] == {}
