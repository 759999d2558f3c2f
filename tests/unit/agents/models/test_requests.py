"""The requests of all APIs for a turn: each passes the rules of its API, and says enough."""

from typing import Any

import pytest

from workflow_agents.agents.messages import (
    AssistantMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from workflow_agents.agents.models.anthropic import AnthropicModel
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.models.port import CallSettings, ModelSettings, OutputSchema, Turn
from workflow_agents.agents.tools import toolset
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.secrets import Secret
from workflow_agents.testing import _chat_rules, _messages_rules, _responses_rules

CITY = OutputSchema(
    "city of the world",
    {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
)
LIST = OutputSchema("names", {"type": "array", "items": {"type": "string"}})
LOOSE = OutputSchema("loose", {"type": "object", "additionalProperties": {"type": "integer"}})
TALK = [
    SystemMessage("You add."),
    UserMessage("1 + 2 and 3 + 4"),
    AssistantMessage(
        "Let me see. ", (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "add", ""))
    ),
    ToolMessage("c1", "add", "3"),
    ToolMessage("c2", "add", "no", is_error=True),
    AssistantMessage("3 and none."),
    UserMessage("Sure?"),
]


def add(a: int, b: int = 0) -> int:
    """Adds."""
    return a + b


def turn(*, output: OutputSchema | None = None, tools: bool = True, **settings: Any) -> Turn:
    return Turn(
        agent="adder",
        transcript=TALK,
        tools=toolset([add]) if tools else (),
        settings=ModelSettings(**settings),
        output=output,
    )


def chat(asked: Turn, model: str = "gpt-4o", **options: Any) -> dict[str, Any]:
    options = {"base_url": "https://api.openai.com/v1", **options}
    request = OpenAIModel(model, **options).request(asked)
    assert request.url.endswith("/chat/completions")
    assert request.needed == ("choices",)
    _chat_rules.check(request.body)
    assert list(request.body)[-1] == "messages"
    return request.body


def responses(asked: Turn, model: str = "gpt-4o", **options: Any) -> dict[str, Any]:
    request = OpenAIModel(model, base_url="http://x/v1", api="responses", **options).request(asked)
    assert request.url == "http://x/v1/responses"
    assert request.needed == ("output",)
    _responses_rules.check(request.body)
    assert list(request.body)[-1] == "input"
    assert request.body["store"] is False
    return request.body


def claude(asked: Turn, **options: Any) -> dict[str, Any]:
    request = AnthropicModel("claude", base_url="http://x/", **options).request(asked)
    assert request.url == "http://x/v1/messages"
    assert request.needed == ("content",)
    _messages_rules.check(request.body)
    assert list(request.body)[-1] == "messages"
    return request.body


SAMPLING: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 50}


def test_settings_of_chat_completions():
    body = chat(turn(**SAMPLING, stop=["END"], seed=7, parallel_tool_calls=False))
    assert (body["temperature"], body["top_p"], body["max_completion_tokens"]) == (0.5, 0.9, 50)
    assert (body["stop"], body["seed"], body["parallel_tool_calls"]) == (["END"], 7, False)


@pytest.mark.parametrize(
    ("base_url", "model", "name"),
    [
        ("https://api.openai.com/v1", "gpt-4o", "max_completion_tokens"),
        ("https://me.openai.azure.com/openai/v1", "gpt-4o", "max_completion_tokens"),
        ("https://notopenai.com/v1", "gpt-4o", "max_tokens"),
        ("http://localhost:11434/v1", "llama3.2", "max_tokens"),
        ("http://proxy.test/v1", "o3-mini", "max_completion_tokens"),
    ],
)
def test_the_limit_has_two_names(base_url: str, model: str, name: str):
    assert chat(turn(max_tokens=50), model, base_url=base_url)[name] == 50


def test_the_limit_can_be_named():
    assert chat(turn(max_tokens=50), limit_name="max_tokens")["max_tokens"] == 50


def test_settings_of_responses():
    body = responses(turn(**SAMPLING, stop=["END"], seed=7, parallel_tool_calls=True))
    assert (body["temperature"], body["top_p"], body["max_output_tokens"]) == (0.5, 0.9, 50)
    assert body["parallel_tool_calls"] is True


def test_settings_of_anthropic():
    body = claude(turn(**SAMPLING, stop=["END"], seed=7, parallel_tool_calls=False))
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.5, 0.9, 50)
    assert body["stop_sequences"] == ["END"]
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert claude(turn())["max_tokens"] == 4096
    assert claude(turn(), max_tokens=9)["max_tokens"] == 9


def test_a_newer_anthropic_takes_no_temperature():
    body = claude(turn(**SAMPLING), version="2026-10-21")
    assert not {"temperature", "top_p"} & set(body)


def test_who_thinks_takes_no_temperature():
    thinking = {"type": "enabled", "budget_tokens": 2000}
    body = claude(turn(temperature=0.1, extra_body={"thinking": thinking}))
    assert body["thinking"] == thinking
    assert "temperature" not in body


@pytest.mark.parametrize("ask", [chat, responses])
def test_models_that_reason_are_sent_no_temperature(ask: Any):
    body = ask(turn(**SAMPLING, reasoning_effort="low"), "o3-mini")
    assert not {"temperature", "top_p"} & set(body)
    assert body.get("reasoning_effort") == "low" or body["reasoning"] == {"effort": "low"}


def test_effort_of_anthropic():
    assert claude(turn(reasoning_effort="high"))["output_config"] == {"effort": "high"}
    assert claude(turn(reasoning_effort="minimal"))["output_config"] == {"effort": "low"}
    assert claude(turn(reasoning_effort="none"))["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("choice", "in_chat", "in_responses", "in_claude"),
    [
        ("auto", "auto", "auto", {"type": "auto"}),
        ("none", "none", "none", {"type": "none"}),
        ("required", "required", "required", {"type": "any"}),
        (
            "add",
            {"type": "function", "function": {"name": "add"}},
            {"type": "function", "name": "add"},
            {"type": "tool", "name": "add"},
        ),
    ],
)
def test_the_choice_of_tools(choice: str, in_chat: Any, in_responses: Any, in_claude: Any):
    asked = turn(tool_choice=choice)
    assert chat(asked)["tool_choice"] == in_chat
    assert responses(asked)["tool_choice"] == in_responses
    assert claude(asked)["tool_choice"] == in_claude


@pytest.mark.parametrize("ask", [chat, responses])
def test_a_choice_without_tools_is_not_sent(ask: Any):
    body = ask(turn(tools=False, tool_choice="auto", parallel_tool_calls=True))
    assert not {"tool_choice", "parallel_tool_calls", "tools"} & set(body)


def test_anthropic_wants_the_tools_of_a_past_conversation():
    body = claude(turn(tools=False))
    assert [tool["name"] for tool in body["tools"]] == ["add"]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize("ask", [chat, responses, claude])
def test_members_of_the_providers_own_are_merged(ask: Any):
    assert ask(turn(extra_body={"service_tier": "flex"}))["service_tier"] == "flex"


def test_the_settings_of_the_agent_come_first():
    own = ModelSettings(temperature=1.0, max_tokens=9, stop=["X"])
    body = chat(turn(temperature=0.0), settings=own)
    assert (body["temperature"], body["max_completion_tokens"], body["stop"]) == (0.0, 9, ["X"])


def test_a_conversation_in_responses():
    assert responses(turn())["input"] == [
        {"role": "system", "content": "You add."},
        {"role": "user", "content": "1 + 2 and 3 + 4"},
        {"role": "assistant", "content": "Let me see. "},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "add", "arguments": ""},
        {"type": "function_call_output", "call_id": "c1", "output": "3"},
        {"type": "function_call_output", "call_id": "c2", "output": "no"},
        {"role": "assistant", "content": "3 and none."},
        {"role": "user", "content": "Sure?"},
    ]


def test_a_conversation_in_anthropic():
    body = claude(turn())
    assert body["system"] == "You add."
    assert body["messages"] == [
        {"role": "user", "content": "1 + 2 and 3 + 4"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "add", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "3"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "no", "is_error": True},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "3 and none."}]},
        {"role": "user", "content": "Sure?"},
    ]


def test_anthropic_takes_what_other_models_said():
    calls = (ToolCall("c1", "add", "{not json"), ToolCall("c2", "add", "[1]"))
    transcript = [
        UserMessage("Hi"),
        AssistantMessage(""),
        AssistantMessage("", calls, kept=({"type": "reasoning", "id": "rs_1"},)),
        ToolMessage("c1", "add", "bad", is_error=True),
        ToolMessage("c2", "add", "bad", is_error=True),
    ]
    body = claude(Turn(agent="a", transcript=transcript, tools=toolset([add])))
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    inputs = [block["input"] for block in body["messages"][1]["content"]]
    assert inputs == [{"text": "{not json"}, {"text": "[1]"}]


def test_thoughts_are_given_back_to_whom_they_belong():
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"}
    said = AssistantMessage("Yes.", kept=(thought, sealed))
    asked = Turn(agent="a", transcript=[UserMessage("Hi"), said, UserMessage("Sure?")])
    assert claude(asked)["messages"][1]["content"][0] == thought
    body = responses(asked, "o3")
    assert body["input"][1] == sealed
    assert body["include"] == ["reasoning.encrypted_content"]
    assert "include" not in responses(asked)
    assert chat(asked)["messages"][1] == {"role": "assistant", "content": "Yes."}


def test_an_output_is_asked_for_as_a_strict_schema():
    strict = {**CITY.schema, "additionalProperties": False}
    name = "city_of_the_world"
    named = {"name": name, "schema": strict, "strict": True}
    wanted = {"type": "json_schema", "json_schema": named}
    assert chat(turn(output=CITY))["response_format"] == wanted
    assert responses(turn(output=CITY))["text"]["format"] == {"type": "json_schema", **named}
    body = claude(turn(output=CITY, reasoning_effort="low"))
    assert body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": strict},
    }


def test_an_output_that_cannot_be_strict_is_asked_for_loosely():
    assert chat(turn(output=LOOSE))["response_format"]["json_schema"]["strict"] is False
    assert responses(turn(output=LOOSE))["text"]["format"]["strict"] is False
    body = claude(turn(output=LOOSE))
    assert "output_config" not in body
    assert '"additionalProperties": {"type": "integer"}' in body["system"]


@pytest.mark.parametrize("mode", ["json_schema", "prompt"])
def test_an_output_that_is_no_object_is_asked_for_in_words(mode: Any):
    body = chat(turn(output=LIST), output_mode=mode)
    assert "response_format" not in body
    assert [m["role"] for m in body["messages"][:3]] == ["system", "system", "user"]
    assert "JSON schema" in body["messages"][1]["content"]
    assert "JSON schema" in responses(turn(output=LIST))["input"][1]["content"]
    assert "JSON schema" in claude(turn(output=LIST))["system"]


def test_providers_that_know_only_json_are_told_the_schema_too():
    body = chat(turn(output=CITY), output_mode="json_object")
    assert body["response_format"] == {"type": "json_object"}
    assert '"name"' in body["messages"][1]["content"]


def test_a_stream_is_asked_for():
    request = OpenAIModel("gpt-4o", stream=True).request(turn())
    assert request.body["stream_options"] == {"include_usage": True}
    assert request.stream == "chat.completions"
    _chat_rules.check(request.body)
    request = OpenAIModel("gpt-4o", api="responses", stream=True).request(turn())
    assert request.stream == "responses"
    _responses_rules.check(request.body)
    request = AnthropicModel("claude", stream=True).request(turn())
    assert request.stream == "anthropic.messages"
    _messages_rules.check(request.body)
    assert OpenAIModel("gpt-4o").request(turn()).stream is None


@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        ({}, "x-api-key", Secret("ANTHROPIC_API_KEY")),
        ({"api_key": "sk-1"}, "x-api-key", "sk-1"),
        ({"key_header": "authorization", "api_key": "sk-1"}, "authorization", "Bearer sk-1"),
        (
            {"key_header": "authorization"},
            "authorization",
            Secret("ANTHROPIC_API_KEY", prefix="Bearer "),
        ),
    ],
)
def test_the_key_of_anthropic(options: dict[str, Any], header: str, value: Any):
    headers = AnthropicModel("claude", **options).request(turn()).headers
    assert headers[header] == value
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["upstash-agent-name"] == "adder"


def test_the_address_of_anthropic(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    assert AnthropicModel("c").request(turn()).url == "https://api.anthropic.com/v1/messages"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://other.test/v1/")
    assert AnthropicModel("c").request(turn()).url == "http://other.test/v1/messages"


def test_requests_under_one_limit_have_one_key():
    own = OpenAIModel("gpt-4o", base_url="https://a.test/v1", api_key=Secret("MY_KEY"))
    same = OpenAIModel("o3", base_url="https://a.test/v1", api_key=Secret("MY_KEY"))
    other = OpenAIModel("gpt-4o", base_url="https://a.test/v1", api_key="sk-secret")
    assert own.provider_key == same.provider_key
    assert own.provider_key.startswith("llm:a.test:")
    assert len(own.provider_key.rpartition(":")[2]) == 8
    assert other.provider_key != own.provider_key
    assert "secret" not in other.provider_key
    claude = AnthropicModel("c", base_url="https://a.test")
    assert claude.provider_key == AnthropicModel("d", base_url="https://a.test").provider_key


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"stop": "END"}, "stop"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], says: str):
    with pytest.raises(ConfigurationError, match=says) as caught:
        ModelSettings(**settings)
    assert caught.value.code == "WA102"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: OpenAIModel("m", api="chat"), "WA102"),  # pyright: ignore[reportArgumentType]
        (lambda: AnthropicModel(""), "WA702"),
        (lambda: AnthropicModel("m", api_key=""), "WA702"),
        (lambda: AnthropicModel("m", max_tokens=0), "WA102"),
        (lambda: AnthropicModel("m", key_header="key"), "WA102"),  # pyright: ignore[reportArgumentType]
        (lambda: CallSettings.of({"retry": 1}), "WA101"),
    ],
)
def test_options_that_cannot_be_used_are_refused(make: Any, code: str):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.code == code


def test_a_literal_key_is_not_shown():
    assert "sk-1" not in repr(AnthropicModel("m", api_key="sk-1"))
