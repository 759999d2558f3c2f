"""A manager directs two agents. Kill the process anywhere: no finished answer is asked for again.

The model is a scripted server; manager and agents follow the same loop.
"""

import asyncio
import os

from workflow_agents import AsyncWorkflowContext, Engine, agent_workflow
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("team.db")
model_server = ScriptedModel()


def population(city: str) -> int:
    """Tell how many people live in a city."""
    return {"Oslo": 717_710, "Delft": 109_577}[city]


@engine.workflow("/team")
async def team(context: AsyncWorkflowContext[str]) -> str:
    """Let the manager find out and have it put into words."""
    agents = agent_workflow(context)
    model = agents.openai("gpt-4o", base_url=model_server.base_url)
    researcher = agents.agent(
        model=model,
        name="researcher",
        background="You look numbers up.",
        tools=[population],
        max_steps=3,
    )
    writer = agents.agent(model=model, name="writer", background="You write.", max_steps=1)
    task = agents.task(
        model=model, agents=[researcher, writer], prompt=context.request_payload, max_steps=4
    )
    return (await task.run()).text


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"  # read when a call is made, never stored
    with model_server as model:
        model.call_tools(("researcher", {"prompt": "How many people live in Oslo?"}))
        model.call_tools(("population", {"city": "Oslo"}))
        model.say("717,710 people live in Oslo.")
        model.call_tools(("writer", {"prompt": "A line on Oslo: 717,710 people live there."}))
        model.say("Oslo: 717,710 neighbours.")
        model.say("Here it is: Oslo: 717,710 neighbours.")
        async with engine:
            run = await engine.client.trigger(team, "Write a line about Oslo.")
            print(await run.result())
            for step in (await run.log()).steps:
                print(step.name)
        model.assert_done()


asyncio.run(main())

# prints:
#   Here it is: Oslo: 717,710 neighbours.
#   Call Agent Manager LLM
#   Call Agent researcher
#   Run tool population
#   Call Agent researcher
#   Call Agent Manager LLM
#   Call Agent writer
#   Call Agent Manager LLM
