"""Schedules: messages that are published again and again. Source: protocol 6.3.

A tick is claimed in the same change that adds its messages: a schedule has one message for
each tick, whichever process makes it and however often one is started.
"""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from workflow_agents.core.checks import checked_name
from workflow_agents.core.cron import Cron, DueTicks, MissedTicks, due_ticks
from workflow_agents.engine.messages import Incoming, Taking
from workflow_agents.errors import ConfigurationError, NotFound, WorkflowAgentsError
from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.changes import Applied, Change, Op
from workflow_agents.store.resource_changes import (
    DropSchedule,
    PauseSchedule,
    PutSchedule,
    TickSchedule,
)
from workflow_agents.store.resource_rows import ScheduleRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

logger = logging.getLogger(__name__)

IN_PROGRESS, SUCCESS, FAIL = "IN_PROGRESS", "SUCCESS", "FAIL"


class Schedules:
    """See the module.

    Attributes:
        missed: what becomes of ticks that nobody made while the engine was down.
    """

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self.missed = MissedTicks.ONCE

    def all(self) -> list[ScheduleRow]:
        """All schedules, the oldest first."""
        return self._engine.store.messages.schedules()

    def get(self, schedule_id: str) -> ScheduleRow:
        """A schedule.

        Raises:
            NotFound: WA611.
        """
        row = self._engine.store.messages.schedule(schedule_id)
        if row is None:
            raise _no_schedule(schedule_id)
        return row

    def states(self, row: ScheduleRow) -> dict[int, str]:
        """What became of the messages of the last tick."""
        messages = self._engine.store.messages
        owed, told = messages.owed(row.last_messages), messages.states(row.last_messages)
        return {
            message: IN_PROGRESS
            if message in owed
            else SUCCESS
            if told[message] is EntryKind.MESSAGE_DELIVERED
            else FAIL
            for message in row.last_messages
            if message in told
        }

    async def put(self, incoming: Incoming) -> str:
        """Make a schedule, or overwrite the one of this id; its id. Durable when this returns.

        Raises:
            ConfigurationError: an option of it cannot be used; WA115 or WA116 for the cron line.
            LimitError: WA501.
        """
        spec, messages = incoming.spec, self._engine.wire.messages
        if spec.cron is None:
            raise ConfigurationError(
                "WA121",
                "a schedule needs a cron line",
                where="header Upstash-Cron",
                found="no such header",
                fix=("Upstash-Cron: 0 9 * * MON-FRI",),
            )
        cron = Cron.parse(spec.cron)
        messages.check(spec, incoming.body)
        schedule_id = spec.schedule_id or f"scd_{self._engine.new_id(21)}"
        checked_name("the id of a schedule", schedule_id)
        now = self._engine.clock.now_ms()
        published = replace(
            spec,
            cron=None,
            schedule_id=None,
            not_before=None,
            deduplication_id=None,
            content_based_deduplication=False,
        )
        op = PutSchedule(
            schedule_id,
            spec.cron,
            spec.url_group or spec.url,
            now,
            cron.next_tick(now),
            messages.stored(published),
            incoming.body or None,
            incoming.caller_ip,
        )
        await self._store(op)
        return schedule_id

    async def pause(self, schedule_id: str, *, paused: bool) -> None:
        """Make no tick of a schedule, or go on; ticks of a pause are not made up for.

        Raises:
            NotFound: WA611.
        """
        due_at = Cron.parse(self.get(schedule_id).cron).next_tick(self._engine.clock.now_ms())
        if not await self._store(PauseSchedule(schedule_id, paused, due_at)):
            raise _no_schedule(schedule_id)

    async def delete(self, schedule_id: str) -> None:
        """Remove a schedule; its messages stay.

        Raises:
            NotFound: WA611.
        """
        if not await self._store(DropSchedule(schedule_id)):
            raise _no_schedule(schedule_id)

    async def run_now(self, schedule_id: str) -> list[int]:
        """Publish what a tick would, besides its ticks; also while it is paused.

        Returns:
            The rows of the messages.

        Raises:
            NotFound: WA611.
            StoreError: the store cannot be written.
        """
        taking = self._messages(self.get(schedule_id))
        outcome = await self._engine.wire.messages.commit(taking.ops, taking.entries)
        self._engine.poke()
        return [row for row, _ in outcome.messages] if isinstance(outcome, Applied) else []

    def tick(self, schedule_id: str, now: int) -> Taking | None:
        """What makes the tick that a schedule has come to; None: there is none any more."""
        row = self._engine.store.messages.schedule(schedule_id)
        if row is None or row.due_at is None:
            return None
        due = due_ticks(Cron.parse(row.cron), row.due_at - 1, now, self.missed)
        if due.skipped is not None:
            logger.warning(
                "schedule %s: the ticks from %d to %d were missed and are not made",
                row.id,
                *due.skipped,
            )
        try:
            takings = [self._messages(row) for _ in due.fire]
        except WorkflowAgentsError as error:
            # The next tick comes all the same; the schedule says what is wrong.
            logger.error("schedule %s cannot publish: %s", row.id, error.what)
            return Taking([self._made(row, due, error=str(error.what))], [], [])
        ops: list[Op] = [op for taking in takings for op in taking.ops]
        added = [op for taking in takings for op in taking.added]
        entries = [self._engine.wire.messages.created(op, n + 1) for n, op in enumerate(added)]
        return Taking([*ops, self._made(row, due)], added, entries)

    def _messages(self, row: ScheduleRow) -> Taking:
        messages = self._engine.wire.messages
        incoming = Incoming(messages.opened(row.spec), row.body, row.caller_ip, row.id)
        if incoming.spec.url_group is not None:
            return messages.plain_group(incoming)
        return messages.plain(incoming)

    def _made(self, row: ScheduleRow, due: DueTicks, error: str | None = None) -> TickSchedule:
        fired_at = due.fire[-1] if due.fire and error is None else None
        return TickSchedule(row.id, row.due_at or 0, due.next_at, fired_at, error)

    async def _store(self, op: Op) -> bool:
        outcome = await self._engine.commits.store(Change((op,)))
        self._engine.poke()
        return isinstance(outcome, Applied)


def _no_schedule(schedule_id: str) -> NotFound:
    return NotFound("WA611", "there is no such schedule", found=f"schedule {schedule_id!r}")
