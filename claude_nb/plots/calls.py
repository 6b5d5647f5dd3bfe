"""The calls a plot is about: from a ledger, a frame, or anything that has one."""

from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError

if TYPE_CHECKING:
    import pandas as pd

PROMPT_CLASSES = (
    "cache_read_input_tokens",
    "ephemeral_1h_input_tokens",
    "ephemeral_5m_input_tokens",
    "input_tokens",
)
"""The classes a prompt's tokens fall into, cheapest first."""
_NUMBERS = ["cost_usd", "cost_low", "cost_high"]
_TEXTS = ["model", "outcome", "op", "speed"]


def calls_of(source: Any) -> "pd.DataFrame":
    """The rows that asked for a message: the real ones, or else the simulated ones."""
    import pandas as pd

    frame = source
    for name in ("frame", "ledger_frame"):
        if not isinstance(frame, pd.DataFrame) and callable(getattr(source, name, None)):
            frame = getattr(source, name)()
    if not isinstance(frame, pd.DataFrame):
        raise LedgerError(
            f"There is nothing to plot in a {type(source).__name__}. Type: plots.spend(ledger), or pass "
            "ledger.frame() or a chat."
        )
    frame = frame.copy()
    tokens = [*PROMPT_CLASSES, "output_tokens"]
    for name in [*_TEXTS, "simulated", "ts", *_NUMBERS, *tokens]:
        if name not in frame:
            frame[name] = False if name == "simulated" else None
    frame[_NUMBERS] = frame[_NUMBERS].astype("float64")
    frame[tokens] = frame[tokens].astype("Int64")
    asked = frame[frame["op"].isna() | frame["op"].isin(["messages", "batch_item"])]
    asked = asked[asked["outcome"] != "budget_refused"]
    real = asked[~asked["simulated"].astype(bool)]
    return (asked if real.empty else real).reset_index(drop=True)
