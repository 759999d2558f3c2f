"""The client's port to an engine in the same process: values in, values out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.core.backend import Trigger
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.checks import workflow_path
from workflow_agents.core.lifecycle import is_ended, phases_of
from workflow_agents.core.logs import RunLog
from workflow_agents.core.options import RunOptions
from workflow_agents.core.selection import Selection
from workflow_agents.engine.intake import Triggered
from workflow_agents.errors import NotFound
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.history import StepKey
from workflow_agents.store.interface import DeadLetterRow

if TYPE_CHECKING:
    from workflow_agents.core.model_asks import ModelAsk
    from workflow_agents.core.searching import SearchResult
    from workflow_agents.core.step_logs import FeedEntry
    from workflow_agents.core.stream_events import StreamEvent
    from workflow_agents.core.workflow_events import WorkflowEvent
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.engine.listening import Heard
    from workflow_agents.engine.operations import OperationsInProcess
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

    @property
    def operations(self) -> "OperationsInProcess":
        """What has nothing to do with runs."""
        from workflow_agents.engine.operations import OperationsInProcess

        return OperationsInProcess(self._engine)

    async def trigger(self, asked: Trigger) -> Triggered:
        """See `Intake.trigger`."""
        self._engine.ensure_running()
        return await self._engine.intake.trigger(
            asked.path,
            asked.body,
            asked.options,
            run_id=asked.run_id,
            not_before=asked.not_before,
        )

    async def trigger_many(self, asked: Sequence[Trigger]) -> list[Triggered]:
        """Start several; they share commits."""
        return [*await asyncio.gather(*map(self.trigger, asked))]

    async def cancel(self, run_id: str) -> bool:
        """See `Admin.cancel`."""
        self._engine.ensure_running()
        return await self._engine.admin.cancel(run_id)

    async def cancel_many(self, which: Selection) -> int:
        """End all that fit and have not ended."""
        from workflow_agents.engine.selecting import open_runs

        self._engine.ensure_running()
        cancelled = 0
        for run_ids in open_runs(self._engine, which):
            cancelled += sum(await asyncio.gather(*map(self._engine.admin.cancel, run_ids)))
        return cancelled

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
        self, which: Selection, *, before: str | None, cursor: str | None, limit: int
    ) -> tuple[list[RunLog], str | None]:
        """Runs without their steps, the newest first."""
        from workflow_agents.engine.selecting import runs

        engine = self._engine
        engine.ensure_running()
        last = None if cursor is None else cursor_of(cursor)
        if before is not None:
            last = engine.admin.find(before).id
        rows = runs(engine, which, last, limit + 1)
        following = str(rows[limit - 1].id) if len(rows) > limit else None
        return [engine.admin.log(row, steps=False) for row in rows[:limit]], following

    async def search(
        self, text: str, which: Selection, *, cursor: str | None, limit: int
    ) -> "SearchResult":
        """Runs in which a text stands."""
        from workflow_agents.store.sqlite_run_lists import RunsWanted

        self._engine.ensure_running()
        phases = () if which.state is None else tuple(sorted(phases_of(which.state)))
        before = None if cursor is None else cursor_of(cursor)
        wanted = RunsWanted(phases, which.workflow, which.label, before=before)
        return await self._engine.admin.searches.search(text, wanted, limit)

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

    async def letters(
        self, which: Selection, *, before: str | None, cursor: str | None, limit: int
    ) -> tuple[list[tuple[DeadLetterRow, RunLog]], str | None]:
        """Dead letters with their runs, the newest first."""
        from workflow_agents.engine.selecting import caller_ip_of, letters

        engine = self._engine
        engine.ensure_running()
        found = letters(engine, which, before or cursor, limit + 1)
        following = found[limit - 1][0].id if len(found) > limit else None
        shown = [
            (
                letter._replace(caller_ip=caller_ip_of(engine, row)),
                engine.admin.log(row, steps=False),
            )
            for letter, row in found[:limit]
        ]
        return shown, following

    async def letter(self, dlq_id: str) -> tuple[DeadLetterRow, RunLog]:
        """One dead letter with its run."""
        self._engine.ensure_running()
        letter, row = self._engine.admin.letter(dlq_id)
        return letter, self._engine.admin.log(row)

    async def again(self, dlq_id: str, options: RunOptions, *, resume: bool) -> Triggered:
        """See `Admin.again`."""
        self._engine.ensure_running()
        return await self._engine.admin.again(dlq_id, options, resume=resume)

    async def again_many(
        self, which: Selection, options: RunOptions, *, resume: bool
    ) -> list[Triggered]:
        """A new run of each that fits; what was dealt with in the meantime is left out."""

        async def one(dlq_id: str) -> Triggered | None:
            try:
                return await self._engine.admin.again(dlq_id, options, resume=resume)
            except NotFound:
                return None

        done = await asyncio.gather(*map(one, self._letter_ids(which)))
        return [triggered for triggered in done if triggered is not None]

    def _letter_ids(self, which: Selection) -> list[str]:
        from workflow_agents.engine.selecting import letters

        self._engine.ensure_running()
        return [letter.id for letter, _ in letters(self._engine, which, None, None)]

    async def fork(
        self,
        run_id: str,
        options: RunOptions,
        *,
        step: StepKey | None,
        body: bytes | None,
        result: bytes | None,
        ask: "ModelAsk | None",
    ) -> Triggered:
        """See `Admin.fork`."""
        self._engine.ensure_running()
        return await self._engine.admin.fork(
            run_id, options, step=step, body=body, result=result, ask=ask
        )

    async def delete_letter(self, dlq_id: str) -> None:
        """See `Admin.delete_letter`."""
        self._engine.ensure_running()
        await self._engine.admin.delete_letter(dlq_id)

    async def delete_letters(self, which: Selection) -> int:
        """Remove all that fit."""

        async def one(dlq_id: str) -> bool:
            try:
                await self._engine.admin.delete_letter(dlq_id)
            except NotFound:
                return False
            return True

        return sum(await asyncio.gather(*map(one, self._letter_ids(which))))

    async def retry_failure_function(self, dlq_id: str) -> None:
        """See `Admin.retry_failure_function`."""
        self._engine.ensure_running()
        await self._engine.admin.retry_failure_function(dlq_id)

    async def close(self) -> None:
        """The engine is its owner's to stop."""


def cursor_of(cursor: object) -> int:
    """The row that a list of runs ended with.

    Raises:
        ConfigurationError: WA102, it was not made here.
    """
    if isinstance(cursor, str) and cursor.isascii() and cursor.isdigit() and len(cursor) <= 18:
        return int(cursor)
    raise wrong_option("cursor", "the cursor of the list before", cursor)
