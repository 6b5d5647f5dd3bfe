from decimal import Decimal

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from replay import Replay
from test_stream import END, OPEN, START, STOP, delta, done

from claude_nb import Sandbox, connect, connect_async, plots
from claude_nb.errors import ClaudeNbError, PromptError
from claude_nb.lab import asystem_effect, system_effect
from claude_nb.sandbox import faults

BRIEF = "Answer in one sentence."
REPLIES = ("long " * 40, "long " * 60, "x", "y")


def client(*replies, **settings):
    return connect(sandbox=Sandbox(replies=replies, **settings), quiet=True, max_retries=0)


@pytest.fixture(autouse=True)
def agg():
    mpl.use("agg")
    yield
    plt.close("all")


def test_each_system_prompt_is_asked_n_times_with_the_same_prompt():
    sandbox = Sandbox()
    system_effect("hi", [None, BRIEF], n=3, client=connect(sandbox=sandbox, quiet=True))
    assert sorted(str(body.get("system")) for body in sandbox.requests) == [BRIEF] * 3 + ["None"] * 3
    assert len({str(body["messages"]) for body in sandbox.requests}) == 1


def test_the_frame_has_mean_spread_and_price_and_compares_with_the_first_row():
    effect = system_effect("hi", {"none": None, "brief": BRIEF}, n=2, client=client(*REPLIES))
    table, runs = effect.frame(), effect.runs()
    for row, name in enumerate(("none", "brief")):
        mine = runs[runs["system"] == name]
        assert table["system"][row] == name
        assert table["output_tokens"][row] == pytest.approx(mine["output_tokens"].mean())
        assert table["output_tokens_sd"][row] == pytest.approx(mine["output_tokens"].std())
        assert table["total_usd"][row] == sum(mine["cost_usd"])
        assert table["cost_usd"][row] == table["total_usd"][row] / 2
        assert isinstance(table["cost_usd"][row], Decimal)
    first, second = table["output_tokens"]
    assert table["output_change"][1] == pytest.approx(second / first - 1)
    assert table["complete"].tolist() == [2, 2]


def test_one_run_has_no_spread():
    table = system_effect("hi", [None, BRIEF], n=1, client=client()).frame()
    assert table["output_tokens_sd"].isna().all()
    assert table["cost_usd_sd"].isna().all()


def test_a_run_that_failed_or_was_cut_is_counted_and_leaves_the_total_unknown():
    table = system_effect(
        "hi", [None], n=3, client=client(faults=[faults.overloaded(at=1), faults.cut(at=2)])
    ).frame()
    assert table["runs"][0] == 3
    assert table["complete"][0] == 1
    assert table["total_usd"][0] is None
    assert table["output_tokens"][0] > 0


def test_a_price_that_nobody_knows_is_unknown_in_every_view():
    start = START.replace(b"claude-haiku-5-5", b"local-lm")
    effect = system_effect(
        "hi", [None], n=1, client=Replay(start, OPEN, delta("a"), END, done(), STOP).client(), model="m"
    )
    row = effect.frame().iloc[0]
    assert row["cost_usd"] is None
    assert "unknown" in repr(effect)
    assert "price unknown" in plots.effect(effect).texts[0].get_text()


def test_async_does_the_same(run):
    effect = run(asystem_effect("hi", [None, BRIEF], n=2, client=connect_async(mode="sandbox", quiet=True)))
    assert effect.frame()["complete"].tolist() == [2, 2]


def test_the_plot_draws_every_run_and_the_mean():
    effect = system_effect("hi", {"$5 and $6": None, "brief": BRIEF}, n=2, client=client(*REPLIES))
    ax = plots.effect(effect)
    table = effect.frame()
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(list(table["output_tokens"]))
    assert list(ax.collections[0].get_offsets()[:, 0]) == list(effect.runs()["output_tokens"])
    assert ax.get_yticklabels()[0].get_text() == "$5 and $6"
    assert len(ax.frame) == 4
    ax.figure.canvas.draw()


def test_its_table_cannot_run_in_the_page():
    html = system_effect("hi", {"<script>alert(1)</script>": None}, n=1, client=client())._repr_html_()
    assert "<script" not in html


def test_one_system_prompt_can_be_measured_alone():
    assert list(system_effect("hi", ["Be brief."], n=1, client=client()).frame()["runs"]) == [1]


@pytest.mark.parametrize(
    ("systems", "n"),
    [("one text", 2), ([], 2), ([None], 0), ([None], True), ([None], 2.5), ([" "], 1), (5, 1), ({"a"}, 1)],
)
def test_what_cannot_be_measured_is_one_clear_error_and_nothing_is_sent(systems, n):
    sandbox = Sandbox()
    with pytest.raises(PromptError):
        system_effect("hi", systems, n=n, client=connect(sandbox=sandbox, quiet=True))
    assert not sandbox.requests


def test_a_client_of_the_other_kind_is_told_what_to_call(run):
    with pytest.raises(ClaudeNbError, match="await asystem_effect"):
        system_effect("hi", [None], client=connect_async(mode="sandbox", quiet=True))
    with pytest.raises(ClaudeNbError, match=r"use system_effect\("):
        run(asystem_effect("hi", [None], client=client()))
