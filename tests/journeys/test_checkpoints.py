"""Over HTTP on our own server, a workflow runs as it does on an embedded engine."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.journeys.checkpoint_world import World, world
from workflow_agents import AsyncWorkflowContext, StepFailed
from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.options import RunOptions

Context = AsyncWorkflowContext[Any]


@pytest.fixture
async def site(tmp_path, monkeypatch) -> AsyncIterator[World]:
    async with world(tmp_path / "server.db", monkeypatch) as site:
        yield site


async def test_steps_follow_each_other_within_one_visit(site: World) -> None:
    @site.serve.post("/count")
    async def count(context: Context) -> Any:
        total = 0
        for n in range(20):
            total += await context.run(f"add {n}", lambda n=n: n)
        return {"total": total, "tenant": context.headers["x-tenant"]}

    await site.app.start()
    found = await site.run("/count", Forward_X_Tenant="acme")
    assert found == {"total": 190, "tenant": "acme"}
    assert site.visits == {("/count", "first"): 1}


async def test_a_branch_goes_on_while_another_one_waits(site: World) -> None:
    """Which a server that is asked in lock-step cannot do."""
    told: list[str] = []

    @site.serve.post("/race")
    async def race(context: Context) -> Any:
        async def waits() -> Any:
            return (await context.wait_for_event("paid?", "paid", timeout="1m")).event_data

        async def works() -> int:
            for n in range(3):
                await context.run(f"work {n}", lambda n=n: told.append(f"work {n}"))
            # It notifies the other branch of its own run, which waits beside it.
            notified = await context.notify("pay", "paid", {"by": "me"})
            await context.run("after", lambda: told.append("after"))
            return len(notified.notify_response)

        # The parent has a step beside its branches.
        tasks = [asyncio.create_task(waits()), asyncio.create_task(works())]
        await context.run("beside", lambda: told.append("beside"))
        return await asyncio.gather(*tasks)

    await site.app.start()
    assert await site.run("/race") == [{"by": "me"}, 1]
    assert sorted(told) == ["after", "beside", "work 0", "work 1", "work 2"]


async def test_a_slow_body_hears_what_came_for_another_branch(site: World) -> None:
    heard = asyncio.Event()

    @site.serve.post("/slow")
    async def slow(context: Context) -> Any:
        async def waits() -> None:
            await context.wait_for_event("go?", "go", timeout="1m")
            heard.set()

        async def works() -> str:
            async def body() -> str:
                async with asyncio.timeout(15):
                    await heard.wait()
                return "heard"

            return await context.run("slow", body)

        return (await asyncio.gather(waits(), works()))[1]

    await site.app.start()
    run_id = await site.trigger("/slow")
    await site.until(lambda: site.engine.store.waiters_for("go", None))
    await site.server.ask("POST", "/v2/notify/go", "{}")
    assert await site.result(run_id) == "heard"


async def test_every_kind_of_step(site: World) -> None:
    @site.app.app.post("/third")
    async def third(body: dict[str, Any]) -> dict[str, Any]:
        return {"got": body}

    @site.serve.post("/child")
    async def child(context: Context) -> Any:
        if context.request_payload == 13:
            await context.run("fails", lambda: 1 / 0)
        return await context.run("double", lambda: context.request_payload * 2)

    attempts: list[int] = []

    @site.serve.post("/all", retries=1, retry_delay="10")
    async def everything(context: Context) -> Any:
        def shaky() -> str:
            attempts.append(1)
            if len(attempts) < 2:
                raise OSError("now and then")
            return "steady"

        steady = await context.run("shaky", shaky)
        called = await context.call(
            "third", url=f"{site.app.url}/third", method="POST", body={"n": 1}
        )
        await context.sleep("nap", 0.05)
        invoked = await context.invoke("child", workflow=child, body=21)
        failed = await context.invoke("unlucky", workflow=child, body=13, retries=0)
        hook = await context.create_webhook("hook")
        waiting = asyncio.ensure_future(context.wait_for_webhook("hooked", hook, timeout="1m"))
        posted = await context.call("post", url=hook.webhook_url, method="POST", body="hello")
        hooked = await waiting
        late = await context.wait_for_event("never", "never", timeout="1s")
        try:
            await context.run("broken", lambda: 1 / 0, retries=0)
        except StepFailed as error:
            broken = error.error
        return {
            "steady": steady, "called": called.body, "invoked": invoked.body,
            "failed": failed.is_failed, "posted": posted.status,
            "hooked": hooked.request.method, "late": late.timeout, "broken": broken,
        }  # fmt: skip

    await site.app.start()
    run_id = await site.trigger("/all", Retries="1", Retry_Delay="10")
    assert await site.result(run_id) == {
        "steady": "steady", "called": {"got": {"n": 1}}, "invoked": 42, "failed": True,
        "posted": 200, "hooked": "POST", "late": True, "broken": "ZeroDivisionError",
    }  # fmt: skip
    assert len(attempts) == 2
    assert site.visits["/all", "first"] == 1
    assert site.visits["/all", "again"] >= 1


async def test_a_run_that_fails_is_told_and_goes_on_from_its_dead_letter(site: World) -> None:
    failures: list[Any] = []
    ran: list[str] = []
    broken = [True]

    async def failed(context: Any, status: int, message: str, _headers: Any) -> None:
        failures.append((status, message, context.request_payload))

    @site.serve.post("/order", failure_function=failed)
    async def order(context: Context) -> Any:
        first = await context.run("first", lambda: ran.append("first") or 1)
        if broken:
            await context.run("charge", lambda: 1 / 0)
        return first + await context.run("charge", lambda: 2)

    await site.app.start()
    run_id = await site.trigger("/order", {"id": 7}, Retries="0")
    row = await site.ended(run_id)
    assert row.phase is Phase.FAILED
    await site.until(lambda: failures)
    assert failures == [(500, "division by zero", {"id": 7})]
    (letter,) = (await site.server.ask("GET", "/v2/workflows/dlq")).json["messages"]
    assert letter["workflowRunId"] == run_id
    assert letter["responseStatus"] == 500
    broken.clear()
    again = await site.server.ask("POST", f"/v2/workflows/dlq/resume/{letter['dlqId']}")
    assert await site.result(again.json["workflowRunId"]) == 3
    assert ran == ["first"]

    forked = await site.engine.admin.fork(
        run_id, RunOptions(), step="first", body=None, result=b"40"
    )
    assert await site.result(forked.run_id) == 42
    assert ran == ["first"]


async def test_a_function_that_fails_is_called_again_with_its_history(site: World) -> None:
    calls: list[int] = []

    @site.serve.post("/shaky")
    async def shaky(context: Context) -> Any:
        first = await context.run("first", lambda: 1)
        calls.append(first)
        if len(calls) < 3:
            raise OSError("now and then")
        return first

    await site.app.start()
    assert await site.run("/shaky", Retries="2", Retry_Delay="10") == 1
    assert site.visits == {("/shaky", "first"): 1, ("/shaky", "again"): 2}


async def test_a_run_that_is_cancelled_runs_no_further_step(site: World) -> None:
    began, goes_on = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    @site.serve.post("/long")
    async def long(context: Context) -> None:
        async def body() -> None:
            began.set()
            await goes_on.wait()

        await context.run("long", body)
        await context.run("next", lambda: ran.append("next"))

    await site.app.start()
    run_id = await site.trigger("/long")
    async with asyncio.timeout(20):
        await began.wait()
    answer = await site.server.ask("DELETE", f"/v2/workflows/runs/{run_id}?cancel=true")
    assert answer.json == {"cancelled": 1}
    goes_on.set()
    row = await site.ended(run_id)
    assert row.phase is Phase.CANCELED
    assert not ran


async def test_conversations_are_kept(site: World) -> None:
    @site.serve.post("/chat")
    async def chat(context: Context) -> Any:
        from workflow_agents.context.steps import recall_step, remember_step
        from workflow_agents.protocol.history import StepKind

        invocation = context._invocation
        for said in ("one", "two"):
            key = invocation.request(StepKind.RUN, said)
            await remember_step(invocation, key, said, "talk", [json.dumps(said).encode()])
        await context.sleep("nap", 0.01)
        key = invocation.request(StepKind.RUN, "recall")
        return await recall_step(invocation, key, "recall", "talk", None)

    await site.app.start()
    assert await site.run("/chat") == ["one", "two"]


async def test_flow_control_holds_whole_runs(site: World) -> None:
    together: list[int] = []
    most: list[int] = []

    @site.serve.post("/limited")
    async def limited(context: Context) -> None:
        async def body() -> None:
            together.append(1)
            most.append(len(together))
            await asyncio.sleep(0.02)
            together.pop()

        for n in range(3):
            await context.run(f"{n}", body)

    await site.app.start()
    limits = {"Flow_Control_Key": "k", "Flow_Control_Value": "parallelism=2"}
    runs = await asyncio.gather(*(site.trigger("/limited", **limits) for _ in range(5)))
    for run_id in runs:
        await site.result(run_id)
    assert max(most) <= 2


async def test_a_run_that_comes_to_no_step_fails_as_the_protocol_says(site: World) -> None:
    @site.serve.post("/nothing")
    async def nothing(context: Context) -> None:
        pass

    await site.app.start()
    row = await site.ended(await site.trigger("/nothing", Retries="0"))
    assert row.phase is Phase.FAILED
    assert json.loads(row.result)["status"] == 400
    assert "checkpoints" not in (row.options or "")


async def test_the_log_tells_of_every_step(site: World) -> None:
    @site.app.app.post("/third")
    async def third(body: dict[str, Any]) -> dict[str, Any]:
        return {"got": body}

    @site.serve.post("/logged")
    async def logged(context: Context) -> Any:
        first = await context.run("first", lambda: {"n": 1})

        async def runs() -> None:
            await context.run("a", lambda: "A")

        async def calls() -> None:
            await context.call("b", url=f"{site.app.url}/third", method="POST", body={})

        await asyncio.gather(runs(), calls())
        await context.wait_for_event("paid?", "paid", timeout="1m")
        return first

    await site.app.start()
    run_id = await site.trigger("/logged")
    await site.until(lambda: site.engine.store.waiters_for("paid", None))
    (run,) = await _runs(site, "state=RUN_STARTED")
    assert run["workflowRunId"] == run_id
    assert [group["type"] for group in run["steps"]] == [
        "sequential", "sequential", "parallel", "sequential",
    ]  # fmt: skip
    init, first, both, waits = (group["steps"] for group in run["steps"])
    assert init[0]["stepType"] == "Initial"
    assert first[0].items() >= {"stepId": 1, "stepName": "first", "out": '{"n":1}'}.items()
    found = {s["stepName"]: s for s in both}
    assert {n: (s["stepType"], s["state"], s["concurrent"]) for n, s in found.items()} == {
        "a": ("Run", "STEP_SUCCESS", 2), "b": ("Call", "STEP_SUCCESS", 2),
    }  # fmt: skip
    assert found["b"].items() >= {"callMethod": "POST", "callResponseStatus": 200}.items()
    assert waits[0].items() >= {"waitEventId": "paid", "state": "STEP_PROGRESS"}.items()
    await site.server.ask("POST", "/v2/notify/paid", '"now"')
    assert await site.result(run_id) == {"n": 1}
    (run,) = await _runs(site, "state=RUN_SUCCESS")
    assert json.loads(run["workflowRunResponse"]) == {"n": 1}
    events = (await site.server.ask("GET", "/v2/workflows/events")).json["events"]
    told = [(e["state"], (e.get("stepInfo") or {}).get("stepName")) for e in reversed(events)]
    assert [told[0], told[1], told[-1]] == [
        ("RUN_STARTED", None), ("STEP_SUCCESS", "first"), ("RUN_SUCCESS", None),
    ]  # fmt: skip
    assert {*told[2:-1]} == {
        ("STEP_PROGRESS", "b"), ("STEP_SUCCESS", "a"), ("STEP_SUCCESS", "b"),
        ("STEP_PROGRESS", "paid?"), ("STEP_SUCCESS", "paid?"),
    }  # fmt: skip


async def _runs(site: World, query: str) -> list[Any]:
    answer = await site.server.ask("GET", f"/v2/workflows/events?groupBy=workflowRunId&{query}")
    assert answer.status == 200, answer.body
    return answer.json["runs"]
