"""Gateways and local servers: what they get wrong either works, or is an error that names the server and the cause."""

import json
import warnings

import anthropic
import httpx2
import pytest
from pydantic import BaseModel
from replay import Replay
from test_stream import END, OPEN, STOP, delta, event

from claude_nb import Chat
from claude_nb.comparison import compare
from claude_nb.errors import BadStream
from claude_nb.extract import extract_many
from claude_nb.join import words
from claude_nb.steps import IncompleteReply, LimitReached

HELLO = [OPEN, delta("Hello"), END]
JSON = {"content-type": "application/json"}


def start(**fields) -> bytes:
    """The first event of a local server; a field given as None is left out."""
    message = {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "local-lm",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 3, "output_tokens": 0},
    } | fields
    return event("message_start", message={key: value for key, value in message.items() if value is not None})


def ended(reason: str | None = "end_turn", usage: dict | None = None, tokens: int = 7) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage=usage or {"output_tokens": tokens})


def local(*chunks, status: int = 200, headers: dict | None = None, **settings) -> Chat:
    replay = Replay(*chunks, status=status, headers=headers)
    client = replay.client(base_url="http://bob:hunter2@localhost:8080")
    return Chat(client, model="local-lm", display=False, **settings)


class TestWhatWorks:
    def test_ids_models_and_missing_headers_of_its_own(self, capsys):
        chat = local(start(), *HELLO, ended(), STOP)
        chat.display = True
        message = chat.send("hi")
        assert (message.id, words(message)) == ("chatcmpl-1", "Hello")
        assert "None" not in capsys.readouterr().out

    def test_an_empty_usage_is_unknown_and_not_zero(self):
        chat = local(
            start(usage={}), *HELLO, event("message_delta", delta={"stop_reason": "end_turn"}, usage={}), STOP
        )
        chat.send("hi")
        row = json.loads(chat.frame().to_json(orient="records"))[0]
        assert (row["input_tokens"], row["cost_usd"]) == (None, None)

    def test_a_stop_reason_of_its_own_is_kept_as_it_is(self):
        assert local(start(), *HELLO, ended("stop"), STOP).send("hi").stop_reason == "stop"

    def test_a_stop_reason_of_its_own_is_not_taken_for_complete_when_that_matters(self):
        with pytest.raises(IncompleteReply, match="stop"):
            local(start(), *HELLO, ended("length"), STOP).send("hi", on_truncation="raise")

    def test_a_value_under_a_stop_reason_of_its_own_shows_itself_whether_it_is_whole(self):
        class Point(BaseModel):
            x: int

        whole = [OPEN, delta('{"x": 1}'), END]
        assert local(start(), *whole, ended("stop"), STOP).extract("x", Point) == Point(x=1)

    def test_a_last_event_without_its_message_stop(self):
        assert local(start(), *HELLO, ended()).send("hi").stop_reason == "end_turn"

    def test_end_turn_with_all_tokens_used_warns_that_the_reply_may_be_cut(self):
        with pytest.warns(UserWarning, match=r"may be incomplete.*max_tokens is used \(7\)"):
            local(start(), *HELLO, ended(), STOP, max_tokens=7).send("hi")
        with pytest.raises(IncompleteReply):
            local(start(), *HELLO, ended(), STOP, max_tokens=7).send("hi", on_truncation="raise")

    def test_end_turn_below_the_ceiling_warns_of_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            local(start(), *HELLO, ended(), STOP, max_tokens=8).send("hi")

    def test_a_tool_loop_without_end_and_ids_of_its_own(self):
        def add(a: int) -> int:
            """Add."""
            return a

        numbers = iter(range(99))

        class Server(httpx2.BaseTransport):
            def handle_request(self, request):
                call = {"type": "tool_use", "id": f"call_{next(numbers)}", "name": "add", "input": {}}
                piece = {"type": "input_json_delta", "partial_json": '{"a": 1}'}
                body = [
                    start(),
                    event("content_block_start", index=0, content_block=call),
                    event("content_block_delta", index=0, delta=piece),
                    END,
                    ended("tool_use"),
                    STOP,
                ]
                return httpx2.Response(
                    200, headers={"content-type": "text/event-stream"}, content=b"".join(body)
                )

        http = anthropic.DefaultHttpxClient(transport=Server())
        chat = Chat(anthropic.Anthropic(api_key="x", http_client=http), model="m", tools=[add], display=False)
        chat.max_turns = 6
        with pytest.raises(LimitReached):
            chat.send("go")
        assert len(chat.history) == 1 + 2 * 6
        assert not chat.history.waiting()


MENDED = {
    "no usage": ([start(usage=None), *HELLO, ended(), STOP], (None, 7)),
    "no usage at the end": (
        [start(), *HELLO, event("message_delta", delta={"stop_reason": "end_turn"}), STOP],
        (3, None),
    ),
    "no usage at all": (
        [start(usage=None), *HELLO, event("message_delta", delta={"stop_reason": "end_turn"}), STOP],
        (None, None),
    ),
    "usage only at the end": (
        [start(usage=None), *HELLO, ended(usage={"input_tokens": 3, "output_tokens": 7}), STOP],
        (3, 7),
    ),
    "no content": ([start(content=None), *HELLO, ended(), STOP], (3, 7)),
    "no role": ([start(role=None), *HELLO, ended(), STOP], (3, 7)),
    "no start of a block": ([start(), delta("Hello"), END, ended(), STOP], (3, 7)),
    "a block without text": (
        [
            start(),
            event("content_block_start", index=0, content_block={"type": "text", "text": None}),
            delta("Hello"),
            ended(),
        ],
        (3, 7),
    ),
    "blocks numbered from 1": (
        [chunk.replace(b'"index": 0', b'"index": 1') for chunk in [start(), *HELLO, ended(), STOP]],
        (3, 7),
    ),
    "an end of a block that never began": ([start(), END, *HELLO, ended(), STOP], (3, 7)),
    "pieces of a call that never began": (
        [
            start(),
            event("content_block_delta", index=4, delta={"type": "input_json_delta", "partial_json": '{"a"'}),
            *HELLO,
            ended(),
            STOP,
        ],
        (3, 7),
    ),
}


class TestStreamsThatAreMended:
    """The answer is kept and the conversation goes on; what was not reported is unknown, and so is its price."""

    @pytest.mark.parametrize(("body", "tokens"), MENDED.values(), ids=MENDED)
    def test_a_reply_with_something_missing_is_kept(self, body, tokens, capsys):
        body = [chunk.replace(b"local-lm", b"claude-haiku-5-5") for chunk in body]
        chat = local(*body)
        chat.display = True
        message = chat.send("hi")
        assert (words(message), message.stop_reason) == ("Hello", "end_turn")
        row = chat.frame().astype(object).iloc[0]
        assert (row["input_tokens"], row["output_tokens"]) == tokens
        assert (row["cost_usd"] is None) == (None in tokens)
        shown = capsys.readouterr().out
        assert shown.startswith("Hello\n")
        assert ("price unknown" in shown) == (None in tokens)
        chat._client = Replay(*body).client()
        assert words(chat.send("again")) == "Hello"

    @pytest.mark.parametrize(("body", "tokens"), MENDED.values(), ids=MENDED)
    def test_the_async_chat_does_the_same(self, body, tokens, run):
        chat = Chat(Replay(*body).async_client(), model="m", display=False)
        assert words(run(chat.asend("hi"))) == "Hello"

    def test_a_table_and_a_comparison_have_the_answer_and_an_unknown_price(self):
        body = [
            start(usage=None),
            OPEN,
            delta('{"value": 3}'),
            END,
            event("message_delta", delta={"stop_reason": "end_turn"}),
        ]
        body = [chunk.replace(b"local-lm", b"claude-haiku-5-5") for chunk in body]
        answer = compare("hi", models=["m"], client=Replay(*body).client())[0]
        assert (answer.error, answer.cost_usd) == (None, None)
        row = extract_many(["x"], int, client=Replay(*body).client(), model="m", quiet=True).iloc[0]
        assert (row["value"], row["error"], row["cost_usd"]) == (3, None, None)

    def test_a_usage_of_nothing_at_all_is_no_price(self, capsys):
        none = {"input_tokens": 0, "output_tokens": 0}
        body = [start(usage=none, model="claude-haiku-5-5"), *HELLO, ended(usage=none), STOP]
        chat = local(*body)
        chat.display = True
        chat.send("hi")
        assert "price unknown" in capsys.readouterr().out

    def test_two_answers_in_one_body_are_both_kept_in_their_order(self):
        message = local(start(), *HELLO, start(), OPEN, delta(" again"), END, ended(), STOP).send("hi")
        assert [block.text for block in message.content] == ["Hello", " again"]

    def test_a_limit_in_money_cannot_hold_where_no_price_is_known(self):
        body = [start(usage=None), *HELLO, ended("max_tokens"), STOP]
        chat = local(*[chunk.replace(b"local-lm", b"claude-haiku-5-5") for chunk in body], max_usd=1.0)
        with pytest.raises(LimitReached, match="price of claude-haiku-5-5 is unknown"):
            chat.send("hi", on_truncation="continue")


CHUNKS = b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n'


class TestWhatDoesNot:
    def test_a_stream_of_another_api_names_the_server_and_leaves_the_conversation_valid(self):
        chat = local(CHUNKS)
        with pytest.raises(BadStream, match="localhost"):
            chat.send("hi")
        chat._client = Replay(start(), *HELLO, ended(), STOP).client()
        assert words(chat.send("again")) == "Hello"

    def test_the_async_chat_does_the_same(self, run):
        chat = Chat(Replay(CHUNKS).async_client(base_url="http://localhost:8080"), model="m", display=False)
        with pytest.raises(BadStream, match="localhost"):
            run(chat.asend("hi"))

    @pytest.mark.parametrize(
        ("body", "kind"),
        [(b'{"type": "message"}', "application/json"), (b"<html>", "text/html"), (b"", "text/plain")],
    )
    def test_an_answer_that_is_no_stream_names_server_and_kind(self, body, kind):
        chat = local(body, headers={"content-type": kind})
        with pytest.raises(BadStream, match=f"localhost answered the stream request with {kind}"):
            chat.send("hi")
        assert len(chat.history) == 0

    @pytest.mark.parametrize(
        ("status", "body", "error", "says"),
        [
            (401, {"detail": "missing x-api-key"}, anthropic.AuthenticationError, "default_headers"),
            (
                404,
                {"detail": "Not Found"},
                anthropic.NotFoundError,
                "http://localhost:8080 has no /v1/messages here",
            ),
            (422, {"detail": [{"msg": "bad"}]}, anthropic.UnprocessableEntityError, None),
        ],
    )
    def test_error_bodies_of_its_own_keep_their_text_and_get_advice(self, status, body, error, says):
        with pytest.raises(error) as caught:
            local(json.dumps(body).encode(), status=status, headers=JSON).send("hi")
        notes = " ".join(caught.value.__notes__)
        assert says is None or says in notes
        assert "taken back" in notes
        assert "hunter2" not in notes

    def test_nobody_at_home_names_the_address(self):
        def refuse(request):
            raise httpx2.ConnectError("refused")

        http = anthropic.DefaultHttpxClient(transport=httpx2.MockTransport(refuse))
        client = anthropic.Anthropic(
            api_key="x", base_url="http://localhost:1", max_retries=0, http_client=http
        )
        with pytest.raises(anthropic.APIConnectionError) as caught:
            Chat(client, model="m", display=False).send("hi")
        assert "Nobody answered at http://localhost:1" in caught.value.__notes__[0]

    def test_anthropics_own_errors_get_no_such_advice(self):
        body = json.dumps(
            {"type": "error", "error": {"type": "authentication_error", "message": "no"}}
        ).encode()
        chat = Chat(Replay(body, status=401, headers=JSON).client(), display=False)
        with pytest.raises(anthropic.AuthenticationError) as caught:
            chat.send("hi")
        assert len(caught.value.__notes__) == 1

    def test_a_table_and_a_comparison_say_it_in_their_row(self):
        settings = {"base_url": "http://localhost:8080"}
        said = compare("hi", models=["m"], client=Replay(CHUNKS).client(**settings))[0].error
        assert "localhost answered the stream request" in said
        table = extract_many(["x"], int, client=Replay(CHUNKS).client(**settings), model="m", quiet=True)
        assert "localhost answered the stream request" in table["error"][0]
