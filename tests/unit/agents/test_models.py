from typing import Any

import pytest

from workflow_agents.agents.messages import (
    AssistantMessage,
    ModelReply,
    SystemMessage,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.models.port import CallSettings, ModelSettings, Turn
from workflow_agents.agents.tools import toolset
from workflow_agents.errors import ConfigurationError, RemoteError
from workflow_agents.protocol.results import CallResponse
from workflow_agents.protocol.secrets import Secret
from workflow_agents.testing._chat_rules import check

GPT = OpenAIModel("gpt-4o", base_url="http://llm.test/v1")


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def turn(agent: str = "a") -> Turn:
    return Turn(agent=agent, transcript=[UserMessage("Hi")])


def answered(body: Any, status: int = 200) -> ModelReply:
    return GPT.read(CallResponse(status, {}, body), turn("adder"))


def completion(**message: Any) -> dict[str, Any]:
    return {
        "choices": [{"message": {"role": "assistant", "content": None, **message}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


def tool_call(**parts: Any) -> dict[str, Any]:
    return {
        "id": "call_1",
        "type": "function",
        "function": {"name": "add", "arguments": "{}"},
        **parts,
    }


def refused(body: Any, status: int = 200) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        answered(body, status)
    assert caught.value.code == "WA703"
    assert caught.value.status == status
    assert "adder" in caught.value.where
    return caught.value


def test_a_request_holds_the_conversation_and_the_tools():
    call = ToolCall("call_1", "add", '{"a": 1}')
    request = GPT.request(
        Turn(
            agent="adder",
            transcript=[
                SystemMessage("You add."),
                UserMessage("1 + 2"),
                AssistantMessage("", (call,)),
                ToolMessage("call_1", "add", "3"),
                AssistantMessage("3"),
                UserMessage("Sure?"),
            ],
            tools=toolset([add]),
            settings=ModelSettings(temperature=0.1),
        )
    )
    assert request.url == "http://llm.test/v1/chat/completions"
    assert request.body == {
        "model": "gpt-4o",
        "temperature": 0.1,
        "messages": [
            {"role": "system", "content": "You add."},
            {"role": "user", "content": "1 + 2"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [tool_call(function={"name": "add", "arguments": '{"a": 1}'})],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "3"},
            {"role": "assistant", "content": "3"},
            {"role": "user", "content": "Sure?"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "Adds.",
                    "parameters": {
                        "type": "object",
                        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                        "required": ["a", "b"],
                        "additionalProperties": False,
                    },
                },
            }
        ],
    }
    check(request.body)


def test_what_is_not_given_is_left_out():
    request = GPT.request(turn())
    assert set(request.body) == {"model", "messages"}


def test_the_key_is_a_reference_unless_it_is_given():
    def authorization(key: str | Secret | None) -> str | Secret:
        model = OpenAIModel("m", base_url="http://llm.test", api_key=key)
        return model.request(turn()).headers["authorization"]

    assert authorization(None) == Secret("OPENAI_API_KEY", prefix="Bearer ")
    assert authorization("sk-1") == "Bearer sk-1"
    assert authorization(Secret("MY_KEY")) == Secret("MY_KEY", prefix="Bearer ")
    assert authorization(Secret("MY_KEY", prefix="Token ")) == Secret("MY_KEY", prefix="Token ")


def test_a_literal_key_is_not_shown():
    assert "sk-1" not in repr(OpenAIModel("m", api_key="sk-1"))


@pytest.mark.parametrize(
    ("name", "sent"), [("Manager LLM", "Manager LLM"), ("Löser", "L%C3%B6ser")]
)
def test_the_agent_is_named_in_a_header(name: str, sent: str):
    request = GPT.request(turn(name))
    assert request.headers["upstash-agent-name"] == sent


def test_the_address_comes_from_the_environment_at_last(monkeypatch: pytest.MonkeyPatch):
    model = OpenAIModel("m")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    openai = model.request(turn()).url
    monkeypatch.setenv("OPENAI_BASE_URL", "http://other.test/v1/")
    other = model.request(turn()).url
    assert openai == "https://api.openai.com/v1/chat/completions"
    assert other == "http://other.test/v1/chat/completions"


def test_a_text_is_read():
    reply = answered(completion(content="3"))
    assert reply == ModelReply(AssistantMessage("3"), Usage(3, 4, 7))


def test_tool_calls_are_read():
    body = completion(tool_calls=[tool_call(), tool_call(id="call_2")])
    message = answered(body).message
    assert message.content == ""
    assert message.tool_calls == (ToolCall("call_1", "add", "{}"), ToolCall("call_2", "add", "{}"))


def test_a_refusal_is_what_the_model_says():
    assert answered(completion(refusal="I cannot.")).message.content == "I cannot."


def test_servers_that_do_not_count_are_taken():
    body = completion(content="3")
    del body["usage"]
    assert answered(body).usage == Usage()


def test_usages_add_up():
    assert Usage(1, 2, 3) + Usage(10, 20, 30) == Usage(11, 22, 33)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<html>Bad Gateway</html>", "expected a JSON object, found text"),
        ("", "found empty text"),
        (b"\xff", "found bytes"),
        ([1], "found list"),
        ({}, "found empty object"),
        ({"choices": []}, "expected 'choices' with at least one, found empty list"),
        ({"object": "list"}, "expected 'choices' to be a list, found nothing"),
        ({"choices": [1]}, "expected 'choices[0]' to be an object, found number"),
        ({"choices": [{}]}, "expected 'message' to be an object, found nothing"),
        (completion(content=3), "expected 'content' to be text, found number"),
        (completion(tool_calls={}), "expected 'tool_calls' to be a list, found empty object"),
        (completion(tool_calls=[tool_call(id="")]), "expected 'id' of a tool call"),
        (completion(tool_calls=[tool_call(function=None)]), "'function' of a tool call"),
        (
            completion(tool_calls=[tool_call(function={"name": "add", "arguments": {"a": 1}})]),
            "expected 'function.arguments' of a tool call to be text, found object",
        ),
        (completion(tool_calls=[tool_call(), tool_call()]), "one id twice"),
        ({**completion(content="3"), "usage": {"prompt_tokens": "x"}}, "usage.prompt_tokens"),
    ],
)
def test_what_is_no_completion_is_told(body: Any, says: str):
    assert says in refused(body).found[0]


def test_the_words_of_the_provider_are_told():
    error = refused({"error": {"message": "Rate limit reached", "code": "x"}}, 429)
    assert error.what == "the model 'gpt-4o' gave no usable answer: Rate limit reached"
    assert "Rate limit reached" in error.body


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"error": "no such model"}, 404, "no such model"),
        ({"error": {"message": "upstream is down"}}, 200, "upstream is down"),
        ("<html>", 502, "found status 502"),
        ({}, 500, "found status 500"),
    ],
)
def test_errors_come_in_many_shapes(body: Any, status: int, says: str):
    assert says in str(refused(body, status))


def test_only_the_start_of_a_body_is_told():
    error = refused("x" * 10_000, 500)
    assert len(error.body) == 300
    assert len(str(error)) < 1500


def test_a_model_that_takes_no_temperature_says_what_to_do():
    body = {"error": {"message": "Unsupported value", "param": "temperature"}}
    assert "temperature=None" in refused(body, 400).fix[0]


def test_settings_may_be_a_dict():
    assert CallSettings.of({"retries": 1, "timeout": "2m"}) == CallSettings(retries=1, timeout="2m")
    assert CallSettings.of(None) == CallSettings()


def test_an_unknown_setting_is_told():
    with pytest.raises(ConfigurationError, match="unknown option") as caught:
        CallSettings.of({"retry": 1})
    assert caught.value.code == "WA101"
    assert "did you mean 'retries'?" in str(caught.value)


@pytest.mark.parametrize("options", [{"name": ""}, {"name": "m", "api_key": ""}])
def test_an_empty_name_or_key_is_refused(options: dict[str, Any]):
    with pytest.raises(ConfigurationError) as caught:
        OpenAIModel(**options)
    assert caught.value.code == "WA702"
