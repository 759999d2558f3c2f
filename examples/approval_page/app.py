"""A page that starts a run, follows it while it happens, and asks a person to decide.

    uvicorn examples.approval_page.app:app       # http://localhost:8000

The page (`index.html`, `page.js`) follows the run by the module that the package serves beside
the stream of events. The dashboard, at http://localhost:8000/workflow-agents, shows the same run,
and can decide it too: whoever is first.

Source: the documentation's cases "Realtime" and "Human in the loop".
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from workflow_agents import AsyncWorkflowContext
from workflow_agents.fastapi import Serve
from workflow_agents.operations import EventStream

HERE = Path(__file__).parent
PACE_S = float(os.environ.get("APPROVAL_PACE", "0.7"))
"""How long each step takes, so that there is something to see."""


class Payout(BaseModel):
    """What the page asks for."""

    supplier: str
    euros: int
    reason: str


class Decision(BaseModel):
    """What a person decides."""

    approved: bool
    by: str


app = FastAPI(title="Payouts")
serve = Serve(app, store=os.environ.get("APPROVAL_STORE", "payouts.db"), dashboard=True)
events = EventStream(serve.engine, tickets=True)
app.mount("/events", events)
app.mount("/page", StaticFiles(directory=HERE))


async def worked(result: str) -> str:
    """What a real step would find out or do."""
    await asyncio.sleep(PACE_S)
    return result


def event_of(run_id: str) -> str:
    """What the decision about a payout is called."""
    return f"payout-{run_id}"


@serve.post("/payouts")
async def payout(context: AsyncWorkflowContext[Payout]) -> str:
    """Check, ask a person, and pay or do not."""
    asked = context.request_payload
    sum_of = f"{asked.euros} euros to {asked.supplier}"
    await context.run("Check the invoice", lambda: worked("it adds up"))
    past = await context.run("Look the supplier up", lambda: worked("3 payouts before, all fine"))
    answer = await context.wait_for_event(
        "Wait for approval",
        event_of(context.workflow_run_id),
        timeout="7d",
        details={
            "ask": f"Pay {sum_of} for {asked.reason}?",
            "known": past,
            # The dashboard makes a button of each.
            "answers": {
                "Approve": {"approved": True, "by": "somebody at the dashboard"},
                "Reject": {"approved": False, "by": "somebody at the dashboard"},
            },
        },
    )
    if answer.timeout:
        return "Nobody decided within a week: nothing was paid."
    decision = Decision(**answer.event_data)
    if not decision.approved:
        await context.run("Tell whoever asked", lambda: worked("told"))
        return f"Rejected by {decision.by}: nothing was paid."
    await context.run("Pay", lambda: worked(sum_of))
    await context.run("Send the receipt", lambda: worked("sent"))
    return f"Paid {sum_of}, approved by {decision.by}."


# What the page asks. A real app asks here who somebody is, and what he may do.


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page itself."""
    return FileResponse(HERE / "index.html")


@app.post("/api/runs")
async def start(asked: Payout) -> dict[str, str]:
    """Start a run."""
    run = await serve.client.trigger(payout, asked.model_dump())
    return {"runId": run.run_id}


@app.get("/api/runs/{run_id}/ticket")
async def ticket(run_id: str) -> PlainTextResponse:
    """What lets this visitor follow this run, and nothing else."""
    return PlainTextResponse(events.ticket(run_id, lasts="15m"))


@app.post("/api/runs/{run_id}/decision")
async def decide(run_id: str, decision: Decision) -> dict[str, Any]:
    """Approve or reject; whoever comes second is told so."""
    told = await serve.client.notify(event_of(run_id), decision.model_dump())
    if not told:
        raise HTTPException(409, "It is decided already.")
    return {}
