"""The calls a plot is about: from a ledger, a frame, or anything that has one."""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError
from claude_nb.ledger import Ledger
from claude_nb.ledger.attempt import IMPORTED
from claude_nb.ledger.sessions import SESSION

if TYPE_CHECKING:
    import pandas as pd

PROMPT_CLASSES = (
    "cache_read_input_tokens",
    "ephemeral_1h_input_tokens",
    "ephemeral_5m_input_tokens",
    "input_tokens",
)
"""The classes a prompt's tokens fall into, cheapest first."""
MOST = 20_000
"""Attempts of a ledger that are read one by one."""
_NUMBERS = ["cost_usd", "cost_low", "cost_high", "first_ms", "total_ms"]
_TOKENS = [*PROMPT_CLASSES, "output_tokens"]
_TEXTS = [
    "model",
    "outcome",
    "stop_reason",
    "op",
    "speed",
    "notebook",
    "cell",
    "conversation",
    "call_id",
    "attempt",
]


def calls_of(source: Any, most: int | None = None) -> "pd.DataFrame":
    """A row a call that asked for a message: the real ones, or else the simulated ones.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()``.
        most: Attempts of a ledger to read, the last ones; ``attrs["earlier"]`` then counts those left out.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    if isinstance(source, Ledger):
        from claude_nb.ledger.bulk import recent, size_of

        last = recent(source, most or MOST)
        if last is None:
            return _asked(source.frame())
        whole = last.frame()
        frame = _asked(whole)
        frame.attrs["earlier"] = size_of(source) - len(whole)
        return frame
    return _asked(_frame_of(source))


def sums_of(source: Any, *keys: str) -> "pd.DataFrame":
    """The same columns as ``calls_of`` and of all calls, however many: of a very long ledger a row sums many calls.

    Args:
        source: A ``Ledger``, a frame of one, or anything with a ``frame()``.
        *keys: Columns to keep apart; if not given, the hour, the model and its speed.

    Raises:
        LedgerError: The source has no frame of calls.
    """
    if isinstance(source, Ledger):
        from claude_nb.ledger.bulk import by_label, hourly, recent

        if recent(source, MOST) is not None:
            return _asked(by_label(source, keys) if keys else hourly(source))
    return calls_of(source)


def recorded_of(source: Any, plot: str, what: str, *columns: str) -> "pd.DataFrame":
    """The same as ``calls_of``, for a plot of what only a ledger records.

    Raises:
        LedgerError: The source keeps no such columns, as a chat, or has no frame of calls.
    """
    if not isinstance(source, Ledger):
        frame = _frame_of(source)
        if missing := [name for name in columns if name not in frame]:
            raise LedgerError(
                f"plots.{plot}() needs {what} ({missing[0]}), which a ledger keeps and this "
                f"{type(source).__name__} does not. Type: plots.{plot}(ledger), or of one chat: "
                f"plots.{plot}(ledger.where(conversation=chat.conversation))."
            )
        source = frame
    return calls_of(source)


def timed_of(calls: "pd.DataFrame") -> "pd.DataFrame":
    """The calls with a time.

    Raises:
        LedgerError: None of them has a time, as in a chat's frame.
    """
    if len(calls) and calls["ts"].isna().all():
        raise LedgerError("These calls have no times: a chat's frame has none. Type: plots.daily(ledger).")
    return calls[calls["ts"].notna()]


def _frame_of(source: Any) -> "pd.DataFrame":
    import pandas as pd

    frame = source
    for name in ("runs", "frame"):  # a row a call, where there are both
        if not isinstance(frame, pd.DataFrame) and callable(getattr(source, name, None)):
            frame = getattr(source, name)()
    if not isinstance(frame, pd.DataFrame):
        raise LedgerError(
            f"There is nothing to plot in a {type(source).__name__}. Type: plots.spend(ledger), or pass "
            "ledger.frame() or a chat."
        )
    if len(frame) and not {*_NUMBERS[:3], *_TOKENS} & {*frame.columns}:
        raise LedgerError(
            f"This frame has neither costs nor tokens. Its columns: {', '.join(map(str, frame.columns))}. "
            "Type: plots.spend(ledger), or pass ledger.frame()."
        )
    if sums := [name for name in ("attempts", "runs") if name in frame]:
        raise LedgerError(
            f"The rows of this frame are sums (it counts {sums[0]}), and a plot needs a row a call. "
            'Type: plots.models(ledger) or plots.top(ledger, "cell"), or pass ledger.frame().'
        )
    if "simulated" in frame.attrs and "simulated" not in frame:  # extract_many() says it of all rows at once
        frame = frame.assign(simulated=frame.attrs["simulated"])
    if len(frame) and "simulated" not in frame:
        raise LedgerError(
            "This frame does not say which calls are simulated, so that none of them can be called real. Pass "
            'ledger.frame() with its column simulated, or type: frame["simulated"] = False, where all were billed.'
        )
    return frame


def _asked(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Every column a plot reads, in the types it reads them in, and what a row stands for; twice is once.

    ``low`` and ``high`` are the least and the most it cost, in USD: equal where it is settled, NaN where unpriced.
    Where the most is unknown the least stands for it, and ``unpriced`` counts the row.
    """
    import pandas as pd

    frame = frame.copy()
    for name in [*_TEXTS, *_NUMBERS, *_TOKENS]:
        if name not in frame:
            frame[name] = None
    frame["simulated"] = frame["simulated"].astype(bool) if "simulated" in frame else False
    frame["ts"] = pd.to_datetime(frame["ts"], utc=True) if "ts" in frame else pd.NaT
    frame[_NUMBERS] = frame[_NUMBERS].astype("float64")
    frame[_TOKENS] = frame[_TOKENS].astype("Int64")
    asked = frame["op"].isna() | frame["op"].isin(["messages", "batch_item", SESSION, IMPORTED])
    frame = frame[asked & ~frame["outcome"].eq("budget_refused").fillna(value=False).astype(bool)]
    real = ~frame["simulated"]
    frame = (frame[real] if real.any() else frame).reset_index(drop=True)
    if "low" not in frame:  # a row is an attempt; the retries of one call count once
        frame["calls"] = (~frame["call_id"].duplicated() | frame["call_id"].isna()).astype("int64")
        frame["low"] = frame["cost_usd"].fillna(frame["cost_low"])
        frame["high"] = frame["cost_usd"].fillna(frame["cost_high"]).fillna(frame["low"])
        frame["unpriced"] = (frame["cost_usd"].isna() & frame["cost_high"].isna()).astype("int64")
        frame["unfinished"] = (frame["cost_usd"].isna() & frame["low"].notna()).astype("int64")
    return frame
