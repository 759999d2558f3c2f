"""Starts programs that have imported what they need: to begin one costs a fork.

usage: python nursery.py MODULE...

Each line of its input is JSON of `argv`, `env`, `cwd`, `out` and `err`: it forks a process that
does what `python argv` does, and says `began NUMBER`. When a process has ended, it says `ended
NUMBER CODE`. The processes end by themselves or are killed: the nursery only waits.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys


def live(argv: list[str], env: dict[str, str], cwd: str, out: str, err: str) -> None:
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
    if argv[0].endswith(".py"):
        sys.path.insert(0, os.path.dirname(os.path.abspath(argv[0])))
        runpy.run_path(argv[0], run_name="__main__")
    else:
        sys.path.insert(0, cwd)
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


def tell_of_the_dead() -> None:
    """Of all that have ended and were not told of."""
    while True:
        try:
            number, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not number:
            return
        print("ended", number, os.waitstatus_to_exitcode(status), flush=True)


def main() -> None:
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    received = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            tell_of_the_dead()
        if 0 not in ready:
            continue
        part = os.read(0, 65536)
        if not part:
            return
        *lines, received = (received + part).split(b"\n")
        for line in lines:
            child = os.fork()
            if not child:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                live(**json.loads(line))
                return
            print("began", child, flush=True)


if __name__ == "__main__":
    main()
