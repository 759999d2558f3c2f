"""Parallelization: several agents at the same time, and one that puts their answers together.

They are plain tasks under `asyncio.gather`; each branch is durable by itself.
"""

import asyncio

from workflow_agents import Agent, AsyncWorkflowContext, Engine, OpenAIModel, agent_workflow
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("parallel.db")
scripted = ScriptedModel().start()
model = OpenAIModel("gpt-4o", base_url=scripted.base_url, api_key="none")

TOPICS = ("quanta", "relativity", "chaos")
explainers = {topic: Agent(model=model, name=topic, max_steps=1) for topic in TOPICS}
editor = Agent(model=model, name="editor", background="You join texts.", max_steps=1)


@engine.workflow("/explain")
async def explain(context: AsyncWorkflowContext[None]) -> str:
    agents = agent_workflow(context)
    results = await asyncio.gather(
        *(
            agents.task(agent=explainer, prompt=f"Explain {topic} in three words.").run()
            for topic, explainer in explainers.items()
        )
    )
    texts = "\n".join(result.text for result in results)
    return (await agents.task(agent=editor, prompt=f"Join:\n{texts}").run()).text


async def main() -> None:
    answers = {
        "quanta": "Energy in lumps.",
        "relativity": "Time is local.",
        "chaos": "Small, huge.",
    }
    for topic, answer in answers.items():
        scripted.when(lambda request, topic=topic: request.agent == topic, answer)
    scripted.when(lambda request: request.agent == "editor", lambda request: request.prompt[6:])
    async with engine:
        print(await (await engine.client.trigger(explain)).result())
    scripted.assert_done()
    scripted.stop()


asyncio.run(main())

# prints:
#   Energy in lumps.
#   Time is local.
#   Small, huge.
