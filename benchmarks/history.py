"""What a history costs beside a plain list: appending, requests, cuts, saving and memory, by length.

Run: python benchmarks/history.py [messages]...

Default: 1000 2000 5000 10000. langchain-core is compared where it is installed, which may be a folder of its own:
pip install --target FOLDER langchain-core, then PYTHONPATH=FOLDER. Seconds differ between machines: read the ratios of
one run. The last table is what what_if() takes for a conversation of as many turns.
"""

# ruff: noqa: INP001, T201 - a script that prints what it measured
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from claude_nb import History
from claude_nb.trim import drop_tool_results, keep_last, keep_tokens

WORDS = "some words that a reader or a model might write, one after the other. "
USAGE = {
    "input_tokens": 10,
    "output_tokens": 5,
    "cache_read_input_tokens": 900,
    "cache_creation_input_tokens": 90,
}


def turn(number: int) -> list[dict[str, Any]]:
    """A turn with a tool call: four messages of about 700 bytes."""
    call = {"type": "tool_use", "id": f"toolu_{number}", "name": "lookup", "input": {"name": f"{number}"}}
    result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": f"{number} " + WORDS * 12}
    thinking = {"type": "thinking", "thinking": "", "signature": f"{number}" * 20}
    return [
        {"role": "user", "content": [{"type": "text", "text": f"{number} " + WORDS * 6}]},
        {"role": "assistant", "content": [thinking, call], "stop_reason": "tool_use", "usage": dict(USAGE)},
        {"role": "user", "content": [result]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": f"{number} " + WORDS * 9}],
            "usage": dict(USAGE),
        },
    ]


def fill(messages: int) -> History:
    """A history of so many messages, ending with a prompt."""
    history = History(tools=[{"name": "lookup", "input_schema": {"type": "object"}}])
    for number in range(messages // 4):
        asked, called, came, said = turn(number)
        history.user(asked["content"])
        history.reply({"stop_reason": "tool_use", **called, "model": "claude-haiku-5-5"})
        history.results(came["content"])
        history.reply({"stop_reason": "end_turn", **said, "model": "claude-haiku-5-5"})
    history.user("And now?")
    return history


def plain(messages: int) -> list[dict[str, Any]]:
    """The same as a list, as the documentation keeps it."""
    kept: list[dict[str, Any]] = []
    for number in range(messages // 4):
        kept += [{"role": one["role"], "content": one["content"]} for one in turn(number)]
    return [*kept, {"role": "user", "content": "And now?"}]


def seconds(do: Callable[[], Any]) -> float:
    """How long it takes, at best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        do()
        best = min(best, time.perf_counter() - began)
    return best


def megabytes(make: Callable[[], Any]) -> float:
    """What the result keeps in memory."""
    tracemalloc.start()
    kept = make()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return size / 1e6


def langchain(messages: int) -> float | None:
    """The same cut by langchain-core's trim_messages; None where it is not installed."""
    try:
        from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, trim_messages
        from langchain_core.messages.utils import count_tokens_approximately as approximately
    except ImportError:
        return None
    kept: list[Any] = []
    for number in range(messages // 4):
        asked, _, came, said = turn(number)
        call = {"name": "lookup", "args": {"name": f"{number}"}, "id": f"toolu_{number}"}
        kept += [
            HumanMessage(asked["content"][0]["text"]),
            AIMessage("", tool_calls=[call]),
            ToolMessage(came["content"][0]["content"], tool_call_id=f"toolu_{number}"),
            AIMessage(said["content"][0]["text"]),
        ]
    kept.append(HumanMessage("And now?"))
    return seconds(
        lambda: trim_messages(
            kept, max_tokens=50_000, token_counter=approximately, strategy="last", start_on="human"
        )
    )


def main(lengths: list[int]) -> None:
    """Print a row a length."""
    print(f"{'messages':>9}{'append':>9}{'again':>9}{'first':>9}{'tokens':>9}{'results':>9}{'langchain':>10}{'save':>9}"
          f"{'autosave':>9}{'list json':>10}{'MB':>8}{'list MB':>9}{'ratio':>7}")  # fmt: skip
    for length in lengths:
        append = seconds(lambda length=length: fill(length))
        history = fill(length)
        began = time.perf_counter()
        history.request()
        first = time.perf_counter() - began
        again = seconds(history.request)
        tokens = seconds(lambda history=history: history.request(trim=keep_tokens(50_000)))
        results = seconds(lambda history=history: history.request(trim=drop_tool_results()))
        other = langchain(length)
        with tempfile.TemporaryDirectory() as folder:
            save = seconds(lambda history=history, folder=folder: history.save(Path(folder, "talk.jsonl")))
            history.autosave(Path(folder, "talk.jsonl"))
            autosave = seconds(lambda history=history: history.user("more"))
            history.autosave(None)
        listed = plain(length)
        dumped = seconds(lambda listed=listed: json.dumps(listed))
        mine, theirs = (
            megabytes(lambda length=length: asked(fill(length))),
            megabytes(lambda length=length: plain(length)),
        )
        print(f"{length:>9,}{append:>8.2f}s{again * 1e3:>7.1f}ms{first * 1e3:>7.1f}ms{tokens * 1e3:>7.1f}ms"
              f"{results * 1e3:>7.1f}ms" + (f"{other * 1e3:>8.1f}ms" if other else f"{'-':>10}") +
              f"{save * 1e3:>7.1f}ms{autosave * 1e3:>7.2f}ms{dumped * 1e3:>8.1f}ms"
              f"{mine:>8.1f}{theirs:>9.1f}{mine / theirs:>7.2f}")  # fmt: skip


def replayed(turns: int) -> float:
    """How long what_if takes for a conversation of so many turns and three policies."""
    history = History(system="Be brief. " * 200)
    for number in range(turns):
        history.user(f"{number} " + WORDS * 30)
        usage = {"input_tokens": 1_000 * (number + 1), "output_tokens": 10}
        text = [{"type": "text", "text": f"{number}"}]
        history.reply(
            {"role": "assistant", "content": text, "stop_reason": "end_turn", "model": "claude-opus-5-5"}
            | {"usage": usage}
        )
    return seconds(lambda: history.what_if([None, keep_last(20), keep_tokens(100_000)]))


def asked(history: History) -> History:
    """A history that has made a request, with all it remembers for the next one."""
    history.request(trim=keep_tokens(50_000))
    history.request()
    return history


if __name__ == "__main__":
    if langchain(4) is None:
        print("langchain-core is not installed, so its column is empty\n")
    main([int(length) for length in sys.argv[1:]] or [1_000, 2_000, 5_000, 10_000])
    print(f"\n{'turns':>9}{'what_if':>9}")
    for turns in (100, 250, 500, 1_000):
        print(f"{turns:>9,}{replayed(turns):>8.2f}s")
