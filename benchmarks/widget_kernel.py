"""What showing a reply costs the kernel: CPU against the bare SDK loop, and bytes on the wire against the text.

    python benchmarks/widget_kernel.py [deltas] [pause in milliseconds between deltas]

Runs in a real Jupyter kernel with the real SDK over an in-memory transport. Each way is run in turn, five times;
the median of the kernel's CPU time is printed, and the bytes that came out of the kernel for the page: to open the
view, while streaming, and for the saved output.
"""
# ruff: noqa: INP001, T201, PLR2004 - a script that prints what it measured

import json
import statistics
import sys
from collections import Counter
from typing import Any

from jupyter_client.manager import start_new_kernel

PARTS = {"comm_open": "opening", "comm_msg": "streaming", "comm_close": "streaming"}
SETUP = """
import json, time, anthropic, httpx2
from claude_nb import watch
from claude_nb.widgets.stream import Outbox, StreamView

DELTAS, PAUSE = %d, %f

def event(kind, **data):
    return f"event: {kind}\\ndata: {json.dumps({'type': kind, **data})}\\n\\n".encode()

def piece(n): return "word "

def body():
    usage = {"input_tokens": 25, "output_tokens": 1}
    yield event("message_start", message={"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage})
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for n in range(DELTAS):
        if PAUSE: time.sleep(PAUSE)
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece(n)})
    yield event("content_block_stop", index=0)
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=ended, usage={"output_tokens": DELTAS})
    yield event("message_stop")

class Transport(httpx2.BaseTransport):
    def handle_request(self, request):
        class Stream(httpx2.SyncByteStream):
            def __iter__(self): return body()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())

client = anthropic.Anthropic(api_key="none", http_client=httpx2.Client(transport=Transport()))

def bare(stream):
    for text in stream.text_stream: pass

def view(stream):
    view = StreamView(); outbox = Outbox(view.push); view.show()
    outbox.put(["open", 0, "text", {}])
    for text in stream.text_stream: outbox.add(0, text)
    outbox.put(["close", 0]); outbox.flush(); view.clear()

def printed(stream):
    for text in stream.text_stream: print(text, end="", flush=True)

def cost(way):
    request = dict(model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "x"}])
    with client.messages.stream(**request) as stream:
        start = time.process_time()
        way(stream)
        return time.process_time() - start
"""


def main(deltas: int, pause: float) -> None:
    """Run the ways in turn and print a line for each."""
    manager, client = start_new_kernel()
    try:
        run(client, SETUP % (deltas, pause))
        names = ["bare", "view", "watch", "printed"]
        costs: dict[str, list[float]] = {name: [] for name in names}
        sizes: dict[str, Counter[str]] = {}
        for _ in range(5):
            for name in names:
                result, sizes[name] = run(client, f"print('cpu', cost({name}))")
                costs[name].append(result)
        text = deltas * len("word ")
        base = statistics.median(costs["bare"])
        print(f"{deltas} deltas, {text} characters, {base / deltas * 1e6:.0f} µs each in the bare SDK loop")
        for name in names:
            ratio = statistics.median(costs[name]) / base
            wire = ", ".join(f"{kind} {size / text:.2f} x" for kind, size in sizes[name].items())
            print(f"{name:>8}: {ratio:5.2f} x the CPU; bytes against the text: {wire or 'none'}")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: Any, code: str) -> tuple[float, Counter[str]]:
    """Execute code; the CPU seconds it printed, and the bytes the kernel sent for the page meanwhile."""
    request = client.execute(code)
    sizes, seconds = Counter[str](), 0.0
    while True:
        message = client.get_iopub_msg(timeout=300)
        kind, content = message["msg_type"], message["content"]
        if kind == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        if kind == "stream" and content["text"].startswith("cpu "):
            seconds = float(content["text"].split()[1])
        elif kind not in {"status", "execute_input"}:
            part = PARTS.get(kind, "output")
            sizes[part] += len(
                json.dumps([message["header"], message["parent_header"], content], default=str)
            )
        done = kind == "status" and content["execution_state"] == "idle"
        if done and message["parent_header"].get("msg_id") == request:
            return seconds, sizes


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    main(count, float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.0)
