"""Plots: the numbers drawn are the numbers of the ledger, for any size of ledger."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes

import claude_nb
from claude_nb import connect, plots
from claude_nb.errors import LedgerError
from claude_nb.ledger import Budget, Ledger
from claude_nb.plots.canvas import CLASSES

COLUMNS = [
    "input_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "cache_read_input_tokens",
]


EVERY = [plots.spend, plots.context, plots.models, plots.shares]


@pytest.fixture(autouse=True)
def agg():
    mpl.use("agg")
    yield
    plt.close("all")


def calls(number, **more):
    rows = [
        {
            "model": "claude-haiku-5-5",
            "outcome": "ok",
            "op": "messages",
            "simulated": False,
            "input_tokens": 10 * (turn + 1),
            "ephemeral_5m_input_tokens": 5,
            "ephemeral_1h_input_tokens": None,
            "cache_read_input_tokens": 100 * turn,
            "cost_usd": 0.25,
            "cost_low": 0.25,
            "cost_high": 0.25,
            **more,
        }
        for turn in range(number)
    ]
    return pd.DataFrame(rows)


class Chat:
    """Anything with a frame of calls."""

    def __init__(self, frame):
        self._frame = frame

    def frame(self):
        return self._frame


@pytest.mark.parametrize("number", [0, 1, 3, 200])
@pytest.mark.parametrize("plot", EVERY)
def test_any_number_of_calls_is_drawn_without_touching_global_state(plot, number):
    before = dict(mpl.rcParams)
    ax = plot(calls(number) if number else Ledger(":memory:"))
    ax.figure.canvas.draw()
    assert isinstance(ax, Axes)
    if plot in (plots.spend, plots.context):
        assert len(ax.frame) == number
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("plot", EVERY)
def test_given_axes_are_drawn_in_and_returned(plot):
    _, ax = plt.subplots()
    assert plot(calls(2), ax=ax) is ax


def test_spend_adds_up_and_keeps_the_range_of_unfinished_calls():
    table = calls(4)
    table.loc[1, ["cost_usd", "cost_low", "cost_high"]] = [None, 0.5, 1.0]
    table.loc[2, ["cost_usd", "cost_low", "cost_high"]] = [None, None, None]
    drawn = plots.spend(Chat(table)).frame
    assert list(drawn["cumulative_low"]) == [0.25, 0.75, 0.75, 1.0]
    assert list(drawn["cumulative_high"]) == [0.25, 1.25, 1.25, 1.5]
    assert "1 unfinished (a range); 1 unpriced" in plots.spend(table).get_xlabel()


def test_context_stacks_the_four_classes_to_the_whole_prompt():
    ax = plots.context(calls(3))
    assert list(ax.frame["prompt_tokens"]) == [15, 125, 235]
    tops = [bar.get_y() + bar.get_height() for bar in ax.containers[-1]]
    assert tops == [15, 125, 235]


def test_context_leaves_out_attempts_that_reported_no_tokens():
    table = calls(3)
    table.loc[1, COLUMNS] = None
    assert len(plots.context(table).frame) == 2


def test_counting_tokens_is_no_turn():
    assert plots.context(calls(2, op="count_tokens")).frame.empty


def test_real_calls_hide_simulated_ones_and_simulated_ones_alone_say_so():
    mixed = pd.concat([calls(2), calls(5, simulated=True)])
    assert len(plots.spend(mixed).frame) == 2
    ax = plots.spend(calls(5, simulated=True))
    assert "5 calls simulated, not billed" in ax.get_xlabel()


def test_in_a_kernel_the_numbers_are_printed_and_nothing_else(monkeypatch, capsys):
    plots.spend(calls(4))
    assert not capsys.readouterr().out
    monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
    plots.spend(calls(4))
    plots.context(calls(2))
    assert capsys.readouterr().out == (
        "Spend, cumulative: 4 real calls\n"
        "  spent $1.00\n"
        "Context per turn: 2 real calls\n"
        "  cache read: first 0, last 100, most 100 tokens\n"
        "  cache write 5m: first 5, last 5, most 5 tokens\n"
        "  uncached input: first 10, last 20, most 20 tokens\n"
    )


def test_what_has_no_calls_is_refused_in_words():
    with pytest.raises(LedgerError, match="nothing to plot in a int"):
        plots.spend(3)


def test_colours_can_be_told_apart_by_colour_blind_readers():
    okabe_ito = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000"}
    assert {colour for _, colour in CLASSES.values()} <= okabe_ito


def test_importing_the_plots_does_not_import_matplotlib():
    code = "import claude_nb.plots, sys; print('matplotlib' in sys.modules or 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_models_are_sorted_by_cost_and_add_up():
    mixed = pd.concat([calls(2), calls(3, model="claude-opus-5-5", cost_usd=1.0)])
    drawn = plots.models(mixed).frame
    assert list(drawn["model"]) == ["claude-opus-5-5", "claude-haiku-5-5"]
    assert list(drawn["cost_usd"]) == [3.0, 0.5]


def test_the_share_of_tokens_is_not_the_share_of_cost():
    table = calls(1, model="claude-opus-5-5", input_tokens=100, cache_read_input_tokens=900, output_tokens=0)
    table["ephemeral_5m_input_tokens"] = 0
    drawn = plots.shares(table).frame
    assert drawn.loc["cache_read_input_tokens", "share_of_tokens"] == pytest.approx(0.9)
    assert drawn.loc["cache_read_input_tokens", "share_of_cost"] == pytest.approx(
        900 * 0.2 / (900 * 0.2 + 100 * 4)
    )


def test_a_budget_is_drawn_with_its_limit():
    with Budget(5, per="day", ledger=Ledger(":memory:")) as limit:
        ax = plots.budget(limit)
    (line,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert list(line.get_ydata()) == [5, 5]
    assert ax.get_ylim()[1] > 5


def test_the_dashboard_has_four_plots():
    axes = plots.dashboard(calls(3))
    axes[0].figure.canvas.draw()
    assert [ax.get_title(loc="left") for ax in axes] == [
        "Spend, cumulative",
        "Context per turn",
        "Cost by model",
        "Share of tokens and of cost",
    ]


def test_a_refused_call_is_no_call():
    assert plots.spend(calls(2, outcome="budget_refused")).frame.empty


def test_what_if_draws_each_policy_with_and_without_the_cache():
    from claude_nb.trim import keep_last

    chat = claude_nb.Chat(connect(mode="sandbox", quiet=True, ledger=False), display=False)
    for words in (60, 70, 80):
        chat.send(f"Tell me a story of {words} words.")
    frame = chat.history.what_if([None, keep_last(1)], model="claude-opus-5-5")
    ax = plots.what_if(frame)
    widths = [bar.get_width() for container in ax.containers for bar in container]
    cached, uncached = (frame[frame["caching"] == kind]["cost_usd"] for kind in (True, False))
    assert widths == [float(cost) for cost in [*cached, *uncached]]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(dict.fromkeys(frame["policy"]))
    assert ax.frame is frame


def test_what_if_says_unknown_where_no_price_is_known():
    frame = pd.DataFrame({"policy": ["a", "a"], "caching": [True, False], "cost_usd": [None, None]})
    assert "unknown" in {text.get_text() for text in plots.what_if(frame).texts}
