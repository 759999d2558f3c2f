"""What an agent does next: a pure function of its transcript.

    the model is to speak                                  -> CallModel
    it called tools and has turns left                     -> RunTools
    it answered, or called tools in its last turn          -> Finish
    every tool call of the last few turns went wrong       -> GiveUp

Nothing is counted beside the transcript: turns are its assistant messages, failing turns its
tool messages, answers that were sent back the feedback on them. An agent, a manager whose tools
are agents, and agents that hand over to one another follow the same rules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from workflow_agents.agents.messages import (
    AssistantMessage,
    ChatMessage,
    FinishReason,
    ToolCall,
    ToolMessage,
    UserMessage,
)


@dataclass(frozen=True, slots=True)
class CallModel:
    """Ask the model to go on."""


@dataclass(frozen=True, slots=True)
class RunTools:
    """Make these calls, all at once, and add their results in this order."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """Return what the agent said last.

    Attributes:
        text: "" if it said nothing.
        reason: why it ends here.
    """

    text: str
    reason: FinishReason


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Fail: the model does not learn from the errors that it is told.

    Attributes:
        turns: how many failed in a row.
        errors: the tool errors of the last of them.
    """

    turns: int
    errors: tuple[ToolMessage, ...]


Action = CallModel | RunTools | Finish | GiveUp


def next_action(
    transcript: Sequence[ChatMessage], *, max_steps: int, max_tool_errors: int
) -> Action:
    """Decide what comes after the transcript.

    Args:
        transcript: begins with a system or user message.
        max_steps: how often the model may be called for the last question; feedback on an
            answer allows one call more. Tools called in the last turn are not run, because
            nobody would read what they return.
        max_tool_errors: after so many turns in a row, all of whose calls failed, give up.
    """
    last = transcript[-1]
    out_of_turns = turns_used(transcript) >= max_steps + times_sent_back(transcript)
    if isinstance(last, AssistantMessage):
        if not last.tool_calls:
            return Finish(last.content, _reason(last))
        if not out_of_turns:
            return RunTools(last.tool_calls)
    elif isinstance(last, ToolMessage):
        failing = _failing_turns(transcript)
        if len(failing) >= max_tool_errors:
            return GiveUp(len(failing), failing[0])
    if out_of_turns:
        return Finish(_last_text(transcript), "max_steps")
    return CallModel()


def turns_used(transcript: Sequence[ChatMessage]) -> int:
    """How often the model has spoken since the last question."""
    return sum(isinstance(m, AssistantMessage) for m in _since_the_question(transcript))


def times_sent_back(transcript: Sequence[ChatMessage]) -> int:
    """How many answers to the last question did not do."""
    return sum(isinstance(m, UserMessage) for m in _since_the_question(transcript))


def _since_the_question(transcript: Sequence[ChatMessage]) -> Iterator[ChatMessage]:
    """The latest messages first."""
    for message in reversed(transcript):
        if isinstance(message, UserMessage) and not message.is_feedback:
            break
        yield message


def _failing_turns(transcript: Sequence[ChatMessage]) -> list[tuple[ToolMessage, ...]]:
    """The latest turns whose tool calls failed without exception, latest first."""
    failing: list[tuple[ToolMessage, ...]] = []
    for kind, messages in groupby(reversed(transcript), key=type):
        if kind is ToolMessage:
            results = tuple(m for m in messages if isinstance(m, ToolMessage))[::-1]
            if not all(result.is_error for result in results):
                break
            failing.append(results)
        elif kind is not AssistantMessage:
            break
    return failing


def _last_text(transcript: Sequence[ChatMessage]) -> str:
    for message in reversed(transcript):
        if isinstance(message, UserMessage):
            break
        if isinstance(message, AssistantMessage) and message.content:
            return message.content
    return ""


def _reason(answer: AssistantMessage) -> FinishReason:
    match answer.finish_reason:
        case "length":
            return "length"
        case "content_filter":
            return "content_filter"
        case _:
            return "stop"
