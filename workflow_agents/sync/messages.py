"""`client.messages` and `client.schedules`, for code without await; see `client.messages`."""

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from workflow_agents.client.messages import AsyncMessages, AsyncSchedules
from workflow_agents.core.message_options import MessageOptions
from workflow_agents.core.resources import Message, PublishedMessage, Schedule
from workflow_agents.core.selection import MessageFilters
from workflow_agents.sync.loop_thread import LOOP_THREAD

_wait = LOOP_THREAD.wait


class Messages:
    """Messages: each is delivered to one address, with retries, and is durable until then."""

    def __init__(self, messages: AsyncMessages) -> None:
        self._messages = messages

    def publish(
        self, destination: str, body: Any = None, **options: Unpack[MessageOptions]
    ) -> builtins.list[PublishedMessage]:
        """Publish a message. It is durable when this returns. See `AsyncMessages.publish`."""
        return _wait(self._messages.publish(destination, body, **options))

    def publish_json(
        self, destination: str, body: Any = None, **options: Unpack[MessageOptions]
    ) -> builtins.list[PublishedMessage]:
        """Publish data as JSON, text and None too."""
        return _wait(self._messages.publish_json(destination, body, **options))

    def enqueue(
        self, queue: str, destination: str, body: Any = None, **options: Unpack[MessageOptions]
    ) -> builtins.list[PublishedMessage]:
        """Publish a message that waits for its turn in a queue."""
        return _wait(self._messages.enqueue(queue, destination, body, **options))

    def enqueue_json(
        self, queue: str, destination: str, body: Any = None, **options: Unpack[MessageOptions]
    ) -> builtins.list[PublishedMessage]:
        """The same with data as JSON."""
        return _wait(self._messages.enqueue_json(queue, destination, body, **options))

    def batch(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> builtins.list[builtins.list[PublishedMessage]]:
        """Publish several messages with one request."""
        return _wait(self._messages.batch(messages))

    def get(self, message_id: str) -> Message:
        """A message that is still owed."""
        return _wait(self._messages.get(message_id))

    def cancel(self, message_id: str) -> None:
        """Deliver nothing more of a message."""
        return _wait(self._messages.cancel(message_id))

    def cancel_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: MessageFilters | None = None,
        all: bool = False,
    ) -> int:
        """Cancel several messages; how many were."""
        return _wait(self._messages.cancel_many(ids, where=where, all=all))


class Schedules:
    """Schedules: messages that are published again and again."""

    def __init__(self, schedules: AsyncSchedules) -> None:
        self._schedules = schedules

    def create(
        self,
        destination: str,
        body: Any = None,
        *,
        cron: str,
        schedule_id: str | None = None,
        queue: str | None = None,
        **options: Unpack[MessageOptions],
    ) -> str:
        """Make a schedule, or overwrite the one of this id. See `AsyncSchedules.create`."""
        return _wait(
            self._schedules.create(
                destination, body, cron=cron, schedule_id=schedule_id, queue=queue, **options
            )
        )

    def get(self, schedule_id: str) -> Schedule:
        """One of them."""
        return _wait(self._schedules.get(schedule_id))

    def list(self) -> builtins.list[Schedule]:
        """All of them, the oldest first."""
        return _wait(self._schedules.list())

    def pause(self, schedule_id: str) -> None:
        """Make no tick of it."""
        return _wait(self._schedules.pause(schedule_id))

    def resume(self, schedule_id: str) -> None:
        """Go on with its next tick."""
        return _wait(self._schedules.resume(schedule_id))

    def delete(self, schedule_id: str) -> None:
        """Remove it; its messages stay."""
        return _wait(self._schedules.delete(schedule_id))
