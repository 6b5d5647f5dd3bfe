"""The SDK's other clients: the same recorder, their own addresses, ids and encodings."""

import base64
import json
import struct
import zlib
from decimal import Decimal

import anthropic
import pytest
from ledger_server import REQUEST, Reply, message, serving, sse, start, stream, text

from claude_nb.ledger import Ledger

SONNET = "claude-sonnet-4-5-20250929"
AWS_STREAM = {"content-type": "application/vnd.amazon.eventstream"}
AWS_KEYS = {"aws_access_key": "a", "aws_secret_key": "b", "aws_region": "us-east-1"}
GLOBAL = Decimal("0.00033")  # 25 in at $3 and 17 out at $15 per million
REGIONAL = GLOBAL * Decimal("1.1")


@pytest.fixture
def ledger():
    return Ledger(":memory:")


def _header(name, value):
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()


def frame(payload):
    """One frame of the AWS event stream."""
    pairs = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(_header(name, value) for name, value in pairs.items())
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def aws(chunks, size=None):
    """Events in AWS framing, cut into pieces of ``size`` bytes."""
    data = [chunk.decode().partition("data: ")[2].strip().encode() for chunk in chunks]
    raw = b"".join(frame(json.dumps({"bytes": base64.b64encode(one).decode()}).encode()) for one in data)
    size = size or len(raw)
    return Reply(chunks=[raw[at : at + size] for at in range(0, len(raw), size)], headers=AWS_STREAM)


def bedrock(server, ledger):
    pytest.importorskip("botocore", reason="anthropic[bedrock] is not installed")
    return ledger.meter(anthropic.AnthropicBedrock(**AWS_KEYS, base_url=server.url, max_retries=0))


@pytest.mark.parametrize(("prefix", "cost"), [("us", REGIONAL), ("global", GLOBAL)])
def test_bedrock_create_is_priced_by_the_endpoint_its_id_names(ledger, prefix, cost):
    request = {**REQUEST, "model": f"{prefix}.anthropic.{SONNET}-v1:0"}
    with serving(Reply(message(model=SONNET))) as server:
        bedrock(server, ledger).messages.create(**request)
    assert ledger.total().usd == cost
    assert list(ledger.frame()["provider"]) == ["bedrock"]


@pytest.mark.parametrize("size", [None, 5, 100])
def test_a_bedrock_event_stream_is_read_at_any_chunking(ledger, size):
    with serving(aws(stream(), size)) as server:
        list(bedrock(server, ledger).messages.create(**REQUEST, stream=True))
    row = ledger.frame().iloc[0]
    assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == ("ok", 25, 17)
    assert row["streamed_chars"] == len("Hello there")


def test_a_bedrock_stream_that_ends_early_is_truncated(ledger):
    with serving(aws([start(), *text("Hello")])) as server:
        list(bedrock(server, ledger).messages.create(**REQUEST, stream=True))
    assert list(ledger.frame()["outcome"]) == ["truncated"]


@pytest.mark.parametrize(("region", "cost"), [("us-east5", REGIONAL), ("global", GLOBAL)])
def test_vertex_create_and_stream_are_priced_by_their_region(ledger, region, cost):
    pytest.importorskip("google.auth", reason="anthropic[vertex] is not installed")
    start_usage = [chunk.replace(b"claude-haiku-5-5", SONNET.encode()) for chunk in stream()]
    with serving(Reply(message(model=SONNET)), Reply(chunks=start_usage)) as server:
        client = anthropic.AnthropicVertex(
            region=region, project_id="p", access_token="t", base_url=server.url, max_retries=0
        )
        client = ledger.meter(client)
        client.messages.create(**{**REQUEST, "model": "claude-sonnet-4-5@20250929"})
        list(client.messages.create(**{**REQUEST, "model": "claude-sonnet-4-5@20250929"}, stream=True))
    assert list(ledger.frame()["provider"]) == ["vertex", "vertex"]
    assert ledger.total().usd == 2 * cost


def test_foundry_create_and_stream(ledger):
    with serving(Reply(message(model=SONNET)), sse()) as server:
        client = ledger.meter(anthropic.AnthropicFoundry(api_key="k", base_url=server.url, max_retries=0))
        client.messages.create(**REQUEST)
        list(client.messages.create(**REQUEST, stream=True))
    assert list(ledger.frame()["outcome"]) == ["ok", "ok"]


@pytest.mark.parametrize("name", ["AnthropicAWS", "AnthropicBedrockMantle"])
def test_the_messages_api_on_aws(ledger, name):
    pytest.importorskip("botocore", reason="anthropic[aws] is not installed")
    options = {"workspace_id": "w"} if name == "AnthropicAWS" else {}
    with serving(Reply(message())) as server:
        client = getattr(anthropic, name)(**AWS_KEYS, **options, base_url=server.url, max_retries=0)
        ledger.meter(client).messages.create(**REQUEST)
    assert list(ledger.frame()["outcome"]) == ["ok"]
