"""Tests that are spread over processes end as they do in one."""

import subprocess
import sys
from pathlib import Path

from tests.sources import ROOT
from tests.spread import EARLY, Units

TESTS = """
import os

import pytest


@pytest.fixture(scope="module")
def process():
    return os.getpid()


@pytest.mark.parametrize("number", range(20))
def test_passes(number, process, tmp_path):
    assert process == os.getpid()
    (tmp_path / "file").write_text("something")


def test_fails():
    print("what was said")
    assert 1 == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_takes_long(number):
    pass


@pytest.mark.skip(reason="because")
def test_skipped():
    pass


def test_with_parts(subtests):
    with subtests.test("a part"):
        assert "good" == "bad"
"""
DIES = """
import os

def test_dies():
    os._exit(3)

def test_is_done_by_somebody_else():
    pass
"""


def done(folder: Path, *options: str) -> tuple[int, str]:
    """How pytest ends with these tests, and what it prints."""
    (folder / "test_some.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.spread", *options]
    environment = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_everything_is_done_once_and_told(tmp_path: Path) -> None:
    code, said = done(tmp_path, "-k", "not parts")
    code_of_three, said_by_three = done(tmp_path, "-k", "not parts", "--workers", "3")
    assert code == code_of_three == 1
    for what in ("what was said", "assert 1 == 2", "1 failed, 22 passed, 1 skipped, 1 deselected"):
        assert what in said
        assert what in said_by_three


def test_a_part_of_a_test_that_fails_is_told(tmp_path: Path) -> None:
    code, said = done(tmp_path, "-k", "parts", "--workers", "2")
    assert code == 1
    assert "SUBFAILED[a part] test_some.py::test_with_parts" in said
    assert "'good' == 'bad'" in said


def test_a_process_that_dies_fails_its_test_only(tmp_path: Path) -> None:
    (tmp_path / "test_dies.py").write_text(DIES)
    code, said = done(tmp_path, "-k", "not parts", "--workers", "2")
    assert code == 1
    assert "test_dies.py::test_dies - the process that did it ended with 3" in said
    assert "2 failed, 23 passed, 1 skipped, 1 deselected" in said


def test_what_nobody_is_left_to_do_is_told(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"test_dies{number}.py").write_text(DIES)
    code, said = done(tmp_path, "--workers", "2", "--ignore", "test_some.py")
    assert code == 1
    assert "4 failed in" in said
    assert said.count("is_done_by_somebody_else - nobody is left to do it") == 2


def test_it_stops_at_the_first_failure(tmp_path: Path) -> None:
    code, said = done(tmp_path, "-x", "--workers", "2", "-k", "fails or skipped")
    assert code == 1
    assert "stopping after 1 failures" in said
    assert "1 failed, 23 deselected in" in said


def early(folder: Path, last: str) -> tuple[int, str]:
    """As `done`, of tests one of which takes longest; others are not collected until it began."""
    longest = folder / EARLY
    longest.parent.mkdir(parents=True)
    longest.write_text(
        f"from pathlib import Path\ndef test_one():\n    Path({str(folder / 'begun')!r}).touch()\n"
        f"def test_two():\n    {last}\ndef test_three():\n    pass\n"
    )
    (folder / "test_others.py").write_text(
        "import time\nfrom pathlib import Path\nend = time.monotonic() + 20\n"
        f"while not Path({str(folder / 'begun')!r}).exists():\n"
        "    assert time.monotonic() < end\n    time.sleep(0.01)\n"
    )
    return done(folder, "--workers", "2")


def test_what_takes_longest_begins_while_others_are_collected(tmp_path: Path) -> None:
    code, said = early(tmp_path, "pass")
    assert code == 1
    assert "2 failed, 26 passed, 1 skipped" in said


def test_its_process_dies_and_another_one_does_the_rest(tmp_path: Path) -> None:
    code, said = early(tmp_path, "__import__('os')._exit(3)")
    assert code == 1
    assert "the process that did it ended with 3" in said
    assert f"FAILED {EARLY}::test_two" in said
    assert "3 failed, 25 passed, 1 skipped" in said


def test_slow_tests_come_one_by_one_and_first_for_one_process() -> None:
    units = Units([("a", False), ("a", False), ("a", True), ("a", True), ("b", False)])
    assert units.next(slow_first=True) == [2]
    assert units.next(slow_first=False) == [0, 1]
    units.give_back([1])
    assert units.next(slow_first=False) == [1]
    assert units.next(slow_first=False) == [4]
    assert units.next(slow_first=False) == [3]
    assert units.next(slow_first=True) == []
