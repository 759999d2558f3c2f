"""Seeds of one world: one from beginning to end, and blocks of them in which all has to happen."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.simulation.scenario import Violation


@dataclass(frozen=True)
class Campaign:
    """What is played under which seeds.

    Attributes:
        module: the package that replays single seeds: `python -m` it.
        begin: from a seed to a world, whose `play` reports what `fired`, and to its faults.
        kinds: what has to happen in every block.
        least: how often in a thousand seeds, each of them.
        seeds: how many are played.
        block: how many of them in one test.
    """

    module: str
    begin: Callable[[int], tuple[Any, Any]]
    kinds: Sequence[str]
    least: int
    seeds: int
    block: int

    @property
    def blocks(self) -> range:
        """Their numbers."""
        return range(self.seeds // self.block)

    @cached_property
    def kept(self) -> list[int]:
        """The seeds that ever failed: those of `seeds.txt` in the package."""
        folder = Path(__file__).parents[2].joinpath(*self.module.split("."))
        lines = (folder / "seeds.txt").read_text(encoding="utf-8").splitlines()
        return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]

    def play(self, seed: int) -> Counter[str]:
        """Play the seed; how often each thing happened in it.

        Raises:
            Violation: something that must be true was not; with the command that shows it again.
        """
        try:
            world, faults = self.begin(seed)
            fired: Counter[str] = world.play().fired + faults.fired
        except Exception as error:
            raise Violation(f"{error}\n\nagain: python -m {self.module} {seed}") from error
        return fired

    def play_block(self, block: int) -> None:
        """Play the seeds of a block."""
        fired: Counter[str] = Counter()
        for seed in range(block * self.block, (block + 1) * self.block):
            fired += self.play(seed)
        least = self.least * self.block // 1_000
        seldom = {kind: fired[kind] for kind in self.kinds if fired[kind] < least}
        assert not seldom, f"too seldom to have tested anything: {seldom}"


def seeds_wanted(variable: str, usual: int) -> int:
    """How many seeds are to be played."""
    return int(os.environ.get(variable, usual))
