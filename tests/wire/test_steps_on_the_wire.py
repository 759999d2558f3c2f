"""Every kind of step, kept by a QStash server: what is sent, how often it visits, what returns."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from workflow_agents import AsyncWorkflowContext, FlowControl, Secret, StepFailed

Context = AsyncWorkflowContext[Any]


def result(run: Any) -> Any:
    return json.loads(run.result) if run.result else None


def kinds(server: Any) -> list[str]:
    return [visit.kind for visit in server.visits]


async def test_steps_in_sequence(site, serve, server) -> None:
    ran: list[str] = []

    @serve.post("/order", retries=5, label="vip", retry_delay="1000")
    async def order(context: Context) -> dict:
        def step(name: str) -> Any:
            def body() -> dict:
                ran.append(name)
                return {"of": name, "for": context.request_payload["id"]}

            return body

        first = await context.run("first", step("first"))
        second = await context.run("second", step("second"))
        return {"first": first, "second": second, "tenant": context.headers["x-tenant"]}

    run = await site.run("/order", {"id": 7}, headers={"X-Tenant": "acme"})

    assert result(run) == {
        "first": {"of": "first", "for": 7},
        "second": {"of": "second", "for": 7},
        "tenant": "acme",
    }
    assert ran == ["first", "second"]
    assert [visit.listed for visit in server.visits] == [[], ["first"], ["first", "second"]]
    assert run.configuration["upstash-retries"] == "5"
    assert run.configuration["upstash-label"] == "vip"
    assert run.configuration["upstash-retry-delay"] == "1000"
    assert run.configuration["upstash-forward-x-tenant"] == "acme"
    assert run.results[0] == {
        "stepId": 1, "stepName": "first", "stepType": "Run",
        "out": '{"of":"first","for":7}', "concurrent": 1,
    }  # fmt: skip


async def test_sleeps_are_delays_of_their_messages(site, serve, server) -> None:
    until = datetime(2025, 1, 3, tzinfo=UTC)

    @serve.post("/sleepy")
    async def sleepy(context: Context) -> str:
        await context.sleep("nap", "1d")
        await context.sleep_until("new year", until)
        await context.sleep("blink", 0.2)
        return "awake"

    run_id = await site.trigger("/sleepy")
    await server.settle()
    assert len(server.visits) == 1
    await server.pass_time("23h")
    assert len(server.visits) == 1
    await server.pass_time("1h")
    assert len(server.visits) == 2
    run = await server.ended(run_id)

    assert result(run) == "awake"
    assert [s.get("sleepFor", s.get("sleepUntil")) for s in run.results] == [86400, 1735862400, 1]
    assert server.now_ms >= until.timestamp() * 1000


async def test_call_is_made_by_the_server(site, serve, server, web, monkeypatch) -> None:
    monkeypatch.setenv("PAY_KEY", "sk-pay")
    web.answer("https://pay.example.com/charge", {"paid": True})

    @serve.post("/pay")
    async def pay(context: Context) -> Any:
        answer = await context.call(
            "charge",
            url="https://pay.example.com/charge",
            method="POST",
            body={"amount": 10},
            headers={"authorization": Secret("PAY_KEY", prefix="Bearer "), "x-plain": "1"},
            retries=2,
            retry_delay="500",
            timeout=30,
            flow_control=FlowControl("pay", parallelism=5),
        )
        return [answer.status, answer.body, answer.headers["content-type"]]

    run = await site.run("/pay")

    assert result(run) == [200, {"paid": True}, ["application/json"]]
    assert kinds(server) == ["visit", "call", "callback", "visit"]
    [request] = web.requests
    assert request.json() == {"amount": 10}
    assert request.headers["authorization"] == "Bearer sk-pay"
    assert request.headers["x-plain"] == "1"
    assert not [n for n in request.headers if n.startswith("upstash-workflow")]
    answered = server.visits[2]
    assert answered.json() == {"workflowRunId": run.id, "finishCondition": "fromCallback"}
    sent = json.loads(server.submitted[1][3])[0]["headers"]
    assert sent["upstash-retries"] == "2"
    assert sent["upstash-retry-delay"] == "500"
    assert sent["upstash-timeout"] == "30s"
    assert sent["upstash-flow-control-value"] == "parallelism=5"


@pytest.mark.parametrize("raises", [False, True])
async def test_call_that_is_refused(site, serve, web, raises) -> None:
    from workflow_agents.testing._http import HttpAnswer

    web.answer("https://pay.example.com/", HttpAnswer(404, b"no such thing", {}))

    @serve.post("/pay")
    async def pay(context: Context) -> Any:
        try:
            answer = await context.call(
                "look", url="https://pay.example.com/", raise_for_status=raises
            )
        except StepFailed as failed:
            return [failed.status, failed.body]
        return [answer.status, answer.body]

    assert result(await site.run("/pay")) == [404, "no such thing"]


async def test_binary_bodies_both_ways(site, serve, web) -> None:
    from workflow_agents.testing._http import HttpAnswer

    picture = bytes(range(256))
    web.answer(
        "https://img.example.com/", lambda r: HttpAnswer(200, r.body, {"content-type": "image/png"})
    )

    @serve.post("/picture")
    async def picture_(context: Context) -> Any:
        answer = await context.call(
            "turn", url="https://img.example.com/", method="POST", body=picture
        )
        return answer.body == picture

    assert result(await site.run("/picture")) is True
    assert web.requests[0].body == picture


async def test_binary_payload(site, serve, server) -> None:
    @serve.post("/raw", initial_payload_parser=len)
    async def raw(context: Context) -> Any:
        return await context.run("size", lambda: context.request_payload)

    payload = bytes(range(256))
    run = await site.run("/raw", payload, headers={"content-type": "application/x-raw"})

    assert run.payload == payload
    assert run.content_type == "application/x-raw"
    assert run.state == "RUN_SUCCESS"


async def test_names_beyond_ascii(site, serve, web) -> None:
    web.answer("https://example.com/", "ok")

    @serve.post("/names")
    async def names(context: Context) -> Any:
        first = await context.run("würfeln 🎲", lambda: "é")
        answer = await context.call("prüfen: 100%\n", url="https://example.com/")
        return [first, answer.body]

    assert result(await site.run("/names")) == ["é", "ok"]


@pytest.mark.parametrize("when", ["before", "while it waits", "never"])
async def test_wait_for_event(site, serve, server, when) -> None:
    @serve.post("/wait")
    async def wait(context: Context) -> Any:
        answer = await context.wait_for_event("paid?", "order/42 paid", timeout="2d")
        return [answer.event_data, answer.timeout]

    run_id = await site.trigger("/wait")
    client = site.serve.client
    if when == "before":
        assert await client.notify("order/42 paid", {"ok": 1}, workflow_run_id=run_id) == []
    await server.settle()
    if when == "while it waits":
        [waiter] = await client.get_waiters("order/42 paid")
        assert waiter.workflow_run_id == run_id
        [woken] = await client.notify("order/42 paid", {"ok": 1})
        assert woken.workflow_run_id == run_id
    began = server.now_ms
    run = await server.ended(run_id)

    assert result(run) == ([None, True] if when == "never" else [{"ok": 1}, False])
    assert server.now_ms - began == (2 * 86_400_000 if when == "never" else 0)


async def test_notify_from_a_run(site, serve, server) -> None:
    @serve.post("/wait")
    async def wait(context: Context) -> Any:
        return (await context.wait_for_event("wait", "go")).event_data

    @serve.post("/notify")
    async def notify(context: Context) -> Any:
        told = await context.notify("tell", "go", {"n": 1})
        nobody = await context.notify("tell again", "go")
        return [[w.workflow_run_id for w in told.notify_response], nobody.notify_response]

    waiting = await site.trigger("/wait")
    await server.settle()
    run = await site.run("/notify")

    assert result(run) == [[waiting], []]
    assert result(server.runs[waiting]) == {"n": 1}


@pytest.mark.parametrize("outcome", ["returns", "fails", "is cancelled"])
async def test_invoke(site, serve, server, outcome) -> None:
    @serve.post("/child")
    async def child(context: Context) -> Any:
        sent = await context.run("take", lambda: [context.request_payload, dict(context.headers)])
        if outcome == "fails":
            from workflow_agents import WorkflowNonRetryableError

            raise WorkflowNonRetryableError("no")
        if outcome == "is cancelled":
            await context.cancel()
        return {"got": sent[0], "x": sent[1].get("x-own")}

    @serve.post("/parent")
    async def parent(context: Context) -> Any:
        done = await context.invoke("ship", child, {"order": 42}, headers={"X-Own": "1"}, retries=0)
        return [done.body, done.is_failed, done.is_canceled, done.workflow_run_id]

    run = await site.run("/parent")

    body, failed, canceled, child_id = result(run)
    assert server.runs[child_id].url == f"{site.url}/child"
    assert (failed, canceled) == (outcome == "fails", outcome == "is cancelled")
    assert body == ({"got": {"order": 42}, "x": "1"} if outcome == "returns" else None)
    assert server.runs[child_id].configuration["upstash-retries"] == "0"
    depth = "upstash-forward-upstash-workflow-invoke-count"
    assert server.runs[child_id].configuration[depth] == "1"


async def test_webhook_waited_for_twice(site, serve, server) -> None:
    @serve.post("/hook")
    async def hook(context: Context) -> Any:
        webhook = await context.create_webhook("hook")
        await context.run("tell", lambda: urls.append(webhook.webhook_url))
        first = await context.wait_for_webhook("one", webhook)
        second = await context.wait_for_webhook("two", webhook)
        third = await context.wait_for_webhook("three", webhook, timeout="1h")
        return [first.request.json(), second.request.method, first.request.url, third.timeout]

    urls: list[str] = []
    run_id = await site.trigger("/hook")
    await server.settle()
    [url] = urls
    sent = await site.http.post(f"{url}?a=b", json={"n": 1})
    await server.settle()
    assert sent.is_success
    await site.http.get(url)
    run = await server.ended(run_id)

    assert result(run) == [{"n": 1}, "GET", f"{url}?a=b", True]
    assert url.startswith(f"{server.url}/v2/workflows/hooks/defaultUser/{run_id}/evt_")


async def test_cancel(site, serve, server) -> None:
    @serve.post("/cancel")
    async def cancel(context: Context) -> Any:
        await context.run("look", lambda: 1)
        await context.cancel()

    run = await site.run("/cancel")

    assert run.state == "RUN_CANCELED"
    assert [v.status for v in server.visits] == [200, 200]


async def test_visits_of_a_parallel_group(site, serve, server) -> None:
    """Source: protocol 1.5: 1 + N + (N - 1) + 1, and the last one goes on."""
    ran: list[str] = []

    @serve.post("/parallel")
    async def parallel(context: Context) -> Any:
        def body(n: int) -> Any:
            def run() -> int:
                ran.append(f"s{n}")
                return n

            return run

        await context.run("before", body(0))
        found = await asyncio.gather(*(context.run(f"s{n}", body(n)) for n in (1, 2, 3)))
        return await context.run("after", lambda: sum(found))

    run = await site.run("/parallel")

    assert result(run) == 6
    assert sorted(ran) == ["s0", "s1", "s2", "s3"]
    assert len(server.visits) == 1 + 1 + 3 + 2 + 1 + 1
    numbers = sorted((s["stepId"], s["stepName"], s["concurrent"]) for s in run.results)
    assert numbers == [
        (1, "before", 1), (2, "s1", 3), (3, "s2", 3), (4, "s3", 3), (5, "after", 1),
    ]  # fmt: skip
    plans = [s for s in run.steps if s.get("targetStep")]
    assert [(p["stepName"], p["targetStep"]) for p in plans] == [("s1", 2), ("s2", 3), ("s3", 4)]


async def test_every_kind_in_one_group(site, serve, server, web) -> None:
    web.answer("https://example.com/", {"called": 1})

    @serve.post("/child")
    async def child(context: Context) -> Any:
        return await context.run("one", lambda: "child")

    @serve.post("/all")
    async def everything(context: Context) -> Any:
        webhook = await context.create_webhook("hook")
        found = await asyncio.gather(
            context.run("run", lambda: 1),
            context.sleep("sleep", "1h"),
            context.sleep_until("until", 1_735_700_000),
            context.call("call", url="https://example.com/"),
            context.wait_for_event("wait", "never", timeout="3h"),
            context.notify("notify", "nobody", workflow_run_id=None),
            context.invoke("invoke", child),
            context.create_webhook("another"),
            context.wait_for_webhook("hook", webhook, timeout="2h"),
        )
        return [
            found[0], found[1], found[2], found[3].body, found[4].timeout,
            found[5].notify_response, found[6].body, found[7].event_id[:4], found[8].timeout,
        ]  # fmt: skip

    began = server.now_ms
    run = await site.run("/all")

    assert result(run) == [1, None, None, {"called": 1}, True, [], "child", "evt_", True]
    assert server.now_ms - began == 3 * 3_600_000
    assert len([s for s in run.steps if s.get("targetStep")]) == 9


async def test_branches_advance_in_lock_step(site, serve, server) -> None:
    """Nested branches, of different lengths; each group holds what all of them ask for."""

    @serve.post("/nested")
    async def nested(context: Context) -> Any:
        async def branch(name: str, length: int) -> list[str]:
            return [
                await context.run(f"{name}{i}", lambda i=i: f"{name}{i}") for i in range(length)
            ]

        async def inner() -> Any:
            return await asyncio.gather(branch("a", 2), branch("b", 1))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(inner()), group.create_task(branch("c", 3))]
        return [task.result() for task in tasks]

    run = await site.run("/nested")

    assert result(run) == [[["a0", "a1"], ["b0"]], ["c0", "c1", "c2"]]
    sizes = {s["stepName"]: s["concurrent"] for s in run.results}
    assert sizes == {"a0": 3, "b0": 3, "c0": 3, "a1": 2, "c1": 2, "c2": 1}


async def test_a_race_is_won_by_the_first_to_end(site, serve, server) -> None:
    @serve.post("/race")
    async def race(context: Context) -> Any:
        slow = asyncio.create_task(context.sleep("slow", "3d"))
        event = asyncio.create_task(context.wait_for_event("event", "go", timeout="1d"))
        done, _ = await asyncio.wait({slow, event}, return_when=asyncio.FIRST_COMPLETED)
        return "event" if event in done else "slow"

    assert result(await site.run("/race")) == "event"
