"""A customer's first months: a welcome, three days of rest, then a letter every month.

Source: the documentation's example "Customer Onboarding". The months pass in a moment, in the
environment that the test kit has; `Engine` would wait them out.
"""

import asyncio
from typing import Literal, TypedDict

from workflow_agents import AsyncWorkflowContext
from workflow_agents.testing import WorkflowEnvironment

UserState = Literal["non-active", "active"]


class InitialData(TypedDict):
    email: str


env = WorkflowEnvironment()
months = 0


async def send_email(message: str, email: str) -> None:
    print(f"{env.now:%Y-%m-%d}  to {email}: {message}")


async def get_user_state() -> UserState:
    return "active" if months == 2 else "non-active"


async def customer_onboarding(context: AsyncWorkflowContext[InitialData]) -> None:
    """It never ends by itself: it is cancelled when the customer leaves."""
    email = context.request_payload["email"]
    await context.run("new-signup", lambda: send_email("Welcome to the platform", email))
    await context.sleep("wait-for-3-days", 60 * 60 * 24 * 3)
    while True:
        state = await context.run("check-user-state", get_user_state)
        if state == "non-active":
            await context.run("send-email-non-active", lambda: send_email("We miss you", email))
        else:
            await context.run("send-email-active", lambda: send_email("What is new", email))
        await context.sleep("wait-for-1-month", 60 * 60 * 24 * 30)


async def main() -> None:
    global months
    async with env:
        run = await env.trigger(customer_onboarding, {"email": "ada@example.com"})
        for _ in range(3):
            await env.until_waiting(run, step="wait-for-1-month")
            months += 1
            await env.advance("30d")
        await run.cancel()
        print(await run.status(), len((await run.log()).steps), "steps")


asyncio.run(main())

# prints:
#   2026-01-01  to ada@example.com: Welcome to the platform
#   2026-01-04  to ada@example.com: We miss you
#   2026-02-03  to ada@example.com: We miss you
#   2026-03-05  to ada@example.com: What is new
#   2026-04-04  to ada@example.com: We miss you
#   RUN_CANCELED 14 steps
