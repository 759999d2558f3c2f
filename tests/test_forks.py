"""A program that is forked does what `python PROGRAM` does, and ends as that does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import ask
from tests.forks import Done, forked, nursery

ENDINGS = {
    "returns": "print('said')",
    "exits with a number": "print('said'); raise SystemExit(3)",
    "exits with a text": "print('said'); raise SystemExit('why')",
    "raises": "print('said'); 1 / 0",
    "is interrupted": "print('said', flush=True); raise KeyboardInterrupt",
    "is killed": "import os; print('said', flush=True); os.kill(os.getpid(), 9)",
    "leaves a thread": "import threading; threading.Timer(0.01, print, ['late']).start()",
    "leaves something to do": "import atexit; atexit.register(print, 'late')",
    "reads": "import sys; print(repr(sys.stdin.read()), sys.argv[1:])",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_ends_as_python_does(ending: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(ENDINGS[ending])
    real = subprocess.run(
        [sys.executable, program, "x"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    done = nursery("json").run([program, "x"])
    # Ours has two more frames in a traceback.
    last = [text.splitlines()[-1:] for text in (real.stderr, done.stderr)]
    assert (done.returncode, done.stdout) == (real.returncode, real.stdout)
    assert last[0] == last[1]


def test_a_program_with_pipes_is_as_if_it_were_a_child(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print(sys.stdin.readline(), os.getcwd(), os.environ['IT'], flush=True)\n"
        "signal.pause()\n"
    )
    child = subprocess.Popen(
        [sys.executable, *forked("json"), program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={"IT": "is set"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    print("asked", file=child.stdin, flush=True)
    assert child.stdout.readline() == "asked\n"
    assert child.stdout.readline() == f" {tmp_path} is set\n"
    child.terminate()
    assert child.communicate() == ("", None)
    assert child.returncode == 7


def test_what_goes_on_is_killed_when_who_asked_for_it_has_gone() -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(nursery("json").place))
        reading, writing = os.pipe()
        asked = {"argv": ["timeit", "import time; time.sleep(60)"], "env": {}, "cwd": "/"}
        ask(line, asked, [reading, writing, writing])
        os.close(writing)
        assert line.makefile().readlines(10)[1].startswith("began ")
    assert os.read(reading, 1) == b""  # nobody has the other end
    os.close(reading)


def test_all_ask_the_same_one(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import json, os, sys; print(json.dumps([os.getppid(), *sys.path[:1]]))")
    first, second = (parsed(nursery("json").run([program])) for _ in range(2))
    other = subprocess.run(
        [sys.executable, *forked("json"), program], capture_output=True, text=True, check=True
    )
    assert first == second == json.loads(other.stdout)
    assert first[1] == str(tmp_path)


def parsed(done: Done) -> list[object]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
