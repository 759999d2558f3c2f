"""Replay seeds: python -m tests.simulation SEED [SEED ...]

With "A..B", every seed from A up to B; it tells which of them fail, and how fast they are.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.simulation.scenario import Violation
from tests.simulation.seeds import PROGRAMS


def main(arguments: list[str], played: Callable[[int], Counter[str]]) -> int:
    """Replay the seeds that are named."""
    logging.getLogger("workflow_agents").addHandler(logging.NullHandler())
    logging.getLogger("workflow_agents").propagate = False
    failed: list[int] = []
    fired: Counter[str] = Counter()
    began = time.perf_counter()
    seeds = [seed for argument in arguments for seed in _seeds(argument)]
    for seed in seeds:
        try:
            fired += played(seed)
        except Violation as violation:
            failed.append(seed)
            print(f"seed {seed}: {str(violation)[:2_000]}\n")
    took = time.perf_counter() - began
    print(f"{len(seeds)} seeds, {1000 * took / len(seeds):.1f} ms each; failed: {failed}")
    print("\n".join(f"{count:8} {kind}" for kind, count in sorted(fired.items())))
    return 1 if failed else 0


def _seeds(argument: str) -> range:
    first, _, last = argument.partition("..")
    return range(int(first), int(last or first) + (not last))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PROGRAMS.play))
