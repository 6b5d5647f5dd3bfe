from decimal import Decimal

import pytest
from anthropic.types import Message, OutputTokensDetails, TextBlock, Usage

from claude_nb.footer import footer, footer_text
from claude_nb.ledger import price_usage


def message(
    stop_reason="end_turn", model="claude-haiku-5-5", usage=..., content=("hello",), **fields
) -> Message:
    if usage is ...:
        usage = Usage(
            input_tokens=10,
            output_tokens=90,
            cache_read_input_tokens=800,
            cache_creation_input_tokens=190,
            output_tokens_details=OutputTokensDetails(thinking_tokens=30),
        )
    assert "1,000 tokens in (800 cached), 90 out (30 thinking)" in text(message(usage=usage))


@pytest.mark.parametrize(
    "reason", ["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded", "new_one"]
)
def test_an_incomplete_reply_carries_its_remedy(reason):
    chips = footer(message(reason))
    assert chips[0]["tone"] in ("warn", "bad")
    assert chips[-1]["kind"] == "note"
    assert chips[-1]["text"]


def test_an_interrupted_reply_has_unknown_output_and_at_least_a_price():
    cut = message(None, usage=Usage(input_tokens=1000, output_tokens=1))  # 1 is the server's placeholder
    assert text(cut).startswith("interrupted · 1,000 tokens in, unknown out · over $0.0001")


def test_an_unknown_model_has_an_unknown_price_and_never_zero():
    out = text(message(model="local-lm"))
    assert "price unknown" in out
    assert "$" not in out


@pytest.mark.parametrize(
    "usage", [None, Usage.construct(), Usage.construct(input_tokens=None, output_tokens=None)]
)
def test_usage_that_was_not_reported_is_unknown(usage):
    out = text(message(usage=usage))
    assert "unknown tokens in, unknown out" in out
    assert "$0" not in out


def test_a_failure_takes_the_place_of_the_stop_reason():
    assert kinds(message(None), error="connection lost")[:1] == ["error"]
    assert text(None, error="connection lost") == "connection lost"
