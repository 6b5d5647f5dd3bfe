import copy
import json

import pytest
from anthropic.types import Message

from claude_nb import History
from claude_nb.errors import HistoryError, PromptError
from claude_nb.history import CUT_NOTE

THINKING = {"type": "thinking", "thinking": "", "signature": "sealed"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
OTHER_CALL = {"type": "tool_use", "id": "toolu_2", "name": "mul", "input": {}}


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def message(*content: dict, stop_reason: str | None = "end_turn", **fields) -> Message:
    usage = {"input_tokens": 10, "output_tokens": 5}
    data = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "usage": usage,
    }
    return Message.construct(
        **{**data, "content": list(content), "stop_reason": stop_reason, **fields}, _fields_set=None
    )


def talk(*turns, **settings) -> History:
    """A history made by alternating prompts and replies."""
    history = History(**settings)
    for turn in turns:
        if isinstance(turn, str):
            history.user(turn)
        else:
            history.reply(turn)
    return history


def sent(history: History) -> list[tuple[str, list[str]]]:
    """What a request would carry: role and block types (text blocks by their words)."""
    return [
        (each["role"], [block.get("text") or block["type"] for block in each["content"]])
        for each in history.request()["messages"]
    ]


def test_a_conversation_is_sent_whole_every_time():
    history = talk("one", message(THINKING, text("1")), "two", system="Count.")
    assert history.request()["system"] == "Count."
    assert sent(history) == [("user", ["one"]), ("assistant", ["thinking", "1"]), ("user", ["two"])]


def test_parts_never_set_are_left_out_of_the_request():
    assert set(talk("hi").request()) == {"messages"}


def test_what_goes_in_and_out_are_copies():
    blocks, tools = [text("hi")], [{"name": "add", "input_schema": {"type": "object"}}]
    history = History(tools=tools)
    history.user(blocks)
    before = copy.deepcopy(history.request())
    blocks[0]["text"] = tools[0]["name"] = "changed"
    history.request()["messages"][0]["content"][0]["text"] = "changed"
    history.messages[0]["content"].clear()
    history.entries[0].content.clear()
    assert history.request() == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ([], "no content blocks"),
        (42, "is int"),
        (None, "is NoneType"),
        (b"bytes", "is bytes"),
        (["words"], "is text and no content block. Pass the text alone"),
        ([5], 'no content block; it takes a dict with a "type"'),
        ([{"text": "x"}], "no content block"),
        ([{"type": "text", "text": " "}], "is empty text"),
        ([{"type": "tool_result", "tool_use_id": "x"}], r"history.results"),
        (message(text("x")), r"history.reply\(message\)"),
    ],
)
def test_a_prompt_the_api_would_refuse_is_refused_at_the_call(content, says):
    history = talk("hi", message(text("hello")))
    with pytest.raises(PromptError, match=says):
        history.user(content)
    assert len(history) == 2


def test_a_reply_needs_a_prompt_before_it():
    with pytest.raises(HistoryError, match="no message this could be the reply to"):
        History().reply(message(text("x")))
    with pytest.raises(HistoryError, match="no message this could be the reply to"):
        talk("hi", message(text("x"))).reply(message(text("again")))


@pytest.mark.parametrize("thing", ["words", 1, None, {"role": "user", "content": []}])
def test_only_a_message_of_the_api_is_a_reply(thing):
    with pytest.raises(HistoryError, match="takes the Message"):
        talk("hi").reply(thing)


def test_a_request_needs_something_to_answer():
    with pytest.raises(HistoryError, match="is empty"):
        History().request()
    with pytest.raises(HistoryError, match="ends with a reply"):
        talk("hi", message(text("x"))).request()


def test_a_paused_turn_is_sent_again_as_it_is():
    history = talk("search", message(text("let me see"), stop_reason="pause_turn"))
    assert sent(history) == [("user", ["search"]), ("assistant", ["let me see"])]
    history.reply(message(text("found")))
    history.user("thanks")
    assert sent(history)[1] == ("assistant", ["let me see", "found"])


class TestToolCalls:
    def test_the_conversation_waits_for_every_result(self):
        history = talk("sum", message(CALL, OTHER_CALL, stop_reason="tool_use"))
        assert history.waiting() == {"toolu_1": "add", "toolu_2": "mul"}
        with pytest.raises(HistoryError, match=r"add \(toolu_1\), mul \(toolu_2\)"):
            history.request()
        with pytest.raises(HistoryError, match="skip_tools"):
            history.user("and?")
        history.results({"toolu_1": "2"})
        assert history.waiting() == {"toolu_2": "mul"}
        history.results({"toolu_2": "0"})
        assert sent(history)[-1] == ("user", ["tool_result", "tool_result"])

    def test_words_after_results_join_their_message_results_first(self):
        history = talk("sum", message(CALL, stop_reason="tool_use"))
        history.results(
            [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "2", "is_error": False}]
        )
        history.user("be brief")
        assert sent(history)[-1] == ("user", ["tool_result", "be brief"])

    @pytest.mark.parametrize("results", [{"toolu_9": "2"}, [{"type": "text"}], [{"tool_use_id": "toolu_1"}]])
    def test_a_result_without_its_call_is_refused(self, results):
        history = talk("sum", message(CALL, stop_reason="tool_use"))
        with pytest.raises(HistoryError, match=r"no open tool call.*Open calls: add"):
            history.results(results)
        assert history.waiting() == {"toolu_1": "add"}

    def test_a_doubled_result_is_refused(self):
        history = talk("sum", message(CALL, stop_reason="tool_use"))
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "2"}
        with pytest.raises(HistoryError, match="no open tool call"):
            history.results([result, result])

    def test_skipping_answers_every_open_call_with_an_error(self):
        history = talk("sum", message(CALL, OTHER_CALL, stop_reason="tool_use"))
        history.skip_tools("not now")
        last = history.request()["messages"][-1]["content"]
        assert [(block["content"], block["is_error"]) for block in last] == [("not now", True)] * 2

    @pytest.mark.parametrize("stop_reason", ["max_tokens", None])
    def test_a_call_that_was_cut_is_not_sent_and_waits_for_nothing(self, stop_reason):
        history = talk("sum", message(text("well"), CALL, stop_reason=stop_reason))
        assert history.waiting() == {}
        history.user("go on")
        assert sent(history)[1] == ("assistant", ["well"])


class TestRepliesThatEndBadly:
    def test_an_interrupted_reply_stays_and_the_model_is_told(self):
        history = talk("tell", message(THINKING, text("Once"), stop_reason=None), "go on")
        assert sent(history) == [("user", ["tell"]), ("assistant", ["Once"]), ("user", ["go on", CUT_NOTE])]

    def test_the_note_stays_in_later_requests_so_that_the_cached_prefix_holds(self):
        history = talk("tell", message(text("Once"), stop_reason=None), "go on")
        before = history.request()["messages"]
        history.reply(message(text("upon")))
        history.user("more")
        assert history.request()["messages"][:3] == before

    def test_a_reply_interrupted_before_its_text_leaves_no_trace_in_the_request(self):
        history = talk("tell", message(THINKING, stop_reason=None), "again")
        assert sent(history) == [("user", ["tell", "again"])]

    def test_a_refused_reply_is_kept_but_not_sent(self):
        history = talk("bad", message(text("I'll"), stop_reason="refusal"), "good")
        assert sent(history) == [("user", ["bad", "good"])]
        assert len(history) == 3

    @pytest.mark.parametrize("content", [[], [text("")], [text(" \n")]])
    def test_an_empty_reply_is_not_sent(self, content):
        assert sent(talk("hi", message(*content), "well?")) == [("user", ["hi", "well?"])]

    def test_a_truncated_reply_keeps_its_sealed_thinking_and_loses_the_unsealed(self):
        unsealed = {"type": "thinking", "thinking": "hm", "signature": ""}
        kept = talk("hi", message(THINKING, text("1"), stop_reason="max_tokens"), "more")
        assert sent(kept)[1] == ("assistant", ["thinking", "1"])
        assert sent(talk("hi", message(unsealed, stop_reason="max_tokens"), "more")) == [
            ("user", ["hi", "more"])
        ]

    def test_a_server_tool_without_its_result_is_not_sent_when_the_reply_was_cut(self):
        open_call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
        result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
        cut = talk("hi", message(text("a"), open_call, stop_reason="max_tokens"), "more")
        assert sent(cut)[1] == ("assistant", ["a"])
        whole = talk("hi", message(open_call, result, text("a"), stop_reason="max_tokens"), "more")
        assert sent(whole)[1] == ("assistant", ["server_tool_use", "web_search_tool_result", "a"])


class TestGoingBack:
    def test_undo_takes_back_the_last_prompt_with_its_tool_loop(self):
        history = talk("hi", message(text("hello")), "sum", message(CALL, stop_reason="tool_use"))
        history.results({"toolu_1": "2"})
        assert history.undo() == "sum"
        assert len(history) == 2
        assert history.undo() == "hi"
        with pytest.raises(HistoryError, match="is empty"):
            history.undo()

    def test_edit_says_it_differently_and_drops_what_followed_from_the_view(self):
        history = talk("one", message(text("1")), "two", message(text("2")))
        assert history.edit(2, "zwei") == 2
        assert sent(history) == [("user", ["one"]), ("assistant", ["1"]), ("user", ["zwei"])]
        assert "two" in json.dumps(history.to_dict())  # the old branch is kept

    @pytest.mark.parametrize("at", [1, 4, -5, 99])
    def test_only_prompts_can_be_edited(self, at):
        history = talk("one", message(text("1")), "two", message(text("2")))
        with pytest.raises(HistoryError, match=r"prompts are at \[0, 2\]"):
            history.edit(at, "x")

    def test_a_fork_is_a_conversation_of_its_own(self):
        history = talk("one", message(text("1")), "two", system="Count.")
        fork = history.fork(2)
        fork.user("other")
        assert sent(fork)[-1] == ("user", ["other"])
        assert sent(history)[-1] == ("user", ["two"])
        assert fork.request()["system"] == "Count."
        assert len(history.fork()) == 3
        with pytest.raises(HistoryError, match="has 3 messages"):
            history.fork(4)


class TestSaving:
    def test_a_saved_conversation_comes_back_with_its_branches(self, tmp_path):
        history = talk("one", message(THINKING, text("é"), usage={"output_tokens": 3}), "two", system="s")
        history.edit(2, "zwei")
        path = history.save(tmp_path / "talk.jsonl")
        assert History.load(path).to_dict() == history.to_dict()

    def test_saving_over_a_file_replaces_it_whole_and_leaves_nothing_beside_it(self, tmp_path):
        path = tmp_path / "talk.jsonl"
        talk("one", message(text("1")), "two").save(path)
        talk("only").save(path)
        assert len(History.load(path)) == 1
        assert list(tmp_path.iterdir()) == [path]

    def test_a_torn_last_line_loses_only_itself(self, tmp_path):
        path = talk("one", message(text("1")), "two").save(tmp_path / "talk.jsonl")
        path.write_text(path.read_text()[:-20])
        with pytest.warns(UserWarning, match="last line .* is torn"):
            loaded = History.load(path)
        assert [each["role"] for each in loaded.messages] == ["user", "assistant"]

    def test_damage_in_the_middle_is_an_error(self, tmp_path):
        path = talk("one", message(text("1"))).save(tmp_path / "talk.jsonl")
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], lines[1][:9], lines[2]]))
        with pytest.raises(HistoryError, match=r"line 2 of .* is damaged"):
            History.load(path)

    def test_a_file_of_a_newer_version_says_how_to_upgrade(self, tmp_path):
        path = talk("one").save(tmp_path / "talk.jsonl")
        path.write_text(path.read_text().replace('"version": 3', '"version": 99'))
        with pytest.raises(HistoryError, match="pip install -U claude_nb"):
            History.load(path)

    @pytest.mark.parametrize("content", [None, b"", b"words", b"[1]", b"\xff\xfe"])
    def test_what_is_no_saved_conversation_is_named(self, tmp_path, content):
        path = tmp_path / "talk.jsonl"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(HistoryError, match=r"talk\.jsonl"):
            History.load(path)

    @pytest.mark.parametrize(
        "entry",
        [
            {"role": "user"},
            {"role": "user", "content": []},
            {"role": "human", "content": [text("x")]},
            {"role": "user", "content": ["x"]},
            {"role": "user", "content": [text("x")], "parent": 7},
            {"role": "user", "content": [text("x")], "colour": "red"},
            {"role": "user", "content": [text("x")], "cut": 3},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
            {"role": "assistant", "content": [text("x")]},
        ],
    )
    def test_a_malformed_entry_is_named(self, entry):
        with pytest.raises(HistoryError, match="stored message 0"):
            History.from_dict({"entries": [entry]})


def test_the_repr_is_one_stable_line():
    history = talk("hi", message(CALL, stop_reason="tool_use"), system="s", tools=[{"name": "add"}])
    assert repr(history) == "History(2 messages, system prompt, 1 tool, waits for add (toolu_1))"


def test_the_table_escapes_what_was_said():
    table = talk("<script>alert(1)</script>", message(text("ok"), stop_reason="refusal"))._repr_html_()
    assert "<script>" not in table
    assert "refusal: not sent" in table


@pytest.mark.parametrize("path", [History(), None, 5])
def test_what_is_no_path_is_refused_with_the_call_to_write(path):
    for name, call in (("save", History().save), ("autosave", History().autosave), ("load", History.load)):
        if name == "autosave" and path is None:
            continue  # stops it
        with pytest.raises(HistoryError, match=rf"{name}\(\) takes the path .* {name}\('talk\.jsonl'\)"):
            call(path)


def test_a_history_takes_its_arguments_by_name_and_says_so():
    with pytest.raises(HistoryError, match=r"History\(system='…'\).*History\.load\(path\)"):
        History("Be brief.")


def test_a_blank_system_prompt_is_refused():
    with pytest.raises(PromptError, match="system prompt is blank"):
        History(system="  ")


def test_a_tool_that_is_no_definition_is_refused():
    with pytest.raises(HistoryError, match="a tool is a dict"):
        History(tools=["add"])
