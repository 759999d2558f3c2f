"""The processes of the suite: our server and the endpoint apps. Each prints where it is."""

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
JS = HERE / "js"
SERVER_COMMAND = [sys.executable, "-m", "workflow_agents.cli", "dev", "--port", "0"]
"""How the server is started. It prints lines like QSTASH_URL=http://127.0.0.1:1234.

OFFICIAL_SERVER_COMMAND replaces it: the suite then tells how compatible another server is."""

PATIENCE_S = 30
VARIABLES = (
    "QSTASH_URL",
    "QSTASH_TOKEN",
    "QSTASH_CURRENT_SIGNING_KEY",
    "QSTASH_NEXT_SIGNING_KEY",
)


def server_command() -> list[str]:
    told = os.environ.get("OFFICIAL_SERVER_COMMAND")
    return shlex.split(told) if told else SERVER_COMMAND


class Child:
    """A process that is ended by closing its input, and killed if that does not help."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: Path | None = None) -> None:
        own = {n: v for n, v in os.environ.items() if not n.startswith(("QSTASH", "UPSTASH"))}
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command,
            env={**own, **env},
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._told = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._told:
                self.lines.append(line.rstrip("\n"))
                self._told.notify_all()
        with self._told:
            self._ended = True
            self._told.notify_all()

    def tell(self, line: str) -> None:
        """Write a line to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def wait_for(
        self, complete: Callable[[list[str]], object], patience_s: float = PATIENCE_S
    ) -> None:
        """Until its output is complete.

        Raises:
            RuntimeError: it ended, or said something else for too long.
        """
        with self._told:
            self._told.wait_for(lambda: complete(self.lines) or self._ended, patience_s)
        if not complete(self.lines):
            self.stop()
            output = "\n".join(self.lines[-40:])
            raise RuntimeError(f"{self._process.args} did not come to it; it said:\n{output}")

    def stop(self) -> None:
        """End it; again, if need be."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Server:
    """Our server, with a store of its own in `folder`.

    Attributes:
        env: the variables that it printed: what clients and endpoints are to be given.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.child = Child(
            server_command(), {"WORKFLOW_AGENTS_STORE": str(folder / "server.db")}, cwd=folder
        )
        self.child.wait_for(lambda lines: set(_variables(lines)) >= set(VARIABLES))
        self.env = _variables(self.child.lines)

    @property
    def url(self) -> str:
        return self.env["QSTASH_URL"].rstrip("/")

    def stop(self) -> None:
        self.child.stop()


def _variables(lines: list[str]) -> dict[str, str]:
    """NAME=value lines, also as `export NAME="value"`, in whatever frame they stand."""
    found: dict[str, str] = {}
    for line in lines:
        for name in VARIABLES:
            _, equals, value = line.partition(f"{name}=")
            if equals and value.strip():
                found[name] = value.strip().strip("\"' │|")
    return found


class Apps:
    """The endpoint apps: one Node process, and one for each Python framework.

    Attributes:
        urls: the base URL of each: express, hono, h3, nextjs, fastapi, flask; and "control".
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        # The SDK makes a client for every visit; each reads all certificates that there are.
        python = {**env, "SSL_CERT_FILE": "", "SSL_CERT_DIR": str(HERE / "py")}
        self._children = {
            "node": Child(["node", "apps/main.mjs"], env, cwd=JS),
            "fastapi": Child([sys.executable, str(HERE / "py" / "fastapi_app.py")], python),
            "flask": Child([sys.executable, str(HERE / "py" / "flask_app.py")], python),
        }
        self.urls: dict[str, str] = {}
        try:
            for child in self._children.values():
                child.wait_for(lambda lines: _urls(lines) is not None)
                self.urls |= _urls(child.lines) or {}
        except BaseException:
            self.stop()
            raise

    def output(self) -> str:
        return "\n".join(line for child in self._children.values() for line in child.lines[-60:])

    def stop(self) -> None:
        for child in self._children.values():
            child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _urls(lines: list[str]) -> dict[str, str] | None:
    return next((json.loads(line) for line in lines if line.startswith('{"')), None)
