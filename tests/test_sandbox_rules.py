"""Every rule of the Messages API that the sandbox enforces: status, type, code, and the text it imitates."""

import copy
import json

import anthropic
import httpx2
import pytest
from recordings import needs_recordings, recordings

from claude_nb import models
from claude_nb.models import MODEL
from claude_nb.sandbox import Sandbox, sealing

HEADERS = {"authorization": "Bearer sandbox", "anthropic-version": "2026-10-21"}
ALWAYS_ON, BETWEEN, SWITCHED = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"
LIGHT, OLD, PREFILL, MIDDLE = "claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5", "claude-opus-4-6"
TEXT = {"type": "text", "text": "x"}
MARKED = TEXT | {"cache_control": {"type": "ephemeral"}}
TOOL = {"name": "lookup", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
SERVER_CALL = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}


def user(content="Hello"):
    return {"role": "user", "content": content}


def assistant(content="Hi"):
    return {"role": "assistant", "content": content}


def schema(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def fmt(found):
    return {"output_config": {"format": {"type": "json_schema", "schema": found}}}


@pytest.fixture
def post():
    client = httpx2.Client(transport=Sandbox(), base_url="https://api.anthropic.com")

    def post(body=None, *, path="/v1/messages", headers=HEADERS, content=None, **fields):
        base = {"model": MODEL, "max_tokens": 100, "messages": [user()]}
        if path.endswith("count_tokens"):
            base.pop("max_tokens")
        content = content or json.dumps(base | fields if body is None else body).encode()
        response = client.post(path, content=content, headers=headers)
        streamed = response.headers["content-type"].startswith("text/event-stream")
        return response.status_code, response.text if streamed else response.json()

    return post


REFUSED = {
    "no max_tokens": ({"model": MODEL, "messages": [user()]}, "max_tokens: Field required"),
    "no messages": ({"model": MODEL, "max_tokens": 1}, "messages: Field required"),
    "no model": ({"max_tokens": 1, "messages": [user()]}, "model: Field required"),
    "not an object": ([], "object"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED)
def test_a_body_without_what_is_required_is_refused(post, body, message):
    status, answer = post(body)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert message in answer["error"]["message"]


# The validation matrix: fields that differ from a valid request, and a part of the message.
MATRIX = {
    "unknown field": ({"max_token": 1}, "max_token: Extra inputs are not permitted"),
    "unknown nested field": (
        {"messages": [user([TEXT | {"txt": 1}])]},
        "messages.0.content.0.txt: Extra inputs",
    ),
    "message object as message": (
        {"messages": [assistant() | {"id": "msg_1"}]},
        "messages.0.id: Extra inputs",
    ),
    "wrong type": ({"max_tokens": "100"}, "max_tokens: Input should be a valid integer"),
    "data that is no text": (
        {
            "messages": [
                user([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": 3}}])
            ]
        },
        "messages.0.content.0.source.data: Input should be a valid string",
    ),
    "unknown block": ({"messages": [user([{"type": "txt"}])]}, "messages.0.content.0.type"),
    "temperature": ({"temperature": 1.0}, "temperature: Extra inputs are not permitted"),
    "top_p": ({"top_p": 0.9}, "top_p: Extra inputs are not permitted"),
    "max_tokens over the maximum": (
        {"max_tokens": 200_000},
        "max_tokens: 200000 > 128000, which is the maximum",
    ),
    "max_tokens negative": ({"max_tokens": -1}, "greater than or equal to 0"),
    "max_tokens 0 streaming": (
        {"max_tokens": 0, "stream": True},
        "max_tokens: 0 cannot be combined with stream",
    ),
    "max_tokens 0 format": ({"max_tokens": 0} | fmt(schema()), "output_config.format"),
    "max_tokens 0 forced": (
        {"max_tokens": 0, "tools": [TOOL], "tool_choice": {"type": "any"}},
        "tool_choice",
    ),
    "no message": ({"messages": []}, "messages: at least one message is required"),
    "unknown role": ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
    "first message system": ({"messages": [{"role": "system", "content": "x"}, user()]}, "messages.0"),
    "system after assistant": (
        {"messages": [user(), assistant(), {"role": "system", "content": "x"}]},
        "messages.2: a system message must follow a user turn",
    ),
    "system before user": (
        {"messages": [user(), {"role": "system", "content": "x"}, user()]},
        "messages.1: a system message",
    ),
    "system between call and result": (
        {"messages": [user(), assistant([CALL]), {"role": "system", "content": "x"}, user([RESULT])]},
        "messages.2: a system message",
    ),
    "system unsupported": (
        {"model": OLD, "messages": [user(), {"role": "system", "content": "x"}]},
        "role 'system' is not supported on this model",
    ),
    "empty text block": (
        {"messages": [user([TEXT | {"text": ""}])]},
        "text content blocks must be non-empty",
    ),
    "blank text": ({"messages": [user(" \n")]}, "text content blocks must be non-empty"),
    "empty content": (
        {"messages": [user(""), user()]},
        "messages.0: all messages must have non-empty content",
    ),
    "empty list": (
        {"messages": [user(), assistant([]), user()]},
        "messages.1: all messages must have non-empty",
    ),
    "prefill": (
        {"messages": [user(), assistant()]},
        "This model does not support assistant message prefill.",
    ),
    "prefill on 4.6": (
        {"model": OLD, "messages": [user(), assistant()]},
        "does not support assistant message prefill",
    ),
    "prefill with space": (
        {"model": PREFILL, "messages": [user(), assistant("Hi ")]},
        "final assistant content cannot end with trailing whitespace",
    ),
    "prefill with thinking": (
        {
            "model": PREFILL,
            "max_tokens": 3000,
            "messages": [user(), assistant()],
            "thinking": {"type": "enabled", "budget_tokens": 2000},
        },
        "prefill",
    ),
    "call without result": (
        {"messages": [user(), assistant([CALL]), user()]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
    ),
    "call at the end": ({"messages": [user(), assistant([CALL])]}, "`tool_use` ids were found without"),
    "text before result": (
        {"messages": [user(), assistant([CALL]), user([TEXT, RESULT])]},
        "were found without",
    ),
    "result without call": (
        {"messages": [user(), assistant(), user([RESULT])]},
        "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1.",
    ),
    "result first": ({"messages": [user([RESULT])]}, "messages.0.content.0: unexpected `tool_use_id`"),
    "result twice": ({"messages": [user(), assistant([CALL]), user([RESULT, RESULT])]}, "a single result"),
    "result in assistant": (
        {"messages": [user(), assistant([RESULT]), user()]},
        "can only be in `user` messages",
    ),
    "tool name": ({"tools": [TOOL | {"name": "look up"}]}, "tools.0.name: String should match pattern"),
    "tool schema": ({"tools": [TOOL | {"input_schema": {"type": "string"}}]}, "tools.0.input_schema.type"),
    "forced on Opus 5.5": (
        {"model": ALWAYS_ON, "tools": [TOOL], "tool_choice": {"type": "any"}},
        'tool_choice: type "tool" and "any" are not supported for this model.',
    ),
    "forced on Sonnet 5.5": (
        {"model": BETWEEN, "tools": [TOOL], "tool_choice": {"type": "tool", "name": "lookup"}},
        "are not supported for this model",
    ),
    "forced unknown": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}},
        "Tool 'other' not found",
    ),
    "forced without tools": ({"tool_choice": {"type": "any"}}, "while providing tools"),
    "forced with manual thinking": (
        {
            "model": PREFILL,
            "max_tokens": 3000,
            "tools": [TOOL],
            "tool_choice": {"type": "any"},
            "thinking": {"type": "enabled", "budget_tokens": 2000},
        },
        "Thinking may not be enabled when tool_choice forces tool use",
    ),
    "enabled on >= 4.7": (
        {"model": LIGHT, "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive"',
    ),
    "adaptive on <= 4.5": (
        {"model": PREFILL, "thinking": {"type": "adaptive"}},
        "adaptive thinking is not supported on this model",
    ),
    "disabled on always-on": (
        {"model": ALWAYS_ON, "thinking": {"type": "disabled"}},
        '"thinking.type.disabled" is not supported for this model.',
    ),
    "disabled on Sonnet 5.5": (
        {"model": BETWEEN, "thinking": {"type": "disabled"}},
        'To turn thinking off on this model, send "thinking": {"type": "between_tools"}',
    ),
    "between_tools elsewhere": (
        {"thinking": {"type": "between_tools"}},
        '"thinking.type.between_tools" is not supported for this model.',
    ),
    "effort without thinking": (
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}},
        "output_config.effort 'xhigh' is not supported when thinking is disabled on this model.",
    ),
    "effort max between tools": (
        {"model": BETWEEN, "thinking": {"type": "between_tools"}, "output_config": {"effort": "max"}},
        "output_config.effort 'max' is not supported when thinking is disabled",
    ),
    "effort on Haiku 4.5": ({"model": PREFILL, "output_config": {"effort": "low"}}, "output_config.effort"),
    "xhigh on 4.6": ({"model": MIDDLE, "output_config": {"effort": "xhigh"}}, "'xhigh' is not supported"),
    "budget too small": (
        {"model": PREFILL, "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 1000}},
        "greater than or equal to 1024",
    ),
    "budget over max_tokens": (
        {"model": PREFILL, "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
    "bad signature": (
        {
            "messages": [
                user(),
                assistant([{"type": "thinking", "thinking": "", "signature": "abc"}, TEXT]),
                user(),
            ]
        },
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "document in assistant": (
        {
            "messages": [
                user(),
                assistant(
                    [
                        {
                            "type": "document",
                            "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                        }
                    ]
                ),
                user(),
            ]
        },
        "`document` blocks are not permitted",
    ),
    "citations in user": (
        {
            "messages": [
                user(
                    [
                        TEXT
                        | {
                            "citations": [
                                {
                                    "type": "char_location",
                                    "cited_text": "x",
                                    "document_index": 0,
                                    "document_title": None,
                                    "start_char_index": 0,
                                    "end_char_index": 1,
                                }
                            ]
                        }
                    ]
                )
            ]
        },
        "`citations` are not permitted",
    ),
    "five breakpoints": (
        {"messages": [user([MARKED] * 5)]},
        "A maximum of 4 blocks with cache_control may be",
    ),
    "four and automatic": (
        {"messages": [user([MARKED] * 4)], "cache_control": {"type": "ephemeral"}},
        "Found 5.",
    ),
    "two ttls on the last block": (
        {"messages": [user([MARKED])], "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        "different ttl",
    ),
    "1h after 5m": (
        {"messages": [user([MARKED, TEXT | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}])]},
        "must not come after",
    ),
    "unknown ttl": (
        {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
        "cache_control.ttl: Input should be '5m' or '1h'",
    ),
    "schema open": (
        fmt({"type": "object", "properties": {}}),
        "'additionalProperties' must be explicitly set to false",
    ),
    "schema minimum": (
        fmt(schema(n={"type": "integer", "minimum": 0})),
        "property 'minimum' is not supported",
    ),
    "schema maxLength": (
        fmt(schema(s={"type": "string", "maxLength": 3})),
        "property 'maxLength' is not supported",
    ),
    "schema minItems": (
        fmt(schema(a={"type": "array", "items": {"type": "string"}, "minItems": 2})),
        "'minItems'",
    ),
    "schema recursive": (
        fmt({"$ref": "#/$defs/n", "$defs": {"n": schema(next={"$ref": "#/$defs/n"})}}),
        "Recursive schema reference",
    ),
    "schema external": (fmt(schema(a={"$ref": "https://example.com/s.json"})), "External reference"),
    "schema too many optional": (
        fmt(schema() | {"properties": {f"p{n}": {"type": "string"} for n in range(25)}}),
        "Schema is too complex for compilation",
    ),
    "schema too many unions": (
        fmt(schema(**{f"p{n}": {"anyOf": [{"type": "string"}, {"type": "null"}]} for n in range(17)})),
        "Schema is too complex for compilation",
    ),
    "too many strict tools": (
        {"tools": [{"name": f"t{n}", "strict": True, "input_schema": schema()} for n in range(21)]},
        "strict tools",
    ),
    "open server tool": (
        {"messages": [user(), assistant([SERVER_CALL]), user()]},
        "`web_search` tool use with id `srvtoolu_1` was found without a corresponding `web_search_tool_result` block",
    ),
    "too many images": ({"messages": [user([IMAGE] * 601)]}, "too many images: 601 > 600"),
    "too many images, small window": ({"model": PREFILL, "messages": [user([IMAGE] * 101)]}, "101 > 100"),
    "prompt too long": (
        {"model": PREFILL, "messages": [user("word " * 160_000)]},
        "prompt is too long: 242",
    ),
}


@pytest.mark.parametrize(("fields", "message"), MATRIX.values(), ids=MATRIX)
def test_the_validation_matrix(post, fields, message):
    status, answer = post(**fields)
    error = answer["error"]
    assert (status, answer["type"], error["type"]) == (400, "error", "invalid_request_error")
    assert message in error["message"]
    assert "details" not in error


@pytest.mark.parametrize(("fields", "message"), MATRIX.values(), ids=MATRIX)
def test_counting_tokens_applies_the_same_rules(post, fields, message):
    if fields.get("max_tokens", 3000) != 3000 or "stream" in fields or "max_token" in message.split(":")[0]:
        pytest.skip("about a field that counting does not have")
    fields = {name: value for name, value in fields.items() if name != "max_tokens"}
    status, answer = post(path="/v1/messages/count_tokens", **fields)
    assert status == 400
    assert message in answer["error"]["message"]


VALID = {
    "merged roles": {"messages": [user(), user(), assistant(), assistant(), user()]},
    "assistant first": {"messages": [assistant(), user()]},
    "system role at the end": {"messages": [user(), {"role": "system", "content": "Be brief."}]},
    "system role before assistant": {
        "messages": [user(), {"role": "system", "content": "Be brief."}, assistant(), user()]
    },
    "two system roles": {
        "messages": [user(), {"role": "system", "content": "A."}, {"role": "system", "content": "B."}]
    },
    "system after results": {
        "messages": [user(), assistant([CALL]), user([RESULT]), {"role": "system", "content": "A."}]
    },
    "prefill on 4.5": {"model": PREFILL, "messages": [user(), assistant("The answer is (")]},
    "results, then text": {"messages": [user(), assistant([CALL]), user([RESULT, TEXT])]},
    "results over two messages": {
        "messages": [
            user(),
            assistant([CALL, CALL | {"id": "toolu_2"}]),
            user([RESULT]),
            user([RESULT | {"tool_use_id": "toolu_2"}]),
        ]
    },
    "tool result without content": {
        "messages": [user(), assistant([CALL]), user([{"type": "tool_result", "tool_use_id": "toolu_1"}])]
    },
    "max_tokens 0": {"max_tokens": 0},
    "more room than the window": {
        "model": PREFILL,
        "max_tokens": 64_000,
        "messages": [user("word " * 100_000)],
    },
    "between_tools on Sonnet 5.5": {"model": BETWEEN, "thinking": {"type": "between_tools"}},
    "disabled on Haiku 5.5": {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
    "forced on Haiku 5.5": {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "lookup"}},
    "paused turn": {
        "messages": [
            user(),
            assistant([SERVER_CALL]),
        ],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    },
    "four breakpoints": {"messages": [user([MARKED] * 4)]},
    "schema": fmt(schema(a={"type": "array", "items": {"type": "string"}, "minItems": 1})),
    "blank text of the assistant": {
        "messages": [user(), assistant([TEXT | {"text": " "}, CALL]), user([RESULT])]
    },
    "deprecated model": {"model": "claude-sonnet-4-5"},
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_what_looks_wrong_and_is_valid(post, fields):
    status, answer = post(**fields)
    assert status == 200, answer


def accepted_by_the_real_api():
    """Recorded requests that were answered with 200."""
    for recording in recordings():
        sent = (recording.data.get("request") or {}).get("body")
        if isinstance(sent, dict) and recording.status == 200 and "messages" in sent and "model" in sent:
            yield recording


@needs_recordings
@pytest.mark.parametrize("recording", list(accepted_by_the_real_api()), ids=str)
def test_what_the_real_api_accepted_is_accepted(post, recording):
    """Rules must not be stricter than the API's. Models that retired since are replaced by one of their kind."""
    sent = recording.request["body"]
    found = models.find(sent["model"])
    if found is None or found.lifecycle == "retired":
        sent = sent | {"model": PREFILL}
    headers = {"x-api-key": "sandbox", "anthropic-version": "2023-06-01"}
    beta = recording.request["headers"].get("anthropic-beta")
    path = recording.request["path"].split("?")[0]
    status, answer = post(sent, path=path, headers=headers | ({"anthropic-beta": beta} if beta else {}))
    assert status == 200, answer


def test_max_tokens_zero_generates_nothing(post):
    _, answer = post(max_tokens=0)
    assert (answer["content"], answer["stop_reason"], answer["usage"]["output_tokens"]) == (
        [],
        "max_tokens",
        0,
    )


@pytest.mark.parametrize("model", ["claude-9", "claude-3-5-sonnet-20240620", "claude-opus-4-0"])
def test_unknown_and_retired_models_are_not_found(post, model):
    status, answer = post(model=model)
    assert (status, answer["error"]) == (404, {"type": "not_found_error", "message": f"model: {model}"})


@pytest.mark.parametrize("path", ["/v1/complete", "/v1/messages/nothing", "/v1/models/claude-9", "/"])
def test_unknown_paths_are_not_found(post, path):
    status, answer = post(path=path)
    assert (status, answer["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer "}, {"x-api-key": ""}],
    ids=["none", "empty bearer", "empty key"],
)
def test_a_missing_key_is_an_authentication_error_before_anything_else(post, headers):
    status, answer = post(headers=headers, content=b"{")
    assert (status, answer["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_the_key_is_taken_from_either_header(post, header):
    status, _ = post(headers={header: "Bearer sandbox", "anthropic-version": "2026-10-21"})
    assert status == 200


def test_the_version_header_is_required(post):
    status, answer = post(headers={"x-api-key": "sandbox"})
    assert (status, answer["error"]["message"]) == (400, "anthropic-version: header is required")


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b'{"model": "\\ud800"}', b"\xff"])
def test_a_body_that_is_not_json_is_refused(post, content):
    status, answer = post(content=content)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")


def test_a_body_over_32_mb_is_too_large(post):
    status, answer = post(content=b" " * (32 * 1024 * 1024 + 1))
    assert (status, answer["error"]["type"]) == (413, "request_too_large")


def test_more_than_100_000_messages_are_refused(post):
    status, answer = post(messages=[user("x")] * 100_001)
    assert status == 400
    assert "100,000" in answer["error"]["message"]


def test_the_older_version_still_takes_sampling_on_older_models(post):
    older = HEADERS | {"anthropic-version": "2023-06-01"}
    assert post(headers=older, temperature=0.2, model=OLD)[0] == 200
    assert post(headers=older, temperature=1, model=MODEL)[0] == 200
    assert post(headers=older, temperature=0.2, model=MODEL)[0] == 400


def test_a_duplicate_tool_name_has_its_own_code(post):
    status, answer = post(tools=[TOOL, TOOL])
    assert (status, answer["error"]["details"]) == (400, {"error_code": "tool_name_conflict"})


def test_threads_are_answered_with_the_code_that_makes_the_sdk_go_on_without(post):
    beta = HEADERS | {"anthropic-beta": "message-threads-2026-08-12"}
    status, answer = post(headers=beta, thread={"type": "create"})
    assert (status, answer["error"]["details"]) == (400, {"error_code": "thread_unsupported_request"})


def test_beta_fields_need_a_beta_header(post):
    fields = {"thinking": {"type": "adaptive", "block_binding": {}}}
    status, answer = post(**fields)
    assert (status, answer["error"]["message"]) == (
        400,
        "thinking.block_binding: Extra inputs are not permitted",
    )
    assert (
        post(headers=HEADERS | {"anthropic-beta": "thinking-binding-controls-2026-08-01"}, **fields)[0] == 200
    )


@pytest.mark.parametrize("model", models.known(), ids=lambda model: model.id)
@pytest.mark.parametrize("mode", ["adaptive", "enabled", "disabled", "between_tools"])
def test_each_model_accepts_exactly_its_thinking_modes(post, model, mode):
    config = {"type": mode} | ({"budget_tokens": 2000} if mode == "enabled" else {})
    status, _ = post(model=model.id, max_tokens=3000, thinking=config)
    assert (status == 200) == (mode in model.thinking_modes)


@pytest.mark.parametrize("model", models.known(), ids=lambda model: model.id)
def test_each_model_thinks_by_default_or_not_as_documented(post, model):
    _, answer = post(model=model.id, max_tokens=1000)
    assert (answer["content"][0]["type"] == "thinking") == model.thinks_by_default


# Preserved thinking.


@pytest.fixture
def talk(post):
    """A conversation of three turns with thinking in each reply."""

    def talk(model=MODEL, turns=3):
        messages = []
        for number in range(turns):
            messages.append(user(f"Question {number}"))
            _, answer = post(model=model, max_tokens=2000, messages=messages)
            messages.append(assistant(answer["content"]))
        return messages

    return talk


def ends(messages):
    return [*messages, user("And now?")]


def is_bound_elsewhere(answer):
    return "bound to a different conversation" in answer["error"]["message"]


def thoughtless(message):
    return message | {"content": [block for block in message["content"] if block["type"] != "thinking"]}


EDITS = {
    "edit an earlier question": lambda m: m[0].update(content="Changed"),
    "edit an earlier answer": lambda m: m[1]["content"][1].update(text="Changed"),
    "drop the oldest pair": lambda m: m.__delitem__(slice(0, 2)),
    "remove a middle thinking block": lambda m: m.__setitem__(3, thoughtless(m[3])),
}
HARMLESS = {
    "append": lambda _: None,
    "remove thinking from the start": lambda m: m.__setitem__(1, thoughtless(m[1])),
    "remove thinking from the end": lambda m: m.__setitem__(5, thoughtless(m[5])),
    "remove all thinking": lambda m: m.__setitem__(
        slice(None), [thoughtless(one) if one["role"] == "assistant" else one for one in m]
    ),
    "string to block": lambda m: m[0].update(content=[{"type": "text", "text": m[0]["content"]}]),
    "mark for the cache": lambda m: m[0].update(
        content=[{"type": "text", "text": m[0]["content"], "cache_control": {"type": "ephemeral"}}]
    ),
    "nulls of model_dump": lambda m: m[1]["content"][1].update(citations=None),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_history_is_refused_on_models_that_check(post, talk, edit):
    messages = talk()
    edit(messages)
    status, answer = post(messages=ends(messages))
    assert status == 400
    assert is_bound_elsewhere(answer)
    assert post(path="/v1/messages/count_tokens", messages=ends(messages))[0] == 400


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_history_is_accepted_on_models_that_do_not_check(post, talk, edit):
    messages = talk("claude-opus-5")
    edit(messages)
    assert post(model="claude-opus-5", messages=ends(messages))[0] == 200


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS)
def test_harmless_changes_are_accepted(post, talk, edit):
    messages = talk()
    edit(messages)
    status, answer = post(messages=ends(messages))
    assert status == 200, answer


def test_a_removed_block_cannot_be_put_back(post, talk):
    messages = talk(turns=1)
    shorter = [messages[0], thoughtless(messages[1]), user("Second")]
    _, answer = post(max_tokens=2000, messages=shorter)
    later = [*shorter, assistant(answer["content"])]
    assert post(messages=ends(later))[0] == 200
    status, answer = post(messages=ends([messages[0], messages[1], *later[2:]]))
    assert status == 400
    assert is_bound_elsewhere(answer)


@pytest.mark.parametrize(
    "change",
    [{"system": "A date: 2026-11-22"}, {"tools": [TOOL]}],
    ids=["system", "tools"],
)
def test_changing_system_or_tools_breaks_the_binding(post, talk, change):
    status, answer = post(messages=ends(talk()), **change)
    assert status == 400
    assert is_bound_elsewhere(answer)


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 50},
        {"output_config": {"effort": "high"}},
        {"metadata": {"user_id": "u"}},
        {"thinking": {"type": "adaptive", "display": "summarized"}},
        {"cache_control": {"type": "ephemeral"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_may_change(post, talk, change):
    assert post(messages=ends(talk()), **change)[0] == 200


def test_dropping_mismatched_blocks_goes_on_and_reports_them(post, talk):
    messages = talk()
    messages[2]["content"] = "Changed"
    fields = {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}}
    beta = HEADERS | {"anthropic-beta": "thinking-binding-controls-2026-08-01"}
    status, answer = post(headers=beta, messages=ends(messages), **fields)
    assert status == 200
    assert answer["input_transformations"] == [
        {
            "type": "thinking_dropped",
            "path": f"messages.{index}.content.0",
            "reason": "prefix_binding_mismatch",
        }
        for index in (3, 5)
    ]
    # The reply is bound to the conversation without them, so the next turn is accepted too.
    following = [*ends(messages), assistant(answer["content"])]
    status, _ = post(headers=beta, messages=ends(following), **fields)
    assert status == 200


def test_dropping_reaches_every_block_of_an_unfinished_tool_loop(post):
    """Two thinking blocks in one turn, and an edit before both: each is dropped, none is called modified."""
    beta = HEADERS | {"anthropic-beta": "thinking-binding-controls-2026-08-01"}
    fields = {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}}
    messages = [user("lookup this")]
    for _ in range(2):
        _, answer = post(tools=[TOOL], tool_choice={"type": "any"}, messages=messages, max_tokens=1000)
        call = answer["content"][-1]
        messages += [assistant(answer["content"]), user([RESULT | {"tool_use_id": call["id"]}])]
    assert post(tools=[TOOL], messages=messages)[0] == 200
    messages[0] = user("lookup that")
    status, answer = post(headers=beta, tools=[TOOL], messages=messages, **fields)
    assert status == 200, answer
    assert [one["path"] for one in answer["input_transformations"]] == [
        "messages.1.content.0",
        "messages.3.content.0",
    ]


@pytest.mark.parametrize("damage", [lambda s: s[:-4], lambda s: s[:60] + "AAAA" + s[64:], lambda s: "x"])
def test_a_damaged_signature_is_refused_on_every_model(post, talk, damage):
    for model in (MODEL, "claude-opus-5"):
        messages = talk(model)
        block = messages[1]["content"][0]
        block["signature"] = damage(block["signature"])
        status, answer = post(model=model, messages=ends(messages))
        assert status == 400
        assert answer["error"]["message"] == "messages.1.content.0: Invalid `signature` in `thinking` block"


def test_thinking_edited_in_the_latest_reply_is_refused(post, talk):
    messages = talk()
    messages[5]["content"][0]["thinking"] = "Edited"
    status, answer = post(messages=ends(messages))
    assert status == 400
    assert "blocks in the latest assistant message cannot be modified" in answer["error"]["message"]


def test_thinking_must_stay_inside_an_unfinished_tool_loop(post):
    first = {"tools": [TOOL], "messages": [user("lookup this")]}
    _, answer = post(**first, max_tokens=1000)
    call = answer["content"][-1]
    assert call["type"] == "tool_use"
    results = user([RESULT | {"tool_use_id": call["id"]}])
    kept = [user("lookup this"), assistant(answer["content"]), results]
    dropped = [user("lookup this"), thoughtless(assistant(answer["content"])), results]
    assert post(tools=[TOOL], messages=kept)[0] == 200
    status, answer = post(tools=[TOOL], messages=dropped)
    assert status == 400
    assert "cannot be modified" in answer["error"]["message"]


def test_thinking_of_another_model_is_dropped_unbilled(post, talk):
    messages = talk("claude-opus-5-5")
    bare = [thoughtless(one) if one["role"] == "assistant" else one for one in copy.deepcopy(messages)]
    counted = [
        post(path="/v1/messages/count_tokens", messages=ends(one))[1]["input_tokens"]
        for one in (messages, bare)
    ]
    assert counted[0] == counted[1]
    own = post(path="/v1/messages/count_tokens", messages=ends(messages), model="claude-opus-5-5")[1][
        "input_tokens"
    ]
    assert own > counted[0]


def test_a_real_signature_of_another_account_is_dropped_not_refused(post):
    block = {"type": "thinking", "thinking": "", "signature": "E" + "A" * 399}
    assert post(messages=[user(), assistant([block, TEXT]), user()])[0] == 200


def test_a_seal_survives_only_untouched():
    seal = sealing.Seal("m", 3, "t", "p", ("a", "b"), 1)
    signature = sealing.sign(seal)
    assert sealing.read({"signature": signature}) == seal
    for at in range(0, len(signature), 7):
        altered = signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1 :]
        assert sealing.read({"signature": altered}) is None


def test_the_sdk_raises_its_own_error_classes():
    http_client = anthropic.DefaultHttpxClient(transport=Sandbox())
    client = anthropic.Anthropic(api_key="sandbox", http_client=http_client)
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model=MODEL, max_tokens=9, messages=[])
    assert caught.value.type == "invalid_request_error"
    assert caught.value.api_message == "messages: at least one message is required"
    with pytest.raises(anthropic.types.ToolNameConflictError):
        client.messages.create(model=MODEL, max_tokens=9, messages=[user()], tools=[TOOL, TOOL])
