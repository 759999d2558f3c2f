"""Attempts to deliver messages, and what follows them: callbacks, retries, dead letters.

A message is attempted until it succeeds or its retries are used up. What it owes then, its
callback or failure callback, is a message of its own, added in the same change that ends this
one: none is lost between them. Source: protocol 4.10, 5.1, 5.2.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.retry import (
    DEFAULT_RETRIES,
    GiveUp,
    Retry,
    RetryPolicy,
    after_failure,
    retry_after_ms,
)
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.protocol.callbacks import Answer, Source, callback_body
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message import MessageSpec, parse_message
from workflow_agents.protocol.message_headers import delivered_headers
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.signature import sign
from workflow_agents.store.changes import Entry, Op
from workflow_agents.store.interface import DeliveryRow
from workflow_agents.store.message_changes import AddMessage, AddMessageLetter, FreeQueue
from workflow_agents.store.message_rows import MessageRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

NO_ANSWER_STATUS = 504
"""What callbacks say where the destination gave no answer. Source: protocol 12.3, 9."""

_SHOWN_BYTES = 4_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt.

    Attributes:
        number: from 1.
        answer: of any status; None: there was none.
        error: why there was none, in words.
        final: another attempt is of no use.
        at: when it had come, Unix milliseconds.
    """

    number: int
    answer: HttpResponse | None
    error: str = ""
    final: bool = False
    at: int = 0

    @property
    def status(self) -> int:
        """The status of the answer, or what stands for none."""
        return NO_ANSWER_STATUS if self.answer is None else self.answer.status

    @property
    def succeeded(self) -> bool:
        """Whether the destination took it."""
        return self.answer is not None and 200 <= self.answer.status < 300

    def told(self) -> dict[str, Any]:
        """What the feed says of it."""
        if self.answer is None:
            return {"error": self.error, "attempts": self.number}
        body = self.answer.body[:_SHOWN_BYTES].decode("utf-8", "replace")
        headers = self.answer.headers
        return {
            "status": self.status,
            "headers": headers,
            "body": body,
            "error": self.error,
            "attempts": self.number,
        }


class Sending:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    async def attempt(self, row: DeliveryRow) -> None:
        """Make one attempt to deliver the message of a leased delivery."""
        engine = self._engine
        message = engine.store.messages.message(row.message or 0)
        if message is None:
            await engine.deliveries.settle(row, [], [])
            return
        if message.run:
            await engine.wire.visits.attempt(row, message)
            return
        spec = engine.wire.messages.opened(message.spec)
        attempt = await self.exchange(row, message, spec, message.body)
        if attempt.succeeded:
            await self._delivered(row, message, spec, attempt)
            return
        decision = self.after(spec, attempt)
        if isinstance(decision, Retry):
            until = attempt.at + decision.after_ms
            told = encode({**attempt.told(), "until": until})
            entry = Entry(0, attempt.at, EntryKind.MESSAGE_RETRY, data=told, message=message.id)
            await engine.deliveries.give_back(row, until, entry)
        else:
            await self._failed(row, message, spec, attempt)

    async def exchange(
        self,
        row: DeliveryRow,
        message: MessageRow,
        spec: MessageSpec,
        body: bytes,
        own: dict[str, str] | None = None,
    ) -> Attempt:
        """Send it once. `own`: headers that the server sets for this kind of message."""
        engine = self._engine
        ours = dict(own or {})
        if message.url_group is not None:
            ours["Upstash-Topic-Name"] = message.url_group
        if message.schedule is not None:
            ours["Upstash-Schedule-Id"] = message.schedule
        if message.caller_ip is not None:
            ours["Upstash-Caller-Ip"] = message.caller_ip
        if engine.wire.signing is not None:
            now_s = engine.clock.now_ms() // 1000
            token_id = f"jwt_{engine.new_id(21)}"
            signed = sign(
                engine.wire.signing.current, body, url=spec.url, now_s=now_s, token_id=token_id
            )
            ours["Upstash-Signature"] = signed
        headers = delivered_headers(
            spec.headers,
            message_id=engine.wire.messages.id_of(message.id),
            retried=row.attempt - 1,
            own=ours,
        )
        timeout_ms = spec.timeout_ms or engine.call_timeout_ms
        request = HttpRequest(spec.method, spec.url, headers, body, timeout_ms)
        try:
            answer = await engine.http.send(request)
        except NoAnswer as error:
            at = engine.clock.now_ms()
            return Attempt(row.attempt, None, str(error), error.final, at)
        at = engine.clock.now_ms()
        return Attempt(row.attempt, answer, f"HTTP status {answer.status}", at=at)

    def after(self, spec: MessageSpec, attempt: Attempt) -> Retry | GiveUp:
        """What follows a failed attempt."""
        delay = None if spec.retry_delay is None else DelayExpression.parse(spec.retry_delay)
        policy = RetryPolicy(DEFAULT_RETRIES if spec.retries is None else spec.retries, delay)
        answer = attempt.answer
        asked = None if answer is None else retry_after_ms(answer.headers, attempt.at)
        return after_failure(
            policy, failures=attempt.number, retry_after_ms=asked, non_retryable=attempt.final
        )

    async def _delivered(
        self, row: DeliveryRow, message: MessageRow, spec: MessageSpec, attempt: Attempt
    ) -> None:
        told = encode(attempt.told())
        entry = Entry(0, attempt.at, EntryKind.MESSAGE_DELIVERED, data=told, message=message.id)
        following = self._callback(message, spec, attempt)
        await self._end(row, message, following, [], entry)

    async def _failed(
        self, row: DeliveryRow, message: MessageRow, spec: MessageSpec, attempt: Attempt
    ) -> None:
        told = attempt.told()
        entry = Entry(
            0, attempt.at, EntryKind.MESSAGE_FAILED, data=encode(told), message=message.id
        )
        letter_id = f"{attempt.at}-{message.id}"
        letter = AddMessageLetter(letter_id, message.id, attempt.at, json.dumps(told))
        following = self._callback(message, spec, attempt)
        following += self._failure_callback(message, spec, attempt, letter_id)
        await self._end(row, message, following, [letter], entry)

    async def _end(
        self,
        row: DeliveryRow,
        message: MessageRow,
        following: list[AddMessage],
        ops: list[Op],
        entry: Entry,
    ) -> None:
        """Nothing more is owed of it; what follows it takes over its turn in its queue."""
        engine = self._engine
        entries = [
            entry,
            *(engine.wire.messages.created(op, n + 1) for n, op in enumerate(following)),
        ]
        all_ops: list[Op] = [*following, *ops]
        if message.queue is not None:
            all_ops.append(FreeQueue(message.queue, entry.at))
        await engine.deliveries.settle(row, all_ops, entries, added=following)

    def _callback(
        self, message: MessageRow, spec: MessageSpec, attempt: Attempt
    ) -> list[AddMessage]:
        if spec.callback is None:
            return []
        return [self._following(MessageKind.CALLBACK, message, spec, attempt, None)]

    def _failure_callback(
        self, message: MessageRow, spec: MessageSpec, attempt: Attempt, dlq_id: str
    ) -> list[AddMessage]:
        if spec.failure_callback is None:
            return []
        return [self._following(MessageKind.FAILURE_CALLBACK, message, spec, attempt, dlq_id)]

    def _following(
        self,
        kind: MessageKind,
        message: MessageRow,
        spec: MessageSpec,
        attempt: Attempt,
        dlq_id: str | None,
    ) -> AddMessage:
        """The message that tells of another one's answer."""
        url, headers = spec.callback or "", spec.callback_headers
        if kind is MessageKind.FAILURE_CALLBACK:
            url, headers = spec.failure_callback or "", spec.failure_callback_headers
        body = callback_body(
            self.source(message, spec, message.body),
            answer_of(attempt),
            retried=attempt.number - 1,
            dlq_id=dlq_id,
        )
        told = parse_message(url, [("Content-Type", "application/json"), *headers.items()])
        op = self._engine.wire.messages.op(kind, told, body, attempt.at, source=message.id)
        # It is a part of the turn that its source has in a queue.
        return op._replace(queue=message.queue, turn=None if message.queue is None else message.id)

    def source(self, message: MessageRow, spec: MessageSpec, body: bytes) -> Source:
        """What a callback says of the message that it is about."""
        return Source(
            self._engine.wire.messages.id_of(message.id),
            spec.url,
            spec.method,
            spec.headers,
            body,
            created_at=message.at,
            not_before=spec.not_before or message.at + (spec.delay_ms or 0),
            max_retries=DEFAULT_RETRIES if spec.retries is None else spec.retries,
            caller_ip=message.caller_ip or "",
            url_group=message.url_group or "",
            schedule_id=message.schedule or "",
        )


def answer_of(attempt: Attempt) -> Answer:
    """What a callback says of the answer; where there was none, why."""
    if attempt.answer is None:
        return Answer(NO_ANSWER_STATUS, (), attempt.error.encode())
    headers = attempt.answer.headers.items()
    pairs = tuple((name, value) for name, values in headers for value in values)
    return Answer(attempt.answer.status, pairs, attempt.answer.body)
