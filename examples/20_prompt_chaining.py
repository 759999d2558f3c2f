"""Prompt chaining: three agents in a row, the answer of one in the prompt of the next."""

import asyncio

from workflow_agents import Agent, AsyncWorkflowContext, Engine, OpenAIModel, agent_workflow
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("chaining.db")
scripted = ScriptedModel().start()
model = OpenAIModel("gpt-4o", base_url=scripted.base_url, api_key="none")


def encyclopedia(name: str) -> str:
    """Look a person up."""
    return {"Curie": "radioactivity", "Bohr": "the atom", "Noether": "symmetry"}[name]


lists = Agent(model=model, name="lists", background="You list famous physicists.", max_steps=1)
describes = Agent(
    model=model,
    name="describes",
    background="You describe the work of physicists.",
    tools=[encyclopedia],
    max_steps=2,
)
sums_up = Agent(model=model, name="sums up", background="You sum up in one line.", max_steps=1)


@engine.workflow("/physicists")
async def physicists(context: AsyncWorkflowContext[None]) -> str:
    agents = agent_workflow(context)
    names = (await agents.task(agent=lists, prompt="List three physicists.").run()).text
    works = (await agents.task(agent=describes, prompt=f"Describe the work of: {names}").run()).text
    return (await agents.task(agent=sums_up, prompt=f"Sum up: {works}").run()).text


async def main() -> None:
    scripted.say("Curie, Bohr, Noether")
    scripted.call_tools(*(("encyclopedia", {"name": n}) for n in ("Curie", "Bohr", "Noether")))
    scripted.say("Curie: radioactivity. Bohr: the atom. Noether: symmetry.")
    scripted.say("From radioactivity and the atom to symmetry.")
    async with engine:
        print(await (await engine.client.trigger(physicists)).result())
    for request in scripted.requests:
        print(f"{request.agent}: {request.prompt}")
    scripted.assert_done()
    scripted.stop()


asyncio.run(main())

# prints:
#   From radioactivity and the atom to symmetry.
#   lists: List three physicists.
#   describes: Describe the work of: Curie, Bohr, Noether
#   describes: Describe the work of: Curie, Bohr, Noether
#   sums up: Sum up: Curie: radioactivity. Bohr: the atom. Noether: symmetry.
