"""Budgets: what does not fit is never sent, whoever else is spending at the same time."""

import asyncio
import json
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import anthropic
import pytest
from ledger_server import REQUEST, Reply, delta, event, message, serving, sse, start, text
from replay import ASK

from claude_nb import Sandbox, connect
from claude_nb.errors import ClaudeNbError, LedgerError
from claude_nb.ledger import Budget, BudgetExceeded, Ledger

SONNET = "claude-sonnet-5-5"  # $2 in, $10 out per million tokens
CALL = {**REQUEST, "model": SONNET, "max_tokens": 1_000}
FULL = message({"input_tokens": 25, "output_tokens": 1_000}, model=SONNET)
COST = Decimal("0.01005")


@pytest.fixture
def ledger():
    return Ledger(":memory:")


def client_of(server, ledger, cls=anthropic.Anthropic, **options):
    return ledger.meter(cls(api_key="test", base_url=server.url, max_retries=0), **options)


def test_a_call_that_fits_passes_and_is_settled_at_what_it_cost(ledger):
    budget = Budget(0.02, ledger=ledger)
    with serving(Reply(message(model=SONNET))) as server:
        client_of(server, ledger).messages.create(**CALL)
    assert budget.spent() == Decimal("0.00022")  # 25 x 2 + 17 x 10, not the worst case
    assert budget.left() == Decimal("0.01978")


def test_a_call_that_does_not_fit_never_reaches_the_network_and_says_why(ledger):
    Budget(0.005, ledger=ledger)
    with serving(Reply(FULL)) as server:
        with pytest.raises(BudgetExceeded) as refusal:
            client_of(server, ledger).messages.create(**CALL)
        assert server.hits == []
    assert isinstance(refusal.value, ClaudeNbError)
    assert refusal.value.left == Decimal("0.005")
    assert (
        Decimal("0.011") < refusal.value.cost < Decimal("0.0112")
    )  # 1,000 tokens of output, 10 % for a region
    said = str(refusal.value)
    assert "was not sent" in said
    assert "$0.005 is left" in said
    assert "Lower max_tokens" in said
    assert list(ledger.frame()["outcome"]) == ["budget_refused"]
    assert str(ledger.total()) == "$0.00"


def test_a_refusal_is_not_retried(ledger):
    Budget(0, ledger=ledger)
    client = ledger.meter(anthropic.Anthropic(api_key="test", base_url="http://127.0.0.1:1", max_retries=5))
    with pytest.raises(BudgetExceeded):
        client.messages.create(**CALL)
    assert len(ledger.frame()) == 1


def test_sixteen_threads_never_overspend_ten_cents(ledger):
    """Each call costs $0.01005 and its worst case a little more: nine fit."""
    Budget("0.10", ledger=ledger)

    def call(client):
        try:
            client.messages.create(**CALL)
        except BudgetExceeded:
            return False
        return True

    with serving(Reply(FULL, hang=0.02)) as server:
        client = client_of(server, ledger)
        with ThreadPoolExecutor(16) as pool:
            passed = list(pool.map(lambda _: call(client), range(48)))
        assert len(server.hits) == sum(passed) == 9
    assert ledger.total().usd == 9 * COST


WORKER = """
import sys, anthropic
from claude_nb.ledger import Budget, BudgetExceeded, Ledger
url, path = sys.argv[1:]
ledger = Ledger(path)
Budget("0.10", per="total", ledger=ledger)
client = ledger.meter(anthropic.Anthropic(api_key="test", base_url=url, max_retries=0))
messages = [{"role": "user", "content": "Hello"}]
for _ in range(12):
    try:
        client.messages.create(model="claude-sonnet-5-5", max_tokens=1_000, messages=messages)
    except BudgetExceeded:
        pass
"""


def test_three_processes_never_overspend_ten_cents(tmp_path):
    path = tmp_path / "spend.db"
    with serving(Reply(FULL)) as server:
        command = [sys.executable, "-c", WORKER, server.url, str(path)]
        workers = [subprocess.Popen(command) for _ in range(3)]
        assert [worker.wait() for worker in workers] == [0, 0, 0]
        assert len(server.hits) == 9
    assert Ledger(path).total().usd == 9 * COST


def test_async_calls_are_held_too(ledger):
    Budget("0.025", ledger=ledger)

    async def calls(server):
        client = client_of(server, ledger, anthropic.AsyncAnthropic)
        return await asyncio.gather(
            *(client.messages.create(**CALL) for _ in range(8)), return_exceptions=True
        )

    with serving(Reply(FULL, hang=0.02)) as server:
        results = asyncio.run(calls(server))
        assert len(server.hits) == 2
    assert sum(isinstance(result, BudgetExceeded) for result in results) == 6


def test_nested_budgets_hold_together_and_end_with_their_block(ledger):
    with serving(Reply(FULL)) as server:
        client = client_of(server, ledger)
        with Budget(1, ledger=ledger):
            with Budget(0.001, ledger=ledger), pytest.raises(BudgetExceeded):
                client.messages.create(**CALL)
            client.messages.create(**CALL)
        client.messages.create(**{**CALL, "max_tokens": 10_000})
    assert ledger.total().calls == 2


def test_per_call_looks_at_one_call_only(ledger):
    Budget(0.0115, per="call", ledger=ledger)
    with serving(Reply(FULL)) as server:
        client = client_of(server, ledger)
        for _ in range(3):
            client.messages.create(**CALL)
        with pytest.raises(BudgetExceeded):
            client.messages.create(**{**CALL, "max_tokens": 2_000})


@pytest.mark.parametrize(
    ("per", "moved", "counts"),
    [
        ("day", "ts = '2020-01-01T00:00:00.000000+00:00'", False),
        ("month", "ts = '2020-01-01T00:00:00.000000+00:00'", False),
        ("notebook", "session = 'another kernel'", False),
        ("total", "ts = '2020-01-01T00:00:00.000000+00:00', session = 'another kernel'", True),
    ],
)
def test_each_period_counts_its_own_calls(ledger, per, moved, counts):
    with serving(Reply(FULL)) as server:
        client_of(server, ledger).messages.create(**CALL)
    budget = Budget(1, per=per, ledger=ledger)
    assert budget.spent() == COST
    with ledger._store.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE claude_nb_attempts SET {moved}")  # noqa: S608 - the cases above
    assert budget.spent() == (COST if counts else 0)


def test_a_warning_lets_the_call_pass(ledger):
    Budget(0, ledger=ledger, on="warn")
    with serving(Reply(FULL)) as server, pytest.warns(RuntimeWarning, match=r"\$0\.00 is left"):
        client_of(server, ledger).messages.create(**CALL)
    assert ledger.total().calls == 1


@pytest.mark.parametrize("yes", [True, False])
def test_asking_does_as_it_is_told(ledger, yes):
    questions = []
    Budget(0, ledger=ledger, on="ask", ask=lambda question: questions.append(question) or yes)
    with serving(Reply(FULL)) as server:
        if yes:
            client_of(server, ledger).messages.create(**CALL)
        else:
            with pytest.raises(BudgetExceeded):
                client_of(server, ledger).messages.create(**CALL)
        assert len(server.hits) == yes
    assert questions[0].endswith("Send it all the same?")


def test_without_a_keyboard_the_answer_is_no(ledger, monkeypatch):
    def no_keyboard(_prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", no_keyboard)
    Budget(0, ledger=ledger, on="ask")
    with serving(Reply(FULL)) as server, pytest.raises(BudgetExceeded):
        client_of(server, ledger).messages.create(**CALL)


def test_a_model_without_a_known_price_cannot_be_bounded(ledger):
    Budget(100, ledger=ledger)
    with (
        serving(Reply(FULL)) as server,
        pytest.raises(BudgetExceeded, match="nobody knows what smollm costs"),
    ):
        client_of(server, ledger).messages.create(**{**CALL, "model": "smollm"})


def test_simulated_calls_have_an_account_of_their_own(ledger):
    budget = Budget(0.015, ledger=ledger)
    with serving(Reply(FULL)) as server:
        rehearsal, real = client_of(server, ledger, simulated=True), client_of(server, ledger)
        rehearsal.messages.create(**CALL)
        with pytest.raises(BudgetExceeded):
            rehearsal.messages.create(**CALL)
        real.messages.create(**CALL)
    assert budget.spent() == budget.spent(simulated=True) == COST


def test_an_unfinished_call_counts_at_the_most_it_can_have_cost(ledger):
    budget = Budget(1, ledger=ledger)
    with serving(Reply(chunks=[start(model=SONNET), *text("Hello")])) as server:
        list(client_of(server, ledger).messages.create(**CALL, stream=True))
    assert budget.spent() == Decimal("0.01005")


def test_a_budget_that_cannot_be_checked_lets_nothing_pass(tmp_path):
    path = tmp_path / "spend.db"
    path.write_bytes(b"no database " * 1000)
    ledger = Ledger(path)
    with serving(Reply(FULL)) as server, Budget(1, ledger=ledger):
        with pytest.raises(ClaudeNbError, match="cannot be read"):
            client_of(server, ledger).messages.create(**CALL)
        assert server.hits == []


def test_counting_tokens_is_always_allowed(ledger):
    Budget(0, ledger=ledger)
    with serving(Reply({"input_tokens": 12})) as server:
        client_of(server, ledger).messages.count_tokens(model=SONNET, messages=CALL["messages"])


def long_stream():
    piece = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "word " * 20})
    return [start(model=SONNET), *list(text())[:1], *[piece] * 500, delta({"output_tokens": 20_000})]


def test_a_stream_that_fits_in_part_is_stopped_when_the_rest_is_used_up(ledger):
    budget = Budget(0.01, ledger=ledger, stop_streams=True)
    got = []

    def read(client):
        with client.messages.stream(**{**CALL, "max_tokens": 30_000}) as opened:
            got.extend(opened.text_stream)

    with (
        serving(Reply(chunks=long_stream(), pause=0.001)) as server,
        pytest.raises(BudgetExceeded, match="stopped"),
    ):
        read(client_of(server, ledger))
    assert 10 < len(got) < 40  # $0.01 buys 1,000 tokens: about 20 pieces of 100 characters at two a token
    row = ledger.frame().iloc[0]
    assert (row["outcome"], row["input_tokens"]) == ("aborted", 25)
    assert budget.left() == 0


def test_without_leave_to_stop_streams_such_a_stream_never_begins(ledger):
    Budget(0.01, ledger=ledger)
    with serving(sse()) as server:
        with pytest.raises(BudgetExceeded):
            client_of(server, ledger).messages.create(**{**CALL, "max_tokens": 30_000}, stream=True)
        assert server.hits == []


def test_a_stream_with_a_fallback_may_begin_where_its_prompt_fits(ledger):
    Budget(0.01, ledger=ledger, stop_streams=True)
    asked = {**CALL, "max_tokens": 30_000, "extra_body": {"fallbacks": [{"model": SONNET}]}}
    with serving(sse()) as server, client_of(server, ledger).messages.stream(**asked) as opened:
        opened.until_done()
    assert ledger.total().calls == 1


def test_a_tools_own_words_about_a_file_are_no_document(ledger):
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {"source": {"type": "file", "path": "a.csv"}}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "1"}
    messages = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": [use]}]
    Budget(0.02, per="call", ledger=ledger)
    with serving(Reply(message(model=SONNET))) as server:
        client_of(server, ledger).messages.create(
            **{**CALL, "messages": [*messages, {"role": "user", "content": [result]}]}
        )


def test_a_stream_is_stopped_whatever_spaces_its_server_writes(ledger):
    Budget(0.01, ledger=ledger, stop_streams=True)
    spaced = [chunk.replace(b'":', b'": ').replace(b',"', b', "') for chunk in long_stream()]
    got = []

    def read(client):
        with client.messages.stream(**{**CALL, "max_tokens": 30_000}) as opened:
            got.extend(opened.text_stream)

    with serving(Reply(chunks=spaced, pause=0.001)) as server, pytest.raises(BudgetExceeded, match="stopped"):
        read(client_of(server, ledger))
    assert 10 < len(got) < 40


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 25, "output_tokens": 17, "service_tier": "priority"},
        {"input_tokens": 25, "output_tokens": 17, "iterations": ["?"]},
    ],
)
def test_calls_that_nobody_can_price_use_up_what_was_reserved_for_them(ledger, usage):
    """Unknown is not nothing: else such calls would go on for ever."""
    budget = Budget(0.035, per="total", ledger=ledger)
    with serving(Reply(message(usage, model=SONNET))) as server:
        client = client_of(server, ledger)
        for _ in range(3):
            client.messages.create(**CALL)
        with pytest.raises(BudgetExceeded):
            client.messages.create(**CALL)
    assert ledger.total().unpriced == 3
    assert Decimal("0.033") < budget.spent() < Decimal("0.035")


OPUS = "claude-opus-5-5"


@pytest.mark.parametrize(
    ("more", "served", "usage"),
    [
        ({"messages": [{"role": "user", "content": "1;2," * 15_000}]}, SONNET, {"input_tokens": 50_000}),
        ({"tools": [{"type": "advisor_20260301", "name": "advisor", "model": OPUS}]}, SONNET,
         {"iterations": [{"type": "message", "input_tokens": 30, "output_tokens": 900},
                         {"type": "advisor_message", "model": OPUS, "input_tokens": 30, "output_tokens": 1_000}]}),
        ({"fallbacks": [{"model": OPUS}]}, OPUS,
         {"iterations": [{"type": "message", "model": SONNET, "input_tokens": 30, "output_tokens": 900},
                         {"type": "fallback_message", "model": OPUS, "input_tokens": 30, "output_tokens": 1_000}]}),
        ({}, SONNET, {"inference_geo": "us"}),
        ({"messages": [{"role": "user", "content": [
            {"type": "document", "source": {"type": "url", "url": "https://example.com/long.pdf"}}]}]}, SONNET,
         {"input_tokens": 400_000}),
    ],
    ids=["figures", "advisor", "fallback", "region", "file"],
)  # fmt: skip
def test_what_is_reserved_holds_the_dearest_reply(ledger, more, served, usage):
    """No reply that the request allows costs more than what was set aside for it."""
    asked = {**CALL, "max_tokens": 1_000, "extra_body": more}
    used = {"input_tokens": 25, "output_tokens": 1_000} | usage
    with serving(Reply(message(used, model=served))) as server:
        client_of(server, ledger).messages.create(**asked)
        with ledger._store.transaction() as connection:
            columns = "SELECT cost_pico, reserved_pico FROM claude_nb_attempts"
            cost, reserved = connection.exec_driver_sql(columns).one()
    assert 0 < cost <= reserved


def test_budgets_that_hold_can_be_found_and_closed(ledger):
    Budget(1, ledger=ledger)
    Budget(2, per="day", ledger=ledger)
    assert [repr(one) for one in ledger.budgets] == ["<Budget $1.00 per notebook>", "<Budget $2.00 per day>"]
    for one in ledger.budgets:
        one.close()
    assert ledger.budgets == ()


@pytest.mark.parametrize(
    "wrong",
    [{"usd": -1}, {"usd": 1, "per": "year"}, {"usd": 1, "on": "panic"}, {"usd": "NaN"}, {"usd": "lots"}],
)
def test_what_is_no_budget_is_refused_at_once(ledger, wrong):
    with pytest.raises(ClaudeNbError, match="is not a budget"):
        Budget(**wrong, ledger=ledger)
    assert ledger._store.budgets == []


def test_repr_says_the_limit(ledger):
    assert repr(Budget(5, per="day", ledger=ledger)) == "<Budget $5.00 per day>"


@pytest.mark.parametrize("answer", ["y", 1, None, "raise"])
def test_only_true_is_a_yes_and_a_failing_question_is_a_no(answer):
    def ask(question):
        if answer == "raise":
            raise RuntimeError("no keyboard")
        return answer

    sandbox, ledger = Sandbox(), Ledger(":memory:")
    client = connect(sandbox=sandbox, ledger=ledger, quiet=True)
    with Budget(0.000001, "call", ledger=ledger, on="ask", ask=ask), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BudgetExceeded):
            client.messages.create(**ASK)
    assert not sandbox.requests
    assert list(ledger.frame()["outcome"]) == ["budget_refused"]


async def _later(question):
    return True


@pytest.mark.parametrize("ask", ["y", _later])
def test_a_question_that_cannot_be_answered_at_once_is_refused(ask):
    with pytest.raises(LedgerError, match="is not async"):
        Budget(1, ledger=Ledger(":memory:"), on="ask", ask=ask)


def test_a_budget_that_cannot_be_checked_stops_the_call(monkeypatch):
    sandbox, ledger = Sandbox(), Ledger(":memory:")
    client = connect(sandbox=sandbox, ledger=ledger, quiet=True)
    with Budget(1, ledger=ledger) as budget:
        monkeypatch.setattr(budget, "_used", lambda *arguments, **options: 1 / 0)
        with pytest.raises(LedgerError, match="its budget could not be checked"):
            client.messages.create(**ASK)
    assert not sandbox.requests


def test_leaks_of_a_conversation_nobody_knows_is_an_error():
    with pytest.raises(LedgerError, match="no answered call of the conversation 'typo'"):
        Ledger(":memory:").leaks("typo")


# ---- batches


def batch_of(number, model="claude-opus-5-5"):
    params = {"model": model, "max_tokens": 1_000, "messages": [{"role": "user", "content": "Hi"}]}
    return [{"custom_id": f"row-{n}", "params": params} for n in range(number)]


def test_a_batch_that_does_not_fit_is_not_sent_and_one_that_fits_counts_until_its_results_are_read(ledger):
    """A thousand output tokens at half of 20 USD per million, and a few of prompt: a cent a request."""
    about = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended"}
    item = {
        "custom_id": "row-0",
        "result": {"type": "succeeded", "message": message(model="claude-opus-5-5")},
    }
    results = Reply(chunks=[json.dumps(item).encode()], headers={"content-type": "application/x-jsonl"})
    with serving(Reply(about)) as server, Budget(0.1, per="total", ledger=ledger) as budget:
        about["results_url"] = f"{server.url}/v1/messages/batches/msgbatch_1/results"
        server.replies = [Reply(about), Reply(about), results]
        batches = client_of(server, ledger).messages.batches
        with pytest.raises(BudgetExceeded, match=r"up to \$0\.1.*all its requests together"):
            batches.create(requests=batch_of(12))
        with pytest.raises(BudgetExceeded, match="nobody knows what each of its models costs"):
            batches.create(requests=[*batch_of(1), *batch_of(1, "claude-unheard-of")])
        assert server.hits == []
        batches.create(requests=batch_of(8))
        assert budget.left() < Decimal("0.02")
        assert str(ledger.total()) == "$0.00"
        with pytest.raises(BudgetExceeded):
            batches.create(requests=batch_of(2))
        assert len(list(batches.results("msgbatch_1"))) == 1
        cost = ledger.total().usd
        assert cost == Decimal("0.00022")
        assert budget.left() == Decimal("0.1") - cost


def test_a_batch_the_api_refuses_reserves_nothing(ledger):
    problem = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    with serving(Reply(problem, status=400)) as server, Budget(1, per="total", ledger=ledger) as budget:
        with pytest.raises(anthropic.BadRequestError):
            client_of(server, ledger).messages.batches.create(requests=batch_of(8))
        assert budget.left() == 1
