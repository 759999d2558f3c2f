"""Starts programs that have imported what they need: to begin one costs a fork.

usage: python nursery.py SOCKET MODULE...

It accepts lines at the socket, a file descriptor. What it receives on one is JSON of `argv`, `env`,
`cwd`, `out` and `err`: it forks a process that does what `python argv` does, and answers `began
NUMBER`. When a process has ended, it says `ended NUMBER CODE` to whom has asked for it. The
processes end by themselves or are killed: the nursery only waits. It ends when its input does.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys


class Ending:
    """How a process ends: as Python does it, except that nothing is taken apart at last.

    To free all that was imported takes a process ten times longer than to be forked.
    """

    def __init__(self) -> None:
        self._code: int | None = None
        # What is registered first is done last: when threads have ended and all else is done.
        atexit.register(self._leave)

    def live(self, argv: list[str], env: dict[str, str], cwd: str, out: str, err: str) -> None:
        """What `python argv` does, in this process."""
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(out, flags), 1)
        os.dup2(os.open(err, flags), 2)
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


class Nursery:
    """Serves its lines.

    Args:
        listening: where they come from.
    """

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._received: dict[socket.socket, bytes] = {}
        self._children: dict[int, socket.socket] = {}
        self._woken, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def next(self) -> dict[str, object] | None:
        """Serve until its input ends: None; or, in a process that was forked, what it has to do."""
        while True:
            ready, _, _ = select.select(
                [0, self._woken, self._listening, *self._received], [], [], None
            )
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._tell_of_the_dead()
            if self._listening in ready:
                self._received[self._listening.accept()[0]] = b""
            for line in [line for line in self._received if line in ready]:
                for asked in self._asked(line):
                    child = os.fork()
                    if not child:
                        self._forget_all()
                        return json.loads(asked)
                    self._children[child] = line
                    self._say(line, f"began {child}")
            if 0 in ready:
                return None

    def _asked(self, line: socket.socket) -> list[bytes]:
        part = line.recv(65536)
        if not part:
            del self._received[line]
            line.close()
            return []
        *asked, self._received[line] = (self._received[line] + part).split(b"\n")
        return asked

    def _tell_of_the_dead(self) -> None:
        """Of all that have ended and were not told of."""
        while self._children:
            number, status = os.waitpid(-1, os.WNOHANG)
            if not number:
                return
            line = self._children.pop(number)
            self._say(line, f"ended {number} {os.waitstatus_to_exitcode(status)}")

    def _say(self, line: socket.socket, what: str) -> None:
        if line in self._received:
            line.sendall(f"{what}\n".encode())

    def _forget_all(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for line in (self._listening, *self._received):
            line.close()


def main() -> None:
    number, *modules = sys.argv[1:]
    ending = Ending()
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    asked = Nursery(socket.socket(fileno=int(number))).next()
    if asked is not None:
        ending.live(**asked)  # type: ignore[arg-type]  # as it was sent


if __name__ == "__main__":
    main()
