"""The seeds of random programs under random faults."""

from tests.simulation.campaign import Campaign, seeds_wanted
from tests.simulation.generate import RandomFaults, scenario_of
from tests.simulation.world import World
from workflow_agents.testing.faults import AtCommit, AtRequest, AtStatement

KINDS = (
    *(fault.name for faults in (AtCommit, AtStatement, AtRequest) for fault in faults),
    "crash",
    "stop",
    "start failed",
    "cancel",
    "resumed",
    "triggered twice",
    "notify run",
    "notify everyone",
    "webhook",
    "start after a pause",
    "clock step 1000",
    "clock step -1000",
    "clock step 3600000",
    "clock step -3600000",
    "clock freeze 1500",
)


def _begin(seed: int) -> tuple[World, RandomFaults]:
    """Most bugs need little to show: one seed in eight is large, and those that ever failed."""
    faults = RandomFaults(seed)
    large = seed % 8 == 0 or seed in PROGRAMS.kept
    return World(scenario_of(seed, large=large), faults, seed), faults


PROGRAMS = Campaign(
    "tests.simulation",
    _begin,
    KINDS,
    least=67,
    seeds=seeds_wanted("SIMULATION_SEEDS", 15_000),
    block=1_500,
)
"""Each kind 1,000 times. With the 5,000 of `tests/properties/test_branches` these are 20,000."""
