"""Conversations that outlive their runs: kept under a key, stored once, continued by tasks.

A task that continues one begins with its messages ("Recall conversation") and, when it has
ended, appends its own in one go ("Remember conversation"). The step that recalls records only
up to which message it has read, so that nothing is stored twice and a replay reads the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from workflow_agents.agents.messages import (
    AssistantMessage,
    ChatMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
    messages_from_json,
    messages_to_json,
)
from workflow_agents.agents.ports import AgentContext
from workflow_agents.errors import ConfigurationError

_LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation that tasks of many runs continue: `conversation=Conversation("user-42")`.

    Two tasks that continue one at the same time do not see each other's messages; those of each
    are appended together, in the order in which the tasks end.

    Attributes:
        key: what it is kept under; of one user, one thread, one case.
        max_messages: how many of its newest messages a task begins with, at most; all stay
            stored. It begins with a question, so that no tool call is parted from its result.

    Raises:
        ConfigurationError: WA702.
    """

    key: str
    max_messages: int | None = None

    def __post_init__(self) -> None:
        key, most = self.key, self.max_messages
        if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            self._refuse("key", f"text of at most {_LONGEST_KEY} characters", key)
        if most is not None and (not isinstance(most, int) or most < 1):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            self._refuse("max_messages", "a whole number from 1, or None", most)

    @classmethod
    def of(cls, given: "Conversation | str | None") -> "Conversation | None":
        """A conversation from itself or its key."""
        return given if given is None or isinstance(given, Conversation) else cls(given)

    def _refuse(self, option: str, expected: str, found: object) -> None:
        raise ConfigurationError(
            "WA702",
            f"{option!r} of the conversation is not right",
            where="Conversation",
            found=f"expected {expected}, found {found!r}"[:200],
        )


async def recall(context: AgentContext, conversation: Conversation) -> list[ChatMessage]:
    """What a task that continues the conversation begins with."""
    most = conversation.max_messages
    stored: list[dict[str, Any]] = await context.recall(
        "Recall conversation", conversation.key, last=most
    )
    messages = messages_from_json(stored)
    return trimmed(messages) if most is not None and len(messages) >= most else messages


async def remember(
    context: AgentContext, conversation: Conversation, messages: Sequence[ChatMessage]
) -> None:
    """Append what a task has added to the conversation."""
    await context.remember(
        "Remember conversation", conversation.key, messages_to_json(settled(messages))
    )


def trimmed(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """From the first question on; from the first that answers no call, if there is none."""
    for whole in (_is_question, _answers_nothing):
        for position, message in enumerate(messages):
            if whole(message):
                return list(messages[position:])
    return []


def settled(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Messages that a conversation can go on from: without backgrounds and unanswered calls.

    An agent that ran out of turns may have ended with calls that nobody made.
    """
    kept: list[ChatMessage] = [m for m in messages if not isinstance(m, SystemMessage)]
    if kept and isinstance(last := kept[-1], AssistantMessage) and last.tool_calls:
        kept.pop()
        if last.content:
            kept.append(replace(last, tool_calls=()))
    return kept


def _is_question(message: ChatMessage) -> bool:
    return isinstance(message, UserMessage) and not message.is_feedback


def _answers_nothing(message: ChatMessage) -> bool:
    return not isinstance(message, ToolMessage)
