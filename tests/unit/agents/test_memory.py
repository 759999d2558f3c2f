from typing import Any

import pytest

from workflow_agents.agents.memory import Conversation, settled, trimmed
from workflow_agents.agents.messages import (
    AssistantMessage,
    ChatMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
    messages_from_json,
    messages_to_json,
)
from workflow_agents.agents.workflow import Agents, agent_workflow
from workflow_agents.errors import ConfigurationError
from workflow_agents.testing.model_server import ScriptedModel

CALL = ToolCall("c1", "look", '{"at": "æøå"}')
TRANSCRIPT: list[ChatMessage] = [
    SystemMessage("You look."),
    UserMessage("Look."),
    AssistantMessage("", (CALL,), "tool_calls"),
    ToolMessage("c1", "look", "Error: dark", is_error=True),
    AssistantMessage("It is dark.", (), "stop"),
    UserMessage("Not so.", is_feedback=True),
    AssistantMessage("It is light."),
]


def test_messages_survive_as_json():
    data = messages_to_json(TRANSCRIPT)
    assert messages_from_json(data) == TRANSCRIPT
    assert data[1] == {"role": "user", "content": "Look."}
    assert data[2]["tool_calls"] == [{"id": "c1", "name": "look", "arguments": CALL.arguments}]


@pytest.mark.parametrize(
    "data", [[{"role": "robot"}], [{"content": "x"}], ["text"], [{"role": "user"}]]
)
def test_other_data_is_no_messages(data: Any):
    with pytest.raises(ConfigurationError) as caught:
        messages_from_json(data)
    assert caught.value.code == "WA702"


def test_unknown_members_of_messages_are_left_out():
    assert messages_from_json([{"role": "user", "content": "x", "mood": 3}]) == [UserMessage("x")]


def test_no_result_is_parted_from_its_call():
    assert trimmed(TRANSCRIPT[3:]) == TRANSCRIPT[4:]
    again = [*TRANSCRIPT[3:], UserMessage("And now?")]
    assert trimmed(again) == [UserMessage("And now?")]
    assert trimmed([TRANSCRIPT[3]]) == []


def test_calls_that_nobody_made_are_not_kept():
    asks = AssistantMessage("Let me see.", (CALL,))
    assert settled([*TRANSCRIPT[:2], asks]) == [TRANSCRIPT[1], AssistantMessage("Let me see.")]
    assert settled([*TRANSCRIPT[:3]]) == [TRANSCRIPT[1]]
    assert settled(TRANSCRIPT) == TRANSCRIPT[1:]


@pytest.mark.parametrize(
    "options", [{"key": ""}, {"key": "x" * 201}, {"key": "a", "max_messages": 0}]
)
def test_a_conversation_has_a_key(options: dict[str, Any]):
    with pytest.raises(ConfigurationError) as caught:
        Conversation(**options)
    assert caught.value.code == "WA702"


async def test_a_task_goes_on_with_a_kept_conversation(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    model.say("Hello Ada.").say("Ada.")
    agent = agents.agent(model=llm, name="host", background="You greet.")
    first = agents.task(agent=agent, prompt="I am Ada.", conversation="user-1")
    await first.run()
    second = agents.task(agent=agent, prompt="Who am I?", conversation="user-1")
    result = await second.run()

    assert [m["role"] for m in model.requests[1].messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert result.turns == 1
    assert result.new_messages == (UserMessage("Who am I?"), AssistantMessage("Ada."))
    kept = messages_from_json(context.conversations["user-1"])
    assert kept == list(result.messages[1:])
    assert context.steps == ["Recall conversation", "Call Agent host", "Remember conversation"] * 2

    replay = agent_workflow(context.replay())
    await replay.task(agent=agent, prompt="I am Ada.", conversation="user-1").run()
    again = await replay.task(agent=agent, prompt="Who am I?", conversation="user-1").run()
    assert again == result
    assert len(context.conversations["user-1"]) == 4


async def test_only_the_newest_messages_are_sent(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    context.conversations["user-1"] = messages_to_json(TRANSCRIPT[1:] * 10)
    model.say("Yes.")
    agent = agents.agent(model=llm, name="host")
    conversation = Conversation("user-1", max_messages=8)
    await agents.task(agent=agent, prompt="Still?", conversation=conversation).run()
    sent = [m["role"] for m in model.requests[0].messages]
    assert sent == ["user", "assistant", "tool", "assistant", "user", "assistant", "user"]
    assert len(context.conversations["user-1"]) == 62


async def test_a_task_goes_on_with_messages_that_it_is_given(
    agents: Agents, llm: Any, model: ScriptedModel
):
    model.say("Hello Ada.").say("Ada.")
    agent = agents.agent(model=llm, name="host", background="You greet.")
    first = await agents.task(agent=agent, prompt="I am Ada.").run()
    second = await agents.task(agent=agent, prompt="Who am I?", history=first.messages).run()
    assert [m["role"] for m in model.requests[1].messages].count("system") == 1
    assert len(second.messages) == 5
    assert second.new_messages[0] == UserMessage("Who am I?")


def test_a_conversation_holds_its_own_history(agents: Agents, llm: Any):
    agent = agents.agent(model=llm, name="host")
    with pytest.raises(ConfigurationError) as caught:
        agents.task(agent=agent, prompt="x", conversation="a", history=[UserMessage("y")])
    assert caught.value.code == "WA702"
