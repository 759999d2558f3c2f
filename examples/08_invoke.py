"""A workflow invokes another and waits for its end, whatever that is."""

import asyncio

from workflow_agents import AsyncWorkflowContext, Engine, WorkflowNonRetryableError

engine = Engine("kitchen.db")


@engine.workflow("/cook")
async def cook(context: AsyncWorkflowContext[str]) -> str:
    """Cook one dish."""
    dish = context.request_payload

    async def fire() -> str:
        if dish == "ice":
            raise WorkflowNonRetryableError("it melts")
        return f"hot {dish}"

    return await context.run("fire", fire)


@engine.workflow("/menu")
async def menu(context: AsyncWorkflowContext[list[str]]) -> dict[str, str]:
    """Have every dish cooked by a run of its own, at the same time."""
    dishes = context.request_payload
    cooked = await asyncio.gather(*(context.invoke(f"cook {d}", cook, d) for d in dishes))
    return {d: "failed" if c.is_failed else c.body for d, c in zip(dishes, cooked, strict=True)}


async def main() -> None:
    async with engine:
        run = await engine.client.trigger(menu, ["soup", "ice", "tea"])
        print(await run.result())
        print("runs:", len(await engine.client.logs()))
        print("failed:", [log.payload for log in await engine.client.logs(state="RUN_FAILED")])


asyncio.run(main())

# prints:
#   {'soup': 'hot soup', 'ice': 'failed', 'tea': 'hot tea'}
#   runs: 4
#   failed: ['ice']
