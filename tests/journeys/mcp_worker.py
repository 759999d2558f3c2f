"""An agent with an MCP server on stdio, to be killed in the middle of a tool: for `test_mcp`.

usage: python mcp_worker.py STORE NOTES MODEL PYTHON

PYTHON: what comes before the server among the arguments of Python, a JSON list.
"""

import asyncio
import json
import sys
from pathlib import Path

from workflow_agents import AsyncWorkflowContext, Engine, agent_workflow, mcp_server

RUN = "wfr_buying"


def engine_with(store: str, notes: str, model: str, python: str, *, hang: bool) -> Engine:
    """The engine; `hang`: whether the server's tool stops in the middle, and says so."""
    engine = Engine(store)
    script = Path(__file__).with_name("mcp_on_stdio.py")
    args = [*json.loads(python), str(script), notes, *(["hang"] if hang else [])]

    @engine.workflow("/buy", retries=0)
    async def buy(context: AsyncWorkflowContext[None]) -> str:
        agents = agent_workflow(context)
        buyer = agents.agent(
            model=agents.openai("gpt-4o", base_url=model, api_key="sk-t0p"),
            name="buyer",
            tools=[mcp_server(sys.executable, args=args, name="shop")],
        )
        return (await agents.task(agent=buyer, prompt="Buy.").run()).text

    return engine


async def main() -> None:
    async with engine_with(*sys.argv[1:5], hang=True) as engine:
        handle = await engine.client.trigger("/buy", workflow_run_id=RUN)
        await handle.result()


if __name__ == "__main__":
    asyncio.run(main())
