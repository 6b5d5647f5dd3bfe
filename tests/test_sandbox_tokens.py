"""The token estimate: deterministic, by model, and near what the real API counted."""

import base64
import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import needs_recordings, recordings

from claude_nb import models
from claude_nb.sandbox import prompt, tokens

OLD, NEW = models.find("claude-haiku-4-5"), models.find("claude-haiku-5-5")


def body(content="Hello", **fields):
    return {"messages": [{"role": "user", "content": content}]} | fields


def counted(recording):
    """Input tokens the real API counted, cache included."""
    usages = [event["message"]["usage"] for event in recording.events() if event["type"] == "message_start"]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(usages[0].get(name) or 0 for name in names) if usages else 0


def comparable():
    """Recorded streams of plain text on the older tokenizer, with the request kept whole."""
    plain = {
        "model",
        "max_tokens",
        "messages",
        "system",
        "stream",
        "temperature",
        "stop_sequences",
        "metadata",
    }
    for recording in recordings():
        sent = (recording.data.get("request") or {}).get("body")
        if (
            recording.kind != "sse"
            or recording.status != 200
            or not isinstance(sent, dict)
            or sent.keys() - plain
        ):
            continue
        text = json.dumps(sent)
        if "characters left out" not in text and not any(
            f'"{kind}"' in text for kind in ("image", "document")
        ):
            yield recording, sent


@needs_recordings
def test_the_estimate_is_near_what_the_api_counted():
    ratios = [
        prompt.count(sent, OLD) / counted(recording)
        for recording, sent in comparable()
        if counted(recording) > 9
    ]
    assert len(ratios) > 15
    assert statistics.median(ratios) == pytest.approx(1, abs=0.1)
    assert sum(0.75 < ratio < 1.25 for ratio in ratios) / len(ratios) > 0.8


def test_the_newer_tokenizer_counts_about_30_percent_more():
    text = "The quick brown fox jumps over the lazy dog. " * 50
    assert tokens.count_text(text, NEW) / tokens.count_text(text, OLD) == pytest.approx(1.3, abs=0.05)


@given(st.text())
def test_more_text_is_never_fewer_tokens(text):
    assert tokens.count_text(text + "x", NEW) >= tokens.count_text(text, NEW)
    assert (tokens.count_text(text, NEW) == 0) == (text == "")


@given(st.text(), st.integers(0, 50))
def test_a_cut_text_is_a_beginning_that_fits(text, size):
    found = tokens.cut_text(text, size, NEW)
    assert tokens.count_text(found, NEW) <= size
    assert text.encode(errors="replace").decode().startswith(found)


def test_a_png_counts_by_its_size_and_other_images_flat():
    def image(width, height):
        head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")
        data = base64.b64encode(head + bytes(20)).decode()
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}

    assert tokens.count_block(image(750, 100), NEW) == 100
    assert tokens.count_block(image(9000, 9000), NEW) == 1600
    assert (
        tokens.count_block({"type": "image", "source": {"type": "url", "url": "https://x.y/z.png"}}, NEW)
        == 1500
    )


def test_tools_system_and_a_schema_all_count():
    plain = prompt.count(body(), NEW)
    tool = {"name": "lookup", "input_schema": {"type": "object"}}
    wanted = {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}}
    for extra in ({"system": "Be brief."}, {"tools": [tool]}, {"output_config": wanted}):
        assert prompt.count(body(**extra), NEW) > plain


def test_merged_and_split_messages_count_alike():
    split = {"messages": [{"role": "user", "content": text} for text in ("one", "two")]}
    merged = body([{"type": "text", "text": text} for text in ("one", "two")])
    assert prompt.count(split, NEW) == prompt.count(merged, NEW)
