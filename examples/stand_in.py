"""A service for the examples to call: JSON over HTTP, on a loopback port of its own."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = Callable[[dict[str, str], Any], tuple[int, Any]]
"""From a request's headers, lower-case, and its JSON to a status and what is answered."""


class Service:
    """Serves paths; a context manager.

    Service({"POST /resize": lambda headers, body: (200, {"width": body["width"]})})
    """

    def __init__(self, paths: dict[str, Answer]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = paths.get(f"{self.command} {self.path}")
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, data = answer(headers, _read(text)) if answer else (404, {"error": "no"})
                raw = isinstance(data, bytes)
                body = data if raw else json.dumps(data).encode()
                self.send_response(status)
                self.send_header("content-type", "image/png" if raw else "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body
