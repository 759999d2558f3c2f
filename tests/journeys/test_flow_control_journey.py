"""One limit for everything of a key: runs, bodies of steps, calls."""

import asyncio
import threading

import pytest

from workflow_agents import AsyncWorkflowContext, FlowControl

API = "https://api.example.com"


class Gauge:
    """How many are inside at a time, and how many were at most."""

    def __init__(self) -> None:
        self.inside = self.most = self.entered = 0
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            self.entered += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1


@pytest.fixture
def gauge() -> Gauge:
    return Gauge()


async def test_parallelism_of_runs(site, serve, gauge) -> None:
    @serve.post("/run", flow_control=FlowControl("runs", parallelism=2))
    async def run(context: AsyncWorkflowContext) -> None:
        async def body() -> None:
            with gauge:
                await site.pause()

        for n in range(3):
            await context.run(f"step {n}", body)

    runs = await asyncio.gather(*(site.trigger("/run") for _ in range(7)))
    for one in runs:
        await one.result()

    assert (gauge.entered, gauge.most) == (21, 2)


async def test_a_run_that_waits_gives_its_slot_to_another(site, serve) -> None:
    @serve.post("/run", flow_control=FlowControl("runs", parallelism=1))
    async def run(context: AsyncWorkflowContext) -> str:
        name = context.request_payload
        await context.run("begin", lambda: name)
        await context.sleep("wait", "1d")
        return name

    one, two = [await site.trigger("/run", name) for name in ("one", "two")]
    await site.waits(one, "wait")
    await site.waits(two, "wait")
    site.pass_time("1d")
    assert {await one.result(), await two.result()} == {"one", "two"}


async def test_a_rate_of_runs(site, serve) -> None:
    began = []

    @serve.post("/run", flow_control=FlowControl("rated", rate=2, period="1m"))
    async def run(context: AsyncWorkflowContext) -> None:
        await context.run("begin", lambda: began.append(context.request_payload))

    runs = [await site.trigger("/run", str(n)) for n in range(5)]
    for expected in (2, 4, 5):
        while len(began) < expected:
            await site.pause()
        for _ in range(20):
            await site.pause()
        assert len(began) == expected
        site.pass_time("1m")
    for one in runs:
        await one.result()
    assert sorted(began) == list(range(5))


async def test_parallelism_of_steps_over_all_runs(site, serve, gauge) -> None:
    @serve.post("/run")
    async def run(context: AsyncWorkflowContext) -> list:
        async def body() -> int:
            with gauge:
                await site.pause()
            return 1

        limit = FlowControl("bodies", parallelism=3)
        return list(
            await asyncio.gather(
                *(context.run(f"step {n}", body, flow_control=limit) for n in range(5))
            )
        )

    runs = [await site.trigger("/run") for _ in range(3)]

    assert [await one.result() for one in runs] == [[1] * 5] * 3
    assert (gauge.entered, gauge.most) == (15, 3)


async def test_a_body_that_fails_gives_its_slot_back(site, serve) -> None:
    calls = []

    @serve.post("/run", retries=2, retry_delay="0")
    async def run(context: AsyncWorkflowContext) -> str:
        async def body() -> str:
            calls.append(1)
            if len(calls) < 3:
                raise ConnectionError
            return "done"

        limit = FlowControl("flaky", parallelism=1)
        first = await context.run("flaky", body, flow_control=limit)
        return first + await context.run("after", lambda: "!", flow_control=limit)

    assert (await site.run("/run")).result == "done!"


async def test_parallelism_of_calls_over_all_runs(site, serve, web, gauge) -> None:
    def answer(_request):
        with gauge:
            return {"ok": True}

    web.answer(API, answer)

    @serve.post("/run")
    async def run(context: AsyncWorkflowContext) -> int:
        limit = FlowControl("api", parallelism=1)
        answers = await asyncio.gather(
            *(context.call(f"call {n}", url=f"{API}/{n}", flow_control=limit) for n in range(4))
        )
        return sum(one.status for one in answers)

    runs = [await site.trigger("/run") for _ in range(2)]

    assert [await one.result() for one in runs] == [800, 800]
    assert (gauge.entered, gauge.most) == (8, 1)


async def test_an_invoked_run_waits_for_its_key(site, serve, gauge) -> None:
    @serve.post("/child")
    async def child(context: AsyncWorkflowContext) -> None:
        async def body() -> None:
            with gauge:
                await site.pause()

        await context.run("body", body)

    @serve.post("/parent")
    async def parent(context: AsyncWorkflowContext) -> int:
        limit = FlowControl("children", parallelism=1)
        done = await asyncio.gather(
            *(context.invoke(f"child {n}", child, n, flow_control=limit) for n in range(4))
        )
        return len(done)

    assert (await site.run("/parent")).result == 4
    assert (gauge.entered, gauge.most) == (4, 1)


async def test_a_cancelled_run_leaves_no_slot_taken(site, serve) -> None:
    began = asyncio.Event()

    @serve.post("/run", flow_control=FlowControl("runs", parallelism=1))
    async def run(context: AsyncWorkflowContext) -> str:
        async def body() -> str:
            began.set()
            if context.request_payload == "hang":
                await asyncio.Event().wait()
            return "done"

        return await context.run("body", body)

    hangs = await site.trigger("/run", "hang")
    await began.wait()
    waits = await site.trigger("/run", "next")
    await hangs.cancel()

    assert await waits.result() == "done"


async def test_a_cancelled_run_gives_back_the_slots_of_its_steps(site, serve, web) -> None:
    began, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def answer(_request):
        loop.call_soon_threadsafe(began.set)
        go_on.wait(10)
        return {"ok": True}

    web.answer(API, answer)

    @serve.post("/run")
    async def run(context: AsyncWorkflowContext) -> str:
        async def body() -> None:
            if context.request_payload == "hang":
                await asyncio.Event().wait()

        await asyncio.gather(
            context.run("body", body, flow_control=FlowControl("bodies", parallelism=1)),
            context.call("call", url=API, flow_control=FlowControl("calls", parallelism=1)),
        )
        return "done"

    hangs = await site.trigger("/run", "hang")
    await began.wait()
    waits = await site.trigger("/run", "next")
    await site.told(waits, "STEP_WAITING", "call")
    await hangs.cancel()
    go_on.set()

    async with asyncio.timeout(10):
        assert await waits.result() == "done"


async def test_a_call_that_is_taken_back_gives_its_slot_to_another_at_once(
    site, serve, web
) -> None:
    """Time stands still here: nothing that asks again after a while would help."""
    began, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    limit = FlowControl("calls", parallelism=1)

    def answer(request):
        if request.url.endswith("/slow"):
            loop.call_soon_threadsafe(began.set)
            go_on.wait(10)
        return {"ok": True}

    web.answer(API, answer)

    @serve.post("/first")
    async def first(context: AsyncWorkflowContext) -> str:
        call = asyncio.create_task(
            context.call("slow", url=f"{API}/slow", flow_control=limit),
        )
        await context.wait_for_event("enough", "enough", timeout="1d")
        call.cancel()
        return await context.run("go on", lambda: "went on")

    @serve.post("/second")
    async def second(context: AsyncWorkflowContext) -> int:
        return (await context.call("quick", url=f"{API}/quick", flow_control=limit)).status

    slow = await site.trigger("/first")
    await began.wait()
    await site.waits(slow, "enough")
    quick = await site.trigger("/second")
    await site.waits(quick, "quick")
    await site.client.notify("enough")
    assert await slow.result() == "went on"
    async with asyncio.timeout(10):
        assert await quick.result() == 200
    go_on.set()
