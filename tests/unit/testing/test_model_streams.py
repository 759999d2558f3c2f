"""Streams of the scripted model, read by the official clients; and streams that go wrong."""

import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from workflow_agents.testing.model_server import CallTools, Error, Say, ScriptedModel

SAID: Any = [{"role": "user", "content": "Weather in Oslo?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
RESPONSES_TOOL: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
CLAUDE_TOOL: Any = {"name": "weather", "input_schema": SCHEMA}
CALLS = CallTools((("weather", {"city": "Oslo"}), ("weather", {"city": "Bergen"})), text="Hm.")


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        yield scripted


@pytest.fixture
def gpt(model: ScriptedModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=model.base_url, api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(model: ScriptedModel) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=model.anthropic_url, api_key="sk-ant", max_retries=0
    ) as client:
        yield client


def test_chat_in_words(model: ScriptedModel, gpt: openai.OpenAI):
    model.say("It is cold.", usage=(20, 4), cached=16)
    stream = gpt.chat.completions.create(
        model="gpt-4o", messages=SAID, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = stream
    deltas = [chunk.choices[0].delta.content for chunk in chunks]
    assert deltas == ["", "It ", "is ", "cold.", None]
    assert [chunk.usage for chunk in chunks] == [None] * 5
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not last.choices
    assert last.usage is not None
    assert last.usage.prompt_tokens_details is not None
    assert (last.usage.total_tokens, last.usage.prompt_tokens_details.cached_tokens) == (24, 16)
    assert model.requests[0].streams


def test_chat_that_calls_tools(model: ScriptedModel, gpt: openai.OpenAI):
    model.when(lambda _: True, CALLS)
    with gpt.chat.completions.stream(model="gpt-4o", messages=SAID, tools=[CHAT_TOOL]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.content == "Hm."
    assert [(call.id, call.function.arguments) for call in message.tool_calls or ()] == [
        ("call_1_1", '{"city": "Oslo"}'),
        ("call_1_2", '{"city": "Bergen"}'),
    ]


def test_responses_in_words(model: ScriptedModel, gpt: openai.OpenAI):
    model.say("It is cold.", usage=(20, 4), reasoning=3)
    with gpt.responses.stream(model="gpt-4o", input=SAID) as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()
    assert kinds.count("response.output_text.delta") == 3
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert response.output_text == "It is cold."
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 3


def test_responses_that_call_tools(model: ScriptedModel, gpt: openai.OpenAI):
    model.when(lambda _: True, CALLS)
    with gpt.responses.stream(model="gpt-4o", input=SAID, tools=[RESPONSES_TOOL]) as stream:
        items = stream.get_final_response().output
    assert [item.type for item in items] == ["message", "function_call", "function_call"]
    assert [item.arguments for item in items if item.type == "function_call"] == [
        '{"city": "Oslo"}',
        '{"city": "Bergen"}',
    ]


def test_a_response_that_is_cut_off(model: ScriptedModel, gpt: openai.OpenAI):
    model.say("It is", finish_reason="length")
    with gpt.responses.stream(model="gpt-4o", input=SAID) as stream:
        kinds = [event.type for event in stream]
    assert kinds[-1] == "response.incomplete"


def test_messages_in_words(model: ScriptedModel, claude: anthropic.Anthropic):
    model.say("It is cold.", usage=(20, 4), cached=16)
    with claude.messages.stream(model="claude", max_tokens=99, messages=SAID) as stream:
        assert list(stream.text_stream) == ["It ", "is ", "cold."]
        message = stream.get_final_message()
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (4, 16, 4)
    assert message.stop_reason == "end_turn"


def test_messages_that_use_tools(model: ScriptedModel, claude: anthropic.Anthropic):
    model.when(lambda _: True, CALLS)
    with claude.messages.stream(
        model="claude", max_tokens=99, messages=SAID, tools=[CLAUDE_TOOL]
    ) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use"
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        {"city": "Oslo"},
        {"city": "Bergen"},
    ]


def test_a_stream_that_breaks(model: ScriptedModel, gpt: openai.OpenAI):
    model.sent("It is very cold.", cut=True, after=3)
    stream = gpt.chat.completions.create(model="gpt-4o", messages=SAID, stream=True)
    said = [next(stream).choices[0].delta.content for _ in range(3)]
    with pytest.raises(openai.APIConnectionError):
        next(stream)
    assert said == ["", "It ", "is "]


def test_a_whole_answer_that_breaks(model: ScriptedModel, gpt: openai.OpenAI):
    model.sent("It is very cold.", cut=True)
    with pytest.raises(openai.APIConnectionError):
        gpt.chat.completions.create(model="gpt-4o", messages=SAID)


OVERLOADED = Error(529, "Overloaded", "overloaded_error")


def test_a_chat_that_fails(model: ScriptedModel, gpt: openai.OpenAI):
    model.sent("It is very cold.", failing=OVERLOADED)
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(gpt.chat.completions.create(model="gpt-4o", messages=SAID, stream=True))


def test_a_response_that_fails(model: ScriptedModel, gpt: openai.OpenAI):
    model.sent("It is very cold.", failing=OVERLOADED)
    *_, last = gpt.responses.create(model="gpt-4o", input=SAID, stream=True)
    assert last.type == "error"
    assert last.message == "Overloaded"


def test_a_message_that_fails(model: ScriptedModel, claude: anthropic.Anthropic):
    model.sent("It is very cold.", failing=OVERLOADED)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(claude.messages.create(model="c", max_tokens=9, messages=SAID, stream=True))


def test_a_stream_that_is_held(model: ScriptedModel, gpt: openai.OpenAI):
    go_on = threading.Event()
    model.sent(Say("It is cold."), held=go_on, after=2)
    stream = iter(gpt.chat.completions.create(model="gpt-4o", messages=SAID, stream=True))
    first = [next(stream).choices[0].delta.content for _ in range(2)]
    assert first == ["", "It "]
    go_on.set()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "is cold."


def test_the_end_of_the_server_lets_go_of_what_is_held(gpt: openai.OpenAI, model: ScriptedModel):
    model.sent("It is cold.", held=threading.Event(), after=1, pace=3600)
    stream = iter(gpt.chat.completions.create(model="gpt-4o", messages=SAID, stream=True))
    next(stream)
    model.stop()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "It is cold."
