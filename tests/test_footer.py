from decimal import Decimal

import pytest
from anthropic.types import Message, OutputTokensDetails, TextBlock, Usage

from claude_nb.footer import footer, footer_text, thinking_share
from claude_nb.ledger import price_usage


def message(
    stop_reason="end_turn", model="claude-haiku-5-5", usage=..., content=("hello",), **fields
) -> Message:
    if usage is ...:
        usage = Usage(input_tokens=1000, output_tokens=200)
    blocks = [TextBlock(type="text", text=text, citations=None) for text in content]
    filled = {"stop_sequence": None, "stop_details": None, **fields}
    return Message.construct(model=model, content=blocks, stop_reason=stop_reason, usage=usage, **filled)


def text(*arguments, **options) -> str:
    return footer_text(footer(*arguments, **options))


def kinds(*arguments, **options) -> list[str]:
    return [chip["kind"] for chip in footer(*arguments, **options)]


def test_a_finished_reply_says_why_it_stopped_what_it_used_and_what_it_cost():
    assert text(message()) == "finished · 1,000 tokens in, 200 out · $0.0002"
    assert price_usage("claude-haiku-5-5", {"input_tokens": 1000, "output_tokens": 200}) == Decimal("0.0002")


def test_a_simulated_reply_says_so_and_what_a_real_one_would_cost():
    assert (
        text(message(), simulated=True)
        == "sandbox · finished · 1,000 tokens in, 200 out · $0.0002 if it were live"
    )


def test_a_live_reply_says_how_fast_it_was():
    assert text(message(), first_token=0.5, seconds=2.5).endswith("0.5 s to first token, 100 tokens/s")


def test_cached_and_thinking_tokens_are_told_apart():
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


def test_a_refusal_before_any_output_is_not_billed_and_one_in_the_middle_is():
    assert "not billed" in text(message("refusal", content=()))
    assert "not billed" not in text(message("refusal", content=("I",)))


def test_a_message_without_a_model_has_no_price():
    nameless = message()
    del nameless.model
    assert "price unknown" in text(nameless)


def test_a_failure_takes_the_place_of_the_stop_reason():
    assert kinds(message(None), error="connection lost")[:1] == ["error"]
    assert text(None, error="connection lost") == "connection lost"


def thought(thinking: int | None, output: int = 200, **fields) -> Message:
    details = OutputTokensDetails(thinking_tokens=thinking) if thinking is not None else None
    usage = Usage(input_tokens=1, output_tokens=output, output_tokens_details=details)
    return message(usage=usage, **fields)


def test_the_share_of_thinking_is_of_the_output_tokens():
    assert thinking_share(thought(48)) == "48 tokens, 24 % of the output"


@pytest.mark.parametrize(
    "reply",
    [None, message(usage=None), thought(None), thought(0), thought(48, stop_reason=None), thought(48, 0)],
)
def test_an_unknown_share_of_thinking_is_not_told(reply):
    assert thinking_share(reply) == ""
