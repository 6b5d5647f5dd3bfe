"""The sandbox over HTTP on this machine, for programs in any language."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import httpx2

from claude_nb.errors import SandboxError

from .transport import Sandbox

HOST = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def serve(sandbox: Sandbox, port: int = 8765, *, ready: Callable[[str], object] | None = None) -> None:
    """Serve until interrupted (Ctrl-C), with any number of requests at once.

    Point a client at it with ``base_url="http://127.0.0.1:8765"`` or ``ANTHROPIC_BASE_URL``; any key will do.

    Args:
        sandbox: What answers.
        port: TCP port on 127.0.0.1; 0 takes a free one.
        ready: Called with the base URL once the port is bound.

    Raises:
        SandboxError: The port cannot be used.
    """
    with _bound(sandbox, port) as server, suppress(KeyboardInterrupt):
        if ready:
            ready(f"http://{HOST}:{server.server_address[1]}")
        server.serve_forever(poll_interval=0.1)


@contextmanager
def running(sandbox: Sandbox, port: int = 0) -> Iterator[str]:
    """Serve in a thread for the length of a ``with`` block, which gets the base URL.

    Args:
        sandbox: What answers.
        port: TCP port on 127.0.0.1; 0 takes a free one.

    Raises:
        SandboxError: The port is taken.
    """
    with _bound(sandbox, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _bound(sandbox: Sandbox, port: int) -> ThreadingHTTPServer:
    try:
        return _Server((HOST, port), type("Handler", (_Handler,), {"sandbox": sandbox}))
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "ports go from 0 to 65535"
        raise SandboxError(
            f"Port {port} of {HOST} cannot be used: {why}. Choose another one; 0 takes any that is free."
        ) from error


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # the default of 5 resets connections when a class connects at once
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    sandbox: Sandbox

    def _answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        host = self.headers.get("host") or HOST
        request = httpx2.Request(
            self.command,
            f"http://{host}{self.path}",
            headers=list(self.headers.items()),
            content=self.rfile.read(size),
        )
        try:
            response = self.sandbox.handle_request(request)
        except httpx2.TransportError:
            self._break()
            return
        try:
            self._send(response)
        except (httpx2.TransportError, OSError):
            self._break()
        finally:
            response.close()

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names the standard library looks for

    def _send(self, response: httpx2.Response) -> None:
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            if name != "content-length":
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in cast("httpx2.SyncByteStream", response.stream):
            if chunk:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _break(self) -> None:
        """Reset the connection, as a broken network does."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing: a log of requests would be a log of prompts."""
