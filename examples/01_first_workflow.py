"""A first workflow: two steps, whose results are stored before the next line runs."""

import asyncio

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("first.db")


@engine.workflow("/checkout")
async def checkout(context: AsyncWorkflowContext[dict]) -> str:
    """Reserve and charge."""
    order = context.request_payload

    async def reserve() -> str:
        return f"{order['count']} {order['item']}"

    reserved = await context.run("reserve", reserve)
    charged = await context.run("charge", lambda: 15 * order["count"])  # `def` works as well
    return f"{reserved} reserved, {charged} charged"


async def main() -> None:
    async with engine:
        run = await engine.client.trigger(checkout, {"item": "chairs", "count": 2})
        print(await run.result())
        for step in (await run.log()).steps:
            print(step.name, step.state, step.out)

        # A run id of your own: the second trigger finds the run and starts no other.
        order = {"item": "tables", "count": 1}
        one = await engine.client.trigger(checkout, order, workflow_run_id="order-7")
        two = await engine.client.trigger(checkout, order, workflow_run_id="order-7")
        print(one.run_id == two.run_id, two.deduplicated)


asyncio.run(main())

# prints:
#   2 chairs reserved, 30 charged
#   reserve STEP_SUCCESS 2 chairs
#   charge STEP_SUCCESS 30
#   True True
