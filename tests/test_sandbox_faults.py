"""Faults on demand: each as the SDK reports it, each on the request it was ordered for."""

import asyncio
import json

import anthropic
import httpx2
import pytest

from claude_nb.errors import SandboxError
from claude_nb.models import MODEL, SANDBOX_HEADER
from claude_nb.sandbox import Sandbox, faults

USER = [{"role": "user", "content": "Hello"}]
ASK = {"model": MODEL, "max_tokens": 1000, "messages": USER}


def client_of(*ordered, max_retries=0, **settings):
    http_client = anthropic.DefaultHttpxClient(transport=Sandbox(faults=ordered))
    return anthropic.Anthropic(
        api_key="sandbox", http_client=http_client, max_retries=max_retries, **settings
    )


def streamed(client):
    """The events that arrive, and what ended them."""
    found = []
    try:
        found.extend(client.messages.create(**ASK, stream=True))
    except Exception as error:  # noqa: BLE001 - what kind it is, is the test
        return found, error
    return found, None


@pytest.mark.parametrize(
    ("fault", "status", "error", "kind"),
    [
        (faults.rate_limit(), 429, anthropic.RateLimitError, "rate_limit_error"),
        (faults.overloaded(), 529, anthropic.OverloadedError, "overloaded_error"),
        (faults.server_error(), 500, anthropic.InternalServerError, "api_error"),
        (faults.spend_limit(), 429, anthropic.EnforcedSpendLimitReachedError, "rate_limit_error"),
    ],
)
def test_error_responses(fault, status, error, kind):
    with pytest.raises(error) as caught:
        client_of(fault).messages.create(**ASK)
    assert (caught.value.status_code, caught.value.type) == (status, kind)
    assert caught.value.response.headers[SANDBOX_HEADER] == "1"


def test_a_rate_limit_carries_its_headers():
    with pytest.raises(anthropic.RateLimitError) as caught:
        client_of(faults.rate_limit(retry_after=7)).messages.create(**ASK)
    headers = caught.value.response.headers
    assert headers["retry-after"] == "7"
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.timeout(), anthropic.APITimeoutError),
        (faults.connection_refused(), anthropic.APIConnectionError),
        (faults.reset(), anthropic.APIConnectionError),
    ],
)
def test_connection_failures(fault, error):
    with pytest.raises(error):
        client_of(fault).messages.create(**ASK)


@pytest.mark.parametrize("name", ["rate_limit", "overloaded", "server_error"])
def test_the_sdk_retries_and_gets_through(name):
    """Two faults, two retries: the third call answers."""
    with client_of(faults.ALL[name](at=(1, 2)), max_retries=2) as client:
        assert client.messages.create(**ASK).stop_reason == "end_turn"


@pytest.mark.parametrize("name", ["rate_limit", "overloaded", "server_error"])
def test_nothing_sleeps_between_retries_unless_asked(name):
    for fault, header, value in (
        (faults.ALL[name](), "retry-after-ms", "1"),
        (faults.ALL[name](retry_after=2.5), "retry-after", "2.5"),
    ):
        with pytest.raises(anthropic.APIStatusError) as caught:
            client_of(fault).messages.create(**ASK)
        assert caught.value.response.headers[header] == value


@pytest.mark.parametrize("name", ["timeout", "reset", "connection_refused"])
def test_connection_failures_are_retried_too(name):
    with client_of(faults.ALL[name](at=1), max_retries=1) as client:
        assert client.messages.create(**ASK).stop_reason == "end_turn"


def test_a_spend_limit_is_not_retried():
    sandbox = Sandbox(faults=[faults.spend_limit(at=1)])
    client = anthropic.Anthropic(
        api_key="sandbox", http_client=anthropic.DefaultHttpxClient(transport=sandbox)
    )
    with pytest.raises(anthropic.EnforcedSpendLimitReachedError):
        client.messages.create(**ASK)
    assert len(sandbox.requests) == 1


def test_a_cut_after_n_events_raises_what_a_broken_socket_raises():
    found, error = streamed(client_of(faults.cut(after=6)))
    assert isinstance(error, httpx2.RemoteProtocolError)
    assert len(found) == 5  # the ping is one of the six


def test_a_truncated_stream_ends_silently_without_stop_reason():
    with client_of(faults.truncated(after=8)).messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    assert message.stop_reason is None


def test_malformed_json_raises_a_decode_error():
    _, error = streamed(client_of(faults.malformed(after=6)))
    assert isinstance(error, json.JSONDecodeError)


def test_an_error_event_has_no_place_outside_a_stream_and_is_an_error_response_there():
    with pytest.raises(anthropic.OverloadedError):
        client_of(faults.error_event()).messages.create(**ASK)
    with pytest.raises(anthropic.InternalServerError):
        client_of(faults.error_event(kind="api_error")).messages.create(**ASK)


def test_an_error_event_raises_a_bare_status_error_with_status_200():
    found, error = streamed(client_of(faults.error_event(after=8)))
    assert type(error) is anthropic.APIStatusError
    assert (error.status_code, error.type) == (200, "overloaded_error")
    assert found


def test_a_stall_ends_in_the_clients_read_timeout():
    _, error = streamed(client_of(faults.stall(after=6, seconds=600), timeout=0.1))
    assert isinstance(error, httpx2.ReadTimeout)


def test_a_slow_start_delays_only_the_first_event():
    content = json.dumps(ASK | {"stream": True}).encode()
    headers = {"x-api-key": "sandbox", "anthropic-version": "2026-10-21"}
    request = httpx2.Request(
        "POST", "https://api.anthropic.com/v1/messages", headers=headers, content=content
    )
    response = Sandbox(faults=[faults.slow_start(seconds=3)]).handle_request(request)
    waits = [seconds for seconds, _ in response.stream._chunks]
    assert waits[0] == 3
    assert set(waits[1:]) == {0.0}


@pytest.mark.parametrize(
    ("name", "error"),
    [("cut", anthropic.APIConnectionError), ("malformed", Exception), ("truncated", Exception)],
)
def test_faults_of_a_stream_also_break_a_plain_response(name, error):
    with pytest.raises(error):
        client_of(name).messages.create(**ASK)


@pytest.mark.parametrize("category", ["cyber", "bio", None])
def test_a_refusal_before_any_output_is_empty_and_says_why(category):
    message = client_of(faults.refusal(category=category)).messages.create(**ASK)
    assert (message.content, message.stop_reason) == ([], "refusal")
    assert message.stop_details.category == category


def test_a_refusal_in_the_middle_leaves_partial_text():
    client = client_of(faults.refusal(category="bio", after=12))
    with client.messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "refusal"
    assert message.stop_details.category == "bio"
    assert 0 < message.usage.output_tokens <= 12
    assert message.content[0].text


def test_a_paused_turn_goes_on_when_it_is_sent_back():
    client = client_of(faults.pause_turn(at=1))
    tools = [{"type": "web_search_20260318", "name": "web_search"}]
    paused = client.messages.create(**ASK, tools=tools)
    assert paused.stop_reason == "pause_turn"
    resumed = client.messages.create(**(ASK | {"messages": [*USER, paused.to_param()]}), tools=tools)
    assert resumed.stop_reason == "end_turn"
    assert resumed.content[0].type in {"thinking", "web_search_tool_result"}


def test_a_full_context_window_is_a_stop_reason_of_its_own():
    message = client_of("context_window").messages.create(**ASK)
    assert message.stop_reason == "model_context_window_exceeded"


def test_at_counts_calls_from_one_and_rate_is_the_same_every_time():
    fault = faults.overloaded(at=3)
    assert [number for number in range(1, 9) if fault.strikes(number)] == [3]
    drawn = [[faults.overloaded(rate=0.3, seed=7).strikes(n) for n in range(200)] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert 30 < sum(drawn[0]) < 90
    assert drawn[0] != [faults.overloaded(rate=0.3, seed=8).strikes(n) for n in range(200)]


def test_faults_leave_token_counting_alone():
    assert client_of("overloaded").messages.count_tokens(model=MODEL, messages=USER).input_tokens


@pytest.mark.parametrize("wrong", ["overlaoded", 3, None])
def test_an_unknown_fault_is_refused_with_the_names_there_are(wrong):
    with pytest.raises(SandboxError, match="rate_limit, spend_limit, overloaded"):
        Sandbox(faults=[wrong])


@pytest.mark.parametrize(
    "when",
    [{"at": "first"}, {"at": 0}, {"at": (1, "2")}, {"at": None}, {"at": 1.5}, {"rate": "0.1"}, {"rate": 2}],
)
def test_a_moment_that_is_none_is_refused_where_the_fault_is_made(when):
    with pytest.raises(SandboxError, match=r"overloaded\(\): at= counts calls from 1 \(at=3, at=\(1, 2\)\)"):
        faults.overloaded(**when)


@pytest.mark.parametrize("wrong", [5, None])
def test_faults_that_are_no_list_are_refused(wrong):
    with pytest.raises(SandboxError, match="is no fault"):
        Sandbox(faults=wrong)


def test_faults_strike_async_clients_too():
    async def run():
        http_client = anthropic.DefaultAsyncHttpxClient(transport=Sandbox(faults=[faults.cut(after=8)]))
        client = anthropic.AsyncAnthropic(api_key="sandbox", http_client=http_client, max_retries=0)
        stream = await client.messages.create(**ASK, stream=True)
        return [event async for event in stream]

    with pytest.raises(httpx2.RemoteProtocolError):
        asyncio.run(run())
