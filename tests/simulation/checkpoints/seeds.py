"""The seeds of runs that are kept by checkpoints, under random faults."""

from tests.simulation.campaign import Campaign, seeds_wanted
from tests.simulation.checkpoints.generate import world_of
from workflow_agents.testing.faults import AtCommit, AtRequest, AtStatement

KINDS = (
    *(fault.name for faults in (AtCommit, AtStatement, AtRequest) for fault in faults),
    *(f"{where}: {fault.name}" for where in ("visit", "checkpoints") for fault in AtRequest),
    "crash",
    "stop",
    "endpoint died",
    "visit",
    "checkpoints",
    "cancel",
    "triggered twice",
    "notify run",
    "webhook",
)

CHECKPOINTS = Campaign(
    "tests.simulation.checkpoints",
    world_of,
    KINDS,
    least=20,
    seeds=seeds_wanted("CHECKPOINT_SEEDS", 100),
    block=100,
)
