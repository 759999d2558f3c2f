"""The types that users of a context see; pyright checks them in strict mode, nothing runs."""

from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

from pydantic import BaseModel

from workflow_agents import (
    AsyncClient,
    AsyncRunHandle,
    AsyncWorkflowContext,
    CallResponse,
    Engine,
    EventResult,
    FeedEntry,
    FlowControl,
    InvokeResult,
    NotifiedWaiter,
    NotifyResult,
    RunLog,
    RunLogList,
    Secret,
    Webhook,
    WebhookResult,
    Workflow,
)
from workflow_agents.core.resources import PublishedMessage


@dataclass
class Item:
    name: str


class Order(BaseModel):
    items: list[Item]


class Plain(TypedDict):
    email: str


async def fetch() -> Item: ...


async def fetch_all() -> list[Item]: ...


async def nothing() -> None: ...


def count() -> int: ...


class Service:
    async def ask(self) -> str: ...

    def tell(self) -> bytes: ...


async def steps(context: AsyncWorkflowContext[Order], service: Service) -> None:
    assert_type(await context.run("async", fetch), Item)
    assert_type(await context.run("async list", fetch_all), list[Item])
    assert_type(await context.run("async none", nothing), None)
    assert_type(await context.run("sync", count), int)
    assert_type(await context.run("async method", service.ask), str)
    assert_type(await context.run("sync method", service.tell), bytes)
    assert_type(await context.run("lambda", lambda: 1.5), float)
    assert_type(await context.run("lambda to async", lambda: fetch()), Item)
    assert_type(
        await context.run(
            "options",
            count,
            retries=1,
            retry_delay="1000",
            flow_control=FlowControl("key", rate=1, period="1m"),
        ),
        int,
    )


async def waits(context: AsyncWorkflowContext[Any], webhook: Webhook) -> None:
    assert_type(await context.sleep("sleep", "1d"), None)
    assert_type(await context.sleep_until("until", 1_800_000_000), None)
    assert_type(await context.wait_for_event("wait", "event", timeout=60), EventResult[Any])
    assert_type(await context.notify("notify", "event", {"a": 1}), NotifyResult)
    assert_type(await context.create_webhook("create"), Webhook)
    assert_type(await context.wait_for_webhook("wait", webhook), WebhookResult)
    called: CallResponse[Plain] = await context.call(
        "call",
        url="https://example.com",
        method="POST",
        body={"a": 1},
        headers={"authorization": Secret("KEY"), "x-a": "b"},
        timeout="30s",
    )
    assert_type(called.body["email"], str)
    assert_type(called.headers, dict[str, list[str]])
    assert_type(called.raise_for_status(), CallResponse[Plain])
    invoked: InvokeResult[int] = await context.invoke("invoke", "/other", {"a": 1})
    assert_type(invoked.body, int)


async def payloads(
    model: AsyncWorkflowContext[Order],
    typed: AsyncWorkflowContext[Plain],
    text: AsyncWorkflowContext[str],
) -> None:
    assert_type(model.request_payload, Order)
    assert_type(typed.request_payload["email"], str)
    assert_type(text.request_payload, str)
    assert_type(text.headers["x-a"], str)
    assert_type(text.env.get("HOME"), str | None)
    assert_type(text.label, str | None)
    assert_type(text.labels, tuple[str, ...])
    assert_type(text.workflow_run_id, str)
    assert_type(text.created_at, int)


engine = Engine(":memory:")


@engine.workflow("/orders", retries=1)
async def orders(context: AsyncWorkflowContext[Order]) -> str: ...


async def runs(client: AsyncClient) -> None:
    assert_type(orders, Workflow)
    assert_type(engine.client, AsyncClient)
    run = await client.trigger(orders, {"items": []}, workflow_run_id="order-1", delay="1m")
    assert_type(run, AsyncRunHandle)
    assert_type(await run.status(), str)
    assert_type(await run.log(), RunLog)
    assert_type(await run.cancel(), bool)
    assert_type(await client.logs(label="a"), RunLogList)
    assert_type(await client.notify("event"), list[NotifiedWaiter])
    assert_type(await client.get_waiters("event"), list[NotifiedWaiter])
    assert_type(await client.messages.publish("x", delay=1), list[PublishedMessage])
    async for entry in run.feed():
        assert_type(entry, FeedEntry)


async def mistakes(context: AsyncWorkflowContext[Any], client: AsyncClient) -> None:
    """Each of these is refused by the type checker: an ignore that is not needed is an error."""
    await context.run("called", count())  # pyright: ignore[reportArgumentType, reportCallIssue]
    await context.run("option", count, retrys=1)  # pyright: ignore[reportCallIssue]
    await context.sleep("sleep", duration=None)  # pyright: ignore[reportArgumentType]
    await client.trigger(orders, workflow_id="1")  # pyright: ignore[reportCallIssue]
    await client.logs(lable="a")  # pyright: ignore[reportCallIssue]
    await client.messages.publish("x", retrys=1)  # pyright: ignore[reportCallIssue]
