"""A wrong argument is one clear error at the call; a reply of any shape is none."""

import json
from datetime import datetime
from types import SimpleNamespace

import anthropic
import pandas as pd
import pytest
from anthropic.types import Usage
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_nb.errors import LedgerError
from claude_nb.ledger import Budget, Ledger, label, price_usage
from claude_nb.ledger.attempt import opening_row, settle
from claude_nb.ledger.lineage import Lineage
from claude_nb.ledger.wire import Seen

LEDGER = Ledger(":memory:")

WRONG = {
    "a number for a file": lambda: Ledger(5),
    "a list for a file": lambda: Ledger([]),
    "bytes for a file": lambda: Ledger(b"spend.db"),
    "nothing for a file": lambda: Ledger(""),
    "a null character": lambda: Ledger("a\0b"),
    "a number for a tag": lambda: LEDGER.tag(5),
    "a list for a tag": lambda: LEDGER.tag(["lesson"]),
    "an empty tag": lambda: LEDGER.tag(""),
    "a text for several tags": lambda: label(tags="lesson"),
    "a number for a conversation": lambda: label(conversation=5),
    "a number for a model": lambda: LEDGER.where(model=5),
    "a text for a number": lambda: LEDGER.where(status="200"),
    "a column that is not there": lambda: LEDGER.where(colour="red"),
    "a time too long ago": lambda: LEDGER.since("99999999w"),
    "more digits than a number has": lambda: LEDGER.since("9" * 5_000 + "w"),
    "a time before all times in UTC": lambda: LEDGER.since("0001-01-01T00:00:00+14:00"),
    "a time after all times in UTC": lambda: LEDGER.since("9999-12-31T23:59:59-14:00"),
    "pandas' missing time": lambda: LEDGER.since(pd.NaT),
    "a number of tags": lambda: label(tags=3),
    "no time": lambda: LEDGER.since(None),
    "no key": lambda: LEDGER.by(None),
    "no client": lambda: LEDGER.meter(5),
    "no call": lambda: LEDGER.explain([]),
    "no conversation": lambda: LEDGER.leaks(5),
    "no ledger": lambda: Budget(5, ledger="spend.db"),
    "no amount": lambda: Budget("much"),
    "no period": lambda: Budget(5, per=[]),
    "no folder": lambda: LEDGER.import_claude_code(5),
    "no file": lambda: LEDGER.import_console(None),
    "an asynchronous client": lambda: LEDGER.reconcile(anthropic.AsyncAnthropic(api_key="x")),
    "no model": lambda: price_usage(None, {}),
    "no usage": lambda: price_usage("claude-haiku-5-5", 5),
    "a text for a time": lambda: price_usage("claude-haiku-5-5", {}, "2026-11-22"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_argument_is_told_at_the_call(what):
    with pytest.raises(LedgerError) as refusal:
        WRONG[what]()
    assert str(refusal.value).strip().endswith((".", "'200'", "5"))


def test_a_usage_may_be_the_sdks_object():
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    assert price_usage("claude-opus-5-5", usage) == 4


def test_rows_can_be_chosen_by_number_and_by_absence():
    assert LEDGER.where(status=200, stream=True, model=None).total().calls == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
COUNTS = ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
PARTS = ["cache_creation", "server_tool_use", "iterations", "output_tokens_details"]
NAMES = st.sampled_from([*COUNTS, *PARTS, "speed", "service_tier", "inference_geo"])
ITERATION = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("type", "model", "input_tokens", "output_tokens"), JSON)
)
USAGES = st.dictionaries(NAMES, JSON | st.lists(ITERATION, max_size=2) | st.integers(0, 10**6), max_size=8)


@settings(max_examples=400, deadline=None)
@given(usage=USAGES, stop=JSON, model=JSON, ended=st.booleans())
def test_no_reply_of_any_shape_keeps_its_row_from_being_settled(usage, stop, model, ended):
    """Whatever a server calls a usage: the row is written, with a price or without one, and never below nothing."""
    options = SimpleNamespace(idempotency_key="k")
    body = {"model": "claude-haiku-5-5", "max_tokens": 5, "messages": []}
    request = SimpleNamespace(json=body, options=options, retries_taken=0, stream=False)
    seen = Seen()
    message = {
        "id": "m",
        "model": model,
        "usage": json.loads(json.dumps(usage)),
        "content": [],
        "stop_reason": stop,
    }
    seen.take_message({**message, "stop_details": stop, "diagnostics": stop})
    seen.ended = seen.ended and ended
    row = settle(opening_row(request, "messages", Lineage(), simulated=False), seen, "ok")
    for name in ("cost_pico", "cost_low_pico", "cost_high_pico"):
        assert row[name] is None or row[name] >= 0
    assert datetime.fromisoformat(row["ts"])
    assert all(value is None or isinstance(value, str | int) for value in row.values())
    assert all(abs(value) < 2**63 for value in row.values() if isinstance(value, int))
