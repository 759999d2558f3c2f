"""A FastAPI app whose workflow gets an address of its own, and is called back there."""

import asyncio

import httpx2
from fastapi import FastAPI

from workflow_agents import AsyncWorkflowContext
from workflow_agents.fastapi import Serve

app = FastAPI()
serve = Serve(app, store="printing.db")


@serve.post("/print")
async def print_book(context: AsyncWorkflowContext[dict]) -> list[str]:
    """Order a print, and follow the printer's reports until it is done."""
    webhook = await context.create_webhook("where the printer reports")

    async def order() -> str:
        orders.put_nowait(webhook.webhook_url)
        return context.request_payload["title"]

    reports = [await context.run("order", order)]
    while reports[-1] != "done":
        report = await context.wait_for_webhook("next report", webhook, timeout="1d")
        if report.timeout or report.request is None:
            return [*reports, "the printer is silent"]
        reports.append(report.request.json()["state"])
    return reports


orders: "asyncio.Queue[str]" = asyncio.Queue()


async def main() -> None:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop.example") as http:
        started = await http.post("/print", json={"title": "Moby Dick"})
        print(started.status_code, started.json()["finishCondition"])
        address = await orders.get()
        print("on", address.partition("/v2/")[0])
        for state in ("printing", "binding", "done"):
            answer = await http.post(address, json={"state": state})
            print("reported:", answer.status_code)
        run = serve.client.handle(started.json()["workflowRunId"])
        print(await run.result())
    await serve.engine.stop()


asyncio.run(main())

# prints:
#   200 success
#   on http://shop.example
#   reported: 200
#   reported: 200
#   reported: 200
#   ['Moby Dick', 'printing', 'binding', 'done']
