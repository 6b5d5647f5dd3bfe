"""Real recorded traffic is counted as the SDK counts it."""

import json
import re

import anthropic
import httpx2
import pytest
from recordings import expected, needs_recordings, recordings

from claude_nb.ledger import Ledger

pytestmark = needs_recordings
COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def messages():
    return [
        one
        for one in recordings()
        if one.status == 200 and (expected().get(one.name, {}).get("sdk") or {}).get("usage")
    ]


def billed(recording):
    """The requests behind one reply, where it names them: the counts beside them leave some out."""
    found = re.findall(rb'"iterations":\s*(\[[^\]]*\])', recording.body)
    named = json.loads(found[-1]) if found else []
    declined = {
        "type": "message",
        "output_tokens": 0,
    }  # a hop that gave nothing before another model took over
    took_over = any(one["type"] == "fallback_message" for one in named)
    return [one for one in named if not (took_over and declined.items() <= one.items())]


@pytest.mark.parametrize("size", [11, 4096])
@pytest.mark.parametrize("recording", messages(), ids=str)
def test_a_recorded_reply_is_counted_as_the_sdk_counts_it(recording, size):
    kind = "text/event-stream" if recording.kind == "sse" else "application/json"

    def answer(_request):
        chunks = (recording.body[at : at + size] for at in range(0, len(recording.body), size))
        return httpx2.Response(200, headers={"content-type": kind}, content=chunks)

    ledger = Ledger(":memory:")
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = ledger.meter(anthropic.Anthropic(api_key="test", max_retries=0, http_client=http))
    request = {"model": "asked-for", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
    reply = client.messages.create(**request, stream=recording.kind == "sse")
    _ = list(reply) if recording.kind == "sse" else None
    row = ledger.frame().astype(dict.fromkeys(COUNTS, "float64")).fillna(dict.fromkeys(COUNTS, 0)).iloc[0]
    usage = expected()[recording.name]["sdk"]["usage"]
    counted = billed(recording) or [usage]
    assert [row[name] for name in COUNTS] == [sum(one.get(name) or 0 for one in counted) for name in COUNTS]
    assert row["outcome"] == "ok"
    assert row["stop_reason"] == expected()[recording.name]["sdk"]["stop_reason"]
    assert row["cost_usd"] >= 0
