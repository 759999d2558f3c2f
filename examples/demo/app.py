"""Five agents make a page about a planet, behind one HTTP endpoint.

    uvicorn examples.demo.app:app

    curl -X POST localhost:8000/page -H 'content-type: application/json' -d '{"planet": "Mars"}'

A researcher looks facts up in a book; a poet and a teacher work on them side by side; a manager
has an editor or a critic finish the page. Nothing here knows that the process may be killed at
any line: that is the point. `run.py` beside it does so.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Literal, TypedDict

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from workflow_agents import AsyncWorkflowContext, agent_workflow
from workflow_agents.fastapi import Serve

Planet = Literal["Mercury", "Venus", "Mars", "Jupiter", "Saturn"]

FACT_BOOK: dict[Planet, str] = {
    "Mercury": "Mercury is the smallest planet. A year there lasts 88 days.",
    "Venus": "Venus is the hottest planet, at 465 degrees. It turns backwards.",
    "Mars": "Mars is red because its iron rusts. It has two moons, Phobos and Deimos.",
    "Jupiter": "Jupiter is the largest planet. Its red spot is a storm wider than the Earth.",
    "Saturn": "Saturn has rings of ice and rock. It would float in a bathtub.",
}


class Order(TypedDict):
    """What the endpoint is sent."""

    planet: Planet


class Page(TypedDict):
    """What a run makes."""

    facts: str
    poem: str
    question: str
    title: str


def look_up(planet: Planet) -> str:
    """Look up what the fact book says about a planet."""
    return FACT_BOOK[planet]


app = FastAPI(title="Pages about planets")
serve = Serve(app, store=os.environ.get("DEMO_STORE", ".workflow_agents/demo.db"))


@serve.post("/page", retries=3)
async def page(context: AsyncWorkflowContext[Order]) -> Page:
    """Four pieces of text about a planet, by five agents."""
    planet = context.request_payload["planet"]
    agents = agent_workflow(context)
    model = agents.openai(context.env.get("OPENAI_MODEL") or "gpt-4o-mini")

    researcher = agents.agent(
        model=model,
        name="researcher",
        background="You tell what the fact book says.",
        tools=[look_up],
        max_steps=4,
    )
    poet = agents.agent(model=model, name="poet", background="You write short poems.")
    teacher = agents.agent(model=model, name="teacher", background="You teach small children.")
    editor = agents.agent(model=model, name="editor", background="You find short titles for pages.")
    critic = agents.agent(model=model, name="critic", background="You find faults in texts.")

    asked = f"What is special about {planet}? Answer in one short sentence."
    facts = (await agents.task(agent=researcher, prompt=asked).run()).text

    poem, question = await asyncio.gather(
        agents.task(agent=poet, prompt=f"{facts}\n\nWrite a poem of two lines about this.").run(),
        agents.task(
            agent=teacher,
            prompt=f"{facts}\n\nWhich question could a child ask about this? Answer with it.",
        ).run(),
    )

    title = await agents.task(
        model=model,
        agents=[editor, critic],
        prompt=f"Give a page about the planet {planet} a short title.",
        max_steps=4,
    ).run()
    return {"facts": facts, "poem": poem.text, "question": question.text, "title": title.text}


@app.get("/runs/{run_id}/feed")
async def feed(run_id: str) -> StreamingResponse:
    """All that has happened to a run, and what happens from now on, one JSON line each."""

    async def lines() -> AsyncIterator[str]:
        async for entry in serve.client.handle(run_id).feed():
            yield json.dumps(asdict(entry)) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@app.get("/runs/{run_id}")
async def status(run_id: str) -> dict[str, Any]:
    """What has become of a run."""
    log = await serve.client.handle(run_id).log()
    return {"state": log.state, "result": log.result, "failure": log.failure}
