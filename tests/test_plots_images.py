"""Each plot looks as it did: compared with ``tests/images/plots``, made anew by ``python tests/test_plots_images.py``.

Letters are left out of the comparison, so that another version of a font or of its renderer changes nothing; words
are compared in ``test_plots_words.py``. matplotlib's own comparison needs no flag that could be forgotten.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.legend import Legend
from matplotlib.testing.compare import compare_images
from matplotlib.text import Text
from plot_ledger import made

from claude_nb import plots
from claude_nb.ledger import Budget
from claude_nb.plots import spending

IMAGES = Path(__file__).parent / "images" / "plots"
TOLERANCE = 1.0
"""Root of the mean squared difference, of 255: a tenth of one bar is more than this, another font less."""
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def invoiced(ledger):
    """What an invoice could say: 4 % more, one day with calls of somebody else, the last day still missing."""
    table = ledger.by("day")["cost_usd"].sort_index().rename("ledger_usd").reset_index()
    table["invoice_usd"] = table["ledger_usd"] * 1.04
    table.loc[3, "invoice_usd"] += 0.03
    table.loc[len(table) - 1, "invoice_usd"] = float("nan")
    return table.assign(unfinished_low=0.0, unfinished_high=[0.004] + [0.0] * (len(table) - 1))


def budget(ledger, usd, per):
    with Budget(usd, per=per, ledger=ledger) as limit:
        limit.calls = ledger.frame  # whatever month it is
        return plots.budget(limit)


def one(ledger):
    return ledger.where(conversation="reading")


DRAWN = {
    "spend": plots.spend,
    "budget_month": lambda ledger: budget(ledger, 1, "month"),
    "budget_total": lambda ledger: budget(ledger, 0.4, "total"),
    "budget_call": lambda ledger: budget(ledger, 0.08, "call"),
    "daily": plots.daily,
    "hours": plots.hours,
    "context": plots.context,
    "context_of_one": lambda ledger: plots.context(one(ledger)),
    "models": plots.models,
    "top": lambda ledger: plots.top(ledger, most=5),
    "shares": plots.shares,
    "cache": plots.cache,
    "per_call": plots.per_call,
    "latency": plots.latency,
    "waste": plots.waste,
    "waterfall": lambda ledger: plots.waterfall(one(ledger)),
    "invoice": lambda ledger: plots.invoice(invoiced(ledger)),
    "dashboard": lambda ledger: plots.dashboard(ledger)[0],
}


@pytest.fixture(scope="module")
def ledger():
    return made()


@pytest.fixture(autouse=True)
def still(monkeypatch):
    mpl.use("agg")
    monkeypatch.setattr(spending, "_now", lambda: NOW)
    yield
    plt.close("all")


def save(ax, path):
    """The figure without a letter."""
    figure = ax.get_figure(root=True)
    for axes in figure.axes:
        axes.set(xlabel="", ylabel="")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("")
    for artist in figure.findobj(lambda artist: isinstance(artist, Text | Legend)):
        artist.set_visible(False)
    figure.savefig(path, dpi=50, metadata={"Software": None})


@pytest.mark.parametrize("name", DRAWN)
def test_each_plot_looks_as_it_did(name, ledger, tmp_path):
    save(DRAWN[name](ledger), tmp_path / f"{name}.png")
    shutil.copy(IMAGES / f"{name}.png", tmp_path / "expected.png")  # the comparison writes beside it
    different = compare_images(tmp_path / "expected.png", tmp_path / f"{name}.png", TOLERANCE)
    assert different is None, (
        f"{different}\nIf this is meant: python {Path(__file__).name}, and look at the images."
    )


def test_a_bar_that_is_a_tenth_too_short_is_noticed(ledger, tmp_path):
    ax = plots.context(one(ledger))
    bar = ax.containers[0][-1]
    bar.set_height(0.9 * bar.get_height())
    save(ax, tmp_path / "wrong.png")
    assert compare_images(IMAGES / "context_of_one.png", tmp_path / "wrong.png", TOLERANCE) is not None


@pytest.mark.parametrize("name", ["top", "per_call", "dashboard"])
def test_another_font_is_not_noticed(name, ledger, tmp_path):
    with mpl.rc_context({"font.family": "serif", "font.size": 11}):
        save(DRAWN[name](ledger), tmp_path / f"{name}.png")
    shutil.copy(IMAGES / f"{name}.png", tmp_path / "expected.png")
    assert compare_images(tmp_path / "expected.png", tmp_path / f"{name}.png", TOLERANCE) is None


def test_no_image_is_left_from_a_plot_that_is_gone():
    assert {path.stem for path in IMAGES.iterdir()} == set(DRAWN)


if __name__ == "__main__":
    mpl.use("agg")
    spending._now = lambda: NOW
    IMAGES.mkdir(parents=True, exist_ok=True)
    history = made()
    for title, drawn in DRAWN.items():
        save(drawn(history), IMAGES / f"{title}.png")
        plt.close("all")
