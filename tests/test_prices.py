"""Prices: every published rule with its result worked out by hand.

Sources: platform.claude.com, about-claude/pricing (rates, batch, geo, fast, long context, tools),
build-with-claude/prompt-caching (multipliers), refusals-and-fallback, compaction; launch pages for dated prices.
"""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_nb.ledger import cost_interval, format_usd, price_usage, price_version, worst_usage
from claude_nb.ledger.money import from_pico, to_pico

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MILLION = 1_000_000

# USD per million tokens: input, 5-minute write, 1-hour write, read, output (pricing page, 2026-11)
TABLE = {
    "claude-fable-5-2": "8 10 16 0.20 40",
    "claude-mythos-5-2": "8 10 16 0.20 40",
    "claude-fable-5-1": "10 12.5 20 0.25 50",
    "claude-mythos-5-1": "10 12.5 20 0.25 50",
    "claude-fable-5": "10 12.5 20 1 50",
    "claude-mythos-5": "10 12.5 20 1 50",
    "claude-opus-5-5": "4 5 8 0.20 20",
    "claude-opus-5": "5 6.25 10 0.5 25",
    "claude-opus-4-8": "5 6.25 10 0.5 25",
    "claude-opus-4-7": "5 6.25 10 0.5 25",
    "claude-opus-4-6": "5 6.25 10 0.5 25",
    "claude-opus-4-5": "5 6.25 10 0.5 25",
    "claude-opus-4-5-20251101": "5 6.25 10 0.5 25",
    "claude-opus-4-1-20250805": "15 18.75 30 1.5 75",
    "claude-opus-4-20250514": "15 18.75 30 1.5 75",
    "claude-sonnet-5-5": "2 2.5 4 0.10 10",
    "claude-sonnet-5": "2 2.5 4 0.2 10",
    "claude-sonnet-4-6": "3 3.75 6 0.3 15",
    "claude-sonnet-4-5-20250929": "3 3.75 6 0.3 15",
    "claude-sonnet-4-20250514": "3 3.75 6 0.3 15",
    "claude-haiku-4-5-20251001": "1 1.25 2 0.1 5",
    "claude-3-5-haiku-20241022": "0.8 1 1.6 0.08 4",
}


def usage(plain=0, five=0, hour=0, read=0, out=0, **more):
    return {
        "input_tokens": plain,
        "cache_creation_input_tokens": five + hour,
        "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
        "cache_read_input_tokens": read,
        "output_tokens": out,
        **more,
    }


@pytest.mark.parametrize("model", TABLE)
def test_each_model_at_its_published_rates(model):
    rates = [Decimal(rate) for rate in TABLE[model].split()]
    for place, rate in enumerate(rates):
        counts = [0] * 5
        counts[place] = MILLION
        assert price_usage(model, usage(*counts), NOW) == rate
    assert price_usage(model, usage(*[MILLION] * 5), NOW) == sum(rates)


@pytest.mark.parametrize("prompt", [(100_000, 0, 0, 0), (25_000, 25_000, 25_000, 25_000)])
def test_haiku_5_5_up_to_100k_of_prompt_is_at_the_low_rate(prompt):
    plain, five, hour, read = prompt
    expected = Decimal(plain * 100 + five * 125 + hour * 200 + read * 10 + 10 * 500) / 10**9
    assert price_usage("claude-haiku-5-5", usage(*prompt, 10), NOW) == expected


@pytest.mark.parametrize("prompt", [(100_001, 0, 0, 0), (1, 0, 0, 100_000), (25_000, 25_000, 25_001, 25_000)])
def test_haiku_5_5_one_token_above_100k_costs_five_times_as_a_whole(prompt):
    plain, five, hour, read = prompt
    expected = 5 * Decimal(plain * 100 + five * 125 + hour * 200 + read * 10 + 10 * 500) / 10**9
    assert price_usage("claude-haiku-5-5", usage(*prompt, 10), NOW) == expected


def test_output_does_not_count_towards_the_long_prompt_price():
    assert price_usage("claude-haiku-5-5", usage(100_000, out=1), NOW) == Decimal("0.0100005")


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-6", "claude-sonnet-5-5"])
def test_other_models_have_one_price_at_any_length(model):
    short, long = (price_usage(model, usage(tokens), NOW) for tokens in (1_000, 900_000))
    assert long == 900 * short


@pytest.mark.parametrize("model", [*TABLE, "claude-haiku-5-5"])
@pytest.mark.parametrize("at", [NOW, datetime(2026, 9, 1, tzinfo=UTC)])
def test_batch_is_half_of_every_class_at_any_date(model, at):
    counts = usage(1_000, 200, 300, 4_000, 500)
    full = price_usage(model, counts, at)
    assert price_usage(model, {**counts, "service_tier": "batch"}, at) == full / 2


def test_us_inference_is_a_tenth_more_on_every_class_from_4_6_on():
    counts = usage(1_000, 2_000, 3_000, 4_000, 500)
    # 4.6: (1000*5 + 2000*6.25 + 3000*10 + 4000*.5 + 500*25) / 1e6 = 0.062
    assert price_usage("claude-opus-4-6", {**counts, "inference_geo": "us"}, NOW) == Decimal("0.0682")
    assert price_usage("claude-opus-4-6", {**counts, "inference_geo": "global"}, NOW) == Decimal("0.062")
    assert price_usage("claude-opus-4-5", {**counts, "inference_geo": "us"}, NOW) == Decimal("0.062")


def test_surcharges_and_discounts_multiply():
    counts = usage(read=1, service_tier="batch", inference_geo="us")
    assert price_usage("claude-haiku-5-5", counts, NOW) == Decimal(
        "0.0000000055"
    )  # 0.01 x 1/2 x 1.1 per million


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("claude-fable-5-2", "16 20 32 0.40 80"),
        ("claude-mythos-5-2", "16 20 32 0.40 80"),
        ("claude-opus-5-5", "8 10 16 0.40 40"),
        ("claude-opus-5", "10 12.5 20 1 50"),
        ("claude-opus-4-8", "10 12.5 20 1 50"),
        ("claude-opus-4-7", "30 37.5 60 3 150"),
        ("claude-opus-4-6", "30 37.5 60 3 150"),
    ],
)
def test_fast_mode_as_served(model, rates):
    for place, rate in enumerate(rates.split()):
        counts = [0] * 5
        counts[place] = MILLION
        assert price_usage(model, usage(*counts, speed="fast"), NOW) == Decimal(rate)


def test_fast_on_a_model_without_a_fast_price_or_in_a_batch_is_unknown():
    assert price_usage("claude-sonnet-5-5", usage(10, speed="fast"), NOW) is None
    assert price_usage("claude-opus-5-5", usage(10, speed="fast", service_tier="batch"), NOW) is None


@pytest.mark.parametrize(
    ("day", "read"),
    [("2026-09-28", "0.2"), ("2026-10-06", "0.2"), ("2026-10-07", "0.1"), ("2026-11-22", "0.1")],
)
def test_sonnet_5_5_cache_reads_by_date(day, read):
    at = datetime.fromisoformat(day).replace(hour=23, tzinfo=UTC)
    assert price_usage("claude-sonnet-5-5", usage(read=MILLION), at) == Decimal(read)
    assert price_usage("claude-sonnet-5-5", usage(MILLION), at) == 2


def test_a_day_begins_at_midnight_utc():
    east = timezone(timedelta(hours=9))
    at = datetime(2026, 10, 7, 8, 59, tzinfo=east)  # still the 6th in UTC
    assert price_usage("claude-sonnet-5-5", usage(read=MILLION), at) == Decimal("0.2")
    assert price_usage("claude-sonnet-5-5", usage(read=MILLION), at.replace(hour=9)) == Decimal("0.1")
    assert price_usage("claude-sonnet-5-5", usage(read=MILLION), datetime(2026, 10, 6)) == Decimal("0.2")  # noqa: DTZ001 - naive is UTC


def test_web_search_costs_a_cent_and_web_fetch_nothing():
    searched = usage(1_000, out=100, server_tool_use={"web_search_requests": 3, "web_fetch_requests": 5})
    assert price_usage("claude-sonnet-5-5", searched, NOW) == Decimal("0.033")
    batched = {**searched, "service_tier": "batch", "inference_geo": "us"}
    assert price_usage("claude-sonnet-5-5", batched, NOW) == Decimal("0.03165")  # 0.03 + 0.003 x 1/2 x 1.1


def test_thinking_is_part_of_the_output():
    thought = usage(out=1_000, output_tokens_details={"thinking_tokens": 900})
    assert price_usage("claude-opus-5-5", thought, NOW) == Decimal("0.02")


def test_a_write_without_its_split_and_the_rest_beyond_a_split_are_five_minute_writes():
    bare = {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 1_000}
    assert price_usage("claude-opus-5-5", bare, NOW) == Decimal("0.005")
    partly = {**bare, "cache_creation": {"ephemeral_1h_input_tokens": 400, "ephemeral_5m_input_tokens": 100}}
    assert price_usage("claude-opus-5-5", partly, NOW) == Decimal("0.0062")  # 400 x 8 + 600 x 5


def iteration(kind, plain, out, **more):
    return {"type": kind, "input_tokens": plain, "output_tokens": out, **more}


def test_compaction_is_priced_by_its_iterations_not_the_top_level():
    """The example of the compaction page: $0.902 where the top level alone would give $0.112."""
    entries = [iteration("compaction", 180_000, 3_500), iteration("message", 23_000, 1_000)]
    counts = {"input_tokens": 23_000, "output_tokens": 1_000, "iterations": entries}
    # (203,000 x 4 + 4,500 x 20) / 1e6
    assert price_usage("claude-opus-5-5", counts, NOW) == Decimal("0.902")
    on_demand = {"input_tokens": 0, "output_tokens": 0, "iterations": entries[:1]}
    assert price_usage("claude-opus-5-5", on_demand, NOW) == Decimal("0.79")  # 180,000 x 4 + 3,500 x 20


def test_an_advisor_is_priced_at_its_own_model():
    entries = [
        iteration("message", 1_000, 100),
        iteration("advisor_message", 2_000, 200, model="claude-opus-5-5"),
    ]
    counts = {"input_tokens": 1_000, "output_tokens": 100, "iterations": entries}
    # sonnet 5.5: 0.002 + 0.001; opus 5.5: 0.008 + 0.004
    assert price_usage("claude-sonnet-5-5", counts, NOW) == Decimal("0.015")


def test_a_declined_hop_of_a_fallback_is_free_and_the_other_at_its_model():
    entries = [
        iteration("message", 408, 0, model="claude-fable-5"),
        iteration("fallback_message", 412, 264, model="claude-opus-4-8"),
    ]
    counts = {"input_tokens": 412, "output_tokens": 264, "iterations": entries}
    assert price_usage("claude-fable-5", counts, NOW) == Decimal("0.00866")  # 412 x 5 + 264 x 25
    entries[0]["output_tokens"] = 10  # it spoke before it declined: 408 x 10 + 10 x 50 more
    assert price_usage("claude-fable-5", counts, NOW) == Decimal("0.01324")


def test_a_tier_is_reached_by_one_iteration_never_by_their_sum():
    entries = [iteration("message", 60_000, 0), iteration("message", 60_000, 0)]
    counts = {"input_tokens": 120_000, "output_tokens": 0, "iterations": entries}
    assert price_usage("claude-haiku-5-5", counts, NOW) == Decimal("0.012")


def test_an_unbilled_refusal_is_free_but_not_the_compaction_beside_it():
    assert price_usage("claude-opus-5-5", usage(1_000), NOW, refused=True) == 0
    entries = [iteration("compaction", 1_000, 0), iteration("message", 5_000, 0)]
    counts = {"input_tokens": 5_000, "output_tokens": 0, "iterations": entries}
    assert price_usage("claude-opus-5-5", counts, NOW, refused=True) == Decimal("0.004")


@pytest.mark.parametrize(
    "model",
    [
        "smollm2-135m",
        "local-lm",
        "claude-opus-4-10",
        "claude-opus-9",
        "gpt-5",
        "",
        "claude",
        "claude-haiku-5-55",
    ],
)
def test_an_unknown_model_is_unknown_and_no_relative_of_a_known_one(model):
    assert price_usage(model, usage(10, out=10), NOW) is None


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"input_tokens": None, "output_tokens": None},
        {"input_tokens": "12", "output_tokens": 1},
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": 1.5, "output_tokens": 1},
        {"input_tokens": True, "output_tokens": 1},
        {"input_tokens": 1, "output_tokens": 1, "service_tier": "priority"},
        {"input_tokens": 1, "output_tokens": 1, "inference_geo": "mars"},
        {"input_tokens": 1, "output_tokens": 1, "speed": "warp"},
        {"input_tokens": 1, "output_tokens": 1, "cache_creation": 7},
        {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": "3"}},
    ],
)
def test_what_no_rule_covers_is_unknown(counts):
    assert price_usage("claude-opus-5-5", counts, NOW) is None


def test_absent_optional_fields_are_zero():
    bare = {
        "input_tokens": 1_000,
        "output_tokens": 100,
        "cache_read_input_tokens": None,
        "cache_creation": None,
    }
    assert price_usage("claude-opus-5-5", {**bare, "server_tool_use": None}, NOW) == Decimal("0.006")


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("anthropic/claude-opus-5-5", "4"),
        ("claude-opus-4-5@20251101", "5"),
        ("global.anthropic.claude-opus-5-5", "4"),
        ("us.anthropic.claude-opus-5-5", "4.4"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "3"),
        ("anthropic.claude-sonnet-4-20250514-v1:0", "3"),
    ],
)
def test_ids_of_other_clouds_with_their_regional_surcharge(model, usd):
    assert price_usage(model, usage(MILLION), NOW) == Decimal(usd)


counts_of_tokens = st.integers(0, 2_000_000)


@given(st.tuples(*[counts_of_tokens] * 5), st.sampled_from([*TABLE]))
def test_a_price_is_the_exact_sum_of_its_classes(counts, model):
    rates = [Decimal(rate) for rate in TABLE[model].split()]
    exact = sum(count * rate for count, rate in zip(counts, rates, strict=True)) / MILLION
    price = price_usage(model, usage(*counts), NOW)
    assert price == exact
    assert from_pico(to_pico(price)) == exact  # stored without rounding


@given(st.integers(0, 100_000), st.integers(0, 64_000), st.integers(0, 64_000))
def test_an_interval_holds_every_final_cost_it_can_still_have(plain, seen, limit):
    low, high = cost_interval(
        "claude-opus-5-5", {"input_tokens": plain, "output_tokens": 1}, NOW, max_tokens=limit
    )
    final = price_usage(
        "claude-opus-5-5", {"input_tokens": plain, "output_tokens": max(1, min(seen, limit))}, NOW
    )
    assert low <= final <= high


def test_an_interval_without_any_usage_reaches_from_nothing_to_the_worst():
    body = {
        "model": "claude-opus-5-5",
        "max_tokens": 1_000,
        "messages": [{"role": "user", "content": "x" * 1_000}],
    }
    low, high = cost_interval("claude-opus-5-5", None, NOW, worst=worst_usage(body))
    assert low == 0
    assert high > Decimal("0.02")  # all of max_tokens at $20
    assert cost_interval("smollm", None, NOW, worst=worst_usage(body)) == (None, None)
    assert cost_interval("claude-opus-5-5", None, NOW) == (0, None)


def test_the_worst_case_assumes_the_dearest_write_that_the_request_asks_for():
    body = {"max_tokens": 10, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert price_usage("claude-opus-5-5", worst_usage(body, 1_000), NOW) == Decimal("0.0082")
    body["cache_control"].pop("ttl")
    assert price_usage("claude-opus-5-5", worst_usage(body, 1_000), NOW) == Decimal("0.0052")
    assert worst_usage({"messages": []}) is None


@pytest.mark.parametrize("iterations", [["x"], "abc", [{"type": "message", "input_tokens": 1}, None], 7])
def test_iterations_that_cannot_be_read_are_unknown_not_free(iterations):
    usage = {"input_tokens": 5, "output_tokens": 1, "iterations": iterations}
    assert price_usage("claude-opus-5-5", usage) is None


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0.00"),
        ("4.1234", "$4.12"),
        ("0.4", "$0.40"),
        ("0.1", "$0.10"),
        ("0.0123", "$0.0123"),
        ("0.000123", "$0.000123"),
        ("0.00000001", "$0.00000001"),
        ("1234.5", "$1,234.50"),
        ("0.0999999", "$0.10"),
    ],
)
def test_money_is_written_with_enough_digits(usd, text):
    assert format_usd(Decimal(usd)) == text


def test_unknown_money_says_so():
    assert format_usd(None) == "unknown"


def test_amounts_are_stamped_with_their_price_data():
    assert price_version().startswith("genai-prices ")


def test_the_worst_case_weighs_an_image_as_one_and_text_by_its_letters_and_signs():
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "A" * 4_000_000},
    }
    seen = worst_usage({"max_tokens": 1, "messages": [{"role": "user", "content": [image]}]})
    assert 5_000 <= seen["input_tokens"] <= 5_100
    latin, chinese = (
        worst_usage({"max_tokens": 1, "system": letter * 1_000})["input_tokens"] for letter in "x字"
    )
    assert chinese > 2.5 * latin
    prose, figures = (
        worst_usage({"max_tokens": 1, "system": text})["input_tokens"]
        for text in ("ab c" * 500, "1;2," * 500)
    )
    assert figures > 1.9 * prose
    elsewhere = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
    asked = {"max_tokens": 1, "messages": [{"role": "user", "content": [elsewhere]}]}
    assert worst_usage({**asked, "model": "claude-opus-5-5"})["input_tokens"] == 1_000_000
    assert worst_usage({**asked, "model": "somebody-elses"}) is None
    assert worst_usage({**asked, "model": "somebody-elses"}, input_tokens=7)["input_tokens"] == 7
