"""Messages of remote runs as they come in: triggers, steps, calls, invocations.

One table of decisions, `RemoteRuns.accept`. What belongs to one run and comes in one request is
one change. An SDK may submit the same thing twice, because its visit was repeated or because
an answer was lost: whatever is there already is answered with success and changes nothing.
Source: protocol 1.8.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workflow_agents.core.checks import checked_run_id
from workflow_agents.core.journal import Invoke
from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.options import RunOptions
from workflow_agents.engine.messages import Incoming, Published
from workflow_agents.engine.remote_known import KnownRun, not_running
from workflow_agents.errors import ConfigurationError, LimitError
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind
from workflow_agents.protocol.message import MessageSpec, WorkflowPart
from workflow_agents.protocol.message_headers import canonical_name
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.run_messages import (
    flow_key_of,
    rest_trigger,
    step_of_call,
    triggered_again,
)
from workflow_agents.protocol.run_requests import Invocation, read_invocation, read_step
from workflow_agents.protocol.wire_steps import WireStep
from workflow_agents.store.changes import AddRun, AddWaiter, Applied, Entry, Op, Refused, WaiterKind
from workflow_agents.store.message_changes import AddMessage, Reachable, Unasked

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

_CALL = "toCallback"


@dataclass(frozen=True, slots=True)
class Accepted(Published):
    """What became of a message of a run.

    Attributes:
        run_id: of the run.
        created_at: when the run began, Unix milliseconds.
    """

    run_id: str = ""
    created_at: int = 0


@dataclass(slots=True)
class _Part:
    """What one message adds to a change. The message of its entry is the one that it adds."""

    run: KnownRun | AddRun
    op: AddMessage
    entry: Entry
    before: Sequence[Op] = ()
    after: Sequence[Op] = ()
    beside: Sequence[Entry] = ()


def is_of_a_run(spec: MessageSpec) -> bool:
    """Whether a message belongs to a run or begins one; else it is a plain message."""
    part = spec.workflow
    return part is not None and (part.run_id is not None or part.init is True)


class RemoteRuns:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    async def accept(self, items: Sequence[Incoming]) -> list[Accepted]:
        """Take messages of which each `is_of_a_run`. Durable when this returns.

        Steps and calls are taken all or none, in this order. Triggers are taken one by one: a
        run id that is there already is told as deduplicated.

        Raises:
            StateError: WA608, a run that has ended or never was; nothing was taken.
            ConfigurationError: an option cannot be used.
            StepUsageError: WA204, a body cannot be read.
            LimitError: WA501, WA502, WA503.
            StoreError: the store cannot be written.
        """
        for item in items:
            self._check(item)
        return await self._accept(items)

    async def trigger(self, items: Sequence[Incoming]) -> list[Accepted]:
        """Begin runs for somebody who has no SDK. See `accept`. Source: protocol 3.4."""
        made = [replace(i, spec=rest_trigger(i.spec, self._run_id(i.spec))) for i in items]
        for given, item in zip(items, made, strict=True):
            # What is added needs no check, as long as nothing that was given goes into it.
            self._check(item, None if given.spec.failure_callback_headers else given.spec)
        return await self._accept(made)

    async def _accept(self, items: Sequence[Incoming]) -> list[Accepted]:
        now = self._engine.clock.now_ms()
        steps = {n: i for n, i in enumerate(items) if not _begins(i.spec)}
        done: dict[int, Accepted] = {}
        if steps:
            taken = await self._take_steps([*steps.values()], now)
            done |= zip(steps, taken, strict=True)
        triggers = {n: i for n, i in enumerate(items) if n not in steps}
        # All are submitted in one turn of the loop, and so share a commit.
        begun = await asyncio.gather(*(self._begin(i, now) for i in triggers.values()))
        done |= zip(triggers, begun, strict=True)
        return [done[n] for n in range(len(items))]

    def _check(self, item: Incoming, options: MessageSpec | None = None) -> None:
        """`options`: in place of the message's own, that which they were made of."""
        spec, limits = item.spec, self._engine.limits
        if not spec.url:
            raise ConfigurationError(
                "WA121",
                "a message of a run goes to an http or https address",
                where="the destination",
                found=f"the URL group {spec.url_group!r}",
            )
        if not _begins(spec) and len(item.body) > limits.result_bytes:
            raise LimitError(
                "WA502",
                where=f"run {spec.run_id}",
                found=f"expected at most {limits.result_bytes:,} bytes, found {len(item.body):,}",
            )
        self._engine.wire.messages.check(options or spec, item.body)

    # Steps and calls of runs that are there.

    async def _take_steps(self, items: list[Incoming], now: int) -> list[Accepted]:
        known = self._engine.wire.known
        run_ids = sorted({item.spec.run_id or "" for item in items})
        parts = [self._step(item, known.running(item.spec.run_id or ""), now) for item in items]
        outcome = await self._commit(parts, items)
        if isinstance(outcome, Applied):
            return [
                self._accepted(part, message)
                for part, (message, _) in zip(parts, outcome.messages, strict=True)
            ]
        if isinstance(outcome.op, Reachable):
            for run_id in run_ids:
                known.forget(run_id)
            # The row of a run that was cleaned away may not be that of its namesake.
            fresh = [known.running(run_id).id for run_id in run_ids]
            if {part.op.run for part in parts} != {*fresh}:
                return await self._take_steps(items, now)
            raise not_running(next((p for p in parts if not self._open(p)), parts[0]).run.run_id)
        said = self._engine.store.messages.remote.said
        taken = [said(p.op.run, p.op.step or 0, MessageKind(p.op.kind)) for p in parts]
        return [
            self._accepted(part, message or outcome.existing, deduplicated=True)
            for part, message in zip(parts, taken, strict=True)
        ]

    def _open(self, part: _Part) -> bool:
        return self._engine.store.messages.remote.is_open(part.op.run)

    def _step(self, item: Incoming, run: KnownRun, now: int) -> _Part:
        """A result, a plan, or the request of a call step."""
        spec = item.spec
        if _part_of(spec).call_type == _CALL:
            return self._call(item, run, now)
        step = read_step(item.body)
        self._check_number(step.number, run)
        kind = MessageKind.PLAN if step.is_plan else MessageKind.VISIT
        op = self.visit_op(kind, run.config, spec, item.body, now, run=run.id, step=step.number)
        entry = Entry(
            run.id,
            now,
            EntryKind.STEP_WAITING if step.is_plan else EntryKind.STEP_SUCCESS,
            StepKind.of_wire(step.type),
            step.number,
            step.name,
            outcome=not step.is_plan,
        )
        return _Part(run, op, entry, [Reachable(run.id)])

    def _call(self, item: Incoming, run: KnownRun, now: int) -> _Part:
        spec = item.spec
        number, name = step_of_call(spec)
        if not number or spec.callback is None:
            raise ConfigurationError(
                "WA121",
                "the message of a call step names its step and its callback",
                where=f"run {run.run_id!r}",
                found="headers Upstash-Callback and Upstash-Callback-Forward-... are missing",
            )
        self._check_number(number, run)
        messages = self._engine.wire.messages
        op = messages.op(MessageKind.CALL, spec, item.body, now, run=run.id, step=number)
        entry = Entry(run.id, now, EntryKind.STEP_WAITING, StepKind.CALL, number, name)
        return _Part(run, op._replace(labels=()), entry, [Reachable(run.id)])

    def _check_number(self, number: int, run: KnownRun) -> None:
        most = self._engine.limits.steps
        if number > most:
            raise LimitError(
                "WA503", where=f"run {run.run_id}", found=f"expected at most {most} steps"
            )

    def visit_op(
        self,
        kind: MessageKind,
        config: MessageSpec,
        spec: MessageSpec,
        body: bytes,
        now: int,
        *,
        run: int,
        step: int | None,
        source: int | None = None,
    ) -> AddMessage:
        """The operation that adds a visit of a run, held back by the key of the run."""
        messages = self._engine.wire.messages
        flow_key = flow_key_of(config, spec)
        op = messages.op(kind, spec, body, now, run=run, step=step, source=source)
        due_at = now if op.due_at is None and flow_key is not None else op.due_at
        return op._replace(flow_key=flow_key, due_at=due_at, labels=())

    # Runs that begin.

    async def _begin(self, item: Incoming, now: int) -> Accepted:
        spec = item.spec
        part = _part_of(spec)
        run_id = self._run_id(spec)
        most = self._engine.limits.invoke_depth
        if part.invoke_count > most:
            raise LimitError(
                "WA503",
                "runs invoke runs too deep",
                where=f"run {run_id}",
                found=f"expected at most {most} levels, found {part.invoke_count}",
                fix=("let a run end before the next one starts", "raise Limits.invoke_depth"),
            )
        if part.run_id != run_id:
            spec = replace(spec, workflow=replace(part, run_id=run_id))
            item = replace(item, spec=spec)
        if part.trigger_by_sdk:
            again = self._engine.wire.known.find(run_id)
            if again is not None and not again.triggered:
                return await self._trigger_again(item, again, now)
        if part.invoke:
            return await self._invoke(item, read_invocation(item.body), now)
        run = self.new_run(spec, item.body, now)
        return await self._add(self._first(run, item, item.body, now), item)

    async def _invoke(self, item: Incoming, asked: Invocation, now: int) -> Accepted:
        """Source: protocol 4.6."""
        parent = self._engine.wire.known.running(asked.run_id)
        step = asked.step
        self._check_number(step.step_id, parent)
        run = self.new_run(item.spec, asked.body, now)
        run.parent, run.parent_step = parent.id, step.step_id
        part = self._first(run, item, asked.body, now)
        part.before = [Reachable(parent.id), Unasked(parent.id, step.step_id), *part.before]
        part.after = [self.waiter(parent.id, step, asked.spec)]
        part.beside = [
            Entry(parent.id, now, EntryKind.STEP_WAITING, StepKind.INVOKE, step.step_id, step.name)
        ]
        return await self._add(part, item, parent)

    async def _trigger_again(self, item: Incoming, run: KnownRun, now: int) -> Accepted:
        """The SDK that was asked to trigger a run has done so. Source: protocol 3.4."""
        spec = triggered_again(run.config, item.spec)
        op = self.visit_op(MessageKind.VISIT, spec, spec, item.body, now, run=run.id, step=0)
        entry = Entry(run.id, now, EntryKind.MESSAGE_CREATED)
        part = _Part(run, op, entry, [Reachable(run.id)])
        return await self._add(part, replace(item, spec=spec), run)

    def _first(self, run: AddRun, item: Incoming, payload: bytes, now: int) -> _Part:
        """A new run with its first visit."""
        spec = item.spec
        asked_again = _part_of(spec).unknown_sdk
        kind = MessageKind.TRIGGER if asked_again else MessageKind.VISIT
        op = self.visit_op(kind, spec, spec, payload, now, run=0, step=0)
        op = op._replace(caller_ip=item.caller_ip, schedule=item.schedule)
        return _Part(run, op, Entry(0, now, EntryKind.RUN_STARTED), [run])

    def child(
        self, parent: int, step: StepKey, plan: Invoke, options: RunOptions
    ) -> tuple[AddRun, AddMessage]:
        """The run that a step of a run with checkpoints invokes, and its first visit.

        Raises:
            ConfigurationError: an option cannot be used.
        """
        now = self._engine.clock.now_ms()
        flow = options.flow_control
        headers = self._engine.opened(options).headers
        given = MessageSpec(
            url=plan.workflow,
            headers={canonical_name(name): value for name, value in headers.items()},
            retries=options.retries,
            retry_delay=options.retry_delay,
            flow_key=None if flow is None else flow.key,
            flow_value=None if flow is None else flow.to_value(),
            labels=options.labels,
            failure_callback=options.failure_url,
            redact=None if options.redact is None else {**options.redact},
            workflow=WorkflowPart(run_id=plan.run_id, invoke_count=options.depth),
        )
        spec = rest_trigger(given, self._run_id(given))
        item = Incoming(spec, plan.body)
        self._check(item)
        run = self.new_run(spec, plan.body, now)
        run.parent, run.parent_step = parent, step
        first = self._first(run, item, plan.body, now).op
        return run, first._replace(due_at=now if first.due_at is None else first.due_at)

    def new_run(
        self, spec: MessageSpec, payload: bytes, now: int, origin: str | None = None
    ) -> AddRun:
        """The operation that adds a remote run, without a first visit."""
        options = RunOptions(
            retries=spec.retries,
            retry_delay=spec.retry_delay,
            labels=spec.labels,
            redact=spec.redact,
            depth=_part_of(spec).invoke_count,
            origin=origin,
        ).to_json()
        return AddRun(
            run_id=spec.run_id or "",
            workflow=_part_of(spec).url or spec.url,
            phase=Phase.REMOTE,
            due_at=None,
            token=0,
            created_at=now,
            input=payload,
            options=json.dumps(options) if options else None,
            flow_key=spec.flow_key,
            labels=spec.labels,
        )

    async def _add(self, part: _Part, item: Incoming, there: KnownRun | None = None) -> Accepted:
        """`there`: the run that has to be there: the one that invokes, or that begins again."""
        known = self._engine.wire.known
        outcome = await self._commit([part], [item])
        if isinstance(outcome, Applied):
            message = outcome.messages[0][0]
            known.forget(part.run.run_id)
            if isinstance(part.run, AddRun):
                known.begun(part.run, outcome.run, item.spec, message)
            return self._accepted(part, message)
        if isinstance(outcome.op, Reachable) and there is not None:
            known.forget(there.run_id)
            raise not_running(there.run_id)
        reads = self._engine.store.messages.remote
        if isinstance(outcome.op, Unasked) and there is not None:
            found = reads.child(there.id, outcome.op.step)
        else:
            found = reads.run(item.spec.run_id or "")
        if found is None:
            return self._accepted(part, outcome.existing, deduplicated=True)
        return Accepted(found.first, found.url, True, found.run_id, found.created_at)

    # What both have in common.

    def waiter(self, run: int, step: WireStep, spec: MessageSpec) -> AddWaiter:
        """What an invocation or a wait leaves behind: how its outcome is delivered."""
        asked = {
            "step": step.to_json(),
            "spec": json.loads(self._engine.wire.messages.stored(spec)),
        }
        return AddWaiter(
            run,
            step.step_id,
            WaiterKind.REMOTE,
            StepKind.of_wire(step.type),
            step.name,
            data=encode(asked),
        )

    async def _commit(self, parts: Sequence[_Part], items: Sequence[Incoming]) -> Applied | Refused:
        messages = self._engine.wire.messages
        ops: list[Op] = messages.flow_ops(item.spec for item in items)
        entries: list[Entry] = []
        asked: list[Op] = []
        for nth, part in enumerate(parts, 1):
            new = [op for op in part.before if op not in asked]
            asked += new
            ops += [*new, part.op, *part.after]
            part.entry.message = -nth
            entries += [part.entry, *part.beside]
        return await messages.commit(ops, entries)

    def _accepted(self, part: _Part, message: int, *, deduplicated: bool = False) -> Accepted:
        run = part.run
        return Accepted(message, part.op.url, deduplicated, run.run_id, run.created_at)

    def _run_id(self, spec: MessageSpec) -> str:
        """As it is given, with its prefix; else a new one."""
        given = spec.run_id
        if given is None:
            return f"wfr_{self._engine.new_id(21)}"
        return checked_run_id(given)


def _begins(spec: MessageSpec) -> bool:
    return _part_of(spec).init is True


def _part_of(spec: MessageSpec) -> WorkflowPart:
    return spec.workflow or WorkflowPart()
