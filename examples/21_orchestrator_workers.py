"""Orchestrator and workers: a manager gives parts of the work to agents, all at once."""

import asyncio

from workflow_agents import (
    Agent,
    AsyncWorkflowContext,
    Engine,
    OpenAIModel,
    UsageLimits,
    agent_workflow,
)
from workflow_agents.testing.model_server import CallTools, ScriptedModel

engine = Engine("orchestrator.db")
scripted = ScriptedModel().start()
model = OpenAIModel("gpt-4o", base_url=scripted.base_url, api_key="none")

FIELDS = {"mechanics": "F = ma", "quanta": "E = hf", "relativity": "E = mc2"}
workers = [
    Agent(model=model, name=field, background=f"You answer questions about {field}.", max_steps=3)
    for field in FIELDS
]


@engine.workflow("/questions")
async def questions(context: AsyncWorkflowContext[None]) -> dict[str, int | str]:
    agents = agent_workflow(context)
    task = agents.task(
        model=model,
        agents=workers,
        prompt="Write questions and answers on advanced physics.",
        max_steps=3,
        limits=UsageLimits(model_calls=10),  # the manager's and all workers' together
    )
    result = await task.run()
    return {"text": result.text, "model calls": len(result.calls)}


async def main() -> None:
    scripted.when(
        lambda request: request.agent == "Manager LLM",
        CallTools(tuple((field, {"prompt": f"The law of {field}?"}) for field in FIELDS)),
        lambda request: "; ".join(m["content"] for m in request.messages if m["role"] == "tool"),
    )
    for field, law in FIELDS.items():
        scripted.when(lambda request, field=field: request.agent == field, law)
    async with engine:
        result = await (await engine.client.trigger(questions)).result()
    print(result["text"])
    print(result["model calls"], "model calls")
    scripted.assert_done()
    scripted.stop()


asyncio.run(main())

# prints:
#   F = ma; E = hf; E = mc2
#   5 model calls
