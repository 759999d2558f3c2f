"""A run waits for a person, at no cost, and goes on when somebody notifies it."""

import asyncio

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("refunds.db")


@engine.workflow("/refund")
async def refund(context: AsyncWorkflowContext[dict]) -> str:
    """Refund after an approval."""
    order = context.request_payload["order"]
    answer = await context.wait_for_event("approval", f"refund-{order}", timeout="3d")
    if answer.timeout:
        return f"{order}: nobody answered"
    return f"{order}: {'refunded' if answer.event_data['ok'] else 'refused'}"


async def main() -> None:
    async with engine:
        client = engine.client
        first = await client.trigger(refund, {"order": 7})
        async for entry in first.feed():
            if entry.kind == "STEP_WAITING":
                break
        woken = await client.notify("refund-7", {"ok": True})
        print("woken:", len(woken))
        print(await first.result())

        # With the run's id a notification is kept, should the run not wait yet.
        second = await client.trigger(refund, {"order": 8}, delay="300ms")
        await client.notify("refund-8", {"ok": False}, workflow_run_id=second.run_id)
        print(await second.result())


asyncio.run(main())

# prints:
#   woken: 1
#   7: refunded
#   8: refused
