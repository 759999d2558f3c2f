"""What clients ask of a backend, and no QStash server has: each answer says so, and what to do."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.core.stream_events import StreamEvent
from workflow_agents.errors import StateError
from workflow_agents.protocol.approvals import OpenWait

_NOT_OFFERED = "a QStash server does not offer this"


class NotOffered:
    """The part of `core.backend.Backend` that only an engine in this process has."""

    async def feed(self, run_id: str, after: int) -> tuple[list[FeedEntry], bool]:
        """A QStash server has no feed.

        Raises:
            StateError: WA608.
        """
        del after
        raise not_offered("a feed of entries", run_id, "look at its steps: await handle.log()")

    async def waits(self, prefix: str, limit: int) -> Sequence[OpenWait]:
        """A QStash server does not tell what waits.

        Raises:
            StateError: WA608.
        """
        del limit
        raise not_offered("waits", prefix, "notify the event: await client.notify(event_id, ...)")

    async def stream(self, run_id: str, after: int) -> AsyncIterator[StreamEvent]:
        """A QStash server passes no stream on.

        Raises:
            StateError: WA608.
        """
        del after
        raise not_offered("streams", run_id, "wait for it: await handle.result()")
        yield

    async def conversation(self, key: str, last: int | None) -> list[Any]:
        """A QStash server keeps no conversations.

        Raises:
            StateError: WA608.
        """
        del last
        raise not_offered("conversations", key, "pass messages along: agents.task(history=...)")

    async def conversations(self, after: str | None, limit: int) -> list[dict[str, Any]]:
        """See `conversation`."""
        del limit
        raise not_offered("conversations", after or "", "pass messages along: history=...")

    async def delete_conversation(self, key: str) -> bool:
        """See `conversation`."""
        raise not_offered("conversations", key, "pass messages along: history=...")


def not_offered(what: str, run_id: str, fix: str) -> StateError:
    """What is raised then."""
    return StateError(
        "WA608",
        _NOT_OFFERED,
        run_id=run_id,
        found=f"{what} of a run that a QStash server keeps",
        why="only the embedded engine keeps them",
        fix=(fix,),
    )
