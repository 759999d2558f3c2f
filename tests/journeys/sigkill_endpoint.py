"""The endpoint of `test_server_sigkill`: workflows of two SDKs, and routes for plain messages.

usage: python sigkill_endpoint.py PORT NOTES OUTSIDE

Every body and every message is noted in a file before anything else happens with it. Now and
then one fails. The official Python SDK has no parallel steps and no waits; ours has.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from qstash import AsyncQStash
from upstash_workflow import AsyncWorkflowContext as OfficialContext
from upstash_workflow.fastapi import Serve as OfficialServe

from workflow_agents import AsyncWorkflowContext
from workflow_agents.fastapi import Serve

PORT, NOTES, OUTSIDE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
FAILURES = 0.04
MANY = 1000

app = FastAPI()
notes = os.open(NOTES, os.O_CREAT | os.O_WRONLY | os.O_APPEND)


def note(*words: Any) -> None:
    """What is written survives the process."""
    os.write(notes, " ".join(map(str, words)).encode() + b"\n")


def fails_now_and_then() -> None:
    if random.random() < FAILURES:
        raise OSError("now and then it fails")


def body(run_id: str, name: str, result: Callable[[], Any]) -> Callable[[], Any]:
    """A step's body."""

    async def noted() -> Any:
        note("body", run_id, name)
        await asyncio.sleep(0.01)
        fails_now_and_then()
        return result()

    return noted


def impatient_client() -> AsyncQStash:
    """The official SDK cannot say how long to wait before a retry; by default it is 12 seconds."""
    client = AsyncQStash(os.environ["QSTASH_TOKEN"], base_url=os.environ["QSTASH_URL"])
    send = client.http.request
    soon = {"Upstash-Retry-Delay": "100", "Upstash-Callback-Retry-Delay": "100"}

    async def request(*, path: str, **options: Any) -> Any:
        if path == "/v2/batch":
            items = json.loads(options["body"])
            for item in items:
                item["headers"] |= soon
            options["body"] = json.dumps(items)
        elif path.startswith("/v2/publish/"):
            options["headers"] |= soon
        return await send(path=path, **options)

    client.http.request = request  # pyright: ignore[reportAttributeAccessIssue] -- see above
    return client


@OfficialServe(app).post("/order", qstash_client=impatient_client(), retries=MANY)
async def order(context: OfficialContext[Any]) -> None:
    def step(name: str, result: Callable[[], Any]) -> Any:
        return context.run(name, body(context.workflow_run_id, name, result))

    n = await step("read", lambda: context.request_payload["n"])
    doubled = await step("double", lambda: n * 2)
    await context.sleep("nap", 1)
    charged = await context.call(
        "charge", url=f"{OUTSIDE}/charge", method="POST", body={"n": n}, retries=MANY
    )
    tripled = await step("triple", lambda: n * 3)
    await step("result", lambda: [doubled, charged.body["charged"], tripled])


serve = Serve(app)


@serve.post("/packing", retries=MANY, retry_delay="100")
async def packing(context: AsyncWorkflowContext[int]) -> int:
    run_id = context.workflow_run_id
    return await context.run("pack", body(run_id, "pack", lambda: context.request_payload + 1))


@serve.post("/shipment", retries=MANY, retry_delay="100")
async def shipment(context: AsyncWorkflowContext[dict[str, int]]) -> list[Any]:
    n = context.request_payload["n"]

    def step(name: str, result: Callable[[], Any]) -> Any:
        return context.run(name, body(context.workflow_run_id, name, result))

    async def branch(name: str) -> int:
        first = await step(f"{name} 1", lambda: n)
        return await step(f"{name} 2", lambda: first + 1)

    both = await asyncio.gather(branch("left"), branch("right"), step("middle", lambda: n))
    paid, packed = await asyncio.gather(
        context.wait_for_event("paid?", f"paid-{n}", timeout="1h"),
        context.invoke("packed", workflow=packing, body=n, retries=MANY, retry_delay="100"),
    )
    charged = await context.call(
        "charge", url=f"{OUTSIDE}/charge", method="POST", body={"n": n}, retries=MANY
    )
    await context.sleep("nap", 0.5)
    last = await step("last", lambda: n * 3)
    return [both, paid.event_data, packed.body, charged.body["charged"], last]


@app.post("/messages/{kind}")
async def messages(kind: str, request: Request) -> dict[str, str]:
    number = (await request.body()).decode()
    note(kind, number)
    try:
        fails_now_and_then()
    except OSError as error:
        raise HTTPException(503) from error
    return {"got": number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {}


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_level="warning", timeout_keep_alive=60)
