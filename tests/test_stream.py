import asyncio
import io
import json
import operator
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import httpx2
import pytest
from recordings import expected, needs_recordings, streams
from replay import ASK, Replay

import claude_nb.stream as room
from claude_nb import Ledger, Sandbox, connect, connect_async, showing, watch, watch_async
from claude_nb.errors import BadStream, NotAStream, StreamConsumed
from claude_nb.sandbox import faults
from claude_nb.screens import Silent
from claude_nb.turn import Turn


def event(kind: str, **data) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


START = event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    },
)
OPEN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
END = event("content_block_stop", index=0)
STOP = event("message_stop")


def delta(words: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": words})


def done(reason: str = "end_turn", **usage) -> bytes:
    return event(
        "message_delta",
        delta={"stop_reason": reason, "stop_sequence": None},
        usage={"output_tokens": 7, **usage},
    )


WHOLE = [START, OPEN, delta("Hello "), delta("there"), END, done(), STOP]


def text_of(message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@needs_recordings
@pytest.mark.parametrize("namespace", ["sdk", "sdk_beta"])
@pytest.mark.parametrize("recording", streams(), ids=str)
def test_recorded_streams_are_shown_and_counted_as_the_sdk_does(recording, namespace, capsys):
    want = expected()[recording.name].get(namespace)
    if want is None:
        want = expected()[recording.name]["sdk"]  # beta gives the same here
    ledger = Ledger(":memory:")
    client = ledger.meter(Replay(recording.body).client(), simulated=False)
    messages = client.messages if namespace == "sdk" else client.beta.messages
    with messages.stream(**ASK) as stream:
        message = watch(stream)
    tools = [
        {key: block.to_dict()[key] for key in ("id", "input", "name", "type")}
        for block in message.content
        if block.type in ("tool_use", "server_tool_use", "mcp_tool_use")
    ]
    usage = {key: value for key, value in message.usage.to_dict().items() if value is not None}
    assert [block.type for block in message.content] == want["blocks"]
    assert text_of(message) == want["text"]
    assert message.stop_reason == want["stop_reason"]
    assert (message.id, message.model) == (want["id"], want["model"])
    assert usage == want["usage"]
    assert tools == want.get("tools", [])
    row = ledger.frame().iloc[0]
    counted = recording.counted(want["usage"])
    assert row.input_tokens == counted["input_tokens"]
    if want["stop_reason"] is not None:
        assert (row.stop_reason, row.output_tokens) == (want["stop_reason"], counted["output_tokens"])
    else:
        assert not row.usage_final


@needs_recordings
@pytest.mark.parametrize("recording", streams(), ids=str)
def test_what_is_shown_equals_the_final_message(recording):
    """The view's own folding and the SDK's accumulation come to the same blocks, texts and tool inputs."""
    turn, ops = Turn(), []
    with Replay(recording.body).client().messages.stream(**ASK) as stream:
        for each in stream:
            ops += turn.fold(each)
        message = stream.current_message_snapshot
    assert [block.type for block in turn.blocks] == [block.type for block in message.content]
    shown = ["" for _ in turn.blocks]
    for op in ops:
        if op[0] == "add":
            shown[op[1]] += op[2]
    for block, final, text in zip(turn.blocks, message.content, shown, strict=True):
        assert block.text == text
        if block.type in ("text", "thinking"):
            assert text == getattr(final, block.type)
        elif block.type == "tool_use" and block.done and recording.body.count(b"event: message_start") == 1:
            assert json.loads(text or "{}") == final.input
    assert turn.stop_reason == message.stop_reason


@pytest.fixture(params=["messages", "beta.messages"])
def namespace_of_client(request):
    return operator.attrgetter(request.param)


class TestWhatItTakes:
    def test_a_stream_that_was_not_opened_is_opened_and_closed(self):
        replay = Replay(*WHOLE)
        assert text_of(watch(replay.client().messages.stream(**ASK))) == "Hello there"
        assert replay.body.closed

    def test_a_raw_stream(self):
        assert text_of(watch(Replay(*WHOLE).client().messages.create(**ASK, stream=True))) == "Hello there"

    def test_the_rest_of_a_stream_that_was_read_in_part(self, capsys):
        with Replay(*WHOLE).client().messages.stream(**ASK) as stream:
            assert next(iter(stream.text_stream)) == "Hello "
            message = watch(stream)
        assert text_of(message) == "Hello there"
        assert capsys.readouterr().out.startswith("Hello there\n")

    @pytest.mark.parametrize("thing", [None, "text", 7, {"a": 1}, iter(())])
    def test_anything_else_is_refused_with_the_line_to_write(self, thing):
        with pytest.raises(
            NotAStream, match=r"with client.messages.stream\(...\) as stream: watch\(stream\)"
        ):
            watch(thing)

    def test_a_message_is_pointed_to_show(self):
        message = watch(Replay(*WHOLE).client().messages.stream(**ASK))
        with pytest.raises(NotAStream, match=r"show\(message\)"):
            watch(message)

    @pytest.mark.filterwarnings(
        "ignore:coroutine .* was never awaited"
    )  # the SDK's, of the call that is refused
    def test_an_async_stream_is_pointed_to_watch_async(self):
        with pytest.raises(NotAStream, match=r"await watch_async"):
            watch(Replay(*WHOLE).async_client().messages.stream(**ASK))

    def test_a_sync_stream_is_pointed_to_watch(self, run):
        with pytest.raises(NotAStream, match=r"use watch\(stream\)"):
            run(watch_async(Replay(*WHOLE).client().messages.stream(**ASK)))

    @pytest.mark.parametrize("how", ["read", "closed", "raw read"])
    def test_a_stream_that_is_over_is_refused(self, how):
        client = Replay(*WHOLE).client()
        if how == "raw read":
            stream = client.messages.create(**ASK, stream=True)
            list(stream)
        else:
            stream = client.messages.stream(**ASK).__enter__()
            stream.until_done() if how == "read" else stream.close()
        with pytest.raises(StreamConsumed, match="can be read once"):
            watch(stream)

    def test_a_stream_that_was_watched_is_not_sent_again(self, namespace_of_client):
        sandbox = Sandbox()
        messages = namespace_of_client(connect(sandbox=sandbox, ledger=False, quiet=True))
        stream = messages.stream(**ASK)
        watch(stream)
        with pytest.raises(StreamConsumed, match="make a new call"):
            watch(stream)
        assert len(sandbox.requests) == 1

    def test_a_stream_whose_request_failed_can_be_tried_again(self):
        sandbox = Sandbox(faults=[faults.overloaded(at=1)])
        stream = connect(sandbox=sandbox, ledger=False, quiet=True, max_retries=0).messages.stream(**ASK)
        with pytest.raises(anthropic.OverloadedError):
            watch(stream)
        assert watch(stream).stop_reason == "max_tokens"


class TestAsync:
    def test_a_stream_that_was_watched_is_not_sent_again(self, namespace_of_client, run):
        sandbox = Sandbox()

        async def go():
            messages = namespace_of_client(connect_async(sandbox=sandbox, ledger=False, quiet=True))
            stream = messages.stream(**ASK)
            await watch_async(stream)
            with pytest.raises(StreamConsumed, match="make a new call"):
                await watch_async(stream)

        run(go())
        assert len(sandbox.requests) == 1

    def test_it_gives_the_same_message(self, run):
        async def go():
            async with Replay(*WHOLE).async_client().messages.stream(**ASK) as stream:
                return await watch_async(stream)

        assert text_of(run(go())) == "Hello there"

    def test_streams_that_were_not_opened_and_raw_ones(self, run):
        async def go():
            first = await watch_async(Replay(*WHOLE).async_client().messages.stream(**ASK))
            raw = await Replay(*WHOLE).async_client().messages.create(**ASK, stream=True)
            return first, await watch_async(raw)

        assert [text_of(message) for message in run(go())] == ["Hello there"] * 2

    def test_cancelling_keeps_the_partial_text_on_screen_and_stays_cancelled(self, run, capsys):
        async def go():
            client = connect_async(sandbox=Sandbox(pace="20 tok/s"), ledger=False, quiet=True)
            task = asyncio.create_task(watch_async(client.messages.stream(**ASK)))
            await asyncio.sleep(0.6)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(go())
        assert "interrupted" in capsys.readouterr().out


class TestFailures:
    @pytest.mark.parametrize(
        ("broken", "raises", "says"),
        [
            ([httpx2.ReadError("reset")], httpx2.ReadError, "connection lost"),
            ([httpx2.ReadTimeout("slow")], httpx2.ReadTimeout, "went silent"),
            (
                [event("error", error={"type": "overloaded_error", "message": "Overloaded"})],
                anthropic.APIStatusError,
                "overloaded error: Overloaded",
            ),
            ([b"event: content_block_delta\ndata: {oops\n\n"], json.JSONDecodeError, "damaged data"),
            ([KeyboardInterrupt()], KeyboardInterrupt, "interrupted"),
        ],
    )
    def test_the_partial_text_stays_and_the_original_error_is_raised(self, broken, raises, says, capsys):
        replay = Replay(START, OPEN, delta("Hello"), *broken)
        with pytest.raises(raises), replay.client().messages.stream(**ASK) as stream:
            watch(stream)
        out = capsys.readouterr().out
        assert out.startswith("Hello\n[")
        assert says in out
        assert replay.body.closed

    def test_a_stream_that_ends_early_gives_a_message_without_stop_reason_marked_interrupted(self, capsys):
        message = watch(Replay(START, OPEN, delta("Hello")).client().messages.stream(**ASK))
        assert (text_of(message), message.stop_reason) == ("Hello", None)
        assert "interrupted" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            ([b""], {"content-type": "text/event-stream"}),
            ([b'{"type": "message", "content": []}'], {"content-type": "application/json"}),
            ([b"<html>hello</html>"], {"content-type": "text/html"}),
            ([OPEN, delta("lost")], {"content-type": "text/event-stream"}),
        ],
    )
    def test_an_answer_that_is_no_stream_of_messages_names_server_and_cause(self, body, headers):
        client = Replay(*body, headers=headers).client(base_url="http://gateway.test")
        with pytest.raises(BadStream, match=rf"gateway.test .*{headers['content-type']}.*base_url"):
            watch(client.messages.stream(**ASK))

    def test_two_answers_in_one_body_are_told(self, capsys):
        message = watch(Replay(*WHOLE, *WHOLE).client().messages.stream(**ASK))
        assert text_of(message) == "Hello thereHello there"
        assert "The server sent 2 replies as one" in capsys.readouterr().out

    def test_events_of_unknown_kind_and_deltas_of_unknown_blocks_are_harmless(self):
        odd = event("content_block_delta", index=0, delta={"type": "brand_new", "x": 1})
        body = [START, OPEN, event("brand_new", x=1), odd, delta("ok"), END, done(), STOP]
        assert text_of(watch(Replay(*body).client().messages.stream(**ASK))) == "ok"


class TestInATerminal:
    def test_text_footer_and_no_colours_into_a_pipe(self, capsys):
        watch(Replay(*WHOLE).client().messages.stream(**ASK))
        out = capsys.readouterr().out
        assert out.startswith(
            "Hello there\n[finished · 10 tokens in, 7 out · $0.0000045 · 0.0 s to first token, "
        )
        assert "\033" not in out

    def test_control_characters_are_shown_and_not_obeyed(self, capsys):
        watch(Replay(START, OPEN, delta("\x1b[2Jgone\r"), END, done(), STOP).client().messages.stream(**ASK))
        assert capsys.readouterr().out.startswith("\\x1b[2Jgone\\x0d\n")

    @pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "é\\ud83d"), ("ascii", "\\xe9\\ud83d")])
    def test_what_the_terminal_cannot_write_does_not_end_the_reply(self, monkeypatch, encoding, shown):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr("sys.stdout", out)
        half = delta("é\ud83d")
        assert watch(Replay(START, OPEN, half, END, done(), STOP).client().messages.stream(**ASK)).stop_reason
        assert out.buffer.getvalue().decode(encoding).startswith(f"{shown}\n[finished")

    def test_display_false_prints_nothing(self, capsys):
        watch(Replay(*WHOLE).client().messages.stream(**ASK), display=False)
        assert capsys.readouterr().out == ""

    def test_hidden_thinking_is_said_to_be_hidden(self, capsys):
        watch(
            connect(mode="sandbox", ledger=False, quiet=True).messages.stream(**{**ASK, "max_tokens": 2000})
        )
        assert "[thinking] hidden by the model\n" in capsys.readouterr().out


class TestStop:
    def test_a_stop_ends_the_stream_within_half_a_second_and_returns_the_partial_message(self, monkeypatch):
        """The stop comes from another thread while the server is silent, as the button's does."""

        class Screen(Silent):
            def begin(self):
                threading.Timer(0.2, lambda: self.stop()).start()

        monkeypatch.setattr(showing, "screen_here", Screen)
        silence = threading.Event()
        replay = Replay(
            START, OPEN, delta("Hello"), lambda: silence.wait(0.4), delta(" never"), END, done(), STOP
        )
        message = watch(replay.client().messages.stream(**ASK))
        assert (text_of(message), message.stop_reason) == ("Hello", None)
        assert replay.body.closed

    def test_a_stop_wakes_who_waits_for_a_silent_server_on_a_real_connection(self):
        """Closing a socket does not wake its reader; the server sees that the line is gone."""
        gone = threading.Event()

        class Silence(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                self.wfile.write(START + OPEN + delta("Hello"))
                if self.rfile.read(1) == b"":
                    gone.set()

            def log_message(self, *_):
                pass

        class Pressed(Silent):
            def draw(self, ops):
                threading.Timer(0.1, lambda: self.stop()).start()

        server = ThreadingHTTPServer(("127.0.0.1", 0), Silence)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = anthropic.Anthropic(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}")
        readings = []

        def read():
            with client.messages.stream(**ASK) as stream:
                readings.append(room.read(stream, screen=Pressed()))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(10)
        server.shutdown()
        assert not reader.is_alive()
        assert gone.wait(5)
        (reading,) = readings
        assert (text_of(reading.message), reading.message.stop_reason, reading.error) == ("Hello", None, None)

    def test_an_async_stop_does_not_cancel_the_cell(self, monkeypatch, run):
        class Screen(Silent):
            def begin(self):
                threading.Timer(0.3, lambda: self.stop()).start()

        monkeypatch.setattr(showing, "screen_here", Screen)

        async def go():
            client = connect_async(sandbox=Sandbox(pace="20 tok/s"), ledger=False, quiet=True)
            message = await watch_async(client.messages.stream(**ASK))
            await asyncio.sleep(0)  # would raise if the task were still being cancelled
            return message

        assert run(go()).stop_reason is None

    @pytest.mark.parametrize("pressed", [True, False])
    def test_an_interrupt_by_a_button_that_could_not_be_heard_is_a_stop(self, monkeypatch, pressed, run):
        class Screen(Silent):
            def stop_waits(self):
                return pressed

        monkeypatch.setattr(showing, "screen_here", Screen)
        body = [START, OPEN, delta("Hello"), KeyboardInterrupt()]
        if not pressed:
            with pytest.raises(KeyboardInterrupt):
                watch(Replay(*body).client().messages.stream(**ASK))
            return
        message = watch(Replay(*body).client().messages.stream(**ASK))
        assert (text_of(message), message.stop_reason) == ("Hello", None)


class TestAwaiting:
    def test_the_screen_follows_the_waiting_and_then_the_reply(self, monkeypatch):
        seen = []

        class Screen(Silent):
            def draw(self, ops):
                seen.extend(op[1]["phase"] for op in ops if op[0] == "state")

            def end(self, blocks, ending):
                seen.append(ending.state["phase"])

        monkeypatch.setattr(showing, "screen_here", Screen)
        client = connect(sandbox=Sandbox(faults=[faults.overloaded(at=1)]), quiet=True, ledger=False)
        with room.awaiting() as screen, client.messages.stream(**ASK) as stream:
            reading = room.read(stream, screen=screen)
        assert reading.message.stop_reason == "max_tokens"
        assert seen == ["connecting", "retrying", "connecting", "waiting", "thinking", "writing", "done"]

    def test_where_no_reply_begins_the_screen_is_taken_away(self, monkeypatch):
        gone = []

        class Screen(Silent):
            def cancel(self):
                gone.append(True)

        monkeypatch.setattr(showing, "screen_here", Screen)
        client = connect(
            sandbox=Sandbox(faults=[faults.overloaded()]), quiet=True, ledger=False, max_retries=0
        )
        with pytest.raises(anthropic.OverloadedError), room.awaiting() as screen:
            room.read(client.messages.stream(**ASK), screen=screen)
        assert gone == [True]

    def test_stop_interrupts_the_sleep_between_two_tries(self, monkeypatch):
        class Screen(Silent):
            def draw(self, ops):
                if ops[0][1]["phase"] == "retrying":
                    threading.Timer(0.2, lambda: self.stop()).start()

        monkeypatch.setattr(showing, "screen_here", Screen)
        client = connect(
            sandbox=Sandbox(faults=[faults.overloaded(retry_after=30)]), quiet=True, ledger=False
        )
        with pytest.raises(KeyboardInterrupt), room.awaiting() as screen:
            room.read(client.messages.stream(**ASK), screen=screen)

    def test_a_terminal_says_that_it_tries_again(self, capsys):
        client = connect(sandbox=Sandbox(faults=[faults.rate_limit(at=1)]), quiet=True, ledger=False)
        with room.awaiting() as screen, client.messages.stream(**ASK) as stream:
            room.read(stream, screen=screen)
        assert capsys.readouterr().out.startswith("[rate limit: trying again at once (try 2)]\n[thinking]")


@pytest.mark.parametrize("usage", [{"input_tokens": None}, {}])
def test_usage_a_server_did_not_report_is_unknown_and_never_zero(usage, capsys):
    start = START.replace(b'"usage": {"input_tokens": 10, "output_tokens": 1}', b'"usage": {}')
    ending = event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
    watch(Replay(start, OPEN, delta("x"), END, ending, STOP).client().messages.stream(**ASK))
    out = capsys.readouterr().out
    assert "unknown tokens in, unknown out" in out
    assert "$0" not in out
