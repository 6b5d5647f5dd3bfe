"""The sandbox under the official client: the same bytes, kind by kind, as the real API sent."""

import asyncio
import re
import threading

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import needs_recordings, streams

from claude_nb.models import MODEL, SANDBOX_HEADER
from claude_nb.sandbox import Sandbox, events

USER = [{"role": "user", "content": "Hello there"}]


def client_of(sandbox, **settings):
    http_client = anthropic.DefaultHttpxClient(transport=sandbox)
    return anthropic.Anthropic(api_key="sandbox", http_client=http_client, **settings)


def async_client_of(sandbox):
    http_client = anthropic.DefaultAsyncHttpxClient(transport=sandbox)
    return anthropic.AsyncAnthropic(api_key="sandbox", http_client=http_client)


@pytest.fixture
def client():
    with client_of(Sandbox()) as client:
        yield client


def ask(client, prompt="Hello there", **settings):
    settings = {
        "model": MODEL,
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": prompt}],
    } | settings
    return client.messages.create(**settings)


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


def test_streaming_and_creating_give_the_same_message(client):
    with client.messages.stream(model=MODEL, max_tokens=1000, messages=USER) as stream:
        streamed = stream.get_final_message()
    assert streamed.to_dict() == ask(client).to_dict()


def test_the_raw_stream_starts_and_ends_as_documented(client):
    kinds = [
        event.type for event in client.messages.create(model=MODEL, max_tokens=99, messages=USER, stream=True)
    ]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]


def test_the_same_request_gets_the_same_bytes_in_another_sandbox():
    first, second = (client_of(Sandbox()).messages.with_raw_response.create for _ in range(2))
    settings = {"model": MODEL, "max_tokens": 500, "messages": USER}
    assert first(**settings).text() == second(**settings).text()
    assert first(**settings).headers["request-id"] == second(**settings).headers["request-id"]


def test_async_streams_and_creates():
    async def run():
        async with async_client_of(Sandbox()) as client:
            async with client.messages.stream(model=MODEL, max_tokens=1000, messages=USER) as stream:
                pieces = [piece async for piece in stream.text_stream]
                message = await stream.get_final_message()
            created = await client.messages.create(model=MODEL, max_tokens=1000, messages=USER)
            return pieces, message, created

    pieces, message, created = asyncio.run(run())
    assert len(pieces) > 5
    assert "".join(pieces) == text(message)
    assert message.to_dict() == created.to_dict()


def test_one_sandbox_serves_a_sync_and_an_async_client():
    sandbox = Sandbox(replies=["one", "two"])
    assert text(ask(client_of(sandbox))) == "one"
    message = asyncio.run(async_client_of(sandbox).messages.create(model=MODEL, max_tokens=99, messages=USER))
    assert text(message) == "two"
    assert len(sandbox.requests) == 2


def test_token_count_equals_the_usage_of_the_same_request(client):
    settings = {"model": MODEL, "system": "Be brief.", "messages": USER}
    counted = client.messages.count_tokens(**settings).input_tokens
    assert client.messages.create(max_tokens=50, **settings).usage.input_tokens == counted


def test_models_are_listed_in_pages_with_lifecycle_and_limits(client):
    first = client.models.list(limit=3)
    assert len(first.data) == 3
    assert first.has_more
    assert len(list(first)) > 15
    found = client.models.retrieve(MODEL)
    assert (found.lifecycle, found.max_input_tokens, found.max_tokens) == ("active", 1_000_000, 128_000)
    assert found.capabilities.thinking.types.disabled.supported
    assert not found.capabilities.thinking.types.enabled.supported
    assert "claude-2.1" not in [model.id for model in client.models.list(limit=100)]
    retired = [model.id for model in client.models.list(lifecycle=["retired"], limit=100)]
    assert "claude-2.1" in retired
    assert MODEL not in retired


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.messages.with_raw_response.create(model=MODEL, max_tokens=9, messages=USER),
        lambda client: client.messages.with_raw_response.create(
            model=MODEL, max_tokens=9, messages=USER, stream=True
        ),
        lambda client: client.messages.with_raw_response.count_tokens(model=MODEL, messages=USER),
        lambda client: client.models.with_raw_response.list(),
    ],
)
def test_every_response_is_marked(client, call):
    response = call(client)
    assert response.headers[SANDBOX_HEADER] == "1"
    assert response.headers["request-id"].startswith("req_")
    assert response.headers["anthropic-ratelimit-requests-limit"]


def test_errors_are_marked_too(client):
    with pytest.raises(anthropic.NotFoundError) as caught:
        ask(client, model="claude-9")
    assert caught.value.response.headers[SANDBOX_HEADER] == "1"
    assert caught.value.request_id == caught.value.response.headers["request-id"]


def test_thinking_comes_first_and_hidden_on_a_model_that_thinks_by_default(client):
    message = ask(client)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking == ""
    assert message.content[0].signature
    thought = message.usage.output_tokens_details.thinking_tokens
    assert 0 < thought < message.usage.output_tokens


def test_thinking_is_shown_when_asked_and_off_when_asked(client):
    shown = ask(client, thinking={"type": "adaptive", "display": "summarized"})
    assert "sandbox" in shown.content[0].thinking
    assert [block.type for block in ask(client, thinking={"type": "disabled"}).content] == ["text"]


@pytest.mark.parametrize("effort", ["low", "medium", "high", "xhigh", "max"])
def test_more_effort_thinks_more_and_low_effort_not_at_all(client, effort):
    message = ask(client, output_config={"effort": effort})
    thought = message.usage.output_tokens_details.thinking_tokens
    assert thought == {"low": 0, "medium": 48, "high": 96, "xhigh": 192, "max": 384}[effort]
    assert (message.content[0].type == "thinking") == (effort != "low")


def test_manual_thinking_on_an_older_model_is_shown(client):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    message = ask(client, model="claude-haiku-4-5", max_tokens=2000, thinking=thinking)
    assert message.content[0].thinking
    assert message.usage.output_tokens_details.thinking_tokens > 0


def test_max_tokens_cuts_the_reply_and_the_usage_says_exactly_that_many(client):
    message = ask(client, "Count to 300", max_tokens=150)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 150
    assert "1, 2, 3" in text(message)
    assert not text(message).endswith(".")


def test_max_tokens_can_run_out_while_thinking(client):
    message = ask(client, max_tokens=10)
    assert [block.type for block in message.content] == ["thinking"]
    assert message.usage.output_tokens_details.thinking_tokens == 10


def test_a_reply_is_as_long_as_the_prompt_asks(client):
    assert len(text(ask(client, "Write a story in 500 words", max_tokens=9000)).split()) == pytest.approx(
        500, abs=16
    )
    assert text(ask(client, "Please count to 40", max_tokens=9000)).endswith("39, 40.")


def test_the_reply_knows_only_what_the_request_holds(client):
    """The lesson of statelessness: the name is known when the earlier turn is sent, and not otherwise."""
    first = ask(client, "Hi, my name is Ada")
    turns = [
        {"role": "user", "content": "Hi, my name is Ada"},
        first.to_param(),
        {"role": "user", "content": "What is my name?"},
    ]
    assert "**Ada**" in text(ask(client, messages=turns))
    assert "does not contain your name" in text(ask(client, "What is my name?"))


def chat(*prompts):
    """A conversation of the user's, with empty-handed answers between."""
    turns = [{"role": "assistant", "content": "Good to know."}] * (2 * len(prompts) - 1)
    turns[::2] = [{"role": "user", "content": prompt} for prompt in prompts]
    return turns


@pytest.mark.parametrize(
    ("prompts", "part"),
    [
        (("I have 3 cats.", "How many cats do I have?"), "you wrote “I have 3 cats.” in `messages[0]`"),
        (("How many cats do I have?",), "this request does not say"),
        (("I'm Bob.", "What's my name?"), "**Bob**"),
        (("I am happy. What's my name?",), "does not contain your name"),
        (("Red.", "Blue.", "What did I say?"), "1. “Red.”\n2. “Blue.”"),
        (("What did I say?",), "nothing came before it"),
        (("I like tea.", "Thank you"), "You wrote before: “I like tea.”"),
    ],
)
def test_questions_about_the_conversation_are_answered_from_the_request(client, prompts, part):
    assert part in text(ask(client, messages=chat(*prompts)))


@pytest.mark.parametrize(
    ("prompt", "unit", "count"),
    [
        ("Answer in 3 sentences.", r"[Ss]entence \d+", 3),
        ("Write 4 lines", r"(?m)^- ", 4),
        ("2 paragraphs", r"\n\n", 2),
    ],
)
def test_lengths_in_other_units(client, prompt, unit, count):
    assert len(re.findall(unit, text(ask(client, prompt)))) == count


def test_every_invented_reply_says_it_is_one(client):
    prompts = [
        "Hello",
        "Count to 9",
        "a long story",
        "What is my name?",
        "What did I say?",
        "table",
        "python code",
    ]
    assert all("sandbox" in text(ask(client, prompt)) for prompt in prompts)


def test_closing_from_another_thread_stops_a_paced_stream():
    with client_of(Sandbox(pace="20 tok/s")) as client:
        stream = client.messages.create(model=MODEL, max_tokens=1000, messages=USER, stream=True)
        threading.Timer(0.1, stream.close).start()
        with pytest.raises(httpx2.ReadError):
            for _ in stream:
                pass


def test_a_cancelled_async_stream_ends():
    async def run():
        async with async_client_of(Sandbox(pace="20 tok/s")) as client:
            stream = await client.messages.create(model=MODEL, max_tokens=1000, messages=USER, stream=True)
            async with asyncio.timeout(0.1):
                async for _ in stream:
                    pass

    with pytest.raises(TimeoutError):
        asyncio.run(run())


@given(st.text())
def test_words_lose_nothing(sample):
    assert "".join(events.words(sample)) == sample


# The shape of a recorded stream: one letter a block event, runs of deltas of one kind folded, pings left out.
LETTERS = {"message_start": "M", "content_block_stop": "x", "message_delta": "D", "message_stop": "S"}


def shape(found):
    parts = []
    for event in found:
        kind = event["type"]
        if kind == "content_block_start":
            parts.append(f"<{event['content_block']['type']}")
        elif kind == "content_block_delta":
            parts.append(event["delta"]["type"])
        elif kind in LETTERS:
            parts.append(LETTERS[kind])
    return re.sub(r"\b(\w+_delta)(?: \1)+\b", r"\1", " ".join(parts))


def folded(recording):
    """The message that the SDK makes of a recording."""
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=recording.body)
    )
    with (
        client_of(transport) as client,
        client.beta.messages.stream(model=MODEL, max_tokens=9, messages=USER) as stream,
    ):
        return stream.get_final_message().to_dict()


HAND_WRITTEN = {
    "vercel-ai/anthropic-advisor-stop-reasons.stream"
}  # its calls lack the delta that real ones have


def kinds(recording, kind):
    return [event for event in recording.events() if event["type"] == kind]


def comparable(recording):
    """Whether the recording is one whole answer of blocks the sandbox writes (compaction and fallbacks are beta)."""
    deltas = {event["delta"]["type"] for event in kinds(recording, "content_block_delta")}
    blocks = {event["content_block"]["type"] for event in kinds(recording, "content_block_start")}
    whole = len(kinds(recording, "message_start")) == len(kinds(recording, "message_stop")) == 1
    return (
        recording.name not in HAND_WRITTEN
        and whole
        and "compaction_delta" not in deltas
        and "fallback" not in blocks
    )


@needs_recordings
@pytest.mark.parametrize("recording", [one for one in streams() if comparable(one)], ids=str)
def test_the_event_structure_equals_the_recorded_one(recording):
    cut = len(kinds(recording, "content_block_start")) > len(kinds(recording, "content_block_stop"))
    ours = [event for event, _ in events.events(folded(recording), truncated_block=cut)]
    assert shape(ours) == shape(recording.events())
