"""Random programs under random faults: the seeds that once failed, and many others."""

import pytest

from tests.simulation.seeds import PROGRAMS


@pytest.mark.parametrize("seed", PROGRAMS.kept)
def test_a_seed_that_once_failed(seed: int) -> None:
    PROGRAMS.play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", PROGRAMS.blocks)
def test_a_block_of_seeds(block: int) -> None:
    PROGRAMS.play_block(block)
