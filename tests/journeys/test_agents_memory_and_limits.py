"""What agents remember across runs, and what they may spend: on an engine with a store."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from workflow_agents import (
    AsyncWorkflowContext,
    Conversation,
    UsageLimits,
    UserMessage,
    agent_workflow,
    messages_from_json,
)
from workflow_agents.testing.model_server import ScriptedModel


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedModel]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-t0p")
    with ScriptedModel() as model:
        yield model
        model.assert_done()


def host(agents: Any, model: ScriptedModel, **options: Any) -> Any:
    llm = agents.openai("gpt-4o", base_url=model.base_url)
    return agents.agent(model=llm, name="host", background="You greet.", **options)


@pytest.fixture
def chat(serve: Any, model: ScriptedModel) -> None:
    @serve.post("/chat", retries=0)
    async def chat(context: AsyncWorkflowContext[dict[str, str]]) -> str:
        agents = agent_workflow(context)
        key, prompt = context.request_payload["key"], context.request_payload["prompt"]
        task = agents.task(agent=host(agents, model), prompt=prompt, conversation=key)
        return (await task.run()).text


def said(model: ScriptedModel, request: int) -> list[str]:
    return [m["content"] for m in model.requests[request].messages]


async def test_an_agent_remembers_from_run_to_run(site, chat, model) -> None:
    model.say("Hello Ada.").say("You are Ada.").say("I do not know you.")
    await site.run("/chat", {"key": "user-1", "prompt": "I am Ada."})
    log = await site.run("/chat", {"key": "user-1", "prompt": "Who am I?"})
    await site.run("/chat", {"key": "user-2", "prompt": "Who am I?"})

    assert log.result == "You are Ada."
    assert said(model, 1) == ["You greet.", "I am Ada.", "Hello Ada.", "Who am I?"]
    assert said(model, 2) == ["You greet.", "Who am I?"]

    conversations = site.client.conversations
    kept = await conversations.get("user-1")
    assert [m.content for m in messages_from_json(kept)] == [
        "I am Ada.",
        "Hello Ada.",
        "Who am I?",
        "You are Ada.",
    ]
    assert await conversations.get("user-1", last=1) == kept[-1:]
    assert [(c.key, c.messages) for c in await conversations.list()] == [
        ("user-1", 4),
        ("user-2", 2),
    ]
    assert await conversations.delete("user-1")
    assert not await conversations.delete("user-1")
    assert await conversations.get("user-1") == []
    assert [c.key for c in await conversations.list()] == ["user-2"]


async def test_the_steps_say_how_far_was_read_and_hold_no_message(site, chat, model) -> None:
    model.say("Hello Ada.").say("Hello again.")
    await site.run("/chat", {"key": "user-1", "prompt": "I am Ada."})
    log = await site.run("/chat", {"key": "user-1", "prompt": "Here I am."})
    recalled, _, kept = log.steps
    assert (recalled.name, kept.name) == ("Recall conversation", "Remember conversation")
    assert recalled.out == {"conversation": "user-1", "upTo": 2}
    assert kept.out == {"conversation": "user-1", "upTo": 4}


async def test_a_replay_sees_what_the_run_saw_first(site, serve, chat, model) -> None:
    """A run reads the conversation and waits; meanwhile another adds to it."""

    @serve.post("/waits", retries=0)
    async def waits(context: AsyncWorkflowContext[None]) -> list[Any]:
        before = await context.recall("before", "user-1")
        await context.wait_for_event("pause", "go")
        after = await context.recall("after", "user-1", last=1)
        return [len(before), after[0]["content"]]

    model.say("Hello.").say("And more.")
    await site.run("/chat", {"key": "user-1", "prompt": "Hi."})
    run = await site.trigger("/waits")
    await site.waits(run, "pause")
    await site.run("/chat", {"key": "user-1", "prompt": "More."})
    site.pass_time("1m")
    for live in [*site.engine.core.live.values()]:
        live.close()  # its task ends: what goes on is a replay
    await site.client.notify("go")
    assert (await site.ended(run)).result == [2, "And more."]


async def test_messages_are_kept_with_their_step_or_not_at_all(site, serve, model) -> None:
    """A run that is tried again has appended once."""
    tries: list[int] = []

    @serve.post("/twice", retries=1)
    async def twice(context: AsyncWorkflowContext[None]) -> None:
        await context.remember("keep", "user-1", [{"role": "user", "content": "Hi."}, "text", 3])
        tries.append(1)
        if len(tries) == 1:
            raise OSError("once")

    log_of = site.trigger("/twice")
    run = await log_of
    await site.told(run, "RUN_RETRY")
    site.pass_time("1d")
    assert (await site.ended(run)).state == "RUN_SUCCESS"
    assert len(tries) == 2
    assert await site.client.conversations.get("user-1") == [
        {"role": "user", "content": "Hi."},
        "text",
        3,
    ]


async def test_a_long_conversation_is_sent_in_part(site, serve, model) -> None:
    @serve.post("/long", retries=0)
    async def long(context: AsyncWorkflowContext[int]) -> str:
        agents = agent_workflow(context)
        conversation = Conversation("user-1", max_messages=4)
        prompt = f"Number {context.request_payload}?"
        task = agents.task(agent=host(agents, model), prompt=prompt, conversation=conversation)
        result = await task.run()
        assert isinstance(result.new_messages[0], UserMessage)
        return result.text

    for number in range(4):
        model.say(f"{number}.")
        await site.run("/long", number)
    assert said(model, 3) == ["You greet.", "Number 1?", "1.", "Number 2?", "2.", "Number 3?"]
    assert len(await site.client.conversations.get("user-1")) == 8


# Limits


@pytest.fixture
def limited(serve: Any, model: ScriptedModel) -> None:
    def look() -> str:
        """Look."""
        return "nothing"

    @serve.post("/limited")
    async def limited(context: AsyncWorkflowContext[str]) -> str:
        agents = agent_workflow(context)
        mode: Any = context.request_payload
        limits = UsageLimits(model_calls=1, on_breach=mode)
        task = agents.task(agent=host(agents, model, tools=[look]), prompt="Look.", limits=limits)
        return (await task.run()).text


async def test_a_run_that_has_spent_its_limit_fails_once(site, limited, model) -> None:
    """It is not tried again: what it spent is recorded, and would be spent again at once."""
    model.call_tools(("look", {}))
    log = await site.run("/limited", "stop")
    assert log.state == "RUN_FAILED"
    assert log.failure["message"] == "WA713 the model_calls of the task are used up"
    assert log.failure["attempts"] == 1


async def test_a_run_waits_for_a_person_who_allows_more(site, limited, model) -> None:
    model.call_tools(("look", {})).say("Nothing there.")
    run = await site.trigger("/limited", "pause")
    await site.waits(run, "Limit of the task")
    [approval] = await site.client.approvals.list()
    assert (approval.kind, approval.agent, approval.workflow) == ("limit", "host", "/limited")
    assert approval.arguments == {"limit": "model_calls", "of": "the task", "allowed": "1"}
    assert "Approve as much again?" in approval.description

    await site.client.approvals.approve(approval, by="ada")
    assert (await site.ended(run)).result == "Nothing there."
    assert await site.client.approvals.list() == []


async def test_a_person_who_refuses_more_ends_the_run(site, limited, model) -> None:
    model.call_tools(("look", {}))
    run = await site.trigger("/limited", "pause")
    await site.waits(run, "Limit of the task")
    [approval] = await site.client.approvals.list(run.run_id)
    await site.client.approvals.reject(approval, "too dear", by="ada")
    log = await site.ended(run)
    assert log.state == "RUN_FAILED"
    assert "more was refused: too dear" in log.failure["detail"]["found"]


async def test_agents_side_by_side_wait_for_one_decision(site, serve, model) -> None:
    @serve.post("/pair", retries=0)
    async def pair(context: AsyncWorkflowContext[None]) -> list[str]:
        agents = agent_workflow(context, limits=UsageLimits(model_calls=1, on_breach="pause"))
        agent = host(agents, model)
        tasks = [agents.task(agent=agent, prompt=f"{n}?").run() for n in range(3)]
        return [result.text for result in await asyncio.gather(*tasks)]

    model.when(lambda _: True, lambda request: request.prompt, repeat=True)
    run = await site.trigger("/pair")
    await site.waits(run, "Limit of the run", 2)
    [first] = await site.client.approvals.list()
    await site.client.approvals.approve(first)
    await site.waits(run, "Limit of the run", 3)
    [second] = await site.client.approvals.list()
    assert second.id != first.id
    await site.client.approvals.approve(second)
    assert (await site.ended(run)).result == ["0?", "1?", "2?"]
