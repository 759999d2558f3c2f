"""Evaluator and optimizer: one agent writes, another judges, until it is good.

The verdict is a value of a type, so that the loop is plain Python.
"""

import asyncio

from pydantic import BaseModel

from workflow_agents import Agent, AsyncWorkflowContext, Engine, OpenAIModel, agent_workflow
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("evaluator.db")
scripted = ScriptedModel().start()
model = OpenAIModel("gpt-4o", base_url=scripted.base_url, api_key="none")


class Verdict(BaseModel):
    """What the evaluator says of a text."""

    good: bool
    correction: str = ""


writer = Agent(model=model, name="writer", background="You write.", max_steps=1)
evaluator = Agent(
    model=model,
    name="evaluator",
    background="You judge texts, and say how they could be better.",
    output_type=Verdict,
    max_steps=1,
)


@engine.workflow("/write")
async def write(context: AsyncWorkflowContext[str]) -> str:
    agents = agent_workflow(context)
    prompt, text = context.request_payload, ""
    for _ in range(3):
        text = (await agents.task(agent=writer, prompt=prompt).run()).text
        verdict = (await agents.task(agent=evaluator, prompt=f"Judge: {text}").run()).output
        if verdict.good:
            break
        prompt = f"Write it better: {text} What is wrong: {verdict.correction}"
    return text


async def main() -> None:
    scripted.say("Quanta are small.")
    scripted.say('{"good": false, "correction": "Say what they are."}')
    scripted.say("Quanta are the smallest portions of energy.")
    scripted.say('{"good": true}')
    async with engine:
        print(await (await engine.client.trigger(write, "A line on quanta.")).result())
    print(scripted.requests[2].prompt)
    scripted.assert_done()
    scripted.stop()


asyncio.run(main())

# prints:
#   Quanta are the smallest portions of energy.
#   Write it better: Quanta are small. What is wrong: Say what they are.
