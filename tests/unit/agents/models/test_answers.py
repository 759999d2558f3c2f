"""Reading the answers of the Responses and Messages APIs; those of chat are in test_models."""

from typing import Any

import pytest

from workflow_agents.agents.messages import ModelReply, ToolCall, Usage, UserMessage
from workflow_agents.agents.models.anthropic import AnthropicModel
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.models.port import Turn
from workflow_agents.errors import RemoteError
from workflow_agents.protocol.results import CallResponse
from workflow_agents.testing._chat_wire import whole as chat_whole
from workflow_agents.testing._messages_wire import whole as claude_whole
from workflow_agents.testing._replies import CallTools, Say
from workflow_agents.testing._responses_wire import whole as responses_whole

TURN = Turn(agent="adder", transcript=[UserMessage("Hi")])
CHAT = OpenAIModel("gpt-4o")
RESPONSES = OpenAIModel("gpt-4o", api="responses")
CLAUDE = AnthropicModel("claude")
APIS = [
    (CHAT, chat_whole, {"messages": [{"role": "user", "content": "Hi"}]}),
    (RESPONSES, responses_whole, {"input": "Hi"}),
    (CLAUDE, claude_whole, {"messages": [{"role": "user", "content": "Hi"}]}),
]
EACH = pytest.mark.parametrize(
    ("model", "whole", "said"), APIS, ids=["chat", "responses", "claude"]
)


def read(model: Any, body: Any, status: int = 200) -> ModelReply:
    return model.read(CallResponse(status, {}, body), TURN)


def refused(model: Any, body: Any, status: int = 200) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        read(model, body, status)
    assert caught.value.code == "WA703"
    return caught.value


@EACH
def test_a_text_and_its_usage(model: Any, whole: Any, said: Any):
    reply = Say("Hello you", usage=(20, 9), cached=16, reasoning=7)
    answer = read(model, whole(reply, {"model": "m", **said}, "1"))
    assert answer.message.content == "Hello you"
    assert answer.message.finish_reason == "stop"
    assert answer.usage == Usage(20, 9, 29, 16, 7)
    assert answer.model == "m"


@EACH
def test_tool_calls(model: Any, whole: Any, said: Any):
    reply = CallTools((("add", {"a": 1}), ("add", {})), text="Let me see.")
    message = read(model, whole(reply, {"model": "m", **said}, "1")).message
    assert message.content == "Let me see."
    assert [(call.name, call.arguments) for call in message.tool_calls] == [
        ("add", '{"a": 1}'),
        ("add", "{}"),
    ]
    assert len({call.id for call in message.tool_calls}) == 2
    assert message.finish_reason == "tool_calls"


@EACH
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_was_cut_off(model: Any, whole: Any, said: Any, reason: str):
    reply = Say("Hello", finish_reason=reason)
    message = read(model, whole(reply, {"model": "m", **said}, "1")).message
    assert message.finish_reason == reason


@EACH
def test_an_answer_without_usage(model: Any, whole: Any, said: Any):
    body = whole(Say("Hello"), {"model": "m", **said}, "1")
    del body["usage"], body["model"]
    answer = read(model, body)
    assert (answer.usage, answer.model) == (Usage(), "")


@EACH
def test_the_words_of_the_provider_are_told(model: Any, whole: Any, said: Any):
    error = refused(model, {"type": "error", "error": {"message": "Overloaded"}}, 529)
    assert error.what.endswith("gave no usable answer: Overloaded")
    assert error.status == 529


def test_writing_to_the_cache_is_reading():
    body = {
        "content": [],
        "usage": {
            "input_tokens": 1,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 300,
            "output_tokens": 4,
        },
    }
    assert read(CLAUDE, body).usage == Usage(321, 4, 325, 300)


def test_thoughts_are_kept():
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    text = {"type": "text", "text": "Yes."}
    message = read(CLAUDE, {"content": [thought, text, {"type": "new"}]}).message
    assert (message.content, message.kept) == ("Yes.", (thought,))
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"}
    item = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    body = {"output": [{**sealed, "status": None}, {"type": "new"}, item]}
    message = read(RESPONSES, body).message
    assert (message.content, message.kept) == ("No.", (sealed,))


def test_an_answer_whose_thoughts_are_not_given_keeps_none():
    body = {"output": [{"type": "reasoning", "id": "rs_1", "summary": []}]}
    assert read(RESPONSES, body).message.kept == ()


@pytest.mark.parametrize(
    ("model", "body", "says"),
    [
        (RESPONSES, "", "expected a JSON object, found empty text"),
        (RESPONSES, {"id": 1}, "expected 'output' to be a list, found nothing"),
        (RESPONSES, {"output": [1]}, "expected 'output item' to be an object"),
        (
            RESPONSES,
            {"output": [{"type": "function_call", "name": "add", "arguments": "{}"}]},
            "expected 'call_id' of a call to be text, found nothing",
        ),
        (
            RESPONSES,
            {"output": [{"type": "message", "content": [{"text": 3}]}]},
            "expected 'text' to be text, found number",
        ),
        (RESPONSES, {"output": [], "usage": {}}, "'usage.input_tokens' to be a number"),
        (CLAUDE, {"id": 1}, "expected 'content' to be a list, found nothing"),
        (CLAUDE, {"content": [1]}, "expected 'content block' to be an object"),
        (
            CLAUDE,
            {"content": [{"type": "tool_use", "id": "t", "name": "add", "input": "{}"}]},
            "expected 'input' of a tool use to be an object, found text",
        ),
        (CLAUDE, {"content": [], "usage": {"input_tokens": 1}}, "'usage.output_tokens'"),
    ],
)
def test_what_is_no_answer_is_told(model: Any, body: Any, says: str):
    assert says in refused(model, body).found[0]


def test_the_ids_are_the_providers():
    reply = CallTools((("add", {}),))
    message = read(CLAUDE, claude_whole(reply, {"model": "m", "messages": []}, "1")).message
    assert message.tool_calls == (ToolCall("toolu_1_1", "add", "{}"),)


def test_usages_add_up_with_their_details():
    assert Usage(1, 2, 3, 4, 5) + Usage(10, 20, 30, 40, 50) == Usage(11, 22, 33, 44, 55)
