"""A shop: an order is paid, shipped and handed to a carrier. Runs the same wherever runs are kept.

uvicorn examples.shop.app:app                     # an engine in this process, on a file
workflow-agents dev examples.shop.app:app         # a development server beside it
QSTASH_URL=... QSTASH_TOKEN=... uvicorn ...       # your own server, or a hosted one

curl localhost:8000/workflows/order -d '{"id": "o-7", "item": "chair", "euros": 40}'
curl localhost:8000/payments/o-7 -d '{"euros": 40}'
curl localhost:8000/runs/wfr_...
"""

import asyncio
import os
from pathlib import Path
from typing import Any, TypedDict

import httpx2
from fastapi import FastAPI

from workflow_agents import AsyncWorkflowContext, create_workflow
from workflow_agents.fastapi import Serve

app = FastAPI()
serve = Serve(app)
ledger = Path(os.environ.get("SHOP_LEDGER", "ledger.txt"))
"""What was really done, a line each: the effects that no crash may repeat or lose."""


class Order(TypedDict):
    id: str
    item: str
    euros: int


def done(what: str) -> str:
    """Note an effect on the world outside."""
    with ledger.open("a", encoding="utf-8") as lines:
        lines.write(f"{what}\n")
    return what


@create_workflow
async def shipping(context: AsyncWorkflowContext[Order]) -> dict[str, Any]:
    """Pack, hand over to the carrier, and wait until the parcel has arrived."""
    order = context.request_payload
    shop = context.url.partition("/workflows/")[0]
    packed = await context.run("pack", lambda: done(f"pack {order['id']}"))
    arrival = await context.create_webhook("arrival")
    parcel = {"tell": arrival.webhook_url, "packed": packed}
    await context.call("carrier", url=f"{shop}/carrier", method="POST", body=parcel)
    arrived = await context.wait_for_webhook("arrived", arrival, timeout="7d")
    return {"arrived": arrived.request.body.decode(), "timeout": arrived.timeout}


@create_workflow
async def order(context: AsyncWorkflowContext[Order]) -> dict[str, Any]:
    """From the order to the parcel at the door."""
    order = context.request_payload
    shop = context.url.partition("/workflows/")[0]
    reserved, rate = await asyncio.gather(
        context.run("reserve", lambda: done(f"reserve {order['id']}")),
        context.call("rate", url=f"{shop}/rate", method="GET"),
    )
    await context.sleep("cooling-off", "1s")
    payment = await context.wait_for_event("payment", f"paid-{order['id']}", timeout="1d")
    if payment.timeout:
        return {"cancelled": await context.run("release", lambda: done(f"release {order['id']}"))}
    booked = await context.run("book", lambda: done(f"book {order['id']}"))
    parcel = await context.invoke("ship", shipping, order)
    told = await context.notify("thank", f"thanks-{order['id']}", {"item": order["item"]})
    return {
        "reserved": reserved,
        "dollars": order["euros"] * rate.body["dollars"],
        "paid": payment.event_data["euros"],
        "booked": booked,
        "parcel": parcel.body,
        "told": len(told.notify_response),
    }


serve.many("/workflows", {"order": order, "shipping": shipping}, retries=5, retry_delay="200")


@app.post("/payments/{order_id}")
async def paid(order_id: str, payment: dict[str, Any]) -> dict[str, int]:
    """The customer has paid: the order that waits for it goes on."""
    return {"woken": len(await serve.client.notify(f"paid-{order_id}", payment))}


@app.get("/runs/{run_id}")
async def run(run_id: str) -> dict[str, Any]:
    """How a run is."""
    log = await serve.client.handle(run_id).log()
    return {"state": log.state, "result": log.result, "steps": [step.name for step in log.steps]}


@app.get("/rate")
async def rate() -> dict[str, int]:
    """What a euro is worth; in place of somebody else's service."""
    return {"dollars": 2}


@app.post("/carrier")
async def carrier(parcel: dict[str, str]) -> dict[str, str]:
    """Brings a parcel and tells so, at the address that it was given; somebody else's, too.

    It tells before it accepts: if this process is killed in between, it is asked again.
    """
    async with httpx2.AsyncClient() as http:
        (await http.post(parcel["tell"], content="at the door")).raise_for_status()
    return {"accepted": parcel["packed"]}
