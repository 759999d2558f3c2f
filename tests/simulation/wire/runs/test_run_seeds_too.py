"""Random remote runs under random faults: the half of the seeds that `test_run_seeds` leaves."""

import pytest

from tests.simulation.wire.runs.seeds import RUNS


@pytest.mark.slow
@pytest.mark.parametrize("block", RUNS.blocks[1::2])
def test_a_block_of_seeds(block: int) -> None:
    RUNS.play_block(block)
