"""A small HTTP server on loopback, in threads of its own: a function answers each request."""

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

_POLL_SECONDS = 0.02  # how soon the end of the server is noticed
_IDLE_SECONDS = 5  # a connection that sends nothing is closed


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response to be written.

    Attributes:
        status: its status.
        body: the whole body; of a stream: nothing.
        headers: without those of the transfer.
        parts: the body of a stream, each part sent when it is there.
        cut: the connection breaks before the body's end.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    parts: Iterable[bytes] | None = None
    cut: bool = False


Handle = Callable[[str, str, Mapping[str, str], bytes], HttpAnswer | None]
"""Method, path, headers in lower case, and body -> the answer; None drops the connection."""


class HttpServer(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1; one request a connection.

    Args:
        handle: answers a request, in a thread of its own.
    """

    daemon_threads = False  # so that the end waits for them, and nothing is left open
    request_queue_size = 128

    def __init__(self, handle: Handle) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.handle = handle
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="scripted-model", daemon=True
        )

    def start(self) -> None:
        """Listen, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and wait for the answers that are being given."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may hang up; anything else is an error of this server."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    wbufsize = -1  # the response leaves in one piece

    def answer(self) -> None:
        """Answer one request, and close the connection."""
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        handle = cast("HttpServer", self.server).handle
        response = handle(self.command, self.path, headers, body)
        if response is None:
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("connection", "close")
        if response.parts is not None:
            self._stream(response.parts, cut=response.cut)
            return
        length = len(response.body)
        self.send_header("content-length", str(length * 2 if response.cut else length))
        self.end_headers()
        self.wfile.write(response.body)

    def _stream(self, parts: Iterable[bytes], *, cut: bool) -> None:
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for part in parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        if not cut:
            self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # named by the base

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on stderr."""
