"""The client's port to an engine in the same process: values in, values out."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from workflow_agents.core.checks import workflow_path
from workflow_agents.core.lifecycle import Phase, is_ended, phases_of
from workflow_agents.core.logs import RunLog
from workflow_agents.core.options import RunOptions
from workflow_agents.engine.intake import Triggered
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.history import StepKey
from workflow_agents.store.interface import DeadLetterRow

if TYPE_CHECKING:
    from workflow_agents.core.step_logs import FeedEntry
    from workflow_agents.core.stream_events import StreamEvent
    from workflow_agents.core.workflow_events import WorkflowEvent
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.engine.listening import Heard
    from workflow_agents.protocol.approvals import OpenWait

_LONGEST_WAIT_S = 60.0


class InProcess:
    """See `core.backend.Backend`."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def now_ms(self) -> int:
        """The engine's time."""
        return self._engine.clock.now_ms()

    def destination(self, workflow: Any) -> str:
        """The path of a workflow."""
        return workflow_path(workflow)

    async def trigger(
        self,
        path: str,
        body: bytes,
        options: RunOptions,
        *,
        run_id: str | None,
        not_before: int | None,
    ) -> Triggered:
        """See `Intake.trigger`."""
        self._engine.ensure_running()
        return await self._engine.intake.trigger(
            path, body, options, run_id=run_id, not_before=not_before
        )

    async def cancel(self, run_id: str) -> bool:
        """See `Admin.cancel`."""
        self._engine.ensure_running()
        return await self._engine.admin.cancel(run_id)

    async def notify(self, event_id: str, data: bytes, run_id: str | None) -> dict[str, Any]:
        """See `Intake.notify`."""
        self._engine.ensure_running()
        found = None if run_id is None else self._engine.admin.find(run_id).run_id
        return await self._engine.intake.notify(event_id, data, found)

    async def waiters(self, event_id: str) -> list[dict[str, Any]]:
        """Who waits for an event."""
        self._engine.ensure_running()
        store = self._engine.store
        found: list[dict[str, Any]] = []
        for waiter in store.waiters_for(event_id, None):
            row = store.run(waiter.run)
            if row is not None:
                deadline = (waiter.due_at or 0) // 1000
                found.append({"workflowRunId": row.run_id, "deadline": deadline})
        return found

    async def waits(self, prefix: str, limit: int) -> "list[OpenWait]":
        """The waits for events whose ids begin so, with what is told of them."""
        from workflow_agents.protocol.approvals import OpenWait

        self._engine.ensure_running()
        store = self._engine.store
        found: list[OpenWait] = []
        for waiter, entry in store.waiters_like(prefix, limit):
            row = store.run(waiter.run)
            if row is not None:
                told: dict[str, Any] = decode(entry.data) if entry.data else {}
                found.append(
                    OpenWait(
                        waiter.event or "",
                        row.run_id,
                        row.workflow,
                        waiter.name,
                        entry.at,
                        waiter.due_at or 0,
                        told.get("details"),
                    )
                )
        return found

    async def log(self, run_id: str, *, steps: bool) -> RunLog:
        """One run."""
        self._engine.ensure_running()
        return self._engine.admin.log(self._engine.admin.find(run_id), steps=steps)

    async def logs(
        self,
        *,
        workflow: str | None,
        state: str | None,
        label: str | None,
        before: str | None,
        limit: int,
    ) -> list[RunLog]:
        """Runs without their steps, the newest first."""
        engine = self._engine
        engine.ensure_running()
        last = None if before is None else engine.admin.find(before).id
        phases: list[Phase | None] = [None] if state is None else [*phases_of(state)]
        rows = [
            row
            for phase in phases
            for row in engine.store.runs(
                workflow=workflow, phase=phase, label=label, before=last, limit=limit
            )
        ]
        rows.sort(key=lambda row: row.id, reverse=True)
        return [engine.admin.log(row, steps=False) for row in rows[:limit]]

    async def end_of(self, run_id: str) -> RunLog:
        """Wait for the end of a run."""
        self._engine.ensure_running()
        row = await self._engine.end_of(self._engine.admin.find(run_id).id)
        return self._engine.admin.log(row, steps=False)

    async def feed(self, run_id: str, after: int) -> "tuple[list[FeedEntry], bool]":
        """The next entries of a run, waited for; and whether there will be no more."""
        engine = self._engine
        row = engine.admin.find(run_id)
        with engine.watching(row.id) as news:
            while True:
                engine.ensure_running()
                row = engine.admin.find(run_id)
                entries = engine.admin.entries(row, after)
                if entries or is_ended(row.phase):
                    return entries, is_ended(row.phase)
                await news.wait()
                news.clear()

    async def conversation(self, key: str, last: int | None) -> list[Any]:
        """The newest messages of a conversation."""
        self._engine.ensure_running()
        found = self._engine.store.conversation(key, up_to=None, last=last)
        return [decode(data) for _, data in found]

    async def conversations(self, after: str | None, limit: int) -> list[dict[str, Any]]:
        """Conversations by key."""
        self._engine.ensure_running()
        return [
            {
                "key": row.key,
                "messages": row.messages,
                "beganAt": row.began_at,
                "changedAt": row.changed_at,
            }
            for row in self._engine.store.conversations(after, limit)
        ]

    async def delete_conversation(self, key: str) -> bool:
        """See `Admin.delete_conversation`."""
        self._engine.ensure_running()
        return await self._engine.admin.delete_conversation(key)

    async def stream(self, run_id: str, after: int) -> "AsyncIterator[StreamEvent]":
        """What happens to a run and what is said in it, until it has ended."""
        from workflow_agents.engine.listening import EVERYTHING, Committed

        engine = self._engine
        engine.ensure_running()
        run = engine.admin.find(run_id).id
        with engine.streams.listening(run) as listener:
            heard: Heard | None = EVERYTHING
            while True:
                if isinstance(heard, Committed):
                    for entry in engine.admin.entries(engine.admin.find(run_id), after):
                        if entry.seq > heard.seq:
                            break
                        after = entry.seq
                        yield entry
                elif heard is not None:
                    yield heard
                elif is_ended(engine.admin.find(run_id).phase):
                    return
                else:
                    await listener.wait()
                    engine.ensure_running()
                heard = listener.take()

    async def events(
        self, run_id: str | None, label: str | None, after: int | None
    ) -> "AsyncIterator[WorkflowEvent]":
        """What happens to a run, to the runs with a label, or to everything."""
        from workflow_agents.core.workflow_events import WorkflowEvent

        engine = self._engine
        engine.ensure_running()
        run = None if run_id is None else engine.admin.find(run_id).id
        subscription = engine.broadcast.subscribe(run=run, label=label, after=after)
        try:
            while not (subscription.over or engine.stopping):
                for told in subscription.take_told():
                    yield WorkflowEvent.from_json(told)
                if not (subscription.over or engine.stopping):
                    await subscription.wait(_LONGEST_WAIT_S)
        finally:
            subscription.close()

    async def letters(self, before: str | None, limit: int) -> list[tuple[DeadLetterRow, RunLog]]:
        """Dead letters with their runs, the newest first."""
        engine = self._engine
        engine.ensure_running()
        found: list[tuple[DeadLetterRow, RunLog]] = []
        for letter in engine.store.dead_letters(before, limit):
            row = engine.store.run(letter.run)
            if row is not None:
                found.append((letter, engine.admin.log(row, steps=False)))
        return found

    async def letter(self, dlq_id: str) -> tuple[DeadLetterRow, RunLog]:
        """One dead letter with its run."""
        self._engine.ensure_running()
        letter, row = self._engine.admin.letter(dlq_id)
        return letter, self._engine.admin.log(row)

    async def again(self, dlq_id: str, options: RunOptions, *, resume: bool) -> Triggered:
        """See `Admin.again`."""
        self._engine.ensure_running()
        return await self._engine.admin.again(dlq_id, options, resume=resume)

    async def fork(
        self,
        run_id: str,
        options: RunOptions,
        *,
        step: StepKey | None,
        body: bytes | None,
        result: bytes | None,
    ) -> Triggered:
        """See `Admin.fork`."""
        self._engine.ensure_running()
        return await self._engine.admin.fork(run_id, options, step=step, body=body, result=result)

    async def delete_letter(self, dlq_id: str) -> None:
        """See `Admin.delete_letter`."""
        self._engine.ensure_running()
        await self._engine.admin.delete_letter(dlq_id)

    async def retry_failure_function(self, dlq_id: str) -> None:
        """See `Admin.retry_failure_function`."""
        self._engine.ensure_running()
        await self._engine.admin.retry_failure_function(dlq_id)

    async def close(self) -> None:
        """The engine is its owner's to stop."""
