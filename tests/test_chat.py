import json

import anthropic
import httpx2
import pytest
from anthropic.types import Message
from replay import Replay
from test_stream import END, OPEN, START, WHOLE, delta, done, event

from claude_nb import MODEL, Chat, History, Ledger, Sandbox, connect, connect_async
from claude_nb.errors import HistoryError, ModelError, PromptError


def sandbox_chat(**settings) -> Chat:
    return Chat(connect(mode="sandbox", quiet=True), display=False, **settings)


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
