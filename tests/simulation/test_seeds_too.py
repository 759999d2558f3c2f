"""Random programs under random faults: the half of the seeds that `test_seeds` leaves."""

import pytest

from tests.simulation.seeds import PROGRAMS


@pytest.mark.slow
@pytest.mark.parametrize("block", PROGRAMS.blocks[1::2])
def test_a_block_of_seeds(block: int) -> None:
    PROGRAMS.play_block(block)
