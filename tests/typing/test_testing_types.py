"""The types that users of the test kit see; pyright checks them in strict mode, nothing runs."""

from datetime import datetime
from typing import Any, assert_type

from workflow_agents import AsyncRunHandle, AsyncWorkflowContext, RunLog, StepLog, Workflow
from workflow_agents.testing import (
    CrashPoint,
    CrashReport,
    FakeHttp,
    RecordedHistory,
    ReplayReport,
    Route,
    StoreReport,
    WorkflowEnvironment,
    assert_steps,
    check_store,
    crash_everywhere,
    crash_points,
    expect,
    record_history,
    recorded_histories,
    replay_history,
    respond,
    run_workflow,
    step,
)


async def shop(context: AsyncWorkflowContext[dict[str, str]]) -> int:
    return await context.run("one", lambda: 1)


def world(http: FakeHttp) -> None:
    assert_type(http.on("POST", "https://bank.example/", respond(503), {"id": 1}), Route)


async def use() -> None:
    async with WorkflowEnvironment(shop) as env:
        assert_type(env.add("/shop", shop, retries=1), Workflow)
        run = await env.trigger(shop, {"a": "b"}, label="x")
        assert_type(run, AsyncRunHandle)
        assert_type(await env.until_waiting(run, event="paid"), StepLog)
        assert_type(await env.ended(run), RunLog)
        assert_type(env.now, datetime)
        await env.advance("3d")
        history = await record_history(run)
        assert_type(history, RecordedHistory)
        assert_type(await record_history(run).save("a.json"), RecordedHistory)
        assert_type(replay_history(history, shop), ReplayReport)


def use_without_a_loop() -> None:
    log = run_workflow(shop, world=world)
    assert_type(log, RunLog)
    assert_steps(log, ["one", {"two", "three"}, ..., expect("four", type="run", result=1)])
    assert_type(step(log, "one"), StepLog)
    report = crash_everywhere(shop, {"a": "b"}, world=world, events={"paid": 1})
    assert_type(report, CrashReport)
    assert_type(report.executions, dict[str, int])
    assert_type(report.result, Any)
    assert_type(crash_points(shop), list[CrashPoint])
    assert_type(recorded_histories("tests/histories"), list[RecordedHistory])
    assert_type(check_store("shop.db", shop), StoreReport)
