"""How work comes in: triggers, invoked runs, notifications."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_agents.core.checks import checked_run_id, checked_size
from workflow_agents.core.journal import Invoke
from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.options import DEFAULT_OPTIONS, RunOptions
from workflow_agents.errors import LimitError, NotFound
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind, Recorded, StepKey
from workflow_agents.store.changes import (
    AddRun,
    Applied,
    Broken,
    Change,
    Entry,
    Notify,
    Op,
    Outcome,
    Refused,
    TakeDeadLetter,
)
from workflow_agents.store.interface import RunRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.store.message_changes import AddMessage


class Triggered(NamedTuple):
    """What became of a trigger.

    Attributes:
        run: the row of the run.
        run_id: its id.
        deduplicated: a run of this id was there, and no other was made.
    """

    run: int
    run_id: str
    deduplicated: bool


class Inheritance(NamedTuple):
    """What a new run begins with of another one.

    Attributes:
        run: the row of the other.
        leave_out: the keys of those of its outcomes that are not taken over.
        lineage: what the new run's first feed entry says of it.
        instead: the outcome of a step that is put in the place of its own.
    """

    run: int
    leave_out: Sequence[StepKey]
    lineage: dict[str, Any]
    instead: Recorded | None = None


class Notifier(NamedTuple):
    """Who notifies, as the feed is to tell.

    Attributes:
        by: whose session or token it was; None: nobody had to say.
        through: "dashboard" or "api".
    """

    by: str | None
    through: str


class Intake:
    """Everything that adds runs, or news for them, from outside."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    async def trigger(
        self,
        path: str,
        body: bytes,
        options: RunOptions,
        *,
        run_id: str | None = None,
        not_before: int | None = None,
        inherit: Inheritance | None = None,
        dead_letter: tuple[str, int] | None = None,
    ) -> Triggered:
        """Add a run. Durable when this returns.

        With a dead letter (its id and its run), that is taken in the same change.

        Raises:
            NotFound: WA107; WA607, somebody else has taken the dead letter.
            LimitError: WA501.
            StoreError: the store cannot be written; nothing was added.
        """
        engine = self._engine
        now = engine.clock.now_ms()
        effective = options.over(self._defaults(path, options))
        checked_size(len(body), engine.limits.payload_bytes, f"payload of {path}")
        at_once = (
            (not_before is None or not_before <= now)
            and effective.flow_control is None
            and inherit is None
            and engine.has_room
        )
        op = self._add_run(path, body, options, run_id, now)
        if inherit is not None:
            op.inherit, op.leave_out = inherit.run, inherit.leave_out
        op.flow_key = None if effective.flow_control is None else effective.flow_control.key
        if at_once:
            op.phase, op.due_at, op.token = Phase.LEASED, None, 1
        elif not_before is not None:
            op.due_at = max(not_before, now)
        ops = self._with_first_message(op, inherit, options)
        entries = _first_entries(inherit, now)
        if dead_letter is not None:
            dlq_id, dead = dead_letter
            ops = (TakeDeadLetter(dlq_id), *ops)
            heir = encode({"workflowRunId": op.run_id})
            entries = [*entries, Entry(dead, now, EntryKind.DEAD_LETTER_REMOVED, data=heir)]
        stored: asyncio.Future[Outcome] = engine.loop.create_future()

        def told(outcome: Outcome) -> None:
            # Here, and not behind the await: whoever asked may have gone away meanwhile.
            if isinstance(outcome, Applied):
                if at_once:
                    engine.begin_leased(self.row(outcome.run, op))
                else:
                    engine.poke()
            if not stored.done():
                stored.set_result(outcome)

        engine.commits.submit(Change(ops, entries), told)
        outcome = await stored
        if isinstance(outcome, Refused) and isinstance(outcome.op, TakeDeadLetter):
            raise NotFound("WA607", found=f"dead letter {outcome.op.id!r}")
        if isinstance(outcome, Refused):
            return Triggered(outcome.existing, op.run_id, deduplicated=True)
        if isinstance(outcome, Broken):
            raise outcome.error
        return Triggered(outcome.run, op.run_id, deduplicated=False)

    def child(
        self, parent: RunRow, above: RunOptions, step: StepKey, plan: Invoke
    ) -> "tuple[AddRun, *tuple[AddMessage, ...]]":
        """The run that a step invokes, due at once; if it is elsewhere, with its first visit."""
        engine = self._engine
        options = RunOptions.from_json(plan.options)
        depth = above.depth + 1
        if depth > engine.limits.invoke_depth:
            raise LimitError(
                "WA503",
                "runs invoke runs too deep",
                where=f"run {parent.run_id}",
                found=f"expected at most {engine.limits.invoke_depth} levels, found {depth}",
                fix=("let a run end before the next one starts", "raise Limits.invoke_depth"),
            )
        checked_size(len(plan.body), engine.limits.payload_bytes, f"payload of {plan.workflow}")
        options = replace(options, depth=depth, headers=plan.headers)
        if above.checkpoints:
            return engine.wire.runs.child(parent.id, step, plan, options)
        served = engine.served(self._named_by(parent.workflow, plan.workflow))
        options = replace(options, url=_beside(above.url, parent.workflow, served.path))
        op = self._add_run(served.path, plan.body, options, plan.run_id, engine.clock.now_ms())
        flow = options.over(served.options).flow_control
        op.flow_key = None if flow is None else flow.key
        op.parent, op.parent_step = parent.id, step
        return (op,)

    def _named_by(self, path: str, name: str) -> str:
        """The path of the workflow that one at `path` calls `name`: that, or beside itself."""
        known = self._engine.workflows
        beside = f"{path.rpartition('/')[0]}/{name}"
        return beside if name not in known and beside in known else name

    def unstored(self, path: str, body: bytes, options: RunOptions) -> AddRun:
        """A run that is stored when its function asks for its first step."""
        checked_size(len(body), self._engine.limits.payload_bytes, f"payload of {path}")
        op = self._add_run(path, body, options, None, self._engine.clock.now_ms())
        op.phase, op.due_at, op.token = Phase.LEASED, None, 1
        return op

    def row(self, run: int, op: AddRun) -> RunRow:
        """The stored form of a run that was just added."""
        return RunRow(
            run,
            op.run_id,
            op.workflow,
            op.phase,
            op.token,
            0,
            0,
            op.created_at,
            op.due_at,
            op.input,
            op.options,
            0,
            op.parent,
            op.parent_step,
            None,
            None,
        )

    async def notify(self, event_id: str, data: bytes, run_id: str | None) -> dict[str, Any]:
        """Wake who waits for an event; with a run id, keep it for a run that does not yet.

        Raises:
            NotFound: WA606, no such run.
        """
        from workflow_agents.protocol.raw_steps import notified

        engine = self._engine
        checked_size(len(data), engine.limits.payload_bytes, f"data of event {event_id!r}")
        run = None
        if run_id is not None:
            row = engine.store.run(run_id)
            if row is None:
                raise NotFound("WA606", where=f"notify {event_id!r}", found=f"run {run_id!r}")
            run = row.id
        told = await self.tell(event_id, self.event_data(data), run, notified(data))
        if not isinstance(told, Applied):
            return {"notified": [], "kept": False}
        return {"notified": self.woken(told), "kept": bool(told.kept)}

    async def receive_webhook(
        self, run_id: str, event_id: str, request: dict[str, Any], who: Notifier | None = None
    ) -> None:
        """A webhook of a run was called; `request` is what its wait returns.

        A run that was resumed receives what is sent to the one that it took over from.

        Raises:
            NotFound: WA606, no such run, or no such webhook of it.
            LimitError: WA501.
        """
        engine = self._engine
        outcome = encode({"data": request, "timeout": False})
        checked_size(len(outcome), engine.limits.payload_bytes, "request of a webhook")
        row = engine.admin.heir(engine.admin.find(run_id))
        if event_id not in engine.admin.webhooks(row):
            raise NotFound("WA606", where=f"run {run_id!r}", found="no webhook of this id")
        await self.tell(event_id, outcome, row.id, b"", who)

    async def tell(
        self,
        event_id: str,
        outcome: bytes,
        run: int | None,
        remote: bytes,
        who: Notifier | None = None,
    ) -> Applied | Refused:
        """Notify with the recorded form of the data, and what remote runs are told."""
        now = self._engine.clock.now_ms()
        notify = Notify(event_id, run, now, outcome, remote)
        entry = Entry(run or 0, now, EntryKind.NOTIFIED, name=event_id, data=partial(_whom, who))
        return await self._engine.commits.store(Change((notify,), (entry,)))

    def event_data(self, data: bytes) -> bytes:
        """A notification's data as the outcome of a wait."""
        from workflow_agents.protocol.raw_steps import notified_here

        return notified_here(data)

    def woken(self, applied: Applied) -> list[dict[str, Any]]:
        """The waiters that a notification woke, as JSON data."""
        found: list[dict[str, Any]] = []
        for woken in applied.woken:
            row = self._engine.store.run(woken.run)
            if row is not None:
                deadline = (woken.deadline or 0) // 1000
                found.append({"workflowRunId": row.run_id, "deadline": deadline})
        return found

    def _with_first_message(
        self, op: AddRun, inherit: Inheritance | None, options: RunOptions
    ) -> tuple[Op, ...]:
        """A run that is elsewhere has one, from which its visits are made."""
        if inherit is None or not options.checkpoints:
            return (op,)
        return op, self._engine.wire.run_letters.begun_like(inherit.run, op.created_at)

    def _defaults(self, path: str, options: RunOptions) -> RunOptions:
        """What holds for a workflow's runs where they do not say otherwise."""
        return DEFAULT_OPTIONS if options.checkpoints else self._engine.served(path).options

    def _add_run(
        self, path: str, body: bytes, options: RunOptions, run_id: str | None, now: int
    ) -> AddRun:
        engine = self._engine
        if options.headers:
            options = replace(options, headers=engine.sealer.seal_headers(options.headers))
        given = options.to_json()
        chosen = checked_run_id(run_id) if run_id is not None else f"wfr_{engine.new_id(21)}"
        return AddRun(
            run_id=chosen,
            workflow=path,
            phase=Phase.DUE,
            due_at=now,
            token=0,
            created_at=now,
            input=body,
            options=json.dumps(given) if given else None,
            labels=options.labels or self._defaults(path, options).labels,
        )


def _whom(who: Notifier | None, applied: Applied) -> bytes:
    """What the feed says of a notification: whom it woke, whether it is kept, and whose it is."""
    told = {"woken": [woken.run for woken in applied.woken], "kept": bool(applied.kept)}
    return encode(told if who is None else told | who._asdict())


def _first_entries(inherit: Inheritance | None, now: int) -> list[Entry]:
    if inherit is None:
        return [Entry(0, now, EntryKind.RUN_STARTED)]
    entries = [Entry(0, now, EntryKind.RUN_STARTED, data=encode(inherit.lineage))]
    if (given := inherit.instead) is not None:
        step = Entry(0, now, EntryKind.STEP_SUCCESS, given.kind, given.key, given.name, given.data)
        step.outcome = True
        entries.append(step)
    return entries


def _beside(url: str | None, own: str, other: str) -> str | None:
    """The address of a path, from that of another one of the same app; None: none is known."""
    bare = (url or "").partition("?")[0]
    return bare.removesuffix(own) + other if bare.endswith(own) else None
