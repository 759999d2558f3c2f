"""Chat models of LangChain: fakes of its own, and ChatOpenAI against the scripted server."""

from typing import Any

import openai
import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolCall
from langchain_openai import ChatOpenAI

from workflow_agents import LangChainModel, model
from workflow_agents.agents.messages import Usage, UserMessage
from workflow_agents.agents.models.langchain import is_chat_model, recorded
from workflow_agents.agents.models.port import OutputSchema, Turn
from workflow_agents.agents.workflow import Agents
from workflow_agents.errors import (
    ConfigurationError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)
from workflow_agents.testing.model_server import ScriptedModel


class Fake(GenericFakeChatModel):
    """Takes tools, as real ones do."""

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self.bind(tools=tools, **options)


def fake(*replies: Any) -> Fake:
    return Fake(messages=iter(replies))


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@pytest.fixture
def chat(model: ScriptedModel) -> ChatOpenAI:
    return ChatOpenAI(
        model="gpt-4o",
        base_url=model.base_url,
        api_key="sk-lc",  # pyright: ignore[reportArgumentType] -- pydantic takes the text
        temperature=0.7,
        max_retries=0,
    )


async def test_a_fake_answers(agents: Agents, context: Any):
    agent = agents.agent(model=fake(AIMessage("Hello")), name="greeter")
    result = await agents.task(agent=agent, prompt="Hi").run()
    assert result.text == "Hello"
    assert context.steps == ["Call Agent greeter"]


async def test_a_tool_loop(agents: Agents, context: Any):
    wanted = ToolCall(name="add", args={"a": 1, "b": 2}, id="c1")
    usage: Any = {
        "input_tokens": 20,
        "output_tokens": 5,
        "total_tokens": 25,
        "input_token_details": {"cache_read": 16},
        "output_token_details": {"reasoning": 2},
    }
    llm = fake(AIMessage("", tool_calls=[wanted], usage_metadata=usage), AIMessage("3"))
    agent = agents.agent(model=llm, name="adder", tools=[add])
    result = await agents.task(agent=agent, prompt="1 + 2?").run()
    assert result.text == "3"
    assert result.usage == Usage(20, 5, 25, 16, 2)
    assert context.steps == ["Call Agent adder", "Run tool add", "Call Agent adder"]


async def test_the_openai_one_talks_to_the_server(
    agents: Agents, model: ScriptedModel, chat: ChatOpenAI
):
    model.call_tools(("add", {"a": 1, "b": 2}), ("add", "{not json"), text="Let me see.")
    model.say("3", usage=(20, 4), cached=16)
    agent = agents.agent(model=chat, name="adder", tools=[add], background="You add.")
    result = await agents.task(agent=agent, prompt="1 + 2?").run()
    assert result.text == "3"
    first, second = model.requests
    assert first.body["temperature"] == 0.7, "its own settings hold"
    assert first.tools == ["add"]
    assert first.system == "You add."
    assert [message["role"] for message in second.messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    assert result.usage.cached_prompt_tokens == 16
    model.assert_done()
    model.say("Hello")
    turn = Turn(agent="a", transcript=[UserMessage("Hi")])
    assert (await LangChainModel(chat).ask(agents._context, turn)).model == "gpt-4o"


async def test_settings_that_it_gets(context: Any, model: ScriptedModel, chat: ChatOpenAI):
    from workflow_agents import ModelSettings
    from workflow_agents.agents.tools import toolset

    model.say("3")
    schema = OutputSchema("answer", {"type": "object", "properties": {"n": {"type": "integer"}}})
    settings = ModelSettings(
        tool_choice="required", parallel_tool_calls=False, stop=["X"], extra_body={"seed": 3}
    )
    turn = Turn(
        agent="a",
        transcript=[UserMessage("Hi")],
        tools=toolset([add]),
        settings=settings,
        output=schema,
    )
    await LangChainModel(chat).ask(context, turn)
    [request] = model.requests
    assert request.body["tool_choice"] == "required"
    assert (request.body["parallel_tool_calls"], request.body["seed"]) == (False, 3)
    assert request.body["stop"] == ["X"]
    assert "JSON schema" in request.system


async def test_what_is_no_use_is_not_tried_again(
    context: Any, model: ScriptedModel, chat: ChatOpenAI
):
    model.error(404, "no such model").rate_limit(7).error(500, "down")
    turn = Turn(agent="a", transcript=[UserMessage("Hi")])
    with pytest.raises(WorkflowNonRetryableError, match="no such model"):
        await LangChainModel(chat).ask(context, turn)
    with pytest.raises(WorkflowRetryAfterError) as later:
        await LangChainModel(chat).ask(context, turn)
    assert later.value.retry_after == 7
    with pytest.raises(openai.InternalServerError):
        await LangChainModel(chat).ask(context, turn)


def test_blocks_become_text_and_calls_without_ids_get_some():
    message = AIMessage(
        [{"type": "text", "text": "Hel"}, "lo", {"type": "thinking", "thinking": "Hm."}],
        tool_calls=[ToolCall(name="add", args={"a": 1}, id=None)],
        response_metadata={"stop_reason": "max_tokens"},
    )
    assert recorded(message)["message"] == {
        "content": "Hello",
        "tool_calls": [{"id": "call_1", "name": "add", "arguments": '{"a": 1}'}],
        "finish_reason": "length",
    }


def test_what_is_none_is_refused(chat: ChatOpenAI):
    assert is_chat_model(chat)
    assert not is_chat_model(ChatOpenAI)
    assert LangChainModel(chat).name == "gpt-4o"
    assert repr(model(chat)) == "LangChainModel(ChatOpenAI, 'gpt-4o')"
    with pytest.raises(ConfigurationError, match="no chat model"):
        LangChainModel("gpt-4o")
