"""Messages of the QStash protocol: taken from whoever publishes them, and made durable.

A message that is due at once, and that nothing holds back, is stored as leased: it is on its
way as soon as it is durable, without a second commit.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow_agents.core.checks import checked_size
from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.retry import validate_retries
from workflow_agents.engine.ends import DeliveryKind
from workflow_agents.errors import NotFound
from workflow_agents.protocol.history import EntryKind, StepKey
from workflow_agents.protocol.message import MessageSpec, content_key
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.changes import Applied, Broken, Change, Entry, Op, Outcome, Refused
from workflow_agents.store.interface import DeliveryRow
from workflow_agents.store.message_changes import AddMessage, DropMessage
from workflow_agents.store.message_rows import MessageRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

DEDUPLICATION_MS = 10 * 60_000
"""How long a deduplication id is taken. Source: protocol 10.3."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = "msg_"


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
            NotFound: WA606.
        """
        row = self._engine.store.messages.message(self.row_of(message_id))
        if row is None:
            raise NotFound("WA606", "there is no such message", found=f"message {message_id!r}")
        return row

    # Publishing.

    async def publish(self, incoming: Incoming) -> Published:
        """Take a plain message for one destination. Durable when this returns.

        Raises:
            ConfigurationError: an option of it cannot be used.
            LimitError: WA501.
            StoreError: the store cannot be written; nothing was taken.
        """
        op = self.plain(incoming)
        outcome = await self.commit([*self.flow_ops([incoming.spec]), op], [self.created(op)])
        if isinstance(outcome, Refused):
            return Published(outcome.existing, op.url, deduplicated=True)
        return Published(outcome.messages[0][0], op.url)

    def plain(self, incoming: Incoming) -> AddMessage:
        """The operation that takes a plain message."""
        spec, now = incoming.spec, self._engine.clock.now_ms()
        self.check(spec, incoming.body)
        dedup = spec.deduplication_id
        if dedup is None and spec.content_based_deduplication:
            dedup = f"content:{content_key(spec, incoming.body)}"
        op = self.op(MessageKind.PLAIN, spec, incoming.body, now)
        return op._replace(
            schedule=incoming.schedule,
            caller_ip=incoming.caller_ip,
            dedup=None if dedup is None else (dedup, now + DEDUPLICATION_MS),
        )

    def check(self, spec: MessageSpec, body: bytes) -> None:
        """Refuse what could not be carried out later.

        Raises:
            ConfigurationError: WA102, WA104, WA105, WA504.
            LimitError: WA501.
        """
        checked_size(len(body), self._engine.limits.payload_bytes, f"body for {spec.url}")
        if spec.retries is not None:
            validate_retries(spec.retries)
        if spec.retry_delay is not None:
            DelayExpression.parse(spec.retry_delay)
        self.flow_of(spec)

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
        turn: int | None = None,
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
            turn=turn,
        )

    def created(self, op: AddMessage, nth: int = 1) -> Entry:
        """The feed entry of a message that a change adds."""
        return Entry(op.run, op.at, EntryKind.MESSAGE_CREATED, message=-nth)

    async def commit(self, ops: Sequence[Op], entries: Sequence[Entry]) -> Applied | Refused:
        """Store messages, and begin those that were stored as leased.

        Raises:
            StoreError: the store cannot be written; nothing was stored.
        """
        engine = self._engine
        stored: asyncio.Future[Outcome] = engine.loop.create_future()

        def told(outcome: Outcome) -> None:
            # Here, and not behind the await: whoever asked may have gone away meanwhile.
            if isinstance(outcome, Applied):
                self.begin([op for op in ops if isinstance(op, AddMessage)], outcome)
            if not stored.done():
                stored.set_result(outcome)

        engine.commits.submit(Change(ops, entries), told)
        outcome = await stored
        if isinstance(outcome, Broken):
            raise outcome.error
        return outcome

    def begin(self, added: Iterable[AddMessage], applied: Applied) -> None:
        """Attempt what was stored as leased; the rest is due, or will be."""
        engine = self._engine
        for op, (message, delivery) in zip(added, applied.messages, strict=False):
            if op.due_at is None:
                row = DeliveryRow(
                    delivery, op.run or applied.run, None, DeliveryKind.MESSAGE, 0, None,
                    op.flow_key, b"", None, message=message,
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
        return [self._engine.set_flow(flow) for flow in flows]

    def stored(self, spec: MessageSpec) -> bytes:
        """A spec as it lies in the store: no header that carries credentials is in plain."""
        seal = self._engine.sealer.seal_headers
        data = spec.to_json()
        for family in ("headers", "callback_headers", "failure_callback_headers"):
            if family in data:
                data[family] = seal(data[family])
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()

    def opened(self, stored: bytes) -> MessageSpec:
        """The reverse.

        Raises:
            StoreError: WA401, sealed with another key.
        """
        data: dict[str, Any] = json.loads(stored)
        for family in ("headers", "callback_headers", "failure_callback_headers"):
            if family in data:
                data[family] = self._engine.sealer.open_headers(data[family])
        return MessageSpec.from_json(data)

    # Cancelling.

    async def cancel(self, message: int) -> bool:
        """Nothing more of a message is delivered. False: it had ended before."""
        now = self._engine.clock.now_ms()
        entry = Entry(0, now, EntryKind.MESSAGE_CANCELED, message=message)
        outcome = await self.commit([DropMessage(message, now)], [entry])
        return isinstance(outcome, Applied)
