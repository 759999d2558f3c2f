"""The seeds of remote runs under random faults."""

from tests.simulation.campaign import Campaign, seeds_wanted
from tests.simulation.wire.runs.generate import RunFaults, scenario_of
from tests.simulation.wire.runs.world import World
from workflow_agents.testing.faults import AtCommit, AtRequest, AtStatement

KINDS = (
    *(fault.name for faults in (AtCommit, AtStatement, AtRequest) for fault in faults),
    "crash",
    "stop",
    "cancel",
    "trigger twice",
    "notify",
    "webhook",
    "failure told",
    "VISIT",
    "PLAN",
    "CALL",
    "CALL_ANSWER",
    "FAILURE_VISIT",
    "clock step 1000",
    "clock step -1000",
    "clock step 3600000",
    "clock step -3600000",
    "clock freeze 1500",
)


def _begin(seed: int) -> tuple[World, RunFaults]:
    faults = RunFaults(seed)
    return World(scenario_of(seed), faults, seed), faults


RUNS = Campaign(
    "tests.simulation.wire.runs",
    _begin,
    KINDS,
    least=40,
    seeds=seeds_wanted("WIRE_SEEDS", 200),
    block=100,
)
