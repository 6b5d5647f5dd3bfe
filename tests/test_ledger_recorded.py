"""Real recorded traffic is counted as the SDK counts it."""

import anthropic
import httpx2
import pytest
from recordings import COUNTS, expected, needs_recordings, recordings

from claude_nb.ledger import Ledger

pytestmark = needs_recordings


def messages():
    return [
        one
        for one in recordings()
        if one.status == 200 and (expected().get(one.name, {}).get("sdk") or {}).get("usage")
    ]


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
    assert {name: row[name] for name in COUNTS} == recording.counted(usage)
    assert row["outcome"] == "ok"
    assert row["stop_reason"] == expected()[recording.name]["sdk"]["stop_reason"]
    assert row["cost_usd"] >= 0
