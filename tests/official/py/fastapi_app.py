"""The workflows of the official Python SDK, on FastAPI."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import uvicorn
from common import listening, parse, post, say
from fastapi import FastAPI
from upstash_workflow import AsyncWorkflowContext
from upstash_workflow.fastapi import Serve

app = FastAPI()
serve = Serve(app)


@serve.post("/run-values")
async def run_values(context: AsyncWorkflowContext[dict[str, Any]]) -> None:
    results = []
    for number, value in enumerate(context.request_payload["values"]):

        async def give(value: Any = value) -> Any:
            return value

        results.append(await context.run(f"value {number}", give))
    await tell(context, results)


@serve.post("/sleeps")
async def sleeps(context: AsyncWorkflowContext[dict[str, Any]]) -> None:
    begun = await context.run("begun", time.time)
    await context.sleep("by number", 1)
    await context.sleep("by text", "1s")
    until = begun + 3
    await context.sleep_until("by seconds", until)
    await context.sleep_until("by date, past", datetime.fromtimestamp(begun, UTC))
    ended = await context.run("ended", time.time)
    await tell(context, ended - begun)


@serve.post("/calls")
async def calls(context: AsyncWorkflowContext[dict[str, Any]]) -> None:
    # In a step: the visit with the answer of a call has that answer as its payload.
    asked = await context.run("asked", lambda: context.request_payload)
    results = []
    for number, settings in enumerate(asked["calls"]):
        answer = await context.call(f"call {number}", **settings)
        results.append({"status": answer.status, "body": answer.body})
    await tell(context, results)


@serve.post("/tells")
async def tells(context: AsyncWorkflowContext[Any]) -> None:
    first = await context.run("first", lambda: told(context))
    second = await context.run("second", lambda: told(context))
    await tell(context, [first, second])


@serve.post("/parsed", initial_payload_parser=parse)
async def parsed(context: AsyncWorkflowContext[dict[str, str]]) -> None:
    await tell(context, context.request_payload)


async def on_failure(
    context: AsyncWorkflowContext[Any], status: int, message: str, header: dict[str, str]
) -> None:
    payload = context.request_payload
    told = {"status": status, "message": message, "payload": payload, "headers": bool(header)}
    await asyncio.to_thread(post, payload["sink"], {"runId": context.workflow_run_id, **told})


@serve.post("/fails", retries=0, failure_function=on_failure)
async def fails(context: AsyncWorkflowContext[Any]) -> None:
    await context.run("good", lambda: "kept")

    async def bad() -> None:
        raise ValueError("it always fails")

    await context.run("bad", bad)


@serve.post("/refuses", retries=0)
async def refuses(_context: AsyncWorkflowContext[Any]) -> None:
    return


def told(context: AsyncWorkflowContext[Any]) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in context.headers.items()}
    return {
        "runId": context.workflow_run_id,
        "url": context.url,
        "payload": context.request_payload,
        "tenant": headers.get("x-tenant"),
    }


async def tell(context: AsyncWorkflowContext[Any], result: Any) -> None:
    """The result as that of a step: the SDK drops what a workflow function returns."""
    await context.run("result", lambda: result)


if __name__ == "__main__":
    listener = listening()
    say("fastapi", listener)
    config = uvicorn.Config(app, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
