"""What the plots of a ledger of a million calls take, beside ``total()`` over the same rows in the same run.

Run: python benchmarks/plots.py
"""

# ruff: noqa: INP001, T201 - a script that prints what it measured
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import matplotlib as mpl
from ledger import MESSAGE, REQUEST, best, client

from claude_nb import plots
from claude_nb.ledger import Ledger

VARIED = {
    "id": "n.value",
    "call_id": "n.value",
    "ts": "strftime('%Y-%m-%dT%H:%M:%f', '2026-05-01', '+' || (n.value * 17) || ' seconds') || '000+00:00'",
    "model": "CASE n.value % 5 WHEN 0 THEN 'claude-opus-5-5' WHEN 1 THEN 'claude-sonnet-5-5' ELSE a.model END",
    "conversation": "'c' || (n.value / 40)",
    "notebook": "'lesson-' || (n.value / 40 % 7) || '.ipynb'",
    "cell": "CAST(n.value / 40 % 30 AS TEXT)",
    "cache_read_input_tokens": "n.value % 40 * 900",
    "cost_pico": "n.value % 97 * 1000000",
    "cost_low_pico": "n.value % 97 * 1000000",
    "cost_high_pico": "n.value % 97 * 1000000",
}
"""Two hundred days of three models in conversations of forty turns."""


def filled(path: Path) -> Ledger:
    """A ledger of a million calls: one that was recorded, varied by the database."""
    ledger = Ledger(path)
    ledger.meter(client(lambda _: httpx2.Response(200, json=MESSAGE))).messages.create(**REQUEST)
    with ledger._store.transaction() as connection:  # noqa: SLF001 - fills the table faster than a million calls
        names = [
            name for (_, name, *_) in connection.exec_driver_sql("PRAGMA table_info(claude_nb_attempts)")
        ]
        chosen = ", ".join(VARIED.get(name, f"a.{name}") for name in names)
        rows = "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 1000000)"
        one = "(SELECT * FROM claude_nb_attempts LIMIT 1) a"
        fill = f"{rows} INSERT INTO claude_nb_attempts SELECT {chosen} FROM n, {one}"  # noqa: S608 - our own names
        connection.exec_driver_sql(fill)
    return ledger


def main() -> None:
    """Print seconds, and how many times ``total()`` that is."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    drawn = {
        "dashboard": lambda ledger: plots.dashboard(ledger)[0],
        "daily": plots.daily,
        "hours": plots.hours,
        "top": plots.top,
        "shares": plots.shares,
        "cache": plots.cache,
        "context, the last 2,000": plots.context,
        "per_call, the last 20,000": plots.per_call,
        "waste, the last 20,000": plots.waste,
    }
    with tempfile.TemporaryDirectory() as folder:
        few, ledger = Ledger(":memory:"), filled(Path(folder) / "million.db")
        plots.dashboard(few)[0].get_figure(root=True).canvas.draw()  # fonts are read once
        total = best(ledger.total, 3)
        print(f"total() over a million calls: {total:.2f} s")

        def draw(plot: Callable[[Ledger], Any], source: Ledger) -> None:
            plot(source).get_figure(root=True).canvas.draw()
            plt.close("all")

        for name, plot in drawn.items():
            seconds = best(lambda plot=plot: draw(plot, ledger), 3)
            empty = best(lambda plot=plot: draw(plot, few), 2)
            print(
                f"{name}: {seconds:.2f} s, {seconds / total:.1f} times total(); of an empty ledger {empty:.2f} s"
            )


if __name__ == "__main__":
    main()
