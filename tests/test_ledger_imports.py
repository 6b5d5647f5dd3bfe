"""What other programs counted: each call once, under the name of its source, never mixed with the ledger's own."""

import csv
import json
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import ASK

from claude_nb import Ledger, connect
from claude_nb.cli import main
from claude_nb.errors import LedgerError
from claude_nb.ledger import Budget, price_usage
from claude_nb.ledger.schema import SCHEMA

MODEL = "claude-opus-5-5"
USAGE = {
    "input_tokens": 2,
    "cache_creation_input_tokens": 1_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1_000},
    "cache_read_input_tokens": 60_000,
    "output_tokens": 400,
    "service_tier": "standard",
}
COST = Decimal(2 * 4 + 1_000 * 8 + 400 * 20) / 10**6 + Decimal(60_000) * Decimal("0.2") / 10**6


def line(message_id="msg_1", *, usage=None, stop="end_turn", model=MODEL, content=None, **more):
    """One line of a log: an assistant's content block with the usage of its call."""
    message = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content or [{"type": "text", "text": "Hello"}],
        "stop_reason": stop,
        "usage": USAGE if usage is None else usage,
    }
    record = {
        "type": "assistant",
        "timestamp": "2026-11-20T10:00:00.000Z",
        "sessionId": "s1",
        "requestId": "req_1",
    }
    return {**record, "uuid": "u", "cwd": "/home/ann/alpha", "isSidechain": False, "message": message, **more}


@pytest.fixture
def logs(tmp_path):
    """Write logs: a list of lines (or of text) a file."""

    def write(*files):
        for number, lines in enumerate(files):
            file = tmp_path / "projects" / f"p{number}" / f"s{number}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            text = (one if isinstance(one, str) else json.dumps(one) for one in lines)
            file.write_text("".join(f"{one}\n" for one in text))
        return tmp_path / "projects"

    return write


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "spend.db")


def code(ledger):
    return ledger.where(source="claude-code")


# ---- Claude Code's logs


def test_a_call_is_counted_once_however_many_lines_tell_it(ledger, logs):
    """Streaming writes a placeholder, then a line a content block, all with the same message id."""
    placeholder = {**USAGE, "output_tokens": 1}
    lines = [line(usage=placeholder, stop=None), line(usage=placeholder, stop=None), line(), line()]
    found = ledger.import_claude_code(logs(lines))
    assert (found.rows, found.new, found.repeats) == (1, 1, 3)
    total = code(ledger).total()
    assert (total.usd, total.calls, total.tokens["output_tokens"]) == (COST, 1, 400)
    assert total.tokens["ephemeral_1h_input_tokens"] == 1_000  # not priced as a 5-minute write


def test_the_final_line_wins_wherever_it_stands(ledger, logs):
    lines = [
        line(),
        line(usage={**USAGE, "output_tokens": 900}, stop=None),
        line(usage={**USAGE, "output_tokens": 3}),
    ]
    ledger.import_claude_code(logs(lines))
    assert code(ledger).total().tokens["output_tokens"] == 400


def test_resumed_sessions_and_sidechains_repeat_lines_without_repeating_calls(ledger, logs):
    """Copies have another session, another file, sometimes no request id; the call stays where it was first made."""
    first = [line("msg_1"), line("msg_2", requestId="req_2")]
    resumed = [
        line("msg_1", sessionId="s2"),
        line("msg_2", sessionId="s2", requestId=None),
        line("msg_3", sessionId="s2"),
    ]
    replayed = [line("msg_2", sessionId="s2", isSidechain=True)]
    found = ledger.import_claude_code(logs(first, resumed, replayed))
    assert (found.rows, found.repeats, found.files) == (3, 3, 3)
    frame = code(ledger).frame().set_index("message_id")
    assert list(frame["conversation"]) == ["s1", "s1", "s2"]
    assert list(frame["tags"]) == [(), (), ()]
    assert list(frame["project"]) == ["alpha"] * 3


def test_a_subagents_message_counts_once_whether_reported_in_progress_or_in_a_log_of_its_own(ledger, logs):
    inner = {key: value for key, value in line("msg_7").items() if key in ("type", "message", "timestamp")}
    progress = {
        "type": "progress",
        "sessionId": "s1",
        "cwd": "/x/alpha",
        "data": {"type": "agent_progress", "message": inner},
    }
    summed = {
        "type": "user",
        "toolUseResult": {"usage": USAGE, "text": "assistant"},
        "timestamp": "2026-11-20T10:00:00Z",
    }
    found = ledger.import_claude_code(
        logs([progress, summed], [line("msg_7", isSidechain=True, sessionId="s1")])
    )
    assert (found.rows, found.repeats) == (1, 1)
    assert code(ledger).frame()["tags"][0] == ("sidechain",)


def test_retries_are_calls_of_their_own(ledger, logs):
    found = ledger.import_claude_code(logs([line("msg_1"), line("msg_2")]))
    assert (found.rows, code(ledger).total().usd) == (2, 2 * COST)


def test_a_call_without_a_final_count_keeps_an_interval(ledger, logs):
    ledger.import_claude_code(logs([line(usage={**USAGE, "output_tokens": 1}, stop=None)]))
    total = code(ledger).total()
    assert (total.usd, total.unfinished, total.high) == (0, 1, None)
    assert total.low == price_usage(MODEL, {**USAGE, "output_tokens": 1})
    assert "unknown unfinished" in str(total)


def test_importing_again_adds_nothing_and_a_final_count_replaces_a_placeholder(ledger, logs):
    ledger.import_claude_code(
        logs([line("msg_1", usage={**USAGE, "output_tokens": 1}, stop=None), line("msg_2")])
    )
    folder = logs([line("msg_1"), line("msg_2")])
    again = [ledger.import_claude_code(folder) for _ in range(3)]
    assert [(one.new, one.changed) for one in again] == [(0, 1), (0, 0), (0, 0)]
    cut = ledger.import_claude_code(logs([line("msg_1", usage={**USAGE, "output_tokens": 1}, stop=None)]))
    assert (cut.new, cut.changed, code(ledger).total().usd) == (0, 0, 2 * COST)


def test_what_is_no_call_is_skipped_and_what_cannot_be_read_is_counted(ledger, logs):
    made_up = line("u-1", model="<synthetic>")
    failed = line("u-2", isApiErrorMessage=True)
    torn = json.dumps(line("msg_9"))[:-40]
    negative = line("msg_8", usage={**USAGE, "input_tokens": -5})
    timeless = line("msg_7", timestamp="noon")
    other = [
        {"type": "user", "message": {"role": "user", "content": "assistant"}},
        "",
        "[1, 2]",
        '"assistant"',
    ]
    found = ledger.import_claude_code(logs([made_up, failed, torn, negative, timeless, *other, line()]))
    assert (found.rows, found.skipped, found.malformed) == (1, 2, 3)
    assert str(found).endswith("1 new (2 other lines, 3 malformed lines)")


NOT_A_TEXT = [["a"], {"a": 1}, 5, True]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"model": value} for value in (None, "", *NOT_A_TEXT)),
        *({name: value} for name in ("id", "stop_reason") for value in NOT_A_TEXT),
        *({name: value} for name in ("requestId", "sessionId", "cwd", "uuid") for value in NOT_A_TEXT),
        *({"timestamp": value} for value in (None, 20261120, ["2026-11-20"], "0001-01-01T00:00:00+14:00")),
        *({"usage": value} for value in ([], "much", {"input_tokens": 10**30}, {"output_tokens": [1]})),
        {"usage": {**USAGE, "cache_creation": [1]}},
        {"usage": {**USAGE, "new": json.loads("[" * 900 + "]" * 900)}},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_a_line_with_a_field_of_another_kind_is_counted_and_the_rest_comes_in(ledger, logs, wrong):
    bad = line("msg_2")
    inner = wrong.keys() & {"model", "id", "stop_reason", "usage"}
    (bad["message"] if inner else bad).update(wrong)
    found = ledger.import_claude_code(logs([line(), bad, line("msg_3")]))
    assert (found.rows, found.malformed) == (2, 1)
    assert code(ledger).total().usd == 2 * COST


def test_a_line_without_a_model_or_a_message_is_counted(ledger, logs):
    bad = line("msg_2")
    del bad["message"]["model"]
    found = ledger.import_claude_code(logs([bad, line(message=None), line(message="Hello"), line()]))
    assert (found.rows, found.malformed) == (1, 3)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated_lines(draw):
    """The text of a line of which something was taken away, put elsewhere or replaced, or that was torn."""
    whole = json.loads(json.dumps(line("msg_2", usage={**USAGE, "iterations": [{"type": "message"}]})))
    for _ in range(draw(st.integers(1, 3))):
        place = whole
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = draw(ANY)
            else:
                del place[key]
            break
    text = json.dumps(whole).encode()
    cut = draw(st.integers(0, len(text)))
    return draw(st.sampled_from([text, text[:cut], text[:cut] + draw(st.binary(max_size=4)) + text[cut:]]))


@settings(max_examples=100, deadline=None)
@given(lines=st.lists(mutated_lines(), min_size=1, max_size=4))
def test_no_line_whatever_it_holds_stops_an_import(lines, tmp_path_factory):
    file = tmp_path_factory.mktemp("logs") / "session.jsonl"
    file.write_bytes(b"\n".join([json.dumps(line()).encode(), *lines, json.dumps(line("msg_3")).encode()]))
    ledger = Ledger(":memory:")
    found = ledger.import_claude_code(file)
    assert found.rows + found.repeats + found.skipped + found.malformed >= 2
    frame = code(ledger).frame()
    assert len(frame) == found.rows
    assert {"msg_1", "msg_3"} <= set(frame["message_id"])
    assert code(ledger).total().usd >= 2 * COST
    ledger.reprice()


def test_a_model_without_a_price_is_unpriced_and_not_free(ledger, logs):
    ledger.import_claude_code(logs([line(model="kimi-k2"), line("msg_2")]))
    total = code(ledger).total()
    assert (total.usd, total.unpriced) == (COST, 1)
    assert "1 call unpriced" in str(total)


def test_served_speed_and_geography_are_priced(ledger, logs):
    ledger.import_claude_code(logs([line(usage={**USAGE, "speed": "fast", "inference_geo": "us"})]))
    assert code(ledger).total().usd == COST * 2 * Decimal("1.1")


def test_days_are_utc(ledger, logs):
    ledger.import_claude_code(logs([line(timestamp="2026-11-20T23:30:00-02:00")]))
    assert list(code(ledger).by("day").index) == ["2026-11-21"]


def test_own_and_imported_calls_are_never_added_up(logs):
    """Not in totals, groups, frames, sessions or budgets; side by side only where each source is named."""
    connect(mode="sandbox", quiet=True).messages.create(**ASK)
    ledger = Ledger()
    before = (str(ledger.total(simulated=True)), len(ledger.frame()), ledger.health().unfinished)
    ledger.import_claude_code(logs([line(), line("msg_2", stop=None)]))
    assert (str(ledger.total(simulated=True)), len(ledger.frame()), ledger.health().unfinished) == before
    assert ledger.total().usd == 0
    assert Budget(5, per="total", ledger=ledger).spent() == 0
    assert list(ledger.by("source").index) == ["claude-code"]
    assert list(ledger.by("source", simulated=True).index) == ["own"]
    assert set(code(ledger).frame()["source"]) == {"claude-code"}
    assert "from claude-code" in str(code(ledger).total())
    assert str(ledger.where(source="own").total(simulated=True)) == before[0]


def test_a_missing_folder_says_where_it_looked(ledger, monkeypatch, tmp_path):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{tmp_path / 'a'},{tmp_path / 'b'}")
    with pytest.raises(LedgerError, match=r"a.projects or .*b.projects"):
        ledger.import_claude_code()
    with pytest.raises(LedgerError, match="No Claude Code logs"):
        ledger.import_claude_code(tmp_path)


def test_the_usual_place_is_found(ledger, logs, monkeypatch, tmp_path):
    logs([line()])
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    assert ledger.import_claude_code().rows == 1


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_order_and_any_repetition_of_lines_gives_the_same_calls(data, tmp_path_factory):
    calls = [
        [
            line(f"msg_{n}", usage={**USAGE, "output_tokens": out}, stop=stop)
            for out, stop in ((1, None), (n + 5, "tool_use"))
        ]
        for n in range(4)
    ]
    lines = [one for call in calls for one in call]
    drawn = data.draw(st.permutations(lines)) + data.draw(st.lists(st.sampled_from(lines), max_size=8))
    cut = data.draw(st.integers(0, len(drawn)))
    folder = tmp_path_factory.mktemp("logs")
    for name, part in (("a", drawn[:cut]), ("b", drawn[cut:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in part))
    ledger = Ledger(":memory:")
    assert ledger.import_claude_code(folder).rows == 4
    total = code(ledger).total()
    assert (total.calls, total.unfinished, total.tokens["output_tokens"]) == (4, 0, 5 + 6 + 7 + 8)


# ---- the Console's exports

HEAD = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed"
)
DAY = "2026-11-20,claude-opus-5-5,ann,Default,standard,≤ 200k,1000000,2000000,500000,8000000,300000,3,global,"
COSTS = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,cost_type,inference_geo,"
    "speed"
)


@pytest.fixture
def export(tmp_path):
    def write(head, *lines, name="export.csv"):
        path = tmp_path / name
        path.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8-sig")
        return path

    return write


def test_a_usage_export_is_priced_by_hand(ledger, export):
    """Opus 5.5: 1M x 4 + 2M x 5 + 0.5M x 8 + 8M x 0.20 + 0.3M x 20 + 3 searches x 0.01."""
    found = ledger.import_console(export(HEAD, DAY))
    total = ledger.where(source="console-usage").total()
    assert total.usd == Decimal("25.63") == 4 + 10 + 4 + Decimal("1.6") + 6 + Decimal("0.03")
    assert (found.rows, total.calls, total.tokens["cache_read_input_tokens"]) == (1, 0, 8_000_000)
    by = ledger.where(source="console-usage").by("model")
    assert by["calls"].isna().all()  # how many calls a sum stands for is not known


def test_batches_geography_and_speed_of_an_export_are_priced(ledger, export):
    ledger.import_console(
        export(HEAD, DAY.replace("standard", "batch").replace("global", "us").replace(",3,", ",0,"))
    )
    assert ledger.where(source="console-usage").total().usd == Decimal("25.60") / 2 * Decimal("1.1")


def test_a_sum_over_calls_does_not_fire_the_long_context_price(ledger, export):
    """Two calls of 60,000 tokens stay below the threshold that their sum is above: only an interval is known."""
    day = "2026-11-20,claude-haiku-5-5,ann,Default,standard,≤ 200k,120000,0,0,0,1000,0,global,"
    ledger.import_console(export(HEAD, day))
    total = ledger.where(source="console-usage").total()
    assert (total.usd, total.low, total.high) == (0, Decimal("0.0125"), Decimal("0.0625"))


def test_a_cost_export_keeps_the_consoles_amounts(ledger, export):
    path = export(
        COSTS,
        "2026-11-20,Claude Opus 5.5,Default,ann,message,≤ 200k,input_no_cache,0.05,token,global,",
        "2026-11-20,Claude Opus 5.5,Default,ann,batch,≤ 200k,output,1.20,token,global,",
        "2026-11-20,Claude Opus 5.5,Default,ann,message,≤ 200k,output,much,token,global,",
    )
    found = ledger.import_console(path)
    view = ledger.where(source="console-cost")
    assert (found.source, found.rows, found.malformed) == ("console-cost", 2, 1)
    assert (view.total().usd, list(view.by("model").index)) == (Decimal("1.25"), ["claude-opus-5-5"])
    assert dict(view.by("service_tier")["cost_usd"]) == {"batch": 1.2, "standard": 0.05}
    assert ledger.reprice() == 0
    assert view.total().usd == Decimal("1.25")


def test_a_later_export_of_the_same_day_replaces_it(ledger, export):
    ledger.import_console(export(HEAD, DAY.replace(",300000,", ",100000,")))
    again = [ledger.import_console(export(HEAD, DAY, DAY)) for _ in range(2)]
    assert [(one.new, one.changed, one.repeats) for one in again] == [(0, 1, 1), (0, 0, 1)]
    assert ledger.where(source="console-usage").total().usd == Decimal("25.63")


def test_a_day_is_not_counted_both_by_the_day_and_by_the_hour(ledger, export):
    ledger.import_console(export(HEAD, DAY))
    hours = [DAY.replace("2026-11-20", f"2026-11-20 {hour}:00") for hour in (10, 11)]
    other = DAY.replace("2026-11-20", "2026-11-21 10:00")
    found = ledger.import_console(export(HEAD, *hours, other))
    assert (found.rows, found.skipped) == (1, 2)


def test_cells_of_an_export_that_are_empty_stay_unknown_and_wrong_ones_are_counted(ledger, export):
    empty = "2026-11-19,claude-opus-5-5,ann,Default,standard,,1000,,,,10,,,"
    wrong = [
        "2026-11-18,claude-opus-5-5,ann,Default,standard,,-3,0,0,0,1,0,,",
        "soon,m,k,w,s,,1,1,1,1,1,1,,",
        "x",
    ]
    found = ledger.import_console(export(HEAD, empty, *wrong))
    assert (found.rows, found.malformed) == (1, 3)
    row = ledger.where(source="console-usage").frame().iloc[0]
    assert (row["input_tokens"], row["cost_usd"]) == (1_000, pytest.approx(0.0042))
    assert row.isna()["cache_read_input_tokens"]


USAGE_HEAD = "usage_date_utc,model_version,usage_output_tokens"
COST_HEAD = "usage_date_utc,model,cost_usd"
BAD_LINES = [
    "2026-11-20",
    "2026-11-20,claude-opus-5-5",
    "2026-11-20,claude-opus-5-5,5,6",
    "2026-11-20,claude-opus-5-5,much",
    '2026-11-20,claude-opus-5-5,"0,05"',
    '2026-11-20,"claude-opus-5-5,5',
    "2026-11-20,claude-opus-5-5," + "9" * 5_000,
    "2026-11-20,claude-\udcff,5",
    ",claude-opus-5-5,5",
    "0001-01-01T00:00:00+14:00,claude-opus-5-5,5",
    "\0,\0,\0",
]


@pytest.mark.parametrize("head", [USAGE_HEAD, COST_HEAD])
@pytest.mark.parametrize("bad", BAD_LINES, ids=lambda bad: ascii(bad)[:40])
def test_a_line_that_cannot_be_read_is_counted_and_the_rest_comes_in(ledger, tmp_path, head, bad):
    path = tmp_path / "export.csv"
    lines = (head, '2026-11-19,claude-opus-5-5,"1,000"', bad, "2026-11-21,claude-opus-5-5,5")
    path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    found = ledger.import_console(path)
    assert (found.rows, found.malformed) == (2, 1)
    total = ledger.where(source=found.source).total()
    if head == USAGE_HEAD:
        assert total.tokens["output_tokens"] == 1_005
    else:
        assert total.usd == 1_005
    assert "1 malformed line" in str(found)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_cell_may_have_line_breaks_and_a_quote_that_is_never_closed_ends_with_its_line(
    ledger, export, newline
):
    broken = DAY.replace("Default", f'"De{newline}{newline}""f"",{newline}ault"').replace("-20", "-21")
    quoted = DAY.replace("ann", '"ann"').replace("-20", "-22")
    found = ledger.import_console(export(HEAD, DAY.replace("ann", '"ann'), broken, 'x,"y', DAY, "z", quoted))
    assert (found.rows, found.malformed) == (3, 3)
    projects = ledger.where(source="console-usage").frame()["project"]
    assert sorted(projects) == ["Default", "Default", 'De\ufffd\ufffd"f",\ufffdault']  # as labels are kept


def test_the_command_says_how_many_lines_of_an_export_cannot_be_read(export, capsys):
    assert (
        main(["spend", "--console", str(export(USAGE_HEAD, "2026-11-20,claude-opus-5-5,5", "2026-11-20"))])
        == 0
    )
    assert "console-usage: 1 row in 1 file, 1 new (1 malformed line)" in capsys.readouterr().err


def test_usage_without_a_model_is_unpriced_and_not_free(ledger, export):
    found = ledger.import_console(export(USAGE_HEAD, "2026-11-20,,5"))
    total = ledger.where(source="console-usage").total()
    assert (found.rows, total.unpriced, total.tokens["output_tokens"]) == (1, 1, 5)


CELLS = st.text(st.characters(exclude_characters="\r\n"), max_size=12) | st.sampled_from(DAY.split(","))


@settings(max_examples=100, deadline=None)
@given(
    head=st.sampled_from([HEAD, COSTS]),
    lines=st.lists(st.lists(CELLS, max_size=15).map(",".join) | st.just(DAY[:-20]), max_size=4),
)
def test_no_line_whatever_it_holds_stops_an_export(head, lines, tmp_path_factory):
    whole = (
        DAY if head == HEAD else "2026-11-20,Claude Opus 5.5,Default,ann,message,,output,25.63,token,global,"
    )
    path = tmp_path_factory.mktemp("exports") / "export.csv"
    path.write_bytes("\n".join([head, *lines, whole]).encode(errors="surrogatepass"))
    ledger = Ledger(":memory:")
    found = ledger.import_console(path)
    assert found.rows + found.repeats + found.skipped + found.malformed >= 1
    by = ledger.where(source=found.source).by("model")
    assert by.loc["claude-opus-5-5", "cost_usd"] == pytest.approx(25.63)


def test_a_file_that_is_no_export_is_refused_by_its_columns(ledger, export, tmp_path):
    with pytest.raises(LedgerError, match=r"its columns are a, b.*usage_date_utc"):
        ledger.import_console(export("a,b", "1,2"))
    with pytest.raises(LedgerError, match="no CSV file"):
        ledger.import_console(tmp_path / "nothing.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00" * 40)
    with pytest.raises(LedgerError, match="cannot be read"):
        ledger.import_console(tmp_path / "b.csv")


# ---- the command


def test_spend_shows_claude_code_and_names_it(logs, capsys, tmp_path):
    assert main(["spend", "--claude-code", str(logs([line(), line()])), "--by", "project"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split()[:2] == ["project", "calls"]
    assert shown.out.splitlines()[1].split()[:2] == ["alpha", "1"]
    assert "from claude-code\nat API prices; a subscription is not billed by them" in shown.out
    assert "claude-code: 1 row in 1 file, 1 new (1 repeat)" in shown.err
    assert main(["spend"]) == 0
    assert "--source claude-code shows them" in capsys.readouterr().out
    assert main(["spend", "--source", "claude-code", "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert (rows[0]["model"], float(rows[0]["cost_usd"])) == (MODEL, float(COST))
    picture = tmp_path / "spend.png"
    assert main(["spend", "--source", "claude-code", "--png", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert main(["spend", "--source", "elsewhere"]) == 1
    assert "Nothing from 'elsewhere'" in capsys.readouterr().err


def test_spend_imports_an_export_of_the_console(export, capsys):
    assert main(["spend", "--console", str(export(HEAD, DAY)), "--since", "2026-11-01"]) == 0
    assert "$25.63 from console-usage" in capsys.readouterr().out
    assert main(["spend", "--claude-code", "nowhere"]) == 1
    assert "No Claude Code logs" in capsys.readouterr().err


# ---- ledgers of earlier versions


def test_an_older_ledger_is_brought_up_to_date_and_keeps_its_rows(ledger, tmp_path):
    connect(mode="sandbox", quiet=True, ledger=ledger).messages.create(**ASK)
    before = ledger.frame()
    ledger._store.close()
    with closing(sqlite3.connect(tmp_path / "spend.db")) as database, database:
        for name in ("hours", "cells"):
            database.execute(f"DROP INDEX claude_nb_attempts_{name}")
        for name in ("source", "project", "user", "unpriced_tools"):
            database.execute(f'ALTER TABLE claude_nb_attempts DROP COLUMN "{name}"')
        database.execute("UPDATE claude_nb_ledger SET value = '1'")
    after = ledger.frame()
    shared = [name for name in before.columns if name not in ("source", "project", "user", "unpriced_tools")]
    assert before[shared].equals(after[shared])
    connect(mode="sandbox", quiet=True, ledger=ledger).messages.create(**ASK)
    assert list(ledger.frame()["user"].isna()) == [True, False]
    with closing(sqlite3.connect(tmp_path / "spend.db")) as database:
        assert database.execute("SELECT value FROM claude_nb_ledger").fetchone() == (str(SCHEMA),)
