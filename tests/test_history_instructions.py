"""Late instructions, compaction on demand, and conversations that come from the SDK's own parameters."""

import anthropic
import pytest
from test_history import CALL, THINKING, message, sent, talk, text

from claude_nb import History, Sandbox
from claude_nb.errors import HistoryError, PromptError
from claude_nb.trim import keep_last, server_compaction

TAKES_NONE = "claude-sonnet-5"
SUMMARY = {"type": "compaction", "content": "They said hello.", "signature": "sealed"}


def compacted(block=SUMMARY) -> dict:
    return {"role": "assistant", "content": [block], "stop_reason": "compaction", "model": "claude-haiku-5-5"}


@pytest.fixture
def client() -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="sandbox", http_client=anthropic.DefaultHttpxClient(transport=Sandbox()), max_retries=0
    )


class TestInstructions:
    def test_one_given_between_turns_stands_behind_the_next_prompt(self):
        history = talk("one", message(text("1")))
        history.instruct("Count in French.")
        history.user("two")
        assert sent(history)[2:] == [("user", ["two"]), ("system", ["Count in French."])]

    def test_one_given_while_a_tool_waits_stands_behind_its_result(self):
        history = talk("sum", message(CALL, stop_reason="tool_use"))
        history.instruct("Be brief.")
        history.results({"toolu_1": "2"})
        assert sent(history)[1:] == [
            ("assistant", ["tool_use"]),
            ("user", ["tool_result"]),
            ("system", ["Be brief."]),
        ]

    def test_where_it_stands_once_it_stays(self, client):
        history = talk("one")
        history.instruct("Be brief.")
        before = history.request()["messages"]
        history.reply(client.messages.create(model="claude-haiku-5-5", max_tokens=900, **history.request()))
        history.user("two")
        assert history.request()["messages"][:2] == before
        client.messages.count_tokens(model="claude-haiku-5-5", **history.request())

    def test_a_model_without_system_messages_is_told_in_words(self, client):
        history = talk("one")
        history.instruct("Be brief.")
        request = history.request(model=TAKES_NONE)
        assert [block["text"] for block in request["messages"][0]["content"]] == [
            "one",
            "[Instruction of the operator: Be brief.]",
        ]
        client.messages.count_tokens(model=TAKES_NONE, **request)

    def test_no_policy_leaves_it_out(self):
        history = talk("one", trim=keep_last(1, step=0))
        history.instruct("Be brief.")
        history.reply(message(THINKING, text("1")))
        history.user("two")
        history.request()
        assert history.report.left_out == 2
        assert sent(history) == [("user", ["two"]), ("system", ["Be brief."])]

    def test_a_summary_keeps_it(self):
        history = talk("one", message(text("1")))
        history.instruct("Be brief.")
        history.user("two")
        history.compact("They counted.", 2)
        assert sent(history) == [("user", ["They counted.", "two"]), ("system", ["Be brief."])]

    def test_undo_takes_back_an_instruction_alone(self):
        history = talk("one", message(text("1")))
        history.instruct("Be brief.")
        assert history.undo() == "Be brief."
        assert len(history) == 2
        assert history.undo() == "one"

    @pytest.mark.parametrize("wrong", ["", " ", 3, [{"type": "image"}], [text("")]])
    def test_only_text_instructs(self, wrong):
        with pytest.raises(PromptError, match="the instruction"):
            History().instruct(wrong)

    def test_while_the_server_runs_a_tool_it_takes_none(self):
        history = talk("find")
        search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
        history.reply(message(search, stop_reason="pause_turn"))
        with pytest.raises(HistoryError, match="still running web_search"):
            history.instruct("Be brief.")

    def test_it_is_saved_and_imported(self, tmp_path):
        history = talk("one")
        history.instruct("Be brief.")
        assert History.load(history.save(tmp_path / "talk.jsonl")).messages == history.messages
        assert History.from_messages(history.request()["messages"]).messages == history.messages

    def test_one_out_of_place_is_told_and_put_right(self):
        messages = [
            {"role": "user", "content": "one"},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "two"},
        ]
        with pytest.raises(
            HistoryError, match="message 1 has the role 'system' and a message of the user behind it"
        ):
            History.from_messages(messages)
        assert sent(History.repair(messages).history) == [("user", ["one", "two"]), ("system", ["Be brief."])]


class TestCompactionOnDemand:
    def test_it_asks_for_the_finished_turns_and_stands_in_their_place(self, client):
        history = talk("one", message(THINKING, text("1")), "two")
        request = history.compaction("Keep names.")
        assert [one["role"] for one in request["messages"]] == ["user", "assistant"]
        assert request["compaction"] == {"type": "summarize", "instructions": "Keep names."}
        history.reply(compacted())
        assert sent(history) == [("assistant", ["compaction"]), ("user", ["two"])]
        assert history.request()["betas"] == ["compact-2026-09-04"]
        client.beta.messages.count_tokens(model="claude-haiku-5-5", **history.request())

    def test_the_old_branch_has_everything(self):
        history = talk("one", message(text("1")))
        history.compaction()
        assert history.reply(compacted()) == 0
        with pytest.raises(HistoryError, match="summarised"):
            history.undo()
        with pytest.raises(HistoryError, match="summarised"):
            history.retract()
        history.switch(history.branches()[0])
        assert [entry.text for entry in history.entries] == ["one", "1"]

    def test_what_was_said_in_the_meantime_and_pinned_turns_follow_it(self):
        history = talk("name", message(text("Ada")), "one", message(text("1")))
        history.pin(0)
        history.compaction()
        history.user("two")
        history.reply(message(text("2")))
        history.reply(compacted())
        history.user("three")
        assert [words for _, words in sent(history)] == [
            ["compaction"],
            ["name"],
            ["Ada"],
            ["two"],
            ["2"],
            ["three"],
        ]

    def test_policies_keep_it(self):
        history = talk("one", message(text("1")), trim=keep_last(1, step=0))
        history.compaction()
        history.reply(compacted())
        for number in range(4):
            history.user(f"more {number}")
            history.request()
            history.reply(message(text("ok")))
        history.user("last")
        assert sent(history) == [("assistant", ["compaction"]), ("user", ["last"])]

    def test_a_failed_one_changes_nothing(self):
        history = talk("one", message(text("1")))
        history.compaction()
        with pytest.warns(UserWarning, match="gave no summary"):
            history.reply(compacted({**SUMMARY, "content": None}))
        assert [entry.text for entry in history.entries] == ["one", "1"]

    def test_a_reply_that_is_no_summary_says_so(self):
        history = talk("one", message(text("1")))
        history.compaction()
        with pytest.raises(HistoryError, match="holds no summary: it ended with 'end_turn'"):
            history.reply(message(text("an ordinary reply")))
        assert len(history) == 2

    def test_it_is_refused_beside_compaction_at_a_threshold(self):
        history = talk("one", message(text("1")))
        history.compaction()
        history.reply(compacted())
        history.user("two")
        with pytest.raises(HistoryError, match="no server_compaction"):
            history.request(trim=server_compaction())

    def test_one_that_the_api_began_with_a_pause_is_sent_back_as_it_is(self):
        history = talk("one")
        history.reply(compacted())
        assert sent(history) == [("user", ["one"]), ("assistant", ["compaction"])]
        assert history.request()["betas"] == ["compact-2026-01-12"]

    @pytest.mark.parametrize("turns", [[], ["one"], ["sum", message(CALL, stop_reason="tool_use")]])
    def test_it_needs_a_finished_turn(self, turns):
        with pytest.raises(HistoryError, match=r"finished turn|tool loop is open"):
            talk(*turns).compaction()

    def test_it_is_imported(self):
        messages = [
            {"role": "assistant", "content": [SUMMARY]},
            {"role": "user", "content": [text("two")]},
        ]
        assert History.from_messages(messages).request()["messages"] == messages


class TestParameters:
    def test_what_a_call_takes_comes_back_as_it_was(self):
        params = {
            "model": "claude-haiku-5-5",
            "max_tokens": 100,
            "system": "Count.",
            "tools": [{"name": "add", "input_schema": {"type": "object"}}],
            "messages": [
                {"role": "user", "content": [text("one")]},
                {"role": "assistant", "content": [THINKING, text("1")]},
            ],
            "thinking": {"type": "adaptive"},
        }
        history = History.from_params(params)
        assert history.to_params() == params
        assert history.params == {
            "model": "claude-haiku-5-5",
            "max_tokens": 100,
            "thinking": {"type": "adaptive"},
        }

    def test_a_thread_of_the_sdk_goes_in_and_out(self, client):
        @anthropic.beta_tool
        def add(a: int, b: int) -> str:
            """Add two numbers.

            Args:
                a: One.
                b: The other.
            """
            return str(a + b)

        thread = client.beta.messages.thread(
            model="claude-haiku-5-5", max_tokens=500, system="Count.", tools=[add]
        )
        thread.append({"role": "user", "content": "one"})
        history = History.from_params(thread)
        assert history.messages == [{"role": "user", "content": [text("one")]}]
        assert history.tools[0]["name"] == "add"
        again = client.beta.messages.thread(**history.to_params())
        assert list(again.messages) == history.messages
        history.reply(client.messages.create(model="claude-haiku-5-5", max_tokens=500, **history.request()))

    def test_they_are_saved_with_the_conversation(self, tmp_path):
        history = History.from_params({"model": "m", "messages": [{"role": "user", "content": "x"}]})
        assert History.load(history.save(tmp_path / "talk.jsonl")).params == {"model": "m"}
        assert history.fork().params == {"model": "m"}

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            (3, "not int"),
            ({}, 'no "messages"'),
            ({"messages": [{"role": "human", "content": "x"}]}, "message 0 has the role"),
            (
                {"messages": [{"role": "user", "content": "x"}], "output_format": int},
                "parameter output_format",
            ),
        ],
    )
    def test_what_are_none_is_named(self, wrong, says):
        with pytest.raises(HistoryError, match=says):
            History.from_params(wrong)


class TestSettingsAreKept:
    def test_policies_and_rerun_come_back(self, tmp_path):
        history = talk("one", rerun="append", trim=[keep_last(3), server_compaction()])
        back = History.load(history.save(tmp_path / "talk.jsonl"))
        assert back.trim == history.trim
        assert back.to_dict() == history.to_dict()

    def test_a_policy_set_later_is_autosaved(self, tmp_path):
        history = talk("one")
        history.autosave(tmp_path / "talk.jsonl")
        history.trim = keep_last(2)
        assert History.load(tmp_path / "talk.jsonl").trim == (keep_last(2),)

    def test_one_with_code_of_its_own_is_told(self, tmp_path):
        class Mine:
            def cut(self, talk, before):
                return before

            def __repr__(self):
                return "Mine()"

        history = talk("one", trim=Mine())
        with pytest.warns(UserWarning, match=r"Mine\(\) holds a client or code of its own"):
            assert History.load(history.save(tmp_path / "talk.jsonl")).trim == ()


def test_after_an_empty_reply_to_a_running_server_tool_the_same_can_be_asked_again():
    """Neither words nor a reply fitted there: only the server can go on."""
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    history = talk("find", message(search, CALL, stop_reason="tool_use"))
    history.results({"toolu_1": "2"})
    before = history.request()["messages"]
    history.reply(message(stop_reason="max_tokens"))
    assert history.request()["messages"] == before
    history.reply(message(text("found")))
    history.user("thanks")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda history: history.pin("a"),
        lambda history: history.pin(True),
        lambda history: history.edit("a", "x"),
        lambda history: history.edit(None, "x"),
        lambda history: history.fork("a"),
        lambda history: history.rewind("a"),
        lambda history: history.switch("a"),
        lambda history: history.compact("x", "a"),
        lambda history: history.find(5),
        lambda history: history.diff("a"),
        lambda history: history.tokens("client"),
        lambda history: history.save("/"),
        lambda history: History(tools=5),
        lambda history: History(tools={"name": "add"}),
        lambda history: History(tools="add"),
        lambda history: History.from_dict({}),
        lambda history: History.from_dict(3),
    ],
)
def test_what_makes_no_sense_is_one_error_at_the_call(wrong):
    history = talk("one")
    before = history.to_dict()
    with pytest.raises(HistoryError) as error:
        wrong(history)
    assert "/." not in str(error.value)  # no temporary name
    assert history.to_dict() == before
