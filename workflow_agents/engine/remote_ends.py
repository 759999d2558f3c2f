"""How remote runs end: their SDK says that they are done, a visit fails for good, a cancel.

Whatever ends a run tells the run that invoked it in the same change. Source: protocol 4.6,
4.8, 4.9, 5.3.
"""

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workflow_agents.core.checks import checked_size
from workflow_agents.core.lifecycle import Phase, is_ended
from workflow_agents.engine.ends import CALLBACK_IN_PROGRESS
from workflow_agents.engine.http_out import HttpResponse
from workflow_agents.engine.remote_known import KnownRun
from workflow_agents.engine.sending import NO_ANSWER_STATUS, Attempt, answer_of
from workflow_agents.protocol.callbacks import FailedRun, callback_body, compact_json
from workflow_agents.protocol.codec import Undecodable, decode, encode
from workflow_agents.protocol.headers import is_sensitive
from workflow_agents.protocol.history import EntryKind, StepKey
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import invoked
from workflow_agents.protocol.run_messages import failure_spec
from workflow_agents.store.changes import (
    AddDeadLetter,
    Applied,
    Change,
    EndRun,
    Entry,
    Op,
    Resolve,
    WaiterKind,
)
from workflow_agents.store.message_changes import AddMessage
from workflow_agents.store.message_rows import MessageRow
from workflow_agents.store.remote_rows import RunFilter

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

_KEPT_BYTES = 64_000


class RemoteEnds:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    async def finish(self, run_id: str, result: bytes) -> bool:
        """The workflow returned this. False: the run had ended before. Source: protocol 4.9.

        Raises:
            NotFound: WA606.
            LimitError: WA501.
            StoreError: the store cannot be written; the run goes on.
        """
        engine = self._engine
        checked_size(len(result), engine.limits.result_bytes, f"result of run {run_id}")
        run = engine.wire.known.named(run_id)
        now = engine.clock.now_ms()
        ops: list[Op] = [EndRun(run.id, Phase.SUCCESS, now, result or None)]
        if run.parent is not None and run.parent_step is not None:
            ops += told_to_parent(run.run_id, run.parent, run.parent_step, now, result=result)
        change = Change(ops, [Entry(run.id, now, EntryKind.RUN_SUCCESS)])
        outcome = await engine.commits.store(change)
        if isinstance(outcome, Applied):
            self.over(run)
        return isinstance(outcome, Applied)

    async def cancel_many(self, which: RunFilter, limit: int) -> int:
        """End so many of these runs as cancelled; how many had not ended."""
        engine = self._engine
        open_ones = replace(which, phases=tuple(p for p in Phase if not is_ended(p)))
        rows = engine.store.messages.remote.find(open_ones, before=None, limit=limit)
        return sum(await asyncio.gather(*(engine.admin.cancel(row.run_id) for row in rows)))

    def over(self, run: KnownRun) -> None:
        """Nothing is to be known of it without asking any more."""
        self._engine.wire.known.forget(run.run_id)
        self._engine.wire.lists.forget(run.id)
        self._engine.poke()

    def failed(
        self, run: KnownRun, message: MessageRow, spec: MessageSpec, attempt: Attempt
    ) -> tuple[list[Op], list[Entry], list[AddMessage]]:
        """What a visit that failed for good writes, and the messages that it adds.

        Those are to be begun by whoever stores them: `messages.begin`.
        """
        now = attempt.at
        failure = failure_of(attempt)
        letter_id = f"{now}-{run.id}"
        told = failure_spec(spec)
        letter = {**failure, "message_id": message.id, **answer_data(attempt)}
        state = None if told is None else CALLBACK_IN_PROGRESS
        ops: list[Op] = [EndRun(run.id, Phase.FAILED, now, encode(failure))]
        ops.append(AddDeadLetter(letter_id, run.id, now, json.dumps(letter), state))
        entries = [
            Entry(run.id, now, EntryKind.RUN_FAILED, data=encode(failure), message=message.id),
            Entry(run.id, now, EntryKind.DEAD_LETTER_ADDED, data=encode({"dlqId": letter_id})),
        ]
        added: list[AddMessage] = []
        if told is not None:
            body = self._notice(run, message, spec, attempt, letter_id)
            messages = self._engine.wire.messages
            visit = messages.op(
                MessageKind.FAILURE_VISIT, told, body, now, run=run.id, source=message.id
            )
            taking = messages.taking(told, [visit._replace(labels=())])
            ops += taking.ops
            entries += taking.entries
            added = taking.added
        if run.parent is not None and run.parent_step is not None:
            ops += told_to_parent(run.run_id, run.parent, run.parent_step, now, failed=True)
        return ops, entries, added

    def _notice(
        self,
        run: KnownRun,
        message: MessageRow,
        spec: MessageSpec,
        attempt: Attempt,
        letter_id: str,
    ) -> bytes:
        """The body of the failure visit. Source: protocol 5.3."""
        wire = self._engine.wire
        stored = self._engine.store.run(run.id)
        shown = {n: v for n, v in spec.headers.items() if not is_sensitive(n)}
        answer = answer_of(attempt)
        if attempt.answer is None:
            # SDKs read JSON here.
            body = compact_json({"error": "NoAnswer", "message": attempt.error})
            answer = replace(answer, headers=(("Content-Type", "application/json"),), body=body)
        source = wire.sending.source(
            message, replace(spec, headers=shown), (stored.input if stored else None) or b""
        )
        return callback_body(
            source,
            answer,
            retried=attempt.number - 1,
            dlq_id=letter_id,
            run=FailedRun(run.run_id, run.url, run.created_at),
        )


def failure_of(attempt: Attempt) -> dict[str, Any]:
    """Why a run failed, as every kind of run tells it."""
    error, message, status = "NoAnswer", attempt.error, NO_ANSWER_STATUS
    if attempt.answer is not None:
        status = attempt.answer.status
        error, message = _said(attempt.answer) or ("RemoteError", attempt.error)
    return {"error": error, "message": message, "status": status, "attempts": attempt.number}


def _said(answer: HttpResponse) -> tuple[str, str] | None:
    """The name and the text of the error that an endpoint answers. Source: protocol 3.7."""
    if 200 <= answer.status < 300:
        return None
    try:
        data: Any = decode(answer.body)
        name, message = data.get("error"), data["message"]
    except (Undecodable, AttributeError, KeyError, TypeError):
        return None
    if not isinstance(message, str):
        return None
    return (name if isinstance(name, str) else "RemoteError"), message


def answer_data(attempt: Attempt) -> dict[str, Any]:
    """What a dead letter keeps of the last answer."""
    if attempt.answer is None:
        return {"headers": {}, "body": ""}
    text = attempt.answer.body[:_KEPT_BYTES].decode("utf-8", "replace")
    return {"headers": attempt.answer.headers, "body": text}


def told_to_parent(
    run_id: str,
    parent: int,
    step: StepKey,
    now: int,
    *,
    result: bytes = b"",
    failed: bool = False,
    canceled: bool = False,
) -> list[Op]:
    """The outcome of the step that invoked a run, in the form of whichever run asked.

    Args:
        run_id: of the run that was invoked.
        parent: the row of the run that asked.
        step: of that.
        now: Unix milliseconds.
        result: what the workflow returned.
        failed: it has failed.
        canceled: it was cancelled.
    """
    text = result.decode("utf-8", "replace") if result else None
    remote = invoked(text, failed=failed, canceled=canceled)
    told: dict[str, Any] = {
        "isCanceled": canceled,
        "isFailed": failed,
        "workflowRunId": run_id,
    }
    if not (failed or canceled):
        told["body"] = None if text is None else _json_or_text(text)
    kind = WaiterKind.INVOKE
    return [Resolve(parent, step, kind, now, encode(told), late=True, remote=remote)]


def _json_or_text(text: str) -> Any:
    try:
        return decode(text)
    except Undecodable:
        return text
