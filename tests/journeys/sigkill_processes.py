"""The processes of `test_server_sigkill`: a server and an endpoint that can be killed, and one
that is never: the outside, which keeps a ledger of whatever it is sent.
"""

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.forks import Child, nursery
from workflow_agents.server.settings import make_token
from workflow_agents.testing._http import HttpAnswer, HttpServer

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
        self._argv = argv
        self._env = {**os.environ, **env}
        self._log = log
        self._health = health
        self._nursery = nursery(*modules)
        self._child: Child | None = None

    def start(self) -> None:
        """Begin a life."""
        self._child = self._nursery.start(
            self._argv, log=self._log, env=self._env, cwd=self._log.parent
        )

    def wait_until_ready(self) -> None:
        """Return when it has started."""
        patience = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < patience, self._said()
            try:
                urllib.request.urlopen(self._health, timeout=PATIENCE_S).close()
            except OSError:
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """With SIGKILL; it must not have ended by itself."""
        assert self._end(signal.SIGKILL) == -signal.SIGKILL, self._said()

    def stop(self) -> None:
        """Let it end, for good."""
        if self._child is not None:
            self._end(signal.SIGTERM)

    def _said(self) -> str:
        files = (self._log, self._log.with_name(f"{self._log.name}.err"))
        return "\n".join(file.read_text(encoding="utf-8") for file in files)

    def _end(self, number: signal.Signals) -> int:
        assert self._child is not None
        child, self._child = self._child, None
        child.send(number)
        return child.wait()


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
