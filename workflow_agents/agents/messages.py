"""What agents and models say to each other, as values: messages, tool calls, usage.

A transcript is a sequence of `ChatMessage`. It is folded from the results of steps and never
stored beside them. How a provider writes these things is not known here: see `models`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "max_steps", "length", "content_filter"]
"""Why an agent ended: it answered; its turns were used up; or the provider cut it off."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called.

    Attributes:
        id: the provider's id, which the answer carries.
        name: of the tool, as the model wrote it.
        arguments: JSON text as the model wrote it, which need not be valid.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """What the agent is: its background."""

    content: str


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the agent is asked."""

    content: str


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """One turn of the model.

    Attributes:
        content: its text; "" if it only calls tools.
        tool_calls: the tools that it wants called, in its order.
        finish_reason: why the provider says that it stopped.
        kept: what the provider wants to see again when the conversation goes on, such as
            signed thoughts. Each has a "type", and means nothing to other providers.
    """

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    kept: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """What came of one tool call.

    Attributes:
        tool_call_id: the call that it answers.
        name: the name in that call.
        content: what the model reads.
        is_error: the call could not be made, or the tool raised.
    """

    tool_call_id: str
    name: str
    content: str
    is_error: bool = False


ChatMessage = SystemMessage | UserMessage | AssistantMessage | ToolMessage
"""One item of a transcript."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent; usages add up.

    Attributes:
        prompt_tokens: read by the model, those of the cache among them.
        completion_tokens: written by it, those of its reasoning among them.
        total_tokens: as the provider counts both.
        cached_prompt_tokens: of the prompt: which the provider had in its cache.
        reasoning_tokens: of the completion: which nobody is shown.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_prompt_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """The tokens of both."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.total_tokens + other.total_tokens,
            self.cached_prompt_tokens + other.cached_prompt_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A turn of the model, and what it cost.

    Attributes:
        message: what it said.
        usage: the tokens of this turn.
        model: the name that the provider answered under; "" if it gave none.
    """

    message: AssistantMessage
    usage: Usage
    model: str = ""
