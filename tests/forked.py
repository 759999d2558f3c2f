"""Asks a nursery for a program, and is in its place for whoever has started this.

usage: python -S tests/forked.py SOCKET PROGRAM ARGUMENT...

For programs that are started by what is tested, as a command with pipes. A signal to end goes on to
the program, which ends if this is killed; and its end is the end of this.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence


def ask(line: socket.socket, asked: Mapping[str, object], files: Sequence[int]) -> None:
    """Ask at the socket of a nursery; see `nursery.py`."""
    data = f"{json.dumps(asked)}\n".encode()
    sent = socket.send_fds(line, [data], files)
    line.sendall(data[sent:])


def main() -> None:
    place, *argv = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(place)
        ask(line, {"argv": argv, "env": dict(os.environ), "cwd": os.getcwd()}, [0, 1, 2])
        os.closerange(0, 3)  # it has them now
        told = line.makefile()
        assert told.readline() == "ready\n"
        number = int(told.readline().split()[1])
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda sent, _frame: os.kill(number, sent))
        code = int(told.readline().split()[2])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
