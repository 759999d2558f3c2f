"""Agents with tools of every kind on a real engine: retries, limits, agents, workflows."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.tools import StructuredTool
from pydantic import BaseModel

from workflow_agents import (
    AsyncWorkflowContext,
    FlowControl,
    ToolContext,
    WorkflowNonRetryableError,
    agent_workflow,
    tool,
    workflow_tool,
)
from workflow_agents.testing.model_server import CallTools, ScriptedModel


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedModel]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-t0p")
    with ScriptedModel() as model:
        yield model
        model.assert_done()


class Chat:
    """A workflow with one agent, `bot`, whose tools a test sets."""

    def __init__(self, site: Any, model: ScriptedModel) -> None:
        self.site = site
        self.tools: list[Any] = []
        self.result: Any = None

        @site.serve.post("/chat", retries=0)
        async def chat(context: AsyncWorkflowContext[None]) -> str:
            agents = agent_workflow(context)
            self.llm = agents.openai("gpt-4o", base_url=model.base_url)
            bot = agents.agent(model=self.llm, name="bot", tools=self.tools)
            self.result = await agents.task(agent=bot, prompt="Go.").run()
            return self.result.text

    async def start(self, *tools: Any) -> Any:
        self.tools[:] = tools
        return await self.site.trigger("/chat")

    async def log(self, *tools: Any) -> Any:
        return await self.site.ended(await self.start(*tools))


@pytest.fixture
def chat(site: Any, model: ScriptedModel) -> Chat:
    return Chat(site, model)


def told(model: ScriptedModel) -> list[str]:
    return [m["content"] for m in model.requests[-1].messages if m["role"] == "tool"]


def steps(log: Any) -> list[str]:
    return [step.name for step in log.steps]


async def test_a_tool_is_tried_again_before_the_model_is_told(chat: Chat, model: Any) -> None:
    model.call_tools(("flaky", {})).say("Done.")
    seen: list[ToolContext] = []

    @tool(retries=2, retry_delay="1000")
    def flaky(call: ToolContext) -> str:
        """Fails twice."""
        seen.append(call)
        if len(seen) < 3:
            raise OSError("busy")
        return "at last"

    run = await chat.start(flaky)
    for number in (1, 2):
        await chat.site.told(run, "STEP_RETRY", "Run tool flaky", number)
        chat.site.pass_time(1)
    assert (await chat.site.ended(run)).result == "Done."
    assert told(model) == ["at last"]
    assert [call.attempt for call in seen] == [1, 2, 3]
    assert len({call.idempotency_key for call in seen}) == 1
    assert (seen[0].workflow_run_id, seen[0].agent) == (run.run_id, "bot")


async def test_after_its_last_try_the_model_is_told(chat: Chat, model: Any) -> None:
    model.call_tools(("broken", {})).say("Too bad.")

    @tool(retries=1, retry_delay="0")
    async def broken() -> str:
        """Fails."""
        raise OSError("busy")

    log = await chat.log(broken)
    assert log.result == "Too bad."
    assert told(model) == ["Error: OSError: busy"]
    [step] = [s for s in log.steps if s.name == "Run tool broken"]
    assert (step.state, step.retries) == ("STEP_SUCCESS", 1)


async def test_a_fatal_error_fails_the_run_and_resuming_keeps_the_key(
    chat: Chat, model: Any
) -> None:
    model.call_tools(("pay", {}), ("note", {}))
    down, keys, noted = [True], [], []

    @tool
    def pay(call: ToolContext) -> str:
        """Pay."""
        keys.append(call.idempotency_key)
        if down:
            raise WorkflowNonRetryableError("no such account")
        return "paid"

    @tool
    def note() -> str:
        """Note."""
        noted.append(1)
        return "noted"

    log = await chat.log(pay, note)
    assert (log.state, log.failure["message"]) == ("RUN_FAILED", "no such account")
    down.clear()
    model.say("Paid.")
    resumed = await chat.site.ended(await chat.site.client.dlq.resume(log.dlq_id))
    assert resumed.result == "Paid."
    assert told(model) == ["paid", "noted"]
    assert len(set(keys)) == 1
    assert keys[0].startswith(log.workflow_run_id)

    down.append(True)
    model.call_tools(("pay", {}))
    failed = await chat.log(pay, note)
    down.clear()
    model.call_tools(("pay", {})).say("Paid.")
    restarted = await chat.site.client.dlq.restart(failed.dlq_id)
    assert await restarted.result() == "Paid."
    assert len(set(keys)) == 3, "from the top it is a new payment"


async def test_a_tool_that_fails_too_often_fails_the_task(chat: Chat, model: Any) -> None:
    model.call_tools(("bad", {}), ("good", {})).call_tools(("bad", {}), ("good", {}))

    @tool(max_errors=2)
    def bad() -> str:
        """Fails."""
        raise OSError("busy")

    @tool
    def good() -> str:
        """Works."""
        return "fine"

    log = await chat.log(bad, good)
    assert log.failure["message"] == "WA706 a tool failed too often"


async def test_calls_of_a_tool_wait_for_its_key(chat: Chat, model: Any) -> None:
    model.call_tools(("one", {}), ("one", {}), ("one", {})).say("Done.")
    now, most = [0], [0]

    @tool(flow_control=FlowControl("shop", parallelism=1))
    async def one() -> str:
        """One at a time."""
        now[0] += 1
        most[0] = max(most[0], now[0])
        await asyncio.sleep(0)
        now[0] -= 1
        return "ok"

    log = await chat.log(one)
    assert log.result == "Done."
    assert most == [1]


async def test_what_a_langchain_tool_returns_directly_ends_the_task(chat: Chat, model: Any) -> None:
    model.call_tools(("look", {}))
    look = StructuredTool.from_function(
        lambda: "It rains.", name="look", description="Looks.", return_direct=True
    )
    assert (await chat.log(look)).result == "It rains."
    assert chat.result.finish_reason == "stop"


async def test_an_agent_is_a_tool_of_another(site: Any, model: ScriptedModel) -> None:
    model.when(lambda r: r.agent == "boss", CallTools((("ask_expert", {"prompt": "Tea?"}),)))
    model.when(lambda r: r.agent == "boss", "Tea it is.")
    model.when(lambda r: r.agent == "tea expert", CallTools((("taste", {}),)), "Green tea.")

    def taste() -> str:
        """Taste."""
        return "good"

    results: list[Any] = []

    @site.serve.post("/boss", retries=0)
    async def boss(context: AsyncWorkflowContext[None]) -> str:
        agents = agent_workflow(context)
        llm = agents.openai("gpt-4o", base_url=model.base_url)
        expert = agents.agent(model=llm, name="tea expert", background="Tea.", tools=[taste])
        named = expert.as_tool("ask_expert", "Knows all about tea.")
        agent = agents.agent(model=llm, name="boss", tools=[named, taste])
        results.append(await agents.task(agent=agent, prompt="What shall we drink?").run())
        return results[-1].text

    log = await site.run("/boss")
    assert log.result == "Tea it is."
    first = model.requests[0].body["tools"][0]["function"]
    assert (first["name"], first["description"]) == ("ask_expert", "Knows all about tea.")
    assert told(model) == ["Green tea."]
    assert steps(log) == [
        "Call Agent boss",
        "Call Agent tea expert",
        "Run tool taste",
        "Call Agent tea expert",
        "Call Agent boss",
    ]
    assert set(results[-1].usage_by_agent) == {"boss", "tea expert"}
    assert all(usage.total_tokens for usage in results[-1].usage_by_agent.values())


class Order(BaseModel):
    """An order."""

    item: str
    amount: int = 1


@pytest.fixture
def shop(site: Any) -> Any:
    @site.serve.post("/shop/order", retries=0)
    async def order(context: AsyncWorkflowContext[Order]) -> str:
        payload = context.request_payload
        if payload.item == "coffee":
            raise WorkflowNonRetryableError("no coffee here")
        return await context.run("pack", lambda: f"{payload.amount} x {payload.item}")

    return order


async def test_a_workflow_is_a_tool(chat: Chat, shop: Any, model: Any) -> None:
    made = workflow_tool(shop, description="Orders things.", schema=Order)
    model.call_tools(("order", {"item": "tea"}), ("order", {"item": "coffee"}), ("order", {}))
    model.say("Only tea.")
    log = await chat.log(made)
    assert log.result == "Only tea.", log.failure
    shown = model.requests[0].body["tools"][0]["function"]
    assert shown["description"] == "Orders things."
    assert shown["parameters"]["required"] == ["item"]
    ordered, failed, wrong = told(model)
    assert ordered == "1 x tea"
    assert failed.startswith("Error: its run wfr_")
    assert " failed" in failed
    assert "item: Field required" in wrong
    assert sorted(s.name for s in log.steps if s.type == "Invoke") == ["Invoke order"] * 2
    assert len(await chat.site.client.logs(workflow="/shop/order")) == 2


async def test_a_workflow_whose_run_is_cancelled(chat: Chat, model: Any) -> None:
    model.call_tools(("wait", {})).say("It was cancelled.")

    @chat.site.serve.post("/wait", retries=0)
    async def wait(context: AsyncWorkflowContext[None]) -> None:
        await context.sleep("long", "30d")

    schema = {"type": "object", "properties": {}}
    run = await chat.start(workflow_tool("/wait", description="Waits.", schema=schema))
    await chat.site.waits(run, "Invoke wait")
    [child] = await chat.site.client.logs(workflow="/wait")
    await chat.site.waits(chat.site.client.handle(child.workflow_run_id), "long")
    await chat.site.client.cancel(child.workflow_run_id)
    assert (await chat.site.ended(run)).result == "It was cancelled."
    assert told(model)[0].endswith("was cancelled")


async def test_a_workflow_may_need_approval(chat: Chat, shop: Any, model: Any) -> None:
    made = workflow_tool(shop, description="Orders.", schema=Order, name="buy", needs_approval=True)
    model.call_tools(("buy", {"item": "tea"})).say("Done.")
    run = await chat.start(made)
    await chat.site.waits(run, "Approve tool buy")
    [approval] = await chat.site.client.approvals.list()
    await chat.site.client.approvals.approve(approval, arguments={"item": "tea", "amount": 2})
    assert (await chat.site.ended(run)).result == "Done."
    assert told(model) == ["2 x tea"]


async def test_two_tools_of_one_name_show_when_sources_are_expanded(chat: Chat, shop: Any) -> None:
    made = workflow_tool(shop, description="Orders.", schema=Order)

    @tool(name="order")
    def own() -> str:
        """Orders too."""
        return ""

    chat.tools[:] = [made, own]
    answer = await chat.site.post("/chat")
    assert answer.json()["message"] == "WA701 two tools are named 'order'"
