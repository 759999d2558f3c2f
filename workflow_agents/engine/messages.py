"""Messages of the QStash protocol: taken from whoever publishes them, and made durable.

A message that is due at once, and that nothing holds back, is stored as leased: it is on its
way as soon as it is durable, without a second commit.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workflow_agents.core.checks import checked_size
from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.redaction import HIDDEN
from workflow_agents.core.retry import MAX_RETRIES
from workflow_agents.engine.ends import DeliveryKind
from workflow_agents.errors import LimitError, NotFound
from workflow_agents.protocol.history import EntryKind, StepKey
from workflow_agents.protocol.message import (
    JSON_TYPE,
    MessageSpec,
    content_key,
    parse_message,
)
from workflow_agents.protocol.message_headers import bad_header
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.changes import Applied, Broken, Change, Entry, Op, Outcome, Refused
from workflow_agents.store.interface import DeliveryRow
from workflow_agents.store.message_changes import AddMessage, Deduplication, DropMessages
from workflow_agents.store.message_lists import MessageFilter
from workflow_agents.store.message_rows import MessageRow
from workflow_agents.store.resource_changes import NeedQueue

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

DEDUPLICATION_MS = 10 * 60_000
"""How long a deduplication id is taken. Source: protocol 10.3."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = "msg_"
_FAMILIES = ("headers", "callback_headers", "failure_callback_headers")
_ON_ITS_WAY = b'{"active":true}'
_AT_ONCE = 500
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it comes in.

    Attributes:
        spec: what its headers say.
        body: as it is delivered.
        caller_ip: whoever published it.
        schedule: whose tick it is.
        endpoint: the name of the destination in its URL group.
    """

    spec: MessageSpec
    body: bytes = b""
    caller_ip: str | None = None
    schedule: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What became of it.

    Attributes:
        message: its row, or that of the one that was there.
        url: where it goes.
        deduplicated: a message with its deduplication id was there, and no other was made.
    """

    message: int
    url: str
    deduplicated: bool = False


@dataclass(frozen=True, slots=True)
class Taking:
    """What takes messages, in one change.

    Attributes:
        ops: all operations.
        added: those of them that add messages, in order.
        entries: what the feed tells.
    """

    ops: list[Op]
    added: list[AddMessage]
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Accepting:
    """Messages on their way into the store."""

    messages: "Messages"
    taking: Taking
    stored: "asyncio.Future[Outcome]"

    async def published(self) -> list[Published]:
        """What became of them; they are durable when this returns.

        Raises:
            StoreError: the store cannot be written; nothing was taken.
        """
        outcome = await self.stored
        if isinstance(outcome, Broken):
            raise outcome.error
        if isinstance(outcome, Refused):
            return self.messages.taken_before(self.taking, outcome)
        added = zip(outcome.messages, self.taking.added, strict=True)
        return [Published(row, op.url) for (row, _), op in added]


class Messages:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    # Ids.

    def id_of(self, message: int) -> str:
        """What the wire calls a message."""
        text = ""
        while message:
            message, digit = divmod(message, len(_DIGITS))
            text = _DIGITS[digit] + text
        return f"{_PREFIX}{text.rjust(10, '0')}"

    def row_of(self, message_id: str) -> int:
        """The reverse; 0 for what is no id.

        Every message has one id: what does not come out of `id_of` is none.
        """
        text = message_id.removeprefix(_PREFIX)
        if len(text) > 11 or not text.isalnum() or not text.isascii():
            return 0
        row = 0
        for character in text:
            row = row * len(_DIGITS) + _DIGITS.index(character)
        return row if self.id_of(row) == message_id and row < 2**63 else 0

    def find(self, message_id: str) -> MessageRow:
        """A message by its id.

        Raises:
            NotFound: WA611.
        """
        row = self._engine.store.messages.message(self.row_of(message_id))
        if row is None:
            raise NotFound("WA611", "there is no such message", found=f"message {message_id!r}")
        return row

    # Publishing.

    async def publish(self, incoming: Incoming) -> Published:
        """Take a plain message for one destination. Durable when this returns.

        Raises:
            ConfigurationError: an option of it cannot be used.
            LimitError: WA501.
            StoreError: the store cannot be written; nothing was taken.
        """
        [taken] = await self.accept(incoming).published()
        return taken

    def accept(self, incoming: Incoming) -> "Accepting":
        """The same for one destination, or for each endpoint of a URL group: all or none.

        It is submitted at once; who publishes many awaits what becomes of them afterwards.

        Raises:
            NotFound: WA611, there is no such group.
            ConfigurationError: an option of it cannot be used.
            LimitError: WA501.
        """
        plain = self.plain if incoming.spec.url_group is None else self.plain_group
        taking = plain(incoming)
        return Accepting(self, taking, self._submit(taking.ops, taking.entries))

    def taken_before(self, taking: "Taking", refused: Refused) -> list[Published]:
        """What its deduplication id was taken by."""
        first, dedup = taking.added[0], taking.added[0].dedup
        if first.url_group is None or dedup is None:
            return [Published(refused.existing, first.url, deduplicated=True)]
        found = self._engine.store.messages.accepted_with(dedup.id)
        return [Published(message.id, message.url, deduplicated=True) for message in found]

    def plain(self, incoming: Incoming) -> "Taking":
        """What takes a plain message for one destination; `commit` stores it."""
        spec, now = incoming.spec, self._engine.clock.now_ms()
        self.check(spec, incoming.body)
        dedup = self._deduplication(incoming, now, 1)
        return self.taking(spec, [self._plain(incoming, now)._replace(dedup=dedup)])

    def plain_group(self, incoming: Incoming) -> "Taking":
        """The same for each endpoint of a URL group.

        Raises:
            NotFound: WA611.
        """
        spec, now = incoming.spec, self._engine.clock.now_ms()
        self.check(spec, incoming.body)
        group = self._engine.wire.url_groups.get(spec.url_group or "")
        added = [
            self._plain(replace(incoming, spec=replace(spec, url=end.url), endpoint=end.name), now)
            for end in group.endpoints
        ]
        dedup = self._deduplication(incoming, now, len(added))
        added[0] = added[0]._replace(dedup=dedup)
        return self.taking(spec, added)

    def _plain(self, incoming: Incoming, now: int) -> AddMessage:
        op = self.op(MessageKind.PLAIN, incoming.spec, incoming.body, now)
        return op._replace(
            schedule=incoming.schedule, caller_ip=incoming.caller_ip, endpoint=incoming.endpoint
        )

    def taking(self, spec: MessageSpec, added: list[AddMessage]) -> "Taking":
        """What adds messages of a spec, with the queue and the limits that they need."""
        ops: list[Op] = [*added, *self.flow_ops([spec])]
        if spec.queue is not None:
            ops.insert(0, NeedQueue(spec.queue, added[0].at))
        return Taking(ops, added, [self.created(op, n + 1) for n, op in enumerate(added)])

    def _deduplication(self, incoming: Incoming, now: int, messages: int) -> Deduplication | None:
        spec = incoming.spec
        if spec.deduplication_id is not None:
            key = f"id:{spec.deduplication_id}"
        elif spec.content_based_deduplication:
            key = f"content:{content_key(spec, incoming.body)}"
        else:
            return None
        return Deduplication(key, now + DEDUPLICATION_MS, messages)

    def check(self, spec: MessageSpec, body: bytes = b"") -> None:
        """Refuse what could not be carried out later, callbacks and theirs included.

        Raises:
            ConfigurationError: WA104, WA105, WA121, WA504.
            LimitError: WA501, WA505.
        """
        checked_size(len(body), self._engine.limits.payload_bytes, f"body for {spec.url}")
        if spec.retries is not None and spec.retries > MAX_RETRIES:
            found = f"expected at most {MAX_RETRIES} retries, found {spec.retries}"
            raise LimitError("WA505", where="header Upstash-Retries", found=found)
        if spec.flow_value and spec.flow_key is None:
            name, other = "upstash-flow-control-value", "Upstash-Flow-Control-Key beside it"
            raise bad_header(name, other, spec.flow_value)
        if spec.retry_delay is not None:
            DelayExpression.parse(spec.retry_delay)
        self.flow_of(spec)
        for failed in (False, True):
            callback = self.callback_of(spec, failed=failed)
            if callback is not None:
                self.check(callback)

    def callback_of(self, spec: MessageSpec, *, failed: bool) -> MessageSpec | None:
        """The message that tells of a message's answer, or of its failure; None: nobody is told."""
        url, headers = spec.callback, spec.callback_headers
        if failed:
            url, headers = spec.failure_callback, spec.failure_callback_headers
        if url is None:
            return None
        return parse_message(url, [("Content-Type", JSON_TYPE), *headers.items()])

    def op(
        self,
        kind: MessageKind,
        spec: MessageSpec,
        body: bytes,
        now: int,
        *,
        run: int = 0,
        step: StepKey | None = None,
        source: int | None = None,
    ) -> AddMessage:
        """The operation that adds a message, as leased where nothing holds it back."""
        due_at: int | None = now
        if spec.not_before is not None:
            due_at = max(now, spec.not_before)
        elif spec.delay_ms:
            due_at = now + spec.delay_ms
        held = due_at > now or spec.flow_key is not None or spec.queue is not None
        if not held and self._engine.deliveries.has_room:
            due_at = None
        return AddMessage(
            run,
            kind,
            now,
            due_at,
            spec.url,
            self.stored(spec),
            body or None,
            flow_key=spec.flow_key,
            queue=spec.queue,
            url_group=spec.url_group,
            labels=spec.labels,
            step=step,
            source=source,
        )

    def created(self, op: AddMessage, nth: int = 1) -> Entry:
        """The feed entry of a message that a change adds; it says so if it is on its way."""
        data = _ON_ITS_WAY if op.due_at is None else None
        return Entry(op.run, op.at, EntryKind.MESSAGE_CREATED, data=data, message=-nth)

    async def commit(self, ops: Sequence[Op], entries: Sequence[Entry]) -> Applied | Refused:
        """Store messages, and begin those that were stored as leased.

        Raises:
            StoreError: the store cannot be written; nothing was stored.
        """
        outcome = await self._submit(ops, entries)
        if isinstance(outcome, Broken):
            raise outcome.error
        return outcome

    def _submit(self, ops: Sequence[Op], entries: Sequence[Entry]) -> "asyncio.Future[Outcome]":
        engine = self._engine
        stored: asyncio.Future[Outcome] = engine.loop.create_future()

        def told(outcome: Outcome) -> None:
            # Whoever asked goes on before the attempts begin: an endpoint that submitted a step
            # ends its visit while the next one is made ready.
            if not stored.done():
                stored.set_result(outcome)
            # Here, and not behind the await: whoever asked may have gone away meanwhile.
            if isinstance(outcome, Applied):
                self.begin([op for op in ops if isinstance(op, AddMessage)], outcome)

        engine.commits.submit(Change(ops, entries), told)
        return stored

    def begin(self, added: Iterable[AddMessage], applied: Applied) -> None:
        """Attempt what was stored as leased; the rest is due, or will be."""
        engine = self._engine
        for op, (message, delivery) in zip(added, applied.messages, strict=False):
            if op.due_at is None:
                row = DeliveryRow(
                    delivery, op.run or applied.run, None, DeliveryKind.MESSAGE, 0, None,
                    op.flow_key, b"", None, message=message,
                    queue=op.queue, content=_row_of(message, op, applied.run),
                )  # fmt: skip
                engine.deliveries.attempt(row)
        engine.poke()

    # What specs say.

    def flow_of(self, spec: MessageSpec) -> FlowControl | None:
        """The limits that a message sets for its key; None: it sets none."""
        if spec.flow_key is None or not spec.flow_value:
            return None
        return FlowControl.from_value(spec.flow_key, spec.flow_value)

    def flow_ops(self, specs: Iterable[MessageSpec]) -> list[Op]:
        """What sets the limits of their keys."""
        flows = [flow for spec in specs if (flow := self.flow_of(spec)) is not None]
        return [self._engine.flow_limits.set(flow) for flow in flows]

    def stored(self, spec: MessageSpec) -> bytes:
        """A spec as it lies in the store: no header that carries credentials is in plain."""
        seal = self._engine.sealer.seal_headers
        data = spec.to_json()
        for family in _FAMILIES:
            if family in data:
                data[family] = seal(data[family])
        return _compact(data).encode()

    def opened(self, stored: bytes) -> MessageSpec:
        """The reverse.

        Raises:
            StoreError: WA401, sealed with another key.
        """
        data: dict[str, Any] = json.loads(stored)
        for family in _FAMILIES:
            if family in data:
                data[family] = self._engine.sealer.open_headers(data[family])
        return MessageSpec.from_json(data)

    def displayed(self, stored: bytes) -> MessageSpec:
        """A spec as it may be shown: what lies sealed stays hidden."""
        data: dict[str, Any] = json.loads(stored)
        for family in _FAMILIES:
            if family in data:
                data[family] = {
                    name: value if isinstance(value, str) else HIDDEN
                    for name, value in data[family].items()
                }
        return MessageSpec.from_json(data)

    # Cancelling.

    async def cancel(self, message_id: str) -> None:
        """Nothing more of a plain message is delivered.

        Raises:
            NotFound: WA611, there is none of this id, or it has ended.
        """
        row = self.find(message_id)
        if row.run or not await self._drop([row.id]):
            raise NotFound("WA611", "the message has ended", found=f"message {message_id!r}")

    async def cancel_all(self, which: MessageFilter, most: int | None = None) -> tuple[int, bool]:
        """Cancel those plain messages that fit, the oldest first, as many as `most`.

        Returns:
            How many were cancelled, and whether there are more.
        """
        after = cancelled = 0
        while most is None or cancelled < most:
            limit = _AT_ONCE if most is None else min(_AT_ONCE, most - cancelled)
            found = self._engine.store.messages.owed_messages(which, after, limit)
            if not found:
                return cancelled, False
            cancelled += await self._drop(found)
            after = found[-1]
        return cancelled, bool(self._engine.store.messages.owed_messages(which, after, 1))

    async def _drop(self, messages: Sequence[int]) -> int:
        op = DropMessages(tuple(messages), self._engine.clock.now_ms())
        outcome = await self.commit([op], [])
        dropped = outcome.dropped if isinstance(outcome, Applied) else []
        for message in dropped:
            self._engine.deliveries.abort_message(message)
        return len(dropped)


def _row_of(message: int, op: AddMessage, run: int) -> MessageRow:
    """A message as the store would give it."""
    return MessageRow(
        message,
        op.run or run,
        MessageKind(op.kind),
        op.at,
        op.url,
        op.url_group,
        op.endpoint,
        op.queue,
        op.schedule,
        op.flow_key,
        op.caller_ip,
        op.step,
        op.source,
        op.spec,
        op.body or b"",
    )
