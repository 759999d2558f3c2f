"""Every canonical program with a crash at each of its commits, and an answer that gets lost.

A clean run of the program tells how many commits it makes. Then it runs again for each of
them, and there the process dies before the commit, or right after it, or the commit seems to
fail though it came through, or fails. However that is, it ends as it should, and no body ran
more often than once more.
"""

from collections import Counter

import pytest

from tests.simulation.canonical import CANONICAL
from tests.simulation.commits import played, with_a_fault_at_each
from tests.simulation.scenario import Report
from tests.simulation.world import World
from workflow_agents.testing.faults import AtCommit, AtStatement, Faults


def test_there_are_enough_programs() -> None:
    assert len(CANONICAL) >= 40


@pytest.mark.parametrize("fault", AtCommit, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", CANONICAL)
def test_a_fault_at_every_commit(name: str, fault: AtCommit) -> None:
    for clean, report, where in with_a_fault_at_each(World, CANONICAL[name], fault, 1):
        for step, times in by_step(report).items():
            repeats = times - by_step(clean)[step]
            assert repeats <= 1, f"{step} ran {repeats} times more, {where}"


@pytest.mark.parametrize("name", CANONICAL)
def test_a_crash_while_it_recovers_from_a_crash(name: str) -> None:
    """The first commits of the next process fail too."""
    scenario = CANONICAL[name]
    clean, commits = played(World, scenario, None)
    for n in range(1, commits + 1):
        report, _ = played(World, scenario, AtCommit.CRASH_BEFORE, n, n + 1, n + 2)
        for step, times in by_step(report).items():
            assert times - by_step(clean)[step] <= 3, f"{step}, commit {n} of {commits}"


class BusyAt(Faults):
    """SQLite is busy at one statement, counted from 1 over all processes."""

    def __init__(self, at: int) -> None:
        self.statements = 0
        self._at = at

    def at_statement(self, sql: str) -> AtStatement | None:
        self.statements += 1
        return AtStatement.BUSY if self.statements == self._at else None


@pytest.mark.parametrize("name", [name for name in CANONICAL if "beside" in name])
def test_a_statement_that_fails_holds_nobody_up(name: str) -> None:
    """Where a branch waits for long, nobody may fail, or be forgotten, whom it waits for."""
    n = 0
    while True:
        n += 1
        faults = BusyAt(n)
        World(CANONICAL[name], faults).play()
        if faults.statements < n:
            break
    assert n > 20


def by_step(report: Report) -> Counter[str]:
    """How often each body ran; ids of invoked runs differ, names of steps do not."""
    found: Counter[str] = Counter()
    for (_run, step), times in report.bodies.items():
        found[step] += times
    return found
