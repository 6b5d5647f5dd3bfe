"""Money that bought nothing: replies interrupted, refused, retried, cut short, or asked for twice."""

from typing import TYPE_CHECKING, Any

from claude_nb.ledger import Ledger

from .calls import MOST, recorded_of
from .canvas import BLUE, SKY, amount, draw, money, name_axis, span, usd_axis
from .fit import SMALL, end_for

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

KINDS = {
    "retried": "retried: the SDK sent the call again",
    "interrupted": "interrupted: stopped, or the line broke",
    "refused": "refused: the model declined",
    "truncated": "truncated: max_tokens, or a full window",
    "duplicate": "duplicate: the same prompt again",
}
"""What a call can be wasted by; the first that fits counts."""
_INTERRUPTED = ["aborted", "dropped_by_server", "stream_error", "truncated", "unparsed", "no_response"]
_CUT = ["max_tokens", "model_context_window_exceeded"]


def waste(source: Any, *, ax: "Axes | None" = None) -> "Axes":
    """What was spent on replies that were interrupted, refused, retried, truncated or asked for twice, in USD.

    What an interrupted reply cost lies between the dark and the light end of its bar. A truncated reply was paid for
    and may still be of use. Prompts are compared by the digests that a ledger keeps: a frame has none.

    Args:
        source: A ``Ledger``, or a frame of one. Of a ledger the last 20,000 attempts.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source has no frame of calls, or does not keep how they ended, as a chat.
    """
    import pandas as pd

    calls = _ended(source)
    table = _kinds(source, calls)

    def paint(ax: "Axes") -> None:
        rows = range(len(table))
        low, high = table["low"].fillna(0), table["high"].fillna(0)
        said = [_amount(kind) for _, kind in table.iterrows()]
        ax.barh(rows, high, 0.6, color=SKY, alpha=0.7)
        ax.barh(rows, low, 0.6, color=BLUE)
        for row, end, text in zip(rows, high, said, strict=True):
            spot: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points"}
            ax.annotate(text, (end, row), va="center", fontsize=SMALL, **spot)
        name_axis(ax.yaxis, [KINDS[str(name)].replace(": ", "\n") for name in table.index], fontsize=9)
        ax.set_ylim(len(table) - 0.5, -0.5)
        ax.set_xlim(0, end_for(ax, zip(high, said, strict=True)))
        usd_axis(ax.xaxis)

    words = [
        f"{name}: {_amount(row)}" for name, row in table.iterrows() if pd.notna(row["calls"]) and row["calls"]
    ]
    if len(table):
        whole, low, high = calls["low"].sum(), table["low"].sum(), table["high"].sum()
        known = low or calls["low"].notna().any()
        share = f", {low / whole:.1%} of {money(whole)}" if whole else ""
        words.append(f"together {span(low, high) if known else money(None)}{share}")
    if len(table) and not isinstance(source, Ledger):
        words.append("duplicates: unknown, a frame holds no digests of prompts")
    return draw(paint, table, calls, ("Wasted spend", "USD", ""), words, ax=ax, grid="x")


def waste_frame(source: Any) -> "pd.DataFrame":
    """What ``waste`` draws: a row a kind of waste, its ``calls``, and from ``low`` to ``high`` its USD.

    ``low`` and ``high`` are of the priced calls, NaN where there are calls and none has a known price; of duplicates in
    a frame all are missing values.
    """
    return _kinds(source, _ended(source))


def _ended(source: Any) -> "pd.DataFrame":
    return recorded_of(source, "waste", "how every call ended", "outcome")


def _kinds(source: Any, calls: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    if calls.empty:
        return calls[["low", "high"]]
    again = _is_repeated(source, calls)
    later = calls["call_id"].notna() & calls["call_id"].duplicated(keep="last")
    kind = pd.Series("", index=calls.index)
    for name, fits in (
        ("duplicate", again & calls["outcome"].eq("ok").fillna(value=False)),
        ("truncated", calls["stop_reason"].isin(_CUT)),
        ("refused", calls["stop_reason"].eq("refusal").fillna(value=False)),
        ("interrupted", calls["outcome"].isin(_INTERRUPTED)),
        ("retried", later),
    ):
        kind = kind.mask(fits.astype(bool), name)
    grouped = calls.assign(kind=kind, calls=1).groupby("kind")[["calls", "low", "high", "unpriced"]]
    table = grouped.sum(min_count=1).reindex(list(KINDS), fill_value=0).astype({"calls": "Int64"})
    if not isinstance(source, Ledger):
        table.loc["duplicate"] = None
    return table


def _is_repeated(source: Any, calls: "pd.DataFrame") -> "pd.Series":
    """Whether an earlier call asked the same model for exactly the same; False where digests are not at hand."""
    if not isinstance(source, Ledger):
        return calls["model"].isna() & False
    from claude_nb.ledger.bulk import recent, repeated

    return calls["call_id"].isin(repeated(recent(source, MOST) or source))


def _amount(kind: "pd.Series") -> str:
    import pandas as pd

    if pd.isna(kind["calls"]):
        return "unknown: a frame holds no digests"
    count = int(kind["calls"])
    cost = amount(kind["low"], kind["high"], kind["unpriced"])
    return f"{cost}, {count:,} call{'' if count == 1 else 's'}"
