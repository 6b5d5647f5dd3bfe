"""Several processes on one ledger, some of them killed: rows lost, doubled or left open, which must all be 0.

Run: python benchmarks/ledger_processes.py [processes] [calls] [kills]
"""
# ruff: noqa: INP001, T201, S603, S311 - a script that prints what it measured and starts copies of itself

import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from claude_nb.ledger import Ledger

REPLY = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 17},
    }
).encode()
WORKER = """
import sys, os, anthropic
from claude_nb.ledger import Ledger
url, path, calls = sys.argv[1:]
client = Ledger(path).meter(anthropic.Anthropic(api_key="test", base_url=url, max_retries=0))
for turn in range(int(calls)):
    client.messages.create(model=f"m-{os.getpid()}-{turn}", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
"""
asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """Notes which call came, answers at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer."""
        asked.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["model"])
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def main(processes: int = 8, calls: int = 1_000, kills: int = 4) -> None:
    """Start the workers, kill some of them at random moments, compare the server's list with the ledger's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spend.db"
        began = time.perf_counter()
        command = [sys.executable, "-c", WORKER, url, str(path), str(calls)]
        workers = [subprocess.Popen(command) for _ in range(processes)]
        for worker in workers[:kills]:
            while len(asked) < calls // 4:
                time.sleep(0.01)
            time.sleep(random.random())
            worker.send_signal(signal.SIGKILL)
        for worker in workers:
            worker.wait()
        seconds = time.perf_counter() - began
        ledger = Ledger(path)
        outcomes = Counter(ledger.frame()["outcome"])
        with ledger._store.transaction() as connection:  # noqa: SLF001 - the model asked for names the call
            rows = Counter(
                connection.exec_driver_sql("SELECT model_requested FROM claude_nb_attempts").scalars()
            )
        print(f"{processes} processes, {kills} killed, {len(asked):,} requests, {seconds:.0f} s")
        print(
            f"lost {len(set(asked) - set(rows))}, doubled {sum(count > 1 for count in rows.values())}, "
            f"open {outcomes['open']}; outcomes {dict(outcomes)}"
        )


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
