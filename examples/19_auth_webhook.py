"""A sign-up at an auth provider: a user, a customer at the bank, a week of trial, and letters.

Source: the documentation's example "Auth Provider Webhook". The week passes in a moment, in the
environment that the test kit has.
"""

import asyncio
from typing import TypedDict

from workflow_agents import AsyncWorkflowContext
from workflow_agents.testing import WorkflowEnvironment


class UserCreated(TypedDict):
    name: str
    email: str


env = WorkflowEnvironment()
solved: dict[str, int] = {}


async def send_email(to: str, text: str) -> None:
    print(f"day {(env.now.day - 1):>2}  to {to}: {text}")


async def user_created(context: AsyncWorkflowContext[UserCreated]) -> str:
    """What the provider's webhook starts."""
    name, email = context.request_payload["name"], context.request_payload["email"]

    async def sync_user() -> str:
        return f"user-{name}"

    user_id = await context.run("sync user", sync_user)
    customer = await context.call(
        "create new user in stripe",
        url="https://api.stripe.example/v1/customers",
        method="POST",
        body={"email": email, "user": user_id},
        retries=3,
    )
    await context.call(
        "start trial in stripe",
        url="https://api.stripe.example/v1/subscriptions",
        method="POST",
        body={"customer": customer.body["id"], "trial_days": 14},
    )
    await context.run("send welcome email", lambda: send_email(email, "Welcome, the trial is on"))

    await context.sleep("wait", "7d")
    count = await context.run("get user stats", lambda: solved.get(user_id, 0))
    stats = f"{count} problems solved this week" if count else "You have not begun yet"
    await context.run("send stats email", lambda: send_email(email, stats))

    await context.sleep("wait for trial", "5d")
    bank = f"https://api.stripe.example/v1/customers/{customer.body['id']}"
    state = await context.call("check payment method", url=bank)
    if state.body["has_card"]:
        return "stays"
    await context.run("send trial warning", lambda: send_email(email, "The trial ends in 2 days"))
    return "warned"


async def main() -> None:
    stripe = "https://api.stripe.example/v1"
    env.http.on("POST", f"{stripe}/customers", lambda request: {"id": "cus_1"})
    env.http.on("POST", f"{stripe}/subscriptions", {"status": "trialing"})
    env.http.on("GET", f"{stripe}/customers/cus_1", {"has_card": False})
    async with env:
        run = await env.trigger(user_created, {"name": "ada", "email": "ada@example.com"})
        await env.until_waiting(run, step="wait")
        solved["user-ada"] = 4
        print(await env.result(run))


asyncio.run(main())

# prints:
#   day  0  to ada@example.com: Welcome, the trial is on
#   day  7  to ada@example.com: 4 problems solved this week
#   day 12  to ada@example.com: The trial ends in 2 days
#   warned
