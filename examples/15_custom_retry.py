"""A retry loop of one's own: which answers are worth a retry, and how long to wait, is code.

Source: the documentation's example "Custom Retry Logic".
"""

import asyncio

from stand_in import Service

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("retry.db")
answers = [(500, {}), (429, {}), (200, {"choices": ["a long essay"]})]
stored: list[str] = []


@engine.workflow("/custom-retry-logic")
async def custom_retry_logic(context: AsyncWorkflowContext[str]) -> str:
    """Ten attempts; each is a step, and so is each pause between two."""
    for attempt in range(10):
        answer = await context.call(
            f"call-{attempt}",
            url=context.request_payload,
            method="POST",
            body={"write": "an essay"},
        )
        if answer.status < 300:
            await context.run("store-response", lambda body=answer.body: stored.append(body))
            return f"attempt {attempt + 1} succeeded"
        pause = "30ms" if answer.status == 429 else "10ms"
        print(f"attempt {attempt + 1}: {answer.status}, again in {pause}")
        await context.sleep(f"pause-{attempt}", pause)
    return "given up"


async def main() -> None:
    with Service({"POST /essays": lambda headers, body: answers.pop(0)}) as service:
        async with engine:
            handle = await engine.client.trigger(custom_retry_logic, f"{service.url}/essays")
            print(await handle.result(), stored)


asyncio.run(main())

# prints:
#   attempt 1: 500, again in 10ms
#   attempt 2: 429, again in 30ms
#   attempt 3 succeeded [{'choices': ['a long essay']}]
