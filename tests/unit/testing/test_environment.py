"""The environment in which users try their workflows: time that jumps, a world made up."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from workflow_agents import (
    ConfigurationError,
    Engine,
    FlowControl,
    NotFound,
    RunFailed,
    Secret,
    StateError,
    WorkflowNonRetryableError,
)
from workflow_agents.fastapi import Serve
from workflow_agents.testing import (
    Deadlock,
    UnexpectedRequest,
    WorkflowEnvironment,
    assert_steps,
    expect,
    no_answer,
    respond,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BANK = "https://bank.example/charges"


async def trial(context: Any) -> str:
    await context.run("welcome", lambda: None)
    await context.sleep("trial", "30d")
    return await context.run("charge", lambda: "charged")


async def order(context: Any) -> Any:
    paid = await context.wait_for_event("payment", "paid", timeout="7d")
    return "late" if paid.timeout else paid.event_data


async def charge(context: Any) -> Any:
    answer = await context.call("charge", url=BANK, method="POST", body={"n": 1}, retries=2)
    return [answer.status, answer.body]


async def test_thirty_days_take_less_than_a_second() -> None:
    began = time.process_time()
    async with WorkflowEnvironment() as env:
        assert await env.run(trial) == "charged"
        assert env.now == BEGIN + timedelta(days=30)
    assert time.process_time() - began < 1


async def test_time_stands_still_until_the_test_waits() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.trigger(order)
        assert (await env.log(run)).state == "RUN_STARTED"
        assert env.now == BEGIN
        [woken] = await env.notify("paid", {"amount": 5})
        assert woken.workflow_run_id == run.run_id
        assert await env.result(run) == {"amount": 5}
        assert env.now == BEGIN


async def test_a_wait_that_nobody_ends_ends_with_its_timeout() -> None:
    async with WorkflowEnvironment() as env:
        assert await env.run(order) == "late"
        assert env.now == BEGIN + timedelta(days=7)


async def test_handles_and_clients_let_time_jump_as_well() -> None:
    async with WorkflowEnvironment(trial) as env:
        run = await env.engine.client.trigger("/trial")
        kinds = [entry.kind async for entry in run.feed()]
        assert kinds[-1] == "RUN_SUCCESS"
        assert await (await env.client.trigger("/trial")).result() == "charged"


async def test_whoever_waits_for_another_task_of_the_test_comes_first() -> None:
    """A test that notifies beside its wait for the result is not overtaken by the timeout."""
    async with WorkflowEnvironment() as env:
        run = await env.trigger(order)

        async def pay() -> None:
            await env.until_waiting(run, event="paid")
            await asyncio.sleep(0)
            await env.notify("paid", "now")

        result, _ = await asyncio.gather(env.result(run), pay())
        assert result == "now"


async def test_advancing_makes_what_is_due_meanwhile_happen_in_order() -> None:
    async def daily(context: Any) -> None:
        for day in range(1, 6):
            await context.sleep(f"until day {day}", "1d")
            await context.run(f"day {day}", lambda: None)

    async with WorkflowEnvironment() as env:
        run = await env.trigger(daily)
        await env.advance("3d")
        done = [s for s in (await env.log(run)).steps if s.type == "Run"]
        assert [s.name for s in done] == ["day 1", "day 2", "day 3"]
        assert [s.began_at // 86_400_000 for s in done] == [
            int(BEGIN.timestamp()) // 86_400 + day for day in (1, 2, 3)
        ]
        await env.advance("12h")
        assert env.now == BEGIN + timedelta(days=3, hours=12)


async def test_until_waiting_goes_to_the_wait_and_no_further() -> None:
    async def later(context: Any) -> Any:
        await context.sleep("a while", "3d")
        return await order(context)

    async with WorkflowEnvironment() as env:
        run = await env.trigger(later)
        step = await env.until_waiting(run, event="paid")
        assert (step.name, step.type) == ("payment", "Wait")
        assert env.now == BEGIN + timedelta(days=3)
        await env.notify("paid", 1)
        with pytest.raises(AssertionError, match="ended as RUN_SUCCESS before the wait for 'paid'"):
            await env.until_waiting(run, event="paid")


async def test_answers_to_events_are_given_to_all_who_wait() -> None:
    told = iter(range(10))
    async with WorkflowEnvironment() as env:
        env.when_waiting("paid", lambda: next(told))
        assert [await env.run(order), await env.run(order)] == [0, 1]
        assert env.now == BEGIN


async def test_retries_do_not_wait_for_real() -> None:
    attempts: list[int] = []

    async def flaky(context: Any) -> int:
        def body() -> int:
            attempts.append(1)
            if len(attempts) < 3:
                raise RuntimeError("not yet")
            return len(attempts)

        return await context.run("flaky", body, retries=5)

    async with WorkflowEnvironment() as env:
        run = await env.trigger(flaky)
        log = await env.ended(run)
        assert_steps(log, [expect("flaky", result=3, retries=2)])
        assert env.now > BEGIN


async def test_a_failed_run_is_returned_with_its_steps_or_raised() -> None:
    async def failing(context: Any) -> None:
        await context.run("look", lambda: 1)
        raise WorkflowNonRetryableError("no stock")

    async with WorkflowEnvironment() as env:
        log = await env.ended(await env.trigger(failing))
        assert (log.state, (log.failure or {})["message"]) == ("RUN_FAILED", "no stock")
        assert_steps(log, ["look"])
        with pytest.raises(RunFailed, match="no stock"):
            await env.run(failing)


async def test_replies_come_in_their_order_and_requests_are_recorded() -> None:
    async with WorkflowEnvironment() as env:
        bank = env.http.on("POST", BANK, respond(503, text="busy"), no_answer(), {"id": "ch_1"})
        assert await env.run(charge) == [200, {"id": "ch_1"}]
        assert bank.called == 3
        assert bank.requests[0].json() == {"n": 1}
        assert len({request.idempotency_key for request in bank.requests}) == 1
        assert env.http.requests == bank.requests


async def test_a_reply_may_be_a_function_of_the_request() -> None:
    async def slow(request: Any) -> Any:
        await asyncio.sleep(0)
        return respond(201, json={"was": request.json()}, headers={"X-Kind": "test"})

    async with WorkflowEnvironment() as env:
        env.http.on("*", "https://bank.example/*", slow)
        assert await env.run(charge) == [201, {"was": {"n": 1}}]


async def test_a_request_that_nobody_expects_fails_the_test() -> None:
    async with WorkflowEnvironment() as env:
        env.http.on("GET", BANK, {})
        with pytest.raises(
            UnexpectedRequest, match=r'env.http.on\("POST", "https://bank'
        ) as raised:
            await env.run(charge)
        assert "GET https://bank.example/charges" in str(raised.value)


async def test_a_request_that_nobody_expects_is_told_even_where_the_workflow_swallows_it() -> None:
    async def swallowing(context: Any) -> str:
        try:
            await charge(context)
        except Exception:
            return "whatever"
        return "no"

    env = await WorkflowEnvironment().start()
    run = await env.trigger(swallowing)
    while (await run.status()) == "RUN_STARTED":
        await asyncio.sleep(0)
    with pytest.raises(UnexpectedRequest):
        await env.stop()


async def test_the_error_of_the_test_goes_before_what_it_forgot() -> None:
    async def forgetful() -> None:
        async with WorkflowEnvironment() as env:
            run = await env.trigger(charge)
            while not env.http.unexpected:
                await asyncio.sleep(0)
            raise KeyError(run.run_id)

    with pytest.raises(KeyError):
        await forgetful()


async def test_the_environment_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a real one")
    monkeypatch.setenv("QSTASH_TOKEN", "of the developer")

    async def keyed(context: Any) -> Any:
        await context.call(
            "ask", url=BANK, headers={"authorization": Secret("MY_KEY", prefix="Bearer ")}
        )
        return dict(context.env)

    async with WorkflowEnvironment(environment={"MY_KEY": "k"}) as env:
        bank = env.http.on("GET", BANK, {})
        assert await env.run(keyed) == {"MY_KEY": "k"}
        assert bank.requests[0].headers["authorization"] == "Bearer k"
    async with WorkflowEnvironment() as env:
        with pytest.raises(RunFailed, match="WA109"):
            await env.run(keyed)


async def test_the_workflows_of_an_engine_are_served_at_their_paths() -> None:
    engine = Engine(":memory:")

    @engine.workflow("/child", retries=0)
    async def child(context: Any) -> int:
        return await context.run("one", lambda: context.request_payload + 1)

    @engine.workflow("/parent")
    async def parent(context: Any) -> Any:
        return (await context.invoke("child", child, 1)).body

    async with WorkflowEnvironment(engine) as env:
        assert await env.run(parent) == 2
        assert await env.run("/child", 5) == 6
    assert not engine.running


async def test_what_is_no_workflow_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="this is no workflow"):
        WorkflowEnvironment(5)


async def test_webhooks_can_be_called() -> None:
    async def hooked(context: Any) -> Any:
        webhook = await context.create_webhook("hook")
        await context.run("tell", lambda: told.append(webhook.webhook_url))
        return (await context.wait_for_webhook("called", webhook)).request.json()

    told: list[str] = []
    async with WorkflowEnvironment() as env:
        run = await env.trigger(hooked)
        await env.until_waiting(run, step="called")
        await env.post_webhook(told[0], {"ok": True})
        assert await env.result(run) == {"ok": True}


async def test_a_rate_limit_is_waited_for_in_virtual_time() -> None:
    async def limited(context: Any) -> None:
        await context.run("one", lambda: 1)

    async with WorkflowEnvironment() as env:
        flow = FlowControl("provider", rate=1, period="1h")
        workflow = env.add("/limited", limited, flow_control=flow)
        runs = [await env.trigger(workflow) for _ in range(4)]
        for run in runs:
            await env.result(run)
        assert env.now == BEGIN + timedelta(hours=3)


async def test_a_run_whose_workflow_is_not_served_is_told(tmp_path: Path) -> None:
    store = str(tmp_path / "store.db")
    async with WorkflowEnvironment(store=store) as env:
        run = await env.trigger(order)
        await env.until_waiting(run, event="paid")
    async with WorkflowEnvironment(trial, store=store) as env:
        with pytest.raises(NotFound, match="WA107"):
            await env.result(run.run_id)


async def test_what_can_never_end_is_told() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.trigger(order)
        with pytest.raises(AssertionError, match="ended as RUN_SUCCESS"):
            await env.until_waiting(run, event="another")
        with pytest.raises(Deadlock, match="every run has ended"):
            await env._skipping.until(lambda: None, "what never comes")


async def test_code_that_does_not_do_the_same_each_time_is_found() -> None:
    """Nothing is kept between waits, so the environment replays at every one of them."""
    runs: list[int] = []

    async def moody(context: Any) -> None:
        runs.append(1)
        await context.run(f"name {len(runs)}", lambda: 1)
        await context.sleep("a second", 1)

    async with WorkflowEnvironment() as env:
        with pytest.raises(RunFailed, match="WA201"):
            await env.run(moody)


def test_it_needs_no_test_runner() -> None:
    async def main() -> None:
        async with WorkflowEnvironment() as env:
            assert await env.run(trial) == "charged"

    asyncio.run(main())


def test_it_stays_in_its_loop() -> None:
    env = WorkflowEnvironment()
    assert asyncio.run(env.run(trial)) == "charged"
    with pytest.raises(StateError, match="belongs to another event loop"):
        asyncio.run(env.run(trial))
    env.abandon()


async def test_an_app_may_be_served_on_its_engine() -> None:
    """Requests come in as in production, and time jumps where the test waits for the run."""
    env = WorkflowEnvironment()
    app = FastAPI()
    serve = Serve(app, engine=env.engine)
    serve.post("/trial")(trial)
    transport = httpx2.ASGITransport(app)
    async with env, httpx2.AsyncClient(transport=transport, base_url="http://shop") as http:
        answer = await http.post("/trial", json={})
        assert await env.result(answer.json()["workflowRunId"]) == "charged"
    assert env.now == BEGIN + timedelta(days=30)


async def test_the_workflows_of_a_serve_are_tried_without_its_app(tmp_path: Path) -> None:
    serve = Serve(FastAPI(), store=str(tmp_path / "shop.db"))
    serve.post("/trial")(trial)
    async with WorkflowEnvironment(serve) as env:
        assert await env.run("/trial") == "charged"
    assert not [*tmp_path.iterdir()]


async def test_two_functions_of_one_name_are_not_mixed_up() -> None:
    def make(result: int) -> Any:
        async def made(context: Any) -> int:
            return await context.run("one", lambda: result)

        return made

    async with WorkflowEnvironment() as env:
        first = make(1)
        assert await env.run(first) == 1
        assert await env.run(first) == 1
        with pytest.raises(ConfigurationError, match="WA110"):
            await env.run(make(2))
        assert await env.run(env.add("/second", make(2))) == 2
