"""A process ends in the middle of each kind of wait, and another one goes on.

Each test serves the same code on two engines, one after the other, on one file.
"""

import asyncio
import contextlib
import random

import pytest

from workflow_agents import AsyncWorkflowContext, Engine, FlowControl, Secret

PATIENCE_S = 20


class Lives:
    """Engines on one file, one after the other; each serves what `serve` adds to it."""

    def __init__(self, store, clock, http) -> None:
        self.store, self.clock, self.http = store, clock, http
        self.serve = lambda engine: None
        self.engine = None
        self.count = 0

    @contextlib.asynccontextmanager
    async def life(self):
        self.count += 1
        self.engine = Engine(str(self.store), clock=self.clock, http=self.http(), seed=self.count)
        self.serve(self.engine)
        async with self.engine, asyncio.timeout(PATIENCE_S):
            yield self.engine.client

    def pass_time(self, duration) -> None:
        self.clock.advance(duration)
        if self.engine.running:
            self.engine.core.poke()

    def faults(self) -> list[str]:
        return self.engine.core.store.check()


@pytest.fixture
def lives(tmp_path, clock, web, http_to_web) -> Lives:
    return Lives(tmp_path / "workflows.db", clock, http_to_web)


async def told(run, kind, times=1):
    async for entry in run.feed():
        times -= entry.kind == kind
        if not times:
            return entry
    raise AssertionError(f"the run ended without {kind}")


async def test_while_it_sleeps(lives) -> None:
    bodies = []

    def serve(engine):
        @engine.workflow("/w")
        async def w(context: AsyncWorkflowContext) -> list:
            first = await context.run("first", lambda: bodies.append("first") or lives.count)
            await context.sleep("sleep", "1d")
            await context.sleep_until("until", lives.clock.now_ms() / 1000 + 3600)
            return [first, await context.run("last", lambda: lives.count)]

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await told(run, "STEP_WAITING")
    lives.pass_time("2d")  # while no process runs
    async with lives.life() as client:
        await told(client.handle(run.run_id), "STEP_WAITING", times=2)
    async with lives.life() as client:
        lives.pass_time("1h")
        assert await client.handle(run.run_id).result() == [1, 3]
        assert lives.faults() == []
    assert bodies == ["first"]


async def test_while_it_waits_for_an_event_and_a_webhook(lives) -> None:
    def serve(engine):
        @engine.workflow("/w")
        async def w(context: AsyncWorkflowContext) -> list:
            event = await context.wait_for_event("event", "paid", timeout="30d")
            hook = await context.create_webhook("hook")
            nobody = await context.wait_for_webhook("call", hook, timeout="1d")
            return [event.event_data, nobody.timeout, hook.webhook_url]

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await told(run, "STEP_WAITING")
    async with lives.life() as client:
        assert len(await client.get_waiters("paid")) == 1
        await client.notify("paid", 30)
        await told(client.handle(run.run_id), "STEP_WAITING", times=2)
    lives.pass_time("1d")
    async with lives.life() as client:
        data, timeout, url = await client.handle(run.run_id).result()
    assert (data, timeout) == (30, True)
    assert f"/v2/workflows/hooks/local/{run.run_id}/evt_" in url


async def test_a_notification_that_came_before_is_kept_over_a_restart(lives) -> None:
    def serve(engine):
        @engine.workflow("/w")
        async def w(context: AsyncWorkflowContext) -> object:
            await context.sleep("sleep", "1h")
            return (await context.wait_for_event("event", "paid")).event_data

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await told(run, "STEP_WAITING")
        await client.notify("paid", "kept", workflow_run_id=run.run_id)
    lives.pass_time("1h")
    async with lives.life() as client:
        assert await client.handle(run.run_id).result() == "kept"


async def test_while_it_calls(lives, web, monkeypatch) -> None:
    """The request that the first process has not seen answered is made again, same key."""
    monkeypatch.setenv("KEY", "k-1")
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer(request):
        loop.call_soon_threadsafe(asked.set)
        return None if len(web.requests) == 1 else {"ok": True}

    web.answer("https://api.example.com", answer)

    def serve(engine):
        @engine.workflow("/w")
        async def w(context: AsyncWorkflowContext) -> object:
            answer = await context.call(
                "call",
                url="https://api.example.com/x",
                method="POST",
                body={"n": 1},
                headers={"authorization": Secret("KEY"), "x-api-key": "in-code"},
                retries=1,
                retry_delay="3600000",
            )
            return answer.body

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await asked.wait()
        await told(run, "STEP_RETRY")
    async with lives.life() as client:
        lives.pass_time("1h")
        assert await client.handle(run.run_id).result() == {"ok": True}
        assert lives.faults() == []
    one, two = web.requests
    assert (one.body, one.headers["idempotency-key"]) == (two.body, two.headers["idempotency-key"])
    assert (two.headers["authorization"], two.headers["x-api-key"]) == ("k-1", "in-code")


async def test_while_it_waits_for_an_invoked_run(lives) -> None:
    def serve(engine):
        @engine.workflow("/child")
        async def child(context: AsyncWorkflowContext) -> str:
            await context.sleep("sleep", "1h")
            return "child"

        @engine.workflow("/w")
        async def w(context: AsyncWorkflowContext) -> object:
            return (await context.invoke("invoke", "/child")).body

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await told(run, "STEP_WAITING")
        [child] = await client.logs(workflow="/child")
        await told(client.handle(child.workflow_run_id), "STEP_WAITING")
    lives.pass_time("1h")
    async with lives.life() as client:
        assert await client.handle(run.run_id).result() == "child"


async def test_while_it_waits_for_a_retry(lives) -> None:
    attempts = []

    def serve(engine):
        @engine.workflow("/w", retry_delay="3600000")
        async def w(context: AsyncWorkflowContext) -> str:
            async def body() -> str:
                attempts.append(lives.count)
                if len(attempts) < 3:
                    raise ConnectionError("not yet")
                return "done"

            return await context.run("body", body)

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await told(run, "STEP_RETRY")
    async with lives.life() as client:
        assert attempts == [1]
        lives.pass_time("1h")
        await told(client.handle(run.run_id), "STEP_RETRY", times=2)
    async with lives.life() as client:
        lives.pass_time("1h")
        assert await client.handle(run.run_id).result() == "done"
        assert lives.faults() == []
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize("retried", [False, True])
async def test_while_a_body_runs_that_has_a_slot(lives, retried) -> None:
    """The slot is given back by whoever records the step, or the next step waits for ever."""
    began = asyncio.Event()
    attempts = []

    def serve(engine):
        limit = FlowControl("slot", parallelism=1)

        @engine.workflow("/w", retry_delay="0")
        async def w(context: AsyncWorkflowContext) -> list:
            async def body() -> int:
                attempts.append(lives.count)
                if retried and len(attempts) == 1:
                    raise ConnectionError("not yet")
                if lives.count == 1:
                    began.set()
                    await asyncio.Event().wait()
                return lives.count

            first = await context.run("first", body, flow_control=limit)
            return [first, await context.run("second", lambda: "second", flow_control=limit)]

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await began.wait()
    async with lives.life() as client:
        assert await client.handle(run.run_id).result() == [2, "second"]
        assert lives.faults() == []
        assert lives.engine.core.store.flow("slot", 0)[0] == 0


async def test_a_delayed_run_and_one_that_waits_for_its_key(lives) -> None:
    began = asyncio.Event()

    def serve(engine):
        @engine.workflow("/w", flow_control=FlowControl("runs", parallelism=1))
        async def w(context: AsyncWorkflowContext) -> object:
            async def body() -> object:
                began.set()
                if lives.count == 1:
                    await asyncio.Event().wait()
                return context.request_payload

            return await context.run("body", body)

    lives.serve = serve
    async with lives.life() as client:
        runs = [await client.trigger("/w", n, delay=None if n < 3 else "1h") for n in range(4)]
        await began.wait()
    async with lives.life() as client:
        assert [await client.handle(run.run_id).result() for run in runs[:3]] == [0, 1, 2]
        lives.pass_time("1h")
        assert await client.handle(runs[3].run_id).result() == 3


async def test_the_failure_function_of_a_run_that_failed_before(lives) -> None:
    told_of = []

    def serve(engine):
        async def failure_function(context, status, response, headers) -> None:
            if lives.count == 1:
                failing.set()
                await asyncio.Event().wait()
            told_of.append((lives.count, response))

        @engine.workflow("/w", retries=0, failure_function=failure_function)
        async def w(context: AsyncWorkflowContext) -> None:
            await context.run("fail", lambda: 1 / 0)

    failing = asyncio.Event()
    lives.serve = serve
    async with lives.life() as client:
        await client.trigger("/w")
        await failing.wait()
    async with lives.life() as client:
        letter = None
        while letter is None or letter.failure_function_state != "CALLBACK_SUCCESS":
            await asyncio.sleep(0.002)
            [letter] = await client.dlq.list()
    assert told_of == [(2, "division by zero")]


async def test_branches_that_wait_for_different_things(lives) -> None:
    """Each life brings one of them on; the order of their results is that of their coming."""
    order = ["event", "sleep", "retry"]
    random.Random(7).shuffle(order)
    attempts = []
    came = []

    def serve(engine):
        @engine.workflow("/w", retry_delay="7200000")
        async def w(context: AsyncWorkflowContext) -> list:
            seen = []

            async def event() -> None:
                await context.wait_for_event("event", "e", timeout="30d")
                seen.append("event")

            async def sleep() -> None:
                await context.sleep("sleep", "1h")
                seen.append("sleep")

            async def retry() -> None:
                async def body() -> None:
                    attempts.append(lives.count)
                    if len(attempts) == 1:
                        raise ConnectionError("not yet")

                await context.run("retry", body)
                seen.append("retry")

            await asyncio.gather(event(), sleep(), retry())
            came.append(list(seen))
            await context.sleep("pause", "1h")
            came.append(list(seen))
            return seen

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await told(run, "STEP_RETRY")
    async with lives.life() as client:
        lives.pass_time("1h")
        await told(client.handle(run.run_id), "STEP_SUCCESS")
        await client.notify("e")
    lives.pass_time("1h")
    async with lives.life() as client:
        await told(client.handle(run.run_id), "STEP_WAITING", times=3)
    lives.pass_time("1h")
    async with lives.life() as client:
        assert await client.handle(run.run_id).result() == ["sleep", "event", "retry"]
        assert lives.faults() == []
    assert came == [["sleep", "event", "retry"]] * 3 or came == [["sleep", "event", "retry"]] * 2


async def test_stopping_an_engine_ends_those_who_wait_with_an_error(lives) -> None:
    def serve(engine):
        @engine.workflow("/w")
        async def w(context: AsyncWorkflowContext) -> None:
            await context.sleep("sleep", "1d")

    lives.serve = serve
    async with lives.life() as client:
        run = await client.trigger("/w")
        await told(run, "STEP_WAITING")
        waiting = asyncio.create_task(run.result())
        follows = asyncio.create_task(told(run, "RUN_SUCCESS"))
        await asyncio.sleep(0)
    for task in (waiting, follows):
        with pytest.raises(Exception, match="WA111"):
            await task
