"""A failed payment is tried once a day for a week; then the account is suspended.

Source: the documentation's example "Payment Retries". The week passes in a moment, in the
environment that the test kit has.
"""

import asyncio

from workflow_agents import AsyncWorkflowContext
from workflow_agents.testing import WorkflowEnvironment

env = WorkflowEnvironment()
cards: dict[str, list[bool]] = {"ada": [False, False, True], "bob": [False] * 7}
suspended: set[str] = set()


async def send_email(to: str, text: str) -> None:
    print(f"day {(env.now.day - 1)}  to {to}: {text}")


async def payment_retry(context: AsyncWorkflowContext[str]) -> str:
    """The loop is ordinary code, and outlives every process that runs it."""
    user = context.request_payload
    for day in range(7):
        if await context.run("charge customer", lambda: cards[user].pop(0)):
            await context.run("send invoice", lambda: send_email(user, "here is your invoice"))
            return f"paid on day {day}"
        await context.sleep("wait a day", "1d")
    await context.run("suspend", lambda: suspended.add(user))
    await context.run("tell", lambda: send_email(user, "your account is suspended"))
    return "suspended"


async def main() -> None:
    async with env:
        for user in cards:
            print(await env.run(payment_retry, user))
    print(suspended)


asyncio.run(main())

# prints:
#   day 2  to ada: here is your invoice
#   paid on day 2
#   day 9  to bob: your account is suspended
#   suspended
#   {'bob'}
