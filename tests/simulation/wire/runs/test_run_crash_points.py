"""Every canonical remote run with a fault at each of its commits; see `test_crash_points`."""

import pytest

from tests.simulation.scenario import Report, Scenario
from tests.simulation.test_crash_points import by_step
from tests.simulation.wire.runs.canonical import CANONICAL
from tests.simulation.wire.runs.world import World
from workflow_agents.testing.faults import AtCommit, FaultAt


def played(scenario: Scenario, fault: AtCommit | None, *at: int) -> tuple[Report, int]:
    faults = FaultAt(fault, *at)
    return World(scenario, faults).play(), faults.commits


@pytest.mark.parametrize("fault", AtCommit, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", CANONICAL)
def test_a_fault_at_every_commit(name: str, fault: AtCommit) -> None:
    scenario = CANONICAL[name]
    clean, commits = played(scenario, None)
    assert commits >= 1
    for n in range(1, commits + 1):
        report, _ = played(scenario, fault, n)
        for step, times in by_step(report).items():
            repeats = times - by_step(clean)[step]
            assert repeats <= 1, f"{step} ran {repeats} times more, commit {n} of {commits}"
