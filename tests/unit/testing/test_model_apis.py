"""The Responses and Messages APIs of the scripted model: what they answer, what they refuse."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from workflow_agents.testing.model_server import ScriptedModel

ASKED: dict[str, Any] = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL: dict[str, Any] = {"type": "function", "name": "weather", "parameters": SCHEMA}
CLAUDE_TOOL: dict[str, Any] = {"name": "weather", "input_schema": SCHEMA}
CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "cold"}


def used(*ids: str) -> dict[str, Any]:
    blocks = [{"type": "tool_use", "id": i, "name": "weather", "input": {}} for i in ids]
    return {"role": "assistant", "content": blocks}


def results(*ids: str, then: str = "") -> dict[str, Any]:
    blocks = [{"type": "tool_result", "tool_use_id": i, "content": "cold"} for i in ids]
    return {"role": "user", "content": [*blocks, *([{"type": "text", "text": then}] * bool(then))]}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        yield scripted


@pytest.fixture
def client(model: ScriptedModel) -> Iterator[httpx2.Client]:
    headers = {"authorization": "Bearer sk-test", "anthropic-version": "2023-06-01"}
    with httpx2.Client(base_url=model.base_url, headers=headers, trust_env=False) as client:
        yield client


def test_the_official_client_talks_responses(model: ScriptedModel):
    model.call_tools(("weather", {"city": "Oslo"}), usage=(9, 3))
    model.say("Cold.", usage=(20, 4), cached=16, reasoning=2)
    with openai.OpenAI(base_url=model.base_url, api_key="sk", max_retries=0) as client:
        tools: Any = [{**TOOL, "strict": False}]
        said: list[Any] = [ASKED]
        first = client.responses.create(
            model="gpt-4o", input=said, tools=tools, instructions="Be short.", store=False
        )
        [call] = first.output
        assert call.type == "function_call"
        said += [call.model_dump(exclude_none=True), {**OUTPUT, "call_id": call.call_id}]
        second = client.responses.create(model="gpt-4o", input=said, tools=tools)
    assert second.output_text == "Cold."
    assert second.usage is not None
    assert second.usage.input_tokens_details.cached_tokens == 16
    assert second.usage.output_tokens_details.reasoning_tokens == 2
    assert second.usage.total_tokens == 24
    assert [request.api for request in model.requests] == ["responses", "responses"]
    assert (model.requests[0].system, model.requests[1].prompt) == ("Be short.", "Hi")
    assert model.requests[0].tools == ["weather"]
    model.assert_done()


def test_the_official_client_talks_messages(model: ScriptedModel):
    model.call_tools(("weather", {"city": "Oslo"}), text="Let me see.")
    model.say("Cold.", usage=(20, 4), cached=16)
    model.error(529, "Overloaded").rate_limit(7)
    with anthropic.Anthropic(
        base_url=model.anthropic_url, api_key="sk-ant", max_retries=0
    ) as client:
        tools: Any = [CLAUDE_TOOL]
        said: list[Any] = [ASKED]
        options: Any = {"model": "claude", "max_tokens": 99, "system": "Be short.", "tools": tools}
        first = client.messages.create(messages=said, **options)
        text, use = first.content
        assert (text.type, use.type) == ("text", "tool_use")
        said += [
            {"role": "assistant", "content": [block.model_dump() for block in first.content]},
            results(use.id),
        ]
        said[1]["content"] = [
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": use.id, "name": "weather", "input": use.input},
        ]
        second = client.messages.create(messages=said, **options)
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            client.messages.create(messages=said, **options)
        with pytest.raises(anthropic.RateLimitError) as limited:
            client.messages.create(messages=said, **options)
    assert limited.value.response.headers["retry-after"] == "7"
    assert second.content[0].type == "text"
    assert second.usage.input_tokens == 4
    assert (model.requests[0].system, model.requests[1].prompt) == ("Be short.", "Hi")
    assert model.requests[0].headers["anthropic-version"] == "2026-10-21"


def test_responses_takes_what_is_referred_to_by_its_id(model: ScriptedModel):
    model.say("Cold.")
    said = [ASKED, {"type": "item_reference", "id": "fc_1"}, OUTPUT]
    told = openai.OpenAI(base_url=model.base_url, api_key="x").responses.create(
        model="gpt-4o",
        input=said,  # type: ignore[arg-type]
    )
    assert told.output_text == "Cold."


@pytest.mark.parametrize(
    ("changes", "param", "says"),
    [
        ({"model": None}, "model", "expected a string"),
        ({"messages": []}, "messages", "Unknown parameter"),
        ({"stop": ["x"]}, "stop", "Unknown parameter"),
        ({"input": []}, "input", "empty array"),
        ({"input": [{}]}, "input[0].type", "Missing"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "'tool'"),
        ({"input": [{"role": "user"}]}, "input[0].content", "Missing"),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            "input[0].content[0]",
            "'input_text'",
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            "input[0].content[0]",
            "'output_text'",
        ),
        ({"input": [ASKED, CALL]}, "input", "No tool output found for function call c1"),
        ({"input": [ASKED, OUTPUT]}, "input", "No tool call found"),
        ({"input": [ASKED, {"type": "item_reference"}, OUTPUT]}, "input[1].id", "Missing"),
        ({"input": [ASKED, {**CALL, "id": "x"}, OUTPUT]}, "input[1].id", "begins with 'fc'"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "not found"),
        ({"max_output_tokens": 3}, "max_output_tokens", ">= 16"),
        ({"reasoning": {"effort": "low"}}, "reasoning.effort", "not supported with this model"),
        ({"model": "o3", "temperature": 0.1}, "temperature", "Only the default"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", "Missing"),
        ({"tools": [{"type": "function", "function": TOOL}]}, "tools[0].function", "Unknown"),
        ({"tool_choice": "required"}, "tool_choice", "must be specified with 'tools'"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "name": "x"}},
            "tool_choice",
            "not found in 'tools'",
        ),
    ],
)
def test_responses_refuses_what_the_real_one_refuses(
    client: httpx2.Client, model: ScriptedModel, changes: dict[str, Any], param: str, says: str
):
    answer = client.post("/responses", json={"model": "gpt-4o", "input": [ASKED], **changes})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert says in error["message"]
    assert model.refused == [error["message"]]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"max_tokens": 0}, "max_tokens: Input should be greater"),
        ({"stream_options": {}}, "stream_options: Extra inputs are not permitted"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "system", "content": "x"}]}, "'system' found using 'role'"),
        ({"messages": [{"role": "user", "content": ""}]}, "must have non-empty content"),
        ({"messages": [used("a")]}, 'must use the "user" role'),
        ({"messages": [ASKED, {"role": "assistant", "content": "Hi "}]}, "trailing whitespace"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
            "text content blocks must be non-empty",
        ),
        ({"messages": [ASKED, used("a")]}, "messages.1: `tool_use` ids were found without"),
        ({"messages": [ASKED, used("a", "b"), results("a"), results("b")]}, "immediately after: b"),
        ({"messages": [ASKED, used("a"), results("a", "x")]}, "unexpected `tool_use_id`"),
        ({"messages": [ASKED, used("a"), results("a")], "tools": []}, "must define tools"),
        (
            {
                "messages": [
                    ASKED,
                    used("a"),
                    {"role": "user", "content": results("a", then="x")["content"][::-1]},
                ]
            },
            "`tool_use` ids were found without",
        ),
        ({"tools": [TOOL]}, "tools.0.custom.parameters: Extra inputs"),
        ({"tools": [{"name": "x"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [], "tool_choice": {"type": "auto"}}, "only be specified while providing tools"),
        ({"tool_choice": "auto"}, "tool_choice: Input should be a valid dictionary"),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "'x' not found"),
        ({"tool_choice": {"type": "required"}}, "'required' found"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            "explicitly set",
        ),
        ({"output_config": {"effort": "minimal"}}, "'minimal' found"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "must be greater than"),
        (
            {"thinking": {"type": "adaptive"}, "temperature": 0.1},
            "only be set to 1 when thinking",
        ),
        ({"stop_sequences": [" "]}, "must contain non-whitespace"),
        ({"system": [{"type": "text", "text": ""}]}, "must be non-empty"),
    ],
)
def test_messages_refuses_what_the_real_one_refuses(
    client: httpx2.Client, changes: dict[str, Any], says: str
):
    body = {"model": "claude", "max_tokens": 99, "messages": [ASKED], "tools": [CLAUDE_TOOL]}
    answer = client.post("/messages", json={**body, **changes})
    told = answer.json()
    assert (answer.status_code, told["type"]) == (400, "error")
    assert told["error"]["type"] == "invalid_request_error"
    assert says in told["error"]["message"]


def test_messages_takes_tool_results_and_a_text_after_them(
    client: httpx2.Client, model: ScriptedModel
):
    model.say("Cold")
    messages = [ASKED, used("a", "b"), results("b", "a", then="And?")]
    body = {"model": "claude", "max_tokens": 99, "messages": messages, "tools": [CLAUDE_TOOL]}
    assert client.post("/messages", json=body).status_code == 200
    assert model.requests[0].prompt == "And?"


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({"anthropic-version": "2023-06-01"}, 401, "x-api-key header is required"),
        ({"x-api-key": "wrong", "anthropic-version": "2023-06-01"}, 401, "invalid x-api-key"),
        ({"x-api-key": "right"}, 400, "anthropic-version: header is required"),
        ({"x-api-key": "right", "anthropic-version": "1999-01-01"}, 400, "not a valid version"),
    ],
)
def test_messages_wants_a_key_and_a_version(headers: dict[str, str], status: int, says: str):
    body = {"model": "claude", "max_tokens": 99, "messages": [ASKED]}
    with ScriptedModel(api_key="right") as model:
        answer = httpx2.post(f"{model.base_url}/messages", json=body, headers=headers)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
