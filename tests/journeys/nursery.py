"""Starts programs that have imported what they need: a process that is killed often begins soon.

usage: python nursery.py MODULE...

For each line of its input, JSON of `argv`, `env` and `log`, it forks a process that runs the
program, and tells its number; when that process has ended, it tells how. A program is a path or
the name of a module. The processes end by themselves or are killed: the nursery only waits.
"""

import importlib
import json
import os
import runpy
import sys


def live(argv: list[str], env: dict[str, str], log: str) -> None:
    """What `python argv` does, in this process."""
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(env)
    sys.argv = argv
    if argv[0].endswith(".py"):
        sys.path.insert(0, os.path.dirname(argv[0]))
        runpy.run_path(argv[0], run_name="__main__")
    else:
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


def main() -> None:
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            live(**json.loads(line))
            return
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
