"""A loopback server that answers as it is told, for the ledger's tests: real sockets, real bytes."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "claude-haiku-5-5"
REQUEST = {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": "Hello"}]}


def event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, separators=(',', ':'))}\n\n".encode()


def start(usage=None, model=MODEL, message_id="msg_1"):
    usage = usage or {"input_tokens": 25, "output_tokens": 1}
    message = {"id": message_id, "type": "message", "role": "assistant", "content": [], "model": model}
    return event(
        "message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage}
    )


def text(*pieces):
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for piece in pieces:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    yield event("content_block_stop", index=0)


def delta(usage=None, stop_reason="end_turn", **more):
    change = {"stop_reason": stop_reason, "stop_sequence": None, **more}
    return event("message_delta", delta=change, usage=usage or {"output_tokens": 17})


def stream(*pieces, usage=None, final=None):
    """A whole stream, an event a chunk."""
    yield start(usage)
    yield from text(*(pieces or ("Hello", " there")))
    yield delta(final)
    yield event("message_stop")


def message(usage=None, *, model=MODEL, message_id="msg_1", content=None, stop_reason="end_turn", **more):
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "Hello"}] if content is None else content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 25, "output_tokens": 17},
        **more,
    }


@dataclass
class Reply:
    """One answer: a JSON body, or chunks sent one by one."""

    body: object = None
    status: int = 200
    chunks: object = None
    headers: dict = field(default_factory=dict)
    pause: float = 0.0  # seconds between chunks
    hang: float = 0.0  # seconds before anything
    drop: bool = False  # cut the connection after the last chunk instead of ending the body


def sse(*pieces, **more):
    """A whole streamed reply."""
    return Reply(chunks=list(stream(*pieces)), **more)


def zipped(reply):
    """The same reply, gzip-encoded."""
    raw = b"".join(reply.chunks) if reply.chunks else json.dumps(reply.body).encode()
    packed = gzip.compress(raw)
    pieces = [packed[at : at + 50] for at in range(0, len(packed), 50)]
    kind = "text/event-stream" if reply.chunks else "application/json"
    headers = {"content-encoding": "gzip", "content-type": kind}
    return Reply(chunks=pieces, headers=headers, pause=reply.pause, drop=reply.drop)


class Server:
    """What the handlers share: the answers to give, in order (the last one again and again), and the hits."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.hits = []
        self.lock = threading.Lock()
        self.url = ""
        self.headers = {}  # of the last request

    def take(self, path, body):
        with self.lock:
            self.hits.append((path, body))
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.script.headers = dict(self.headers)
        self.answer(self.server.script.take(self.path, body))

    do_GET = do_POST  # noqa: N815 - the name http.server calls

    def answer(self, reply):
        time.sleep(reply.hang)
        if not reply.status:  # gone before the headers
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("request-id", "req_1")
        chunks = reply.chunks
        kind = "text/event-stream" if chunks is not None else "application/json"
        for name, value in {"content-type": kind, **reply.headers}.items():
            self.send_header(name, value)
        if chunks is None:
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for chunk in chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
                time.sleep(reply.pause)
            if not reply.drop:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass
        self.close_connection = self.close_connection or reply.drop

    def log_message(self, *args):
        pass


class _Quiet(ThreadingHTTPServer):
    request_queue_size = 128  # the default of 5 resets connections when twenty threads connect at once
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that left is what many tests are about."""


@contextmanager
def serving(*replies, script=None) -> Iterator[Server]:
    """A server for the length of the ``with``; a script of one's own has ``take(path, body)``."""
    script = script or Server(*replies)
    server = _Quiet(("127.0.0.1", 0), _Handler)
    server.script = script
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
