"""How runs end: what success, failure, a retry and cancellation write."""

import json
from typing import TYPE_CHECKING, Any

from workflow_agents.core.failures import to_json
from workflow_agents.core.journal import Completed, Failed, Failure
from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.options import RunOptions
from workflow_agents.core.retry import Retry, after_failure
from workflow_agents.protocol.codec import decode, encode
from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.changes import (
    AddDeadLetter,
    AddDelivery,
    Change,
    EndRun,
    Entry,
    FreeFlow,
    Op,
    Resolve,
    RetryRun,
    WaiterKind,
)
from workflow_agents.store.interface import RunRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

CALLBACK_IN_PROGRESS, CALLBACK_SUCCESS, CALLBACK_FAIL, CALLBACK_CANCELED = (
    "CALLBACK_INPROGRESS",
    "CALLBACK_SUCCESS",
    "CALLBACK_FAIL",
    "CALLBACK_CANCELED",
)
"""States of a failure function. Source: protocol 5.3."""
CALLBACK_STATES = frozenset(
    {CALLBACK_IN_PROGRESS, CALLBACK_SUCCESS, CALLBACK_FAIL, CALLBACK_CANCELED}
)


class DeliveryKind:
    """What is owed; a number in the store."""

    CALL = 1
    FAILURE_FUNCTION = 2
    FAILURE_URL = 3
    MESSAGE = 4
    """What it is, is in the message."""


class Ends:
    """Operations and entries for each way in which a run ends, or is tried again."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def of(
        self, row: RunRow, options: RunOptions, ending: Completed | Failed, attempt: int
    ) -> tuple[list[Op], list[Entry]]:
        """What the function came to in an attempt, counted from 0.

        Raises:
            StoreError: what the end is told with cannot be read now.
        """
        if isinstance(ending, Completed):
            return self._completed(row, options, ending.data)
        return self._failed(row, options, ending.failure, attempt)

    def _completed(
        self, row: RunRow, options: RunOptions, data: bytes
    ) -> tuple[list[Op], list[Entry]]:
        """The function returned `data`."""
        now = self._engine.clock.now_ms()
        ops: list[Op] = [EndRun(row.id, Phase.SUCCESS, now, data)]
        body = decode(data) if row.parent is not None else None
        self._tell_parent(ops, row, now, {"body": body})
        self.free(ops, options, now)
        return ops, [Entry(row.id, now, EntryKind.RUN_SUCCESS)]

    def _failed(
        self, row: RunRow, options: RunOptions, failure: Failure, attempt: int
    ) -> tuple[list[Op], list[Entry]]:
        """The function raised: try again, or give up."""
        now = self._engine.clock.now_ms()
        failures = attempt + 1
        decision = after_failure(
            options.policy,
            failures=failures,
            retry_after_ms=failure.retry_after_ms,
            non_retryable=failure.final,
        )
        data = to_json(failure, attempts=failures)
        if isinstance(decision, Retry):
            due_at = now + decision.after_ms
            ops: list[Op] = [RetryRun(row.id, due_at, failures, now)]
            self.free(ops, options, now)
            told = encode({**data, "until": due_at})
            return ops, [Entry(row.id, now, EntryKind.RUN_RETRY, data=told)]
        return self.gave_up(row, options, data)

    def gave_up(
        self, row: RunRow, options: RunOptions, failure: dict[str, Any]
    ) -> tuple[list[Op], list[Entry]]:
        """The run failed for good: it becomes a dead letter, and those who asked are told."""
        if options.checkpoints:
            return self._engine.wire.checkpoints.gave_up(row, options, failure)
        now = self._engine.clock.now_ms()
        data = encode(failure)
        ops: list[Op] = [EndRun(row.id, Phase.FAILED, now, data)]
        served = self._engine.workflows.get(row.workflow)
        kind = None
        if options.failure_url:
            kind = DeliveryKind.FAILURE_URL
        elif served is not None and served.has_failure_function:
            kind = DeliveryKind.FAILURE_FUNCTION
        callback = None if kind is None else CALLBACK_IN_PROGRESS
        letter_id = f"{now}-{row.id}"
        ops.append(AddDeadLetter(letter_id, row.id, now, json.dumps(failure), callback))
        if kind is not None:
            ops.append(AddDelivery(row.id, None, kind, now, data))
        self._tell_parent(ops, row, now, {"isFailed": True})
        self.free(ops, options, now)
        return ops, [
            Entry(row.id, now, EntryKind.RUN_FAILED, data=data),
            Entry(row.id, now, EntryKind.DEAD_LETTER_ADDED, data=encode({"dlqId": letter_id})),
        ]

    def canceled(self, row: RunRow) -> Change:
        """Somebody cancelled it, whatever it is doing."""
        now = self._engine.clock.now_ms()
        ops: list[Op] = [EndRun(row.id, Phase.CANCELED, now)]
        self._tell_parent(ops, row, now, {"isCanceled": True})
        self.free(ops, self._engine.options_of(row), now)
        return Change(ops, [Entry(row.id, now, EntryKind.RUN_CANCELED)])

    def _tell_parent(self, ops: list[Op], row: RunRow, now: int, how: dict[str, Any]) -> None:
        if row.parent is None or row.parent_step is None:
            return
        if row.is_remote:
            from workflow_agents.engine.remote_ends import told_to_parent

            ops += told_to_parent(
                row.run_id,
                row.parent,
                row.parent_step,
                now,
                result=encode(how["body"]) if how.get("body") is not None else b"",
                failed="isFailed" in how,
                canceled="isCanceled" in how,
            )
            return
        data = {"isCanceled": False, "isFailed": False, "workflowRunId": row.run_id, **how}
        ops.append(
            Resolve(row.parent, row.parent_step, WaiterKind.INVOKE, now, encode(data), late=True)
        )

    def free(self, ops: list[Op], options: RunOptions, now: int) -> None:
        """Give back the slot that a run had."""
        if options.flow_control is not None:
            ops.append(FreeFlow(options.flow_control.key, now))
