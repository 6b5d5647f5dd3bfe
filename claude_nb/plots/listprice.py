"""What each call's tokens cost by class at list price: before batch discounts and regional surcharges."""

from typing import TYPE_CHECKING

from .calls import PROMPT_CLASSES
from .canvas import records

if TYPE_CHECKING:
    import pandas as pd

RATES = {
    "cache_read_input_tokens": "read",
    "ephemeral_1h_input_tokens": "write_1h",
    "ephemeral_5m_input_tokens": "write_5m",
    "input_tokens": "input",
    "output_tokens": "output",
}
"""The rate each token class is billed at."""
_STEPS = (100_000, 200_000)
"""Sizes of prompt at which a model's price can change."""


def rates_by_call(calls: "pd.DataFrame") -> "pd.DataFrame":
    """USD per token of every class, a row a call as in ``calls``; NaN where the price is unknown.

    Each model, day and size of prompt is looked up once, so that a million calls take no longer than a hundred.
    """
    import pandas as pd

    from claude_nb.ledger.rates import rates_of

    known = calls[list(PROMPT_CLASSES)].fillna(0).sum(axis=1)
    prompt = known // calls["calls"].clip(lower=1)  # a row of sums holds prompts of one side of every step
    keys = pd.DataFrame(
        {
            "model": calls["model"].fillna("").astype(str),
            "day": calls["ts"].dt.date,
            "speed": calls["speed"].eq("fast").fillna(value=False).map({True: "fast", False: "standard"}),
            "size": sum((prompt > step).astype("int64") for step in _STEPS),
        }
    )
    found = keys.drop_duplicates()
    typical = (0, *(step + 1 for step in _STEPS))
    rows = []
    for row in records(found):
        day = None if pd.isna(row["day"]) else row["day"]
        rates = rates_of(row["model"], day, typical[row["size"]], row["speed"])
        rows.append([None if rates is None else float(getattr(rates, name)) / 1e6 for name in RATES.values()])
    prices = pd.DataFrame(rows, columns=list(RATES.values()), index=found.index, dtype="float64")
    found = found.join(prices)
    merged = keys.merge(found, on=["model", "day", "speed", "size"], how="left")
    return merged[list(RATES.values())].set_index(calls.index)
