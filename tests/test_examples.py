"""The examples run without a key or network, and print what they say they print.

An example ends with what it prints, as comments:

    # prints:
    #   paid 30
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
PRINTS = re.compile(r"^# prints:\n(?P<lines>(?:#(?:   .*)?\n)+)\Z", re.M)


def promised(example: Path) -> str:
    found = PRINTS.search(example.read_text(encoding="utf-8"))
    assert found, f"{example.name} does not end with what it prints"
    return "".join(line[4:] + "\n" for line in found["lines"].splitlines())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_an_example_prints_what_it_says(example: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "QSTASH"))}
    done = subprocess.run(
        [sys.executable, example],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == promised(example)
