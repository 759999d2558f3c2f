"""Failures, from the first retry to the dead letter, and how people deal with it."""

import asyncio
import base64

import pytest

from workflow_agents import (
    AsyncWorkflowContext,
    RunFailed,
    StepFailed,
    WorkflowAgentsError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)
from workflow_agents.testing._http import HttpAnswer


class Flaky:
    """A body that fails a number of times."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.calls = 0
        self.error = error or ConnectionError("no luck")

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "done"


async def test_a_step_is_retried_after_growing_delays(site, serve) -> None:
    flaky = Flaky(3)

    @serve.post("/default")
    async def default(context: AsyncWorkflowContext) -> str:
        return await context.run("flaky", flaky)

    run = await site.trigger("/default")
    delays = []
    for retry in (1, 2, 3):
        entry = await site.told(run, "STEP_RETRY", "flaky", times=retry)
        delays.append(entry.data["until"] - entry.at)
        assert entry.data["attempts"] == retry
        site.pass_time("7h")

    assert await run.result() == "done"
    assert delays == [12_182, 148_413, 1_808_042]
    assert flaky.calls == 4
    assert (await run.log()).steps[0].retries == 3


async def test_retry_delay_is_an_expression(site, serve) -> None:
    flaky = Flaky(3)

    @serve.post("/expression", retries=5, retry_delay="1000 * (1 + retried)")
    async def expression(context: AsyncWorkflowContext) -> str:
        return await context.run("flaky", flaky)

    run = await site.trigger("/expression")
    for retry in (1, 2, 3):
        entry = await site.told(run, "STEP_RETRY", "flaky", times=retry)
        assert entry.data["until"] - entry.at == 1_000 * retry
        site.pass_time(retry)
    assert await run.result() == "done"


async def test_options_of_a_step_come_before_those_of_its_run(site, serve) -> None:
    flaky = Flaky(9)

    @serve.post("/options", retries=9, retry_delay="60000")
    async def options(context: AsyncWorkflowContext) -> str:
        try:
            return await context.run("flaky", flaky, retries=2, retry_delay="0")
        except StepFailed as failed:
            return f"{failed.error} {failed.message} {failed.attempts} {failed.step_name}"

    assert (await site.run("/options")).result == "ConnectionError no luck 3 flaky"
    assert flaky.calls == 3


async def test_a_failed_step_that_is_caught_is_the_same_in_every_replay(site, serve) -> None:
    flaky = Flaky(9)
    caught = []

    @serve.post("/caught")
    async def catches(context: AsyncWorkflowContext) -> str:
        try:
            await context.run("flaky", flaky, retries=0)
        except StepFailed as failed:
            caught.append((failed.error, failed.message, failed.attempts, failed.status))
        await context.sleep("nap", "1h")
        return await context.run("go on", lambda: "went on")

    run = await site.trigger("/caught")
    await site.sleeps(run, "nap")
    site.pass_time("1h")

    assert await run.result() == "went on"
    assert caught == [("ConnectionError", "no luck", 1, 500)] * 2
    assert flaky.calls == 1


async def test_a_non_retryable_error_fails_the_run_at_once(site, serve) -> None:
    flaky = Flaky(9, WorkflowNonRetryableError("no such account"))

    @serve.post("/final", retries=9)
    async def final(context: AsyncWorkflowContext) -> str:
        return await context.run("flaky", flaky)

    log = await site.run("/final")

    assert log.state == "RUN_FAILED"
    assert flaky.calls == 1
    assert log.failure["error"] == "WorkflowNonRetryableError"
    assert log.failure["message"] == "no such account"
    assert log.failure["status"] == 489


async def test_a_non_retryable_error_outside_a_step_too(site, serve) -> None:
    @serve.post("/final")
    async def final(context: AsyncWorkflowContext) -> str:
        await context.run("step", lambda: 1)
        raise WorkflowNonRetryableError("changed my mind")

    log = await site.run("/final")

    assert (log.state, log.failure["attempts"]) == ("RUN_FAILED", 1)


async def test_retry_after_says_when_and_counts(site, serve) -> None:
    flaky = Flaky(9, WorkflowRetryAfterError("closed", retry_after="5m"))

    @serve.post("/later", retries=2, retry_delay="1")
    async def later(context: AsyncWorkflowContext) -> str:
        return await context.run("flaky", flaky)

    run = await site.trigger("/later")
    for retry in (1, 2):
        entry = await site.told(run, "STEP_RETRY", "flaky", times=retry)
        assert entry.data["until"] - entry.at == 300_000
        site.pass_time("5m")

    with pytest.raises(RunFailed, match="closed"):
        await run.result()
    assert flaky.calls == 3


async def test_a_function_that_raises_outside_a_step_is_called_again(site, serve) -> None:
    flaky = Flaky(2)
    bodies = []

    @serve.post("/outside", retry_delay="1000")
    async def outside(context: AsyncWorkflowContext) -> str:
        await context.run("step", lambda: bodies.append(1))
        return await flaky()

    run = await site.trigger("/outside")
    for retry in (1, 2):
        entry = await site.told(run, "RUN_RETRY", times=retry)
        assert entry.data["until"] - entry.at == 1_000
        site.pass_time(1)

    assert await run.result() == "done"
    assert bodies == [1]


async def test_a_function_that_raises_before_its_first_step_starts_nothing(site, serve) -> None:
    @serve.post("/raises")
    async def raises(context: AsyncWorkflowContext) -> None:
        raise ValueError("not like this")

    answer = await site.post("/raises")

    assert answer.status_code == 500
    assert answer.json() == {"error": "ValueError", "message": "not like this"}
    assert await site.client.logs() == []


async def test_a_failure_url_is_sent_the_failure(site, serve, web) -> None:
    answers = [HttpAnswer(503, b"", {}), HttpAnswer(200, b"", {})]
    web.answer("https://hooks.example.com/failed", lambda _request: answers.pop(0))

    @serve.post(
        "/fails", retries=1, retry_delay="0", failure_url="https://hooks.example.com/failed"
    )
    async def fails(context: AsyncWorkflowContext) -> None:
        await context.run("fail", Flaky(9, ValueError("card declined")))

    log = await site.run("/fails", {"order": 7})
    while len(web.requests) < 2:
        await site.pause()

    for request in web.requests:
        told = request.json()
        assert request.method == "POST"
        assert request.headers["upstash-workflow-runid"] == log.workflow_run_id
        assert told["status"] == 500
        assert told["workflowRunId"] == log.workflow_run_id
        assert base64.b64decode(told["sourceBody"]) == b'{"order":7}'
        failure = base64.b64decode(told["body"])
        assert failure == b'{"error": "ValueError", "message": "card declined"}'
    await callback_is(site, "CALLBACK_SUCCESS")


async def callback_is(site, state):
    """Wait for the state of the only dead letter's failure function."""
    while True:
        [letter] = await site.client.dlq.list()
        if letter.failure_function_state == state:
            return letter
        await site.pause()


async def test_a_failure_function_that_fails_is_retried_by_hand(site, serve) -> None:
    told = []

    async def failure_function(context, status, response, headers) -> str:
        told.append(response)
        if len(told) <= 2:
            raise ConnectionError("the pager is out of order")
        return "paged"

    @serve.post("/fails", retries=1, retry_delay="0", failure_function=failure_function)
    async def fails(context: AsyncWorkflowContext) -> None:
        await context.run("fail", Flaky(9))

    await site.run("/fails")
    letter = await callback_is(site, "CALLBACK_FAIL")
    assert told == ["no luck"] * 2

    await site.client.dlq.retry_failure_function(letter.dlq_id)
    await callback_is(site, "CALLBACK_SUCCESS")
    assert told == ["no luck"] * 3
    with pytest.raises(WorkflowAgentsError, match="expected CALLBACK_FAIL") as raised:
        await site.client.dlq.retry_failure_function(letter.dlq_id)
    assert raised.value.code == "WA608"


async def test_a_synchronous_failure_function_works(site, serve) -> None:
    told = []

    def failure_function(context, status, response, headers) -> None:
        told.append((context.request_payload, status, response))

    @serve.post("/fails", retries=0, failure_function=failure_function)
    async def fails(context: AsyncWorkflowContext) -> None:
        await context.run("fail", Flaky(9))

    await site.run("/fails", "payload")
    await callback_is(site, "CALLBACK_SUCCESS")

    assert told == [("payload", 500, "no luck")]


@pytest.fixture
def order(serve):
    """A workflow of two steps; the second works once it is mended."""
    ran = []
    mended = asyncio.Event()

    @serve.post("/order", retries=0, label="orders")
    async def order(context: AsyncWorkflowContext) -> str:
        async def reserve() -> str:
            ran.append("reserve")
            return f"reserved {context.request_payload}"

        async def charge() -> str:
            ran.append("charge")
            if not mended.is_set():
                raise ConnectionError("the bank is closed")
            return f"{reserved}, charged"

        reserved = await context.run("reserve", reserve)
        return await context.run("charge", charge)

    order.ran, order.mended = ran, mended
    return order


async def dead(site, payload="7"):
    log = await site.run("/order", payload)
    assert log.state == "RUN_FAILED"
    [letter, *_] = await site.client.dlq.list()
    assert log.dlq_id == letter.dlq_id
    return letter


async def test_a_dead_letter_tells_all(site, order) -> None:
    letter = await dead(site, "chair")

    found = await site.client.dlq.get(letter.dlq_id)
    assert found.workflow == "/order"
    assert found.failure["message"] == "the bank is closed"
    assert found.failure_function_state is None
    assert found.log.payload == "chair"
    assert [(s.name, s.state) for s in found.log.steps] == [
        ("reserve", "STEP_SUCCESS"),
        ("charge", "STEP_FAILED"),
    ]


async def test_resume_does_not_repeat_what_is_done(site, order) -> None:
    letter = await dead(site)
    order.mended.set()

    resumed = await site.client.dlq.resume(letter.dlq_id)

    assert await resumed.result() == "reserved 7, charged"
    assert order.ran == ["reserve", "charge", "charge"]
    assert resumed.run_id != letter.workflow_run_id
    assert (await resumed.log()).labels == ("orders",)
    assert await site.client.dlq.list() == []
    assert await site.client.handle(letter.workflow_run_id).status() == "RUN_FAILED"


async def test_restart_begins_at_the_top(site, order) -> None:
    letter = await dead(site)
    order.mended.set()

    restarted = await site.client.dlq.restart(letter.dlq_id, label="again")

    assert await restarted.result() == "reserved 7, charged"
    assert order.ran == ["reserve", "charge", "reserve", "charge"]
    assert (await restarted.log()).labels == ("again",)


async def test_a_resumed_run_keeps_its_headers_and_address(site, serve) -> None:
    """A credential among them is sealed in the store, and sealed it goes to the new run."""
    seen = []
    mended = asyncio.Event()

    @serve.post("/order", retries=0)
    async def order(context: AsyncWorkflowContext) -> None:
        async def body() -> None:
            seen.append((context.headers["authorization"], context.headers["x-a"], context.url))
            if not mended.is_set():
                raise ConnectionError("not yet")

        await context.run("body", body)

    await site.run("/order", headers={"authorization": "Bearer t0p-secret", "x-a": "1"})
    mended.set()
    [letter] = await site.client.dlq.list()
    await (await site.client.dlq.resume(letter.dlq_id)).result()

    assert seen == [("Bearer t0p-secret", "1", f"{site.url}/order")] * 2
    assert b"t0p-secret" not in site.stored_bytes()


async def test_a_resumed_run_that_fails_again_is_a_new_dead_letter(site, order) -> None:
    letter = await dead(site)

    resumed = await site.client.dlq.resume(letter.dlq_id, retries=0)
    with pytest.raises(RunFailed):
        await resumed.result()

    [again] = await site.client.dlq.list()
    assert again.workflow_run_id == resumed.run_id
    order.mended.set()
    assert await (await site.client.dlq.resume(again.dlq_id)).result() == "reserved 7, charged"
    assert order.ran.count("reserve") == 1


async def test_a_dead_letter_is_taken_once(site, order) -> None:
    letter = await dead(site)
    order.mended.set()

    await site.client.dlq.delete(letter.dlq_id)

    for verb in (site.client.dlq.resume, site.client.dlq.restart, site.client.dlq.delete):
        with pytest.raises(WorkflowAgentsError) as raised:
            await verb(letter.dlq_id)
        assert raised.value.code == "WA607"
    assert len(await site.client.logs()) == 1


async def test_two_people_who_resume_a_dead_letter_start_one_run(site, order) -> None:
    letter = await dead(site)
    order.mended.set()

    outcomes = await asyncio.gather(
        site.client.dlq.resume(letter.dlq_id),
        site.client.dlq.resume(letter.dlq_id),
        return_exceptions=True,
    )

    resumed = [o for o in outcomes if not isinstance(o, Exception)]
    refused = [o for o in outcomes if isinstance(o, Exception)]
    assert len(resumed) == 1
    assert [getattr(o, "code", o) for o in refused] == ["WA607"]
    assert await resumed[0].result() == "reserved 7, charged"
    assert len(await site.client.logs()) == 2


async def test_dead_letters_are_listed_newest_first_in_pages(site, order) -> None:
    for n in range(3):
        await dead(site, str(n))
        site.pass_time(1)

    first, second = await site.client.dlq.list(limit=2)
    [third] = await site.client.dlq.list(before=second.dlq_id)
    assert [letter.log.payload for letter in (first, second, third)] == [2, 1, 0]


async def test_a_run_is_cancelled_from_outside(site, serve) -> None:
    ended = []

    @serve.post("/long")
    async def long(context: AsyncWorkflowContext) -> None:
        try:
            await context.run("first", lambda: 1)
            await context.sleep("long", "30d")
        finally:
            ended.append("finally")

    run = await site.trigger("/long")
    await site.waits(run, "long")

    assert await run.cancel() is True
    assert await run.cancel() is False
    assert await run.status() == "RUN_CANCELED"
    with pytest.raises(RunFailed, match="cancelled") as raised:
        await run.result()
    assert raised.value.log.state == "RUN_CANCELED"
    site.pass_time("60d")
    await site.parked()
    assert await run.status() == "RUN_CANCELED"
    assert await site.client.dlq.list() == []


async def test_a_run_is_cancelled_while_a_body_runs(site, serve) -> None:
    began, go_on, late = asyncio.Event(), asyncio.Event(), []

    @serve.post("/busy")
    async def busy(context: AsyncWorkflowContext) -> None:
        async def body() -> None:
            began.set()
            await go_on.wait()

        await context.run("body", body)
        late.append("went on")

    run = await site.trigger("/busy")
    await began.wait()
    assert await site.client.cancel(run.run_id)
    go_on.set()
    await site.parked()

    assert late == []
    assert [step.state for step in (await run.log()).steps] == []


async def test_a_run_cancels_itself(site, serve) -> None:
    late = []

    @serve.post("/quits")
    async def quits(context: AsyncWorkflowContext) -> None:
        await context.run("first", lambda: 1)
        await context.cancel()
        late.append("went on")

    log = await site.run("/quits")

    assert log.state == "RUN_CANCELED"
    assert late == []
    assert [step.name for step in log.steps] == ["first"]


async def test_a_resumed_run_tries_a_failed_step_whose_neighbour_was_faster(site, serve) -> None:
    down = [True]
    done = []

    async def slow() -> str:
        while not done:
            await site.pause()
        if down:
            raise OSError("down")
        return "slow"

    def fast() -> str:
        done.append(1)
        return "fast"

    @serve.post("/both", retries=0)
    async def both(context: AsyncWorkflowContext[None]) -> list[str]:
        return await asyncio.gather(context.run("slow", slow), context.run("fast", fast))

    log = await site.run("/both")
    assert log.state == "RUN_FAILED"
    down.clear()
    resumed = await site.client.dlq.resume(log.dlq_id)
    assert await resumed.result() == ["slow", "fast"]
    assert len(done) == 1


async def test_what_the_outside_knows_a_step_by_outlives_resuming(site, serve, web) -> None:
    """The key of a step is that of the first run; a restart from the top is something new."""
    down = ["step", "call"]
    keys = []
    answers = {True: HttpAnswer(503, b"", {}), False: {"ok": 1}}
    web.answer("https://bank.example/", lambda _: answers["call" in down])

    @serve.post("/charge", retries=0)
    async def charge(context: AsyncWorkflowContext[None]) -> str:
        def step() -> None:
            current = context.current_step
            assert current is not None
            keys.append(current.idempotency_key)
            assert (current.name, current.key, current.attempt) == ("step", 1, 1)
            if "step" in down:
                raise OSError("down")

        assert context.current_step is None
        await context.run("step", step)
        await context.call("charge", url="https://bank.example/", raise_for_status=True)
        return context.origin

    first = await site.run("/charge")
    down.remove("step")
    second = await site.ended(await site.client.dlq.resume(first.dlq_id))
    down.remove("call")
    third = await site.ended(await site.client.dlq.resume(second.dlq_id))

    origin = first.workflow_run_id
    assert [log.state for log in (first, second, third)] == [*["RUN_FAILED"] * 2, "RUN_SUCCESS"]
    assert third.result == origin
    assert keys == [f"{origin}/1"] * 2
    assert [r.headers["idempotency-key"] for r in web.requests] == [f"{origin}/2"] * 2

    down.append("call")
    failed = await site.run("/charge")
    down.clear()
    restarted = await site.client.dlq.restart(failed.dlq_id)
    assert await restarted.result() == restarted.run_id
    assert web.requests[-1].headers["idempotency-key"] == f"{restarted.run_id}/2"


async def test_attempts_of_a_step_are_counted(site, serve) -> None:
    attempts = []

    @serve.post("/attempts", retries=2, retry_delay="10")
    async def counted(context: AsyncWorkflowContext[None]) -> None:
        def body() -> None:
            assert context.current_step is not None
            attempts.append(context.current_step.attempt)
            if len(attempts) < 3:
                raise OSError("down")

        await context.run("step", body)

    run = await site.trigger("/attempts")
    for number in (1, 2):
        await site.told(run, "STEP_RETRY", "step", number)
        site.pass_time(1)
    await site.ended(run)
    assert attempts == [1, 2, 3]
