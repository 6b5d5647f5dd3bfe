"""``claude-nb spend``: what was spent, as a table in the terminal, as data, or as a picture."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ClaudeNbError, LedgerError
from .ledger import Ledger, format_usd

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("model", "notebook", "day", "tag", "conversation", "outcome", "cell", "project", "user", "source")
_FRESH = ("input_tokens", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_READ = "cache_read_input_tokens"
_SHOWN = ("calls", "input", "cached", "output", "cost")
_NOTHING = "-"  # the group of calls without a tag, a notebook, …


def report(ledger: Ledger, by: str, *, simulated: bool = False) -> str:
    """Give a table of calls, tokens and cost, dearest first, with the exact sum below.

    Args:
        ledger: The ledger, or a part of it.
        by: What to group by, one of ``KEYS``.
        simulated: The sandbox's calls instead of the real ones.
    """
    table = ledger.by(by, simulated=simulated)  # type: ignore[arg-type] # argparse allows only KEYS
    rows = [[_label(name), *_cells(row)] for name, row in table.iterrows()]
    lines = _aligned([[by, *_SHOWN], *rows]) if rows else []
    return "\n".join([*lines, *([""] if rows else []), total(ledger, simulated=simulated)])


def total(ledger: Ledger, *, simulated: bool = False) -> str:
    """Give the exact sum in one line; what stands beside it is told by :func:`besides`."""
    found = ledger.total(simulated=simulated)
    line = str(replace(found, beside=0))
    return line if found.calls or simulated or found.source else f"{line} (no real calls)"


def besides(ledger: Ledger) -> list[str]:
    """Give a line for each thing the ledger holds beside its own real calls: simulated ones, imported sources."""
    simulated = ledger.total(simulated=True)
    lines = [f"besides, in the sandbox: {simulated}; --simulated shows them"] if simulated.calls else []
    return lines + [
        f"besides, imported: {ledger.where(source=name).total()}; --source {name} shows them"
        for name in ledger.sources()
    ]


def from_source(ledger: Ledger, name: str) -> Ledger:
    """Give the part of the ledger that was imported from a source.

    Raises:
        LedgerError: Nothing was imported from there.
    """
    there = ledger.sources()
    if name not in there:
        raise LedgerError(
            f"Nothing from {name!r} is in the ledger. Imported are: {', '.join(there) or 'no sources yet'}."
        )
    return ledger.where(source=name)


def export(ledger: Ledger, by: str, form: str, *, simulated: bool = False) -> str:
    """Give the same numbers as ``"csv"`` or ``"json"``; unknown is empty, never 0."""
    table: pd.DataFrame = ledger.by(by, simulated=simulated).reset_index()  # type: ignore[arg-type] # as above
    if form == "csv":
        return table.to_csv(index=False)
    return str(table.to_json(orient="records", indent=1))


def picture(ledger: Ledger, path: Path, *, simulated: bool = False) -> Path:
    """Draw the dashboard of the calls that the table shows into a PNG file.

    Args:
        ledger: The ledger, or a part of it.
        path: The file, which ends in ``.png``.
        simulated: The sandbox's calls instead of the real ones.

    Raises:
        ClaudeNbError: The file is no picture, or cannot be written.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from . import plots

    if path.suffix.lower() != ".png":
        raise ClaudeNbError(f"--png writes a picture, and {path} does not end in .png.")
    figure = plots.dashboard(ledger.where(simulated=simulated))[0].get_figure(root=True)
    try:
        if figure is not None:
            figure.savefig(path, dpi=120, bbox_inches="tight")
    except OSError as error:
        raise ClaudeNbError(
            f"{path} cannot be written: {error.strerror}. Name a file in a folder that exists and is yours."
        ) from error
    return path


def _label(name: Any) -> str:
    import pandas as pd

    return _NOTHING if pd.isna(name) else str(name)


def _cells(row: Any) -> list[str]:
    import pandas as pd

    fresh = [row[name] for name in _FRESH if pd.notna(row[name])]
    unsure = [f"{row[name]:,} {name}" for name in ("unfinished", "unpriced") if row[name]]
    cost = "unknown" if pd.isna(row["cost_usd"]) else " + ".join([format_usd(row["cost_usd"]), *unsure])
    numbers = (sum(fresh) if fresh else None, row[_READ], row["output_tokens"])
    return [f"{row['calls']:,}", *map(_number, numbers), cost]


def _number(value: Any) -> str:
    try:
        return f"{int(value):,}"
    except (TypeError, ValueError):  # pandas' NA: no server reported it
        return "unknown"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
