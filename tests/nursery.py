"""Starts programs that have imported what they need: to begin one costs a fork.

usage: python nursery.py SOCKET MODULE...

It accepts connections at the socket, a file descriptor, and says `ready` on each when it has
imported what it should. What it receives is lines of JSON with `argv`, `env` and `cwd`, and three
files with each: it forks a process that does what `python argv` does with these as its input and
outputs, and answers `began NUMBER`. When a process has ended, it says `ended NUMBER CODE` to whom
has asked for it. It kills those that go on when who has asked for them has gone. It ends when its
input does.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from typing import Any


class Ending:
    """How a process ends: as Python does it, except that nothing is taken apart at last.

    To free all that was imported takes a process ten times longer than to be forked.
    """

    def __init__(self) -> None:
        self._code: int | None = None
        # What is registered first is done last: when threads have ended and all else is done.
        atexit.register(self._leave)

    def live(self, files: list[int], argv: list[str], env: dict[str, str], cwd: str) -> None:
        """What `python argv` does, in this process."""
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.path[0:1] = []
        sys.argv = argv
        try:
            if argv[0].endswith(".py"):
                sys.path.insert(0, os.path.dirname(os.path.abspath(argv[0])))
                runpy.run_path(argv[0], run_name="__main__")
            else:
                sys.path.insert(0, cwd)
                runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
            self._code = 0
        except SystemExit as end:
            self._code = end.code if isinstance(end.code, int) else int(end.code is not None)
            raise
        except Exception:
            self._code = 1
            raise

    def _leave(self) -> None:
        if self._code is None:
            return  # something else ends it, such as a signal
        gc.collect()  # what the program has left says so, if it should not be left
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self._code & 0xFF)


class Line:
    """A connection to somebody who asks."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._files: list[int] = []

    def fileno(self) -> int:
        """For `select`."""
        return self._connection.fileno()

    def close(self) -> None:
        """And what came with requests that did not come."""
        self._connection.close()
        for file in self._files:
            os.close(file)

    def receive(self) -> bool:
        """What has come; False: nothing more will."""
        part, files, _, _ = socket.recv_fds(self._connection, 65536, 30)
        self._received += part
        self._files += files
        return bool(part)

    def next(self) -> tuple[list[int], dict[str, Any]] | None:
        """The next request that has come, and its files."""
        asked, end, rest = self._received.partition(b"\n")
        if not end:
            return None
        self._received = rest
        files, self._files = self._files[:3], self._files[3:]
        return files, json.loads(asked)

    def say(self, what: str) -> None:
        """Tell who has asked, if he is there."""
        with contextlib.suppress(OSError):
            self._connection.sendall(f"{what}\n".encode())


class Nursery:
    """Serves its lines.

    Args:
        listening: where they come from.
    """

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._lines: list[Line] = []
        self._children: dict[int, Line] = {}
        self._woken, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def next(self) -> tuple[list[int], dict[str, Any]] | None:
        """Serve until its input ends: None; or, in a process that was forked, what it has to do."""
        while True:
            ready, _, _ = select.select([0, self._woken, self._listening, *self._lines], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._tell_of_the_dead()
            if self._listening in ready:
                self._lines.append(Line(self._listening.accept()[0]))
                self._lines[-1].say("ready")
            for line in [line for line in self._lines if line in ready]:
                if not line.receive():
                    self._lines.remove(line)
                    line.close()
                    for child, asker in self._children.items():
                        if asker is line:
                            os.kill(child, signal.SIGKILL)
                    continue
                while asked := line.next():
                    child = os.fork()
                    if not child:
                        self._forget_all()
                        return asked
                    self._children[child] = line
                    line.say(f"began {child}")
                    for file in asked[0]:
                        os.close(file)
            if 0 in ready:
                return None

    def _tell_of_the_dead(self) -> None:
        """Of all that have ended and were not told of."""
        while self._children:
            number, status = os.waitpid(-1, os.WNOHANG)
            if not number:
                return
            self._children.pop(number).say(f"ended {number} {os.waitstatus_to_exitcode(status)}")

    def _forget_all(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._listening.close()
        for line in self._lines:
            line.close()


def main() -> None:
    number, *modules = sys.argv[1:]
    ending = Ending()
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    asked = Nursery(socket.socket(fileno=int(number))).next()
    if asked is None:
        os._exit(0)
    files, program = asked
    ending.live(files, **program)


if __name__ == "__main__":
    main()
