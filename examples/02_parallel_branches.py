"""Branches are plain asyncio: each goes on as soon as its own step is done."""

import asyncio

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("trip.db")
said: list[str] = []


@engine.workflow("/trip")
async def trip(context: AsyncWorkflowContext[dict]) -> list[str]:
    """Book three things side by side; the slow one holds up nobody."""

    async def book(what: str, wait: str) -> str:
        await context.sleep(f"{what} is checked", wait)

        async def reserve() -> str:
            said.append(what)
            return f"{what} reserved"

        return await context.run(f"reserve {what}", reserve)

    return await asyncio.gather(
        book("flight", "400ms"),
        book("hotel", "200ms"),
        book("car", "0s"),
    )


async def main() -> None:
    async with engine:
        run = await engine.client.trigger(trip)
        print(await run.result())
        print("in this order:", said)


asyncio.run(main())

# prints:
#   ['flight reserved', 'hotel reserved', 'car reserved']
#   in this order: ['car', 'hotel', 'flight']
