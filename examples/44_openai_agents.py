"""Agents of the OpenAI Agents SDK that hand off to each other, on a durable run.

One argument changes: the agent that `Runner.run` is given.
"""

import asyncio
import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

from workflow_agents import AsyncWorkflowContext, Engine
from workflow_agents.integrations.openai_agents import durable
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("openai_agents.db")
model_server = ScriptedModel()


@function_tool
def refund(order: int) -> str:
    """Pay an order back."""
    return f"order {order} is paid back"


@engine.workflow("/support")
async def support(context: AsyncWorkflowContext[str]) -> str:
    """Triage, then whoever the triage chooses."""
    client = AsyncOpenAI(base_url=model_server.base_url)
    model = OpenAIChatCompletionsModel(model="gpt-4o", openai_client=client)
    billing = Agent(name="billing", model=model, tools=[refund])
    triage = Agent(name="triage", model=model, handoffs=[billing])
    result = await Runner.run(durable(triage, context), context.request_payload)
    return f"{result.last_agent.name}: {result.final_output}"


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"
    set_tracing_disabled(True)
    with model_server as model:
        model.call_tools(("transfer_to_billing", {}))
        model.call_tools(("refund", {"order": 7}))
        model.say("Your money is on its way.")
        async with engine:
            run = await engine.client.trigger(support, "I want my money back for order 7.")
            print(await run.result())
            print(*(f"{step.type}: {step.name}" for step in (await run.log()).steps), sep="\n")


asyncio.run(main())

# prints:
#   billing: Your money is on its way.
#   Run: Call Agent triage
#   Run: Call Agent billing
#   Run: Run tool refund
#   Run: Call Agent billing
