"""Random runs that are kept by checkpoints, under random faults: those that once failed first."""

import pytest

from tests.simulation.checkpoints.seeds import CHECKPOINTS


@pytest.mark.parametrize("seed", CHECKPOINTS.kept)
def test_a_seed_that_once_failed(seed: int) -> None:
    CHECKPOINTS.play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", CHECKPOINTS.blocks)
def test_a_block_of_seeds(block: int) -> None:
    CHECKPOINTS.play_block(block)
