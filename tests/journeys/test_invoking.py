"""A workflow invokes another: how the other's end reaches it, whatever that end is."""

import asyncio
import json

import pytest

from workflow_agents import (
    AsyncWorkflowContext,
    FlowControl,
    StepFailed,
    WorkflowNonRetryableError,
)
from workflow_agents.store import commits


@pytest.fixture
def child(serve):
    @serve.post("/child", label="child")
    async def child(context: AsyncWorkflowContext) -> object:
        wish = context.request_payload
        await context.run("begin", lambda: wish)
        if wish == "fail":
            raise WorkflowNonRetryableError("as asked")
        if wish == "cancel":
            await context.cancel()
        if wish == "wait":
            await context.sleep("wait", "1d")
        return {"wish": wish, "header": context.headers.get("x-from")}

    return child


@pytest.fixture
def parent(serve, child):
    @serve.post("/parent")
    async def parent(context: AsyncWorkflowContext) -> list:
        done = await context.invoke(
            "invoke", child, context.request_payload, headers={"x-from": "parent"}
        )
        assert done.workflow_run_id.startswith("wfr_")
        return [done.body, done.is_failed, done.is_canceled]

    return parent


@pytest.mark.parametrize(
    ("wish", "result"),
    [
        ("soup", [{"wish": "soup", "header": "parent"}, False, False]),
        ("fail", [None, True, False]),
        ("cancel", [None, False, True]),
    ],
)
async def test_an_invoked_run_ends(site, parent, wish, result) -> None:
    assert (await site.run("/parent", wish)).result == result


async def test_both_wait_for_days(site, parent) -> None:
    run = await site.trigger("/parent", "wait")
    await site.waits(run, "invoke")
    [child] = await site.client.logs(label="child")
    await site.waits(site.client.handle(child.workflow_run_id), "wait")
    site.pass_time("1d")

    assert (await run.result())[0] == {"wish": "wait", "header": "parent"}


async def test_an_invoked_run_is_cancelled_from_outside(site, parent) -> None:
    run = await site.trigger("/parent", "wait")
    await site.waits(run, "invoke")
    [child] = await site.client.logs(label="child")
    await site.client.cancel(child.workflow_run_id)

    assert await run.result() == [None, False, True]


async def test_a_parent_that_is_cancelled_leaves_its_child_alone(site, parent) -> None:
    run = await site.trigger("/parent", "wait")
    await site.waits(run, "invoke")
    [log] = await site.client.logs(label="child")
    child = site.client.handle(log.workflow_run_id)
    await site.waits(child, "wait")
    await run.cancel()
    site.pass_time("1d")

    assert (await child.result())["wish"] == "wait"
    assert await run.status() == "RUN_CANCELED"


async def test_many_at_once_with_ids_of_their_own(site, serve, child) -> None:
    @serve.post("/many")
    async def many(context: AsyncWorkflowContext) -> list:
        done = await asyncio.gather(
            *(context.invoke("invoke", child, n, workflow_run_id=f"child-{n}") for n in range(5))
        )
        return [[one.workflow_run_id, one.body["wish"]] for one in done]

    assert (await site.run("/many")).result == [[f"wfr_child-{n}", n] for n in range(5)]


@pytest.mark.parametrize("slow_commit_s", [60, -1], ids=["quick disk", "slow disk"])
async def test_an_id_that_is_taken_fails_the_step(
    site, serve, child, slow_commit_s, monkeypatch
) -> None:
    """A run that waits for the failure to be stored is not at rest, however long that takes."""
    monkeypatch.setattr(commits, "_SLOW_COMMIT_S", slow_commit_s)

    @serve.post("/again")
    async def again(context: AsyncWorkflowContext) -> str:
        await context.invoke("first", child, 1, workflow_run_id="the-child")
        try:
            await context.invoke("second", "/child", 2, workflow_run_id="the-child")
        except StepFailed as failed:
            return failed.message
        return "both"

    assert (await site.run("/again")).result == "WA608 a run with this id is there already"


async def test_a_workflow_that_invokes_itself_without_end_is_stopped(site, serve) -> None:
    @serve.post("/self", retries=0)
    async def itself(context: AsyncWorkflowContext) -> int:
        done = await context.invoke("self", itself)
        return 1 if done.is_failed else 1 + done.body

    log = await site.run("/self")
    assert log.state == "RUN_SUCCESS"
    assert log.result == 100


async def test_an_invoked_run_that_fails_can_be_read_by_its_parent_only_as_failed(
    site, serve, child
) -> None:
    @serve.post("/strict")
    async def strict(context: AsyncWorkflowContext) -> None:
        done = await context.invoke("invoke", child, "fail")
        if done.is_failed:
            raise WorkflowNonRetryableError(f"child {done.workflow_run_id}")

    log = await site.run("/strict")
    assert log.failure["message"].startswith("child wfr_")
    assert len(await site.client.dlq.list()) == 2


async def test_every_option_of_an_invocation(site, serve) -> None:
    @serve.post("/child")
    async def child(context: AsyncWorkflowContext) -> object:
        await context.run("begin", lambda: 1)
        return [context.workflow_run_id, context.label, context.url]

    @serve.post("/parent")
    async def parent(context: AsyncWorkflowContext) -> object:
        done = await context.invoke(
            "invoke",
            child,
            workflow_run_id="wfr_chosen",
            label="a-child",
            retries=1,
            retry_delay="1000 * retried",
            flow_control=FlowControl("children", parallelism=1),
        )
        return done.body

    log = await site.run("/parent?here")
    assert log.result == ["wfr_chosen", "a-child", f"{site.url}/child"]
    stored = json.loads(site.engine.core.store.run("wfr_chosen").options)
    assert (stored["retries"], stored["retry_delay"]) == (1, "1000 * retried")
    assert stored["flow_control"]["key"] == "children"
    child_log = await site.client.log("wfr_chosen")
    assert (child_log.invoker, log.invoker) == (log.workflow_run_id, None)


async def test_a_call_names_an_address_or_a_workflow(site, serve) -> None:
    @serve.post("/both")
    async def both(context: AsyncWorkflowContext) -> None:
        await context.call("both", url="https://here.example", workflow="both")

    @serve.post("/neither")
    async def neither(context: AsyncWorkflowContext) -> None:
        await context.call("neither")

    @serve.post("/nothing")
    async def nothing(context: AsyncWorkflowContext) -> None:
        await context.call("nothing", workflow=object())

    for path, code in (("/both", "WA102"), ("/neither", "WA102"), ("/nothing", "WA107")):
        answer = await site.post(path)
        assert (answer.status_code, answer.json()["detail"]["code"]) == (500, code), path
