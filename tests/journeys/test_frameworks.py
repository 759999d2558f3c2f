"""One journey through every door that this package has, whoever keeps the runs.

Goal: what a workflow does depends neither on the web framework that it is served by, nor on
whether an engine in its process keeps its runs, our own server (by checkpoints), or a server that
knows nothing but the documented protocol.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Web
from tests.journeys.doors import DOORS, KEEPERS, Site, site_of
from workflow_agents import AsyncWorkflowContext, RunFailed, WorkflowContext, create_workflow

Context = WorkflowContext[Any]


@pytest.fixture(params=[(door, keeper) for keeper in KEEPERS for door in DOORS], ids=", ".join)
async def site(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    async with site_of(*request.param, tmp_path, monkeypatch) as site:
        yield site


def serve_order(site: Site, web: Web, failures: list[Any]) -> None:
    """Steps of most kinds, in a plain function; and one that fails."""

    def failed(context: Context, status: int, response: str, headers: Any) -> None:
        failures.append((context.request_payload, status, response))

    @site.serve.post("/order")
    def order(context: Context) -> Any:
        if not context.request_payload:
            return None
        item = context.run("read", lambda: context.request_payload["item"])
        rate = context.call("rate", url=f"{web.origin}/https/rates.example/eur")
        context.sleep("nap", 0)
        paid = context.wait_for_event("payment", f"paid {item}", timeout="1h")
        webhook = context.create_webhook("address")
        context.call("tell", url=f"{web.origin}/https/ship.example/", body=webhook.webhook_url)
        shipped = context.wait_for_webhook("shipping", webhook, timeout="1h")
        return [item, rate.body["rate"], paid.event_data, shipped.request.body.decode()]

    @site.serve.post("/both")
    async def both(context: AsyncWorkflowContext[Any]) -> int:
        return await context.run("length", lambda: len(context.request_payload))

    @site.serve.post("/fails", failure_function=failed, retries=0)
    def fails(context: Context) -> None:
        context.run("step", lambda: 1)
        raise ValueError("no")


def serve_family(site: Site) -> None:
    """Workflows that invoke each other: as objects, and by their names."""

    @create_workflow
    def twice(context: Context) -> Any:
        return context.run("double", lambda: 2 * context.request_payload)

    @create_workflow(retries=0)
    async def parent(context: AsyncWorkflowContext[Any]) -> Any:
        one = await context.invoke("object", twice, context.request_payload)
        two = await context.invoke("name", "twice", one.body)
        none = await context.invoke("fails", "stumbles", retries=0)
        begun = await context.call("begin", workflow=twice, body=7)
        return [one.body, two.body, none.is_failed, begun.status]

    async def stumbles(context: AsyncWorkflowContext[Any]) -> None:
        await context.run("begin", lambda: 1)
        raise ValueError("stumbled")

    served = site.serve.many(
        "/family", {"parent": parent, "twice": twice, "stumbles": stumbles}, retries=0
    )
    assert twice.path == served["twice"].path == "/family/twice"
    assert served["twice"].options.retries == served["parent"].options.retries == 0


async def test_a_journey(site: Site, web: Web) -> None:
    web.answer("https://rates.example", {"rate": 2})
    web.answer("https://ship.example", "told")
    failures: list[Any] = []
    serve_order(site, web, failures)
    serve_family(site)

    run = await site.trigger("/order", {"item": "chair"})
    await site.waited_for("paid chair")
    assert len(await site.client.notify("paid chair", 30)) == 1

    async def told() -> Any:
        return web.to("https://ship.example/")

    [told_of] = await site.until(told)
    answered = await site.ask("POST", told_of.body.decode(), content="on its way")
    assert answered.status_code == 200, answered.text
    assert await site.ended(run) == ["chair", 2, 30, "on its way"]

    assert await site.ended(await site.trigger("/both", "ä" * 100)) == 100
    assert await site.ended(await site.trigger("/family/parent", 5)) == [10, 20, True, 200]

    failing = await site.trigger("/fails", "payload")
    with pytest.raises(RunFailed, match="no"):
        await site.ended(failing)

    async def heard() -> Any:
        return failures

    assert await site.until(heard) == [("payload", 500, "no")]
    await refuses(site)


async def refuses(site: Site) -> None:
    """What is refused, and how."""
    assert (await site.request("/order", method="GET")).status_code == 405
    assert (await site.request("/family/nobody", 1)).status_code == 404
    if not site.embedded:
        unsigned = await site.request("/order", {"item": "chair"})
        assert (unsigned.status_code, unsigned.json()["code"]) == (500, "WA402")
        return
    refused = await site.request("/order", "")
    assert (refused.status_code, refused.json()["workflowRunId"]) == (400, "no-workflow-id")
    large = await site.request("/both", "x" * 1_001)
    assert (large.status_code, large.json()["code"]) == (413, "WA501")
    unknown = await site.request("/v2/workflows/hooks/local/wfr_none/evt_none")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "WA606")
