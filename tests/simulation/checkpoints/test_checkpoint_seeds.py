"""Random runs that are kept by checkpoints, under random faults: those that once failed first.

The other half of the blocks is in `test_checkpoint_seeds_too`, so that two processes can share
the work.
"""

import pytest

from tests.simulation.checkpoints.seeds import CHECKPOINTS


@pytest.mark.parametrize("seed", CHECKPOINTS.kept)
def test_a_seed_that_once_failed(seed: int) -> None:
    CHECKPOINTS.play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", CHECKPOINTS.blocks[::2])
def test_a_block_of_seeds(block: int) -> None:
    CHECKPOINTS.play_block(block)
