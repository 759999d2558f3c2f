"""The process that `test_agents_sigkill` kills: eight agents on three levels, in one run.

    Manager LLM ── north ── fjord, glen, heath       each measures seven places, one at a time
               └── south ── moor, tarn               each measures six

usage: python agents_sigkill_worker.py STORE NOTES LIFE MODEL_URL
"""

import asyncio
import os
import sys

from workflow_agents import Agent, AsyncWorkflowContext, Engine, Limits, OpenAIModel, agent_workflow

SURVEYORS = {"fjord": 7, "glen": 7, "heath": 7, "moor": 6, "tarn": 6}
LEADS = {"north": ["fjord", "glen", "heath"], "south": ["moor", "tarn"]}


def height(surveyor: str, place: int) -> int:
    """What is measured; another number for every place."""
    return 1_000 * (1 + [*SURVEYORS].index(surveyor)) + place


def total() -> int:
    """What the whole task comes to."""
    return sum(height(name, i) for name, places in SURVEYORS.items() for i in range(places))


def main(store: str, notes_path: str, life: str, model_url: str) -> None:
    # Killed at random, a run may well make no progress many times: that is no poison here.
    engine = Engine(store, limits=Limits(recoveries=1_000))
    notes = os.open(notes_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    model = OpenAIModel("gpt-4o", base_url=model_url, api_key="none")

    async def measure(surveyor: str, place: int) -> int:
        """Measure how high a place is."""
        os.write(notes, f"{life} {height(surveyor, place)}\n".encode())
        await asyncio.sleep(0.01)
        return height(surveyor, place)

    surveyors = {
        name: Agent(model=model, name=name, tools=[measure], max_steps=9, output_type=int)
        for name in SURVEYORS
    }
    leads = [
        Agent(model=model, name=lead, tools=[surveyors[name] for name in names], max_steps=5)
        for lead, names in LEADS.items()
    ]

    @engine.workflow("/survey", retries=50, retry_delay="10")
    async def survey(context: AsyncWorkflowContext[None]) -> int:
        agents = agent_workflow(context)
        task = agents.task(model=model, agents=leads, prompt="Add it all up.", output_type=int)
        return (await task.run()).output

    async def run() -> None:
        async with engine:
            handle = await engine.client.trigger(survey, workflow_run_id="survey")
            print("ready", flush=True)
            print(await handle.result(), flush=True)

    asyncio.run(run())


if __name__ == "__main__":
    main(*sys.argv[1:])
