"""Any request that the SDK's types allow gets a well-formed reply or a documented error, never an exception of ours."""

import collections.abc
import json
import types
import typing

import httpx2
import pydantic
import pytest
from anthropic.types import Message
from anthropic.types.beta.message_create_params import MessageCreateParamsBase as BetaParams
from anthropic.types.message_create_params import MessageCreateParamsBase as Params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import get_type_hints, is_typeddict

from claude_nb import models
from claude_nb.models import MODEL
from claude_nb.sandbox import Sandbox, schema

HEADERS = {"authorization": "Bearer sandbox", "anthropic-version": "2026-10-21"}
BETA = {"anthropic-beta": "anything-2026-01-01"}
DOCUMENTED = {
    400: "invalid_request_error",
    404: "not_found_error",
    413: "request_too_large",
}
LEAF = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
WORDS = st.sampled_from(["", " ", "x", "toolu_1", "lookup", "5m", "Hello Ada", "é\u2028😀", "a" * 70])


def values(kind, depth=0):
    """A strategy for the values of one of the SDK's parameter types."""
    kind = schema._unwrap(kind)
    origin = typing.get_origin(kind)
    if is_typeddict(kind):
        required = schema._required(kind)
        hints = schema._fields(kind)
        optional = {} if depth > 3 else {name: hints[name] for name in hints if name not in required}
        return st.fixed_dictionaries(
            {name: st.deferred(lambda hint=hints[name]: values(hint, depth + 1)) for name in required},
            optional={
                name: st.deferred(lambda hint=hint: values(hint, depth + 1))
                for name, hint in optional.items()
            },
        )
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values(member, depth) for member in schema._members(kind)])
    if origin is typing.Literal:
        return st.sampled_from(typing.get_args(kind))
    if origin is not None and issubclass(origin, collections.abc.Mapping):
        return st.dictionaries(st.text(max_size=4), LEAF, max_size=2)
    if origin is not None and issubclass(origin, collections.abc.Iterable):
        (item,) = typing.get_args(kind) or (object,)
        return st.lists(st.deferred(lambda: values(item, depth + 1)), max_size=1 if depth > 3 else 2)
    known = {
        str: WORDS,
        int: st.integers(-1, 3000),
        bool: st.booleans(),
        float: st.floats(0, 1),
        type(None): st.none(),
    }
    return known.get(kind, JSON)


def post(body, *, path="/v1/messages", beta=False):
    with httpx2.Client(transport=Sandbox(), base_url="https://api.anthropic.com") as client:
        content = json.dumps(body).encode()
        response = client.post(path, content=content, headers=HEADERS | (BETA if beta else {}))
        return response.status_code, response.content


def check(body, status, content):
    if status == 200 and body.get("stream"):
        frames = content.decode().split("\n\n")
        assert frames[0].startswith("event: message_start\ndata: ")
        assert frames[-2].startswith("event: message_stop\ndata: ")
        assert all(json.loads(frame.split("data: ", 1)[1])["type"] for frame in frames[:-1])
        return
    answer = json.loads(content)
    if status == 200:
        pydantic.TypeAdapter(Message).validate_python(answer)
        assert answer["stop_reason"]
        usage = answer["usage"]
        assert (
            0
            <= usage["output_tokens_details"]["thinking_tokens"]
            <= usage["output_tokens"]
            <= body["max_tokens"]
        )
    else:
        assert DOCUMENTED[status] == answer["error"]["type"]
        assert answer["error"]["message"]


@pytest.mark.parametrize(("kind", "beta"), [(Params, False), (BetaParams, True)], ids=["ga", "beta"])
def test_anything_the_types_allow(kind, beta):
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(body=values(kind), model=st.sampled_from(models.known()), stream=st.booleans())
    def run(body, model, stream):
        body |= {"model": model.id, "stream": stream}
        status, content = post(body, beta=beta)
        check(body, status, content)
        counted = {name: value for name, value in body.items() if name not in ("max_tokens", "stream")}
        check(counted | {"stream": False}, *_counted(counted, beta=beta))

    run()


def _counted(body, *, beta):
    status, content = post(body, path="/v1/messages/count_tokens", beta=beta)
    if status == 200:
        assert json.loads(content)["input_tokens"] >= 0
        return 404, b'{"error": {"type": "not_found_error", "message": "counted"}}'
    return status, content


@settings(max_examples=100, deadline=None)
@given(body=JSON, path=st.sampled_from(["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches"]))
def test_any_json_is_a_documented_error(body, path):
    status, content = post(body, path=path)
    assert DOCUMENTED[status] == json.loads(content)["error"]["type"]


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_documented_error(content):
    with httpx2.Client(transport=Sandbox(), base_url="https://api.anthropic.com") as client:
        response = client.post("/v1/messages", content=content, headers=HEADERS)
    assert response.status_code in DOCUMENTED


# Conversations that the API accepts: every one must be answered, streamed and not, and counted alike.

PROSE = st.text(min_size=1, max_size=60).filter(str.strip)
TOOL = {
    "name": "lookup",
    "description": "Looks things up",
    "input_schema": {"type": "object", "properties": {}},
}
BLOCK = PROSE.map(lambda text: {"type": "text", "text": text})


@st.composite
def conversations(draw):
    messages = []
    for number in range(draw(st.integers(1, 4))):
        messages.append({"role": "user", "content": draw(PROSE | st.lists(BLOCK, min_size=1, max_size=3))})
        if draw(st.booleans()):
            call = f"toolu_{number}"
            messages += [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": call, "name": "lookup", "input": {}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": call, "content": draw(PROSE)}],
                },
            ]
        messages.append(
            {"role": "assistant", "content": draw(PROSE | st.lists(BLOCK, min_size=1, max_size=2))}
        )
    return [*messages, {"role": "user", "content": draw(PROSE)}]


@settings(max_examples=150, deadline=None)
@given(
    messages=conversations(),
    model=st.sampled_from(models.known()),
    extra=st.fixed_dictionaries(
        {},
        optional={
            "system": PROSE | st.lists(BLOCK, min_size=1, max_size=2),
            "tools": st.just([TOOL]),
            "cache_control": st.just({"type": "ephemeral"}),
            "stop_sequences": st.lists(PROSE, max_size=2),
            "metadata": st.just({"user_id": "u"}),
            "diagnostics": st.just({"previous_message_id": None}),
        },
    ),
    max_tokens=st.integers(1, 500),
)
def test_every_valid_conversation_is_answered(messages, model, extra, max_tokens):
    body = {"model": model.id, "max_tokens": max_tokens, "messages": messages} | extra
    for stream in (False, True):
        status, content = post(body | {"stream": stream})
        assert status == 200, content
        check(body | {"stream": stream}, status, content)
    counted = {
        name: body[name] for name in body if name in ("model", "messages", "system", "tools", "cache_control")
    }
    assert post(counted, path="/v1/messages/count_tokens")[0] == 200


def test_the_schema_of_the_sdk_is_readable_to_its_leaves():
    """Every type below the parameters is one that the check understands, so nothing passes unseen."""
    seen, unknown, todo = set(), set(), [Params, BetaParams]
    while todo:
        kind = schema._unwrap(todo.pop())
        if kind in seen or kind in (str, int, float, bool, object, type(None)):
            continue
        seen.add(kind)
        if is_typeddict(kind):
            todo += get_type_hints(kind, include_extras=True).values()
        elif typing.get_origin(kind) in (typing.Union, types.UnionType):
            todo += schema._members(kind)
        elif typing.get_origin(kind) in (list, dict, collections.abc.Iterable, collections.abc.Sequence):
            todo += typing.get_args(kind)
        elif typing.get_origin(kind) is not typing.Literal:
            unknown.add(str(kind))
    assert unknown == set()


def test_the_default_model_is_fuzzed():
    assert MODEL in {model.id for model in models.known()}
