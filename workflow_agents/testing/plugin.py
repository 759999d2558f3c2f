"""The pytest plugin: fixtures for tests of workflows.

All of them are plain fixtures, so they serve sync tests, and async ones under pytest-asyncio (in
any mode) and anyio. Importing this room loads nothing but pytest; a fixture loads what it needs
when a test first asks for it. `-p no:workflow_agents` leaves it out.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from workflow_agents import Engine
    from workflow_agents.testing import ScriptedModel, VirtualClock, WorkflowEnvironment


@pytest.fixture
def workflow_env() -> Iterator["WorkflowEnvironment"]:
    """A `WorkflowEnvironment` that starts with its first use.

    To serve the workflows of your app in all tests, override it in your conftest.py:

        @pytest.fixture
        def workflow_env(workflow_env):
            workflow_env.include(app.serve)
            return workflow_env
    """
    from workflow_agents.testing.environment import WorkflowEnvironment

    env = WorkflowEnvironment()
    yield env
    env.abandon()
    env.http.check()


@pytest.fixture
def workflow_engine(workflow_env: "WorkflowEnvironment") -> "Engine":
    """The `Engine` of `workflow_env`, for `async with workflow_engine:`; its client skips time."""
    return workflow_env.engine


@pytest.fixture
def virtual_clock(workflow_env: "WorkflowEnvironment") -> "VirtualClock":
    """The wall clock of `workflow_env`, which can be set wrong: `step`, `freeze`, `thaw`."""
    return workflow_env.clock


@pytest.fixture
def scripted_model(monkeypatch: pytest.MonkeyPatch) -> Iterator["ScriptedModel"]:
    """A started `ScriptedModel`.

    While the test runs it stands at OPENAI_BASE_URL, with a key in OPENAI_API_KEY, so that agents
    which name neither reach it.
    """
    from workflow_agents.testing.model_server import ScriptedModel

    with ScriptedModel() as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "key-for-tests")
        yield model
