"""Attempts to deliver the messages of remote runs, and what follows each.

A visit that is taken owes nothing more: its endpoint has submitted what follows before it
answered. Where that is there, the visit was made, whatever became of the answer. One that fails
for good ends its run. A call's last answer, whatever it is, becomes a visit. Where the run has
ended meanwhile, nothing follows. Source: protocol 3.7, 4.3, 5.3.
"""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from workflow_agents.core.answers import NOT_A_WORKFLOW, Cause, Delivered, Failed, Proof, proof_owed
from workflow_agents.core.retry import Retry
from workflow_agents.engine.remote_known import KnownRun
from workflow_agents.engine.sending import Attempt, answer_of
from workflow_agents.protocol.callbacks import callback_body
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.headers import is_sensitive
from workflow_agents.protocol.history import EntryKind, idempotency_key
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import raw_step, raw_steps
from workflow_agents.protocol.run_messages import (
    RUN_ID,
    answer_spec,
    answer_visit_of,
    features_of,
    visit_of,
)
from workflow_agents.store.changes import Applied, Entry, Op, RetryDelivery, TakeDelivery
from workflow_agents.store.interface import DeliveryRow
from workflow_agents.store.message_changes import AddMessage, Reachable
from workflow_agents.store.message_rows import MessageRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

_CREATED_AT = "Upstash-Workflow-Createdat"
_INVOKE_COUNT = "Upstash-Workflow-Invoke-Count"
_VISITS = frozenset({MessageKind.VISIT, MessageKind.PLAN, MessageKind.CALL_ANSWER})


class Visits:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    async def attempt(self, row: DeliveryRow, message: MessageRow) -> None:
        """Make one attempt to deliver a message of a remote run."""
        run = self._engine.wire.known.find(message.run)
        if run is None or self._is_of_no_use(message, run):
            await self._take(row, [])
            return
        is_first = message.id == run.first
        # Nobody has made the first attempt of the first visit before.
        if not (is_first and row.attempt <= 1) and self._is_followed(message):
            await self._take(row, [_taken(message, row.attempt, self._engine.clock.now_ms())])
            return
        spec = run.config if is_first else self._engine.wire.messages.opened(message.spec)
        match message.kind:
            case MessageKind.CALL:
                await self._call(row, message, run, spec)
            case MessageKind.FAILURE_VISIT:
                await self._engine.wire.failures.attempt(row, message, run, spec)
            case MessageKind.CALL_ANSWER:
                await self._visit(row, message, run, answer_visit_of(run.config, spec))
            case _:
                await self._visit(row, message, run, visit_of(run.config, spec))

    def _is_of_no_use(self, message: MessageRow, run: KnownRun) -> bool:
        if message.kind is MessageKind.FAILURE_VISIT:
            return False
        if not self._engine.store.messages.remote.is_open(run.id):
            return True
        return message.kind is MessageKind.TRIGGER and run.triggered

    def _is_followed(self, message: MessageRow) -> bool:
        """Whether a visit has been made, though its answer was lost: what it submits is there.

        Made again, it would run a body whose result is recorded.
        """
        if message.kind not in _VISITS:
            return False
        return self._engine.store.messages.remote.is_followed(message)

    # Visits.

    async def _visit(
        self, row: DeliveryRow, message: MessageRow, run: KnownRun, spec: MessageSpec
    ) -> None:
        body = self._body(message, run)
        sending = self._engine.wire.sending
        checkpoints = self._engine.wire.checkpoints
        attempt = await sending.exchange(
            row,
            message,
            spec,
            body,
            self.own_headers(run, spec) | checkpoints.offer(run, message, row.attempt),
            may_repeat=lambda: not (self._is_of_no_use(message, run) or self._is_followed(message)),
        )
        if checkpoints.offered(run, message, attempt):
            await self._take(row, [_taken(message, attempt.number, attempt.at, attempt.status)])
            return
        visited = partial(self._visited, row, message, run, spec, attempt)
        await self._engine.deliveries.recorded(row, visited)

    async def _visited(
        self,
        row: DeliveryRow,
        message: MessageRow,
        run: KnownRun,
        spec: MessageSpec,
        attempt: Attempt,
    ) -> None:
        """Store what came of a visit, and what follows."""
        sending = self._engine.wire.sending
        proof = _proof(message, run, spec)
        match self._proven(message, sending.after(spec, attempt, message.kind, proof)):
            case Delivered():
                await self._take(row, [_taken(message, attempt.number, attempt.at, attempt.status)])
            case Retry() as retry:
                until = attempt.at + retry.after_ms
                await self._again(row, message, _worded(attempt, NOT_A_WORKFLOW), until)
            case Failed(cause, reason):
                text = NOT_A_WORKFLOW if cause is Cause.EXHAUSTED else reason
                await self._failed(row, message, run, spec, _worded(attempt, text))

    def _proven(
        self, message: MessageRow, found: Delivered | Retry | Failed
    ) -> Delivered | Retry | Failed:
        """Whoever has submitted what follows was visited, whatever became of the answer.

        It may be lost, and that of the Python SDK does not say its version. An endpoint that
        wants the run to end is believed.
        """
        if isinstance(found, Delivered):
            return found
        if isinstance(found, Failed) and found.cause is Cause.NON_RETRYABLE:
            return found
        return Delivered() if self._is_followed(message) else found

    async def _failed(
        self,
        row: DeliveryRow,
        message: MessageRow,
        run: KnownRun,
        spec: MessageSpec,
        attempt: Attempt,
    ) -> None:
        """The run has failed with it."""
        entry = attempt.entry(EntryKind.MESSAGE_FAILED, message)
        ops, entries, added = self._engine.wire.remote_ends.failed(run, message, spec, attempt)
        if not await self._settle(row, ops, [entry, *entries], added):
            await self._take(row, [entry])

    def _body(self, message: MessageRow, run: KnownRun) -> bytes:
        """Source: protocol 1.2."""
        if message.kind is MessageKind.CALL_ANSWER:
            return message.body
        wire = self._engine.wire
        if message.kind is MessageKind.TRIGGER or message.id == run.first:
            return raw_steps([raw_step(wire.messages.id_of(message.id), message.body)])
        return wire.lists.body(message.run, message.id)

    def own_headers(self, run: KnownRun, spec: MessageSpec) -> dict[str, str]:
        """What the server says of the run in each of its visits."""
        own = {RUN_ID: run.run_id, _CREATED_AT: str(run.created_at)}
        if run.options.depth and _INVOKE_COUNT not in spec.headers:
            own[_INVOKE_COUNT] = str(run.options.depth)
        return own

    # Calls.

    async def _call(
        self, row: DeliveryRow, message: MessageRow, run: KnownRun, spec: MessageSpec
    ) -> None:
        """The request of a call step. Every attempt of it carries the same key."""
        sending = self._engine.wire.sending
        headers = spec.headers
        if not any(name.lower() == "idempotency-key" for name in headers):
            key = idempotency_key(run.origin, message.step or 0)
            headers = {**headers, "Idempotency-Key": key}
        attempt = await sending.exchange(row, message, replace(spec, headers=headers), message.body)
        called = partial(self._called, row, message, run, spec, attempt)
        await self._engine.deliveries.recorded(row, called)

    async def _called(
        self,
        row: DeliveryRow,
        message: MessageRow,
        run: KnownRun,
        spec: MessageSpec,
        attempt: Attempt,
    ) -> None:
        if not attempt.succeeded:
            decision = self._engine.wire.sending.after(spec, attempt)
            if isinstance(decision, Retry):
                await self._again(row, message, attempt, attempt.at + decision.after_ms)
                return
        answer = self._answer(message, run, spec, attempt)
        entry = _taken(message, attempt.number, attempt.at, attempt.status)
        if not await self._settle(row, [Reachable(run.id), answer], [entry], [answer]):
            await self._take(row, [entry])

    def _answer(
        self, message: MessageRow, run: KnownRun, call: MessageSpec, attempt: Attempt
    ) -> AddMessage:
        """The visit that brings the answer."""
        wire = self._engine.wire
        stored = self._engine.store.run(run.id)
        shown = {n: v for n, v in call.headers.items() if not is_sensitive(n)}
        payload = (stored.input if stored else None) or b""
        body = callback_body(
            wire.sending.source(message, replace(call, headers=shown), payload),
            answer_of(attempt),
            retried=attempt.number - 1,
        )
        spec = answer_spec(call)
        return wire.runs.visit_op(
            MessageKind.CALL_ANSWER,
            run.config,
            spec,
            body,
            attempt.at,
            run=run.id,
            step=message.step if isinstance(message.step, int) else None,
            source=message.id,
        )

    # What an attempt leaves behind.

    async def _again(
        self, row: DeliveryRow, message: MessageRow, attempt: Attempt, until: int
    ) -> None:
        entry = attempt.entry(EntryKind.MESSAGE_RETRY, message, until=until)
        again = RetryDelivery(row.id, row.attempt, until)
        outcome = await self._engine.deliveries.apply(row, [Reachable(message.run), again], [entry])
        if not isinstance(outcome, Applied):
            await self._take(row, [entry])

    async def _take(self, row: DeliveryRow, entries: list[Entry]) -> None:
        """Nothing more is owed of it."""
        await self._settle(row, [], entries, [])

    async def _settle(
        self,
        row: DeliveryRow,
        ops: list[Op],
        entries: list[Entry],
        added: list[AddMessage],
    ) -> bool:
        """Whether it is done; False: the run has ended meanwhile."""
        outcome = await self._engine.deliveries.settle(row, ops, entries, added=added)
        return isinstance(outcome, Applied) or isinstance(outcome.op, TakeDelivery)


def _proof(message: MessageRow, run: KnownRun, spec: MessageSpec) -> Proof:
    part = run.config.workflow
    return proof_owed(
        message.kind,
        first=message.step == 0,
        features=features_of(spec),
        by_rest=part is not None and part.rest,
    )


def _worded(attempt: Attempt, text: str) -> Attempt:
    """An attempt that failed: where its answer was 2xx, in the words of the protocol."""
    return replace(attempt, error=text) if attempt.succeeded else attempt


def _taken(message: MessageRow, attempts: int, at: int, status: int | None = None) -> Entry:
    """What the feed says of a message that was taken: the answer itself goes elsewhere."""
    told = {"attempts": attempts} if status is None else {"status": status, "attempts": attempts}
    kind = EntryKind.MESSAGE_DELIVERED
    return Entry(message.run, at, kind, data=encode(told), message=message.id)
