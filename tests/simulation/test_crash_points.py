"""Every canonical program with a crash at each of its commits, and an answer that gets lost.

A clean run of the program tells how many commits it makes. Then it runs again for each of
them, and there the process dies before the commit, or right after it, or the commit seems to
fail though it came through, or fails. However that is, it ends as it should, and no body ran
more often than once more.
"""

from collections import Counter

import pytest

from tests.simulation.canonical import CANONICAL
from tests.simulation.world import Report, Scenario, World
from workflow_agents.testing.faults import AtCommit, Faults


class AtOne(Faults):
    """One fault, at the n-th commit."""

    def __init__(self, n: int, fault: AtCommit | None) -> None:
        self.commits = 0
        self._n = n
        self._fault = fault

    def at_commit(self) -> AtCommit | None:
        self.commits += 1
        return self._fault if self.commits == self._n else None


def played(scenario: Scenario, n: int, fault: AtCommit | None) -> tuple[Report, int]:
    faults = AtOne(n, fault)
    return World(scenario, faults).play(), faults.commits


def test_there_are_enough_programs() -> None:
    assert len(CANONICAL) >= 40


@pytest.mark.parametrize("fault", AtCommit, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", CANONICAL)
def test_a_fault_at_every_commit(name: str, fault: AtCommit) -> None:
    scenario = CANONICAL[name]
    clean, commits = played(scenario, 0, None)
    assert commits >= 1
    for n in range(1, commits + 1):
        report, _ = played(scenario, n, fault)
        for step, times in by_step(report).items():
            repeats = times - by_step(clean)[step]
            assert repeats <= 1, f"{step} ran {repeats} times more, commit {n} of {commits}"


def by_step(report: Report) -> Counter[str]:
    """How often each body ran; ids of invoked runs differ, names of steps do not."""
    found: Counter[str] = Counter()
    for (_run, step), times in report.bodies.items():
        found[step] += times
    return found
