"""A run sleeps in the store: the process that wakes it need not be the one that began it."""

import asyncio

from workflow_agents import AsyncWorkflowContext, Engine


def process() -> Engine:
    """What every process does when it starts: open the store, serve the code."""
    engine = Engine("newsletter.db")

    @engine.workflow("/newsletter")
    async def newsletter(context: AsyncWorkflowContext[str]) -> str:
        async def welcome() -> str:
            print("mailed: welcome,", context.request_payload)
            return "welcomed"

        state = await context.run("welcome", welcome)
        await context.sleep("until the follow-up", "1s")

        async def follow_up() -> str:
            print("mailed: how is it going,", context.request_payload)
            return "followed up"

        return f"{state}, then {await context.run('follow up', follow_up)}"

    return engine


async def main() -> None:
    async with process() as engine:
        run = await engine.client.trigger("/newsletter", "Ada")
        async for entry in run.feed():
            if entry.kind == "STEP_WAITING":
                break
        print("the first process ends; state:", await run.status())

    async with process() as engine:
        print("the second begins; state:", await engine.client.handle(run.run_id).status())
        print(await engine.client.handle(run.run_id).result())


asyncio.run(main())

# prints:
#   mailed: welcome, Ada
#   the first process ends; state: RUN_STARTED
#   the second begins; state: RUN_STARTED
#   mailed: how is it going, Ada
#   welcomed, then followed up
