"""The documented examples of failure functions and of retries that a workflow makes itself.

The pages are named in `test_documented_examples.py`, which checks that none is left out.
"""

from typing import Any, TypedDict

import pytest

from workflow_agents import (
    AsyncWorkflowContext,
    CallResponse,
    StepFailed,
    WorkflowNonRetryableError,
)
from workflow_agents.testing._http import HttpAnswer


def names(log: Any) -> list[str]:
    return [step.name for step in log.steps]


async def test_failure_function_is_told(site, serve) -> None:
    """Source: howto/failures, the `failure_function` of a route."""
    told: list[dict[str, Any]] = []

    async def failure_function(
        context,  # context during failure
        fail_status,  # failure status
        fail_response,  # failure message
        fail_headers,  # failure headers
    ):
        # handle the failure
        told.append(
            {
                "payload": context.request_payload,
                "run": context.workflow_run_id,
                "header": context.headers["x-user"],
                "status": fail_status,
                "response": fail_response,
                "headers": fail_headers,
            }
        )
        return f"Workflow failed with status {fail_status}: {fail_response}"

    @serve.post("/api/example", failure_function=failure_function, retries=0)
    async def example(context: AsyncWorkflowContext[str]) -> None:
        async def _charge() -> None:
            raise RuntimeError("card declined")

        await context.run("charge", _charge)

    run = await site.trigger("/api/example", "order 7", headers={"x-user": "ada"})
    log = await site.ended(run)
    ran = await told_of_run(site, run)

    assert log.state == "RUN_FAILED"
    assert told == [
        {
            "payload": "order 7",
            "run": log.workflow_run_id,
            "header": "ada",
            "status": 500,
            "response": "card declined",
            "headers": {},
        }
    ]
    assert ran == {"result": "Workflow failed with status 500: card declined"}
    [letter] = await site.client.dlq.list()
    assert letter.failure_function_state == "CALLBACK_SUCCESS"


async def told_of_run(site, run) -> Any:
    """What the failure function returned, as the run's feed tells it."""
    letter = None
    while letter is None or letter.failure_function_state == "CALLBACK_INPROGRESS":
        await site.pause()
        [letter] = await site.client.dlq.list()
    entries = [entry async for entry in run.feed()]
    return next(e.data for e in entries if e.kind == "FAILURE_FUNCTION_SUCCESS")


async def test_failure_function_is_not_called_for_a_run_that_succeeds(site, serve) -> None:
    """Source: howto/failures; a failure that is retried is none."""
    told: list[int] = []
    attempts: list[int] = []

    async def failure_function(context, fail_status, fail_response, fail_headers):
        told.append(fail_status)

    @serve.post("/api/example", failure_function=failure_function, retries=1, retry_delay="0")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        async def _flaky() -> None:
            attempts.append(1)
            if len(attempts) == 1:
                raise RuntimeError("not yet")

        await context.run("flaky", _flaky)

    log = await site.run("/api/example")

    assert log.state == "RUN_SUCCESS"
    assert told == []


class UserPayload(TypedDict):
    userData: str


@pytest.mark.parametrize("good_attempt", [1, 3, 11])
async def test_custom_retry_logic(site, serve, web, good_attempt) -> None:
    """Source: examples/customRetry, the loop of ten attempts with its call filled in.

    Answered 429 it waits as long as it is told, answered 500 a while, else it is done.
    """
    answers = [
        HttpAnswer(429, b"slow down", {"ratelimit-reset": "30"}),
        HttpAnswer(500, b"oops", {}),
    ]

    def answer(request: Any) -> Any:
        if len(web.requests) >= good_attempt:
            return {"choices": ["an answer"]}
        return answers[len(web.requests) % 2]

    web.answer("https://api.openai.com/v1/chat/completions", answer)

    @serve.post("/custom-retry-logic")
    async def custom_retry_logic(context: AsyncWorkflowContext[UserPayload]) -> str:
        for attempt in range(10):
            response: CallResponse[dict] = await context.call(
                f"call-openai-{attempt}",
                url="https://api.openai.com/v1/chat/completions",
                method="POST",
                body={"model": "gpt-4o", "prompt": context.request_payload["userData"]},
            )
            if response.status < 300:

                async def _store(answer: str = response.body["choices"][0]) -> str:
                    return f"stored {answer}"

                return await context.run("store-response-in-db", _store)
            if response.status == 429:
                reset = int(response.headers["ratelimit-reset"][0])
                await context.sleep("sleep-until-retry", reset)
            else:
                await context.sleep("pause-to-avoid-spam", 5)
        raise WorkflowNonRetryableError("ten attempts were not enough")

    run = await site.trigger("/custom-retry-logic", {"userData": "hello"})
    for attempt in range(min(good_attempt - 1, 10)):
        limited = attempt % 2
        name = "pause-to-avoid-spam" if not limited else "sleep-until-retry"
        await site.waits(run, name, times=attempt // 2 + 1)
        site.pass_time(30 if limited else 5)
    log = await site.ended(run)

    assert len(web.requests) == min(good_attempt, 10)
    if good_attempt > 10:
        assert log.failure["message"] == "ten attempts were not enough"
    else:
        assert log.result == "stored an answer"


@pytest.mark.parametrize("good_day", [1, 2, 4])
async def test_payment_retries_once_a_day(site, serve, good_day) -> None:
    """Source: examples/paymentRetry, "Implement Payment Retry Logic".

    The charge is a step of its own; what it raises becomes False, and a day passes.
    """
    charges: list[str] = []
    mails: list[str] = []
    suspended: list[str] = []

    async def charge_customer(email: str) -> dict[str, str]:
        charges.append(email)
        if len(charges) < good_day:
            raise ConnectionError("the bank said no")
        return {"invoice": "in_7"}

    @serve.post("/charge-customer")
    async def charge(context: AsyncWorkflowContext[dict]) -> None:
        email = context.request_payload["email"]

        async def attempt() -> Any:
            try:
                return await context.run(
                    "charge customer", lambda: charge_customer(email), retries=0
                )
            except StepFailed:
                return None

        for _i in range(3):
            result = await attempt()
            if not result:
                await context.sleep("wait for retry", 24 * 60 * 60)
            else:
                await context.run("send invoice", lambda r=result: mails.append(r["invoice"]))
                return
        await context.run("suspend", lambda: suspended.append(email))

    run = await site.trigger("/charge-customer", {"email": "ada@example.com"})
    for day in range(1, min(good_day, 4)):
        await site.sleeps(run, "wait for retry", times=day)
        site.pass_time("1d")
    log = await site.ended(run)

    assert log.state == "RUN_SUCCESS"
    assert len(charges) == min(good_day, 3)
    assert mails == (["in_7"] if good_day < 4 else [])
    assert suspended == ([] if good_day < 4 else ["ada@example.com"])
