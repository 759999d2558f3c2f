"""Attempts to deliver messages, and what follows them: callbacks, retries, dead letters.

A message is attempted until it succeeds or its retries are used up. What it owes then, its
callback or failure callback, is a message of its own, added in the same change that ends this
one: none is lost between them. Source: protocol 4.10, 5.1, 5.2.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from workflow_agents.core.answers import Delivered, Failed, Proof, after_answer
from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.retry import DEFAULT_RETRIES, Retry, RetryPolicy
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.protocol.callbacks import Answer, Source, callback_body
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.protocol.message_headers import delivered_headers
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.signature import sign
from workflow_agents.store.changes import Entry, Op
from workflow_agents.store.interface import DeliveryRow
from workflow_agents.store.message_changes import (
    AddMessage,
    AddMessageLetter,
)
from workflow_agents.store.message_rows import MessageRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

NO_ANSWER_STATUS = 504
"""What callbacks say where the destination gave no answer. Source: protocol 12.3, 9."""

_SHOWN_BYTES = 16_000
_SHOWN_BYTES_OF_SUCCESS = 4_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt.

    Attributes:
        number: from 1.
        answer: of any status; None: there was none.
        error: why it failed, in words; empty: it did not.
        final: another attempt is of no use.
        at: when it had come, Unix milliseconds.
        unsent: nobody was reached.
    """

    number: int
    answer: HttpResponse | None
    error: str = ""
    final: bool = False
    at: int = 0
    unsent: bool = False

    @property
    def status(self) -> int:
        """The status of the answer, or what stands for none."""
        return NO_ANSWER_STATUS if self.answer is None else self.answer.status

    @property
    def succeeded(self) -> bool:
        """Whether the destination took it."""
        return self.answer is not None and 200 <= self.answer.status < 300

    def told(self) -> dict[str, Any]:
        """What is kept of it; of what failed, more of the answer."""
        told: dict[str, Any] = {"attempts": self.number}
        if self.error:
            told["error"] = self.error
        if self.answer is not None:
            told["status"] = self.status
            if self.answer.headers:
                told["headers"] = self.answer.headers
            if self.answer.body:
                most = _SHOWN_BYTES if self.error else _SHOWN_BYTES_OF_SUCCESS
                told["body"] = self.answer.body[:most].decode("utf-8", "replace")
        return told

    def entry(self, kind: EntryKind, message: MessageRow, **more: Any) -> Entry:
        """What the feed says of it."""
        told = encode({**self.told(), **more})
        return Entry(message.run, self.at, kind, data=told, message=message.id)


class Sending:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    async def attempt(self, row: DeliveryRow) -> None:
        """Make one attempt to deliver the message of a leased delivery."""
        engine = self._engine
        message = row.content or engine.store.messages.message(row.message or 0)
        if message is None:
            await engine.deliveries.settle(row, [], [])
            return
        if message.run:
            await engine.wire.visits.attempt(row, message)
            return
        spec = engine.wire.messages.opened(message.spec)
        attempt = await self.exchange(row, message, spec, message.body)
        await engine.deliveries.recorded(row, partial(self._made, row, message, spec, attempt))

    async def _made(
        self, row: DeliveryRow, message: MessageRow, spec: MessageSpec, attempt: Attempt
    ) -> None:
        match self.after(spec, attempt):
            case Delivered():
                await self._delivered(row, message, spec, attempt)
            case Retry() as retry:
                await self._again(row, message, attempt, attempt.at + retry.after_ms)
            case Failed():
                await self._failed(row, message, spec, attempt)

    async def _again(
        self, row: DeliveryRow, message: MessageRow, attempt: Attempt, until: int
    ) -> None:
        entry = attempt.entry(EntryKind.MESSAGE_RETRY, message, until=until)
        await self._engine.deliveries.give_back(row, until, entry)

    async def exchange(
        self,
        row: DeliveryRow,
        message: MessageRow,
        spec: MessageSpec,
        body: bytes,
        own: dict[str, str] | None = None,
        may_repeat: Callable[[], bool] | None = None,
    ) -> Attempt:
        """Send it once.

        Args:
            row: the delivery.
            message: what is delivered.
            spec: how.
            body: of the request.
            own: headers that the server sets for this kind of message.
            may_repeat: see `HttpRequest`.
        """
        ours = dict(own or {})
        if message.url_group is not None:
            ours["Upstash-Topic-Name"] = message.url_group
        if message.schedule is not None:
            ours["Upstash-Schedule-Id"] = message.schedule
        if message.caller_ip is not None:
            ours["Upstash-Caller-Ip"] = message.caller_ip
        return await self.request(spec, message.id, body, ours, row.attempt, may_repeat)

    def signature(self, url: str, body: bytes) -> dict[str, str]:
        """By which whoever is sent this body knows that it comes from here; {} without keys."""
        engine = self._engine
        if engine.wire.signing is None:
            return {}
        now_s, token_id = engine.clock.now_ms() // 1000, f"jwt_{engine.new_id(21)}"
        key = engine.wire.signing.current
        return {"Upstash-Signature": sign(key, body, url=url, now_s=now_s, token_id=token_id)}

    async def request(
        self,
        spec: MessageSpec,
        message: int,
        body: bytes,
        own: dict[str, str],
        attempt: int,
        may_repeat: Callable[[], bool] | None = None,
    ) -> Attempt:
        """Make one signed request.

        Args:
            spec: how it is made.
            message: which it is about.
            body: that is sent.
            own: headers that the server sets, beside those of every request.
            attempt: its number, from 1.
            may_repeat: see `HttpRequest`.
        """
        engine, ours = self._engine, {**own, **self.signature(spec.url, body)}
        headers = delivered_headers(
            spec.headers,
            message_id=engine.wire.messages.id_of(message),
            retried=attempt - 1,
            own=ours,
        )
        timeout_ms = spec.timeout_ms or engine.call_timeout_ms
        request = HttpRequest(
            spec.method, spec.url, headers, body, timeout_ms, may_repeat=may_repeat
        )
        try:
            answer = await engine.http.send(request)
        except NoAnswer as error:
            at = engine.clock.now_ms()
            return Attempt(attempt, None, str(error), error.final, at, error.unsent)
        at = engine.clock.now_ms()
        error = "" if 200 <= answer.status < 300 else f"HTTP status {answer.status}"
        return Attempt(attempt, answer, error, at=at)

    def after(
        self,
        spec: MessageSpec,
        attempt: Attempt,
        kind: MessageKind = MessageKind.PLAIN,
        proof: Proof = Proof.NONE,
    ) -> Delivered | Retry | Failed:
        """What follows an attempt. `proof`: what a 2xx answer has to prove."""
        delay = None if spec.retry_delay is None else DelayExpression.parse(spec.retry_delay)
        answer = attempt.answer
        return after_answer(
            None if answer is None else answer.status,
            {} if answer is None else answer.headers,
            attempt=attempt.number,
            policy=RetryPolicy(DEFAULT_RETRIES if spec.retries is None else spec.retries, delay),
            now_ms=attempt.at,
            kind=kind,
            proof=proof,
            final=attempt.final,
        )

    async def _delivered(
        self, row: DeliveryRow, message: MessageRow, spec: MessageSpec, attempt: Attempt
    ) -> None:
        entry = attempt.entry(EntryKind.MESSAGE_DELIVERED, message)
        following = self._callback(message, spec, attempt)
        await self._end(row, following, [], entry)

    async def _failed(
        self, row: DeliveryRow, message: MessageRow, spec: MessageSpec, attempt: Attempt
    ) -> None:
        entry = attempt.entry(EntryKind.MESSAGE_FAILED, message)
        letter_id = f"{attempt.at}-{message.id}"
        failure = json.dumps({**attempt.told(), "status": attempt.status})
        letter = AddMessageLetter(letter_id, message.id, attempt.at, failure)
        following = self._callback(message, spec, attempt)
        following += self._callback(message, spec, attempt, letter_id)
        await self._end(row, following, [letter], entry)

    async def _end(
        self,
        row: DeliveryRow,
        following: list[tuple[AddMessage, MessageSpec]],
        ops: list[Op],
        entry: Entry,
    ) -> None:
        """Nothing more is owed of it but what follows it."""
        engine = self._engine
        messages = engine.wire.messages
        added = [op for op, _ in following]
        entries = [entry, *(messages.created(op, n + 1) for n, op in enumerate(added))]
        all_ops: list[Op] = [*added, *messages.flow_ops(spec for _, spec in following), *ops]
        await engine.deliveries.settle(row, all_ops, entries, added=added)

    def _callback(
        self, message: MessageRow, spec: MessageSpec, attempt: Attempt, dlq_id: str | None = None
    ) -> list[tuple[AddMessage, MessageSpec]]:
        """The message that tells of an answer; with a dead letter, of a failure."""
        messages = self._engine.wire.messages
        told = messages.callback_of(spec, failed=dlq_id is not None)
        if told is None:
            return []
        body = callback_body(
            self.source(message, spec, message.body),
            answer_of(attempt),
            retried=attempt.number - 1,
            dlq_id=dlq_id,
        )
        # It is a part of the turn that its source has in a queue, and waits for none of its own.
        told = replace(told, queue=None)
        kind = MessageKind.CALLBACK if dlq_id is None else MessageKind.FAILURE_CALLBACK
        op = messages.op(kind, told, body, attempt.at, source=message.id)
        if message.queue is not None:
            op = op._replace(queue=message.queue, turn=self._turn_of(message))
        return [(op, told)]

    def _turn_of(self, message: MessageRow) -> int:
        """The message of a queue that this one follows from, or itself."""
        while message.source is not None:
            found = self._engine.store.messages.message(message.source)
            if found is None:
                break
            message = found
        return message.id

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
            endpoint_name=message.endpoint or "",
            schedule_id=message.schedule or "",
        )


def answer_of(attempt: Attempt) -> Answer:
    """What a callback says of the answer; where there was none, why."""
    if attempt.answer is None:
        return Answer(NO_ANSWER_STATUS, (), attempt.error.encode())
    headers = attempt.answer.headers.items()
    pairs = tuple((name, value) for name, values in headers for value in values)
    return Answer(attempt.answer.status, pairs, attempt.answer.body)
