"""Canonical programs, kept by checkpoints: a fault at each commit, a death at each moment.

Among the commits is the one by which a run is adopted, with whatever its code has come to first.
"""

import pytest

from tests.simulation.canonical import CANONICAL
from tests.simulation.checkpoints.world import World
from tests.simulation.scenario import Report, Scenario
from tests.simulation.test_crash_points import by_step
from workflow_agents.testing.faults import AtCommit, FaultAt

NAMES = (
    "three runs",
    "run, sleep, run",
    "call and run",
    "wait, notified",
    "webhook",
    "invoke",
    "fails and is caught",
    "the function raises twice",
    "join of waits",
    "steps beside a branch that waits for them",
)
MOMENTS_MS = range(1, 26, 2)


def played(scenario: Scenario, fault: AtCommit | None, *at: int) -> tuple[Report, int]:
    faults = FaultAt(fault, *at)
    return World(scenario, faults).play(), faults.commits


@pytest.mark.parametrize("fault", AtCommit, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_at_every_commit(name: str, fault: AtCommit) -> None:
    scenario = CANONICAL[name]
    clean, commits = played(scenario, None)
    assert commits >= 3
    for n in range(1, commits + 1):
        report, _ = played(scenario, fault, n)
        for step, times in by_step(report).items():
            repeats = times - by_step(clean)[step]
            assert repeats <= 1, f"{step} ran {repeats} times more, commit {n} of {commits}"


@pytest.mark.parametrize("channels", [True, False], ids=["channel", "requests"])
@pytest.mark.parametrize("name", NAMES)
def test_the_endpoint_dies_at_any_moment(name: str, channels: bool) -> None:
    scenario = CANONICAL[name]
    clean = World(scenario, channels=channels).play()
    for at_ms in MOMENTS_MS:
        report = World(scenario, deaths_ms=(at_ms,), channels=channels).play()
        assert report.ends == clean.ends
        for step, times in by_step(report).items():
            repeats = times - by_step(clean)[step]
            assert repeats <= 1, f"{step} ran {repeats} times more, died at {at_ms} ms"
