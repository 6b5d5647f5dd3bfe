"""What each plot prints in a notebook, word by word: nbval compares it, so it may not change by itself."""

import contextlib
import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from plot_ledger import made
from test_plots_images import DRAWN, NOW

from claude_nb import plots
from claude_nb.plots import spending

SAID = {
    "spend": ("Spend, cumulative: 37 real calls; 1 unfinished (a range)\n  spent $0.36 to $0.37\n"),
    "budget_month": (
        "Spend against the budget per month: 37 real calls; 1 unfinished (a range)\n"
        "  spent $0.36 to $0.37\n"
        "  left $0.63 of $1.00\n"
        "  about 64 more calls like these\n"
    ),
    "budget_total": (
        "Spend against the budget in total: 37 real calls; 1 unfinished (a range)\n"
        "  spent $0.36 to $0.37\n"
        "  left $0.0345 of $0.40\n"
        "  about 3 more calls like these\n"
    ),
    "budget_call": (
        "Spend against the budget per call: 37 real calls; 1 unfinished (a range)\n"
        "  dearest call $0.0956 of $0.08 per call\n"
    ),
    "daily": (
        "Cost per day by model: 37 real calls; 1 unfinished (a range)\n"
        "  claude-opus-5-5: $0.32\n"
        "  claude-sonnet-5-5: $0.0417\n"
        "  claude-haiku-5-5: $0.00159\n"
        "  dearest day 2026-11-04: $0.0988\n"
    ),
    "hours": (
        "Cost by hour and weekday: 37 real calls; 1 unfinished (a range)\n"
        "  spent $0.36\n"
        "  most on Mon from 6:00 UTC: $0.0956\n"
    ),
    "context": (
        "Context per turn: 37 real calls; 1 unfinished (a range)\n"
        "  reading: 14 calls, first 4,230, last 19,675 tokens\n"
        "  naming: 6 calls, first 4,230, last 6,282 tokens\n"
        "  single calls: 17 calls, first 21, last 10 tokens\n"
        "  spike at turn 9 of reading: +10,819 tokens\n"
    ),
    "context_of_one": (
        "Context per turn: 14 real calls\n"
        "  cache read: first 0, last 19,278, most 19,278 tokens\n"
        "  cache write 5m: first 4,230, last 397, most 10,819 tokens\n"
        "  spike at turn 9: +10,819 tokens\n"
    ),
    "models": (
        "Cost by model: 37 real calls; 1 unfinished (a range)\n"
        "  claude-opus-5-5: $0.32\n"
        "  claude-sonnet-5-5: $0.0417 to $0.0456\n"
        "  claude-haiku-5-5: $0.00159\n"
    ),
    "top": (
        "Cost by cell: 37 real calls; 1 unfinished (a range)\n"
        "  colours cell 9: $0.0956\n"
        "  survey cell 7: $0.0754\n"
        "  survey cell 3: $0.0349\n"
        "  survey cell 9: $0.026\n"
        "  survey cell 8: $0.0258\n"
        "  9 others: $0.10 to $0.11\n"
    ),
    "shares": (
        "Share of tokens and of cost: 37 real calls; 1 unfinished (a range); output of 1 unknown\n"
        "  cache read: 74.0% of tokens, 8.2% of cost\n"
        "  cache write 5m: 11.9% of tokens, 31.6% of cost\n"
        "  uncached input: 8.9% of tokens, 18.9% of cost\n"
        "  output: 5.2% of tokens, 41.3% of cost\n"
    ),
    "cache": (
        "Prompt cache: 37 real calls; 1 unfinished (a range)\n"
        "  read from the cache: 78.1% of prompt tokens\n"
        "  saved $0.54 of the $0.75 that the prompts cost uncached\n"
    ),
    "per_call": (
        "Cost per call: 37 real calls; 1 unfinished (a range)\n"
        "  median $0.00542, 95 % at most $0.0319, most $0.0956\n"
        "  outliers: 2\n"
        "  call 31: $0.0956, claude-opus-5-5\n"
        "  call 9: $0.0627, claude-opus-5-5\n"
    ),
    "latency": (
        "Latency of streamed replies: 36 real calls\n"
        "  prompts of 10 to 19,675 tokens\n"
        "  time to first token: median 0.51 s\n"
        "  output: median 71 tokens per second\n"
    ),
    "waste": (
        "Wasted spend: 37 real calls; 1 unfinished (a range)\n"
        "  retried: $0.00, 1 call\n"
        "  interrupted: $0.00013 to $0.00403, 1 call\n"
        "  refused: $0.000126, 1 call\n"
        "  truncated: $0.000638, 1 call\n"
        "  duplicate: $0.0000992, 1 call\n"
        "  together $0.000993 to $0.00489, 0.3% of $0.36\n"
    ),
    "waterfall": (
        "What the messages add to the prompt: 1 real call; the last answered call; cell 9; claude-opus-5-5\n"
        "  system: 4,205 tokens\n"
        "  messages 0 to 15: 3,007 tokens\n"
        "  user text (message 16): 10,460 tokens\n"
        "  messages 17 to 26: 2,003 tokens\n"
        "  together 19,675 tokens, $0.013 with the reply\n"
    ),
    "invoice": (
        "Ledger against invoice: 12 days, 2026-11-02 to 2026-11-18 UTC; 1 not invoiced yet\n"
        "  ledger $0.36, invoice $0.41\n"
        "  the invoice is $0.0444 higher\n"
        "  largest difference $0.0321 on 2026-11-05\n"
    ),
}


@pytest.fixture(scope="module")
def ledger():
    return made()


@pytest.fixture(autouse=True)
def in_a_notebook(monkeypatch):
    mpl.use("agg")
    monkeypatch.setattr("claude_nb.plots.canvas.in_notebook", lambda: True)
    monkeypatch.setattr(spending, "_now", lambda: NOW)
    yield
    plt.close("all")


def said(draw, source):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        draw(source)
    return out.getvalue()


@pytest.mark.parametrize("name", SAID)
def test_each_plot_says_its_numbers(name, ledger):
    assert said(DRAWN[name], ledger) == SAID[name]


def test_the_dashboard_says_what_its_six_plots_say(ledger):
    names = ["daily", "spend", "context", "shares", "cache"]
    assert said(DRAWN["dashboard"], ledger).startswith("".join(SAID[name] for name in names))


@pytest.mark.parametrize("name", ["daily", "hours"])
def test_calls_of_one_sitting_name_no_day_so_that_the_next_run_says_the_same(name, ledger):
    assert "2026" in plots.daily(ledger).get_xlabel()
    sitting = said(DRAWN[name], ledger.where(notebook="colours.ipynb", cell="9"))
    assert "dearest" not in sitting
    assert "most on" not in sitting


def test_a_frame_without_digests_says_that_duplicates_are_unknown(ledger):
    assert "duplicates: unknown" in said(plots.waste, ledger.frame())


def test_simulated_calls_say_no_times_that_differ_with_the_machine():
    assert said(plots.latency, made(real=False)) == (
        "Latency of streamed replies: 36 calls simulated, not billed\n"
        "  prompts of 10 to 19,675 tokens\n"
        "  times are the sandbox's, not a model's\n"
    )
