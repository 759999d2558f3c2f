"""Python programs as processes, forked from one that has imported what they need.

To a program it makes no difference; to a suite that starts hundreds, most of its time.
"""

import fcntl
import hashlib
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from tests.forked import ask

PROGRAM = Path(__file__).with_name("nursery.py")
FORKED = PROGRAM.with_name("forked.py")
PATIENCE_S = 100
ROOT = PROGRAM.parents[1]


SERVERS = (
    "fastapi",
    "typer._adapters",
    "uvicorn.main",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "workflow_agents.cli.configuration",
    "workflow_agents.cli.dev",
    "workflow_agents.cli.exits",
    "workflow_agents.cli.main",
    "workflow_agents.cli.sample",
    "workflow_agents.cli.server",
    "workflow_agents.dashboard.site",
    "workflow_agents.fastapi",
    "workflow_agents.operations.metrics",
    "workflow_agents.server.app",
)
"""What our commands import that start a server, and endpoints."""


class Child:
    """A process that was forked.

    Attributes:
        number: its process id.
        out: the file with what it prints.
        err: the file with its other output.
    """

    def __init__(self, out: Path, err: Path) -> None:
        self.number = 0
        self.out = out
        self.err = err
        self._code: int | None = None
        self._began = threading.Event()
        self._ended = threading.Event()

    def began(self, number: int) -> None:
        """Say so; to be called once."""
        self.number = number
        self._began.set()

    def wait_until_begun(self) -> None:
        """Return when its number is known."""
        assert self._began.wait(PATIENCE_S)

    def ended(self, code: int) -> None:
        """Say so; to be called once."""
        self._code = code
        self._ended.set()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def says(self, line: str, timeout: float = 60) -> None:
        """Wait until it has printed this line."""
        patience = time.monotonic() + timeout
        while f"{line}\n" not in self.out.read_text(encoding="utf-8"):
            if self.is_over or time.monotonic() > patience:
                raise AssertionError(self.err.read_text(encoding="utf-8"))
            time.sleep(0.002)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.number, number)

    def wait(self, timeout: float = 60) -> int:
        """Its exit code; negative: the signal that ended it.

        Raises:
            TimeoutError: it goes on.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"process {self.number} goes on")
        assert self._code is not None
        return self._code

    def kill(self) -> int:
        """End it at once, if it goes on; its exit code."""
        if not self._ended.is_set():
            self.send(signal.SIGKILL)
        return self.wait()


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    returncode: int
    stdout: str
    stderr: str


class Nursery:
    """The process that forks; see `nursery.py`. Of those who ask for the same modules, all ask one.

    Args:
        modules: that it imports before.

    Attributes:
        place: of the socket at which it is asked.
    """

    def __init__(self, *modules: str) -> None:
        self.place = _place(modules)
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(self.place))
        self._asking = threading.Lock()
        self._ready = threading.Event()
        self._begun: queue.SimpleQueue[Child] = queue.SimpleQueue()
        self._children: dict[int, Child] = {}
        threading.Thread(target=self._hear, args=(self._line.makefile(),), daemon=True).start()

    def wait_until_ready(self) -> None:
        """Return when it has imported what it should."""
        assert self._ready.wait(PATIENCE_S)

    def start(
        self,
        argv: Sequence[object],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Child:
        """Begin a program: the path of a file, or the name of a module, and its arguments.

        Args:
            argv: the program.
            log: what it prints is appended to this file, its other output to one beside it.
            env: the whole environment; default: that of this process.
            cwd: where it runs.
        """
        err = log.with_name(f"{log.name}.err")
        asked = {
            "argv": [*map(str, argv)],
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd),
        }
        child = Child(log, err)
        with Path(os.devnull).open("rb") as nothing, log.open("ab") as out, err.open("ab") as other:
            files = [file.fileno() for file in (nothing, out, other)]
            with self._asking:
                self._begun.put(child)
                ask(self._line, asked, files)
        child.wait_until_begun()
        return child

    def run(
        self,
        argv: Sequence[object],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        timeout: float = 60,
    ) -> Done:
        """What `subprocess.run` does. Without an environment, that of this process."""
        with tempfile.TemporaryDirectory() as folder:
            child = self.start(argv, log=Path(folder) / "out", env=env, cwd=cwd)
            try:
                code = child.wait(timeout)
            except TimeoutError:
                child.kill()
                raise TimeoutError(f"{argv[0]}: {child.err.read_text()}") from None
            out, err = (file.read_text(encoding="utf-8") for file in (child.out, child.err))
            return Done(code, out, err)

    def _hear(self, lines: IO[str]) -> None:
        for line in lines:
            match line.split():
                case ["ready"]:
                    self._ready.set()
                case ["began", number]:
                    child = self._children[int(number)] = self._begun.get()
                    child.began(int(number))
                case ["ended", number, code]:
                    self._children.pop(int(number)).ended(int(code))
                case _:
                    raise AssertionError(line)


@cache
def nursery(*modules: str) -> Nursery:
    """The one of this process that has imported these."""
    return Nursery(*modules)


def forked(*modules: str) -> list[str]:
    """What comes first among the arguments of Python, for the nursery to fork the program.

    For a program that is started by what is tested.
    """
    asked = nursery(*modules)
    # Whoever starts the program has less patience.
    asked.wait_until_ready()
    return ["-S", str(FORKED), str(asked.place)]


@dataclass(frozen=True)
class _Home:
    """Where the nurseries listen.

    Attributes:
        folder: with a socket for each.
        ends: a pipe that ends with the processes that may ask them.
    """

    folder: tempfile.TemporaryDirectory[str]
    ends: int


@cache
def home() -> _Home:
    """The one of this process, and of those that it forks afterwards."""
    ends, _kept_open = os.pipe()
    return _Home(tempfile.TemporaryDirectory(), ends)


def _place(modules: Sequence[str]) -> Path:
    """Where the nursery that has imported these listens; it is started for the first who asks."""
    folder = Path(home().folder.name)
    place = folder / hashlib.sha256(" ".join(modules).encode()).hexdigest()[:16]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _start(place, modules)
    return place


def _start(place: Path, modules: Sequence[str]) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        number = listening.fileno()
        _STARTED.append(
            subprocess.Popen(
                [sys.executable, str(PROGRAM), str(number), *modules],
                stdin=home().ends,
                stdout=subprocess.DEVNULL,
                pass_fds=[number],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        )


_STARTED: list[subprocess.Popen[bytes]] = []
"""They end when all that may ask them have ended, and nobody waits for them."""
