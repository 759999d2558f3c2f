"""The seeds of messages under random faults."""

from tests.simulation.campaign import Campaign, seeds_wanted
from tests.simulation.wire.generate import WireFaults, scenario_of
from tests.simulation.wire.world import World
from workflow_agents.testing.faults import AtCommit, AtRequest, AtStatement

KINDS = (
    *(fault.name for faults in (AtCommit, AtStatement, AtRequest) for fault in faults),
    "crash",
    "stop",
    "start failed",
    "publish",
    "delayed",
    "deduplicated",
    "delivered",
    "retry",
    "retry after",
    "dead letter",
    "retry of a letter",
    "CALLBACK",
    "FAILURE_CALLBACK",
    "endpoint: final",
    "endpoint: hang",
    "canceled",
    "cancelled by a sweep",
    "to a group",
    "in a queue",
    "in a queue, side by side",
    "queue paused",
    "key paused",
    "tick",
    "schedule paused",
    "clock step 1000",
    "clock step -1000",
    "clock step 3600000",
    "clock step -3600000",
    "clock freeze 1500",
)


def _begin(seed: int) -> tuple[World, WireFaults]:
    faults = WireFaults(seed)
    return World(scenario_of(seed), faults, seed), faults


MESSAGES = Campaign(
    "tests.simulation.wire",
    _begin,
    KINDS,
    least=25,
    seeds=seeds_wanted("WIRE_SEEDS", 500),
    block=250,
)
