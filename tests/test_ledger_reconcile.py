"""The ledger beside the invoice: real calls over loopback, a bill of them, and every difference explained."""

import traceback
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_server import Reply, delta, message, serving, start, text
from organization_server import ADMIN_KEY, Organization, Request

from claude_nb import Ledger
from claude_nb.credentials import Secret
from claude_nb.errors import LedgerError
from claude_nb.ledger.invoice import CLASSES, Billed, key_of
from claude_nb.ledger.reconcile import Own, _line
from claude_nb.ledger.reconciliation import REASONS, Reconciliation

OPUS = "claude-opus-5-5"
DAY = "2026-11-20"
AT = datetime(2026, 11, 20, tzinfo=UTC)
NOON = f"{DAY}T12:00:00+00:00"
USAGE = {
    "input_tokens": 1_000_000,
    "cache_creation_input_tokens": 30_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 10_000, "ephemeral_1h_input_tokens": 20_000},
    "cache_read_input_tokens": 500_000,
    "output_tokens": 100_000,
}
TOKENS = (1_000_000, 10_000, 20_000, 500_000, 100_000)
USD = Decimal(4) + Decimal("0.05") + Decimal("0.16") + Decimal("0.1") + 2


class Book:
    """A ledger whose calls were made on a day of our choice."""

    def __init__(self):
        self.ledger = Ledger(":memory:")

    def call(self, reply, *, at=NOON, workspace="wrkspc_ours", **more):
        """One call; what becomes of it is in the reply."""
        reply.headers["anthropic-workspace-id"] = workspace
        with serving(reply) as server:
            client = self.ledger.meter(
                anthropic.Anthropic(api_key="test", base_url=server.url, max_retries=0)
            )
            asked = {
                "model": OPUS,
                "max_tokens": 1_000,
                "messages": [{"role": "user", "content": "Hi"}],
                **more,
            }
            if asked.get("stream"):
                stream = client.messages.create(**asked)
                for _ in zip(range(3), stream, strict=False):
                    pass
                stream.close()
            else:
                client.messages.create(**asked)
        with self.ledger._store.transaction() as connection:
            newest = "SELECT id FROM claude_nb_attempts ORDER BY ts DESC LIMIT 1"
            row = connection.exec_driver_sql(newest).scalar_one()
            stamp = datetime.fromisoformat(at).isoformat(timespec="microseconds")
            connection.exec_driver_sql("UPDATE claude_nb_attempts SET ts = ? WHERE id = ?", (stamp, row))

    @contextmanager
    def invoice(self, *requests, **how):
        """The client of an organisation that was billed for these requests."""
        with serving(script=Organization(*requests, **how)) as server:
            server.client = anthropic.Anthropic(api_key=ADMIN_KEY, base_url=server.url, max_retries=0)
            yield server

    def against(self, *requests, since="2026-11-16", until="2026-11-22", **how):
        """The reconciliation with that invoice; its lines' reasons always add up."""
        with self.invoice(*requests, **how) as server:
            found = self.ledger.reconcile(server.client, since=since, until=until)
        for line in found.lines:
            if line.residual is not None:
                assert sum(line.reasons.values()) == pytest.approx(line.residual, abs=Decimal("1e-20"))
        return found


@pytest.fixture
def book():
    return Book()


def only(found):
    """The reasons of the one line, without those of no amount; rounding of a division is none."""
    (line,) = found.lines
    return {name: usd for name, usd in line.reasons.items() if abs(usd) > Decimal("1e-20")}


def test_the_same_calls_leave_no_difference(book):
    book.call(Reply(message(USAGE, model=OPUS)))
    found = book.against(Request(NOON, TOKENS))
    (line,) = found.lines
    assert (line.own.usd, line.billed.amount, line.residual) == (USD, USD, 0)
    assert only(found) == {}
    assert str(found).startswith(
        "ledger $6.31, invoice $6.31, 2026-11-16 to 2026-11-22 UTC: difference +$0.00 (+0.0%)"
    )


def test_usage_of_other_machines_is_told_apart_by_its_tokens(book):
    book.call(Reply(message(USAGE, model=OPUS)))
    found = book.against(Request(NOON, TOKENS), Request(NOON, (0, 0, 0, 0, 50_000)))
    assert only(found) == {"elsewhere": 1}
    assert "+$1.00 not in this ledger: other keys, machines or unmetered clients" in str(found)


def test_other_workspaces_are_named(book):
    book.call(Reply(message(USAGE, model=OPUS)))
    found = book.against(Request(NOON, TOKENS), Request(NOON, TOKENS, workspace_id="wrkspc_theirs"))
    assert only(found) == {"elsewhere": USD}
    assert "+$6.31 not in this ledger: $6.31 in other workspaces" in str(found)
    assert "machines or unmetered" not in str(found)


def test_a_call_broken_off_explains_at_most_what_it_can_have_cost(book):
    """Its output is not known: up to max_tokens of it is put down to it, the rest to others."""
    book.call(
        Reply(chunks=[start(model=OPUS), *text("Hello", "there"), delta()]), stream=True, max_tokens=10_000
    )
    found = book.against(Request(NOON, (25, 0, 0, 0, 15_000)))
    assert only(found) == {
        "unfinished": Decimal(25) * 4 / 10**6 + Decimal("0.2"),
        "elsewhere": Decimal("0.1"),
    }
    assert "1 call in flight or broken off, at $0.0001" in str(found)


def test_calls_without_a_known_price_are_priced_by_the_invoice(book):
    book.call(
        Reply(message({"input_tokens": 10**6, "output_tokens": 0}, model="claude-new-9")),
        model="claude-new-9",
    )
    found = book.against(Request(NOON, (10**6, 0, 0, 0, 0), model="claude-new-9"))
    assert only(found) == {"unpriced": 1}
    assert "+$1.00 1 call of this ledger without a known price" in str(found)


def test_an_unbilled_refusal_is_not_missed_on_the_invoice(book):
    refused = message(
        USAGE,
        model=OPUS,
        content=[],
        stop_reason="refusal",
        stop_details={"type": "refusal", "category": "cyber"},
    )
    book.call(Reply(refused))
    book.call(Reply(message(USAGE, model=OPUS)))
    assert only(book.against(Request(NOON, TOKENS))) == {}


def test_what_only_the_ledger_has_is_negative_and_says_when_it_is_merely_early(book):
    book.call(Reply(message(USAGE, model=OPUS)))
    book.call(Reply(message(USAGE, model=OPUS)))
    found = book.against(Request(NOON, TOKENS))
    assert only(found) == {"only_here": -USD}
    assert "-$6.31 recorded here, not on the invoice\n" in f"{found}\n"
    early = book.against(Request(NOON, TOKENS), refreshed=f"{DAY}T18:00:00Z")
    assert "not on the invoice yet (its data ends before that day does)" in str(early)


def test_a_day_the_invoice_does_not_reach_is_unknown_and_not_a_difference(book):
    book.call(Reply(message(USAGE, model=OPUS)), at="2026-11-21T09:00:00+00:00")
    found = book.against(refreshed="2026-11-21T00:00:00Z")
    assert (found.residual, found.lines[0].residual) == (0, None)
    assert "$6.31 of this ledger is not on the invoice yet" in str(found)
    assert found.frame()["invoice_usd"].isna().all()


def test_discounts_are_told_from_usage(book):
    book.call(Reply(message(USAGE, model=OPUS)))
    found = book.against(Request(NOON, TOKENS, discount="0.1"))
    assert only(found) == {"discount": -USD / 10}
    assert "-$0.63 discount on the list price" in str(found)


@pytest.mark.parametrize("currency", ["EUR", None])
def test_amounts_in_another_currency_are_refused_and_never_added(book, currency):
    book.call(Reply(message(USAGE, model=OPUS)))
    billed = (Request(NOON, TOKENS), Request(NOON, TOKENS, workspace_id="wrkspc_b", currency=currency))
    with pytest.raises(LedgerError, match=f"amounts in {currency}.*workspace_ids"):
        book.against(*billed)
    with book.invoice(*billed) as server:
        ours = book.ledger.reconcile(
            server.client, since=DAY, until="2026-11-21", workspace_ids="wrkspc_ours"
        )
    assert ours.residual == 0


def test_an_amount_that_is_no_number_is_refused(book):
    with pytest.raises(LedgerError, match="cannot be read"):
        book.against(Request(NOON, model=None, other=("code_execution", "NaN")))


def test_other_prices_for_the_same_tokens_are_told(book, monkeypatch):
    book.call(Reply(message(USAGE, model=OPUS)))
    monkeypatch.setitem(__import__("organization_server").USD_PER_MILLION, OPUS, ("5", "5", "8", "0.2", "20"))
    found = book.against(Request(NOON, TOKENS))
    assert only(found) == {"price": 1}
    assert "the same tokens at other prices" in str(found)


def test_searches_containers_and_sessions_stand_in_the_comparison(book):
    usage = {**USAGE, "server_tool_use": {"web_search_requests": 3}}
    book.call(Reply(message(usage, model=OPUS)))
    found = book.against(
        Request(NOON, TOKENS, searches=5),
        Request(NOON, model=None, other=("code_execution", "0.25")),
        Request(NOON, model=None, other=("session_usage", "0.08")),
    )
    lines = {line.key.model: line for line in found.lines}
    assert lines[OPUS].reasons["elsewhere"] == Decimal("0.02")
    assert lines[""].reasons["elsewhere"] == Decimal("0.33")
    assert "$0.25 code execution, $0.08 session usage" in str(found)


@pytest.mark.parametrize(
    ("served", "billed"), [({"service_tier": "batch"}, "batch"), ({"inference_geo": "us"}, "us")]
)
def test_tier_and_place_are_lines_of_their_own(book, served, billed):
    book.call(Reply(message({**USAGE, **served}, model=OPUS)))
    name = next(iter(served))
    found = book.against(Request(NOON, TOKENS, **served), Request(NOON, TOKENS))
    assert {getattr(line.key, name) for line in found.lines} == {
        billed,
        "standard" if billed == "batch" else "global",
    }
    assert sorted(line.residual for line in found.lines) == [0, USD]


def test_an_advisers_share_of_a_call_stands_under_the_advisers_model(book):
    iterations = [
        {"type": "message", "input_tokens": 1_000, "output_tokens": 500},
        {"type": "advisor_message", "model": "claude-haiku-5-5", "input_tokens": 2_000, "output_tokens": 100},
    ]
    usage = {"input_tokens": 1_000, "output_tokens": 500, "iterations": iterations}
    book.call(Reply(message(usage, model=OPUS)))
    haiku = Request(NOON, (2_000, 0, 0, 0, 100), model="claude-haiku-5-5")
    found = book.against(Request(NOON, (1_000, 0, 0, 0, 500)), haiku)
    assert [line.residual for line in found.lines] == [0, 0]
    assert sum(line.own.usd for line in found.lines) == book.ledger.total().usd


def test_days_are_utc_and_every_page_of_every_month_is_read(book):
    book.call(Reply(message(USAGE, model=OPUS)), at="2026-11-20T23:59:59+00:00")
    days = [datetime(2026, 8, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(110)]
    billed = [Request(day.isoformat(), (250_000, 0, 0, 0, 0)) for day in days]
    with book.invoice(*billed, Request("2026-11-20T23:59:59+00:00", TOKENS), page=7) as server:
        found = book.ledger.reconcile(server.client, since="2026-08-01", until="2026-11-22")
    assert len(server.hits) > 2 * 110 / 7
    frame = found.frame()
    assert len(frame) == 111
    assert frame["invoice_usd"].sum() == pytest.approx(110 + float(USD))
    assert float(found.residual) == pytest.approx(110)


def test_the_frame_holds_the_promised_columns_and_adds_up(book):
    book.call(Reply(message(USAGE, model=OPUS)))
    book.call(Reply(message({"input_tokens": 10, "output_tokens": 10})), at="2026-11-19T01:00:00+00:00")
    found = book.against(Request(NOON, TOKENS, discount="0.2"), Request(NOON, TOKENS, inference_geo="us"))
    frame = found.frame()
    assert list(frame.columns[:6]) == ["day", "model", "service_tier", "speed", "inference_geo", "ledger_usd"]
    reasons = frame[[f"{name}_usd" for name in REASONS]].sum(axis=1)
    assert list(reasons) == pytest.approx(list(frame["residual_usd"]))
    daily = found.daily()
    assert list(daily.index.strftime("%Y-%m-%d")) == ["2026-11-19", DAY]
    assert daily["invoice_usd"].sum() == pytest.approx(float(USD) * (0.8 + 1.1))
    assert (str(frame["day"].dt.tz), str(frame["ledger_tokens"].dtype)) == ("UTC", "Int64")


def test_an_empty_period_reconciles_and_a_backward_one_is_refused(book):
    found = book.against()
    assert (len(found.frame()), len(found.daily()), found.residual) == (0, 0, 0)
    assert "<table" not in found._repr_html_()
    with pytest.raises(LedgerError, match="no day between"):
        book.against(since="2026-11-22", until="2026-11-20")


def test_simulated_and_imported_calls_and_those_of_the_clouds_stay_out(book):
    book.call(Reply(message(USAGE, model=OPUS)))
    with book.ledger._store.transaction() as connection:
        connection.exec_driver_sql("UPDATE claude_nb_attempts SET provider = 'bedrock'")
    found = book.against()
    assert found.lines == []
    assert "1 call through Bedrock, Vertex or Foundry" in str(found)
    with book.ledger._store.transaction() as connection:
        connection.exec_driver_sql("UPDATE claude_nb_attempts SET simulated = 1")
    assert book.against().on_clouds == 0


def test_the_filters_reach_the_endpoints(book):
    with book.invoice(Request(NOON, TOKENS), Request(NOON, TOKENS, workspace_id="wrkspc_b")) as server:
        found = book.ledger.reconcile(
            server.client, since=DAY, until="2026-11-21", workspace_ids=["wrkspc_b"]
        )
    assert found.residual == USD


PIECES = st.dictionaries(st.sampled_from(CLASSES), st.integers(0, 10**7), max_size=6)
USDS = st.decimals(0, 100, places=6)


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.tuples(PIECES, PIECES, PIECES),
    money=st.lists(USDS, min_size=6, max_size=6),
    others=st.tuples(USDS, USDS, USDS, USDS),
    unfinished=st.tuples(st.integers(0, 3), USDS, st.none() | USDS),
)
def test_whatever_stands_on_both_sides_the_reasons_add_up(pieces, money, others, unfinished):
    settled, unpriced, billed = pieces
    own = Own(usd=others[0], unfinished=unfinished[0], low=unfinished[1], high=unfinished[2])
    own.settled.update(settled)
    own.unpriced.update(unpriced)
    by_class = {name: usd for name, usd in zip(CLASSES, money, strict=True) if billed.get(name)}
    listed = sum(by_class.values()) + others[1]
    side = Billed(amount=others[2], listed=listed, elsewhere=others[1])
    side.pieces.update(billed)
    side.by_class.update(by_class)
    line = _line(key_of(DAY, OPUS, None, None, None), own, side, None)
    assert sum(line.reasons.values()) == pytest.approx(line.residual, abs=Decimal("1e-15"))
    assert line.reasons["only_here"] <= 0 <= line.reasons["unpriced"]
    assert line.reasons["elsewhere"] >= side.elsewhere
    most = own.high if own.high is not None else line.reasons["unfinished"]
    assert 0 <= line.reasons["unfinished"] <= (most if own.unfinished else 0)
    assert (
        line.name in str(Reconciliation([line], start=AT, end=AT, refreshed=None, on_clouds=0))
        or abs(line.residual) < 1
    )


# ---- the key


def test_the_key_comes_from_the_environment_or_a_secret(book, monkeypatch):
    with pytest.raises(LedgerError, match="ANTHROPIC_ADMIN_API_KEY"):
        book.ledger.reconcile()
    with book.invoice(Request(NOON, TOKENS)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        assert book.ledger.reconcile(Secret(ADMIN_KEY), since=DAY, until="2026-11-21").residual == USD
        monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", f" {ADMIN_KEY}\n")
        assert book.ledger.reconcile(since=DAY, until="2026-11-21").residual == USD


@pytest.mark.parametrize("how", ["wrong key", "no server", "a plain string"])
def test_the_key_is_in_no_error_and_no_traceback(book, monkeypatch, how):
    """Also not in the variables of the frames, which IPython's verbose tracebacks print."""
    key = "sk-ant-admin01-" + "Qq7" * 20
    with book.invoice() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9" if how == "no server" else server.url)
        admin = key if how == "a plain string" else Secret(key)
        with pytest.raises(LedgerError) as refusal:
            book.ledger.reconcile(admin)
    error = refusal.value
    frames = error.__traceback__.tb_next  # without this test's own
    told = traceback.TracebackException(type(error), error, frames, capture_locals=True)
    assert "Qq7Qq7" not in "".join(told.format())
    assert (error.__cause__, error.__context__) == (None, None)


def test_it_reads_the_same_as_a_table(book):
    book.call(Reply(message(USAGE, model=OPUS)))
    found = book.against(
        Request(NOON, TOKENS, discount="0.1"), Request(NOON, (1, 0, 0, 0, 0), model="claude-haiku-5-5")
    )
    html = found._repr_html_()
    assert "2026-11-20 claude-opus-5-5" in html
    assert "-$0.63 discount on the list price" in html
    assert "<script" not in html


def test_many_lines_are_cut_with_a_word(book):
    billed = [Request(f"2026-11-{day:02}T01:00:00+00:00", TOKENS) for day in range(1, 22)]
    found = book.against(*billed, since="2026-11-01")
    assert "and 6 more lines that differ: reconciliation.frame()" in str(found)
    assert "and 6 more lines" in found._repr_html_()
