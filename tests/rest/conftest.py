"""One server for all tests of a worker, and what the tables of refusals speak of."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.rest.place import Place
from tests.unit.server.conftest import SETTINGS
from workflow_agents.core.limits import Limits


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("rest"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that takes little, and is soon out of patience."""
    settings = replace(SETTINGS, body_seconds=0.05, rate=1.0)
    made = Place(tmp_path_factory.mktemp("narrow"), settings, Limits(result_bytes=1_000))
    yield made
    made.stop()
