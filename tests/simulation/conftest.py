"""What the engine logs of faults that are meant to happen helps nobody, and takes time."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _nothing_logged() -> Iterator[None]:
    logger = logging.getLogger("workflow_agents")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)
