"""A LangChain agent with one argument more, `middleware`: its turns and tools are steps."""

import asyncio
import os
from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

from workflow_agents import AsyncWorkflowContext, Engine
from workflow_agents.integrations.langchain import WorkflowMiddleware
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("langchain.db")
model_server = ScriptedModel()


def stock_of(item: str) -> int:
    """Tell how many pieces of an item are in the warehouse."""
    return {"chair": 12, "table": 3}[item]


@engine.workflow("/ask")
async def ask(context: AsyncWorkflowContext[str]) -> str:
    """Let the agent answer the question."""
    agent: Any = create_agent(
        ChatOpenAI(model="gpt-4o", base_url=model_server.base_url),
        [stock_of],
        middleware=[WorkflowMiddleware(context, agent="clerk")],
    )
    result = await agent.ainvoke({"messages": [("user", context.request_payload)]})
    return result["messages"][-1].content


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"
    os.environ["LANGSMITH_TRACING"] = "false"
    with model_server as model:
        model.call_tools(("stock_of", {"item": "chair"})).say("We have 12 chairs.")
        async with engine:
            run = await engine.client.trigger(ask, "Have you got chairs?")
            print(await run.result())
            print(*(f"{step.type}: {step.name}" for step in (await run.log()).steps), sep="\n")


asyncio.run(main())

# prints:
#   We have 12 chairs.
#   Run: Call Agent clerk
#   Run: Run tool stock_of
#   Run: Call Agent clerk
