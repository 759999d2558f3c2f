"""An agent with the tools of an MCP server, which is started for it: `library_server.py`."""

import asyncio
import os
import sys
from pathlib import Path

from workflow_agents import AsyncWorkflowContext, Engine, agent_workflow, mcp_server
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("mcp.db")
model_server = ScriptedModel()

SERVER = str(Path(__file__).with_name("library_server.py"))
"""It may be written by anyone, in any language."""


@engine.workflow("/library")
async def library(context: AsyncWorkflowContext[str]) -> str:
    """Let the agent answer; each call of a tool of the server is a step."""
    agents = agent_workflow(context)
    model = agents.openai("gpt-4o", base_url=model_server.base_url)
    books = mcp_server(sys.executable, args=[SERVER], name="library")
    librarian = agents.agent(model=model, name="librarian", tools=[books])
    return (await agents.task(agent=librarian, prompt=context.request_payload).run()).text


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"
    with model_server as model:
        model.call_tools(("shelf_of", {"title": "Emma"}))
        model.say("Emma stands on shelf 4.")
        async with engine:
            run = await engine.client.trigger(library, "Where is Emma?")
            print(await run.result())
            for step in (await run.log()).steps:
                print(f"{step.type}: {step.name}")
        model.assert_done()


asyncio.run(main())

# prints:
#   Emma stands on shelf 4.
#   Run: List tools of library
#   Call: Call Agent librarian
#   Run: Run tool shelf_of
#   Call: Call Agent librarian
