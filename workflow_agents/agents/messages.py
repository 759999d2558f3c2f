"""What agents and models say to each other, as values: messages, tool calls, usage.

A transcript is a sequence of `ChatMessage`. It is folded from the results of steps and never
stored beside them. How a provider writes these things is not known here: see `models`.
`messages_to_json` writes them as JSON data of our own, for whoever keeps them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, cast

from workflow_agents.errors import ConfigurationError

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
    """What the agent is asked, or told of its answer.

    Attributes:
        content: the text.
        is_feedback: no new question, but what was wrong with the last answer.
    """

    content: str
    is_feedback: bool = False


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


_ROLES: dict[str, type[ChatMessage]] = {
    "system": SystemMessage,
    "user": UserMessage,
    "assistant": AssistantMessage,
    "tool": ToolMessage,
}
_ROLE_OF = {kind: role for role, kind in _ROLES.items()}


def messages_to_json(messages: Iterable[ChatMessage]) -> list[dict[str, Any]]:
    """Messages as JSON data, which `messages_from_json` reads.

    [{"role": "user", "content": "Where is order 7?"},
     {"role": "assistant", "tool_calls": [{"id": "c1", "name": "find", "arguments": "{}"}]},
     {"role": "tool", "tool_call_id": "c1", "name": "find", "content": "In Delft."}]
    """
    return [{"role": _ROLE_OF[type(message)], **_members(message)} for message in messages]


def messages_from_json(data: Sequence[Mapping[str, Any]]) -> list[ChatMessage]:
    """Messages that were written by `messages_to_json`; members it does not know are left out.

    Raises:
        ConfigurationError: WA702, something else was written there.
    """
    try:
        return [_message(item) for item in data]
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigurationError(
            "WA702",
            "these are no messages of a conversation",
            where="messages_from_json",
            found=f"expected what messages_to_json returns; found {error!r}"[:200],
        ) from error


def _message(item: Mapping[str, Any]) -> ChatMessage:
    kind = _ROLES[item["role"]]
    known = {field.name for field in fields(kind)}
    given = {name: value for name, value in item.items() if name in known}
    if "tool_calls" in given:
        given["tool_calls"] = tuple(ToolCall(**call) for call in given["tool_calls"])
    if "kept" in given:
        given["kept"] = tuple(given["kept"])
    return kind(**given)


def _members(value: ChatMessage | ToolCall) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    found: dict[str, Any] = {}
    for known in fields(value):
        member = getattr(value, known.name)
        if known.default is not MISSING and member == known.default:
            continue
        if isinstance(member, tuple):
            member = [
                _members(part) if isinstance(part, ToolCall) else part
                for part in cast("tuple[Any, ...]", member)
            ]
        found[known.name] = member
    return found
