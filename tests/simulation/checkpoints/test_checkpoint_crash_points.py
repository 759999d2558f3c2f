"""Canonical programs, kept by checkpoints: a fault at each commit, a death at each moment.

Among the commits is the one by which a run is adopted, with whatever its code has come to first.
"""

import pytest

from tests.simulation.canonical import CANONICAL
from tests.simulation.checkpoints.world import World
from tests.simulation.commits import with_a_fault_at_each
from tests.simulation.test_crash_points import by_step
from workflow_agents.testing.faults import AtCommit

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


@pytest.mark.parametrize("fault", AtCommit, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_at_every_commit(name: str, fault: AtCommit) -> None:
    for clean, report, where in with_a_fault_at_each(World, CANONICAL[name], fault, 3):
        for step, times in by_step(report).items():
            repeats = times - by_step(clean)[step]
            assert repeats <= 1, f"{step} ran {repeats} times more, {where}"


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
