"""The client of a QStash server: it starts runs, follows them, and deals with those that failed."""

import time
from typing import Any

import pytest

from tests.wire.stand_in import TOKEN
from workflow_agents import (
    AsyncClient,
    AsyncWorkflowContext,
    Client,
    ConfigurationError,
    FlowControl,
    NotFound,
    RemoteError,
    RunFailed,
    Secret,
    StateError,
    WorkflowNonRetryableError,
)

Context = AsyncWorkflowContext[Any]


@pytest.fixture
async def client(server) -> Any:
    async with AsyncClient(TOKEN, base_url=server.url) as client:
        yield client


@pytest.fixture
async def address(site, serve) -> str:
    """Of a workflow that does what its payload says."""

    @serve.post("/work", retries=0)
    async def work(context: Context) -> Any:
        async def step() -> Any:
            if context.request_payload == "fail" and not mended:
                raise WorkflowNonRetryableError("no such order")
            return context.request_payload

        await context.run("before", lambda: 1)
        done = await context.run("do", step)
        if done == "wait":
            done = (await context.wait_for_event("wait", "go")).event_data
        return done

    mended: list[int] = []
    work.mended = mended  # type: ignore[attr-defined]  # for the tests
    site.workflow = work
    await site.start()
    return f"{site.url}/work"


async def test_everything_that_a_trigger_takes(server, client, monkeypatch) -> None:
    monkeypatch.setenv("TENANT", "acme")
    run = await client.trigger(
        "https://my-app.com/api/workflow",
        body={"hello": "world"},
        headers={"X-Tenant": Secret("TENANT"), "Content-Type": "application/vnd.order+json"},
        workflow_run_id="order-42",
        retries=7,
        retry_delay="1000 * (1 + retried)",
        flow_control=FlowControl("orders", rate=10, period="1m", parallelism=3),
        delay="2h",
        label=["eu", "vip"],
        redact={"body": True, "header": ["Authorization"]},
    )

    assert run.run_id == "wfr_order-42"
    found = server.runs["wfr_order-42"]
    assert found.payload == b'{"hello":"world"}'
    assert found.content_type == "application/vnd.order+json"
    assert abs(server._due[0][0] - time.time() * 1000 - 7_200_000) < 60_000
    prefix = "upstash-failure-callback"
    url = "https://my-app.com/api/workflow"
    assert found.configuration == {
        "upstash-forward-upstash-workflow-sdk-version": "1",
        "upstash-forward-x-tenant": "acme",
        "upstash-forward-upstash-label": "eu,vip",
        "upstash-label": "eu,vip",
        "upstash-retries": "7",
        "upstash-retry-delay": "1000 * (1 + retried)",
        "upstash-flow-control-key": "orders",
        "upstash-flow-control-value": "parallelism=3,rate=10,period=60s",
        "upstash-redact-fields": "body,header[Authorization]",
        prefix: url,
        f"{prefix}-forward-upstash-workflow-is-failure": "true",
        f"{prefix}-forward-upstash-workflow-failure-callback": "true",
        f"{prefix}-forward-x-tenant": "acme",
        f"{prefix}-workflow-runid": "wfr_order-42",
        f"{prefix}-workflow-init": "false",
        f"{prefix}-workflow-url": url,
        f"{prefix}-workflow-calltype": "failureCall",
        f"{prefix}-feature-set": "LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig",
        f"{prefix}-retries": "7",
        f"{prefix}-retry-delay": "1000 * (1 + retried)",
        f"{prefix}-flow-control-key": "orders",
        f"{prefix}-flow-control-value": "parallelism=3,rate=10,period=60s",
    }
    again = await client.trigger(url=url, workflow_run_id="order-42")
    assert again.deduplicated
    server._due.clear()


async def test_result_log_and_labels(site, server, client, address) -> None:
    run = await client.trigger(address, {"id": 1}, label="vip")
    other = await client.trigger(address, {"id": 2})
    await server.settle()

    assert await run.status() == "RUN_SUCCESS"
    assert await run.result() == {"id": 1}
    assert await other.result() == {"id": 2}
    log = await run.log()
    assert (log.payload, log.result, log.labels) == ({"id": 1}, {"id": 1}, ("vip",))
    assert [(s.step, s.name, s.type, s.state, s.out) for s in log.steps] == [
        (1, "before", "Run", "STEP_SUCCESS", 1),
        (2, "do", "Run", "STEP_SUCCESS", {"id": 1}),
    ]
    assert [found.workflow_run_id for found in await client.logs(label="vip")] == [run.run_id]
    assert await client.logs(state="RUN_FAILED") == []
    with pytest.raises(NotFound, match="WA606"):
        await client.log("wfr_unknown")
    with pytest.raises(StateError, match="WA608"):
        [entry async for entry in run.feed()]


async def test_logs_come_in_pages(server, client, address) -> None:
    runs = [(await client.trigger(address, n)).run_id for n in range(25)]
    await server.settle()

    newest = await client.logs(limit=13)
    rest = await client.logs(limit=100, before=newest[-1].workflow_run_id)

    assert [log.workflow_run_id for log in newest] == runs[::-1][:13]
    found = {log.workflow_run_id for log in (*newest, *rest)}
    assert found == set(runs)


async def test_cancel_and_notify(server, client, address) -> None:
    run = await client.trigger(address, "wait")
    await server.settle()
    [waiter] = await client.get_waiters("go")
    assert waiter.workflow_run_id == run.run_id
    assert await client.notify("nobody") == []
    [woken] = await client.notify("go", "went", workflow_run_id=run.run_id)
    assert woken.workflow_run_id == run.run_id
    await server.settle()
    assert await run.result() == "went"
    assert not await run.cancel()

    run = await client.trigger(address, "wait")
    await server.settle()
    assert await run.cancel()
    with pytest.raises(RunFailed, match="RUN_CANCELED"):
        await run.result()


async def test_dead_letters(site, server, client, address) -> None:
    run = await client.trigger(address, "fail")
    other = await client.trigger(address, "fail")
    await server.settle()
    with pytest.raises(RunFailed) as failed:
        await run.result()
    assert failed.value.log.failure is not None
    assert failed.value.log.failure["message"] == "no such order"

    second, first = await client.dlq.list()
    assert (first.workflow_run_id, second.workflow_run_id) == (run.run_id, other.run_id)
    assert [d.dlq_id for d in await client.dlq.list(before=second.dlq_id)] == [first.dlq_id]
    letter = await client.dlq.get(first.dlq_id)
    assert letter.failure["error"] == "WorkflowNonRetryableError"
    assert [s.name for s in letter.log.steps] == ["before"]
    with pytest.raises(StateError, match="WA608"):
        await client.dlq.retry_failure_function(first.dlq_id)

    site.workflow.mended.append(1)
    resumed = await client.dlq.resume(first.dlq_id, retries=1)
    restarted = await client.dlq.restart(second.dlq_id)
    await server.settle()
    assert await resumed.result() == await restarted.result() == "fail"
    assert server.runs[resumed.run_id].configuration["upstash-retries"] == "1"
    visits = [v for v in server.visits if v.run_id == resumed.run_id]
    assert visits[0].listed == ["before"]

    with pytest.raises(NotFound, match="WA607"):
        await client.dlq.get(first.dlq_id)
    third = await client.trigger(address, "fail")
    site.workflow.mended.clear()
    await server.settle()
    [letter] = await client.dlq.list()
    assert letter.workflow_run_id == third.run_id
    await client.dlq.delete(letter.dlq_id)
    assert await client.dlq.list() == []


async def test_result_is_waited_for(server, client, address) -> None:
    import asyncio

    run = await client.trigger(address, "later")
    waiting = asyncio.create_task(run.result())
    while not [s for s in server.submitted if "events" in s[1]]:
        await asyncio.sleep(0.01)
    await server.settle()

    assert await waiting == "later"


async def test_without_await(server, site, address) -> None:
    """The synchronous face is the same client."""
    import asyncio

    client = Client(TOKEN, base_url=server.url)
    run = await asyncio.to_thread(client.trigger, url=address, body="done")
    await server.settle()

    assert await asyncio.to_thread(run.result) == "done"
    await asyncio.to_thread(client.close)


async def test_clients_of_the_qstash_package(server, address) -> None:
    from qstash import QStash

    theirs = QStash(TOKEN, base_url=server.url)
    async with AsyncClient(theirs) as client:
        run = await client.trigger(address, "x")
        await server.settle()
        assert await run.result() == "x"
    theirs.http._client.close()


async def test_where_a_workflow_is(server, client, variables, serve, monkeypatch) -> None:
    @serve.post("/work")
    async def work(context: Context) -> None: ...

    with pytest.raises(ConfigurationError, match="WA107"):
        await client.trigger(work)
    with pytest.raises(ConfigurationError, match="WA107"):
        await client.trigger()
    monkeypatch.setenv("UPSTASH_WORKFLOW_URL", "https://my-app.com/")
    run = await client.trigger(work)
    assert server.runs[run.run_id].url == "https://my-app.com/work"
    server._due.clear()


async def test_a_token_that_is_refused(server) -> None:
    async with AsyncClient("other", base_url=server.url) as client:
        with pytest.raises(RemoteError, match="WA303") as refused:
            await client.trigger("https://my-app.com/")
    assert refused.value.status == 401


def test_where_the_token_comes_from(monkeypatch) -> None:
    with pytest.raises(ConfigurationError, match="WA106"):
        AsyncClient()
    monkeypatch.setenv("QSTASH_TOKEN", TOKEN)
    assert AsyncClient()._backend._connection.base_url == "https://qstash.upstash.io"  # type: ignore[attr-defined]
    monkeypatch.setenv("QSTASH_URL", "http://localhost:8080/")
    assert AsyncClient(token="t")._backend._connection.base_url == "http://localhost:8080"  # type: ignore[attr-defined]
