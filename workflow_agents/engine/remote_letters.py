"""Dead letters of remote runs: gone on with, begun again, told again. Source: protocol 5.4.

A run that goes on is a new one that takes over every element of the failed one; no step that
has a result is executed again.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.options import RunOptions
from workflow_agents.core.resume import left_out
from workflow_agents.engine.ends import CALLBACK_CANCELED, CALLBACK_FAIL, CALLBACK_IN_PROGRESS
from workflow_agents.engine.remote_known import KnownRun
from workflow_agents.engine.remote_runs import Accepted
from workflow_agents.errors import NotFound, StateError
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message import MessageSpec, WorkflowPart
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.run_messages import overridden
from workflow_agents.store.changes import (
    AddRun,
    Applied,
    Entry,
    Op,
    Refused,
    SetCallback,
    TakeDeadLetter,
)
from workflow_agents.store.message_changes import AddMessage, DropMessage, InheritMessages
from workflow_agents.store.message_rows import MessageRow
from workflow_agents.store.remote_rows import LetterFilter, LetterRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine


class RemoteLetters:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def find(self, letter_id: str) -> tuple[LetterRow, KnownRun]:
        """A dead letter and its run.

        Raises:
            NotFound: WA607.
            StateError: WA608, it is of a message.
        """
        which = LetterFilter(ids=(letter_id,))
        rows = self._engine.store.messages.remote.letters(which, before=None, limit=1)
        run = self._engine.wire.known.find(rows[0].run) if rows else None
        if run is None:
            if self._engine.wire.letters.find(letter_id) is not None:
                what = "a dead letter of a message, and not of a run"
                raise StateError("WA608", what, found=f"dead letter {letter_id!r}")
            raise _gone(letter_id)
        return rows[0], run

    def listed(
        self, which: LetterFilter, before: int | None, limit: int
    ) -> tuple[list[LetterRow], int | None]:
        """Dead letters, the newest first, and where the next part begins."""
        found = self._engine.store.messages.remote.letters(which, before=before, limit=limit)
        return found, found[-1].place if len(found) == limit else None

    async def again(self, letter_id: str, over: MessageSpec, *, resume: bool) -> Accepted:
        """A new run of a dead letter: with the steps that it had done, or from the top.

        Args:
            letter_id: of the dead letter, which is taken.
            over: what is said of the new run.
            resume: whether it goes on where it failed.

        Raises:
            NotFound: WA607.
            StateError: WA608, it is of a message.
            ConfigurationError: an option cannot be used.
            StoreError: the store cannot be written.
        """
        _, run = self.find(letter_id)
        engine, messages = self._engine, self._engine.wire.messages
        now = engine.clock.now_ms()
        run_id = f"wfr_{engine.new_id(21)}"
        part = replace(run.config.workflow or WorkflowPart(), run_id=run_id)
        config = replace(overridden(run.config, over), workflow=part)
        messages.check(config)
        stored = engine.store.run(run.id)
        payload = (stored.input if stored else None) or b""
        origin = run.origin if resume else None
        new = engine.wire.runs.new_run(config, payload, now, origin)
        ops: list[Op] = [*messages.flow_ops([config]), TakeDeadLetter(letter_id), new]
        added: list[AddMessage] = []
        if resume:
            new.inherit = run.id
            if run.options.checkpoints:
                options = replace(run.options, origin=origin)
                self._goes_on(new, run, engine.wire.checkpoints.options_of(config, options))
            ops.append(self._inherited(run, config, over, now))
        else:
            kind = MessageKind.VISIT if run.triggered else MessageKind.TRIGGER
            added = [engine.wire.runs.visit_op(kind, config, config, payload, now, run=0, step=0)]
            ops += added
        lineage = {"resumedFrom" if resume else "restartedFrom": run.run_id}
        heir = encode({"workflowRunId": run_id})
        entries = [
            Entry(0, now, EntryKind.RUN_STARTED, data=encode(lineage)),
            Entry(run.id, now, EntryKind.DEAD_LETTER_REMOVED, data=heir),
        ]
        outcome = await self._commit(ops, entries, letter_id)
        message = outcome.messages[0][0] if outcome.messages else 0
        return Accepted(message, run.url, False, new.run_id, new.created_at)

    async def again_many(
        self, letter_ids: Sequence[str], over: MessageSpec, *, resume: bool
    ) -> list[Accepted]:
        """The same for several, in their order; those that are not there are left out."""

        async def one(letter_id: str) -> Accepted | None:
            try:
                return await self.again(letter_id, over, resume=resume)
            except (NotFound, StateError):
                return None

        done = await asyncio.gather(*map(one, dict.fromkeys(letter_ids)))
        return [accepted for accepted in done if accepted is not None]

    def _goes_on(self, new: AddRun, run: KnownRun, options: RunOptions) -> None:
        """It is kept by checkpoints from its first visit on, as the failed one was."""
        recorded = self._engine.store.history(run.id).recorded
        new.leave_out = left_out(recorded)
        new.phase, new.due_at = Phase.DUE, new.created_at
        new.options = json.dumps(options.to_json())

    def begun_like(self, run: int, now: int) -> InheritMessages:
        """What lets a run with checkpoints begin with the first message of another one."""
        return InheritMessages(run, now, {}, frozenset(), {}, None)

    def _inherited(
        self, run: KnownRun, config: MessageSpec, over: MessageSpec, now: int
    ) -> InheritMessages:
        messages = self._engine.wire.messages
        rows = self._engine.store.messages.of_run(run.id)
        owed_rows, along = to_deliver_again([] if run.options.checkpoints else rows)
        owed: dict[int, int] = {}
        specs = {run.first: messages.stored(replace(config, delay_ms=None, not_before=None))}
        for row in owed_rows:
            spec = messages.opened(row.spec)
            at = spec.not_before or row.at + (spec.delay_ms or 0)
            later = over.not_before or now + (over.delay_ms or 0)
            owed[row.id] = max(now, at, later)
            if row.id != run.first:
                specs[row.id] = messages.stored(overridden(spec, over))
        return InheritMessages(run.id, now, owed, along, specs, config.flow_key)

    async def delete(self, letter_ids: Sequence[str]) -> int:
        """Remove dead letters; how many there were. Their runs stay in the logs."""
        done = await asyncio.gather(*map(self._delete, dict.fromkeys(letter_ids)))
        return sum(done)

    async def _delete(self, letter_id: str) -> bool:
        try:
            await self._engine.admin.delete_letter(letter_id)
        except NotFound:
            return False
        return True

    async def tell_again(self, letter_id: str) -> KnownRun:
        """Visit the failure function of a dead letter again.

        Raises:
            NotFound: WA607.
            StateError: WA608, unless it has failed.
        """
        letter, run = self.find(letter_id)
        notice = self._notice(run)
        if letter.callback != CALLBACK_FAIL or notice is None:
            raise _wrong_state(letter, CALLBACK_FAIL)
        messages = self._engine.wire.messages
        now = self._engine.clock.now_ms()
        op = messages.op(
            MessageKind.FAILURE_VISIT, messages.opened(notice.spec), notice.body, now,
            run=run.id, source=notice.source,
        )._replace(labels=())  # fmt: skip
        state = SetCallback(run.id, CALLBACK_IN_PROGRESS, before=CALLBACK_FAIL)
        entry = Entry(run.id, now, EntryKind.MESSAGE_CREATED, message=-1)
        await self._commit([state, op], [entry], letter_id)
        return run

    async def stop_telling(self, letter_id: str) -> None:
        """Visit the failure function of a dead letter no more.

        Raises:
            NotFound: WA607.
            StateError: WA608, unless it is being visited.
        """
        letter, run = self.find(letter_id)
        notice = self._notice(run)
        if letter.callback != CALLBACK_IN_PROGRESS or notice is None:
            raise _wrong_state(letter, CALLBACK_IN_PROGRESS)
        now = self._engine.clock.now_ms()
        state = SetCallback(run.id, CALLBACK_CANCELED, before=CALLBACK_IN_PROGRESS)
        entry = Entry(run.id, now, EntryKind.MESSAGE_CANCELED, message=notice.id)
        await self._commit([state, DropMessage(notice.id, now)], [entry], letter_id)

    def _notice(self, run: KnownRun) -> MessageRow | None:
        """The message that told last of the failure of a run."""
        rows = self._engine.store.messages.of_run(run.id, kind=MessageKind.FAILURE_VISIT)
        return rows[-1] if rows else None

    async def _commit(self, ops: Sequence[Op], entries: Sequence[Entry], letter_id: str) -> Applied:
        outcome = await self._engine.wire.messages.commit(ops, entries)
        if isinstance(outcome, Refused):
            if isinstance(outcome.op, AddRun):
                raise StateError("WA608", found="a run of the new id is there already")
            raise _gone(letter_id)
        return outcome


def to_deliver_again(rows: Sequence[MessageRow]) -> tuple[list[MessageRow], frozenset[int]]:
    """What of a failed run is delivered again when it goes on, and what comes along with that.

    Every plan without a result; every answer to a call whose result is missing, so that nobody
    is called again. Without any of those, the last element: its visit finds what comes next.

    Args:
        rows: the messages of the run, in order.
    """
    done = {row.step for row in rows if row.kind is MessageKind.VISIT}
    missing = [row for row in rows if row.step not in done]
    answers = {row.step: row for row in missing if row.kind is MessageKind.CALL_ANSWER}
    plans = [r for r in missing if r.kind is MessageKind.PLAN and r.step not in answers]
    again = sorted([*plans, *answers.values()], key=lambda row: row.id)
    if not again:
        again = [row for row in rows if row.kind in {MessageKind.VISIT, MessageKind.TRIGGER}][-1:]
    calls = {r.id for r in rows if r.kind is MessageKind.CALL and r.step in answers}
    return again, frozenset(calls)


def override_of(url: str, options: RunOptions) -> MessageSpec:
    """What a resume or a restart says of the new run, as an option of this package says it."""
    flow = options.flow_control
    return MessageSpec(
        url=url,
        retries=options.retries,
        retry_delay=options.retry_delay,
        flow_key=None if flow is None else flow.key,
        flow_value=None if flow is None else flow.to_value(),
        labels=options.labels,
        failure_callback=options.failure_url,
    )


def _gone(letter_id: str) -> NotFound:
    return NotFound("WA607", found=f"dead letter {letter_id!r}")


def _wrong_state(letter: LetterRow, expected: str) -> StateError:
    return StateError(
        "WA608",
        where=f"dead letter {letter.id!r}",
        found=f"expected {expected}, found {letter.callback or 'no failure function'}",
    )
