"""What a ledger, or a part of one, can be asked."""

from copy import copy
from typing import TYPE_CHECKING, Any, Literal, Self

from claude_nb.errors import LedgerError

from .total import Health, Total

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

    from .insight import Explanation
    from .leak import Leaks
    from .live import Live
    from .store import Store

Key = Literal[
    "model",
    "notebook",
    "cell",
    "conversation",
    "tag",
    "day",
    "outcome",
    "stop_reason",
    "provider",
    "service_tier",
    "speed",
    "inference_geo",
    "session",
    "op",
    "project",
    "user",
    "source",
]


class Asking:
    """The questions; ``Ledger`` adds where the rows come from."""

    _store: "Store"
    _only: dict[str, Any]

    def session(self) -> Self:
        """The same ledger, restricted to the calls of this kernel: what this notebook cost."""
        from .attempt import SESSION

        return self.where(session=SESSION)

    def where(self, **only: "str | int | None") -> Self:
        """The same ledger, restricted to rows with these values, such as ``where(tag="lesson-3", user="ada")``.

        None selects the rows that have no value there.

        Args:
            **only: Columns of ``frame()`` and their values; ``tag`` is one of a row's tags, and ``conversation`` takes
                a ``Chat`` too.

        Raises:
            LedgerError: There is no such column, or it holds values of another type.
        """
        from .questions import TAG
        from .schema import attempts

        only = {
            name: getattr(value, "conversation", value) if name == "conversation" else value
            for name, value in only.items()
        }
        for name, value in only.items():
            if name != TAG and (name not in attempts.c or name == "tags"):
                raise LedgerError(f"The ledger has no column {name!r}. {_columns_in_words()}")
            wanted = str if name == TAG else attempts.c[name].type.python_type
            if value is not None and type(value) is not wanted:
                raise LedgerError(f"The column {name!r} holds {wanted.__name__}, not {value!r}.")
        view = copy(self)
        view._only = {**self._only, **only}  # noqa: SLF001 - a copy of this very class
        return view

    def since(self, when: "str | date") -> Self:
        """The same ledger, restricted to calls made from a moment on, in UTC.

        Args:
            when: ``"7d"``, ``"12h"`` or ``"2w"`` back from now; or a date or time, as ISO 8601 text or an object.

        Raises:
            LedgerError: It is none of these.

        Example:
            >>> Ledger(":memory:").since("7d").total()
            $0.00
        """
        from .moment import moment
        from .questions import SINCE

        view = copy(self)
        view._only = {**self._only, SINCE: moment(when)}  # noqa: SLF001 - a copy of this very class
        return view

    def total(self, *, simulated: bool = False) -> Total:
        """What the calls cost: real ones, or (``simulated=True``) the sandbox's. The two are never mixed."""
        from . import questions

        sums = questions.totals(self._store, self._only, simulated=simulated)
        beside, source = 0, self._only.get("source", questions.OWN)
        if not simulated and not sums["calls"] and source == questions.OWN:
            beside = questions.totals(self._store, self._only, simulated=True)["calls"] or 0
        named = None if source == questions.OWN else source
        return Total.of(sums, simulated=simulated, source=named, beside=beside)

    def by(self, key: Key, *, simulated: bool = False) -> "pd.DataFrame":
        """Calls, tokens and cost by model, notebook, cell, conversation, tag, day (UTC) and so on, dearest first.

        A cell is named with its notebook, where that is known.

        Args:
            key: What to group by.
            simulated: The sandbox's calls instead of the real ones.

        Raises:
            LedgerError: There is no such key.
        """
        from . import questions

        return questions.grouped(self._store, self._only, key, simulated=simulated)

    def sources(self) -> list[str]:
        """The names of what was imported: ``where(source=...)`` shows one, ``by("source")`` all."""
        from . import questions

        return questions.sources(self._store)

    def frame(self) -> "pd.DataFrame":
        """A row an attempt, oldest first, with the API's own column names.

        Costs are in USD: ``cost_usd`` where it is exact, ``cost_low`` and ``cost_high`` around it otherwise.
        Unknown is ``<NA>`` or ``NaN``, never 0. Simulated and real rows stand in one frame, marked.
        """
        from . import questions

        return questions.frame(self._store, self._only)

    def health(self) -> Health:
        """Whether the accounting itself is well: what was swallowed, what waits, what is open or unpriced."""
        from . import questions

        try:
            counts = questions.counts(self._store, self._only)
        except LedgerError as error:
            self._store.note(error)
            counts = dict.fromkeys(("open", "unfinished", "unpriced"))
        return Health(
            ledger=self._store.label,
            swallowed=self._store.swallowed,
            last_error=self._store.last_error,
            waiting=len(self._store.aside.files()),
            **counts,
        )

    def live(self) -> "Live":
        """A small meter for a notebook: cost, tokens, cache hits and what is left of each budget, as calls settle.

        Leave it as the last line of a cell, or ``display`` it, as often as you like. It counts what the ledger (or this
        part of it) held when it was made, and this kernel's calls from then on, whatever cell or thread makes them.
        A saved notebook keeps its last numbers as plain HTML.

        Raises:
            LedgerError: The ledger cannot be read.

        Example:
            >>> Ledger(":memory:").session().live()
            $0.00 · no calls yet
        """
        from .live import Live

        return Live(self)

    def explain(self, call: Any = -1) -> "Explanation":
        """Why one call cost what it did: what its prompt was made of, and what the call added to it.

        Args:
            call: A message, its id, a call or request id, or a number: 0 is the first answered call, -1 the last.

        Raises:
            LedgerError: There is no such call, or it reported no tokens.
        """
        from .insight import explain

        return explain(self._store, self._only, call)

    def prompt(self, call: Any = -1) -> "pd.DataFrame":
        """What one call sent: a row a block, with its ``message``, ``role``, ``kind``, ``chars`` and ``text``.

        ``text`` is None unless the ledger that metered the call was made with ``keep_text=True``.

        Args:
            call: As for ``explain()``.

        Raises:
            LedgerError: There is no such call, or it reported no tokens.
        """
        from .insight import explain
        from .texts import prompt_frame

        return prompt_frame(self._store, explain(self._store, self._only, call).growth.turn.parts)

    def leaks(self, conversation: Any = None) -> "Leaks":
        """What made a conversation cost more than it has to, in words, priced, dearest first.

        Spikes, cells run twice, blocks sent again, growing tool results, caches gone cold, cache misses, endless
        tool loops. Simulated calls are examined like real ones.

        Args:
            conversation: The label of a conversation or an object with one (a ``Chat``); all calls if not given.

        Raises:
            LedgerError: The ledger knows no call of this conversation.
        """
        from .leaks import find_leaks
        from .turns import turns

        label = getattr(conversation, "conversation", conversation)
        ledger = self if label is None else self.where(conversation=str(label))
        found = turns(ledger._store, ledger._only)  # noqa: SLF001 - a ledger too
        if label is not None and not found:
            raise LedgerError(
                f"The ledger has no answered call of the conversation {label!r}. Pass a Chat, or one of the names that "
                'ledger.by("conversation") lists.'
            )
        return find_leaks(found)


def _columns_in_words() -> str:
    from .questions import FRAME

    return f"Type where(tag=...) for one of the tags, or one of: {', '.join(name for name in FRAME if name != 'tags')}."
