"""`client.conversations`: what agents remember across runs, seen from outside.

    messages = await client.conversations.get("user-42")
    await client.conversations.delete("user-42")        # what the person has a right to

Messages are JSON data, as `messages_from_json` reads them. Tasks continue a conversation by its
key; how is in `agents/memory`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.checks import checked_conversation


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation that is kept.

    Attributes:
        key: what it is kept under.
        messages: how many it has.
        began_at: when the first of them was kept, Unix milliseconds.
        changed_at: when the last of them was kept, Unix milliseconds.
    """

    key: str
    messages: int
    began_at: int
    changed_at: int


class ConversationKeeper(Protocol):
    """The part of a client's backend that conversations use."""

    async def conversation(self, key: str, last: int | None) -> list[Any]:
        """The newest messages of one."""
        ...

    async def conversations(self, after: str | None, limit: int) -> list[dict[str, Any]]:
        """Those after a key."""
        ...

    async def delete_conversation(self, key: str) -> bool:
        """Remove one."""
        ...


class AsyncConversations:
    """See the module."""

    def __init__(self, backend: ConversationKeeper) -> None:
        self._backend = backend

    async def get(self, key: str, *, last: int | None = None) -> list[Any]:
        """The messages of a conversation, or its `last` ones; the oldest first.

        One that nobody has had is empty.
        """
        _check_number("last", last)
        return await self._backend.conversation(checked_conversation(key), last)

    async def delete(self, key: str) -> bool:
        """Remove a conversation. False: there was none.

        Runs in progress that have read it may still hold its messages.
        """
        return await self._backend.delete_conversation(checked_conversation(key))

    async def list(self, *, after: str | None = None, limit: int = 100) -> list[ConversationInfo]:
        """Conversations by key; `after` is the key of the last one seen."""
        _check_number("limit", limit)
        found = await self._backend.conversations(after, limit)
        return [
            ConversationInfo(one["key"], one["messages"], one["beganAt"], one["changedAt"])
            for one in found
        ]


def _check_number(option: str, value: object) -> None:
    if value is not None and (not isinstance(value, int) or value < 1):
        raise wrong_option(option, "a whole number from 1", value)
