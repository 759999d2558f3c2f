"""The processes of `test_server_sigkill`: a server and an endpoint that can be killed, and one
that is never: the outside, which keeps a ledger of whatever it is sent.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from workflow_agents.server.settings import make_token
from workflow_agents.testing._http import HttpAnswer, HttpServer

NURSERY = Path(__file__).with_name("nursery.py")
PATIENCE_S = 30
CREDENTIALS = {
    "QSTASH_TOKEN": make_token("tester", "of-the-journey"),
    "QSTASH_CURRENT_SIGNING_KEY": "sig_current_of_the_journey",
    "QSTASH_NEXT_SIGNING_KEY": "sig_following_of_the_journey",
}


class Mortal:
    """A process that is killed and started again. What it says goes to a file.

    Args:
        argv: the program, a path or a module, and its arguments.
        env: beside the environment of this process.
        log: the file.
        health: an address that answers when it has started.
        modules: what it imports.
    """

    def __init__(
        self, argv: list[str], env: Mapping[str, str], log: Path, health: str, modules: list[str]
    ) -> None:
        self._asked = json.dumps({"argv": argv, "env": env, "log": str(log)})
        self._log = log
        self._health = health
        self._nursery = subprocess.Popen(
            [sys.executable, str(NURSERY), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._number = 0

    def start(self) -> None:
        """Begin a life."""
        assert self._nursery.stdin is not None
        print(self._asked, file=self._nursery.stdin, flush=True)
        self._number = self._heard()

    def wait_until_ready(self) -> None:
        """Return when it has started."""
        patience = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < patience, self._log.read_text()
            try:
                urllib.request.urlopen(self._health, timeout=PATIENCE_S).close()
            except OSError:
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """With SIGKILL; it must not have ended by itself."""
        assert self._end(signal.SIGKILL) == -signal.SIGKILL, self._log.read_text()

    def stop(self) -> None:
        """Let it end, for good."""
        if self._number:
            self._end(signal.SIGTERM)
        self._nursery.communicate()

    def _end(self, number: signal.Signals) -> int:
        os.kill(self._number, number)
        self._number = 0
        return self._heard()

    def _heard(self) -> int:
        assert self._nursery.stdout is not None
        return int(self._nursery.stdout.readline())


class Outside:
    """What is called and told from elsewhere; its ledger only grows.

    Attributes:
        ledger: what was received, in order: the last part of the path, and the body as JSON.
        charges: requests by the idempotency key that they carry.
    """

    def __init__(self) -> None:
        self.ledger: list[tuple[str, object]] = []
        self.charges: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = HttpServer(self._handle)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.stop()

    def received(self, kind: str) -> list[object]:
        with self._lock:
            return [value for which, value in self.ledger if which == kind]

    def _handle(
        self, _method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> HttpAnswer:
        kind, value = path.rpartition("/")[2], json.loads(body or b"null")
        with self._lock:
            self.ledger.append((kind, value))
            if kind == "charge":
                self.charges[headers["idempotency-key"]] += 1
                # As a ledger does: whatever was charged already is not charged again.
                value = {"charged": value["n"] * 5}
        answer = json.dumps(value).encode()
        return HttpAnswer(200, answer, {"content-type": "application/json"})


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
