"""Plots: the numbers drawn are the numbers of the ledger, for any size of ledger."""

import subprocess
import sys
import types
import warnings
from contextlib import suppress
from functools import partial

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from plot_ledger import made
from sqlalchemy import event

import claude_nb
from claude_nb import Sandbox, connect, plots
from claude_nb.errors import LedgerError
from claude_nb.lab import system_effect
from claude_nb.ledger import Budget, Ledger
from claude_nb.models import find
from claude_nb.plots.canvas import CLASSES, PALETTE
from claude_nb.plots.growth import spikes
from claude_nb.sandbox import faults

COLUMNS = [
    "input_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "cache_read_input_tokens",
]


EVERY = [
    plots.spend,
    plots.daily,
    plots.hours,
    plots.context,
    plots.models,
    plots.top,
    plots.shares,
    plots.cache,
    plots.per_call,
    plots.latency,
    plots.waste,
]


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
            "ts": pd.Timestamp("2026-11-02T10:00Z") + turn * pd.Timedelta(hours=7),
            "first_ms": 300,
            "total_ms": 2_300,
            "stream": True,
            "output_tokens": 100,
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


SAID = ["model", "simulated", "cost_usd", "input_tokens", "output_tokens"]
"""Columns of a chat's frame."""


def offline(ledger=False):
    return connect(mode="sandbox", quiet=True, ledger=ledger)


def asked(ledger):
    """The ledger with one simulated call in it."""
    question = [{"role": "user", "content": "Name a colour."}]
    offline(ledger).messages.create(model="claude-haiku-5-5", max_tokens=9, messages=question)
    return ledger


def asked_with(limit):
    """The budget, with calls of this month."""
    limit.calls = lambda: calls(2, ts=pd.Timestamp.now("UTC"))
    return limit


def effect(runs, **options):
    systems = {"plain": None, "brief": "Be brief."}
    return system_effect("Tell me a story of 90 words.", systems, client=offline(), n=runs, **options)


UNPRICED = {"model": "claude-from-nowhere", "cost_usd": None, "cost_low": None, "cost_high": None}


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


def test_comparisons_and_extractions_are_drawn_as_what_they_are():
    compared = claude_nb.compare("hi", systems=["a", "b"], client=offline(), display=False)
    found = claude_nb.extract_many(["a", "b"], int, client=offline(), quiet=True)
    for source in (compared, found):
        for plot in (plots.spend, plots.context, plots.cache, plots.shares, plots.per_call, plots.top):
            assert "2 calls simulated, not billed" in " ".join(plot(source).get_xlabel().split())
        plots.dashboard(source)
    found.attrs["simulated"] = False
    assert "simulated" not in plots.spend(found).get_xlabel()
    assert "simulated" not in found


def test_a_failed_answer_of_the_sandbox_is_no_real_call_beside_simulated_ones():
    models = ["claude-haiku-5-5", "claude-tomorrow-9"]
    compared = claude_nb.compare("hi", models=models, client=offline(), display=False)
    assert compared.frame()["simulated"].all()
    assert "2 calls simulated, not billed; 1 unpriced" in plots.spend(compared).get_xlabel().replace(
        "\n", " "
    )


def test_in_a_kernel_the_numbers_are_printed_and_nothing_else(monkeypatch, capsys):
    plots.spend(calls(4))
    assert not capsys.readouterr().out
    monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
    plots.spend(calls(4))
    plots.context(calls(2))
    assert capsys.readouterr().out == (
        "Spend, cumulative: 4 real calls\n"
        "  spent $1.00\n"
        "Context per call: 2 real calls\n"
        "  cache read: first 0, last 100, most 100 tokens\n"
        "  cache write 5m: first 5, last 5, most 5 tokens\n"
        "  uncached input: first 10, last 20, most 20 tokens\n"
    )


def test_what_has_no_calls_is_refused_in_words():
    with pytest.raises(LedgerError, match="nothing to plot in a int"):
        plots.spend(3)


def test_colours_can_be_told_apart_by_colour_blind_readers():
    okabe_ito = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000"}
    assert {colour for _, colour in CLASSES.values()} | set(PALETTE) <= okabe_ito


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


def test_the_dashboard_has_the_six_plots_to_look_at_first():
    axes = plots.dashboard(calls(3))
    axes[0].figure.canvas.draw()
    assert [ax.get_title(loc="left") for ax in axes] == [
        "Cost per day by model",
        "Spend, cumulative",
        "Context per call",
        "Share of tokens and of cost",
        "Prompt cache",
        "Cost by cell",
    ]


def test_the_dashboard_draws_a_budget_where_one_is_given_and_models_where_calls_have_no_times():
    with Budget(5, per="day", ledger=Ledger(":memory:")) as limit:
        axes = plots.dashboard(calls(3).drop(columns="ts"), budget=limit)
    assert [ax.get_title(loc="left") for ax in axes[:2]] == [
        "Cost by model",
        "Spend against the budget per day",
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


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("call", "type_"),
        [
            (lambda ledger: plots.budget(ledger), "plots.budget(Budget("),
            (lambda ledger: plots.spend(ledger.total()), "plots.spend(ledger)"),
            (lambda ledger: plots.spend(pd.DataFrame({"a": [1]})), "ledger.frame()"),
            (lambda ledger: plots.spend(ledger, ax=plt.subplots(2)[1]), "ax=ax"),
            (lambda ledger: plots.top(ledger, "colour"), "notebook"),
            (lambda ledger: plots.top(ledger, most=0), "most=10"),
            (lambda ledger: plots.daily(calls(2), tz="Mars/Olympus"), "Europe/Berlin"),
            (lambda ledger: plots.hours(calls(2), tz=3), "Europe/Berlin"),
            (lambda ledger: plots.daily(calls(2).drop(columns="ts")), "plots.daily(ledger)"),
            (lambda ledger: plots.waterfall(calls(2)), "plots.waterfall(ledger)"),
            (lambda ledger: plots.invoice(ledger), "ledger.reconcile("),
            (lambda ledger: plots.invoice(calls(2)), "ledger.reconcile("),
            (lambda ledger: plots.latency(Chat(calls(2)[SAID])), "plots.latency(ledger)"),
            (lambda ledger: plots.latency(calls(2)[SAID]), "plots.latency(ledger)"),
            (lambda ledger: plots.waste(Chat(calls(2)[SAID])), "plots.waste(ledger)"),
            (lambda ledger: plots.waste(claude_nb.Chat(offline(), display=False)), "plots.waste(ledger)"),
            (lambda ledger: plots.spend(calls(2).drop(columns="simulated")), 'frame["simulated"] = False'),
            (lambda ledger: plots.spend(asked(ledger).by("model", simulated=True)), "plots.models(ledger)"),
            (lambda ledger: plots.spend(effect(1).frame()), "ledger.frame()"),
            (lambda ledger: plots.what_if(ledger), "chat.history.what_if(["),
            (lambda ledger: plots.what_if(calls(2)), "chat.history.what_if(["),
            (lambda ledger: plots.effect(ledger), "plots.effect(system_effect("),
            (lambda ledger: plots.effect(effect(1).frame()), "runs()"),
        ],
    )
    def test_give_one_clear_error_that_says_what_to_type(self, call, type_):
        with pytest.raises(LedgerError) as caught:
            call(Ledger(":memory:"))
        assert type_ in str(caught.value)


def apart(texts):
    """Whether no text covers another."""
    texts = [text for text in texts if text.get_text()]
    texts[0].figure.canvas.draw()
    boxes = [text.get_window_extent() for text in texts]
    return not any(one.overlaps(two) for place, one in enumerate(boxes) for two in boxes[:place])


class TestUnknownCosts:
    """Unknown is never $0.00: not in a frame, not in words, not in a picture."""

    @pytest.fixture
    def mixed(self):
        return pd.concat([calls(2), calls(3, **UNPRICED)], ignore_index=True)

    @pytest.mark.parametrize("columns", [plots.models_frame, plots.daily_frame])
    def test_an_unpriced_model_costs_an_unknown_amount(self, columns, mixed):
        table = columns(mixed)
        if columns is plots.models_frame:
            table = table.set_index("model")[["cost_usd", "low", "high"]].T
        assert table["claude-from-nowhere"].isna().any()
        assert not (table["claude-from-nowhere"] > 0).any()
        assert table["claude-haiku-5-5"].notna().all()

    def test_an_hour_of_unpriced_calls_is_unknown_and_one_without_calls_is_zero(self):
        table = plots.hours_frame(pd.concat([calls(1, **UNPRICED), calls(2)[1:]]))
        assert table.isna().sum().sum() == 1
        assert table.to_numpy()[0, 11] == 0

    def test_savings_of_an_unpriced_model_are_unknown(self, mixed):
        table = plots.cache_frame(mixed)
        assert (
            list(table["saved_usd"].isna()) == list(table["uncached_usd"].isna()) == [False] * 2 + [True] * 3
        )
        plots.cache(mixed).figure.canvas.draw()

    def test_shares_of_unpriced_tokens_are_unknown(self):
        ax = plots.shares(calls(2, **UNPRICED))
        assert ax.frame["share_of_cost"].isna().all()
        assert "unknown" in {text.get_text() for text in ax.texts}

    def test_sums_are_unknown_until_the_first_priced_call(self, mixed):
        table = plots.spend_frame(mixed.iloc[::-1])
        assert list(table["cumulative_low"].isna()) == [True] * 3 + [False] * 2

    @pytest.mark.parametrize("plot", EVERY)
    def test_a_ledger_of_unpriced_calls_is_drawn_and_said_without_a_cost(self, plot, monkeypatch, capsys):
        monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
        ax = plot(calls(9, **UNPRICED))
        ax.figure.canvas.draw()
        assert "$" not in capsys.readouterr().out
        drawn = [text.get_text() for text in ax.texts]
        assert plot is plots.waste or not any("$" in text for text in drawn)

    @pytest.mark.parametrize("per", ["total", "call", "day", "month"])
    def test_a_budget_of_unpriced_calls_says_so(self, per, monkeypatch, capsys):
        monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
        with Budget(5, per=per, ledger=Ledger(":memory:")) as limit:
            limit.calls = lambda: calls(3, **UNPRICED)
            plots.budget(limit)
        assert "unknown" in capsys.readouterr().out

    def test_what_is_partly_unpriced_is_a_least_amount(self, mixed, monkeypatch, capsys):
        monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
        with Budget(5, per="total", ledger=Ledger(":memory:")) as limit:
            limit.calls = lambda: mixed
            plots.budget(limit)
        plots.models(mixed.assign(model="one"))
        said = capsys.readouterr().out
        assert "spent at least $0.50\n  left at most $4.50" in said
        assert "one: at least $0.50" in said

    def test_an_interrupted_reply_of_a_chat_has_no_known_cost_or_output(self, monkeypatch, capsys):
        monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
        sandbox = Sandbox(faults=[faults.cut(after=14)])
        chat = claude_nb.Chat(
            connect(mode="sandbox", sandbox=sandbox, quiet=True, ledger=False), display=False
        )
        with suppress(Exception):
            chat.send("Tell me a story.")
        assert "no call has a known price" in {text.get_text() for text in plots.spend(chat).texts}
        plots.shares(chat)
        said = capsys.readouterr().out
        assert "spent unknown" in said
        assert "output of 1 unknown" in said


class TestLooks:
    @pytest.mark.parametrize("style", ["default", "dark_background"])
    def test_every_figure_of_ours_has_dark_words_under_any_style(self, style):
        estimate = pd.DataFrame({"policy": ["a", "a"], "caching": [True, False], "cost_usd": [1.0, 2.0]})
        with plt.style.context(style):
            drawn = [plot(calls(40, conversation="a")) for plot in EVERY]
            drawn += [plots.what_if(estimate), plots.effect(effect(1))]
            for ax in drawn:
                ax.figure.canvas.draw()
                shown = [text for text in ax.figure.findobj(Text) if text.get_text().strip()]
                light = [
                    text.get_text() for text in shown if sum(mpl.colors.to_rgb(text.get_color())[:3]) > 2.5
                ]
                assert not [words for words in light if not words.endswith("%")]  # on a dark bar

    @pytest.mark.parametrize("plot", EVERY)
    def test_no_word_is_cut_off_in_a_figure_of_ours(self, plot):
        table = calls(40, conversation="a", notebook="a-notebook-of-a-rather-long-name.ipynb")
        table.loc[3, ["cost_usd", "cost_low", "cost_high"]] = [None, 0.1, 30.0]
        table.loc[4, ["cost_usd", "cost_low", "cost_high", "model"]] = [
            None,
            None,
            None,
            "claude-" + "x" * 40,
        ]
        ax = plot(table)
        ax.figure.canvas.draw()
        sheet = ax.figure.bbox.padded(1)
        for text in [
            *ax.texts,
            ax.xaxis.label,
            ax._left_title,
            *(ax.get_legend().get_texts() if ax.get_legend() else []),
        ]:
            box = text.get_window_extent()
            assert sheet.x0 <= box.x0, text
            assert box.x1 <= sheet.x1, text
            assert sheet.y0 <= box.y0, text

    def test_a_caption_in_narrow_axes_breaks_between_words(self):
        _, grid = plt.subplots(2, 2)
        label = plots.spend(calls(169, simulated=True), ax=grid[0, 0]).get_xlabel()
        assert {"simulated,", "not", "billed;"} <= set(label.split())
        assert max(map(len, label.split("\n"))) < 35

    def test_a_legend_is_as_wide_as_the_axes(self):
        table = pd.concat([calls(1, model=f"claude-number-{number}-5") for number in range(6)])
        _, grid = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
        ax = plots.daily(table, ax=grid[0])
        ax.figure.canvas.draw()
        assert ax.get_legend().get_window_extent().x1 < ax.figure.bbox.x1 / 2

    def test_a_model_without_a_bar_has_no_colour(self):
        free = calls(2, model="claude-free", cost_usd=0.0)
        ax = plots.daily(pd.concat([calls(2), free]))
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["claude-haiku-5-5"]

    def test_the_axis_of_days_ends_with_the_last_day(self):
        ax = plots.daily(calls(1))
        first, last = mpl.dates.num2date(ax.get_xlim())
        assert (f"{first:%m-%d}", f"{last:%m-%d}") == ("10-26", "11-03")

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("size", [(8, 3.6), (3, 2)])
    @pytest.mark.parametrize("days", [0, 1, 5, 17, 45, 90, 200, 700, 4_000])
    def test_any_span_of_days_has_ticks_that_name_them(self, days, size):
        table = calls(3)
        table.loc[2, "ts"] += pd.Timedelta(days=days)
        ax = plots.daily(table, ax=plt.subplots(figsize=size, layout="constrained")[1])
        ax.figure.canvas.draw()
        shown = [text for text in ax.get_xticklabels() if text.get_text()]
        assert 2 <= len(shown) <= 8
        assert ":" not in "".join(text.get_text() for text in shown)
        assert size[0] < 8 or apart(shown)

    def test_a_month_is_named_by_its_own_name(self):
        with Budget(5, per="month", ledger=Ledger(":memory:")) as limit:
            ax = plots.budget(asked_with(limit))
        ax.figure.canvas.draw()
        assert ax.xaxis.get_offset_text().get_text() == ""
        assert all(len(text.get_text().split()) == 2 for text in ax.get_xticklabels())

    def test_a_new_figure_is_black_on_white_under_a_dark_style_too(self):
        with plt.style.context("dark_background"):
            ax = plots.shares(calls(3))
        assert mpl.colors.to_hex(ax.figure.get_facecolor()) == "#ffffff"
        assert {ax.title.get_color(), ax.xaxis.label.get_color()} == {"black"}

    def test_labels_on_bars_contrast_with_them(self):
        ax = plots.shares(calls(3, model="claude-opus-5-5", input_tokens=3_000))
        drawn = {}
        for number, bars in enumerate(ax.containers):
            drawn[mpl.colors.to_hex(bars[0].get_facecolor()).upper()] = ax.texts[2 * number].get_color()
        assert drawn.pop("#0072B2") == "white"
        assert set(drawn.values()) == {"black"}

    def test_classes_without_tokens_are_not_in_the_legend(self):
        for plot in (plots.shares, plots.context):
            names = [text.get_text() for text in plot(calls(3)).get_legend().get_texts()]
            assert "cache write 1h" not in names
            assert "cache write 5m" in names

    def test_amounts_in_dollars_are_no_formula(self):
        table = calls(2, model="$a and b$", cost_usd=None, cost_low=1.0, cost_high=3.0)
        ax = plots.models(table)
        ax.figure.canvas.draw()
        assert not any(text.get_parse_math() for text in [*ax.texts, *ax.get_yticklabels()])

    def test_the_caption_tells_the_period(self):
        assert plots.spend(calls(9)).get_xlabel().endswith("9 real calls; 2026-11-02 to 2026-11-04 UTC")

    def test_a_legend_of_two_rows_leaves_the_title_free(self):
        ax = plots.daily(pd.concat([calls(1, model=f"model-number-{number}") for number in range(9)]))
        ax.figure.canvas.draw()
        assert ax.get_legend().get_window_extent().y1 <= ax._left_title.get_window_extent().y0

    def test_retries_of_one_call_count_once(self):
        table = calls(3)
        table["call_id"] = ["a", "a", "b"]
        assert "2 real calls" in plots.spend(table).get_xlabel()


class TestDays:
    def test_a_day_is_a_day_of_the_time_zone_asked_for(self):
        late = calls(1, ts=pd.Timestamp("2026-11-02T23:30Z"))
        assert str(plots.daily_frame(late).index[0].date()) == "2026-11-02"
        assert str(plots.daily_frame(late, tz="Europe/Berlin").index[0].date()) == "2026-11-03"

    def test_years_with_months_of_gaps_are_drawn_by_month_and_add_up(self):
        table = calls(4)
        table["ts"] = pd.to_datetime(["2023-01-05", "2023-01-06", "2024-06-01", "2026-11-01"], utc=True)
        ax = plots.daily(table)
        assert ax.get_title(loc="left") == "Cost per month by model"
        assert ax.frame.to_numpy().sum() == 1.0
        assert len(ax.frame) == 3

    def test_seven_models_are_five_and_others(self):
        mixed = pd.concat([calls(1, model=f"m{number}", cost_usd=1.0 + number) for number in range(7)])
        assert list(plots.daily_frame(mixed).columns) == ["m6", "m5", "m4", "m3", "m2", "other models"]

    def test_an_hour_stands_in_its_row_and_column(self):
        table = plots.hours_frame(calls(1, ts=pd.Timestamp("2026-11-04T13:20Z")))
        assert table.loc["Wed", 13] == 0.25
        assert table.to_numpy().sum() == 0.25


class TestContext:
    def test_unrelated_calls_are_no_turns(self):
        ax = plots.context(calls(6))
        assert ax.get_title(loc="left") == "Context per call"
        assert not ax.frame["spike"].any()

    def test_conversations_stand_side_by_side_and_single_calls_last(self):
        table = calls(5)
        table["conversation"] = ["a", None, "b", "a", "b"]
        drawn = plots.context(table).frame
        assert list(drawn["conversation"].fillna("-")) == ["a", "a", "b", "b", "-"]
        assert list(drawn["turn"]) == [1, 2, 1, 2, 1]
        assert list(drawn["place"]) == [1, 2, 4, 5, 7]

    def test_many_turns_are_areas_with_the_same_heights_and_gaps(self):
        table = pd.concat([calls(50, conversation=name) for name in "abc"])
        ax = plots.context(table)
        assert len(ax.patches) == 0
        heights = ax.collections[-2].get_paths()[0].vertices[:, 1].max()  # the last class, above all others
        assert heights == ax.frame["prompt_tokens"].max()
        assert ax.frame["place"].iloc[-1] == 152

    def test_a_spike_is_marked_with_what_it_added(self):
        table = calls(10, conversation="a")
        table.loc[6:, "cache_read_input_tokens"] += 50_000
        ax = plots.context(table)
        assert [text.get_text() for text in ax.texts] == ["+50,110\n▼"]
        assert list(ax.frame["spike"].to_numpy().nonzero()[0]) == [6]

    def test_of_many_conversations_the_last_six_are_drawn_and_the_caption_says_so(self):
        table = pd.concat([calls(2, conversation=f"talk {number}") for number in range(9)])
        ax = plots.context(table)
        assert list(dict.fromkeys(ax.frame["conversation"])) == [f"talk {number}" for number in range(3, 9)]
        assert "12 real calls; the last 6 of 9 conversations" in ax.get_xlabel().replace("\n", " ")
        assert "conversations" not in plots.context(table[4:16]).get_xlabel().removeprefix("turns of each")

    def test_names_of_conversations_do_not_run_into_each_other(self):
        table = pd.concat([calls(2, conversation=f"{number}a29c50e9327f") for number in range(6)])
        for size in ((8, 3.6), (4, 3)):
            ax = plots.context(table, ax=plt.subplots(figsize=size, layout="constrained")[1])
            assert apart(ax.get_xticklabels())

    def test_sizes_of_spikes_do_not_cover_each_other_and_every_spike_is_marked(self):
        talks = [calls(10, conversation=name) for name in "abcdef"]
        for talk in talks:
            talk.loc[6:, "cache_read_input_tokens"] += 50_000
        ax = plots.context(pd.concat(talks), ax=plt.subplots(figsize=(3, 3))[1])
        assert len(ax.texts) == 6
        assert apart([text for text in ax.texts if "+" in text.get_text()])

    @pytest.mark.parametrize("prompts", [[], [5], [10, 5], [100] * 9, list(range(100, 900, 100))])
    def test_even_growth_has_no_spike(self, prompts):
        assert not any(spikes(prompts))

    def test_the_window_is_drawn_where_a_prompt_comes_near_it(self):
        limit = find("claude-opus-5-5").max_input_tokens
        near = calls(1, model="claude-opus-5-5", cache_read_input_tokens=limit // 2)
        assert any(list(line.get_ydata()) == [limit, limit] for line in plots.context(near).lines)
        assert not plots.context(calls(1, model="claude-opus-5-5")).lines


class TestCache:
    def test_savings_are_what_the_same_prompt_costs_without_a_cache_less_what_it_cost(self):
        one = calls(1, model="claude-opus-5-5", input_tokens=0, cache_read_input_tokens=1_000_000)
        one["ephemeral_5m_input_tokens"] = 1_000_000
        table = plots.cache_frame(one)
        assert table["uncached_usd"][0] == pytest.approx(8.0)
        assert table["saved_usd"][0] == pytest.approx(
            (4 - 0.20) - (5 - 4)
        )  # published: 4, written 5, read 0.20
        assert table["hit"][0] == 0.5

    def test_a_prompt_paid_again_is_marked(self):
        table = calls(3, conversation="a", cache_read_input_tokens=0, ephemeral_5m_input_tokens=0)
        table["cache_read_input_tokens"] = [0, 5_000, 0]
        table["ephemeral_5m_input_tokens"] = [5_000, 0, 5_100]
        assert list(plots.cache_frame(table)["cold"]) == [False, False, True]
        assert not plots.cache_frame(table.assign(conversation=None))["cold"].any()

    def test_a_cache_that_has_not_paid_yet_says_so(self, monkeypatch, capsys):
        monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
        plots.cache(calls(1, ephemeral_5m_input_tokens=10_000))
        assert "cost more by $0.00025" in capsys.readouterr().out


class TestEffect:
    def test_runs_that_were_cut_are_marked_and_said_to_make_the_mean_too_low(self):
        ax = plots.effect(effect(2, max_tokens=9))
        assert "4 of 4 runs not complete: means are too low" in ax.get_xlabel().replace("\n", " ")
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a run not complete", "mean"]
        assert all("0 of 2 complete" in text.get_text() for text in ax.texts)

    def test_complete_runs_need_no_word(self):
        ax = plots.effect(effect(2))
        assert "complete" not in ax.get_xlabel() + "".join(text.get_text() for text in ax.texts)


class TestTop:
    def test_a_bar_of_others_that_would_press_the_named_ones_flat_is_broken_off(self):
        mixed = pd.concat([calls(1, cell=str(cell), cost_usd=1.0 + cell / 100) for cell in range(30)])
        ax = plots.top(mixed, most=3)
        assert ax.get_xlim()[1] < 2
        assert {"//", "$30.51"} <= {text.get_text() for text in ax.texts}
        assert ax.frame["low"].iloc[-1] == pytest.approx(30.51)

    def test_what_is_not_named_is_in_the_last_bar(self):
        mixed = pd.concat([calls(1, cell=str(cell), cost_usd=float(cell)) for cell in range(1, 8)])
        table = plots.top_frame(mixed, most=3)
        assert list(table["cell"]) == ["cell 7", "cell 6", "cell 5", "4 others"]
        assert list(table["low"]) == [7.0, 6.0, 5.0, 10.0]
        assert table["calls"].sum() == 7

    def test_calls_from_nowhere_and_unpriced_ones_are_named(self):
        ax = plots.top(calls(1, cost_usd=None, cost_low=None, cost_high=None), "conversation")
        assert list(ax.frame["conversation"]) == ["no conversation"]
        assert "unknown" in [text.get_text() for text in ax.texts]


class TestPerCallAndLatency:
    def test_the_dear_call_among_many_is_an_outlier_and_named(self):
        table = calls(40)
        table.loc[20, ["cost_usd", "cell"]] = [9.0, "12"]
        ax = plots.per_call(table)
        assert list(ax.frame["call"][ax.frame["outlier"]]) == [21]
        assert "call 21, cell 12: $9.00" in [text.get_text() for text in ax.texts]

    def test_names_of_outliers_cover_neither_each_other_nor_a_dot(self):
        table = calls(200)
        for place in (20, 21, 23, 30, 100):
            table.loc[place, ["cost_usd", "cell"]] = [9.0, "12"]
        for size in ((8, 3.6), (4, 3)):
            ax = plots.per_call(table, ax=plt.subplots(figsize=size)[1])
            assert apart(ax.texts)
            dots = ax.transData.transform(ax.frame.loc[ax.frame["outlier"], ["call", "cost_usd"]])
            boxes = [text.get_window_extent() for text in ax.texts]
            assert not any(box.contains(*dot) for box in boxes for dot in dots)
            assert len(boxes) >= 2

    def test_calls_that_were_not_streamed_are_said_to_be_none_to_measure(self):
        ax = plots.latency(calls(2, stream=False))
        assert "no streamed reply that ended well" in {text.get_text() for text in ax.texts}
        assert "2 real calls" in ax.get_xlabel()

    def test_calls_alike_have_no_outlier(self):
        assert not plots.per_call_frame(calls(50))["outlier"].any()

    def test_speed_counts_from_the_first_token(self):
        table = plots.latency_frame(calls(1))
        assert list(table[["first_s", "tokens_per_s"]].iloc[0]) == [0.3, 50.0]

    def test_only_streams_that_ended_well_have_a_speed(self):
        assert plots.latency_frame(calls(2, stream=False)).empty
        assert plots.latency_frame(calls(2, outcome="aborted")).empty


class TestWaste:
    def test_each_wasted_call_counts_once_by_the_first_kind_that_fits(self):
        table = calls(5)
        table["outcome"] = ["no_response", "aborted", "ok", "ok", "ok"]
        table["stop_reason"] = [None, None, "refusal", "max_tokens", "end_turn"]
        table["call_id"] = ["a", "a", "b", "c", "d"]
        drawn = plots.waste_frame(table)
        assert drawn.loc["duplicate"].isna().all()  # a frame holds no digests
        assert "unknown: a frame holds no digests" in {text.get_text() for text in plots.waste(table).texts}
        assert dict(drawn["calls"].dropna()) == {"retried": 1, "interrupted": 1, "refused": 1, "truncated": 1}
        assert drawn["low"].sum() == 1.0

    def test_asking_again_after_a_truncated_reply_is_no_duplicate(self):
        ledger = Ledger(":memory:")
        client = connect(mode="sandbox", quiet=True, ledger=ledger)
        for limit in (9, 900, 900):
            content = "Tell me a story of 20 words."
            client.messages.create(
                model="claude-haiku-5-5", max_tokens=limit, messages=[{"role": "user", "content": content}]
            )
        assert dict(plots.waste_frame(ledger)["calls"])["duplicate"] == 1


class TestWaterfall:
    def test_the_bars_add_up_to_the_prompt_that_the_server_measured(self):
        ledger = Ledger(":memory:")
        chat = claude_nb.Chat(
            connect(mode="sandbox", quiet=True, ledger=ledger), system="Be brief.", display=False
        )
        for number in range(4):
            message = chat.send(f"Question {number}: " + "why? " * 40 * number)
        table = plots.waterfall_frame(ledger)
        assert table["tokens"].sum() == message.usage.input_tokens
        assert list(table["message"].dropna().unique()) == list(range(7))
        assert plots.waterfall_frame(ledger, 0)["message"].max() == 0
        assert "the last answered call; claude-haiku" in plots.waterfall(ledger).get_xlabel().replace(
            "\n", " "
        )

    def test_of_many_blocks_the_large_ones_keep_their_bar(self):
        ledger = Ledger(":memory:")
        client = connect(mode="sandbox", quiet=True, ledger=ledger)
        turns = [
            {"role": role, "content": f"{role} {n}"} for n in range(15) for role in ("user", "assistant")
        ]
        turns.append({"role": "user", "content": "a long one " * 500})
        client.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=turns)
        ax = plots.waterfall(ledger)
        assert [text.get_text() for text in ax.get_yticklabels()] == [
            "messages 0 to 29",
            "user text (message 30)",
        ]
        assert len(ax.frame) == 31

    def test_an_empty_ledger_is_drawn(self):
        assert plots.waterfall(Ledger(":memory:")).frame.empty


class TestInvoice:
    def test_rows_of_a_day_are_added_up_and_a_day_not_invoiced_stays_unknown(self):
        table = pd.DataFrame(
            {
                "day": ["2026-11-02", "2026-11-02", "2026-11-03"],
                "ledger_usd": [1.0, 2.0, 4.0],
                "invoice_usd": [1.5, 2.0, None],
            }
        )
        ax = plots.invoice(table)
        assert list(ax.frame["ledger_usd"]) == [3.0, 4.0]
        assert ax.frame["residual_usd"].iloc[0] == 0.5
        assert ax.frame["invoice_usd"].isna().sum() == 1
        assert "1 not invoiced yet" in ax.get_xlabel()
        assert plots.invoice(table.iloc[:0]).frame.empty

    def test_a_reconciliation_is_drawn_with_its_reasons(self, monkeypatch, capsys):
        monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
        frame = pd.DataFrame(
            {"day": ["2026-11-02"], "ledger_usd": [3.0], "invoice_usd": [4.0], "residual_usd": [1.0]}
        )
        frame = frame.assign(elsewhere_usd=1.5, discount_usd=-0.5, price_usd=0.0)
        plots.invoice(types.SimpleNamespace(frame=lambda: frame, daily=lambda: None))
        assert capsys.readouterr().out == (
            "Ledger against invoice: 1 day, 2026-11-02 to 2026-11-02 UTC\n"
            "  ledger $3.00, invoice $4.00\n"
            "  the invoice is $1.00 higher\n"
            "  largest difference $1.00 on 2026-11-02\n"
            "  elsewhere: not through this ledger: $1.50\n"
            "  discounts: -$0.50\n"
        )


class TestALongLedger:
    """Beyond what is read row by row, sums are made by the database, and are the same sums."""

    @pytest.fixture(scope="class")
    @classmethod
    def ledger(cls):
        return made()

    @pytest.mark.parametrize(
        "frame",
        [
            plots.daily_frame,
            plots.hours_frame,
            plots.models_frame,
            plots.shares_frame,
            plots.top_frame,
            lambda source: plots.top_frame(source, "conversation"),
            lambda source: plots.cache_frame(source)[["read", "prompt_tokens", "saved_usd"]].sum(),
            lambda source: plots.spend_frame(source).iloc[-1][["call", "cumulative_low", "cumulative_high"]],
        ],
    )
    def test_is_drawn_from_the_same_numbers(self, frame, ledger, monkeypatch):
        whole = frame(ledger)
        monkeypatch.setattr("claude_nb.plots.calls.MOST", 10)
        summed = frame(ledger)
        same = pd.testing.assert_series_equal if whole.ndim == 1 else pd.testing.assert_frame_equal
        same(whole, summed, check_dtype=False, check_names=False)

    def test_says_how_much_is_left_out_where_each_call_is_drawn(self, ledger, monkeypatch):
        monkeypatch.setattr("claude_nb.plots.calls.MOST", 10)
        ax = plots.per_call(ledger)
        assert len(ax.frame) == 10
        assert "the last 9 real calls (28 earlier ones left out)" in ax.get_xlabel()

    def test_has_a_dashboard(self, ledger, monkeypatch):
        monkeypatch.setattr("claude_nb.plots.calls.MOST", 10)
        assert "37 real calls" in plots.dashboard(ledger)[0].get_xlabel()

    @pytest.mark.parametrize(
        "question",
        [plots.daily_frame, plots.shares_frame, plots.top_frame, lambda ledger: ledger.by("model")],
    )
    def test_is_summed_in_the_order_of_an_index(self, question, ledger, monkeypatch):
        """SQLite would sort a million rows otherwise: an expression it does not know again shows here."""
        monkeypatch.setattr("claude_nb.plots.calls.MOST", 10)
        asked, engine = [], ledger._store._connected().engine
        note = partial(_note, asked)
        event.listen(engine, "before_cursor_execute", note)
        question(ledger)
        event.remove(engine, "before_cursor_execute", note)
        grouped = [(sql, values) for sql, values in asked if "GROUP BY" in sql]
        assert grouped
        with ledger._store.transaction() as connection:
            for sql, values in grouped:
                steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
                assert [step[3] for step in steps if "B-TREE" in step[3]] == []


def _note(asked, _connection, _cursor, sql, values, *_):
    asked.append((sql, values))


def test_many_models_with_names_as_long_as_addresses_leave_room_for_the_plot():
    table = calls(60)
    table["model"] = [
        f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-{n}" for n in range(60)
    ]
    assert len(plots.models_frame(table)) == 21
    assert plots.models_frame(table)["model"].iloc[-1] == "40 others"
    figure = plots.dashboard(table)[0].get_figure(root=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns where the layout collapses
        figure.canvas.draw()


def test_a_prompt_without_a_token_is_said_not_drawn():
    table = calls(1).assign(input_tokens=0, cache_read_input_tokens=0, ephemeral_5m_input_tokens=0)
    assert [text.get_text() for text in plots.context(table).texts] == ["no prompt had a token"]


def test_what_a_session_of_an_agent_cost_is_in_every_sum():
    table = calls(2)
    both = pd.concat([table, table.iloc[:1].assign(op="session", cost_usd=2.5)], ignore_index=True)
    assert plots.spend_frame(both)["cumulative_low"].iloc[-1] == pytest.approx(table["cost_usd"].sum() + 2.5)


def test_an_unfinished_call_whose_most_is_unknown_costs_at_least_what_was_seen(monkeypatch, capsys):
    monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
    plots.top(calls(1).assign(cost_usd=None, cost_low=0.5, cost_high=None, outcome="aborted"))
    assert "at least $0.50" in capsys.readouterr().out
