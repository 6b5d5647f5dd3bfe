import asyncio
import json
from pathlib import Path

import anthropic
import httpx2
import pytest
from anthropic.types import Message
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from replay import Replay
from test_stream import END, OPEN, START, WHOLE, delta, done, event

from claude_nb import MODEL, Chat, History, Ledger, Sandbox, connect, connect_async
from claude_nb.errors import ClaudeNbError, HistoryError, ModelError, PromptError
from claude_nb.join import anchor, joined, seam
from claude_nb.sandbox import faults
from claude_nb.steps import IncompleteReply, LimitReached
from claude_nb.tools import tool
from claude_nb.trim import keep_last


def sandbox_chat(**settings) -> Chat:
    return Chat(connect(mode="sandbox", quiet=True), display=False, **settings)


def scripted(*replies, **settings) -> tuple[Chat, Sandbox]:
    sandbox = Sandbox(replies=replies)
    return Chat(connect(sandbox=sandbox, quiet=True), display=False, **settings), sandbox


def faulty(*given, **settings) -> tuple[Chat, Sandbox]:
    sandbox = Sandbox(faults=given)
    return Chat(connect(sandbox=sandbox, quiet=True), display=False, **settings), sandbox


def cut(words_: str) -> dict:
    return {"content": [{"type": "text", "text": words_}], "stop_reason": "max_tokens"}


class Writer:
    """A model that writes a text in pieces of some characters, and repeats the last words when it is asked to."""

    def __init__(self, text: str, size: int) -> None:
        self.text, self.size, self.at = text, size, 0

    def __call__(self, body):
        done = self.text[: self.at]
        end = anchor(done)
        assert end in body["messages"][-1]["content"][-1]["text"]
        start = len(done.rstrip()) - len(end)
        self.at += self.size
        reason = "max_tokens" if self.at < len(self.text) else "end_turn"
        return {"content": [{"type": "text", "text": self.text[start : self.at]}], "stop_reason": reason}


def words(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_conversation_remembers_and_alternates():
    chat = sandbox_chat()
    chat.send("My name is Ada.")
    assert "Ada" in words(chat("What is my name?"))
    assert [message["role"] for message in chat.history.messages] == ["user", "assistant"] * 2


def test_without_a_client_it_connects_itself(capsys):
    Chat(display=False).send("hi")
    assert "claude_nb: sandbox." in capsys.readouterr().out


def test_the_async_client_does_the_same(run):
    async def go():
        chat = Chat(connect_async(mode="sandbox", quiet=True), display=False)
        await chat.asend("My name is Ada.")
        return words(await chat.asend("What is my name?"))

    assert "Ada" in run(go())


def test_a_client_of_the_other_kind_is_one_clear_error(run):
    with pytest.raises(ClaudeNbError, match="use await chat"):
        Chat(connect_async(mode="sandbox", quiet=True)).send("hi")
    with pytest.raises(ClaudeNbError, match="use chat"):
        run(sandbox_chat().asend("hi"))


def test_every_request_carries_system_model_ceiling_and_options():
    sandbox = Sandbox()
    chat = Chat(connect(sandbox=sandbox, quiet=True), system="Be brief.", max_tokens=77, display=False)
    chat.send("hi", max_tokens=99, stop_sequences=["x"])
    seen = sandbox.requests[0]
    assert (seen["model"], seen["system"], seen["max_tokens"], seen["stop_sequences"]) == (
        MODEL,
        "Be brief.",
        99,
        ["x"],
    )


def test_beta_features_go_through_the_sdks_beta_namespace(run):
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    beta = {"betas": ["context-management-2025-06-27"], "context_management": edits}
    sandbox = Sandbox()
    chat = Chat(connect(sandbox=sandbox, quiet=True), display=False)
    assert chat.send("hi", **beta).stop_reason == "end_turn"
    assert sandbox.requests[0]["context_management"] == edits
    chat._client = connect_async(sandbox=sandbox, quiet=True)
    assert run(chat.asend("hi", **beta)).stop_reason == "end_turn"


@pytest.mark.parametrize("prompt", ["", "  ", 5, b"x", [], [{"type": "text", "text": ""}]])
def test_a_bad_prompt_is_one_clear_error_and_nothing_is_sent(prompt):
    sandbox = Sandbox()
    chat = Chat(connect(sandbox=sandbox, quiet=True), display=False)
    with pytest.raises(PromptError):
        chat.send(prompt)
    assert len(chat.history) == 0
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (None, "takes the id of a model"),
        ("", "takes the id of a model"),
        (5, "takes the id of a model"),
        ("claude-3-5-sonnet-20240620", "retired on 2025-10-28"),
    ],
)
def test_a_model_that_cannot_answer_is_one_clear_error(model, says):
    with pytest.raises(ModelError, match=says):
        Chat(model=model)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"client": "You are kind"}, "not a client of the SDK"),
        ({"history": [{"role": "user", "content": "hi"}]}, "History.from_messages"),
        ({"history": "talk.jsonl"}, r"History\.load\('talk\.jsonl'\)"),
        ({"history": Path("talk.jsonl")}, r"History\.load\('talk\.jsonl'\)"),
        ({"tools": Ledger(":memory:")}, r"tools= takes a list .* not Ledger"),
        ({"tools": {"name": "look", "input_schema": {}}}, r"tools= takes a list .* not dict"),
    ],
)
def test_likely_slips_are_explained(arguments, says):
    with pytest.raises(ClaudeNbError, match=says):
        Chat(**arguments)


def test_a_model_that_is_almost_right_gets_a_hint():
    with pytest.raises(anthropic.NotFoundError) as caught:
        sandbox_chat(model="claude-haiku-5.5").send("hi")
    assert "Did you mean 'claude-haiku-5-5'?" in caught.value.__notes__


def test_an_unknown_model_is_the_apis_own_error_and_the_prompt_is_taken_back():
    chat = sandbox_chat(model="claude-tomorrow-9")
    with pytest.raises(anthropic.NotFoundError) as caught:
        chat.send("hi")
    assert "taken back" in caught.value.__notes__[0]
    assert len(chat.history) == 0


def test_an_interrupted_reply_is_kept_and_the_next_message_works():
    broken = Replay(START, OPEN, delta("Once upon"), KeyboardInterrupt())
    chat = Chat(broken.client(), display=False)
    with pytest.raises(KeyboardInterrupt):
        chat.send("Tell me a story.")
    assert chat.history.entries[-1].interrupted
    chat._client = connect(mode="sandbox", quiet=True)
    assert chat.send("Go on.").stop_reason == "end_turn"


@pytest.mark.parametrize("error", [httpx2.ReadError("reset"), httpx2.ConnectError("refused")])
def test_a_failure_before_the_reply_takes_the_prompt_back(error):
    chat = Chat(Replay(error).client(), display=False)
    with pytest.raises(httpx2.TransportError):
        chat.send("hi")
    assert len(chat.history) == 0


def test_a_failure_inside_the_reply_keeps_what_came():
    chat = Chat(Replay(START, OPEN, delta("Once"), httpx2.ReadError("reset")).client(), display=False)
    with pytest.raises(httpx2.ReadError):
        chat.send("hi")
    assert chat.history.entries[-1].text == "Once"


def test_a_refusal_is_kept_and_not_sent_again():
    refused = Replay(START, OPEN, delta("I"), END, done("refusal"), event("message_stop"))
    chat = Chat(refused.client(), display=False)
    assert chat.send("bad").stop_reason == "refusal"
    sandbox = Sandbox()
    chat._client = connect(sandbox=sandbox, quiet=True)
    chat.send("good")
    assert [message["role"] for message in sandbox.requests[0]["messages"]] == ["user"]


def test_tool_results_go_on_without_a_new_prompt():
    tool = {"name": "add", "input_schema": {"type": "object"}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
    start = event("content_block_start", index=0, content_block=call)
    piece = event(
        "content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": '{"a": 1}'}
    )
    calling = Replay(START, start, piece, END, done("tool_use"), event("message_stop"))
    chat = Chat(calling.client(), tools=[tool], display=False)
    chat.send("add")
    with pytest.raises(HistoryError, match="waits for add"):
        chat.send("well?")
    assert len(chat.history) == 2
    chat.history.results({"toolu_1": "2"})
    sandbox = Sandbox()
    chat._client = connect(sandbox=sandbox, quiet=True)
    chat.send()
    assert sandbox.requests[0]["messages"][1]["content"][0]["input"] == {"a": 1}
    assert sandbox.requests[0]["messages"][2]["content"][0]["type"] == "tool_result"


def test_a_history_can_be_continued_but_not_given_a_second_system_prompt():
    history = History(system="s")
    assert Chat(history=history).history is history
    with pytest.raises(PromptError, match="brings its own"):
        Chat(history=history, system="t")


def test_a_trim_policy_decides_what_is_sent_and_nothing_is_lost():
    sandbox = Sandbox()
    chat = Chat(connect(sandbox=sandbox, quiet=True), trim=keep_last(1, step=0), display=False)
    for word in ("one", "two", "three"):
        chat.send(word)
    assert [len(body["messages"]) for body in sandbox.requests] == [1, 1, 1]
    assert len(chat.history) == 6


def test_what_a_call_waits_for_is_shown(capsys):
    chat, _ = faulty(faults.overloaded(at=1))
    chat.display = True
    chat.send("hi")
    assert "overloaded" in capsys.readouterr().out.lower()


def test_the_frame_has_a_row_a_reply_in_the_apis_own_columns():
    chat = sandbox_chat()
    chat.send("one")
    chat.send("two")
    frame = chat.frame()
    assert list(frame["turn"]) == [1, 2]
    assert frame["simulated"].all()
    assert frame["input_tokens"][1] > frame["input_tokens"][0]
    ledger = Ledger().frame()
    for column in ("input_tokens", "output_tokens", "cache_read_input_tokens"):
        assert list(frame[column]) == list(ledger[column])
    assert [float(cost) for cost in frame["cost_usd"]] == pytest.approx(
        list(ledger["cost_usd"].astype(float))
    )


def test_an_empty_chat_has_an_empty_frame():
    assert len(sandbox_chat().frame()) == 0


def test_an_interrupted_reply_has_unknown_output_and_cost():
    chat = Chat(Replay(START, OPEN, delta("Once")).client(), display=False)
    chat.send("hi")
    row = json.loads(chat.frame().to_json(orient="records"))[0]
    assert (row["output_tokens"], row["cost_usd"], row["stop_reason"]) == (None, None, None)


def test_the_repr_is_one_stable_line():
    chat = Chat(Replay(*WHOLE).client(), display=False, model="claude-haiku-5-5")
    chat.send("hi")
    assert repr(chat) == "Chat(claude-haiku-5-5, History(2 messages))"


def test_calls_of_one_chat_share_a_conversation_and_chats_do_not():
    one, two = sandbox_chat(), sandbox_chat()
    one.send("a")
    two.send("b")
    one.send("c")
    conversations = list(Ledger().frame()["conversation"])
    assert conversations[0] == conversations[2] != conversations[1]


POEM = "The sea was calm that night, and nobody spoke.\n\n  Far out, a light went on; then off. " * 12


class TestTruncation:
    def test_by_default_a_cut_reply_is_returned_as_what_it_is(self):
        chat, sandbox = scripted(cut("Once upon"))
        assert chat.send("story").stop_reason == "max_tokens"
        assert len(sandbox.requests) == 1

    def test_continue_joins_the_pieces_without_a_seam(self):
        writer = Writer(POEM, 150)
        sandbox = Sandbox(replies=writer)
        chat = Chat(connect(sandbox=sandbox, quiet=True), display=False)
        message = chat.send("poem", on_truncation="continue")
        assert words(message) == POEM
        assert message.stop_reason == "end_turn"
        replies = [entry for entry in chat.history.entries if entry.role == "assistant"]
        assert len(replies) == len(sandbox.requests) == -(-len(POEM) // 150)
        assert message.usage.output_tokens == sum(entry.usage["output_tokens"] for entry in replies)
        assert message.usage.input_tokens == chat.frame()["input_tokens"].sum()

    def test_continue_works_async_too(self, run):
        sandbox = Sandbox(replies=Writer(POEM, 400))
        chat = Chat(connect_async(sandbox=sandbox, quiet=True), display=False)
        assert words(run(chat.asend("poem", on_truncation="continue"))) == POEM

    def test_a_continued_answer_is_shown_as_one(self, capsys, run):
        for make, name in ((connect, "send"), (connect_async, "asend")):
            chat = Chat(make(sandbox=Sandbox(replies=Writer(POEM, 400)), quiet=True))
            came = getattr(chat, name)("poem", on_truncation="continue")
            if name == "asend":
                run(came)
            shown = capsys.readouterr().out
            assert POEM in shown
            assert shown.count("tokens in") == shown.count("finished") == 1

    def test_replies_around_tool_calls_are_shown_each_on_its_own(self, capsys):
        def add(a: int, b: int) -> int:
            """Add."""
            return a + b

        Chat(connect(sandbox=Sandbox(), quiet=True), tools=[add]).send("add 3 and 4")
        shown = capsys.readouterr().out
        assert shown.count("tokens in") == 2
        assert shown.index("wants a tool") < shown.index("Tool result: add") < shown.index("finished")

    def test_what_is_shown_stays_when_the_next_request_fails(self, capsys):
        sandbox = Sandbox(replies=Writer(POEM, 400), faults=[faults.overloaded(at=2)])
        with pytest.raises(anthropic.APIStatusError):
            Chat(connect(sandbox=sandbox, quiet=True, max_retries=0)).send("poem", on_truncation="continue")
        shown = capsys.readouterr().out
        assert POEM[:300] in shown
        assert "cut off at max_tokens" in shown

    def test_continue_stops_at_the_turn_limit_with_all_that_came(self):
        chat, _ = scripted(*[cut(f"part {n} ") for n in range(3)], max_turns=3)
        with pytest.raises(LimitReached, match="3 turns") as caught:
            chat.send("story", on_truncation="continue")
        assert words(caught.value.message) == "part 0 part 1 part 2 "
        assert caught.value.message.stop_reason == "max_tokens"
        assert chat.send("Enough.").stop_reason == "end_turn"

    def test_continue_stops_at_the_limit_in_money(self):
        chat, sandbox = scripted(*[cut("word " * 400) for _ in range(9)], max_usd=0.0001)
        with pytest.raises(LimitReached, match="max_usd is"):
            chat.send("story", on_truncation="continue")
        assert 1 <= len(sandbox.requests) < 9

    def test_a_limit_in_money_needs_a_known_price(self):
        replay = Replay(
            START.replace(b"claude-haiku-5-5", b"local-lm"), OPEN, delta("a"), END, done("max_tokens")
        )
        chat = Chat(replay.client(), display=False, max_usd=1)
        with pytest.raises(LimitReached, match="price of local-lm is unknown"):
            chat.send("story", on_truncation="continue")

    def test_continue_stops_at_the_limit_in_time(self):
        chat, sandbox = scripted(cut("a"), cut("b"), max_seconds=0)
        with pytest.raises(LimitReached, match="max_seconds"):
            chat.send("story", on_truncation="continue")
        assert len(sandbox.requests) == 1

    def test_continue_without_a_word_so_far_asks_again_with_more_room(self):
        chat, sandbox = scripted({"content": [], "stop_reason": "max_tokens"}, "done", max_tokens=100)
        assert words(chat.send("story", on_truncation="continue")) == "done"
        assert [body["max_tokens"] for body in sandbox.requests] == [100, 200]

    def test_a_failure_while_continuing_keeps_the_reply_as_far_as_it_came(self):
        sandbox = Sandbox(replies=[cut("Once upon")], faults=[faults.reset(at=2)])
        chat = Chat(connect(sandbox=sandbox, quiet=True, max_retries=0), display=False)
        with pytest.raises(anthropic.APIConnectionError) as caught:
            chat.send("story", on_truncation="continue")
        assert "kept as far as it came" in caught.value.__notes__[0]
        assert [entry.text for entry in chat.history.entries] == ["story", "Once upon"]
        assert chat.send("Go on.").stop_reason == "end_turn"

    def test_retry_doubles_the_ceiling_and_sends_the_same_prompt_once(self):
        chat, sandbox = scripted(cut("a"), cut("ab"), "abc", max_tokens=1000)
        assert words(chat.send("story", on_truncation="retry")) == "abc"
        assert [body["max_tokens"] for body in sandbox.requests] == [1000, 2000, 4000]
        assert [entry.text for entry in chat.history.entries] == ["story", "abc"]
        assert all(len(body["messages"]) == 1 for body in sandbox.requests)

    def test_retry_stops_at_what_the_model_can_write(self):
        chat, _ = scripted(cut("a"), cut("b"), cut("c"), max_tokens=100_000)
        with pytest.raises(IncompleteReply, match="the most that") as caught:
            chat.send("story", on_truncation="retry")
        assert caught.value.message.stop_reason == "max_tokens"

    def test_a_failed_retry_takes_the_prompt_back(self):
        sandbox = Sandbox(replies=[cut("Once")], faults=[faults.reset(at=2)])
        chat = Chat(connect(sandbox=sandbox, quiet=True, max_retries=0), display=False)
        with pytest.raises(anthropic.APIConnectionError) as caught:
            chat.send("story", on_truncation="retry")
        assert "taken back" in caught.value.__notes__[0]
        assert len(chat.history) == 0

    @pytest.mark.parametrize("fault", [faults.refusal(), faults.context_window(), faults.truncated()])
    def test_raise_takes_nothing_incomplete(self, fault):
        chat, _ = faulty(fault)
        with pytest.raises(IncompleteReply) as caught:
            chat.send("story", on_truncation="raise")
        assert caught.value.message.stop_reason in ("refusal", "model_context_window_exceeded", None)
        chat._client = connect(mode="sandbox", quiet=True)
        assert chat.send("Go on.").stop_reason == "end_turn"

    def test_raise_takes_a_complete_reply(self):
        chat, _ = scripted("done")
        assert words(chat.send("story", on_truncation="raise")) == "done"

    def test_another_policy_is_one_clear_error_and_nothing_is_sent(self):
        chat, sandbox = scripted()
        with pytest.raises(PromptError, match="'warn', 'continue'"):
            chat.send("story", on_truncation="ignore")
        assert not sandbox.requests
        assert len(chat.history) == 0


class TestSeam:
    @given(st.text(alphabet="ab \n.é—", min_size=1, max_size=300), st.data())
    def test_a_text_cut_anywhere_comes_together_when_the_last_words_are_repeated(self, text, data):
        at = data.draw(st.integers(0, len(text)))
        before = text[:at]
        assume(before.strip())
        repeated = text[len(before.rstrip()) - len(anchor(before)) :]
        assert seam(before, repeated) == text

    def test_a_repeated_end_stands_once_even_where_other_words_were_asked_for(self):
        assert (
            seam("It was a dark and stormy ni", "dark and stormy night.") == "It was a dark and stormy night."
        )

    def test_without_a_repetition_nothing_is_lost(self):
        assert seam("one ", "two") == "one two"

    def test_one_piece_is_the_message_itself(self):
        assert joined([]) is None
        assert joined(["x"]) == "x"


class TestOtherEndings:
    def test_a_pause_is_resumed_and_both_parts_are_one_answer(self):
        chat, sandbox = faulty(faults.pause_turn(at=1))
        tool = {"type": "web_search_20250305", "name": "web_search"}
        message = chat.send("news?", tools=[tool])
        assert message.stop_reason == "end_turn"
        assert len(sandbox.requests) == 2
        assert sandbox.requests[1]["messages"][-1]["role"] == "assistant"
        kinds = [block.type for block in message.content]
        assert kinds.index("server_tool_use") < kinds.index("web_search_tool_result")
        assert "pausing" in words(message)

    def test_a_pause_without_end_stops_at_the_limit(self):
        chat, sandbox = faulty(faults.pause_turn(), max_turns=4)
        tool = {"type": "web_search_20250305", "name": "web_search"}
        with pytest.raises(LimitReached, match="paused"):
            chat.send("news?", tools=[tool])
        assert len(sandbox.requests) == 4
        chat._client = connect(mode="sandbox", quiet=True)
        assert chat.send("Enough.", tools=[tool]).stop_reason == "end_turn"

    def test_a_refusal_goes_to_the_fallback_without_the_refused_text(self):
        chat, sandbox = faulty(faults.refusal(at=1, after=5))
        message = chat.send("story", fallback="claude-opus-4-8")
        assert (message.stop_reason, message.model) == ("end_turn", "claude-opus-4-8")
        assert [len(body["messages"]) for body in sandbox.requests] == [1, 1]
        assert chat.model == MODEL

    def test_refused_text_does_not_come_into_a_continued_answer(self):
        refused = {"content": [{"type": "text", "text": "Bad words"}], "stop_reason": "refusal"}
        chat, _ = scripted(cut("Once upon a time"), refused)
        message = chat.send("story", on_truncation="continue")
        assert (message.stop_reason, words(message)) == ("refusal", "Once upon a time")

    def test_a_fallback_that_refuses_too_is_a_refusal(self):
        chat, sandbox = faulty(faults.refusal(category="bio"))
        message = chat.send("story", fallback="claude-opus-4-8")
        assert (message.stop_reason, message.stop_details.category) == ("refusal", "bio")
        assert len(sandbox.requests) == 2

    def test_a_full_context_window_says_how_to_send_less(self, capsys):
        chat, _ = faulty(faults.context_window())
        chat.display = True
        chat.send("story")
        assert "context window full" in (said := capsys.readouterr().out)
        assert "history.undo()" in said

    def test_a_refusal_shows_category_and_explanation(self, capsys):
        chat, _ = faulty(faults.refusal(category="cyber"))
        chat.display = True
        chat.send("story")
        assert "refused (cyber)" in (said := capsys.readouterr().out)
        assert "was told to refuse" in said

    def test_a_stream_that_ends_early_is_an_interruption(self):
        chat, _ = faulty(faults.truncated(at=1, after=6))
        assert chat.send("story").stop_reason is None
        assert chat.history.entries[-1].interrupted
        assert chat.send("again").stop_reason == "end_turn"


class TestOneAtATime:
    def test_a_second_message_while_one_is_answered_is_one_clear_error(self, run):
        async def go():
            chat = Chat(connect_async(mode="sandbox", quiet=True), display=False)
            first, second = await asyncio.gather(chat.asend("a"), chat.asend("b"), return_exceptions=True)
            assert first.stop_reason == "end_turn"
            assert isinstance(second, HistoryError)
            assert len(chat.history) == 2
            return await chat.asend("b")

        assert run(go()).stop_reason == "end_turn"

    def test_a_cancelled_message_leaves_the_chat_free(self, run):
        async def go():
            slow = connect_async(sandbox=Sandbox(pace="20 tok/s"), quiet=True)
            chat = Chat(slow, display=False)
            task = asyncio.ensure_future(chat.asend("Write 300 words."))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            chat._client = connect_async(mode="sandbox", quiet=True)
            return await chat.asend("Go on.")

        assert run(go()).stop_reason == "end_turn"


CALL = {"type": "tool_use", "name": "add", "input": {"a": 1}}
FAILS = {"type": "tool_use", "name": "add", "input": {"a": "x"}}
UNKNOWN = {"type": "tool_use", "name": "nobody", "input": {}}
SEARCH = {"type": "server_tool_use", "name": "web_search", "input": {"query": "x"}}
REPLIES = [
    "Done.",
    cut("Once upon a time there was"),
    {"content": [], "stop_reason": "max_tokens"},
    {"content": [], "stop_reason": "end_turn"},
    {"content": [CALL], "stop_reason": "max_tokens"},
    {"content": [{"type": "text", "text": "No."}], "stop_reason": "refusal"},
    {"content": [], "stop_reason": "refusal"},
    {"content": [{"type": "text", "text": "Wait."}, SEARCH], "stop_reason": "pause_turn"},
    {"content": [{"type": "text", "text": "Full"}], "stop_reason": "model_context_window_exceeded"},
    [CALL],
    [{"type": "text", "text": "Let me add."}, CALL, FAILS, UNKNOWN],
]
FAULTS = [faults.truncated, faults.cut, faults.error_event, faults.malformed, faults.reset, faults.overloaded]
SERVER_TOOL = {"type": "web_search_20250305", "name": "web_search"}


def go_on(chat: Chat, prompt: str, **how) -> Message:
    """Send a message; where the server still runs a tool of its own, do first what the error says."""
    try:
        return chat.send(prompt, **how)
    except HistoryError as error:
        assert "still running web_search" in str(error)  # noqa: PT017 - any other is a defect
        if chat.history.entries[-1].stop_reason == "pause_turn" or chat.history.entries[-1].role == "user":
            chat.send()
        else:
            chat.history.undo()
        return go_on(chat, prompt, **how)


class TestWhateverHappens:
    @settings(max_examples=80, deadline=None)
    @given(
        replies=st.lists(st.sampled_from(REPLIES), min_size=1, max_size=7),
        struck=st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(1, 8)), max_size=2),
        policies=st.lists(st.sampled_from(["warn", "continue", "retry", "raise"]), min_size=1, max_size=3),
        fallback=st.sampled_from([None, "claude-opus-4-8"]),
        turns=st.integers(1, 6),
    )
    def test_the_conversation_can_always_go_on(self, replies, struck, policies, fallback, turns):
        """The API accepts every request, and after any ending the next message is answered."""

        def add(a: int) -> int:
            """Add."""
            return a

        script = iter(replies)
        broken = [fault(at=at) for fault, at in struck]
        sandbox = Sandbox(replies=lambda _: next(script, "Done."), faults=broken)
        client = connect(sandbox=sandbox, quiet=True, max_retries=0, ledger=False)
        chat = Chat(client, tools=[add, SERVER_TOOL], max_turns=turns, display=False)
        for policy in policies:
            try:
                message = go_on(chat, "go", on_truncation=policy, fallback=fallback)
            except (anthropic.BadRequestError, HistoryError, PromptError):
                raise
            except (IncompleteReply, anthropic.APIError, httpx2.HTTPError, ValueError):
                pass
            else:
                assert policy != "raise" or message.stop_reason == "end_turn"
            assert not chat.history.waiting()
        chat._client = connect(mode="sandbox", quiet=True, ledger=False)
        assert go_on(chat, "Still there?").stop_reason in ("end_turn", "tool_use")


@pytest.mark.parametrize("name", ["messages", "system"])
def test_what_belongs_to_the_conversation_is_refused_for_one_message(name):
    chat = sandbox_chat()
    with pytest.raises(PromptError, match=f"{name}= belongs to the conversation"):
        chat.send("hi", **{name: []})
    assert len(chat.history) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_turns", 0),
        ("max_turns", "a"),
        ("max_turns", None),
        ("max_usd", -1),
        ("max_seconds", "x"),
        ("max_turns", float("nan")),
        ("max_usd", float("nan")),
        ("max_seconds", float("nan")),
        ("confirm", "x"),
    ],
)
def test_a_limit_or_question_that_cannot_work_is_refused_at_once(name, value):
    with pytest.raises(ClaudeNbError, match=name):
        sandbox_chat(**{name: value})


def test_so_is_one_that_is_set_later_and_a_history_that_is_none():
    chat = sandbox_chat(confirm=bool)
    chat.send("hi")
    kept = chat.history
    with pytest.raises(ClaudeNbError, match="confirm= takes a function"):
        chat.confirm = 3
    with pytest.raises(PromptError, match=r"history= takes a History. Make one .* History.from_messages"):
        chat.history = []
    with pytest.raises(PromptError, match=r"History.load\('talk.jsonl'\)"):
        chat.history = "talk.jsonl"
    assert (chat.history, chat.confirm) == (kept, bool)
    chat.confirm = None
    chat.history = kept.fork(0)
    chat.send("hi")
    assert (len(kept), len(chat.history)) == (2, 2)


def test_only_true_allows_a_tool_that_asks():
    ran = []

    @tool(confirm=True)
    def remove(path: str) -> str:
        """Remove a file."""
        ran.append(path)
        return "gone"

    call = {"type": "tool_use", "id": "toolu_1", "name": "remove", "input": {"path": "/x"}}
    client = connect(sandbox=Sandbox(replies=[[call], "done"]), quiet=True, ledger=False)
    Chat(client, tools=[remove], confirm=lambda name, given: "no", display=False).send("go")
    assert ran == []


class TestWhatCanBeSet:
    def test_model_ceiling_client_and_trim_count_from_the_next_message_on(self):
        chat, _ = scripted()
        chat.send("one")
        sandbox = Sandbox()
        chat.client = connect(sandbox=sandbox, quiet=True)
        chat.model, chat.max_tokens, chat.trim = "claude-opus-5-5", 77, keep_last(1)
        chat.send("two")
        (body,) = sandbox.requests
        assert (body["model"], body["max_tokens"]) == ("claude-opus-5-5", 77)
        assert chat.trim == chat.history.trim == (keep_last(1),)
        chat.max_turns = 0
        with pytest.raises(ClaudeNbError, match="max_turns is 0"):
            chat.send("three")

    @pytest.mark.parametrize(
        ("name", "value", "says"),
        [("system", "B", r"chat\.instruct\('…'\)"), ("tools", [], r"Chat\(client, tools=\[…\]\)")],
    )
    def test_what_a_conversation_begins_with_is_read_and_says_what_to_do_instead(self, name, value, says):
        chat, sandbox = scripted(system="A", tools=[{"name": "look", "input_schema": {"type": "object"}}])
        with pytest.raises(HistoryError, match=says):
            setattr(chat, name, value)
        chat.send("hi")
        assert getattr(chat, name) == sandbox.requests[0][name]

    def test_help_lists_history_and_conversation(self):
        for name in ("history: ", "conversation: "):
            assert f"\n        {name}" in Chat.__doc__


def test_where_calls_wait_and_no_function_was_given_the_error_says_how_to_have_them_run(tmp_path):
    def look(city: str) -> str:
        """Look out of the window."""
        return f"sun in {city}"

    call = [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Oslo"}}]
    again = [call[0] | {"id": "toolu_2"}]
    chat, _ = scripted(call, again, "Sun.", tools=[look])
    History(tools=chat.tools).save(tmp_path / "talk.jsonl")
    chat = Chat(chat.client, history=History.load(tmp_path / "talk.jsonl"), display=False)
    assert chat.send("Weather?").stop_reason == "tool_use"
    for prompt in ("And now?", None):
        with pytest.raises(HistoryError, match=r"waits? for") as caught:
            chat.send(prompt)
        assert "Chat(client, history=chat.history, tools=[…])" in caught.value.__notes__[0]
    chat.history.skip_tools()
    chat = Chat(chat.client, history=chat.history, tools=[look], display=False)
    assert words(chat.send("And now?")) == "Sun."


class TestInstructions:
    @pytest.mark.parametrize(
        ("model", "roles"),
        [
            ("claude-opus-5-5", ["user", "assistant", "user", "system"]),
            ("claude-sonnet-5", ["user", "assistant", "user"]),
        ],
    )
    def test_a_late_instruction_leaves_the_system_prompt_as_it_is(self, model, roles):
        sandbox = Sandbox()
        chat = Chat(connect(sandbox=sandbox, quiet=True), model=model, system="Be brief.", display=False)
        chat.send("hi")
        chat.instruct("Answer in French.")
        assert chat.send("What is a token?").stop_reason == "end_turn"
        body = sandbox.requests[-1]
        assert body["system"] == "Be brief."
        assert [message["role"] for message in body["messages"]] == roles
        assert "Answer in French." in str(body["messages"][-1])

    def test_a_fallback_gets_the_instruction_in_the_form_it_takes(self):
        sandbox = Sandbox(faults=[faults.refusal(at=2)])
        chat = Chat(connect(sandbox=sandbox, quiet=True), model="claude-opus-5-5", display=False)
        chat.send("hi")
        chat.instruct("Answer in French.")
        chat.send("go on", fallback="claude-sonnet-5")
        assert [body["messages"][-1]["role"] for body in sandbox.requests] == ["user", "system", "user"]

    def test_a_failed_send_takes_back_the_prompt_and_keeps_the_instruction(self):
        sandbox = Sandbox(faults=[faults.overloaded(at=2)])
        chat = Chat(connect(sandbox=sandbox, quiet=True, max_retries=0), display=False)
        chat.send("hi")
        chat.instruct("Answer in French.")
        with pytest.raises(anthropic.APIStatusError):
            chat.send("again")
        chat.send("again")
        assert str(sandbox.requests[-1]["messages"]).count("Answer in French.") == 1
        assert str(sandbox.requests[-1]["messages"]).count("again") == 1

    def test_an_empty_instruction_is_refused(self):
        with pytest.raises(PromptError):
            sandbox_chat().instruct(" ")
