"""Random messages under random faults: the half of the seeds that `test_seeds` leaves."""

import pytest

from tests.simulation.wire.seeds import MESSAGES


@pytest.mark.slow
@pytest.mark.parametrize("block", MESSAGES.blocks[1::2])
def test_a_block_of_seeds(block: int) -> None:
    MESSAGES.play_block(block)
