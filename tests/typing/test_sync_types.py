"""The types that users of the synchronous faces see; pyright checks them, nothing runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

from workflow_agents import (
    Agent,
    AsyncClient,
    AsyncWorkflowContext,
    CallResponse,
    Client,
    DeadLetterList,
    DeadLetters,
    Engine,
    EventResult,
    FeedEntry,
    FlowControl,
    InvokeResult,
    NotifiedWaiter,
    NotifyResult,
    RunHandle,
    RunLog,
    RunLogList,
    Webhook,
    WebhookResult,
    Workflow,
    WorkflowContext,
)
from workflow_agents.core.resources import Queue
from workflow_agents.flask import Serve


@dataclass
class Order:
    item: str


class Plain(TypedDict):
    email: str


async def fetch() -> Order: ...


def count() -> int: ...


def steps(context: WorkflowContext[Order], webhook: Webhook) -> None:
    assert_type(context.request_payload, Order)
    assert_type(context.run("async", fetch), Order)
    assert_type(context.run("sync", count, retries=1, retry_delay="1000"), int)
    assert_type(context.run("lambda", lambda: 1.5), float)
    assert_type(context.run("key", count, flow_control=FlowControl("k", rate=1)), int)
    assert_type(context.sleep("sleep", "1d"), None)
    assert_type(context.sleep_until("until", 1_800_000_000), None)
    assert_type(context.wait_for_event("wait", "event", timeout=60), EventResult[Any])
    assert_type(context.notify("notify", "event", {"a": 1}), NotifyResult)
    assert_type(context.create_webhook("create"), Webhook)
    assert_type(context.wait_for_webhook("wait", webhook), WebhookResult)
    called: CallResponse[Plain] = context.call("call", url="https://example.com")
    assert_type(called.body["email"], str)
    invoked: InvokeResult[int] = context.invoke("invoke", "/other", {"a": 1})
    assert_type(invoked.body, int)

    async def part(context: AsyncWorkflowContext[Order]) -> list[int]:
        return [await context.run("a", count)]

    assert_type(context.run_async(part), list[int])
    assert_type(context.env.get("HOME"), str | None)
    assert_type(context.label, str | None)
    assert_type(context.labels, tuple[str, ...])
    assert_type(context.headers["x-a"], str)
    assert_type(context.created_at, int)


engine = Engine(":memory:")


@engine.workflow("/orders", retries=1)
def orders(context: WorkflowContext[Order]) -> str: ...


def flask(serve: Serve) -> None:
    @serve.route("/orders", retries=1)
    def served(context: WorkflowContext[Order]) -> str: ...

    @serve.route("/async")
    async def served_too(context: AsyncWorkflowContext[Order]) -> str: ...

    assert_type(served, Workflow)
    assert_type(served_too, Workflow)
    assert_type(serve.client, Client)
    serve.route("/typo", retrys=1)  # pyright: ignore[reportCallIssue]


def runs(client: Client) -> None:
    assert_type(orders, Workflow)
    assert_type(engine.client, AsyncClient)
    assert_type(engine.sync_client, Client)
    with engine as opened:
        assert_type(opened, Engine)
    run = client.trigger(orders, {"item": "chair"}, workflow_run_id="order-1", delay="1m")
    assert_type(run, RunHandle)
    assert_type(run.status(), str)
    assert_type(run.log(), RunLog)
    assert_type(run.feed(), Iterator[FeedEntry])
    assert_type(run.cancel(), bool)
    assert_type(client.logs(label="a"), RunLogList)
    assert_type(client.notify("event"), list[NotifiedWaiter])
    assert_type(client.dlq, DeadLetters)
    assert_type(client.dlq.list(), DeadLetterList)
    assert_type(client.dlq.resume("1"), RunHandle)
    assert_type(client.queues.list(), list[Queue])


def mistakes(context: WorkflowContext[Any], client: Client, agent: Agent) -> None:
    """Each of these is refused by the type checker: an ignore that is not needed is an error."""
    context.run("called", count())  # pyright: ignore[reportArgumentType, reportCallIssue]
    context.run("option", count, retrys=1)  # pyright: ignore[reportCallIssue]
    client.trigger(orders, workflow_id="1")  # pyright: ignore[reportCallIssue]
    engine.run_sync(agent, "prompt")
