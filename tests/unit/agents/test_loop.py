import pytest

from workflow_agents.agents.loop import CallModel, Finish, GiveUp, RunTools, next_action
from workflow_agents.agents.messages import (
    AssistantMessage,
    ChatMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)

START = (SystemMessage("You add."), UserMessage("1 + 2"))
CALL = ToolCall("call_1", "add", "{}")
ASKS = AssistantMessage("Let me see.", (CALL,), "tool_calls")
GOOD = ToolMessage("call_1", "add", "3")
BAD = ToolMessage("call_1", "add", "Error: no", is_error=True)


def after(*messages: ChatMessage, max_steps: int = 5, max_tool_errors: int = 3):
    return next_action((*START, *messages), max_steps=max_steps, max_tool_errors=max_tool_errors)


def test_the_model_begins():
    assert after() == CallModel()


def test_an_answer_is_the_end():
    assert after(AssistantMessage("3")) == Finish("3", "stop")


def test_an_empty_answer_is_an_answer():
    assert after(AssistantMessage("")) == Finish("", "stop")


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_the_provider_cut_off_says_so(reason: str):
    assert after(AssistantMessage("The first", (), reason)) == Finish("The first", reason)


def test_all_tool_calls_of_a_turn_are_run_together():
    other = ToolCall("call_2", "add", "{}")
    assert after(AssistantMessage("", (CALL, other))) == RunTools((CALL, other))


def test_what_matters_are_the_calls_and_not_the_reason_given():
    assert after(AssistantMessage("", (CALL,), "stop")) == RunTools((CALL,))


def test_after_the_tools_the_model_goes_on():
    assert after(ASKS, GOOD) == CallModel()


def test_tools_of_the_last_turn_are_not_run():
    assert after(ASKS, max_steps=1) == Finish("Let me see.", "max_steps")


def test_out_of_turns_it_returns_what_was_said_last():
    silent = AssistantMessage("", (CALL,))
    assert after(ASKS, GOOD, silent, max_steps=2) == Finish("Let me see.", "max_steps")
    assert after(silent, GOOD, silent, max_steps=2) == Finish("", "max_steps")


def test_turns_are_counted_from_the_last_question():
    earlier = (ASKS, GOOD, AssistantMessage("3"), UserMessage("And 3 + 4?"))
    assert after(*earlier, max_steps=1) == CallModel()
    assert after(*earlier, ASKS, max_steps=2) == RunTools((CALL,))


def test_it_gives_up_after_so_many_failing_turns_in_a_row():
    assert after(ASKS, BAD, max_tool_errors=2) == CallModel()
    assert after(ASKS, BAD, ASKS, BAD, max_tool_errors=2) == GiveUp(2, (BAD,))


def test_a_turn_in_which_something_worked_is_no_failing_turn():
    mixed = (AssistantMessage("", (CALL, CALL)), BAD, GOOD)
    assert after(ASKS, BAD, *mixed, max_tool_errors=1) == CallModel()
    assert after(ASKS, BAD, ASKS, GOOD, ASKS, BAD, max_tool_errors=2) == CallModel()


def test_failing_turns_before_the_last_question_are_forgotten():
    asked_again = (AssistantMessage("I cannot."), UserMessage("Try."))
    assert after(ASKS, BAD, *asked_again, ASKS, BAD, max_tool_errors=2) == CallModel()


def test_giving_up_tells_the_errors_of_the_last_turn_in_their_order():
    first = ToolMessage("call_1", "add", "Error: one", is_error=True)
    second = ToolMessage("call_2", "add", "Error: two", is_error=True)
    asks = AssistantMessage("", (CALL, CALL))
    assert after(asks, first, second, max_tool_errors=1) == GiveUp(1, (first, second))


def test_an_answer_that_was_sent_back_allows_one_turn_more():
    wrong, feedback = AssistantMessage("3?"), UserMessage("Not so.", is_feedback=True)
    assert after(wrong, feedback, max_steps=1) == CallModel()
    assert after(ASKS, GOOD, wrong, feedback, max_steps=2) == CallModel()
    assert after(wrong, feedback, ASKS, max_steps=1) == Finish("Let me see.", "max_steps")
