"""One seed, from beginning to end."""

from collections import Counter

from tests.simulation.generate import RandomFaults, scenario_of
from tests.simulation.world import Violation, World


def played(seed: int) -> Counter[str]:
    """Play the seed; how often each thing happened in it.

    Raises:
        Violation: something that must be true was not; with the command that shows it again.
    """
    faults = RandomFaults(seed)
    try:
        report = World(scenario_of(seed), faults, seed).play()
    except Exception as error:
        raise Violation(f"{error}\n\nagain: python -m tests.simulation {seed}") from error
    return report.fired + faults.fired
