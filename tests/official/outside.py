"""What is outside of everything: a web server that calls, messages and callbacks go to.

    /echo                  what it was sent, as JSON
    /status/503            that status; ?text= is the body, ?retry-after= a header
    /bytes                 bytes that are no text
    /slow/0.5              answers after so many seconds
    /flaky/NAME/2          fails so many times with 500, then answers "made it"
    /sink/NAME             keeps the request; `received(NAME)` gives them
    /answer/NAME/429       keeps it, and answers that status; ?-retry-after=1 is a header

Also /received/NAME, by which those in other processes see what a sink has kept.
"""

import base64
import json
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BYTES = bytes(range(256))


@dataclass(frozen=True)
class Received:
    """A request; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    text: str
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def callback_body(self) -> str:
        """The answer that a callback tells of."""
        return base64.b64decode(self.json.get("body") or "").decode()


class Outside:
    """See the module; listens on a free port of loopback."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Received]] = defaultdict(list)
        self._failures: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        outside = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                headers = {n.lower(): v for n, v in self.headers.items()}
                text = body.decode("utf-8", "surrogateescape")
                request = Received(self.command, self.path, headers, text, time.time())
                status, more, answer = outside.answer(request)
                self.send_response(status)
                for name, value in {"content-type": "text/plain", **more}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def received(self, name: str) -> list[Received]:
        """What a sink was sent, in the order of arrival."""
        with self._lock:
            return [*self._kept[name]]

    def answer(self, request: Received) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(request.target)
        asked = {n: v[0] for n, v in parse_qs(parts.query).items()}
        match parts.path.split("/")[1:]:
            case ["echo"]:
                return _json(asdict(request))
            case ["status", status]:
                headers = {n: v for n, v in asked.items() if n == "retry-after"}
                return int(status), headers, asked.get("text", "").encode()
            case ["bytes"]:
                return 200, {"content-type": "application/octet-stream"}, BYTES
            case ["slow", seconds]:
                time.sleep(float(seconds))
                return 200, {}, b"at last"
            case ["flaky", name, failures]:
                with self._lock:
                    self._kept[name].append(request)
                    self._failures[name] += 1
                    fails = self._failures[name] <= int(failures)
                return (500, {}, b"not yet") if fails else (200, {}, b"made it")
            case ["sink", name]:
                with self._lock:
                    self._kept[name].append(request)
                return _json({"kept": True})
            case ["answer", name, status]:
                with self._lock:
                    self._kept[name].append(request)
                # Not by its bare name: the server takes upstash-... for its own parameters.
                return int(status), {name[1:]: value for name, value in asked.items()}, b""
            case ["received", name]:
                return _json([asdict(r) for r in self.received(name)])
        return 404, {}, b"no such place"


def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json"}, json.dumps(value).encode()
