"""A ledger with three weeks of life in it: made through the sandbox, then given fixed times."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import anthropic

from claude_nb import Chat, Ledger, Sandbox, connect
from claude_nb.ledger import label
from claude_nb.sandbox import faults

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
START = datetime(2026, 11, 2, 8, 15, tzinfo=UTC)
CACHED = {"cache_control": {"type": "ephemeral"}}
SYSTEM = "You answer briefly and name your sources. " * 250
REPORT = "region,quarter,revenue,cost,margin\n" + "north,Q3,1284000,911000,0.29\n" * 900


def made(path=":memory:", *, real=True):
    """The ledger: two chats, single questions, a duplicate, and every kind of waste.

    Args:
        path: Where to keep it.
        real: Pass its calls off as real ones.
    """
    ledger = Ledger(path)
    _chat(ledger, "reading", "survey.ipynb", OPUS, turns=14, pasted=8)
    _chat(ledger, "naming", "names.ipynb", SONNET, turns=6)
    _singles(ledger)
    _date(ledger, real=real)
    ledger.reprice()  # at the prices of those days
    return ledger


def _chat(ledger, name, notebook, model, *, turns, pasted=None):
    chat = Chat(_client(ledger), model=model, system=SYSTEM, max_tokens=600, display=False)
    chat.conversation = name
    for turn in range(turns):
        text = REPORT if turn == pasted else f"Question {turn}: " + "why is that so, " * (3 + turn % 4)
        with label(notebook=notebook, cell=str(3 + turn // 2)):
            chat.send(text, **CACHED)


def _singles(ledger):
    def ask(fault=None, text="Name a colour.", model=HAIKU, cell="2", limit=400):
        sandbox = Sandbox(faults=[fault] if fault else [])
        asked = {"model": model, "max_tokens": limit, "messages": [{"role": "user", "content": text}]}
        client = _client(ledger, sandbox)
        with (
            suppress(anthropic.APIError, ConnectionError, Exception),
            label(notebook="colours.ipynb", cell=cell),
            client.messages.stream(**asked) as stream,
        ):
            stream.until_done()

    for number in range(10):
        ask(text=f"Name colour number {number} of the rainbow. " * (1 + 3 * number), cell=str(2 + number % 3))
    ask(text="Tell me a story. " * 2500, model=OPUS, cell="9", limit=2000)
    ask(text="Name a fruit."), ask(text="Name a fruit.")
    ask(faults.cut(after=12), text="Tell me about the sea.", model=SONNET)
    ask(faults.refusal(after=10), text="Tell me a secret.", model=SONNET)
    ask(text="Write a long essay about rivers.", model=SONNET, limit=60)
    ask(faults.overloaded(at=1), text="And now?")


def _client(ledger, sandbox=None):
    return connect(mode="sandbox", quiet=True, ledger=ledger, sandbox=sandbox or Sandbox())


def _date(ledger, *, real):
    """Fixed times: a call every few hours, with a week off; replies that take as long as they are long."""
    with ledger._store.transaction() as connection:
        rows = connection.exec_driver_sql(
            "SELECT id, input_tokens, output_tokens, cache_read_input_tokens FROM claude_nb_attempts "
            "ORDER BY ts, attempt, id"
        ).all()
        at = START
        for number, (key, fresh, output, read) in enumerate(rows):
            at += timedelta(hours=[1, 2, 5, 16][number % 4], minutes=7 * number % 60)
            if number == len(rows) // 2:
                at += timedelta(days=6)
            first = 350 + (fresh or 0) // 8 + (read or 0) // 60 + 40 * (number % 5)
            total = first + (output or 0) * (11 + number % 7)
            connection.exec_driver_sql(
                "UPDATE claude_nb_attempts SET ts = ?, first_ms = ?, total_ms = ?, simulated = ? WHERE id = ?",
                (at.isoformat(timespec="microseconds"), first, total, not real, key),
            )
