"""The other half of the blocks: see `test_checkpoint_seeds`."""

import pytest

from tests.simulation.checkpoints.seeds import CHECKPOINTS


@pytest.mark.slow
@pytest.mark.parametrize("block", CHECKPOINTS.blocks[1::2])
def test_a_block_of_seeds(block: int) -> None:
    CHECKPOINTS.play_block(block)
