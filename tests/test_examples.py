"""The examples run without a key or network, and print what they say they print.

An example ends with what it prints, as comments:

    # prints:
    #   paid 30
"""

import os
import re
from pathlib import Path

import pytest

from examples.demo.run import completion_id
from tests import sdks
from tests.forks import nursery
from workflow_agents import Agent, AsyncWorkflowContext, OpenAIModel, agent_workflow
from workflow_agents.testing import ScriptedModel, WorkflowEnvironment

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
MODULES = (
    "fastapi",
    "openai",
    "uvicorn",
    "workflow_agents.agents.workflow",
    "workflow_agents.dashboard.site",
    "workflow_agents.engine.attempts",
    "workflow_agents.engine.exchange",
    "workflow_agents.engine.housekeeping",
    "workflow_agents.fastapi",
    "workflow_agents.serve.agents",
    "workflow_agents.server.app",
    "workflow_agents.sync.context",
    "workflow_agents.testing.model_server",
)
PRINTS = re.compile(r"^# prints:\n(?P<lines>(?:#(?:   .*)?\n)+)\Z", re.M)


def promised(example: Path) -> str:
    found = PRINTS.search(example.read_text(encoding="utf-8"))
    assert found, f"{example.name} does not end with what it prints"
    return "".join(line[4:] + "\n" for line in found["lines"].splitlines())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_an_example_prints_what_it_says(example: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "QSTASH"))}
    modules = sdks.MODULES if sdks.needed_by(example) else MODULES
    done = nursery(*modules).run(
        [example], cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == promised(example)


async def test_the_demo_finds_the_ids_of_replies_in_what_is_recorded() -> None:
    """The demo itself needs a real model; this is what it reads of the engine's feed."""

    async def ask(context: AsyncWorkflowContext[str]) -> str:
        writer = Agent(model=OpenAIModel("gpt-4o"), name="writer")
        return (await agent_workflow(context).task(agent=writer, prompt="Hi").run()).text

    with ScriptedModel() as model:
        model.say("Hello.")
        async with WorkflowEnvironment(model=model) as env:
            run = await env.trigger(ask)
            await env.result(run)
            [call] = [e async for e in run.feed() if e.step_type == "CALL" and e.data.get("json")]
            assert completion_id(call.data) == call.data["json"]["id"].removeprefix("chatcmpl-")
            assert completion_id(call.data)
