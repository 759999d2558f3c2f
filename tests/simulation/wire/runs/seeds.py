"""One seed of remote runs, from beginning to end; and blocks of them."""

import os
from collections import Counter
from pathlib import Path

from tests.simulation.scenario import Violation
from tests.simulation.wire.runs.generate import RunFaults, scenario_of
from tests.simulation.wire.runs.world import World
from workflow_agents.testing.faults import AtCommit, AtRequest, AtStatement

SEEDS = int(os.environ.get("WIRE_SEEDS", "200"))
BLOCK = 100
BLOCKS = range(SEEDS // BLOCK)
KEPT = Path(__file__).with_name("seeds.txt")

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
"""What has to happen 40 times in 1,000 seeds: in a block, its share of that."""

LEAST = 40 * BLOCK // 1_000


def played(seed: int) -> Counter[str]:
    """Play the seed; how often each thing happened in it.

    Raises:
        Violation: something that must be true was not; with the command that shows it again.
    """
    faults = RunFaults(seed)
    try:
        report = World(scenario_of(seed), faults, seed).play()
    except Exception as error:
        raise Violation(f"{error}\n\nagain: python -m tests.simulation.wire.runs {seed}") from error
    return report.fired + faults.fired


def kept() -> list[int]:
    """The seeds that ever failed."""
    lines = KEPT.read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def play_block(block: int) -> None:
    """Play the seeds of a block."""
    fired: Counter[str] = Counter()
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        fired += played(seed)
    seldom = {kind: fired[kind] for kind in KINDS if fired[kind] < LEAST}
    assert not seldom, f"too seldom to have tested anything: {seldom}"
