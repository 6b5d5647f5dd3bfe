"""The ledger against the invoice."""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .canvas import BLUE, ORANGE, VERMILION, draw, money, usd_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MOST_TICKS = 12
_REASONS = {
    "unfinished_usd": "unfinished calls",
    "unpriced_usd": "calls without a known price",
    "elsewhere_usd": "elsewhere: not through this ledger",
    "only_here_usd": "only in this ledger",
    "price_usd": "other prices",
    "discount_usd": "discounts",
}
"""Why the invoice differs, by the columns of a reconciliation."""
_NEEDED = ("day", "ledger_usd", "invoice_usd")


def invoice(reconciled: Any, *, ax: "Axes | None" = None) -> "Axes":
    """What the ledger counted and what was invoiced, a pair of bars for each UTC day, in USD, and what is between.

    The thin line on a bar of the ledger is the range that unfinished calls leave open.

    Args:
        reconciled: What ``ledger.reconcile(...)`` gives, or a frame with the columns ``day``, ``ledger_usd`` and
            ``invoice_usd``; more rows a day (models, tiers) are added up.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: There are no such columns.
    """
    table = invoice_frame(reconciled)
    number, reported = len(table), table[table["invoice_usd"].notna()]

    def paint(ax: "Axes") -> None:
        rows = range(number)
        for column, shift, colour in (("ledger_usd", -0.2, BLUE), ("invoice_usd", 0.2, ORANGE)):
            places = [row + shift for row in rows]
            ax.bar(places, table[column], 0.4, color=colour, label=column.removesuffix("_usd"))
        least = table["ledger_usd"] + table["unfinished_low"]
        most = table["ledger_usd"] + table["unfinished_high"]
        ax.vlines([row - 0.2 for row in rows], least, most, color="black", linewidth=1.2)
        ax.plot(rows, table["residual_usd"], "D", color=VERMILION, markersize=5, label="residual")
        ax.axhline(0, color="black", linewidth=0.8)
        step = -(-number // _MOST_TICKS)
        ax.set_xticks(rows[::step], [f"{day:%m-%d}" for day in table.index[::step]])
        ax.set_xlim(-0.7, max(number, 4) - 0.3)
        usd_axis(ax.yaxis)

    words, about = [], "no days to compare"
    if number:
        count = "1 day" if number == 1 else f"{number:,} days"
        about = f"{count}, {table.index[0]:%Y-%m-%d} to {table.index[-1]:%Y-%m-%d} UTC"
    if waiting := number - len(reported):
        about += f"; {waiting:,} not invoiced yet"
    if len(reported):
        counted, billed = reported["ledger_usd"].sum(), reported["invoice_usd"].sum()
        residual = reported["residual_usd"].abs()
        words = [
            f"ledger {money(counted)}, invoice {money(billed)}",
            f"the invoice is {money(abs(billed - counted))} {'higher' if billed >= counted else 'lower'}",
            f"largest difference {money(residual.max())} on {residual.idxmax():%Y-%m-%d}",
        ]
        reasons = reported[[name for name in _REASONS if name in reported]].sum().round(12)
        words += [f"{_REASONS[str(name)]}: {money(usd)}" for name, usd in reasons.items() if usd]
    return draw(paint, table, about, ("Ledger against invoice", "day (UTC)", "USD"), words, ax=ax, columns=3)


def invoice_frame(reconciled: Any) -> "pd.DataFrame":
    """What ``invoice`` draws: a row a UTC day: ledger, invoice, residual and its reasons, in USD."""
    import pandas as pd

    frame = reconciled.frame() if hasattr(reconciled, "daily") else reconciled
    if isinstance(frame, pd.DataFrame) and frame.index.name == "day":
        frame = frame.reset_index()
    missing = [name for name in _NEEDED if not isinstance(frame, pd.DataFrame) or name not in frame]
    if missing:
        raise LedgerError(
            f"plots.invoice() needs the columns {', '.join(_NEEDED)}, and there is no {missing[0]!r} in this "
            f"{type(reconciled).__name__}. Type: plots.invoice(ledger.reconcile(...))."
        )
    if "residual_usd" not in frame:
        frame = frame.assign(residual_usd=frame["invoice_usd"] - frame["ledger_usd"])
    reasons = [name for name in _REASONS if name in frame]
    names = [*reasons, "ledger_usd", "invoice_usd", "residual_usd", "unfinished_low", "unfinished_high"]
    days = pd.to_datetime(frame["day"], utc=True).rename("day")
    table: pd.DataFrame = (
        frame.reindex(columns=names).astype("float64").groupby(days).sum(min_count=1).sort_index()
    )
    table["ledger_usd"] = table["ledger_usd"].fillna(0)
    return table
