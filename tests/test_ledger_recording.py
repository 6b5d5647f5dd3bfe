"""The recorder: what each way of calling, and each way of failing, leaves in the ledger."""

import asyncio
import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import anthropic
import httpx2
import pydantic
import pytest
from anthropic.lib.middleware import BetaRefusalFallbackMiddleware
from ledger_server import (
    MODEL,
    REQUEST,
    Reply,
    delta,
    event,
    message,
    serving,
    sse,
    start,
    stream,
    text,
    zipped,
)

from claude_nb.errors import LedgerError
from claude_nb.ledger import Ledger, label
from claude_nb.models import SANDBOX_HEADER

KEY = "sk-ant-api03-not-a-real-key"
COST = Decimal("0.000011")  # 25 in at $0.10 and 17 out at $0.50 per million
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
LIMITED = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}


@pytest.fixture
def ledger():
    return Ledger(":memory:")


def client_of(server, ledger, cls=anthropic.Anthropic, **options):
    url = server if isinstance(server, str) else server.url
    return ledger.meter(cls(api_key=KEY, base_url=url, **{"max_retries": 0, "timeout": 5, **options}))


def only_row(ledger):
    frame = ledger.frame()
    assert len(frame) == 1
    return frame.iloc[0]


def tokens(row):
    return int(row["input_tokens"]), int(row["output_tokens"])


# ---- every way of calling


def test_create_is_recorded_with_its_exact_cost(ledger):
    with serving(Reply(message())) as server:
        client_of(server, ledger).messages.create(**REQUEST)
    row = only_row(ledger)
    assert (row["outcome"], row["stop_reason"], row["model"], tokens(row)) == (
        "ok",
        "end_turn",
        MODEL,
        (25, 17),
    )
    assert (row["request_id"], row["status"], row["message_id"]) == ("req_1", 200, "msg_1")
    assert ledger.total().usd == COST


@pytest.mark.parametrize("how", ["raw events", "helper", "text_stream"])
def test_a_stream_read_to_its_end_has_its_final_usage(ledger, how):
    with serving(sse()) as server:
        client = client_of(server, ledger)
        if how == "raw events":
            list(client.messages.create(**REQUEST, stream=True))
        else:
            with client.messages.stream(**REQUEST) as opened:
                _ = list(opened.text_stream) if how == "text_stream" else opened.get_final_message()
    assert (only_row(ledger)["outcome"], tokens(only_row(ledger))) == ("ok", (25, 17))
    assert ledger.total().usd == COST


@pytest.mark.parametrize(
    ("first", "last", "known"),
    [
        ({"input_tokens": 3, "output_tokens": 0}, None, (3, None)),
        ({"input_tokens": 3, "output_tokens": 1}, {"input_tokens": 3}, (3, None)),
        ({"output_tokens": 0}, {"output_tokens": 7}, (None, 7)),
    ],
)
def test_counts_that_a_gateway_never_reports_are_unknown_and_so_is_the_price(ledger, first, last, known):
    """The first event's output is a placeholder; where nothing replaces it, it is no count."""
    ending = event("message_delta", delta={"stop_reason": "end_turn"}, **({"usage": last} if last else {}))
    with serving(Reply(chunks=[start(first), *text("Hi"), ending])) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    row, unknown = only_row(ledger), ledger.frame().iloc[0].isna()
    for name, count in zip(("input_tokens", "output_tokens"), known, strict=True):
        assert unknown[name] if count is None else row[name] == count
    assert row["outcome"] == "ok"
    assert unknown["cost_usd"]
    total = ledger.total()
    assert total.unfinished + total.unpriced == 1


def test_message_start_and_message_delta_are_not_added(ledger):
    """Delta usage is cumulative: of two deltas the last wins."""
    chunks = [
        start(),
        *text("Hi"),
        delta({"output_tokens": 5}, None),
        delta({"output_tokens": 17, "input_tokens": 30}),
    ]
    with serving(Reply(chunks=chunks)) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    assert tokens(only_row(ledger)) == (30, 17)


def test_fields_missing_from_the_delta_keep_what_the_start_said(ledger):
    usage = {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 40,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "service_tier": "standard",
        "speed": "standard",
        "inference_geo": "us",
    }
    with serving(Reply(chunks=list(stream(usage=usage)))) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    row = only_row(ledger)
    assert row["ephemeral_5m_input_tokens"] == 100
    assert row["ephemeral_1h_input_tokens"] == 200
    assert row["cache_creation_input_tokens"] == 300
    assert row["cache_read_input_tokens"] == 40
    assert (row["inference_geo"], row["speed"], row["service_tier"]) == ("us", "standard", "standard")


def test_a_null_in_the_delta_is_no_news(ledger):
    final = {"output_tokens": 17, "input_tokens": None, "cache_read_input_tokens": None}
    usage = {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 40}
    with serving(Reply(chunks=list(stream(usage=usage, final=final)))) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    assert tokens(only_row(ledger)) == (25, 17)
    assert only_row(ledger)["cache_read_input_tokens"] == 40


def test_a_cache_write_that_grew_in_the_delta_is_booked_as_five_minutes_and_flagged(ledger):
    usage = {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_creation_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100},
    }
    final = {"output_tokens": 17, "cache_creation_input_tokens": 150}
    with serving(Reply(chunks=list(stream(usage=usage, final=final)))) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    row = only_row(ledger)
    assert (row["ephemeral_5m_input_tokens"], row["ephemeral_1h_input_tokens"]) == (50, 100)
    assert "counts as 5m" in row["note"]


def test_async_create_and_stream(ledger):
    async def calls(server):
        client = client_of(server, ledger, anthropic.AsyncAnthropic)
        async with client.messages.stream(**REQUEST) as opened:
            await opened.get_final_message()
        async for _ in await client.messages.create(**REQUEST, stream=True):
            pass

    with serving(sse()) as server:
        asyncio.run(calls(server))
    assert list(ledger.frame()["outcome"]) == ["ok", "ok"]
    assert ledger.total().usd == 2 * COST


@pytest.mark.parametrize("parsed", [True, False])
def test_with_raw_response_is_recorded_parsed_or_not(ledger, parsed):
    with serving(Reply(message())) as server:
        raw = client_of(server, ledger).messages.with_raw_response.create(**REQUEST)
        if parsed:
            assert raw.parse().usage.output_tokens == 17
    assert only_row(ledger)["outcome"] == "ok"


def test_with_streaming_response_read_line_by_line(ledger):
    with serving(sse()) as server:
        client = client_of(server, ledger)
        with client.messages.with_streaming_response.create(**REQUEST, stream=True) as response:
            lines = list(response.iter_lines())
    assert any("Hello" in line for line in lines)
    assert tokens(only_row(ledger)) == (25, 17)


def test_with_streaming_response_never_read_is_unknown_not_zero(ledger):
    with serving(Reply(message())) as server:
        client = client_of(server, ledger)
        with client.messages.with_streaming_response.create(**REQUEST):
            pass
    row = only_row(ledger)
    assert row["outcome"] == "aborted"
    assert not row["cost_usd"] >= 0  # NaN: unknown
    assert row["cost_high"] > 0


class Person(pydantic.BaseModel):
    name: str


@pytest.mark.parametrize(("said", "fails"), [('{"name": "Ada"}', False), ("not JSON", True)])
def test_parse_is_billed_whether_or_not_the_answer_parses(ledger, said, fails):
    with serving(Reply(message(content=[{"type": "text", "text": said}]))) as server:
        client = client_of(server, ledger)
        if fails:
            with pytest.raises(pydantic.ValidationError):
                client.messages.parse(**REQUEST, output_format=Person)
        else:
            assert client.messages.parse(**REQUEST, output_format=Person).parsed_output.name == "Ada"
    assert (only_row(ledger)["outcome"], ledger.total().usd) == ("ok", COST)


def test_count_tokens_is_recorded_and_free_and_no_spent_token(ledger):
    with serving(Reply({"input_tokens": 1234})) as server:
        client = client_of(server, ledger)
        client.messages.count_tokens(model=MODEL, messages=REQUEST["messages"])
    row = only_row(ledger)
    assert (row["op"], row["input_tokens"], row["cost_usd"]) == ("count_tokens", 1234, 0.0)
    total = ledger.total()
    assert (total.calls, total.tokens["input_tokens"], str(total)) == (0, 0, "$0.00")


@pytest.mark.parametrize("streamed", [False, True])
def test_the_tool_runner_leaves_one_row_per_turn(ledger, streamed):
    @anthropic.beta_tool
    def add(a: int, b: int) -> str:
        """Add two numbers.

        Args:
            a: One.
            b: The other.
        """
        return str(a + b)

    use = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": 2}}
    piece = {"type": "input_json_delta", "partial_json": '{"a": 1, "b": 2}'}
    first = [
        start(),
        event("content_block_start", index=0, content_block={**use, "input": {}}),
        event("content_block_delta", index=0, delta=piece),
        event("content_block_stop", index=0),
        delta(stop_reason="tool_use"),
        event("message_stop"),
    ]
    replies = (
        [Reply(chunks=first), sse()]
        if streamed
        else [Reply(message(content=[use], stop_reason="tool_use")), Reply(message())]
    )
    with serving(*replies) as server:
        runner = client_of(server, ledger).beta.messages.tool_runner(
            **REQUEST, tools=[add], stream=streamed, thread=False
        )
        for turn in runner:
            if streamed:
                turn.get_final_message()
    assert list(ledger.frame()["stop_reason"]) == ["tool_use", "end_turn"]


def batch_results():
    good = {
        "custom_id": "a",
        "result": {
            "type": "succeeded",
            "message": message({"input_tokens": 1000, "output_tokens": 100, "service_tier": "batch"}),
        },
    }
    other = {
        "custom_id": "b",
        "result": {
            "type": "succeeded",
            "message": message({"input_tokens": 1000, "output_tokens": 100}, message_id="msg_2"),
        },
    }
    bad = {"custom_id": "c", "result": {"type": "errored", "error": OVERLOADED}}
    return [json.dumps(item).encode() + b"\n" for item in (good, other, bad)]


def test_batch_results_are_half_price_per_item_and_fetching_them_again_adds_nothing(ledger):
    about = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended"}
    rows = Reply(chunks=batch_results(), headers={"content-type": "application/x-jsonl"})
    with serving(Reply(about)) as server:
        about["results_url"] = f"{server.url}/v1/messages/batches/msgbatch_1/results"
        server.replies = [Reply(about), rows, Reply(about), rows]
        client = client_of(server, ledger)
        for _ in range(2):
            assert len(list(client.messages.batches.results("msgbatch_1"))) == 3
    items = ledger.frame().query("op == 'batch_item'")
    assert list(items["message_id"]) == ["msg_1", "msg_2"]
    assert ledger.total().usd == 2 * Decimal("0.000075")  # half of 1,000 in and 100 out


# ---- every way of ending early


def test_a_stream_left_early_is_an_interval_with_its_input_exact(ledger):
    with serving(Reply(chunks=list(stream(*["word " * 20] * 50)), pause=0.01)) as server:
        client = client_of(server, ledger)
        with client.messages.stream(**REQUEST) as opened:
            for number, _ in enumerate(opened.text_stream):
                if number == 3:
                    break
    row = only_row(ledger)
    assert (row["outcome"], row["input_tokens"], row["usage_final"]) == ("aborted", 25, False)
    assert row["streamed_chars"] >= 300
    assert 25e-7 < row["cost_low"] < row["cost_high"]
    assert row["cost_high"] == pytest.approx(25e-7 / 25 + 500 * 5e-7, rel=0.05)
    assert "unfinished" in str(ledger.total())


def test_a_stream_dropped_without_closing_is_settled_by_the_garbage_collector(ledger):
    with serving(Reply(chunks=list(stream(*["word"] * 50)), pause=0.01)) as server:
        client = client_of(server, ledger)
        opened = client.messages.create(**REQUEST, stream=True)
        next(iter(opened))
        del opened
        gc.collect()
    assert only_row(ledger)["outcome"] == "aborted"


def test_a_stream_never_iterated_is_unknown_but_bounded(ledger):
    with serving(sse()) as server:
        client_of(server, ledger).messages.create(**REQUEST, stream=True).close()
    row = only_row(ledger)
    assert row["outcome"] == "aborted"
    assert row["cost_low"] == 0
    assert row["cost_high"] > 0


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_the_callers_exception_passes_unchanged(ledger, error):
    def read(client):
        with client.messages.stream(**REQUEST) as opened:
            for _ in opened:
                raise error("mine")

    with (
        serving(Reply(chunks=list(stream(*["word"] * 50)), pause=0.01)) as server,
        pytest.raises(error, match="mine"),
    ):
        read(client_of(server, ledger))
    assert only_row(ledger)["outcome"] == "aborted"


def test_an_async_task_cancelled_in_the_middle(ledger):
    async def read(server):
        client = client_of(server, ledger, anthropic.AsyncAnthropic)
        async with asyncio.timeout(0.3), client.messages.stream(**REQUEST) as opened:
            async for _ in opened:
                pass

    with (
        serving(Reply(chunks=list(stream(*["word"] * 100)), pause=0.02)) as server,
        pytest.raises(TimeoutError),
    ):
        asyncio.run(read(server))
    row = only_row(ledger)
    assert (row["outcome"], row["input_tokens"]) == ("aborted", 25)


def test_an_async_task_cancelled_before_the_headers_may_have_been_billed(ledger):
    async def call(server):
        async with asyncio.timeout(0.2):
            await client_of(server, ledger, anthropic.AsyncAnthropic).messages.create(**REQUEST)

    with serving(Reply(message(), hang=1)) as server, pytest.raises(TimeoutError):
        asyncio.run(call(server))
    row = only_row(ledger)
    assert row["outcome"] == "no_response"
    assert row["cost_low"] == 0
    assert row["cost_high"] > 0


def test_a_server_that_drops_the_connection(ledger):
    chunks = [start(), *text("Hello")]
    with serving(Reply(chunks=chunks, drop=True)) as server, pytest.raises(httpx2.HTTPError):
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    row = only_row(ledger)
    assert (row["outcome"], row["input_tokens"]) == ("dropped_by_server", 25)


def test_an_error_event_inside_a_stream(ledger):
    chunks = [start(), *text("Hello"), b"event: error\ndata: " + json.dumps(OVERLOADED).encode() + b"\n\n"]
    with serving(Reply(chunks=chunks)) as server, pytest.raises(anthropic.APIStatusError):
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    row = only_row(ledger)
    assert (row["outcome"], row["error"]) == ("stream_error", "overloaded_error: Overloaded")


def test_a_stream_that_ends_without_message_delta_is_truncated(ledger):
    with serving(Reply(chunks=[start(), *text("Hello")])) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    assert only_row(ledger)["outcome"] == "truncated"
    assert ledger.total().unfinished == 1


def test_a_last_event_without_its_blank_line_still_counts(ledger):
    chunks = [start(), *text("Hello"), delta().rstrip(b"\n")]
    with serving(Reply(chunks=chunks)) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    assert tokens(only_row(ledger)) == (25, 17)


def test_an_answer_that_is_no_message_is_unparsed_and_unknown(ledger):
    with serving(Reply(b"<html>proxy login</html>", headers={"content-type": "text/html"})) as server:
        client = client_of(server, ledger)
        client.messages.create(**REQUEST)
    assert only_row(ledger)["outcome"] == "unparsed"
    assert ledger.total().unfinished == 1


# ---- retries and errors: a row an attempt


@pytest.mark.parametrize("streamed", [False, True])
def test_a_retried_call_is_one_call_of_two_attempts(ledger, streamed):
    limited = Reply(LIMITED, status=429, headers={"retry-after-ms": "1"})
    with serving(limited, sse() if streamed else Reply(message())) as server:
        answer = client_of(server, ledger, max_retries=2).messages.create(**REQUEST, stream=streamed)
        _ = list(answer) if streamed else None
    frame = ledger.frame()
    assert list(frame["outcome"]) == ["http_error", "ok"]
    assert list(frame["attempt"]) == [0, 1]
    assert frame["call_id"].nunique() == 1
    total = ledger.total()
    assert (total.calls, total.attempts, total.usd, total.unfinished) == (1, 2, COST, 0)
    assert list(ledger.by("model")["calls"]) == [1]
    assert dict(ledger.by("outcome")["calls"]) == {"ok": 1, "http_error": 1}


def test_three_overloads_and_a_bad_request_cost_nothing(ledger):
    overloaded = Reply(OVERLOADED, status=529, headers={"retry-after-ms": "1"})
    bad = Reply({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, status=400)
    with serving(overloaded, overloaded, overloaded, bad) as server:
        client = client_of(server, ledger, max_retries=2)
        with pytest.raises(anthropic.APIStatusError):
            client.messages.create(**REQUEST)
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(**REQUEST, stream=True)
    assert list(ledger.frame()["status"]) == [529, 529, 529, 400]
    assert list(ledger.frame()["cost_high"]) == [0, 0, 0, 0]
    assert str(ledger.total()) == "$0.00"


def test_a_connection_refused_costs_nothing_a_read_timeout_may_have(ledger):
    with serving(Reply(message(), hang=1)) as server:
        with pytest.raises(anthropic.APITimeoutError):
            client_of(server, ledger, timeout=0.2).messages.create(**REQUEST)
        url = server.url
    with pytest.raises(anthropic.APIConnectionError):
        client_of(url, ledger).messages.create(**REQUEST)
    frame = ledger.frame()
    assert list(frame["outcome"]) == ["no_response", "no_response"]
    assert frame["cost_high"][0] > 0
    assert frame["cost_high"][1] == 0


def test_a_missing_credential_is_not_sent(ledger, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    client = ledger.meter(anthropic.Anthropic(base_url="http://127.0.0.1:1", max_retries=0))
    with pytest.raises(TypeError):
        client.messages.create(**REQUEST)
    assert only_row(ledger)["outcome"] == "no_response"


# ---- encodings and transports


@pytest.mark.parametrize("streamed", [False, True])
def test_gzip_is_inflated_for_the_recorder_only(ledger, streamed):
    with serving(zipped(sse() if streamed else Reply(message()))) as server:
        answer = client_of(server, ledger).messages.create(**REQUEST, stream=streamed)
        _ = list(answer) if streamed else None
    assert tokens(only_row(ledger)) == (25, 17)


def test_gzip_cut_off_keeps_what_arrived(ledger):
    reply = zipped(Reply(chunks=list(stream(*[f"word {n} " for n in range(300)]))))
    reply.chunks = reply.chunks[:-8]
    reply.drop = True
    with serving(reply) as server, pytest.raises(httpx2.HTTPError):
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    row = only_row(ledger)
    assert (row["outcome"], row["input_tokens"]) == ("dropped_by_server", 25)
    assert row["streamed_chars"] > 0


@pytest.mark.parametrize("content", [b"".join(stream()), list(stream())], ids=["bytes", "generator"])
def test_a_mock_transport_with_its_body_ready_or_not(ledger, content):
    def answer(_request):
        body = content if isinstance(content, bytes) else iter(content)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = ledger.meter(anthropic.Anthropic(api_key=KEY, http_client=http))
    list(client.messages.create(**REQUEST, stream=True))
    assert tokens(only_row(ledger)) == (25, 17)


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_any_chunking_and_line_ending_is_read_alike(ledger, size):
    raw = b"".join(stream("Hello", " there")).replace(b"\n", b"\r\n")
    with serving(Reply(chunks=[raw[at : at + size] for at in range(0, len(raw), size)])) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    row = only_row(ledger)
    assert (tokens(row), row["streamed_chars"]) == ((25, 17), len("Hello there"))


def test_elapsed_of_the_response_still_works(ledger):
    with serving(sse()) as server:
        client = client_of(server, ledger)
        with client.messages.with_streaming_response.create(**REQUEST, stream=True) as response:
            list(response.iter_lines())
            assert response.http_response.elapsed.total_seconds() >= 0


# ---- several meters, other middleware, threads


def test_metering_twice_records_once(ledger):
    with serving(Reply(message())) as server:
        client = ledger.meter(client_of(server, ledger))
        client.messages.create(**REQUEST)
        doubled = anthropic.Anthropic(api_key=KEY, base_url=server.url, middleware=[ledger.middleware()] * 2)
        doubled.messages.create(**REQUEST)
    assert list(ledger.frame()["outcome"]) == ["ok", "ok"]


def test_two_ledgers_each_record(ledger):
    other = Ledger(":memory:")
    with serving(Reply(message())) as server:
        other.meter(client_of(server, ledger)).messages.create(**REQUEST)
    assert (len(ledger.frame()), len(other.frame())) == (1, 1)


def test_the_given_client_stays_as_it_was_and_the_class_is_kept(ledger):
    class Mine(anthropic.Anthropic):
        pass

    client = Mine(api_key=KEY)
    assert type(ledger.meter(client)) is Mine
    assert client.middleware == ()


def test_both_hops_of_a_refusal_fallback_are_recorded(ledger):
    refused = message({"input_tokens": 25, "output_tokens": 0}, content=[], stop_reason="refusal")
    refused |= {"stop_details": {"type": "refusal", "category": "cyber", "explanation": None}}
    with serving(Reply(refused), Reply(message(model="claude-opus-5-5", message_id="msg_2"))) as server:
        outer = BetaRefusalFallbackMiddleware([{"model": "claude-opus-5-5"}])
        client = anthropic.Anthropic(api_key=KEY, base_url=server.url, middleware=[outer])
        ledger.meter(client).beta.messages.create(**REQUEST)
    frame = ledger.frame()
    assert list(frame["stop_reason"]) == ["refusal", "end_turn"]
    assert frame["cost_usd"][0] == 0
    assert frame["cost_usd"][1] > 0


def test_an_answer_from_another_middleware_costs_nothing(ledger):
    def cache(_request, _call_next):
        return anthropic.types.Message.model_validate(message())

    outside = anthropic.Anthropic(api_key=KEY, middleware=[cache, ledger.middleware()])
    outside.messages.create(**REQUEST)
    assert ledger.frame().empty
    inside = anthropic.Anthropic(api_key=KEY, middleware=[ledger.middleware(), cache])
    with pytest.warns(RuntimeWarning, match="behind the ledger's meter"):
        inside.messages.create(**REQUEST)
    assert str(ledger.total()) == "$0.00"


def test_a_middleware_behind_the_meter_is_named_once_and_in_its_rows(ledger, run):
    """A fallback added behind it sends requests of its own, which nobody counts."""

    def again(request, call_next):
        call_next(request)
        return call_next(request)

    async def again_async(request, call_next):
        await call_next(request)
        return await call_next(request)

    with serving(Reply(message())) as server:
        client = client_of(server, ledger).with_middleware(again)
        with pytest.warns(RuntimeWarning, match=r"Meter last: client = ledger\.meter\(client\)") as said:
            _ = [client.messages.create(**REQUEST) for _ in range(2)]
        assert len(said) == 1
        assert ledger.frame()["note"].str.contains("behind").tolist() == [True, True]
        ledger.meter(client).messages.create(**REQUEST)
        assert ledger.frame()["note"].isna().tolist() == [False, False, True, True]

        async def scenario():
            behind = anthropic.AsyncAnthropic(
                api_key=KEY, base_url=server.url, middleware=[Ledger(":memory:").middleware(), again_async]
            )
            await behind.messages.create(**REQUEST)

        with pytest.warns(RuntimeWarning, match="behind"):
            run(scenario())


def test_twenty_threads_leave_twenty_rows_with_their_tags(ledger):
    with serving(sse()) as server:
        client = client_of(server, ledger)

        def call(_number):
            with client.messages.stream(**REQUEST) as opened:
                opened.until_done()

        with ledger.tag("crowd"), ThreadPoolExecutor(20) as pool:
            list(pool.map(call, range(20)))
    frame = ledger.frame()
    assert list(frame["outcome"]) == ["ok"] * 20
    assert set(frame["tags"]) == {("crowd",)}
    assert ledger.by("tag").loc["crowd", "calls"] == 20


def test_gathered_tasks_keep_their_own_labels(ledger):
    async def call(client, name):
        with label(conversation=name):
            await asyncio.sleep(0.01)
            await client.messages.create(**REQUEST)

    async def calls(server):
        client = client_of(server, ledger, anthropic.AsyncAnthropic)
        await asyncio.gather(*(call(client, f"c{number}") for number in range(8)))

    with serving(Reply(message())) as server:
        asyncio.run(calls(server))
    assert sorted(ledger.frame()["conversation"]) == [f"c{number}" for number in range(8)]


def test_a_worker_that_was_there_before_never_inherits_a_conversation(ledger):
    with serving(Reply(message())) as server, ThreadPoolExecutor(1) as pool:
        client = client_of(server, ledger)
        pool.submit(int).result()
        with label(conversation="main"):
            pool.submit(client.messages.create, **REQUEST).result()
    assert list(ledger.frame()["conversation"]) == [None]


def test_a_middleware_after_ours_that_fails_leaves_no_open_row(ledger):
    def broken(_request, _call_next):
        raise RuntimeError("theirs")

    client = ledger.meter(anthropic.Anthropic(api_key=KEY)).with_middleware(broken)
    with pytest.raises(RuntimeError, match="theirs"):
        client.messages.create(**REQUEST)
    assert only_row(ledger)["outcome"] == "no_response"


def test_only_a_client_of_the_sdk_can_be_metered(ledger):
    with pytest.raises(Exception, match="not a client of the SDK"):
        ledger.meter("client")


# ---- simulated, refusals, unknown


def test_a_simulated_call_is_marked_by_its_response_and_never_in_the_real_total(ledger):
    with serving(Reply(message(), headers={SANDBOX_HEADER: "1"}), Reply(message())) as server:
        client = client_of(server, ledger)
        client.messages.create(**REQUEST)
        client.messages.create(**REQUEST)
    assert (ledger.total().calls, ledger.total().usd) == (1, COST)
    assert str(ledger.total(simulated=True)) == "$0.000011 simulated, not billed (1 call)"
    assert list(ledger.frame()["simulated"]) == [True, False]


def test_a_sandbox_key_or_argument_marks_calls_that_never_answer(ledger):
    for client in (
        ledger.meter(anthropic.Anthropic(api_key="sandbox", base_url="http://127.0.0.1:1", max_retries=0)),
        ledger.meter(
            anthropic.Anthropic(api_key=KEY, base_url="http://127.0.0.1:1", max_retries=0), simulated=True
        ),
    ):
        with pytest.raises(anthropic.APIConnectionError):
            client.messages.create(**REQUEST)
    assert list(ledger.frame()["simulated"]) == [True, True]


@pytest.mark.parametrize(
    ("category", "content", "billed"),
    [
        ("cyber", [], False),
        (None, [{"type": "text", "text": ""}], False),
        ("general_harms", [], False),
        ("bio", [], True),
        ("frontier_llm", [], True),
        ("reasoning_extraction", [], True),
        ("cyber", [{"type": "text", "text": "Well"}], True),
    ],
)
def test_a_refusal_before_output_is_billed_only_in_some_categories(ledger, category, content, billed):
    details = {"type": "refusal", "category": category, "explanation": None}
    with serving(Reply(message(content=content, stop_reason="refusal", stop_details=details))) as server:
        client_of(server, ledger).messages.create(**REQUEST)
    assert ledger.total().usd == (COST if billed else 0)


@pytest.mark.parametrize(("piece", "billed"), [("", False), ("Well", True)])
def test_a_streamed_refusal_is_billed_only_after_output(ledger, piece, billed):
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    chunks = [start(), *text(piece), delta({"output_tokens": 17}, "refusal", stop_details=details)]
    with serving(Reply(chunks=chunks)) as server:
        list(client_of(server, ledger).messages.create(**REQUEST, stream=True))
    assert ledger.total().usd == (COST if billed else 0)
    assert ledger.total().unfinished == 0


def test_an_unknown_model_is_unpriced_not_free(ledger):
    with serving(Reply(message(model="smollm2-135m"))) as server:
        client_of(server, ledger).messages.create(**REQUEST)
    total = ledger.total()
    assert (total.unpriced, total.unfinished, str(total)) == (1, 0, "$0.00 (1 call unpriced)")


def test_a_usage_of_nothing_but_zeros_is_not_reported_rather_than_free(ledger):
    with serving(Reply(message({"input_tokens": 0, "output_tokens": 0}))) as server:
        client_of(server, ledger).messages.create(**REQUEST)
    assert ledger.total().unpriced == 1


def test_a_usage_of_nonsense_does_not_reach_the_caller(ledger):
    with serving(
        Reply(message({"input_tokens": "many", "output_tokens": -3, "cache_creation": 7}))
    ) as server:
        client_of(server, ledger).messages.create(**REQUEST)
    assert only_row(ledger)["outcome"] == "ok"
    assert ledger.total().unpriced == 1


def test_no_key_and_no_prompt_text_is_stored(ledger, tmp_path):
    path = tmp_path / "spend.db"
    body = {**REQUEST, "messages": [{"role": "user", "content": "my secret plan"}]}
    problem = {"type": "error", "error": {"type": "authentication_error", "message": f"bad key {KEY}"}}
    with serving(Reply(message()), Reply(problem, status=401)) as server:
        client = client_of(server, Ledger(path))
        client.messages.create(**body)
        with pytest.raises(anthropic.AuthenticationError):
            client.messages.create(**body)
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"sk-ant" not in stored
    assert b"secret plan" not in stored


def test_a_recorder_that_fails_is_silent_to_the_caller_and_shows_in_health(ledger, monkeypatch):
    def broken(*_args, **_options):
        raise RuntimeError("bug")

    monkeypatch.setattr("claude_nb.ledger.meter.opening_row", broken)
    with serving(Reply(message())) as server, pytest.warns(RuntimeWarning, match="could not record"):
        assert client_of(server, ledger).messages.create(**REQUEST).usage.output_tokens == 17
    health = ledger.health()
    assert not health.ok
    assert health.last_error == "RuntimeError: bug"


# ---- what other tools got wrong, and what the SDK does at its edges


def test_a_call_that_died_unanswered_and_was_retried_is_two_rows_one_of_them_open_ended(ledger):
    with serving(Reply(status=0), Reply(message())) as server:
        client_of(server, ledger, max_retries=1).messages.create(**REQUEST)
    frame = ledger.frame()
    assert list(frame["outcome"]) == ["no_response", "ok"]
    assert frame["cost_high"][0] > 0  # it was sent, and may have been billed
    assert frame["call_id"].nunique() == 1


def test_a_stream_that_stalls_is_dropped_by_the_server(ledger):
    with serving(Reply(chunks=list(stream(*["word"] * 20)), pause=0.5)) as server:
        client = client_of(server, ledger, timeout=0.2)
        with pytest.raises(httpx2.ReadTimeout):
            list(client.messages.create(**REQUEST, stream=True))
    assert (only_row(ledger)["outcome"], only_row(ledger)["input_tokens"]) == ("dropped_by_server", 25)


def test_closing_a_stream_from_another_thread_settles_it(ledger):
    with serving(Reply(chunks=list(stream(*["word"] * 200)), pause=0.02)) as server:
        opened = client_of(server, ledger).messages.create(**REQUEST, stream=True)
        timer = threading.Timer(0.2, opened.close)
        timer.start()
        with pytest.raises((httpx2.HTTPError, httpx2.StreamError, ValueError)):
            list(opened)
        timer.join()
    row = only_row(ledger)
    assert (row["outcome"] in ("aborted", "dropped_by_server"), row["input_tokens"]) == (True, 25)


def test_a_low_level_post_for_the_raw_response_is_recorded(ledger):
    with serving(Reply(message())) as server:
        client = client_of(server, ledger)
        raw = client.post("/v1/messages", body=REQUEST, cast_to=httpx2.Response)
    assert raw.json()["usage"]["output_tokens"] == 17
    assert (only_row(ledger)["outcome"], tokens(only_row(ledger))) == ("ok", (25, 17))


def test_other_endpoints_leave_no_row(ledger):
    with serving(Reply({"data": [], "has_more": False})) as server:
        client = client_of(server, ledger)
        client.models.list()
        client.messages.batches.list()
    assert ledger.frame().empty


def test_making_a_batch_costs_nothing_its_items_do(ledger):
    about = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"}
    with serving(Reply(about)) as server:
        client_of(server, ledger).messages.batches.create(requests=[{"custom_id": "a", "params": REQUEST}])
    assert (only_row(ledger)["op"], only_row(ledger)["cost_usd"]) == ("batches", 0)
    assert ledger.total().calls == 0


def test_the_five_token_classes_are_disjoint(ledger):
    usage = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 400,
        "output_tokens": 5_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens_details": {"thinking_tokens": 4_000},
    }
    with serving(Reply(message(usage))) as server:
        client_of(server, ledger).messages.create(**REQUEST)
    assert list(ledger.total().tokens.values()) == [1, 10, 20, 400, 5_000]
    assert only_row(ledger)["thinking_tokens"] == 4_000


def test_a_tier_is_decided_call_by_call_never_on_their_sum(ledger):
    with serving(Reply(message({"input_tokens": 60_000, "output_tokens": 0}))) as server:
        client = client_of(server, ledger)
        for _ in range(2):
            client.messages.create(**REQUEST)
    assert ledger.total().usd == Decimal("0.012")


def test_sums_are_exact_where_floats_are_not(ledger):
    with serving(Reply(message({"input_tokens": 1, "output_tokens": 0, "inference_geo": "us"}))) as server:
        client = client_of(server, ledger)
        for _ in range(30):
            client.messages.create(**REQUEST)
    assert ledger.total().usd == Decimal("0.0000033")


def test_days_are_utc_days(ledger):
    with serving(Reply(message())) as server:
        client = client_of(server, ledger)
        for _ in range(2):
            client.messages.create(**REQUEST)
    late = "2026-11-21T23:59:59.999999+00:00"
    with ledger._store.transaction() as connection:
        connection.exec_driver_sql("UPDATE claude_nb_attempts SET ts = ?", (late,))
    assert list(ledger.by("day").index) == ["2026-11-21"]
    assert str(ledger.frame()["ts"].dt.tz) == "UTC"


def test_a_cache_miss_reason_is_kept(ledger):
    miss = {"cache_miss_reason": {"type": "tools_changed", "cache_missed_input_tokens": 1_234}}
    with serving(Reply(message(diagnostics=miss))) as server:
        client_of(server, ledger).messages.create(**REQUEST)
    row = only_row(ledger)
    assert (row["cache_miss_reason"], row["cache_missed_input_tokens"]) == ("tools_changed", 1_234)


def test_an_empty_ledger_answers_every_question(ledger):
    assert str(ledger.total()) == "$0.00"
    assert str(ledger.total(simulated=True)) == "$0.00 simulated, not billed (0 calls)"
    assert ledger.by("model").empty
    assert ledger.frame().empty
    assert ledger.health().ok
    assert ledger.reprice() == 0
    assert ledger.leaks() == []


def test_a_group_whose_cost_is_unknown_is_not_a_group_that_cost_nothing(ledger):
    with serving(Reply(message(model="smollm")), Reply(message())) as server:
        client = client_of(server, ledger)
        for _ in range(2):
            client.messages.create(**REQUEST)
    table = ledger.by("model")
    assert list(table.index) == [MODEL, "smollm"]
    assert table["cost_usd"].isna().tolist() == [False, True]
    assert table.loc["smollm", "unpriced"] == 1


COMPACTED = {
    "input_tokens": 0,
    "output_tokens": 0,
    "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000, "cache_read_input_tokens": 50},
    ],
}


def test_tokens_that_only_iterations_name_are_counted(ledger):
    """The API leaves a compaction out of the counts beside them."""
    with serving(Reply(message(COMPACTED, model="claude-opus-5-5"))) as server:
        client_of(server, ledger).messages.create(**REQUEST)
    total = ledger.total()
    assert (total.tokens["input_tokens"], total.tokens["output_tokens"]) == (203_000, 4_500)
    assert ledger.by("model")["cache_read_input_tokens"].sum() == 50
    assert ledger.explain().growth.turn.tokens.prompt == 23_050  # what the context holds


def test_a_cell_is_named_with_its_notebook(ledger):
    meter = ledger.where(cell="alpha.ipynb cell 2").live()
    with serving(Reply(message())) as server:
        for notebook in ("alpha.ipynb", "beta.ipynb", None):
            with label(notebook=notebook, cell="2"):
                client_of(server, ledger).messages.create(**REQUEST)
    assert sorted(ledger.by("cell").index) == ["2", "alpha.ipynb cell 2", "beta.ipynb cell 2"]
    assert ledger.where(cell="2").total().calls == 3
    assert ledger.where(cell="alpha.ipynb cell 2").total().calls == meter.total().calls == 1


def test_a_tag_selects_the_rows_that_carry_it(ledger):
    meter = ledger.where(tag='a "b"').live()
    with serving(Reply(message())) as server:
        client = client_of(server, ledger)
        for tags in (("x", 'a "b"'), ("b",), ()):
            with ledger.tag(*tags):
                client.messages.create(**REQUEST)
    assert ledger.where(tag='a "b"').total().calls == meter.total().calls == 1
    assert ledger.where(tag="b").frame()["tags"].tolist() == [("b",)]
    assert ledger.where(tag=None).total().calls == 1
    assert ledger.where(tag="a").total().calls == ledger.where(tag="B").total().calls == 0
    with pytest.raises(LedgerError, match=r"where\(tag=\.\.\.\)"):
        ledger.where(tags="x")
    with pytest.raises(LedgerError, match="holds str, not 3"):
        ledger.where(tag=3)
