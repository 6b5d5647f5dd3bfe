"""A meter on the screen that follows the calls as they settle.

It is a display that is replaced by the next, not a widget with a state: what a saved notebook keeps is the last
one, as safe HTML and text. A settled call only adds to a few numbers; one thread for all meters draws them, a few
times a second.
"""

import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

from .money import digits, format_usd
from .questions import sums
from .running import add_to, is_chosen
from .sessions import SESSION
from .total import TOKEN_CLASSES, Total
from .upkeep import explain_abandoned

if TYPE_CHECKING:
    from .asking import Asking
    from .budget import Budget

_EVERY_SECONDS = 0.25
_PROMPT = TOKEN_CLASSES[:4]
_READ = "cache_read_input_tokens"
_GREY = "var(--jp-ui-font-color2,color-mix(in srgb,currentColor 65%,transparent))"
_BOX = (
    "display:inline-flex;flex-wrap:wrap;gap:2px 24px;padding:6px 14px;border:1px solid rgba(128,128,128,.4);"
    "border-radius:6px;font-variant-numeric:tabular-nums"
)
_NAME = f"color:{_GREY};font-size:85%"
_TRACK = "width:100%;min-width:90px;height:4px;border-radius:2px;background:rgba(128,128,128,.3)"
_FULL, _LOW = "var(--jp-success-color1,#2e8b57)", "var(--jp-error-color1,#d9363e)"
_LOW_SHARE = Decimal("0.1")


class Live:
    """The meter. It displays itself; ``str`` gives its line.

    Args:
        ledger: The ledger, or the part of it, that is shown.
    """

    def __init__(self, ledger: "Asking") -> None:
        self._store = ledger._store  # noqa: SLF001 - the same room
        self._adding, self._drawing = threading.Lock(), threading.Lock()
        self._stale = False
        self._handles: list[Any] = []
        self._shown: dict[str, str] = {}
        self._only = ledger._only  # noqa: SLF001 - the same room
        explain_abandoned(self._store)
        self._count()

    def _count(self) -> None:
        with self._store.transaction() as connection:  # nothing settles between the sums and the first note
            found = {
                simulated: connection.execute(sums(self._only, simulated=simulated)).one()._asdict()
                for simulated in (False, True)
            }
            with self._adding:
                self._sums, self._stale = found, False
            self._store.listeners.add(self)

    def settled(self, row: Mapping[str, Any]) -> None:
        """Count a row that was just written. Called by the store, which holds its lock: nothing here may ask it."""
        if is_chosen(row, self._only):
            with self._adding:
                if row["op"] == SESSION:  # its row replaces one that is counted
                    self._stale = True
                else:
                    add_to(self._sums[bool(row["simulated"])], row)
            if self._handles:
                _draw_soon(self)

    def total(self) -> Total:
        """What the meter shows: the real calls, or the sandbox's where there are no others."""
        source = self._only.get("source")
        if self._stale:
            self._count()
        with self._adding:
            real, simulated = (
                Total.of(one, simulated=kind, source=source) for kind, one in self._sums.items()
            )
        return simulated if simulated.calls and not real.calls else real

    def __str__(self) -> str:
        return self._bundle()["text/plain"]

    __repr__ = __str__

    def _ipython_display_(self) -> None:
        from IPython.display import display

        self.draw()
        with self._drawing:
            bundle = self._shown = self._bundle()
            handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types
        shell = sys.modules["IPython"].get_ipython()
        if (
            handle is not None and getattr(shell, "kernel", None) is not None
        ):  # a terminal would print it again
            self._handles.append(handle)
            _flush_after_cells(shell)

    def draw(self) -> None:
        """Show the numbers as they are now, wherever the meter is displayed."""
        with self._drawing, suppress(Exception):  # a screen that is gone must not end the calls
            bundle = self._bundle()
            if bundle != self._shown:
                self._shown = bundle
                for handle in self._handles:
                    handle.update(bundle, raw=True)

    def close(self) -> None:
        """Stop following; what is shown stays."""
        self.draw()
        self._store.listeners.discard(self)

    def _bundle(self) -> dict[str, str]:
        total = self.total()
        budgets = [_Left(budget, simulated=total.simulated) for budget in list(self._store.budgets)]
        return {"text/html": _html(total, budgets), "text/plain": _plain(total, budgets)}


class _Left:
    """What is left of a budget, in numbers and in words."""

    def __init__(self, budget: "Budget", *, simulated: bool) -> None:
        self.limit = budget.usd
        try:
            self.left: Decimal | None = budget.left(simulated=simulated)
        except LedgerError:
            self.left = None
        period = {"call": "per call", "total": "in total", "notebook": "for this notebook"}
        self.period = period.get(budget.per, f"this {budget.per}")

    @property
    def share(self) -> Decimal:
        return self.left / self.limit if self.left is not None and self.limit else Decimal(0)

    def __str__(self) -> str:
        return f"{format_usd(self.left)} of {format_usd(self.limit)} {self.period}"


def _facts(total: Total) -> list[tuple[str, str]]:
    """Names and values, in the order they are shown."""
    cost = format_usd(total.usd)
    if total.unfinished:
        cost += f" +${digits(total.low)}…{'unknown' if total.high is None else digits(total.high)}"
    name = "cost if it were live" if total.simulated else "cost"
    facts = [(name, cost), ("calls", f"{total.calls:,}")]
    prompt = sum(total.tokens[each] for each in _PROMPT)
    facts += [("tokens in", f"{prompt:,}"), ("tokens out", f"{total.tokens['output_tokens']:,}")]
    if prompt:
        facts.append(("from the cache", f"{total.tokens[_READ] / prompt:.0%}"))
    if total.unpriced:
        facts.append(("unpriced", f"{total.unpriced:,}"))
    if total.partly_priced:
        facts.append(("without container time", f"{total.partly_priced:,}"))
    return facts


def _plain(total: Total, budgets: list[_Left]) -> str:
    facts = dict(_facts(total))
    cost = next(iter(facts.values()))
    parts = [f"{cost} simulated, not billed" if total.simulated else cost]
    if total.calls:
        parts += [
            f"{facts['calls']} calls" if total.calls > 1 else "1 call",
            f"{facts['tokens in']} tokens in, {facts['tokens out']} out",
        ]
        parts += [
            f"{facts[name]} {name}"
            for name in ("from the cache", "unpriced", "without container time")
            if name in facts
        ]
    else:
        parts.append("no calls yet")
    return " · ".join([*parts, *(f"left: {left}" for left in budgets)])


def _html(total: Total, budgets: list[_Left]) -> str:
    cells = [_cell(name, f"<b>{escape(value)}</b>") for name, value in _facts(total)]
    cells += [_cell("left", f"<b>{escape(str(left))}</b>{_bar(left)}") for left in budgets]
    badge = f'<span style="color:{_GREY}">sandbox: nothing is billed</span>' if total.simulated else ""
    return (
        f'<div class="claude-nb tex2jax_ignore mathjax_ignore" style="{_BOX}">\n{"".join(cells)}{badge}</div>'
    )


def _cell(name: str, value: str) -> str:
    return f'<div><span style="{_NAME}">{name}</span> <br>{value}</div>\n'


def _bar(left: _Left) -> str:
    colour = _LOW if left.share < _LOW_SHARE else _FULL
    width = f"width:{max(min(left.share, Decimal(1)), Decimal(0)):.0%}"
    return f'<div style="{_TRACK}"><div style="{width};height:4px;border-radius:2px;background:{colour}"></div></div>'


# ---- one thread draws for all

_waiting: set[Live] = set()
_wake = threading.Event()
_start, _all = threading.Lock(), threading.Lock()
_thread: threading.Thread | None = None
_flushed: set[int] = set()


def _draw_soon(live: Live) -> None:
    global _thread  # noqa: PLW0603 - one thread for the whole process, begun when it is needed
    _waiting.add(live)
    _wake.set()
    if _thread is None or not _thread.is_alive():  # also in the child of a fork
        with _start:
            if _thread is None or not _thread.is_alive():
                _thread = threading.Thread(target=_draw_for_ever, name="claude_nb live meter", daemon=True)
                _thread.start()


def _draw_for_ever() -> None:
    while True:
        _wake.wait()
        _wake.clear()
        draw_all()
        time.sleep(_EVERY_SECONDS)


def draw_all() -> None:
    """Bring every meter that waits up to date."""
    with _all:  # whoever comes second waits until the first has drawn
        while _waiting:
            with suppress(KeyError):
                _waiting.pop().draw()


def _flush_after_cells(shell: Any) -> None:
    """At the end of a cell nothing is late: what executes a notebook stops listening when its last cell ends."""
    if id(shell) not in _flushed:
        _flushed.add(id(shell))
        shell.events.register("post_run_cell", lambda _result: draw_all())
