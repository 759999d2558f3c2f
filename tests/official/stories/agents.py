"""Agents of @upstash/workflow-agents, with a scripted model behind the server."""

from typing import Any

from tests.official.scenarios import scenario
from tests.official.site import Stage, steps_of
from workflow_agents.testing import ScriptedModel

ONE_WILL_DO = ("express",)  # the agents are the same on every framework


async def text_of(stage: Stage, workflow: str, model: ScriptedModel, prompt: str) -> Any:
    """What the agents said, and the steps of their run by name."""
    told = {"baseURL": model.base_url, "prompt": prompt}
    run_id = await stage.trigger(workflow, told)
    result = await stage.result(run_id)
    model.assert_done()
    return result["text"], steps_of(await stage.run(run_id))


@scenario("agents", "parallel", frameworks=ONE_WILL_DO)
async def agent_with_tools(stage: Stage) -> None:
    with ScriptedModel() as model:
        model.call_tools(("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"}))
        model.say("Rome is warmer.")
        text, steps = await text_of(stage, "agent", model, "Oslo or Rome?")
        assert text == "Rome is warmer."
        assert steps["Call Agent reporter"]["stepType"] == "Call"
        assert steps["Run tool weather"]["stepType"] == "Run"
        assert "celsius" in str(model.requests[1].body), "the model sees what the tools gave"


@scenario("agents", frameworks=ONE_WILL_DO)
async def agent_with_another_provider(stage: Stage) -> None:
    with ScriptedModel() as model:
        model.call_tools(("lookUp", {"word": "fjord"}))
        model.say("A fjord is an inlet.")
        text, steps = await text_of(stage, "agent-ai-sdk", model, "What is a fjord?")
        assert text == "A fjord is an inlet."
        assert steps["look up fjord"]["out"] == '"fjord: found"'


@scenario("agents", frameworks=ONE_WILL_DO)
async def team_of_agents(stage: Stage) -> None:
    with ScriptedModel() as model:
        model.call_tools(("one", {"prompt": "the weather of Oslo"}))
        model.call_tools(("weather", {"city": "Oslo"}))
        model.say("3 degrees")
        model.say("Oslo has 3 degrees.")
        text, steps = await text_of(stage, "agent-team", model, "How is Oslo?")
        assert text == "Oslo has 3 degrees."
        assert "Run tool weather" in steps
