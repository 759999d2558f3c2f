"""`client.messages` and `client.schedules`: messages to any address, once or again and again.

await client.messages.publish("https://example.com/hook", {"id": 1}, delay="1m", retries=5)
await client.schedules.create("https://example.com/digest", cron="0 9 * * MON-FRI")
"""

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Unpack, cast

from workflow_agents.core.bad_options import unknown_option, wrong_option
from workflow_agents.core.checks import JSON_TYPE, checked_body, checked_name
from workflow_agents.core.message_options import MessageOptions, message_headers
from workflow_agents.core.operations import Operations, Outgoing
from workflow_agents.core.resources import Message, PublishedMessage, Schedule
from workflow_agents.core.selection import MessageFilters, MessageSelection, checked_ids
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.message_headers import is_name, is_url

_ITEM = ("destination", "body", "queue", *MessageOptions.__annotations__)


class AsyncMessages:
    """Messages: each is delivered to one address, with retries, and is durable until then."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def publish(
        self, destination: str, body: Any = None, **options: Unpack[MessageOptions]
    ) -> builtins.list[PublishedMessage]:
        """Publish a message. It is durable when this returns.

        Args:
            destination: an http or https address, or the name of a URL group.
            body: str and bytes as they are, anything else as JSON.
            options: see `MessageOptions`.

        Returns:
            One result for an address, one for each endpoint of a URL group.

        Raises:
            UsageError: something cannot be used; nothing was published.
        """
        message = _outgoing(destination, body, options, "client.messages.publish")
        return [*await self._operations.publish(message)]

    async def publish_json(
        self, destination: str, body: Any = None, **options: Unpack[MessageOptions]
    ) -> builtins.list[PublishedMessage]:
        """Publish data as JSON, text and None too. Arguments as `publish`."""
        return await self.publish(destination, *_as_json(body), **_json_options(options))

    async def enqueue(
        self, queue: str, destination: str, body: Any = None, **options: Unpack[MessageOptions]
    ) -> builtins.list[PublishedMessage]:
        """Publish a message that waits for its turn in a queue, which is made if there is none.

        Other arguments as `publish`.
        """
        checked_name("the name of a queue", queue)
        message = _outgoing(destination, body, options, "client.messages.enqueue", queue)
        return [*await self._operations.publish(message)]

    async def enqueue_json(
        self, queue: str, destination: str, body: Any = None, **options: Unpack[MessageOptions]
    ) -> builtins.list[PublishedMessage]:
        """The same with data as JSON."""
        return await self.enqueue(queue, destination, *_as_json(body), **_json_options(options))

    async def batch(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> builtins.list[builtins.list[PublishedMessage]]:
        """Publish several messages with one request.

        Args:
            messages: each holds the arguments of one `publish`, and perhaps a `queue`.

        Returns:
            What became of each; one that was not taken has an `error`.

        Raises:
            UsageError: one of them cannot be used; none was published.
        """
        where = "client.messages.batch"
        asked: list[Outgoing] = []
        for given in messages:
            for name in given:
                if name not in _ITEM:
                    raise unknown_option(name, _ITEM, where)
            options = {n: v for n, v in given.items() if n not in ("destination", "body", "queue")}
            asked.append(
                _outgoing(
                    given.get("destination"),
                    given.get("body"),
                    cast("MessageOptions", options),
                    where,
                    given.get("queue"),
                )
            )
        return [[*one] for one in await self._operations.batch(asked)] if asked else []

    async def get(self, message_id: str) -> Message:
        """A message that is still owed.

        Raises:
            NotFound: WA611, there is none of this id, or it has ended.
        """
        return await self._operations.message(message_id)

    async def cancel(self, message_id: str) -> None:
        """Deliver nothing more of a message.

        Raises:
            NotFound: WA611, there is none of this id, or it has ended.
        """
        await self._operations.cancel_message(message_id)

    async def cancel_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: MessageFilters | None = None,
        all: bool = False,
    ) -> int:
        """Cancel several messages; how many were.

        Args:
            ids: of messages; those that are unknown or have ended do not count.
            where: filters that hold together; see `MessageFilters`.
            all: every message there is.
        """
        from workflow_agents.client.letters import one_of_three

        chosen = () if ids is None else checked_ids(ids, "ids")
        one_of_three(ids, where, all=all)
        if ids is not None and not chosen:
            return 0
        which = MessageSelection.checked(where or {}, ids=chosen, where="messages.cancel_many")
        return await self._operations.cancel_messages(which)


class AsyncSchedules:
    """Schedules: messages that are published again and again."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def create(
        self,
        destination: str,
        body: Any = None,
        *,
        cron: str,
        schedule_id: str | None = None,
        queue: str | None = None,
        **options: Unpack[MessageOptions],
    ) -> str:
        """Make a schedule, or overwrite the one of this id; returns its id.

        Args:
            destination: an address (of a workflow too), or the name of a URL group.
            body: of its messages.
            cron: when: "0 9 * * MON-FRI", in UTC unless it begins with CRON_TZ=Europe/Berlin.
            schedule_id: an id of your own.
            queue: in which its messages wait.
            options: of its messages; see `MessageOptions`.

        Raises:
            ConfigurationError: WA115 or WA116, the cron line cannot be used.
        """
        from workflow_agents.core.cron import Cron

        Cron.parse(cron)
        message = _outgoing(destination, body, options, "client.schedules.create")
        headers = {**message.headers, "upstash-cron": cron}
        if schedule_id is not None:
            headers["upstash-schedule-id"] = checked_name("the id of a schedule", schedule_id)
        if queue is not None:
            headers["upstash-queue-name"] = checked_name("the name of a queue", queue)
        return await self._operations.put_schedule(Outgoing(destination, headers, message.body))

    async def get(self, schedule_id: str) -> Schedule:
        """One of them.

        Raises:
            NotFound: WA611.
        """
        return await self._operations.schedule(schedule_id)

    async def list(self) -> builtins.list[Schedule]:
        """All of them, the oldest first."""
        return await self._operations.schedules()

    async def pause(self, schedule_id: str) -> None:
        """Make no tick of it; ticks of the pause are not made up for."""
        await self._operations.pause_schedule(schedule_id, paused=True)

    async def resume(self, schedule_id: str) -> None:
        """Go on with its next tick."""
        await self._operations.pause_schedule(schedule_id, paused=False)

    async def delete(self, schedule_id: str) -> None:
        """Remove it; its messages stay."""
        await self._operations.delete_schedule(schedule_id)


def _outgoing(
    destination: object,
    body: object,
    options: MessageOptions,
    where: str,
    queue: str | None = None,
) -> Outgoing:
    if not isinstance(destination, str) or not (is_url(destination) or is_name(destination)):
        raise wrong_option(
            "destination", "an http or https address, or the name of a URL group", destination
        )
    if queue is not None:
        checked_name("the name of a queue", queue)
    content, content_type = checked_body(body, where=f"{where} to {destination}"[:200])
    return Outgoing(
        destination, message_headers(options, content_type, where=where), content, queue
    )


def _as_json(body: object) -> tuple[object]:
    return (encode(body) if body is None or isinstance(body, str) else body,)


def _json_options(options: MessageOptions) -> MessageOptions:
    return {"content_type": JSON_TYPE, **options}
