"""Agents and SDKs of others, made durable by one argument, and killed after the model's answer.

What each needs is in the docstrings of `foreign_agents`, which these tests run.
"""

import os
import signal
from pathlib import Path

import pytest

from tests import sdks
from tests.forks import nursery
from tests.journeys.foreign_agents import LIBRARIES
from workflow_agents.testing.model_server import ScriptedModel

PROGRAM = Path(__file__).with_name("foreign_agents.py")
ROOT = PROGRAM.parents[2]


def run(library: str, store: Path, model: ScriptedModel, *options: str) -> tuple[int, list[str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("QSTASH")}
    done = nursery(*sdks.MODULES).run(
        [PROGRAM, library, store, model.base_url, *options],
        timeout=100,
        env=environment | {"PYTHONPATH": str(ROOT), "LANGSMITH_TRACING": "false"},
    )
    if done.returncode not in {0, -signal.SIGKILL}:
        pytest.fail(done.stderr[-3_000:])
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_foreign_agent_is_killed_and_its_model_asked_no_second_time(
    library: str, tmp_path: Path
) -> None:
    store = tmp_path / "runs.db"
    with ScriptedModel() as model:
        model.call_tools(("add", {"a": 2, "b": 3}))
        model.say("It is 5.")

        code, _ = run(library, store, model, "crash")
        assert code == -signal.SIGKILL
        assert len(model.requests) == 1

        code, lines = run(library, store, model)
        assert code == 0
        assert lines[0] == "It is 5."
        assert len(model.requests) == 2
        model.assert_done()

    steps = [line.split("', '")[0].strip("('") for line in lines[1:]]
    assert len(steps) == (2 if library == "pydantic_ai_on_our_client" else 3)
    assert b"sk-of-the-test" not in store.read_bytes()
