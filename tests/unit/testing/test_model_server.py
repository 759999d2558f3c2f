import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from workflow_agents.testing.model_server import (
    CallTools,
    Say,
    ScriptedModel,
)

HI: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi there"}]}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALLED: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
        {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
    ],
}


def result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "cold"}


def wanted(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **more}}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        yield scripted


@pytest.fixture
def client(model: ScriptedModel) -> Iterator[httpx2.Client]:
    headers = {"authorization": "Bearer sk-test", "upstash-agent-name": "greeter"}
    with httpx2.Client(base_url=model.base_url, headers=headers, trust_env=False) as client:
        yield client


def ask(client: httpx2.Client, **changes: Any) -> httpx2.Response:
    return client.post("/chat/completions", json={**HI, **changes})


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_it_says_what_the_script_says(model: ScriptedModel, client: httpx2.Client):
    model.say("Hello").say("you", finish_reason="length", usage=(5, 6))
    first, second = ask(client).json(), ask(client).json()
    assert first == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 1,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }
    assert second["choices"][0]["finish_reason"] == "length"
    assert second["usage"]["total_tokens"] == 11
    model.assert_done()


def test_it_calls_tools(model: ScriptedModel, client: httpx2.Client):
    model.call_tools(("weather", {"city": "Oslo"}), ("weather", "{not json"), text="Let me see.")
    choice = ask(client, tools=[WEATHER]).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    calls = choice["message"]["tool_calls"]
    assert [call["id"] for call in calls] == ["call_1_1", "call_1_2"]
    assert [call["function"]["arguments"] for call in calls] == ['{"city": "Oslo"}', "{not json"]


def test_it_records_requests(model: ScriptedModel, client: httpx2.Client):
    model.say("Hello")
    ask(client, tools=[WEATHER])
    [request] = model.requests
    assert request.agent == "greeter"
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.prompt == "Hi there"
    assert request.tools == ["weather"]


def test_errors_and_rate_limits(model: ScriptedModel, client: httpx2.Client):
    model.error(500, "The server had an error").rate_limit(retry_after=2).error(404, "No", code="x")
    failed, limited, missing = ask(client), ask(client), ask(client)
    assert (failed.status_code, error_of(failed)["type"]) == (500, "server_error")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    assert error_of(limited)["code"] == "rate_limit_exceeded"
    assert (missing.status_code, error_of(missing)["code"]) == (404, "x")


def test_broken_answers(model: ScriptedModel, client: httpx2.Client):
    model.broken("html").broken("empty").broken("truncated").broken("nonsense")
    model.broken("dropped")
    html, empty, truncated, nonsense = ask(client), ask(client), ask(client), ask(client)
    assert "choices" not in nonsense.json()
    assert html.headers["content-type"] == "text/html"
    assert "Bad Gateway" in html.text
    assert empty.content == b""
    with pytest.raises(json.JSONDecodeError):
        truncated.json()
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(client)
    model.assert_done()


def test_a_slow_answer_is_cut_short_by_the_end(model: ScriptedModel, client: httpx2.Client):
    model.slow(3600, then="At last").slow(0, then=Say("At once"))
    with pytest.raises(httpx2.ReadTimeout):
        client.post("/chat/completions", json=HI, timeout=0.05)
    assert ask(client).json()["choices"][0]["message"]["content"] == "At once"


def test_replies_by_matching(model: ScriptedModel, client: httpx2.Client):
    def about(word: str):
        return lambda request: word in request.prompt

    def answered(prompt: str) -> str:
        answer = ask(client, messages=[{"role": "user", "content": prompt}]).json()
        return answer["choices"][0]["message"]["content"]

    model.say("anything")
    model.when(about("rain"), "wet", Say("wetter"))
    model.when(about("sun"), lambda request: f"warm: {request.prompt}", repeat=True)
    assert [answered("sun"), answered("rain"), answered("rain"), answered("rain")] == [
        "warm: sun",
        "wet",
        "wetter",
        "anything",
    ]
    assert answered("sunny") == "warm: sunny"
    model.assert_done()


def test_ids_belong_to_the_reply_and_not_to_the_order_of_requests():
    def ids(first: str, second: str) -> dict[str, str]:
        with ScriptedModel() as model, _client(model) as client:
            for name in ("a", "b"):
                model.when(lambda request, name=name: request.prompt == name, name)
            answers = [
                ask(client, messages=[{"role": "user", "content": prompt}]).json()
                for prompt in (first, second)
            ]
            return {a["choices"][0]["message"]["content"]: a["id"] for a in answers}

    assert ids("a", "b") == ids("b", "a")


def test_a_script_that_is_exhausted_says_so(model: ScriptedModel, client: httpx2.Client):
    answer = ask(client)
    assert answer.status_code == 500
    assert "no reply left for 'greeter': 'Hi there'" in error_of(answer)["message"]
    assert model.unanswered == model.requests
    with pytest.raises(AssertionError, match="unanswered: 'greeter'"):
        model.assert_done()


def test_a_script_that_is_not_used_up_says_so(model: ScriptedModel):
    model.say("Hello").call_tools(("weather", {}))
    assert model.remaining == [Say("Hello"), CallTools((("weather", {}),))]
    with pytest.raises(AssertionError, match="never asked for: Say"):
        model.assert_done()


@pytest.mark.parametrize(
    ("changes", "param", "says"),
    [
        ({"model": ""}, None, "you must provide a model parameter"),
        ({"model": 3}, "model", "expected a string, but got a number"),
        ({"maxtokens": 3}, "maxtokens", "Unknown parameter: 'maxtokens'."),
        ({"stream": "yes"}, "stream", "expected a boolean, but got a string"),
        ({"stream_options": {}}, "stream_options", "only allowed when 'stream' is enabled"),
        (
            {"stream": True, "stream_options": {"usage": True}},
            "stream_options.usage",
            "Unknown parameter",
        ),
        ({"max_tokens": 0}, "max_tokens", "integer below minimum value"),
        ({"max_tokens": 1.5}, "max_tokens", "expected an integer"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "at the same time"),
        ({"model": "o3", "max_tokens": 5}, "max_tokens", "Use 'max_completion_tokens' instead"),
        ({"model": "o3", "temperature": 0.1}, "temperature", "Only the default (1) value"),
        ({"reasoning_effort": "low"}, None, "Unrecognized request argument"),
        ({"model": "o3", "reasoning_effort": "huge"}, "reasoning_effort", "'huge'"),
        ({"stop": [1]}, "stop[0]", "expected a string"),
        ({"stop": ["a"] * 5}, "stop", "array too long"),
        ({"seed": "x"}, "seed", "expected an integer"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls", "only allowed when 'tools'"),
        (
            {"tools": [WEATHER], "parallel_tool_calls": 1},
            "parallel_tool_calls",
            "expected a boolean",
        ),
        ({"tools": [WEATHER], "tool_choice": "any"}, "tool_choice", "'any'"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "weather"}},
            "tool_choice.function",
            "Missing",
        ),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
            "not in 'tools'",
        ),
        ({"response_format": {"type": "json"}}, "response_format.type", "'json'"),
        ({"response_format": {"type": "json_object"}}, "messages", "must contain the word 'json'"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "Missing"),
        (
            {"response_format": wanted({"type": "array"})},
            "response_format",
            "got 'type: \"array\"'",
        ),
        (
            {"response_format": wanted({"type": "object", "properties": {}}, strict=True)},
            "response_format",
            "'additionalProperties' is required",
        ),
        (
            {
                "response_format": wanted(
                    {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
                    strict=True,
                )
            },
            "response_format",
            "Missing 'a'",
        ),
        ({"messages": []}, "messages", "empty array"),
        ({"messages": "Hi"}, "messages", "expected an array of objects, but got a string"),
        ({"messages": ["Hi"]}, "messages[0]", "expected an object, but got a string"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role", "Missing required parameter"),
        ({"messages": [{"role": "bot", "content": "Hi"}]}, "messages[0].role", "'bot'"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "got null"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "got a number"),
        (
            {"messages": [{"role": "user", "content": "Hi", "text": "Hi"}]},
            "messages[0].text",
            "Unknown parameter",
        ),
        ({"temperature": 3}, "temperature", "Expected a value <= 2, but got 3"),
        ({"temperature": -1}, "temperature", "Expected a value >= 0, but got -1"),
        ({"temperature": "warm"}, "temperature", "expected a decimal number, but got a string"),
        ({"tool_choice": "auto"}, "tool_choice", "only allowed when 'tools' are specified"),
        ({"tools": []}, "tools", "empty array"),
        ({"tools": [{"function": {"name": "f"}}]}, "tools[0].type", "Missing"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "Missing"),
        (
            {"tools": [{"type": "function", "function": {"name": "my tool"}}]},
            "tools[0].function.name",
            "does not match pattern",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "n" * 65}}]},
            "tools[0].function.name",
            "maximum length 64",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "returns": 1}}]},
            "tools[0].function.returns",
            "Unknown parameter",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
            "tools[0].function.parameters",
            "got 'type: \"None\"'",
        ),
        ({"tools": [WEATHER, WEATHER]}, "tools[1]", "must be unique"),
        ({"messages": [*HI["messages"], result("c1")]}, "messages.[1].role", "preceeding"),
        (
            {"messages": [*HI["messages"], CALLED, result("c2")]},
            "messages.[3].role",
            "did not have response messages: c1",
        ),
        (
            {"messages": [*HI["messages"], CALLED, result("c1"), *HI["messages"]]},
            "messages.[3].role",
            "did not have response messages: c2",
        ),
        (
            {"messages": [*HI["messages"], CALLED, result("c1"), result("c1")]},
            "messages.[3].role",
            "must be a response",
        ),
    ],
)
def test_requests_are_refused_as_by_the_real_api(
    model: ScriptedModel, client: httpx2.Client, changes: dict[str, Any], param: str, says: str
):
    model.say("Hello")
    answer = ask(client, **changes)
    error = error_of(answer)
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["param"] == param
    assert says in error["message"]
    assert model.refused == [error["message"]]
    assert ask(client).status_code == 200, "a refused request uses up no reply"


def test_a_conversation_with_tools_passes(model: ScriptedModel, client: httpx2.Client):
    model.say("Cold")
    messages = [*HI["messages"], CALLED, result("c2"), result("c1")]
    assert ask(client, messages=messages, tools=[WEATHER]).status_code == 200


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer"])
def test_a_key_is_needed(client: httpx2.Client, header: str):
    answer = client.post("/chat/completions", json=HI, headers={"authorization": header})
    assert answer.status_code == 401
    assert "You didn't provide an API key" in error_of(answer)["message"]


def test_a_wrong_key_is_refused():
    with ScriptedModel(api_key="sk-right") as model, _client(model) as client:
        answer = ask(client)
    assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")


def test_only_the_documented_address_answers(client: httpx2.Client):
    assert client.post("/completions", json=HI).status_code == 404
    assert client.get("/chat/completions").status_code == 405


def test_only_json_is_taken(client: httpx2.Client):
    text = client.post("/chat/completions", content=b"{}", headers={"content-type": "text/plain"})
    broken = client.post(
        "/chat/completions", content=b"{", headers={"content-type": "application/json"}
    )
    assert error_of(text)["code"] == "unsupported_content_type"
    assert "could not parse the JSON body" in error_of(broken)["message"]


def test_the_address_is_known_once_it_is_started():
    with pytest.raises(RuntimeError, match="not started"):
        _ = ScriptedModel().base_url


async def test_the_official_client_works_with_it():
    tools: Any = [WEATHER]
    async with ScriptedModel() as model, _official(model) as client:
        model.call_tools(("weather", {"city": "Oslo"}))
        model.say("It is cold.", usage=(20, 4))
        messages: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
        first = await client.chat.completions.create(
            model="gpt-4o", messages=messages, tools=tools, temperature=0.1
        )
        turn = first.choices[0].message
        assert turn.tool_calls is not None
        [call] = turn.tool_calls
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
        messages += [turn.model_dump(exclude_none=True), result(call.id)]
        second = await client.chat.completions.create(
            model="gpt-4o", messages=messages, tools=tools
        )
        assert second.choices[0].message.content == "It is cold."
        assert second.usage is not None
        assert second.usage.total_tokens == 24
        model.assert_done()


async def test_the_official_client_understands_its_errors():
    async with ScriptedModel() as model, _official(model) as client:
        model.rate_limit(retry_after=2)
        with pytest.raises(openai.RateLimitError) as limited:
            await _ask_officially(client)
        assert limited.value.response.headers["retry-after"] == "2"
        with pytest.raises(openai.InternalServerError, match="no reply left"):
            await _ask_officially(client)
        with pytest.raises(openai.BadRequestError) as refused:
            await _ask_officially(client, temperature=9)
        assert refused.value.param == "temperature"
        model.broken("dropped")
        with pytest.raises(openai.APIConnectionError):
            await _ask_officially(client)


@contextlib.contextmanager
def _client(model: ScriptedModel) -> Iterator[httpx2.Client]:
    headers = {"authorization": "Bearer sk-test"}
    with httpx2.Client(base_url=model.base_url, headers=headers, trust_env=False) as client:
        yield client


def _official(model: ScriptedModel, max_retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=model.base_url, api_key="sk-test", max_retries=max_retries)


async def _ask_officially(client: openai.AsyncOpenAI, **options: Any) -> Any:
    return await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], **options
    )
