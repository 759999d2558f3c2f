"""Every canonical scenario of messages with a fault at each of its commits.

A clean run tells how many commits it makes. Then it runs again for each of them, and there the
process dies before the commit, or right after it, or the commit seems to fail though it came
through, or fails. However that is, all that must be true is true, and no endpoint is sent a
message more often than once more.
"""

import pytest

from tests.simulation.commits import played, with_a_fault_at_each
from tests.simulation.wire.canonical import CANONICAL
from tests.simulation.wire.world import World
from workflow_agents.testing.faults import AtCommit


@pytest.mark.parametrize("fault", AtCommit, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", CANONICAL)
def test_a_fault_at_every_commit(name: str, fault: AtCommit) -> None:
    for clean, report, where in with_a_fault_at_each(World, CANONICAL[name], fault, 1):
        for endpoint, requests in report.requests.items():
            repeats = requests - clean.requests.get(endpoint, 0)
            assert repeats <= 1, f"{endpoint}: {repeats} more, {where}"


@pytest.mark.parametrize("name", CANONICAL)
def test_a_crash_while_it_recovers_from_a_crash(name: str) -> None:
    """The first commits of the next process fail too."""
    scenario = CANONICAL[name]
    _, commits = played(World, scenario, None)
    for n in range(1, commits + 1):
        played(World, scenario, AtCommit.CRASH_BEFORE, n, n + 1, n + 2)
