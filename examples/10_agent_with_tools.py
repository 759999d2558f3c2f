"""An agent with two tools. The model is a scripted server; the loop around it is the real one."""

import asyncio
import os

from workflow_agents import AsyncWorkflowContext, Engine, agent_workflow
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("agent.db")
model_server = ScriptedModel()


def stock_of(item: str) -> int:
    """Tell how many pieces of an item are in the warehouse."""
    return {"chair": 12, "table": 3}[item]


def price_of(item: str) -> int:
    """Tell what an item costs, in euros."""
    return {"chair": 15, "table": 90}[item]


@engine.workflow("/ask")
async def ask(context: AsyncWorkflowContext[str]) -> str:
    """Let the agent answer the question."""
    agents = agent_workflow(context)
    model = agents.openai("gpt-4o", base_url=model_server.base_url)
    clerk = agents.agent(
        model=model,
        name="clerk",
        background="You know the warehouse.",
        tools=[stock_of, price_of],
        max_steps=5,
    )
    return (await agents.task(agent=clerk, prompt=context.request_payload).run()).text


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"  # read when a call is made, never stored
    with model_server as model:
        model.call_tools(("stock_of", {"item": "chair"}))
        model.call_tools(("price_of", {"item": "chair"}))
        model.say("We have 12 chairs, at 15 euros.")
        async with engine:
            run = await engine.client.trigger(ask, "Have you got chairs?")
            print(await run.result())
            for step in (await run.log()).steps:
                print(f"{step.type}: {step.name}")
        model.assert_done()


asyncio.run(main())

# prints:
#   We have 12 chairs, at 15 euros.
#   Call: Call Agent clerk
#   Run: Run tool stock_of
#   Call: Call Agent clerk
#   Run: Run tool price_of
#   Call: Call Agent clerk
