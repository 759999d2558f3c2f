"""Waiting for other people: events that somebody notifies, webhooks that somebody calls."""

import asyncio

import pytest

from workflow_agents import AsyncWorkflowContext


@pytest.fixture
def waiting(serve):
    @serve.post("/wait")
    async def waiting(context: AsyncWorkflowContext) -> object:
        event = f"order-{context.request_payload}"
        answer = await context.wait_for_event("wait", event, timeout="1d")
        return "timeout" if answer.timeout else answer.event_data

    return waiting


async def test_a_notification_wakes_who_waits(site, waiting) -> None:
    runs = [await site.trigger("/wait", "7") for _ in range(3)]
    other = await site.trigger("/wait", "8")
    for run in [*runs, other]:
        await site.waits(run, "wait")

    waiters = await site.client.get_waiters("order-7")
    woken = await site.client.notify("order-7", {"paid": True})

    ids = {run.run_id for run in runs}
    assert {waiter.workflow_run_id for waiter in waiters} == ids
    assert {waiter.workflow_run_id for waiter in woken} == ids
    assert {waiter.deadline for waiter in woken} == {(site.clock.now_ms() + 86_400_000) // 1000}
    assert [await run.result() for run in runs] == [{"paid": True}] * 3
    assert await site.client.get_waiters("order-7") == []
    assert await other.status() == "RUN_STARTED"
    assert await site.client.notify("order-7") == []


@pytest.mark.parametrize("data", [None, "text", 7, [1, {"a": None}], ""])
async def test_data_of_an_event_comes_as_it_was(site, waiting, data) -> None:
    run = await site.trigger("/wait", "7")
    await site.waits(run, "wait")
    await site.client.notify("order-7", data)

    assert await run.result() == (data or None if data == "" else data)


async def test_nobody_notifies(site, waiting) -> None:
    run = await site.trigger("/wait", "7")
    await site.waits(run, "wait")
    site.pass_time("23h")
    assert await run.status() == "RUN_STARTED"
    site.pass_time("1h")

    assert await run.result() == "timeout"
    assert await site.client.notify("order-7", "late") == []
    assert await run.result() == "timeout"


async def test_with_a_run_id_only_that_run_is_woken(site, waiting) -> None:
    one, two = [await site.trigger("/wait", "7") for _ in range(2)]
    for run in (one, two):
        await site.waits(run, "wait")

    [woken] = await site.client.notify("order-7", "for one", workflow_run_id=one.run_id)

    assert woken.workflow_run_id == one.run_id
    assert await one.result() == "for one"
    assert await two.status() == "RUN_STARTED"


async def test_a_notification_before_the_wait_is_kept_for_its_run(site, serve) -> None:
    @serve.post("/late")
    async def late(context: AsyncWorkflowContext) -> list:
        await context.sleep("first", "1h")
        got = [(await context.wait_for_event(f"wait {n}", "e", timeout="1d")) for n in range(3)]
        return [answer.event_data for answer in got]

    run = await site.trigger("/late")
    await site.waits(run, "first")
    assert await site.client.notify("e", "lost, as it names no run") == []
    assert await site.client.notify("e", "kept 1", workflow_run_id=run.run_id) == []
    assert await site.client.notify("e", "kept 2", workflow_run_id=run.run_id) == []
    assert await site.client.notify("other", "kept for nothing", workflow_run_id=run.run_id) == []
    site.pass_time("1h")
    await site.waits(run, "wait 2")
    await site.client.notify("e", "live")

    assert await run.result() == ["kept 1", "kept 2", "live"]
    assert await site.client.notify("e", "too late", workflow_run_id=run.run_id) == []


async def test_a_workflow_notifies_another(site, serve, waiting) -> None:
    @serve.post("/pay")
    async def pay(context: AsyncWorkflowContext) -> list:
        one = await context.notify("tell", "order-7", {"paid": True})
        none = await context.notify("tell again", "order-7", {"paid": True})
        kept = await context.notify(
            "tell one", "order-9", "kept", workflow_run_id=context.request_payload
        )
        return [len(one.notify_response), one.event_data, len(none.notify_response), kept.kept]

    waits = await site.trigger("/wait", "7")
    await site.waits(waits, "wait")
    sleeper = await site.client.trigger(waiting, "9", workflow_run_id="nine", delay="1h")

    assert (await site.run("/pay", "nine")).result == [1, {"paid": True}, 0, True]
    assert await waits.result() == {"paid": True}
    site.pass_time("1h")
    assert await sleeper.result() == "kept"


async def test_the_first_of_an_event_and_its_timeout_counts(site, waiting) -> None:
    runs = [await site.trigger("/wait", str(n)) for n in range(10)]
    for run in runs:
        await site.waits(run, "wait")
    site.pass_time("1d")  # due, and at the same time:
    await asyncio.gather(*(site.client.notify(f"order-{n}", "told") for n in range(10)))

    results = [await run.result() for run in runs]
    assert set(results) <= {"told", "timeout"}
    for run in runs:
        entries = [e.kind async for e in run.feed()]
        assert entries.count("STEP_SUCCESS") == 1


async def test_a_branch_that_waits_holds_up_no_other(site, serve) -> None:
    done = asyncio.Event()

    @serve.post("/branches")
    async def branches(context: AsyncWorkflowContext) -> list:
        async def slow() -> str:
            return (await context.wait_for_event("slow", "e", timeout="30d")).event_data

        async def quick() -> str:
            for n in range(3):
                await context.run(f"quick {n}", lambda: 1)
            done.set()
            return "quick"

        return list(await asyncio.gather(slow(), quick()))

    run = await site.trigger("/branches")
    async with asyncio.timeout(10):
        await done.wait()
    await site.waits(run, "slow")
    await site.client.notify("e", "slow")
    assert await run.result() == ["slow", "quick"]


async def test_a_webhook_is_called_twice(site, serve) -> None:
    urls = asyncio.Queue()

    @serve.post("/hooked")
    async def hooked(context: AsyncWorkflowContext) -> list:
        webhook = await context.create_webhook("address")
        await context.run("tell", lambda: urls.put_nowait(webhook.webhook_url))
        seen = []
        for n in range(2):
            got = await context.wait_for_webhook(f"call {n}", webhook, timeout="1d")
            request = got.request
            seen.append([request.method, request.url, request.headers["x-n"], request.text()])
        last = await context.wait_for_webhook("call 3", webhook, timeout="1d")
        return [*seen, [last.timeout, last.request]]

    run = await site.trigger("/hooked")
    url = await urls.get()
    assert url.startswith(f"{site.url}/v2/workflows/hooks/")

    # The first may come before the run waits; it is kept.
    one = await site.http.post(url, content=b'{"n":1}', headers={"x-n": "1"})
    two = await site.http.put(f"{url}?a=b", content=b"two", headers={"x-n": "2"})
    assert (one.status_code, two.status_code) == (200, 200)
    await site.waits(run, "call 3")
    site.pass_time("1d")

    path = url.removeprefix(site.url)
    assert await run.result() == [
        ["POST", url, ["1"], '{"n":1}'],
        ["PUT", f"{site.url}{path}?a=b", ["2"], "two"],
        [True, None],
    ]
    late = await site.http.post(url, content=b"late")
    assert late.status_code == 200  # whoever calls need not know that nobody listens any more


async def test_webhooks_take_binary_bodies_and_other_methods(site, serve) -> None:
    urls = asyncio.Queue()

    @serve.post("/hooked")
    async def hooked(context: AsyncWorkflowContext) -> list:
        webhook = await context.create_webhook("address")
        await context.run("tell", lambda: urls.put_nowait(webhook.webhook_url))
        got = [await context.wait_for_webhook("a", webhook) for _ in range(2)]
        return [[g.request.method, list(g.request.body)] for g in got]

    run = await site.trigger("/hooked")
    url = await urls.get()
    await site.http.patch(url, content=b"\x00\xff")
    await site.http.get(url)

    assert await run.result() == [["PATCH", [0, 255]], ["GET", []]]


async def test_a_webhook_of_no_run_is_not_found(site, waiting) -> None:
    await site.start()
    answer = await site.http.post("/v2/workflows/hooks/local/wfr_none/evt_none")

    assert answer.status_code == 404
    assert answer.json()["code"] == "WA606"
