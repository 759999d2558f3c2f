"""Random messages under random faults: the seeds that once failed, and half of all others.

The other half is in `test_seeds_too`, so that two processes can share the work.
"""

import pytest

from tests.simulation.wire.seeds import MESSAGES


@pytest.mark.parametrize("seed", MESSAGES.kept)
def test_a_seed_that_once_failed(seed: int) -> None:
    MESSAGES.play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", MESSAGES.blocks[::2])
def test_a_block_of_seeds(block: int) -> None:
    MESSAGES.play_block(block)
