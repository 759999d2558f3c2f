"""Requests of models that a fork writes anew, in each of the three forms."""

from typing import Any

import pytest

from workflow_agents import ConfigurationError
from workflow_agents.core.model_asks import agent_of, asked_anew, checked_ask, kept_ask
from workflow_agents.protocol.codec import decode, encode

USER = {"role": "user", "content": "first"}
ANSWER = {"role": "assistant", "content": "yes"}
TOOL = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]}
ANTHROPIC = {"anthropic-version": "2023-06-01"}

CHAT = {"model": "a", "messages": [{"role": "system", "content": "old"}, USER, ANSWER, USER]}
BARE = {"model": "a", "max_tokens": 9, "messages": [USER]}
RESPONSES = {"model": "a", "instructions": "old", "input": [USER, ANSWER]}
TEXT = {"model": "a", "input": "first"}
MESSAGES = {"model": "a", "max_tokens": 9, "system": "old", "messages": [USER, ANSWER, TOOL]}


def anew(body: Any, headers: Any = None, **asked: str) -> Any:
    ask = checked_ask(asked.get("model"), asked.get("system"), asked.get("prompt"))
    assert ask is not None
    return decode(asked_anew(encode(body), headers or {}, kept_ask(ask, body, where="1")))


@pytest.mark.parametrize("body", [CHAT, BARE, RESPONSES, TEXT, MESSAGES])
def test_another_model_is_all_that_changes(body: dict[str, Any]) -> None:
    assert anew(body, model="b") == {**body, "model": "b"}


def test_instructions_stand_where_the_form_has_them() -> None:
    new = {"role": "system", "content": "new"}
    assert anew(CHAT, system="new")["messages"] == [new, *CHAT["messages"][1:]]
    assert anew(BARE, system="new")["messages"] == [new, USER]
    assert anew(RESPONSES, system="new") == {**RESPONSES, "instructions": "new"}
    assert anew(MESSAGES, ANTHROPIC, system="new") == {**MESSAGES, "system": "new"}


def test_the_prompt_is_what_the_user_has_said_last() -> None:
    new = {"role": "user", "content": "other"}
    assert anew(CHAT, prompt="other")["messages"] == [*CHAT["messages"][:3], new]
    assert anew(TEXT, prompt="other") == {"model": "a", "input": "other"}
    # What a tool has answered was said by nobody.
    assert anew(MESSAGES, ANTHROPIC, prompt="other")["messages"] == [new, ANSWER, TOOL]


def test_later_calls_keep_the_place_of_the_prompt() -> None:
    ask = checked_ask(None, None, "other")
    assert ask is not None
    kept = kept_ask(ask, BARE, where="1")
    later = {**BARE, "messages": [USER, ANSWER, {"role": "user", "content": "second"}]}
    said = decode(asked_anew(encode(later), {}, kept))["messages"]
    assert [m["content"] for m in said] == ["other", "yes", "second"]


def test_what_asks_no_model_is_refused_and_left_alone() -> None:
    ask = checked_ask("b", None, None)
    assert ask is not None
    with pytest.raises(ConfigurationError, match="a step that asks a model"):
        kept_ask(ask, {"amount": 3}, where="3 'charge'")
    for body in (b'{"amount":3}', b"no json"):
        assert asked_anew(body, {}, {"model": "b"}) == body
    with pytest.raises(ConfigurationError):
        checked_ask("", None, None)
    assert checked_ask(None, None, None) is None
    assert agent_of({"upstash-agent-name": "chief%20clerk"}) == "chief clerk"
