"""What the sandbox answers: scripts, tool calls, filled schemas, stop reasons, citations."""

import asyncio
import datetime as dt
import enum
import json
from typing import Literal

import anthropic
import jsonschema
import pydantic
import pytest
from anthropic import beta_async_tool, beta_tool
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_nb.errors import SandboxError
from claude_nb.models import MODEL
from claude_nb.sandbox import Sandbox, fill, sealing

WEATHER = {
    "name": "get_weather",
    "description": "Current weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
}
CALCULATOR = {
    "name": "calculator",
    "description": "Evaluates arithmetic",
    "input_schema": {
        "type": "object",
        "properties": {"expression": {"type": "string"}},
        "required": ["expression"],
    },
}


def client_of(sandbox):
    http_client = anthropic.DefaultHttpxClient(transport=sandbox)
    return anthropic.Anthropic(api_key="sandbox", http_client=http_client, max_retries=0)


def ask(prompt="Hello", *, sandbox=None, **fields):
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    fields = {"model": MODEL, "max_tokens": 2000, "messages": messages} | fields
    return client_of(sandbox or Sandbox()).messages.create(**fields)


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls(message):
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


# Scripts


def test_scripted_replies_come_in_order_and_then_invented_ones():
    sandbox = Sandbox(replies=["One", "Two"])
    said = [text(ask(sandbox=sandbox)) for _ in range(3)]
    assert said[:2] == ["One", "Two"]
    assert "sandbox" in said[2]


def test_a_function_sees_the_request_and_may_decline():
    sandbox = Sandbox(replies=lambda body: body["system"].upper() if "system" in body else None)
    assert text(ask(system="shout", sandbox=sandbox)) == "SHOUT"
    assert "sandbox" in text(ask(sandbox=sandbox))


def test_a_script_may_call_the_sandbox_itself():
    inner = []

    def script(body):
        if "system" not in body:
            return None
        inner.append(text(ask(sandbox=sandbox)))
        return "outer"

    sandbox = Sandbox(replies=script)
    assert text(ask(system="x", sandbox=sandbox)) == "outer"
    assert "sandbox" in inner[0]


def test_the_requests_seen_are_a_list_that_can_be_sliced_and_is_bounded():
    sandbox = Sandbox()
    for number in range(3):
        ask(f"Number {number}", sandbox=sandbox)
    assert [body["messages"][0]["content"] for body in sandbox.requests[-2:]] == ["Number 1", "Number 2"]
    assert sandbox._requests.maxlen == 1000


def test_a_scripted_text_is_preceded_by_thinking_and_scripted_blocks_are_not():
    kinds = [
        [block.type for block in ask(sandbox=Sandbox(replies=[reply])).content]
        for reply in ("Hi", [{"type": "text", "text": "Hi"}], {"content": "Hi"})
    ]
    assert kinds == [["thinking", "text"], ["text"], ["thinking", "text"]]


def test_scripted_blocks_get_ids_callers_and_signatures():
    reply = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "name": "get_weather", "input": {"city": "Oslo"}},
    ]
    message = ask(sandbox=Sandbox(replies=[reply]), tools=[WEATHER])
    thought, call = message.content
    assert sealing.read(thought.to_dict())
    assert call.id.startswith("toolu_")
    assert call.caller.type == "direct"
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens_details.thinking_tokens > 0


def test_a_scripted_dict_sets_what_it_names():
    reply = {
        "content": "No.",
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "cyber", "explanation": None},
        "usage": {"output_tokens": 7, "cache_read_input_tokens": 9},
    }
    message = ask(sandbox=Sandbox(replies=[reply]))
    assert (message.stop_reason, message.stop_details.category) == ("refusal", "cyber")
    assert (message.usage.output_tokens, message.usage.cache_read_input_tokens) == (7, 9)


def test_an_sdk_message_can_be_the_reply():
    first = ask("Count to 9")
    for reply in (first, first.to_dict(), list(first.content)):
        again = ask("Something else", sandbox=Sandbox(replies=[reply]))
        assert [block.to_dict() for block in again.content] == [block.to_dict() for block in first.content]


def test_an_empty_scripted_reply_has_no_content():
    message = ask(sandbox=Sandbox(replies=[[]]))
    assert (message.content, message.stop_reason) == ([], "end_turn")
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("wrong", [3, [3], {"text": "x"}, [{"text": "x"}], {"content": 3}, "x"])
def test_a_reply_that_is_none_is_a_clear_error(wrong):
    with pytest.raises(SandboxError):
        Sandbox(replies=wrong if wrong == "x" else [wrong])
    with pytest.raises(SandboxError, match="a list of replies, or a function"):
        Sandbox(replies=5)


def test_a_wrong_pace_is_a_clear_error():
    for wrong in ("fast", -1, "0 tok/s", None):
        with pytest.raises(SandboxError, match="60 tok/s"):
            Sandbox(pace=wrong)


# Stop reasons


def test_a_stop_sequence_ends_the_text_before_it():
    message = ask(sandbox=Sandbox(replies=["one two three"]), stop_sequences=["three", " two"])
    assert (message.stop_reason, message.stop_sequence, text(message)) == ("stop_sequence", " two", "one")


def test_max_tokens_in_a_tool_call_leaves_partial_input_and_no_block_stop():
    reply = [{"type": "tool_use", "name": "get_weather", "input": {"unit": "celsius", "city": "Paris " * 50}}]
    fields = {
        "model": MODEL,
        "max_tokens": 60,
        "messages": [{"role": "user", "content": "x"}],
        "tools": [WEATHER],
    }
    with client_of(Sandbox(replies=[reply])).messages.stream(**fields) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert message.stop_reason == "max_tokens"
    assert message.content[0].input == {"unit": "celsius"}
    assert "content_block_stop" not in kinds
    assert ask("x", sandbox=Sandbox(replies=[reply]), max_tokens=60, tools=[WEATHER]).content[0].input == {}


def test_a_reply_that_outgrows_the_window_says_so():
    prompt = "word " * 131_000  # leaves little of the 200,000 tokens
    message = ask(
        prompt, model="claude-haiku-4-5", max_tokens=8000, sandbox=Sandbox(replies=["word " * 4000])
    )
    assert message.stop_reason == "model_context_window_exceeded"
    assert message.usage.input_tokens + message.usage.output_tokens == 200_000


# Tools


def test_a_tool_the_prompt_names_is_called_with_what_the_prompt_says():
    message = ask("What's the weather in Paris?", tools=[WEATHER, CALCULATOR])
    assert calls(message) == [("get_weather", {"city": "Paris"})]
    assert message.stop_reason == "tool_use"
    assert "sandbox" in text(message)


def test_a_calculator_gets_the_expression():
    assert calls(ask("What is 12 * (3 + 4)?", tools=[WEATHER, CALCULATOR])) == [
        ("calculator", {"expression": "12 * (3 + 4)"})
    ]


def test_no_tool_is_called_that_the_prompt_does_not_ask_for():
    message = ask("Hello", tools=[WEATHER])
    assert (calls(message), message.stop_reason) == ([], "end_turn")


def test_parallel_calls_and_how_to_forbid_them():
    prompt = "Compare the weather in Paris and London"
    assert [given["city"] for _, given in calls(ask(prompt, tools=[WEATHER]))] == ["Paris", "London"]
    single = {"type": "auto", "disable_parallel_tool_use": True}
    assert len(calls(ask(prompt, tools=[WEATHER], tool_choice=single))) == 1
    both = ask("Use get_weather for Oslo and calculator for 3+4", tools=[WEATHER, CALCULATOR])
    assert [name for name, _ in calls(both)] == ["get_weather", "calculator"]


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "none"}, []),
        ({"type": "any"}, ["get_weather"]),
        ({"type": "tool", "name": "calculator"}, ["calculator"]),
    ],
)
def test_tool_choice_is_obeyed(choice, called):
    prompt = "Weather in Paris?" if choice["type"] == "none" else "Hello"
    message = ask(prompt, tools=[WEATHER, CALCULATOR], tool_choice=choice)
    assert [name for name, _ in calls(message)] == called
    if called:
        assert [block.type for block in message.content if block.type != "thinking"] == ["tool_use"]


def test_tool_results_are_answered_with_what_they_say():
    prompt = {"role": "user", "content": "What's the weather in Paris?"}
    sandbox = Sandbox()
    first = ask([prompt], sandbox=sandbox, tools=[WEATHER])
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "18 degrees, sunny"}
    second = ask(
        [prompt, first.to_param(), {"role": "user", "content": [result]}], sandbox=sandbox, tools=[WEATHER]
    )
    assert second.stop_reason == "end_turn"
    assert "`get_weather`: “18 degrees, sunny”" in text(second)


@pytest.mark.parametrize("thread", [True, False])
def test_the_tool_runner_runs_to_the_end(thread):
    @beta_tool
    def get_weather(city: str) -> str:
        """Weather in a city.

        Args:
            city: Name of the city.
        """
        return f"18 degrees in {city}"

    sandbox = Sandbox()
    runner = client_of(sandbox).beta.messages.tool_runner(
        model=MODEL,
        max_tokens=1000,
        tools=[get_weather],
        messages=[{"role": "user", "content": "Weather in Paris and Rome?"}],
        **({} if thread else {"thread": False}),
    )
    final = runner.until_done()
    assert final.stop_reason == "end_turn"
    assert "18 degrees in Paris" in final.content[-1].text
    assert "18 degrees in Rome" in final.content[-1].text


def test_the_async_tool_runner_streams_to_the_end():
    @beta_async_tool
    async def get_weather(city: str) -> str:
        """Weather in a city."""
        return f"18 degrees in {city}"

    async def run():
        http_client = anthropic.DefaultAsyncHttpxClient(transport=Sandbox())
        client = anthropic.AsyncAnthropic(api_key="sandbox", http_client=http_client)
        runner = client.beta.messages.tool_runner(
            model=MODEL,
            max_tokens=1000,
            tools=[get_weather],
            messages=[{"role": "user", "content": "Weather in Paris?"}],
            stream=True,
        )
        reasons = []
        async for stream in runner:
            message = await stream.get_final_message()
            reasons.append(message.stop_reason)
        return reasons

    assert asyncio.run(run()) == ["tool_use", "end_turn"]


def test_a_web_search_is_invented_with_a_citation_and_counted():
    tools = [{"type": "web_search_20260318", "name": "web_search"}]
    message = ask("Search the web for news", tools=tools)
    kinds = [block.type for block in message.content if block.type != "thinking"]
    assert kinds == ["server_tool_use", "web_search_tool_result", "text", "text", "text"]
    assert message.usage.server_tool_use.web_search_requests == 1
    assert message.content[-2].citations[0].url == "https://example.com/sandbox"
    assert "sandbox" in text(message)
    follow = [
        {"role": "user", "content": "Search the web for news"},
        message.to_param(),
        {"role": "user", "content": "Ok"},
    ]
    assert ask(follow, tools=tools).stop_reason == "end_turn"


# Structured outputs


class Kind(enum.Enum):
    POET = "poet"
    ENGINEER = "engineer"


class Place(pydantic.BaseModel):
    city: str
    country: str | None = None


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(ge=0, le=150)
    email: str
    born: dt.date
    seen: dt.datetime
    kind: Kind
    level: Literal["low", "high"]
    places: list[Place]
    tags: list[str]
    alive: bool
    score: float | None
    contact: Place | str


def test_parse_fills_the_model_from_the_prompt():
    message = client_of(Sandbox()).messages.parse(
        model=MODEL,
        max_tokens=2000,
        messages=[
            {"role": "user", "content": "Ada Lovelace, 36, an engineer, ada@example.org, born 1815-12-10"}
        ],
        output_format=Person,
    )
    person = message.parsed_output
    assert (person.name, person.age, person.email) == ("Ada Lovelace", 36, "ada@example.org")
    assert (person.kind, person.born) == (Kind.ENGINEER, dt.date(1815, 12, 10))


def test_what_the_prompt_does_not_hold_says_that_it_is_invented():
    message = client_of(Sandbox()).messages.parse(
        model=MODEL, max_tokens=2000, messages=[{"role": "user", "content": "who?"}], output_format=Place
    )
    assert "sandbox" in message.parsed_output.city


def test_a_truncated_structured_reply_does_not_parse():
    with pytest.raises(pydantic.ValidationError):
        client_of(Sandbox()).messages.parse(
            model=MODEL, max_tokens=60, messages=[{"role": "user", "content": "x"}], output_format=Person
        )


def test_a_structured_stream_parses():
    with client_of(Sandbox()).messages.stream(
        model=MODEL, max_tokens=2000, messages=[{"role": "user", "content": "Paris"}], output_format=Place
    ) as stream:
        assert stream.get_final_message().parsed_output.city == "Paris"


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "email"},
        {"type": "string", "minLength": 3, "maxLength": 12},
        {"type": "integer"},
        {"type": "integer", "minimum": 5, "maximum": 9},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["red", "green", 3]},
        {"const": "fixed"},
        {"type": ["string", "null"]},
        {"$ref": "#/$defs/shared"},
    ]
)


def grow(inner):
    names = st.text("abcxyz_", min_size=1, max_size=6)
    objects = st.dictionaries(names, inner, max_size=4).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": sorted(properties)[:2],
            "additionalProperties": False,
        }
    )
    arrays = inner.map(lambda items: {"type": "array", "items": items, "minItems": 1})
    unions = st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    return objects | arrays | unions


@pytest.mark.parametrize(
    "nullable",
    [lambda kind: {"anyOf": [kind, {"type": "null"}]}, lambda kind: kind | {"type": [kind["type"], "null"]}],
)
@pytest.mark.parametrize(
    ("kind", "prompt", "said"),
    [
        ({"type": "integer"}, "it has 4 legs", 4),
        ({"type": "integer"}, "it has legs", None),
        ({"type": "string"}, "ask Ada", "Ada"),
        ({"type": "string"}, "ask her", None),
        ({"type": "string", "enum": ["red", "green"]}, "a green one", "green"),
        ({"type": "string", "enum": ["red", "green"]}, "a blue one", None),
        ({"type": "boolean"}, "is it?", None),
    ],
)
def test_what_may_be_missing_is_null_unless_the_prompt_has_it(kind, prompt, said, nullable):
    assert fill.value(nullable(kind), fill.Hints(prompt)) == said


@settings(max_examples=200, deadline=None)
@given(schema=st.recursive(LEAVES, grow, max_leaves=8), prompt=st.text(max_size=40))
def test_a_filled_schema_is_valid(schema, prompt):
    shared = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    whole = schema | {"$defs": {"shared": shared}}
    found = fill.value(whole, fill.Hints(prompt))
    jsonschema.validate(json.loads(json.dumps(found)), whole)


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("What's the weather in Paris?", ["Paris"]),
        ("Compare New York and Los Angeles", ["New York", "Los Angeles"]),
        ("Look up 'blue whale' please", ["blue whale"]),
        ("What is Ada Lovelace's job?", ["Ada Lovelace"]),
        ("hello there", []),
    ],
)
def test_names_in_a_prompt(prompt, found):
    assert fill.names(prompt) == found
