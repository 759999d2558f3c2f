"""An agent on each kind of model. Run as a program it serves one of them on a store file, and
kills its own process with SIGKILL once the model's first answer is recorded, if it is told to:

    python our_models.py <model> <store> <base_url> [crash]
"""

import asyncio
import os
import signal
import sys
import warnings
from typing import Any

from workflow_agents import AsyncWorkflowContext, Engine, agent_workflow
from workflow_agents.agents.workflow import Agents

KEY = "sk-of-the-test"
MODELS = ("chat", "responses", "anthropic", "langchain", "fallback")


def made(kind: str, agents: Agents, base_url: str) -> Any:
    """The model of that kind."""
    once: Any = {"retries": 0}
    match kind:
        case "chat":
            return agents.openai("gpt-4o", base_url=base_url, api_key=KEY)
        case "responses":
            return agents.openai("gpt-4o", base_url=base_url, api_key=KEY, api="responses")
        case "anthropic":
            return agents.anthropic("claude", base_url=base_url, api_key=KEY)
        case "fallback":
            return agents.fallback(
                agents.openai("gpt-4o", base_url="http://127.0.0.1:9/v1", call_settings=once),
                agents.model("anthropic:claude", base_url=base_url, api_key=KEY),
            )
        case _:
            warnings.simplefilter("ignore")
            from langchain_openai import ChatOpenAI

            key: Any = KEY
            return ChatOpenAI(model="gpt-4o", base_url=base_url, api_key=key, max_retries=0)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    if "crash" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return a + b


async def main(kind: str, store: str, base_url: str) -> None:
    """Ask an agent on a model of that kind; go on with what a killed process has left."""
    os.environ["OPENAI_API_KEY"] = KEY
    engine = Engine(store)

    @engine.workflow("/ask")
    async def ask(context: AsyncWorkflowContext[str]) -> str:
        agents = agent_workflow(context)
        model = made(kind, agents, base_url)
        agent = agents.agent(model=model, name="adder", background="You add.", tools=[add])
        result = await agents.task(agent=agent, prompt=context.request_payload).run()
        return f"{result.text} {result.usage.total_tokens}"

    async with engine, asyncio.timeout(60):
        handle = await engine.client.trigger(ask, "What is 2 + 3?", workflow_run_id="the-run")
        print(await handle.result())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
