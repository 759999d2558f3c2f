"""Requests of model calls, in the three forms that providers take, read as a conversation."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.core.step_logs import CallRequest, StepLog
from workflow_agents.dashboard.conversation import conversation, is_model_call

SYSTEM = {"role": "system", "content": "Be kind."}
USER = {"role": "user", "content": "Refund order 7."}
CALL = {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": '{"order": 7}'}}
ASSISTANT = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOOL = {"role": "tool", "tool_call_id": "c1", "content": "<b>refunded</b>"}


def step(key: int, body: Any, answer: Any, agent: str = "clerk") -> StepLog:
    request = CallRequest("POST", "https://api.test/v1", {"upstash-agent-name": agent}, body, 9)
    out = None if answer is None else {"status": 200, "header": {}, "json": answer}
    return StepLog(key, "Call Agent", "Call", "STEP_SUCCESS", 0, 1, out=out, request=request)


def completion(message: Any, prompt: int = 5, written: int = 2) -> Any:
    usage = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": 7}
    return {"model": "gpt-4o", "choices": [{"message": message}], "usage": usage}


def told(steps: list[StepLog]) -> list[tuple[str, str, list[str]]]:
    return [(s.role, s.text, [name for _, name, _ in s.calls]) for s in conversation(steps)]


EXPECTED = [
    ("system", "Be kind.", []),
    ("user", "Refund order 7.", []),
    ("assistant", "", ["refund"]),
    ("tool", "<b>refunded</b>", []),
    ("assistant", "Done.", []),
]


def test_chat_completions() -> None:
    steps = [
        step(1, {"messages": [SYSTEM, USER]}, completion(ASSISTANT)),
        step(2, {"messages": [SYSTEM, USER, ASSISTANT, TOOL]}, completion({"content": "Done."})),
    ]
    assert told(steps) == EXPECTED
    said = conversation(steps)
    assert [(s.step, s.model) for s in said if s.tokens] == [(1, "gpt-4o"), (2, "gpt-4o")]
    assert said[2].tokens is not None
    assert (said[2].tokens.prompt, said[2].tokens.completion) == (5, 2)
    assert said[3].answers == "c1"


def test_responses() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "refund", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "<b>refunded</b>"}
    text = {"type": "message", "content": [{"type": "output_text", "text": "Done."}]}
    usage = {"input_tokens": 3, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 2}}
    steps = [
        step(1, {"instructions": "Be kind.", "input": [USER]}, {"output": [call], "usage": usage}),
        step(
            2,
            {"instructions": "Be kind.", "input": [USER, call, output]},
            {"output": [text], "usage": usage},
        ),
    ]
    assert told(steps) == EXPECTED
    tokens = conversation(steps)[-1].tokens
    assert tokens is not None
    assert (tokens.prompt, tokens.completion, tokens.cached) == (3, 1, 2)


def test_messages() -> None:
    use = {"type": "tool_use", "id": "c1", "name": "refund", "input": {"order": 7}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "<b>refunded</b>"}
    usage = {"input_tokens": 3, "output_tokens": 1, "cache_read_input_tokens": 4}
    second = [USER, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    done = [{"type": "text", "text": "Done."}]
    steps = [
        step(1, {"system": "Be kind.", "messages": [USER]}, {"content": [use], "usage": usage}),
        step(2, {"system": "Be kind.", "messages": second}, {"content": done, "usage": usage}),
    ]
    assert told(steps) == EXPECTED
    tokens = conversation(steps)[-1].tokens
    assert tokens is not None
    assert (tokens.prompt, tokens.cached) == (7, 4)


def test_agents_have_conversations_of_their_own() -> None:
    steps = [
        step(1, {"messages": [USER]}, completion({"content": "one"}), "a"),
        step(2, {"messages": [USER]}, completion({"content": "two"}), "b"),
    ]
    assert [(s.agent, s.text) for s in conversation(steps) if s.role == "assistant"] == [
        ("a", "one"),
        ("b", "two"),
    ]


def test_a_body_for_which_the_log_has_no_room_costs_only_what_it_held() -> None:
    steps = [step(1, None, completion({"content": "one"}))]
    assert is_model_call(steps[0])
    assert told(steps) == [("assistant", "one", [])]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "input",
                    "role",
                    "content",
                    "type",
                    "tool_calls",
                    "choices",
                    "message",
                    "usage",
                    "output",
                    "model",
                    "function",
                    "text",
                    "system",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_whatever_providers_say_is_read_or_left_out(body: Any, answer: Any) -> None:
    for said in conversation([step(1, body, answer)]):
        assert isinstance(said.text, str)
        assert all(isinstance(part, str) for call in said.calls for part in call)
