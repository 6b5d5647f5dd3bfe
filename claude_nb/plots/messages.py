"""What each message adds to a prompt."""

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from claude_nb.errors import LedgerError
from claude_nb.ledger import Ledger

from .canvas import BLUE, MUTED, ORANGE, PURPLE, SKY, count_axis, draw, money, name_axis, records, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from claude_nb.ledger.insight import Growth
    from claude_nb.ledger.prompt import Part

_COLOURS = {"tools": MUTED, "system": PURPLE, "user": BLUE, "assistant": SKY, "tool_result": ORANGE}
_MOST = 14
"""Blocks that have a bar each; of more, only the large ones do."""
_LARGE = 0.05
"""Share of the prompt from which on a block is large: at most twenty are."""
_LAST = 500
"""Attempts searched for the conversation of a call that has no label."""


def waterfall(source: Any, call: Any = -1, *, ax: "Axes | None" = None) -> "Axes":
    """What each message adds to the prompt of one call, in tokens, from the first to the last.

    The growth between two prompts is exact, measured by the server; how messages sent together share it is an
    estimate by their length. Small neighbours share a bar.

    Args:
        source: A ``Ledger``, best of one conversation: ``ledger.where(conversation=chat.conversation)``.
        call: A message, its id, a call or request id, or a number: -1 is the last answered call; of an empty ledger
            nothing is drawn.
        ax: Where to draw; a new figure if not given.

    Raises:
        LedgerError: The source is no ledger, or has no such call.
    """
    table, calls = _messages(source, call)
    bars = _joined(table) if len(table) else table

    def paint(ax: "Axes") -> None:
        rows = range(len(bars))
        starts = bars["tokens"].cumsum() - bars["tokens"]
        ax.barh(
            rows, bars["tokens"], 0.7, left=starts, color=[_COLOURS.get(role, MUTED) for role in bars["role"]]
        )
        for row, start, tokens in zip(rows, starts, bars["tokens"], strict=True):
            ax.annotate(
                f"+{tokens:,}",
                (start + tokens, row),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
            ax.vlines(start + tokens, row, row + 1, color=MUTED, linewidth=0.6)
        name_axis(ax.yaxis, [shorten(name, 30) for name in bars["name"]], fontsize=9)
        ax.set_ylim(max(len(bars), 4) - 0.4, -0.6)
        ax.set_xlim(0, float(bars["tokens"].sum()) * 1.12 or 1)
        count_axis(ax.xaxis)

    words = [f"{row['name']}: {row['tokens']:,} tokens" for row in records(bars)]
    if len(table):
        words.append(
            f"together {table['tokens'].sum():,} tokens, {money(calls['high'].iloc[0])} with the reply"
        )
    labels = (
        "What the messages add to the prompt",
        "tokens of prompt; shares within a turn are estimated",
        "",
    )
    return draw(paint, table, calls, labels, words, ax=ax, grid="x")


def waterfall_frame(source: Any, call: Any = -1) -> "pd.DataFrame":
    """What ``waterfall`` draws: a row a block of the prompt, in order: message, role, name, chars, tokens."""
    return _messages(source, call)[0]


def _messages(source: Any, call: Any) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The blocks of the call's prompt, and the call as the caption counts it."""
    import pandas as pd

    from claude_nb.ledger.insight import part_name

    if not isinstance(source, Ledger):
        raise LedgerError(
            f"plots.waterfall() reads the ledger's digests of prompts, and this is a {type(source).__name__}. "
            "Type: plots.waterfall(ledger), or of one chat: plots.waterfall(ledger.where(conversation="
            "chat.conversation))."
        )
    growth, simulated = _grown(source, call)
    turn = growth[-1].turn if growth else None
    cost = None if turn is None or turn.cost is None else float(turn.cost)
    about = pd.DataFrame(
        {
            "calls": [1],
            "op": ["messages"],
            "ts": [turn.at if turn else None],
            "simulated": [simulated],
            "unfinished": [0],
            "unpriced": [int(cost is None)],
            "high": [cost],
        }
    )
    about["ts"] = pd.to_datetime(about["ts"], utc=True)
    if turn:
        which = "the last answered call" if call == -1 else "the call asked for"
        cell = () if turn.cell is None else (f"cell {turn.cell}",)
        about.attrs["notes"] = (which, *cell, turn.model)
    rows = [
        {
            "message": part.message,
            "role": "tool_result" if part.kind.startswith("tool_result") else part.role,
            "name": part_name(part),
            "chars": part.chars,
            "tokens": tokens,
        }
        for part, tokens in _attributed(growth)
    ]
    table = pd.DataFrame(rows, columns=["message", "role", "name", "chars", "tokens"]).astype(
        {"message": "Int64"}
    )
    return table, about if turn else about.iloc[:0]


def _grown(source: Ledger, call: Any) -> "tuple[list[Growth], bool]":
    """The turns that led to the call, oldest first, and whether they were simulated."""
    from claude_nb.ledger.bulk import recent
    from claude_nb.ledger.insight import explain, growths
    from claude_nb.ledger.turns import turns

    ledger = (recent(source, _LAST) if call == -1 else None) or source
    store, only = ledger._store, ledger._only  # noqa: SLF001 - a reader of the same ledger
    found = turns(store, only)
    if not found and call == -1:
        return [], False
    last = explain(store, only, call).growth.turn
    grown = {growth.turn.number: growth for growth in growths(found)}
    chain = [grown[last.number]]
    while (before := chain[0].before) is not None and not chain[0].changed:
        chain.insert(0, grown[before.number])
    return chain, _is_simulated(ledger, last.ids)


def _is_simulated(ledger: Ledger, ids: "frozenset[str]") -> bool:
    from sqlalchemy import select

    from claude_nb.ledger.schema import attempts

    asked = select(attempts.c.simulated).where(attempts.c.id.in_(ids)).limit(1)
    return any(row.simulated for row in ledger._store.query(asked))  # noqa: SLF001 - as above


def _attributed(chain: "list[Growth]") -> "list[tuple[Part, int]]":
    """Every block of the last prompt with its tokens: what each turn added, laid end to end."""
    if not chain:
        return []
    first, last = chain[0], chain[-1]
    if first.changed:  # the prompt before was edited: what was kept has the rest
        kept = first.turn.parts[: first.kept]
        rest = first.turn.tokens.prompt - sum(tokens for _, tokens in first.new)
        blocks = [*_by_length(kept, max(rest, 0)), *first.new]
    else:
        blocks = [*first.new]
    for growth in chain[1:]:
        blocks += growth.new
    assert len(blocks) == len(last.turn.parts)  # noqa: S101 - the chain holds every block once
    return blocks


def _by_length(parts: "Sequence[Part]", tokens: int) -> "list[tuple[Part, int]]":
    """The tokens divided by length, adding up exactly."""
    upto = list(accumulate(part.chars for part in parts))
    shares = [tokens * passed // max(upto[-1], 1) for passed in upto]
    return [(part, after - before) for part, after, before in zip(parts, shares, [0, *shares], strict=False)]


def _joined(table: "pd.DataFrame") -> "pd.DataFrame":
    """A bar a block, or where there are many, for the large blocks and the runs of small ones between them."""
    import pandas as pd

    if len(table) <= _MOST:
        return table
    whole = table["tokens"].sum()
    large = set(table.index[table["tokens"] >= _LARGE * whole])
    key = [place if place in large else -1 for place in table.index]
    run = (pd.Series(key) != pd.Series(key).shift()).cumsum()
    rows = []
    for _, group in table.groupby(run.to_numpy(), sort=False):
        first, last = group.iloc[0], group.iloc[-1]
        if len(group) == 1:
            rows.append({"role": first["role"], "name": first["name"], "tokens": int(first["tokens"])})
        else:
            ends = [row["name"] if pd.isna(row["message"]) else str(row["message"]) for row in (first, last)]
            rows.append(
                {"role": "", "name": f"messages {ends[0]} to {ends[1]}", "tokens": int(group["tokens"].sum())}
            )
    return pd.DataFrame(rows)
