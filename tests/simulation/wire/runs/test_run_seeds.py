"""Random remote runs under random faults: the seeds that once failed, and others."""

import pytest

from tests.simulation.wire.runs.seeds import RUNS


@pytest.mark.parametrize("seed", RUNS.kept)
def test_a_seed_that_once_failed(seed: int) -> None:
    RUNS.play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", RUNS.blocks)
def test_a_block_of_seeds(block: int) -> None:
    RUNS.play_block(block)
