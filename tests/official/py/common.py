"""What both Python apps do: listen on a free port, say where, and end with their parent."""

import json
import os
import socket
import sys
import threading
import urllib.request
from typing import Any


def listening() -> socket.socket:
    """A socket on a free port of loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def say(name: str, listener: socket.socket) -> None:
    """One line of JSON: where the app is. The process ends when its input is closed."""
    print(json.dumps({name: f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def post(url: str, value: Any) -> None:
    """POST a value as JSON: what a failure function tells the test."""
    request = urllib.request.Request(
        url, json.dumps(value).encode(), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def parse(text: str) -> dict[str, Any]:
    """A payload. Parsing it twice makes no difference: the SDK parses what it has parsed."""
    return {**json.loads(text), "parsed": True}


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)
