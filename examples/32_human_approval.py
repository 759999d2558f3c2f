"""A person approves what an agent wants to do: one refund as it is, one with a smaller amount."""

import asyncio
import os

from workflow_agents import (
    AsyncRunHandle,
    AsyncWorkflowContext,
    Engine,
    ToolContext,
    agent_workflow,
    tool,
)
from workflow_agents.testing.model_server import ScriptedModel

engine = Engine("approvals.db")
model_server = ScriptedModel()


@tool(needs_approval=lambda arguments: arguments["amount"] > 20)
def refund(order: int, amount: int, call: ToolContext) -> str:
    """Refund an order, in euros."""
    # The bank is told the key, so that a call which is made again pays nothing twice.
    assert call.idempotency_key
    return f"order {order}: {amount} euros"


@engine.workflow("/support")
async def support(context: AsyncWorkflowContext[str]) -> str:
    """Let the agent answer the customer."""
    agents = agent_workflow(context)
    model = agents.openai("gpt-4o", base_url=model_server.base_url)
    clerk = agents.agent(model=model, name="clerk", background="Be fair.", tools=[refund])
    return (await agents.task(agent=clerk, prompt=context.request_payload).run()).text


async def two_wait(run: AsyncRunHandle) -> None:
    """Until both calls that need a person wait for one."""
    waiting = 0
    async for entry in run.feed():
        waiting += entry.step_name == "Approve tool refund"
        if waiting == 2:
            return


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"
    calls = [{"order": 1, "amount": 10}, {"order": 2, "amount": 50}, {"order": 3, "amount": 900}]
    with model_server as model:
        model.call_tools(*(("refund", call) for call in calls))
        model.say("The first two are refunded, the third in part.")
        async with engine:
            run = await engine.client.trigger(support, "Nothing arrived!")
            await two_wait(run)
        # The process may end here: what waits is rows in the store.
        async with engine:
            for approval in await engine.client.approvals.list():
                order, amount = approval.arguments["order"], approval.arguments["amount"]
                print(f"{approval.agent} asks: {amount} euros for order {order}?")
                less = None if amount < 100 else {"order": order, "amount": 100}
                await engine.client.approvals.approve(approval, arguments=less, by="ada")
            print(await run.result())
            steps = [s for s in (await run.log()).steps if s.name == "Run tool refund"]
            print("\n".join(sorted(step.out["ok"] for step in steps)))
        model.assert_done()


asyncio.run(main())

# prints:
#   clerk asks: 50 euros for order 2?
#   clerk asks: 900 euros for order 3?
#   The first two are refunded, the third in part.
#   order 1: 10 euros
#   order 2: 50 euros
#   order 3: 100 euros
