"""A Pydantic AI agent with one argument more, `capabilities`: its turns and tools are steps."""

import asyncio
import os

from pydantic import BaseModel
from pydantic_ai import Agent, PromptedOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from workflow_agents import AsyncWorkflowContext, Engine
from workflow_agents.integrations.pydantic_ai import WorkflowDurability
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("pydantic_ai.db")
model_server = ScriptedModel()


class Stock(BaseModel):
    item: str
    pieces: int


def stock_of(item: str) -> int:
    """Tell how many pieces of an item are in the warehouse."""
    return {"chair": 12, "table": 3}[item]


@engine.workflow("/ask")
async def ask(context: AsyncWorkflowContext[str]) -> Stock:
    """Let the agent answer the question, in a shape of ours."""
    provider = OpenAIProvider(base_url=model_server.base_url, api_key=os.environ["OPENAI_API_KEY"])
    clerk = Agent(
        OpenAIChatModel("gpt-4o", provider=provider),
        name="clerk",
        tools=[stock_of],
        output_type=PromptedOutput(Stock),
    )
    result = await clerk.run(context.request_payload, capabilities=[WorkflowDurability(context)])
    return result.output


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"
    with model_server as model:
        model.call_tools(("stock_of", {"item": "chair"})).say('{"item": "chair", "pieces": 12}')
        async with engine:
            run = await engine.client.trigger(ask, "Have you got chairs?")
            print(await run.result())
            print(*(f"{step.type}: {step.name}" for step in (await run.log()).steps), sep="\n")


asyncio.run(main())

# prints:
#   {'item': 'chair', 'pieces': 12}
#   Run: Call Agent clerk
#   Run: Run tool stock_of
#   Run: Call Agent clerk
