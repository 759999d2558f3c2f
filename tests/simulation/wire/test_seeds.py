"""Random messages under random faults: the seeds that once failed, and others."""

import pytest

from tests.simulation.wire.seeds import MESSAGES


@pytest.mark.parametrize("seed", MESSAGES.kept)
def test_a_seed_that_once_failed(seed: int) -> None:
    MESSAGES.play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", MESSAGES.blocks)
def test_a_block_of_seeds(block: int) -> None:
    MESSAGES.play_block(block)
