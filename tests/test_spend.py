import csv
import io
import json
from datetime import UTC, date, datetime

import anthropic
import pytest
from ledger_server import REQUEST, Reply, message, serving
from replay import ASK, Replay

from claude_nb import Ledger, connect, plots
from claude_nb.cli import main
from claude_nb.errors import LedgerError
from claude_nb.ledger.moment import moment

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def spent() -> Ledger:
    """The user's ledger with two simulated calls."""
    client = connect(mode="sandbox", quiet=True)
    client.messages.create(**ASK)
    client.messages.create(**{**ASK, "model": "claude-opus-5-5"})
    return Ledger()


def out(capsys, *arguments: str) -> str:
    assert main(["spend", *arguments]) == 0
    return capsys.readouterr().out


def test_real_spending_is_shown_and_simulated_beside_it(spent, capsys):
    first, second = out(capsys).splitlines()
    assert first == "$0.00 (no real calls)"
    assert second.startswith("besides, in the sandbox: $")
    assert second.endswith("--simulated shows them")


def test_a_table_by_model_dearest_first_with_the_exact_sum(spent, capsys):
    lines = out(capsys, "--simulated").splitlines()
    assert lines[0].split() == ["model", "calls", "input", "cached", "output", "cost"]
    assert [line.split()[0] for line in lines[1:3]] == ["claude-opus-5-5", "claude-haiku-5-5"]
    assert lines[-1] == str(spent.total(simulated=True))


@pytest.mark.parametrize("by", ["model", "notebook", "day", "tag", "conversation", "outcome"])
def test_every_grouping_works(spent, capsys, by):
    assert out(capsys, "--simulated", "--by", by).splitlines()[0].split()[0] == by


def test_calls_without_a_tag_stand_under_a_dash(spent, capsys):
    with spent.tag("lesson"):
        connect(mode="sandbox", quiet=True).messages.create(**ASK)
    rows = out(capsys, "--simulated", "--by", "tag").splitlines()[1:3]
    assert {row.split()[0] for row in rows} == {"-", "lesson"}


def test_csv_and_json_hold_the_same_numbers(spent, capsys):
    rows = list(csv.DictReader(io.StringIO(out(capsys, "--simulated", "--csv"))))
    data = json.loads(out(capsys, "--simulated", "--json"))
    assert [row["model"] for row in rows] == [row["model"] for row in data]
    assert [float(row["cost_usd"]) for row in rows] == [row["cost_usd"] for row in data]
    assert sum(int(row["calls"]) for row in rows) == 2


def test_since_leaves_out_what_came_before(spent, capsys):
    assert "(2 calls)" in out(capsys, "--simulated", "--since", "1h")
    assert "(0 calls)" in out(capsys, "--simulated", "--since", "2999-01-01")


def test_a_picture_is_written(spent, capsys, tmp_path):
    out(capsys, "--png", str(tmp_path / "spend.png"))
    assert (tmp_path / "spend.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_holds_the_calls_that_the_table_shows(spent, capsys, tmp_path, monkeypatch):
    drawn = []
    dashboard = plots.dashboard
    monkeypatch.setattr(plots, "dashboard", lambda ledger: drawn.append(ledger.frame()) or dashboard(ledger))
    said = out(capsys, "--png", str(tmp_path / "real.png"))
    assert said.splitlines()[:2] == [f"written: {tmp_path / 'real.png'}", "$0.00 (no real calls)"]
    assert "--simulated shows them" in said
    answer = {"type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 1}}
    body = json.dumps(answer | {"model": "claude-opus-5-5"}).encode()
    live = Replay(body, headers={"content-type": "application/json"}).client()
    spent.meter(live, simulated=False).messages.create(**ASK)
    out(capsys, "--png", str(tmp_path / "real.png"))
    said = out(capsys, "--simulated", "--png", str(tmp_path / "simulated.png"))
    assert "simulated, not billed (2 calls)" in said
    assert [list(frame["simulated"]) for frame in drawn] == [[], [False], [True, True]]


def test_a_picture_that_cannot_be_written_is_one_line(spent, capsys, tmp_path):
    assert main(["spend", "--png", str(tmp_path / "no" / "where.png")]) == 1
    said = capsys.readouterr().err
    assert "where.png cannot be written: No such file or directory. Name a file in a folder" in said
    assert said.count("\n") == 1


def test_wrong_words_are_explained(spent, capsys, tmp_path):
    assert main(["spend", "--since", "soon"]) == 1
    assert '"7d"' in capsys.readouterr().err
    assert main(["spend", "--png", str(tmp_path / "spend.pdf")]) == 1
    assert "does not end in .png" in capsys.readouterr().err


def test_where_nothing_is_recorded_nothing_is_made(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CLAUDE_NB_LEDGER", str(tmp_path / "nowhere" / "x.db"))
    for form, empty in (([], "$0.00 (no real calls)"), (["--json"], "[]"), (["--csv"], "model,calls,")):
        assert main(["spend", *form]) == 0
        shown = capsys.readouterr()
        assert "no ledger at" in shown.err
        assert "".join(shown.out.split()).startswith("".join(empty.split()))
    assert not (tmp_path / "nowhere").exists()


def test_a_group_says_what_its_cost_leaves_out_and_its_tokens_do_not_need_every_class(capsys):
    bare = {"usage": {"input_tokens": 100, "output_tokens": 1}}  # a server without a cache
    replies = [bare, bare | {"usage": bare["usage"] | {"service_tier": "priority"}}]
    with serving(*(Reply(message(one["usage"])) for one in replies)) as server:
        client = Ledger().meter(anthropic.Anthropic(api_key="x", base_url=server.url))
        for _ in replies:
            client.messages.create(**REQUEST)
    row = out(capsys).splitlines()[1]
    assert row.split()[1:5] == ["2", "200", "unknown", "2"]
    assert row.endswith("+ 1 unpriced")


def test_a_price_nobody_knows_is_unknown_and_not_zero(capsys):
    client = connect(mode="sandbox", quiet=True)
    client.messages.create(**{**ASK, "model": "claude-mythos-5-2"})
    shown = out(capsys, "--simulated")
    assert "$0.00 " not in shown


@pytest.mark.parametrize(
    ("when", "then"),
    [
        ("7d", "2026-11-15T12:00:00.000000+00:00"),
        ("12h", "2026-11-22T00:00:00.000000+00:00"),
        ("2w", "2026-11-08T12:00:00.000000+00:00"),
        ("30m", "2026-11-22T11:30:00.000000+00:00"),
        ("2026-11-01", "2026-11-01T00:00:00.000000+00:00"),
        ("2026-11-01T02:00+02:00", "2026-11-01T00:00:00.000000+00:00"),
        (date(2026, 11, 1), "2026-11-01T00:00:00.000000+00:00"),
        (datetime(2026, 11, 1, 3), "2026-11-01T03:00:00.000000+00:00"),  # noqa: DTZ001 - a time without a zone is UTC
    ],
)
def test_moments(when, then):
    assert moment(when, NOW) == then


@pytest.mark.parametrize("when", ["soon", "", "7 days", None, 7])
def test_what_is_no_moment_is_refused(when):
    with pytest.raises(LedgerError, match="7d"):
        moment(when, NOW)
