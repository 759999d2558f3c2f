"""Settings that all tests share."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Examples are drawn the same way each time, so that a red run can be seen again by running it
# again. HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def nothing_logged() -> Iterator[None]:
    """What the engine logs of faults that are meant to happen helps nobody, and takes time."""
    logger = logging.getLogger("workflow_agents")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)
