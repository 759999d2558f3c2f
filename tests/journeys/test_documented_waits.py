"""The documented examples of sleeps, and the long waits of onboarding and trials.

The pages are named in `test_documented_examples.py`, which checks that none is left out.
"""
# ruff: noqa: A001  # `input` is what the documentation calls the payload

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

import pytest

from workflow_agents import AsyncWorkflowContext

DAY_MS = 86_400_000


def names(log: Any) -> list[str]:
    return [step.name for step in log.steps]


@dataclass
class User:
    name: str
    email: str


class Mail:
    """The onboarding helpers: who signed in, and what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []
        self.signed_in: list[User] = []

    async def sign_in(self, user: User) -> User:
        self.signed_in.append(user)
        return user

    async def send(self, *what: str) -> None:
        self.sent.append(what)


@pytest.fixture
def mail() -> Mail:
    return Mail()


async def test_sleep_one_day_then_greet(site, serve, mail) -> None:
    """Source: basics/context/sleep, onboarding that waits a day.

    `_sign_in` has no annotation: what it returned is read by attribute all the same.
    """
    sign_in, send_email = mail.sign_in, mail.send

    @serve.post("/api/onboarding")
    async def onboarding(context: AsyncWorkflowContext[User]) -> None:
        user_data = context.request_payload

        async def _sign_in():
            return await sign_in(user_data)

        user = await context.run("sign-in", _sign_in)

        # 👇 Wait for one day (in seconds)
        await context.sleep("wait-until-welcome-email", "1d")

        async def _send_email():
            return await send_email(user.name, user.email)

        await context.run("send-welcome-email", _send_email)

    run = await site.trigger("/api/onboarding", {"name": "Ada", "email": "ada@example.com"})
    waiting = await site.waits(run, "wait-until-welcome-email")
    await site.parked()

    assert waiting.data["until"] == site.clock.now_ms() + DAY_MS
    site.pass_time("23h")
    assert mail.sent == []
    site.pass_time("1h")
    log = await site.ended(run)

    assert mail.sent == [("Ada", "ada@example.com")]
    assert len(mail.signed_in) == 1
    assert [(step.name, step.type) for step in log.steps] == [
        ("sign-in", "Run"),
        ("wait-until-welcome-email", "SleepFor"),
        ("send-welcome-email", "Run"),
    ]


async def test_sleep_until_one_week_from_now(site, serve, mail) -> None:
    """Source: basics/context/sleepUntil, onboarding that waits until a date.

    The date is computed anew by each replay; the one of the first call counts.
    """
    sign_in, send_email = mail.sign_in, mail.send

    @serve.post("/api/onboarding")
    async def onboarding(context: AsyncWorkflowContext[User]) -> None:
        user_data = context.request_payload

        async def _sign_in():
            return await sign_in(user_data)

        user = await context.run("sign-in", _sign_in)

        # 👇 Calculate the date for one week from now
        one_week_from_now = datetime.now() + timedelta(days=7)

        # 👇 Wait until the calculated date
        await context.sleep_until("wait-for-one-week", one_week_from_now)

        async def _send_email():
            return await send_email(user.name, user.email)

        await context.run("send-welcome-email", _send_email)

    run = await site.trigger("/api/onboarding", {"name": "Ada", "email": "ada@example.com"})
    waiting = await site.waits(run, "wait-for-one-week")
    await site.parked()

    assert abs(waiting.data["until"] - site.clock.now_ms() - 7 * DAY_MS) < 60_000
    site.pass_time("7d1m")
    log = await site.ended(run)

    assert mail.sent == [("Ada", "ada@example.com")]
    assert log.steps[1].type == "SleepUntil"


async def test_follow_up_after_three_days(site, serve, mail) -> None:
    """Source: features/sleep, "Implement workflow delays with context.sleep"."""

    async def send_welcome_email(user_id: str) -> None:
        await mail.send("welcome", user_id)

    async def send_follow_up_email(user_id: str) -> None:
        await mail.send("follow-up", user_id)

    @serve.post("/api/onboarding")
    async def onboarding(context: AsyncWorkflowContext[str]) -> None:
        user_id = context.request_payload["user_id"]

        # Send welcome email immediately
        async def _send_welcome_email():
            return await send_welcome_email(user_id)

        await context.run("send-welcome-email", _send_welcome_email)

        # Wait for 3 days before sending follow-up
        await context.sleep("wait-for-follow-up", "3d")

        # Send follow-up email
        async def _send_follow_up_email():
            return await send_follow_up_email(user_id)

        await context.run("send-follow-up-email", _send_follow_up_email)

    run = await site.trigger("/api/onboarding", {"user_id": "u7"})
    await site.sleeps(run, "wait-for-follow-up")
    assert mail.sent == [("welcome", "u7")]
    site.pass_time("3d")
    await site.ended(run)

    assert mail.sent == [("welcome", "u7"), ("follow-up", "u7")]


async def test_sleep_intervals(site, serve, capsys) -> None:
    """Source: quickstarts/fastapi, "Implement Sleep Intervals in Workflows"."""

    def some_work(input: str) -> str:
        return f"processed '{input}'"

    @serve.post("/sleep")
    async def sleep(context: AsyncWorkflowContext[str]) -> None:
        input = context.request_payload

        async def _step1() -> str:
            output = some_work(input)
            print("step 1 input", input, "output", output)
            return output

        result1: str = await context.run("step1", _step1)

        await context.sleep_until("sleep1", time.time() + 3)

        async def _step2() -> str:
            output = some_work(result1)
            print("step 2 input", result1, "output", output)
            return output

        result2: str = await context.run("step2", _step2)

        await context.sleep("sleep2", 2)

        async def _step3() -> None:
            output = some_work(result2)
            print("step 3 input", result2, "output", output)

        await context.run("step3", _step3)

    run = await site.trigger("/sleep", "in")
    await site.waits(run, "sleep1")
    site.pass_time(60)
    await site.waits(run, "sleep2")
    site.pass_time(2)
    log = await site.ended(run)

    assert names(log) == ["step1", "sleep1", "step2", "sleep2", "step3"]
    assert [step.type for step in log.steps] == ["Run", "SleepUntil", "Run", "SleepFor", "Run"]
    assert capsys.readouterr().out.count("\n") == 3


UserState = Literal["non-active", "active"]


class InitialData(TypedDict):
    email: str


async def test_customer_onboarding_over_months(site, serve, mail) -> None:
    """Source: examples/customerOnboarding, all three of its blocks.

    The loop has no end: after three months the run is cancelled from outside.
    """
    states: list[UserState] = ["non-active", "active", "non-active"]

    async def send_email(message: str, email: str) -> None:
        await mail.send(message, email)

    async def get_user_state() -> UserState:
        return states.pop(0)

    @serve.post("/customer-onboarding")
    async def customer_onboarding(context: AsyncWorkflowContext[InitialData]) -> None:
        email = context.request_payload["email"]

        async def _new_signup() -> None:
            await send_email("Welcome to the platform", email)

        await context.run("new-signup", _new_signup)

        await context.sleep("wait-for-3-days", 60 * 60 * 24 * 3)

        while True:

            async def _check_user_state() -> UserState:
                return await get_user_state()

            state: UserState = await context.run("check-user-state", _check_user_state)

            if state == "non-active":

                async def _send_email_non_active() -> None:
                    await send_email("Email to non-active users", email)

                await context.run("send-email-non-active", _send_email_non_active)

            else:

                async def _send_email_active() -> None:
                    await send_email("Send newsletter to active users", email)

                await context.run("send-email-active", _send_email_active)

            await context.sleep("wait-for-1-month", 60 * 60 * 24 * 30)

    run = await site.trigger("/customer-onboarding", {"email": "ada@example.com"})
    await site.sleeps(run, "wait-for-3-days")
    site.pass_time("3d")
    for month in (1, 2, 3):
        await site.sleeps(run, "wait-for-1-month", times=month)
        if month < 3:
            site.pass_time("30d")
    await run.cancel()
    log = await run.log()

    assert [what for what, _ in mail.sent] == [
        "Welcome to the platform",
        "Email to non-active users",
        "Send newsletter to active users",
        "Email to non-active users",
    ]
    assert {email for _, email in mail.sent} == {"ada@example.com"}
    assert log.state == "RUN_CANCELED"
    assert names(log)[:5] == [
        "new-signup",
        "wait-for-3-days",
        "check-user-state",
        "send-email-non-active",
        "wait-for-1-month",
    ]


class UserCreatedPayload(TypedDict):
    name: str
    email: str


@pytest.mark.parametrize("upgrades", [False, True])
async def test_auth_provider_webhook(site, serve, mail, upgrades) -> None:
    """Source: examples/authWebhook, all of its blocks: a new user's fourteen days of trial."""
    stripe: list[tuple[str, str]] = []

    async def create_user_in_database(name: str, email: str) -> dict[str, str]:
        return {"userid": "12345"}

    async def create_new_user_in_stripe(email: str) -> None:
        stripe.append(("user", email))

    async def start_trial_in_stripe(email: str) -> None:
        stripe.append(("trial", email))

    async def check_upgraded_plan(email: str) -> bool:
        return upgrades

    async def get_user_stats(userid: str) -> dict[str, int]:
        return {"problems_solved": 3}

    async def send_email(email: str, content: str) -> None:
        await mail.send(email, content)

    @serve.post("/auth-provider-webhook")
    async def auth_provider_webhook(context: AsyncWorkflowContext[UserCreatedPayload]) -> None:
        payload = context.request_payload
        name, email = payload["name"], payload["email"]

        async def _sync_user() -> str:
            return await create_user_in_database(name, email)

        result = await context.run("sync user", _sync_user)
        userid = result["userid"]

        async def _create_new_user_in_stripe() -> None:
            await create_new_user_in_stripe(email)

        await context.run("create new user in stripe", _create_new_user_in_stripe)

        async def _start_trial_in_stripe() -> None:
            await start_trial_in_stripe(email)

        await context.run("start trial in Stripe", _start_trial_in_stripe)

        async def _send_welcome_email() -> None:
            await send_email(email, "Welcome to our platform!, You have 14 days of free trial.")

        await context.run("send welcome email", _send_welcome_email)

        await context.sleep("wait", 7 * 24 * 60 * 60)

        async def _get_user_stats() -> dict[str, int]:
            return await get_user_stats(userid)

        stats = await context.run("get user stats", _get_user_stats)
        assert stats["problems_solved"] == 3

        await context.sleep("wait for trial warning", 5 * 24 * 60 * 60)

        async def _check_upgraded_plan() -> bool:
            return await check_upgraded_plan(email)

        is_upgraded = await context.run("check upgraded plan", _check_upgraded_plan)

        # end the workflow if upgraded
        if is_upgraded:
            return

        async def _send_trial_warning_email() -> None:
            await send_email(
                email,
                "Your trial is about to end in 2 days. "
                "Please upgrade your plan to keep using our platform.",
            )

        await context.run("send trial warning email", _send_trial_warning_email)

    run = await site.trigger("/auth-provider-webhook", {"name": "Ada", "email": "a@example.com"})
    await site.sleeps(run, "wait")
    site.pass_time("7d")
    await site.sleeps(run, "wait for trial warning")
    site.pass_time("5d")
    log = await site.ended(run)

    assert log.state == "RUN_SUCCESS"
    assert stripe == [("user", "a@example.com"), ("trial", "a@example.com")]
    assert mail.sent[0][1].startswith("Welcome to our platform!")
    assert len(mail.sent) == (1 if upgrades else 2)
    assert ("send trial warning email" in names(log)) is not upgrades
