"""Operations on an engine in this process: each verb the engine's own, its rows as values."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workflow_agents.core.operations import Outgoing
from workflow_agents.core.redaction import redacted, redacted_headers
from workflow_agents.core.resources import (
    FlowControlKey,
    GlobalParallelism,
    GroupEndpoint,
    Message,
    PublishedMessage,
    Queue,
    Schedule,
    UrlGroup,
)
from workflow_agents.core.retry import DEFAULT_RETRIES
from workflow_agents.core.selection import MessageSelection
from workflow_agents.engine.flow_keys import PARALLELISM, RATE, KeyUse
from workflow_agents.engine.messages import Incoming, Published
from workflow_agents.engine.wire import Wire
from workflow_agents.errors import StateError, WorkflowAgentsError
from workflow_agents.protocol.message import MessageSpec, parse_message
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.protocol.secrets import Secret
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.store.message_lists import MessageFilter
from workflow_agents.store.resource_rows import EndpointRow, GroupRow, QueueRow, ScheduleRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine


class OperationsInProcess:
    """See `core.operations.Operations`."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    @property
    def _wire(self) -> Wire:
        self._engine.ensure_running()
        return self._engine.wire

    # Messages.

    async def publish(self, message: Outgoing) -> Sequence[PublishedMessage]:
        """Take a message."""
        return self._shown(await self._wire.messages.accept(self._incoming(message)).published())

    async def batch(self, messages: Sequence[Outgoing]) -> Sequence[Sequence[PublishedMessage]]:
        """Take several; they share a commit where they can."""
        taken: list[Sequence[PublishedMessage]] = []
        errors: list[WorkflowAgentsError] = []
        for message in messages:
            try:
                taken.append(await self.publish(message))
            except WorkflowAgentsError as error:
                errors.append(error)
                taken.append([PublishedMessage("", error=error.what)])
        if errors and len(errors) == len(taken):
            raise errors[0]
        return taken

    def _incoming(self, message: Outgoing) -> Incoming:
        headers = self._plain(message.headers)
        spec = parse_message(message.destination, headers.items(), queue=message.queue)
        return Incoming(spec, message.body)

    def _plain(self, headers: Mapping[str, str | Secret]) -> dict[str, str]:
        return self._engine.sealer.open_headers(
            {
                name: {"env": value.env, "prefix": value.prefix}
                if isinstance(value, Secret)
                else value
                for name, value in headers.items()
            }
        )

    def _shown(self, taken: Sequence[Published]) -> list[PublishedMessage]:
        id_of = self._wire.messages.id_of
        return [PublishedMessage(id_of(one.message), one.url, one.deduplicated) for one in taken]

    async def message(self, message_id: str) -> Message:
        """A message that is still owed."""
        messages = self._wire.messages
        row = messages.find(message_id)
        spec = messages.displayed(row.spec)
        return Message(
            message_id,
            row.url,
            row.url_group,
            spec.method,
            _headers(spec),
            _body(row.body, spec),
            DEFAULT_RETRIES if spec.retries is None else spec.retries,
            row.at,
            spec.not_before or row.at + (spec.delay_ms or 0),
            spec.callback,
            spec.failure_callback,
            row.queue,
            row.schedule,
            spec.labels,
            row.flow_key,
            row.caller_ip,
        )

    async def cancel_message(self, message_id: str) -> None:
        """Deliver nothing more of it."""
        await self._wire.messages.cancel(message_id)

    async def cancel_messages(self, which: MessageSelection) -> int:
        """Cancel all that fit."""
        messages = self._wire.messages
        cancelled, _ = await messages.cancel_all(
            MessageFilter(
                ids=tuple(map(messages.row_of, which.ids)) if which.ids else None,
                urls=_one(which.url),
                url_groups=_one(which.url_group),
                queues=_one(which.queue),
                schedules=_one(which.schedule_id),
                labels=_one(which.label),
                flow_keys=_one(which.flow_control_key),
                since=which.since,
                until=which.until,
            )
        )
        return cancelled

    # Queues.

    async def queues(self) -> list[Queue]:
        """All of them."""
        return [_queue(row) for row in self._wire.queues.all()]

    async def queue(self, name: str) -> Queue:
        """One of them."""
        return _queue(self._wire.queues.get(name))

    async def put_queue(self, name: str, parallelism: int | None, *, paused: bool | None) -> None:
        """Make one, or change it."""
        await self._wire.queues.put(name, parallelism=parallelism, paused=paused)

    async def pause_queue(self, name: str, *, paused: bool) -> None:
        """Begin no delivery of it, or go on."""
        await self._wire.queues.pause(name, paused=paused)

    async def delete_queue(self, name: str) -> None:
        """Remove it."""
        await self._wire.queues.delete(name)

    # URL groups.

    async def url_groups(self) -> list[UrlGroup]:
        """All of them."""
        return [_group(row) for row in self._wire.url_groups.all()]

    async def url_group(self, name: str) -> UrlGroup:
        """One of them."""
        return _group(self._wire.url_groups.get(name))

    async def put_endpoints(self, name: str, endpoints: Sequence[GroupEndpoint]) -> None:
        """Add endpoints, or change them."""
        rows = [EndpointRow(end.url, end.name) for end in endpoints]
        await self._wire.url_groups.put_endpoints(name, rows)

    async def remove_endpoints(self, name: str, urls: Sequence[str], names: Sequence[str]) -> None:
        """Remove endpoints."""
        await self._wire.url_groups.remove_endpoints(name, urls, names)

    async def delete_url_group(self, name: str) -> None:
        """Remove it."""
        await self._wire.url_groups.delete(name)

    # Schedules.

    async def schedules(self) -> list[Schedule]:
        """All of them."""
        return [self._schedule(row) for row in self._wire.schedules.all()]

    async def schedule(self, schedule_id: str) -> Schedule:
        """One of them."""
        return self._schedule(self._wire.schedules.get(schedule_id))

    async def put_schedule(self, message: Outgoing) -> str:
        """Make one, or overwrite it."""
        return await self._wire.schedules.put(self._incoming(message))

    async def pause_schedule(self, schedule_id: str, *, paused: bool) -> None:
        """Make no tick of it, or go on."""
        await self._wire.schedules.pause(schedule_id, paused=paused)

    async def delete_schedule(self, schedule_id: str) -> None:
        """Remove it."""
        await self._wire.schedules.delete(schedule_id)

    def _schedule(self, row: ScheduleRow) -> Schedule:
        messages = self._wire.messages
        spec = messages.displayed(row.spec)
        states = self._wire.schedules.states(row)
        return Schedule(
            row.id,
            row.cron,
            row.destination,
            row.created_at,
            spec.method,
            _headers(spec),
            _body(row.body, spec),
            DEFAULT_RETRIES if spec.retries is None else spec.retries,
            spec.delay_ms,
            spec.timeout_ms,
            spec.callback,
            spec.failure_callback,
            spec.queue,
            spec.flow_key,
            spec.labels,
            row.paused,
            row.last_at,
            row.due_at,
            {messages.id_of(message): state for message, state in states.items()},
            row.error,
        )

    # Flow control.

    async def flow_keys(self, search: str | None) -> list[FlowControlKey]:
        """All of them, or those with a text in their name."""
        return [_flow_key(use) for use in self._wire.flow_keys.all(search)]

    async def flow_key(self, key: str) -> FlowControlKey:
        """One of them."""
        return _flow_key(self._wire.flow_keys.get(key))

    async def pause_flow(self, key: str, *, paused: bool) -> None:
        """Start nothing of it, or go on."""
        await self._wire.flow_keys.pause(key, paused=paused)

    async def pin_flow(
        self, key: str, parallelism: int | None, rate: int | None, period_s: int | None
    ) -> None:
        """Set limits that messages leave alone."""
        period = None if period_s is None else f"{period_s}s"
        await self._wire.flow_keys.pin(key, parallelism=parallelism, rate=rate, period=period)

    async def unpin_flow(self, key: str, *, parallelism: bool, rate: bool) -> None:
        """Let messages set them again."""
        await self._wire.flow_keys.unpin(key, parallelism=parallelism, rate=rate)

    async def reset_rate(self, key: str) -> None:
        """Count what has started until now no more."""
        await self._wire.flow_keys.reset_rate(key)

    async def global_parallelism(self) -> GlobalParallelism:
        """How much is on its way at all."""
        self._engine.ensure_running()
        return GlobalParallelism(
            self._engine.limits.concurrent_deliveries, self._engine.deliveries.on_their_way
        )

    # Keys.

    async def signing_keys(self) -> SigningKeys:
        """An engine signs nothing.

        Raises:
            StateError: WA608.
        """
        raise _needs_a_server()

    async def rotate_signing_keys(self) -> SigningKeys:
        """See `signing_keys`."""
        raise _needs_a_server()


def _needs_a_server() -> StateError:
    return StateError(
        "WA608",
        "there are no signing keys without a server",
        found="the client of an engine in this process",
        why="an engine calls its workflows itself: nothing is signed",
        fix=("workflow-agents server", "AsyncClient(token, base_url=...).keys"),
    )


def _queue(row: QueueRow) -> Queue:
    return Queue(row.name, row.parallelism, row.paused, row.lag, row.created_at, row.updated_at)


def _group(row: GroupRow) -> UrlGroup:
    ends = tuple(GroupEndpoint(end.url, end.name) for end in row.endpoints)
    return UrlGroup(row.name, ends, row.created_at, row.updated_at)


def _flow_key(use: KeyUse) -> FlowControlKey:
    limits = use.state.limits
    return FlowControlKey(
        use.key,
        use.waiting,
        None if limits is None else limits.parallelism,
        use.in_flight,
        None if limits is None else limits.rate,
        use.starts,
        0 if limits is None else limits.period_ms,
        use.period_at // 1000 * 1000,
        use.state.paused,
        PARALLELISM in use.state.pinned,
        RATE in use.state.pinned,
    )


def _headers(spec: MessageSpec) -> dict[str, list[str]]:
    return header_map(redacted_headers(spec.headers, spec.redact).items())


def _body(body: bytes, spec: MessageSpec) -> str | bytes | None:
    if not body:
        return None
    if spec.redact and spec.redact.get("body"):
        return redacted(body.decode("utf-8", "replace"), spec.redact)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)
