"""A scenario once for each of its commits, with a fault there; for worlds of any kind."""

from collections.abc import Callable, Iterator
from typing import Any

from workflow_agents.testing.faults import AtCommit, FaultAt

World = Callable[[Any, FaultAt], Any]
"""Makes of a scenario and faults what can be played."""


def played(world: World, scenario: Any, fault: AtCommit | None, *at: int) -> tuple[Any, int]:
    """What came of it, and how many commits there were."""
    faults = FaultAt(fault, *at)
    return world(scenario, faults).play(), faults.commits


def with_a_fault_at_each(
    world: World, scenario: Any, fault: AtCommit, least: int
) -> Iterator[tuple[Any, Any, str]]:
    """The report without a fault, and that with one at each commit, and which commit it was.

    A clean run tells how many there are: at least so many.
    """
    clean, commits = played(world, scenario, None)
    assert commits >= least
    for n in range(1, commits + 1):
        report, _ = played(world, scenario, fault, n)
        yield clean, report, f"commit {n} of {commits}"
