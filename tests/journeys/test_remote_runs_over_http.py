"""Remote runs over HTTP: our own SDK and the official Python one, before our own server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from tests.unit.server.conftest import Site, serving
from tests.wire.conftest import AppOnLoopback
from workflow_agents import AsyncWorkflowContext
from workflow_agents.core.lifecycle import Phase
from workflow_agents.fastapi import Serve
from workflow_agents.server.settings import DEV_KEYS, DEV_TOKEN

Context = AsyncWorkflowContext[Any]


@pytest.fixture
async def server(tmp_path, monkeypatch) -> AsyncIterator[Site]:
    async with serving(tmp_path / "server.db") as site:
        monkeypatch.setenv("QSTASH_URL", f"http://127.0.0.1:{site.port}")
        monkeypatch.setenv("QSTASH_TOKEN", DEV_TOKEN)
        monkeypatch.setenv("QSTASH_CURRENT_SIGNING_KEY", DEV_KEYS.current)
        monkeypatch.setenv("QSTASH_NEXT_SIGNING_KEY", DEV_KEYS.following)
        site.engine.base_url = f"http://127.0.0.1:{site.port}"
        yield site
        assert site.engine.store.check() == []


@pytest.fixture
async def app(server: Site) -> AsyncIterator[AppOnLoopback]:
    app = AppOnLoopback(FastAPI())
    await app.start()
    yield app
    await app.stop()


async def ended(server: Site, run_id: str) -> Any:
    async with asyncio.timeout(20):
        while (run := server.engine.wire.known.find(run_id)) is None:
            await asyncio.sleep(0.01)
        row = await server.engine.end_of(run.id)
        while server.engine.deliveries.busy:
            await asyncio.sleep(0.01)
    return row


async def test_our_sdk_runs_every_kind_of_step(server, app) -> None:
    serve = Serve(app.app)

    @app.app.post("/third")
    async def third(body: dict[str, Any]) -> dict[str, Any]:
        return {"got": body}

    @serve.post("/child")
    async def child(context: Context) -> Any:
        return await context.run("double", lambda: context.request_payload * 2)

    @serve.post("/order")
    async def order(context: Context) -> Any:
        async def branch(name: str) -> str:
            first = await context.run(f"{name} 1", lambda: name)
            return await context.run(f"{name} 2", lambda: first * 2)

        both = await asyncio.gather(branch("a"), branch("b"))
        called = await context.call("third", url=f"{app.url}/third", method="POST", body={"n": 1})
        await context.sleep("nap", 0.01)
        invoked = await context.invoke("child", workflow=child, body=21)
        waited = await context.wait_for_event("paid?", "paid", timeout="30s")
        return {
            "both": both, "called": called.body, "invoked": invoked.body,
            "paid": waited.event_data,
        }  # fmt: skip

    answer = await server.ask(
        "POST", f"/v2/trigger/{app.url}/order", "{}",
        headers={"Content-Type": "application/json", "Upstash-Workflow-RunId": "order-1"},
    )  # fmt: skip
    assert answer.json["workflowRunId"] == "wfr_order-1"
    async with asyncio.timeout(20):
        while not (await server.ask("GET", "/v2/waiters/paid")).json:
            await asyncio.sleep(0.01)
    raw = (await server.ask("GET", "/v2/workflows/runs/wfr_order-1")).json
    assert raw[0]["body"] == "e30="
    (woken,) = (await server.ask("POST", "/v2/notify/paid", '{"by":"me"}')).json
    assert woken["workflowRunId"] == "wfr_order-1"
    row = await ended(server, "wfr_order-1")
    assert row.phase is Phase.SUCCESS
    assert json.loads(row.result) == {
        "both": ["aa", "bb"],
        "called": {"got": {"n": 1}},
        "invoked": 42,
        "paid": {"by": "me"},
    }
    assert (await server.ask("GET", "/v2/workflows/runs/wfr_order-1")).status == 404


async def test_the_official_python_sdk_runs(server, app, monkeypatch) -> None:
    from qstash import AsyncQStash
    from upstash_workflow.fastapi import Serve as OfficialServe

    failures: list[Any] = []
    official = OfficialServe(app.app)

    @app.app.post("/third")
    async def third(body: dict[str, Any]) -> dict[str, Any]:
        return {"got": body}

    async def failed(context: Any, status: int, message: str, header: Any) -> None:
        failures.append((status, message, context.request_payload, context.headers["x-tenant"]))

    client = AsyncQStash(DEV_TOKEN, base_url=f"http://127.0.0.1:{server.port}")

    @official.post("/work", qstash_client=client, failure_function=failed, retries=0)
    async def work(context: Any) -> None:
        async def read() -> dict[str, Any]:
            return {"order": context.request_payload["id"]}

        found = await context.run("read", read)
        await context.sleep("nap", 1)
        called = await context.call("third", url=f"{app.url}/third", method="POST", body=found)
        if called.body != {"got": {"order": 7}} or context.headers["x-tenant"] != "acme":
            raise RuntimeError("called")
        raise ValueError("at the end")

    message = await client.message.publish_json(
        url=f"{app.url}/work", body={"id": 7}, headers={"x-tenant": "acme"}
    )
    assert message.message_id
    async with asyncio.timeout(20):
        while not failures:
            await asyncio.sleep(0.01)
    assert failures == [(500, "at the end", {"id": 7}, "acme")]
