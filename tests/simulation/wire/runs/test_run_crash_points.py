"""Every canonical remote run with a fault at each of its commits; see `test_crash_points`."""

import pytest

from tests.simulation.commits import with_a_fault_at_each
from tests.simulation.test_crash_points import by_step
from tests.simulation.wire.runs.canonical import CANONICAL
from tests.simulation.wire.runs.world import World
from workflow_agents.testing.faults import AtCommit


@pytest.mark.parametrize("fault", AtCommit, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", CANONICAL)
def test_a_fault_at_every_commit(name: str, fault: AtCommit) -> None:
    for clean, report, where in with_a_fault_at_each(World, CANONICAL[name], fault, 1):
        for step, times in by_step(report).items():
            repeats = times - by_step(clean)[step]
            assert repeats <= 1, f"{step} ran {repeats} times more, {where}"
