"""How far a long job is: a bar in a notebook, a line on a terminal, nothing in a file or a pipe."""

import sys
import time
from decimal import Decimal
from typing import Any, Self

from .ledger import format_usd
from .screens import in_notebook

_EVERY = 0.1  # seconds


class Progress:
    """Shows how many of the rows are done, and what they cost so far; gone when it is over.

    Args:
        total: How many there are.
        quiet: Show nothing.
    """

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self._total, self._done = total, 0
        self._cost: Decimal | None = Decimal(0)
        self._shown = 0.0
        self._bar: Any = None
        self._handle: Any = None
        self._line = not quiet and not in_notebook() and sys.stdout.isatty()
        if not quiet and total > 1 and in_notebook():
            self._show_bar()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._line:
            sys.stdout.write("\r\033[K")
        if self._bar is not None:
            self._handle.update({}, raw=True)
            self._bar.close()

    def step(self, cost: Decimal | None) -> None:
        """One more is done; its cost in USD, None where it is unknown."""
        self._done += 1
        self._cost = None if self._cost is None or cost is None else self._cost + cost
        if time.monotonic() - self._shown < _EVERY and self._done < self._total:
            return
        self._shown = time.monotonic()
        text = f"{self._done:,} of {self._total:,} rows · {format_usd(self._cost)}"
        if self._line:
            sys.stdout.write(f"\r\033[K{text}")
            sys.stdout.flush()
        if self._bar is not None:
            self._bar.value, self._bar.description = self._done, text

    def _show_bar(self) -> None:
        from IPython.display import display
        from ipywidgets import IntProgress, Layout

        style = {"description_width": "initial"}
        self._bar = IntProgress(
            max=self._total,
            description=f"0 of {self._total:,} rows",
            style=style,
            layout=Layout(width="100%"),
        )
        bundle = self._bar._repr_mimebundle_()
        view = {mime: value for mime, value in bundle.items() if mime.endswith("widget-view+json")}
        self._handle = display(view, raw=True, display_id=True)  # type: ignore[no-untyped-call] # IPython's own
