"""`dev` in a terminal: its first screen, what happens below it, single keys, one Ctrl-C."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import OURS

PATIENCE_S = 60
ENVIRONMENT = {name: value for name, value in os.environ.items() if not OURS.match(name)}
FLOWS = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})

class Workflow:
    path = "/orders"
orders = Workflow()
"""


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        own, its = pty.openpty()
        self._terminal = own
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workflow_agents.cli", *arguments],
            stdin=its,
            stdout=its,
            stderr=its,
            cwd=folder,
            env={**ENVIRONMENT, "TERM": "xterm", "PYTHONPATH": os.getcwd(), **environment},
            preexec_fn=lambda: _own_terminal(its),
        )
        os.close(its)
        self.text = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Read until it is shown."""
        while not (found := re.search(pattern, self.text)):
            if not self._read():
                raise AssertionError(f"no {pattern!r} in {self.text}")
        return found

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def ended(self) -> int:
        while self._read():
            pass
        code = self.process.wait(PATIENCE_S)
        os.close(self._terminal)
        return code

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], PATIENCE_S)[0]:
            raise AssertionError(f"nothing more comes behind {self.text}")
        try:
            data = os.read(self._terminal, 65_536)
        except OSError:  # the other end is closed
            return False
        self.text += data.decode().replace("\r\n", "\n")
        return bool(data)


def _own_terminal(number: int) -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(number, termios.TIOCSCTTY, 0)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Any]:
    begun: list[Terminal] = []

    def start(*arguments: str, **environment: str) -> Terminal:
        begun.append(Terminal(tmp_path, *arguments, **environment))
        return begun[-1]

    yield start
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_the_screen_and_its_keys(running: Any, tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOWS)
    app_port = free_port()
    dev = running("dev", "flows.py", "--port", "0", "--app-port", str(app_port), "--no-reload")
    dev.until(r"\x1b\[1mworkflow-agents \S+ · dev")
    dev.until(r"o.*open.*q.*quit")
    plain = re.sub(r"\x1b\[\d*m", "", dev.text)
    for text in (
        f"  app        http://127.0.0.1:{app_port}   from flows import app",
        "  engine     running at http://127.0.0.1:",
        "  dashboard  http://127.0.0.1:",
        "  data       .workflow_agents/dev.db   kept between restarts, x wipes it",
        "\nQSTASH_TOKEN=",
        "  try it     curl -X POST http://",
        "reload off · signatures on · private networks: loopback",
    ):
        assert text in plain, plain
    dev.until("serves /orders")

    dev.press("?")
    dev.until("wipe the data, after a y")
    dev.press("t")
    dev.until(r"triggered .*wfr_")
    dev.until(r"/orders.*started")
    dev.press("r")
    dev.until(r"(?s)triggered .*triggered ")
    dev.press("l")
    dev.until("lines .*off")
    dev.press("y")
    dev.until(r"\x1b\]52;c;")
    dev.press("xn")
    dev.until("kept")
    dev.press("xy")
    dev.until("wiped")
    dev.until(r"(?s)wiped.*quit")
    dev.press("q")
    assert dev.ended() == 0
    assert "Traceback" not in dev.text


def test_one_interrupt_ends_it_and_colours_are_left_out(running: Any) -> None:
    dev = running("dev", "--port", "0", "--store", ":memory:", NO_COLOR="1")
    dev.until("q quit")
    assert "\x1b[" not in dev.text
    assert "nothing is kept" in dev.text
    dev.press("\x03")
    assert dev.ended() == 0


def test_without_a_terminal_there_are_no_keys_and_no_colours(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "workflow_agents.cli", "dev", "--port", "0", "--json", "--lines"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": os.getcwd()},
        text=True,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["event"] == "ready"
    assert ready["variables"]["QSTASH_URL"] == ready["server"]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=PATIENCE_S)[0] == ""
    assert process.returncode == 0
