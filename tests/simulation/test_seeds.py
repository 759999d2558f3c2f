"""Random programs under random faults: the seeds that once failed, and half of all others.

The other half is in `test_seeds_too`, so that two processes can share the work.
"""

import pytest

from tests.simulation.seeds import PROGRAMS


@pytest.mark.parametrize("seed", PROGRAMS.kept)
def test_a_seed_that_once_failed(seed: int) -> None:
    PROGRAMS.play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", PROGRAMS.blocks[::2])
def test_a_block_of_seeds(block: int) -> None:
    PROGRAMS.play_block(block)
