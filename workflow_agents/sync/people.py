"""What people and agents share, for code without await: approvals and conversations."""

import builtins
from collections.abc import Mapping
from typing import Any

from workflow_agents.approvals import Approval, AsyncApprovals
from workflow_agents.conversations import AsyncConversations, ConversationInfo
from workflow_agents.core.bad_options import names_options
from workflow_agents.sync.loop_thread import LOOP_THREAD

_wait = LOOP_THREAD.wait


class Approvals:
    """`client.approvals`: calls of tools that wait for a person."""

    def __init__(self, approvals: AsyncApprovals) -> None:
        self._approvals = approvals

    @names_options
    def list(self, run_id: str | None = None, *, limit: int = 100) -> builtins.list[Approval]:
        """What waits for a person, in all runs or in one; what has waited longest comes first."""
        return _wait(self._approvals.list(run_id, limit=limit))

    def get(self, id: str) -> Approval:
        """One of them."""
        return _wait(self._approvals.get(id))

    @names_options
    def approve(
        self,
        approval: Approval | str,
        *,
        arguments: Mapping[str, Any] | None = None,
        by: str | None = None,
    ) -> None:
        """Let the tool run. See `AsyncApprovals.approve`."""
        return _wait(self._approvals.approve(approval, arguments=arguments, by=by))

    @names_options
    def reject(
        self, approval: Approval | str, reason: str | None = None, *, by: str | None = None
    ) -> None:
        """Do not let it run; the model is told the reason, and goes on."""
        return _wait(self._approvals.reject(approval, reason, by=by))

    @names_options
    def respond(self, approval: Approval | str, answer: Any, *, by: str | None = None) -> None:
        """Do not let it run; the model is told this answer in place of the tool's result."""
        return _wait(self._approvals.respond(approval, answer, by=by))

    @names_options
    def resolve(
        self, approval: Approval | str, result: Any = None, *, by: str | None = None
    ) -> None:
        """Of an unknown outcome: it has happened, and this is its result."""
        return _wait(self._approvals.resolve(approval, result, by=by))


class Conversations:
    """`client.conversations`: what agents remember under a key."""

    def __init__(self, conversations: AsyncConversations) -> None:
        self._conversations = conversations

    def get(self, key: str, *, last: int | None = None) -> builtins.list[Any]:
        """The messages of a conversation, or its `last` ones; the oldest first."""
        return _wait(self._conversations.get(key, last=last))

    def delete(self, key: str) -> bool:
        """Remove a conversation. False: there was none."""
        return _wait(self._conversations.delete(key))

    def list(
        self, *, after: str | None = None, limit: int = 100
    ) -> builtins.list[ConversationInfo]:
        """Conversations by key; `after` is the key of the last one seen."""
        return _wait(self._conversations.list(after=after, limit=limit))
