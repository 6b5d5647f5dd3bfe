"""What the sandbox costs: CPU per streamed event beside the SDK's own, and memory over many calls.

Run with ``python benchmarks/sandbox.py``. Targets: at ``pace=0`` the sandbox spends at most half of what the SDK
spends on an event; 1,000 short calls in one process hold memory flat.
"""

# ruff: noqa: INP001, T201 - a script that prints what it measured
import gc
import json
import sys
import time
import tracemalloc

import anthropic
import httpx2

from claude_nb.models import MODEL
from claude_nb.sandbox import Sandbox

WORDS = 20_000
CALLS = 1_000
ROUNDS = 5
ASK = {
    "model": MODEL,
    "max_tokens": 100_000,
    "messages": [{"role": "user", "content": f"Write {WORDS} words"}],
}
SHORT = {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": "Hello"}]}
HEADERS = {"authorization": "Bearer sandbox", "anthropic-version": "2026-10-21"}


class Canned(httpx2.BaseTransport):
    """Plays back bytes prepared beforehand, frame by frame: what is left is the SDK."""

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer with the prepared frames."""
        request.read()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=iter(self.frames))


def cpu_of(transport: httpx2.BaseTransport) -> tuple[float, int]:
    """CPU seconds and events of one stream read by the SDK's helper; the best of some rounds."""
    best, events = float("inf"), 0
    http_client = anthropic.DefaultHttpxClient(transport=transport)
    client = anthropic.Anthropic(api_key="sandbox", http_client=http_client)
    for _ in range(ROUNDS):
        started = time.process_time()
        with client.messages.stream(**ASK) as stream:
            events = sum(1 for event in stream if event.type != "text")
        best = min(best, time.process_time() - started)
    return best, events


def cpu_of_sandbox() -> tuple[float, list[bytes]]:
    """CPU seconds the sandbox takes to answer with the same stream, and its frames."""
    best, frames = float("inf"), []
    content = json.dumps(ASK | {"stream": True}).encode()
    for _ in range(ROUNDS):
        sandbox = Sandbox()
        request = httpx2.Request(
            "POST", "https://api.anthropic.com/v1/messages", headers=HEADERS, content=content
        )
        started = time.process_time()
        frames = list(sandbox.handle_request(request).stream)
        best = min(best, time.process_time() - started)
    return best, frames


def memory_growth() -> list[int]:
    """Bytes held after each fifth of the calls."""
    http_client = anthropic.DefaultHttpxClient(transport=Sandbox())
    client = anthropic.Anthropic(api_key="sandbox", http_client=http_client)
    held = []
    tracemalloc.start()
    for number in range(2 * CALLS):
        client.messages.create(**SHORT)
        if (number + 1) % (CALLS // 2) == 0:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return held


def main() -> int:
    """Print the figures; the exit status is 1 when a target is missed."""
    sandbox, frames = cpu_of_sandbox()
    sdk, events = cpu_of(Canned(frames))
    share = sandbox / sdk
    print(f"stream of {events:,} events: SDK {sdk / events * 1e6:.1f} µs an event, ", end="")
    print(f"sandbox {sandbox / events * 1e6:.1f} µs an event, {share:.2f} of the SDK (target 0.50)")
    started = time.perf_counter()
    held = memory_growth()
    calls = 2 * CALLS
    print(
        f"{calls:,} short calls: {(time.perf_counter() - started) / calls * 1e3:.2f} ms each under tracemalloc, ",
        end="",
    )
    print("held after each 500: " + ", ".join(f"{size / 1024:,.0f} KiB" for size in held))
    growth = held[-1] - held[1]
    print(f"growth over the last {CALLS:,} calls: {growth / 1024:,.1f} KiB (target: under 64)")
    return int(share > 0.5 or growth > 64 * 1024)  # noqa: PLR2004 - the targets stand in the docstring


if __name__ == "__main__":
    sys.exit(main())
