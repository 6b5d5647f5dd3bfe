"""What the ledger costs: per call, per streamed event, per question over a million rows, and in memory.

Run: python benchmarks/ledger.py [calls|events|memory|chat|live|logs|million]...
"""

# ruff: noqa: INP001, T201 - a script that prints what it measured
import json
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2

from claude_nb.ledger import Ledger
from claude_nb.ledger.lineage import resolve

EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"some words "}}\n\n'
)
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"content":[],"model":"claude-haiku-5-5","stop_reason":null,"usage":{"input_tokens":25,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
END = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":17}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
REQUEST: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": "Hello"}] * 9,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-5-5",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 25, "output_tokens": 17},
}


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> anthropic.Anthropic:
    """The SDK over a transport that costs almost nothing."""
    return anthropic.Anthropic(api_key="x", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def body(events: int) -> Iterator[bytes]:
    """A stream, an event a chunk."""
    yield START
    for _ in range(events):
        yield EVENT
    yield END


def best(run: Callable[[], object], times: int) -> float:
    """Seconds of the fastest of several runs."""
    results = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        results.append(time.perf_counter() - began)
    return min(results)


def calls(ledger: Ledger) -> None:
    """Milliseconds a call over the bare SDK."""
    bare = client(lambda _: httpx2.Response(200, json=MESSAGE))
    metered = ledger.meter(bare)
    number = 300
    seconds = [
        best(lambda one=one: [one.messages.create(**REQUEST) for _ in range(number)], 3)
        for one in (bare, metered)
    ]
    extra = (seconds[1] - seconds[0]) / number * 1e3
    print(f"create(): bare {seconds[0] / number * 1e3:.2f} ms, metered +{extra:.2f} ms (target 1.5)")


def events(ledger: Ledger) -> None:
    """Microseconds an event over the bare SDK."""
    number = 20_000

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body(number))

    bare = client(answer)
    metered = ledger.meter(bare)

    def read(one: anthropic.Anthropic) -> None:
        for _ in one.messages.create(**REQUEST, stream=True):
            pass

    seconds = [best(lambda one=one: read(one), 5) for one in (bare, metered)]
    extra = (seconds[1] - seconds[0]) / number * 1e6
    print(f"event: bare {seconds[0] / number * 1e6:.1f} us, metered +{extra:.1f} us (target 25)")


def memory(ledger: Ledger) -> None:
    """Peak memory of the recorder over a long stream, in kilobytes."""
    peaks = []
    for number in (1_000, 20_000):

        def answer(_request: httpx2.Request, number: int = number) -> httpx2.Response:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body(number))

        metered = ledger.meter(client(answer))
        tracemalloc.start()
        for _ in metered.messages.create(**REQUEST, stream=True):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e3)
        tracemalloc.stop()
    print(f"memory: {peaks[0]:.0f} kB peak at 1,000 events, {peaks[1]:.0f} kB at 20,000")


def chat(ledger: Ledger) -> None:
    """What a long conversation's rows weigh, against storing every prompt whole."""
    metered = ledger.meter(client(lambda _: httpx2.Response(200, json=MESSAGE)))
    messages: list[dict[str, str]] = []
    for turn in range(300):
        messages.append({"role": "user", "content": f"question {turn}"})
        metered.messages.create(**{**REQUEST, "messages": messages})
        messages.append({"role": "assistant", "content": f"answer {turn}"})
    with ledger._store.transaction() as connection:  # noqa: SLF001 - asks what no question does
        rows = connection.exec_driver_sql("SELECT id, prompt FROM claude_nb_attempts").all()
    short = sum(len(prompt) for _, prompt in rows)
    whole = sum(len(json.dumps(parts, separators=(",", ":"))) for parts in resolve(rows).values())
    print(
        f"chat of 300 turns: {short / 1e3:.0f} kB of prompts, {whole / short:.0f} times less than whole ones"
    )


def live(ledger: Ledger) -> None:
    """Microseconds a call that a displayed meter costs."""
    metered = ledger.meter(client(lambda _: httpx2.Response(200, json=MESSAGE)))
    number = 300

    def run() -> None:
        for _ in range(number):
            metered.messages.create(**REQUEST)

    without = best(run, 3)
    meter = ledger.live()
    meter._handles.append(_Nowhere())  # noqa: SLF001 - as if it were displayed
    print(
        f"live(): +{(best(run, 3) - without) / number * 1e6:.0f} us a call of {without / number * 1e3:.2f} ms"
    )


class _Nowhere:
    def update(self, *_: Any, **__: Any) -> None:
        """Stand for a display."""


def logs(ledger: Ledger) -> None:
    """Megabytes of Claude Code's logs read a second, against the JSON parser alone."""
    usage = {"input_tokens": 2, "cache_read_input_tokens": 60_000, "output_tokens": 400}
    record: dict[str, Any] = {
        "type": "assistant",
        "timestamp": "2026-11-20T10:00:00Z",
        "sessionId": "s",
        "cwd": "/a",
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.jsonl"
        with file.open("w") as text:
            for number in range(20_000):
                content = [{"type": "text", "text": "x" * 2_000}]
                message = {**MESSAGE, "id": f"msg_{number // 4}", "content": content, "usage": usage}
                text.write(json.dumps({**record, "message": message}) + "\n")
        size = file.stat().st_size / 1e6
        bare = best(lambda: [json.loads(line) for line in file.open("rb")], 2)
        took = best(lambda: ledger.import_claude_code(folder), 2)
    print(f"Claude Code's logs: {size / took:.0f} MB/s, {took / bare:.1f} times json.loads alone")


def million(ledger: Ledger) -> None:
    """Seconds for total() and by('model') over a million rows."""
    ledger.meter(client(lambda _: httpx2.Response(200, json=MESSAGE))).messages.create(**REQUEST)
    with ledger._store.transaction() as connection:  # noqa: SLF001 - fills the table faster than a million calls
        columns = [
            name for (_, name, *_) in connection.exec_driver_sql("PRAGMA table_info(claude_nb_attempts)")
        ]
        chosen = ", ".join({"id": "n.value", "call_id": "n.value"}.get(name, f"a.{name}") for name in columns)
        rows = "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 1000000)"
        one = "(SELECT * FROM claude_nb_attempts LIMIT 1) a"
        fill = f"{rows} INSERT INTO claude_nb_attempts SELECT {chosen} FROM n, {one}"  # noqa: S608 - our own names
        connection.exec_driver_sql(fill)
    for name, ask in (("total()", ledger.total), ("by('model')", lambda: ledger.by("model"))):
        print(f"{name} over a million rows: {best(ask, 3):.2f} s (target 2)")


def main() -> None:
    """Run what was asked for, or all."""
    tasks = {"calls": calls, "events": events, "memory": memory, "chat": chat, "live": live}
    tasks |= {"logs": logs, "million": million}
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or tasks:
            tasks[name](Ledger(Path(folder) / f"{name}-{os.getpid()}.db"))


if __name__ == "__main__":
    main()
