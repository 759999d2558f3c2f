"""A model that is down, and two that stand in for it: three APIs behind one agent.

One scripted server plays OpenAI and Anthropic. LangChain's chat models stand in just as well:
FallbackModel("openai:gpt-4o", ChatOpenAI(...)).
"""

import asyncio
import os

from workflow_agents import (
    Agent,
    AsyncWorkflowContext,
    Engine,
    FallbackModel,
    agent_workflow,
    model,
)
from workflow_agents.testing.model_server import Error, ScriptedModel

engine = Engine("models.db")
guide = Agent(
    name="guide",
    background="You know cities.",
    model=FallbackModel(
        model("openai:gpt-4o", call_settings={"retries": 1, "retry_delay": "10"}),
        "anthropic:claude-sonnet-4-5",
        "openai-responses:o3",
    ),
)


@engine.workflow("/ask")
async def ask(context: AsyncWorkflowContext[str]) -> dict[str, object]:
    """Let the agent answer, with whichever model is up."""
    task = agent_workflow(context).task(agent=guide, prompt=context.request_payload)
    result = await task.run()
    return {"answer": result.text, "cached tokens": result.usage.cached_prompt_tokens}


async def main() -> None:
    with ScriptedModel() as server:
        # Read when a request is made; the keys are never stored.
        os.environ |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-any"}
        os.environ |= {"ANTHROPIC_BASE_URL": server.anthropic_url, "ANTHROPIC_API_KEY": "sk-ant"}
        server.when(lambda request: request.api == "chat", Error(503, "We are down."), repeat=True)
        server.say("The Hague.", usage=(40, 3), cached=32)
        async with engine:
            run = await engine.client.trigger(ask, "Where does the Dutch government sit?")
            print(await run.result())
            for step in (await run.log()).steps:
                print(f"{step.type}: {step.name}, {step.state}")
        print([request.api for request in server.requests])


asyncio.run(main())

# prints:
#   {'answer': 'The Hague.', 'cached tokens': 32}
#   Call: Call Agent guide, STEP_FAILED
#   Call: Call Agent guide, STEP_SUCCESS
#   ['chat', 'chat', 'messages']
