"""One run while this process advances it: the Journal in process.

It turns what an invocation asks into Changes, each of which relies on the run's lease, and
brings back what was stored, in the order of storing. It also hears when the invocation is
idle or over, and parks or ends the run.

The lease is a token that only grows. A run that is parked may keep its task for a while, so
that a call of a second needs no replay; if such a task goes on by itself, its next change
first takes the lease again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from workflow_agents.core.failures import to_json
from workflow_agents.core.journal import (
    Admission,
    Again,
    Call,
    Closed,
    Deliveries,
    Ending,
    Failed,
    Failure,
    Invoke,
    Plan,
    Sleep,
    WaitForEvent,
)
from workflow_agents.core.options import RunOptions
from workflow_agents.errors import StoreError
from workflow_agents.protocol.codec import decode, encode
from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind
from workflow_agents.store.changes import (
    AddWaiter,
    AppendMessages,
    Applied,
    Broken,
    Change,
    DropDelivery,
    DropWaiter,
    Entry,
    FreeFlow,
    Guard,
    Notify,
    Op,
    Outcome,
    Park,
    Progress,
    Refused,
    Release,
    Unpark,
    WaiterKind,
    WaitForNotification,
    Woken,
)
from workflow_agents.store.interface import RunRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

logger = logging.getLogger(__name__)

_STORE_RETRY_S = 0.25
_AT_ONCE = frozenset({WaiterKind.CALL, WaiterKind.INVOKE, WaiterKind.ADMISSION})


class _State(Enum):
    LEASED = auto()
    PARKED = auto()
    ENDED = auto()


class _Planned(NamedTuple):
    future: "asyncio.Future[None]"
    key: StepKey
    kind: StepKind
    name: str


class _Leased(NamedTuple):
    """A change that relies on the lease, and what follows from it."""

    ops: Sequence[Op]
    entries: Sequence[Entry]
    recorded: Recorded | None
    planned: _Planned | None
    last: bool


class LiveRun:
    """See the module."""

    def __init__(self, engine: "DurableEngine", row: RunRow, options: RunOptions) -> None:
        self.row = row
        self.options = options
        self.token = row.token
        self.invocation: Deliveries | None = None
        self._engine = engine
        self._run = row.id
        self._wakes = row.wakes
        self._attempt = row.attempt
        self._state = _State.LEASED
        self._soon: set[StepKey] = set()
        self._withdrawn: set[StepKey] = set()
        self._closer: asyncio.TimerHandle | None = None

    # The journal.

    def record(
        self, key: StepKey, kind: StepKind, name: str, data: bytes, *, ok: bool, waited: bool
    ) -> None:
        """See `Journal.record`."""
        ops: list[Op] = [DropWaiter(self._run, key, self._now())] if waited else []
        entry = self._entry(
            EntryKind.STEP_SUCCESS if ok else EntryKind.STEP_FAILED, kind, key, name, data
        )
        entry.outcome = True
        self._submit(ops, (entry,), recorded=Recorded(key, kind, name, ok, data))

    def plan(self, key: StepKey, kind: StepKind, name: str, plan: Plan) -> "asyncio.Future[None]":
        """See `Journal.plan`."""
        planned: asyncio.Future[None] = self._engine.loop.create_future()
        now = self._now()
        ops: list[Op] = []
        entries: list[Entry] = []
        waiter = AddWaiter(self._run, key, WaiterKind.TIMER, kind, name)
        entry = self._entry(EntryKind.STEP_WAITING, kind, key, name, None)
        match plan:
            case Sleep(due_at=due_at, after_ms=after_ms):
                waiter.due_at = now + (after_ms or 0) if due_at is None else due_at
                entry.data = b'{"until":%d}' % waiter.due_at
            case Again():
                waiter.kind, waiter.attempts = WaiterKind.RETRY, plan.attempts
                waiter.due_at = now + plan.after_ms
                entry.kind = EntryKind.STEP_RETRY
                failure = to_json(plan.failure, attempts=plan.attempts)
                entry.data = encode({**failure, "until": waiter.due_at})
                ops.append(DropWaiter(self._run, key, now))
                if plan.flow_control is not None:
                    # The slot is given back, and has to be had again.
                    waiter.flow_key = plan.flow_control.key
            case Admission(flow_control=flow):
                waiter.kind, waiter.due_at, waiter.flow_key = WaiterKind.ADMISSION, now, flow.key
                entry.data = encode({"flowControl": flow.key})
                ops.append(self._engine.flow_limits.set(flow))
                self._soon.add(key)
            case Call():
                waiter.kind, owed = WaiterKind.CALL, self._engine.deliveries.owe_call
                ops.append(owed(self._run, key, plan, now, self.options.asks))
                if plan.flow_control is not None:
                    ops.append(self._engine.flow_limits.set(plan.flow_control))
                from workflow_agents.core.redaction import redacted_headers, shown_headers

                shown = redacted_headers(shown_headers(plan.headers), self.options.redact)
                entry.data = encode({"method": plan.method, "url": plan.url, "headers": shown})
                entry.owes = True
                self._soon.add(key)
            case WaitForEvent(event_id=event_id, timeout_ms=timeout_ms, details=details):
                waiter.kind, waiter.event = WaiterKind.EVENT, event_id
                waiter.due_at = now + timeout_ms
                told = {} if details is None else {"details": details}
                entry.data = encode({"eventId": event_id, "until": waiter.due_at, **told})
                self._soon.add(key)
            case Invoke():
                child, *more = self._engine.intake.child(self.row, self.options, key, plan)
                waiter.kind = WaiterKind.INVOKE
                ops += [child, *more]
                first_visit = -1 if more else None
                entries.append(Entry(0, now, EntryKind.RUN_STARTED, message=first_visit))
                entry.data = encode({"workflow": plan.workflow, "workflowRunId": child.run_id})
                self._soon.add(key)
        if waiter.kind == WaiterKind.EVENT:
            ops.append(WaitForNotification(waiter, now))
        else:
            ops.append(waiter)
        if waiter.due_at is not None and waiter.due_at - now <= self._engine.keep_ms:
            self._soon.add(key)
        due_at = now if waiter.kind in _AT_ONCE else waiter.due_at
        if due_at is not None:
            planned.add_done_callback(lambda _: self._engine.dispatcher.expect(due_at))
        self._submit(ops, (*entries, entry), planned=_Planned(planned, key, kind, name))
        return planned

    def withdraw(self, key: StepKey, name: str) -> None:
        """See `Journal.withdraw`."""
        if self._state is _State.ENDED:
            return
        self._soon.discard(key)
        self._withdrawn.add(key)
        self._engine.deliveries.abort(self._run, key)
        now = self._now()
        entry = Entry(self._run, now, EntryKind.STEP_WITHDRAWN, step=key, name=name)
        ops: list[Op] = [DropWaiter(self._run, key, now), DropDelivery(self._run, key, now)]
        self._submit(ops, (entry,))

    def notify(
        self, key: StepKey, name: str, event_id: str, data: bytes, run_id: str | None
    ) -> None:
        """See `Journal.notify`."""
        if self._state is _State.ENDED:
            return
        told = self._engine.intake.event_data(data)
        try:
            target = self._engine.store.run(run_id) if run_id is not None else None
        except StoreError as error:
            # The code of a branch could only fail of it, while others wait for what it would do.
            logger.error("run %s: %s", self.row.run_id, error)
            self._later(lambda: self.notify(key, name, event_id, data, run_id))
            return
        ops: list[Op] = []
        if run_id is None or target is not None:
            run = None if target is None else target.id
            ops.append(Notify(event_id, run, self._now(), told, self._remote(data)))

        def result(applied: Applied) -> bytes:
            return encode(
                {
                    "eventId": event_id,
                    "eventData": decode(told)["data"],
                    "notified": self._engine.intake.woken(applied),
                    "kept": bool(applied.kept),
                }
            )

        entry = self._entry(EntryKind.STEP_SUCCESS, StepKind.NOTIFY, key, name, None)
        entry.outcome, entry.data = True, result
        recorded = Recorded(key, StepKind.NOTIFY, name, ok=True, data=b"")
        self._submit(ops, (entry,), recorded=recorded)

    def _remote(self, data: bytes) -> bytes | None:
        """A notification as remote runs are told of it, of which there are some on a server."""
        if not self.options.checkpoints:
            return None
        from workflow_agents.protocol.raw_steps import notified

        return notified(data)

    async def recall(
        self, conversation: str, *, up_to: int | None, last: int | None
    ) -> tuple[int, list[bytes]]:
        """See `Journal.recall`."""
        while True:
            try:
                found = self._engine.store.conversation(conversation, up_to=up_to, last=last)
            except StoreError as error:
                logger.error("run %s: %s", self.row.run_id, error)
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                return (found[-1][0] if found else 0), [data for _, data in found]

    def remember(
        self, key: StepKey, name: str, conversation: str, messages: Sequence[bytes]
    ) -> None:
        """See `Journal.remember`."""

        def result(applied: Applied) -> bytes:
            return encode({"conversation": conversation, "upTo": applied.up_to})

        entry = self._entry(EntryKind.STEP_SUCCESS, StepKind.RUN, key, name, None)
        entry.outcome, entry.data = True, result
        recorded = Recorded(key, StepKind.RUN, name, ok=True, data=b"")
        op = AppendMessages(conversation, self._now(), messages)
        self._submit([op], (entry,), recorded=recorded)

    def new_event_id(self) -> str:
        """See `Journal.new_event_id`."""
        return f"evt_{self._engine.new_id(22)}"

    def webhook_url(self, event_id: str) -> str:
        """See `Journal.webhook_url`."""
        return self._engine.webhook_url(self.row.run_id, event_id)

    def cancel(self) -> None:
        """See `Journal.cancel`."""

        def told(outcome: Outcome) -> None:
            if isinstance(outcome, Broken):
                self._later(self.cancel)
                return
            self._engine.deliveries.abort_run(self._run)
            self.close()
            self._engine.poke()

        self._engine.commits.submit(self._engine.ends.canceled(self.row), told)

    # What arrives from elsewhere.

    def woken(self, woken: Woken) -> None:
        """News were stored for this run; each wake-up is told once."""
        if woken.wakes <= self._wakes or self.invocation is None:
            return
        self._wakes = woken.wakes
        self._soon.discard(woken.news.key)
        self.invocation.deliver(woken.news)

    def claimed(self, token: int) -> None:
        """The dispatcher took the lease for us, while the task was kept."""
        self.token = token
        self._resumed()

    def release(self, after_ms: int = 0) -> None:
        """Who has the run stops: give the lease back, so that this counts as no crash."""
        if self._state is _State.LEASED and self._run:
            change = Change((Release(self._run, self.token, self._now() + after_ms),))
            self._engine.commits.submit(change, lambda _outcome: self._engine.poke())
        self.close()

    @property
    def parked(self) -> bool:
        """Whether the run is parked, and its task kept."""
        return self._state is _State.PARKED

    def close(self) -> None:
        """End the invocation; the run is rows, or somebody else's."""
        self._state = _State.ENDED
        if self._closer is not None:
            self._closer.cancel()
        self._engine.forget(self)
        if self.invocation is not None:
            self.invocation.close()

    # What the invocation comes to.

    def idle(self) -> None:
        """Everything waits elsewhere: park, unless news are under way."""
        if self._state is not _State.LEASED or self.invocation is None or not self.invocation.idle:
            return
        ops: list[Op] = [Park(self._run, self.token, self._wakes)]
        if self.options.flow_control is not None:
            ops.append(FreeFlow(self.options.flow_control.key, self._now()))
        change = Change(ops)

        def told(outcome: Outcome) -> None:
            if isinstance(outcome, Broken):
                self._later(self.idle)
            elif isinstance(outcome, Applied) and self._state is _State.LEASED:
                self._parked()

        self._engine.commits.submit(change, told)

    def _parked(self) -> None:
        self._state = _State.PARKED
        invocation = self.invocation
        keep_ms = self._engine.keep_ms
        # With flow control, going on has to be admitted: only the dispatcher does that.
        alone = self.options.flow_control is not None
        if not self._soon or keep_ms <= 0 or invocation is None or alone or invocation.holds_thread:
            self.close()
        else:
            self._closer = self._engine.loop.call_later(keep_ms / 1000, self._close_if_parked)

    def _close_if_parked(self) -> None:
        if self._state is _State.PARKED:
            self.close()
            self._engine.poke()

    def ended(self, ending: Ending) -> None:
        """The function returned or raised, or somebody closed the invocation."""
        if isinstance(ending, Closed) or self._state is _State.ENDED:
            return
        try:
            ops, entries = self._engine.ends.of(self.row, self.options, ending, self._attempt)
        except StoreError as error:
            # What the end of a remote run is told with is read from the store.
            logger.error("run %s: %s", self.row.run_id, error, extra={"run_id": self.row.run_id})
            self._later(lambda: self.ended(ending))
            return
        self._submit(ops, entries, last=True)

    # Changes that rely on the lease.

    def _submit(
        self,
        ops: Sequence[Op],
        entries: Sequence[Entry],
        *,
        recorded: Recorded | None = None,
        planned: "_Planned | None" = None,
        last: bool = False,
    ) -> None:
        if self._attempt and recorded is not None:
            self._attempt = 0
            ops = [*ops, Progress(self._run)]
        self._send(_Leased(ops, entries, recorded, planned, last))

    def _send(self, leased: "_Leased") -> None:
        if self._state is _State.ENDED:
            return
        used = self.token
        if self._state is _State.PARKED:
            first: Op = Unpark(self._run, used)
            # What is submitted behind this one relies on it.
            self.token += 1
            self._resumed()
        else:
            first = Guard(self._run, used)

        def told(outcome: Outcome) -> None:
            if type(outcome) is Applied:
                self._applied(leased, outcome)
            elif isinstance(outcome, Refused):
                self._refused(leased, outcome, used)
            elif isinstance(outcome, Broken):
                self._broken(leased, outcome.error, first, used)

        self._engine.commits.submit(Change((first, *leased.ops), leased.entries), told)

    def _resumed(self) -> None:
        self._state = _State.LEASED
        if self._closer is not None:
            self._closer.cancel()
            self._closer = None

    def _broken(self, leased: "_Leased", error: Exception, first: Op, used: int) -> None:
        """The store cannot be written now: what is finished waits until it can."""
        logger.error("run %s: %s", self.row.run_id, error, extra={"run_id": self.row.run_id})
        if isinstance(first, Unpark) and self.token == used + 1:
            self.token, self._state = used, _State.PARKED
        if isinstance(error, StoreError):
            self._later(lambda: self._send_again(leased))
        elif leased.last:
            self.close()
        else:
            # No disk is to blame: this change will never be stored.
            self.ended(Failed(Failure(type(error).__name__, str(error), final=True)))

    def _send_again(self, leased: "_Leased") -> None:
        """The store would not take it before; meanwhile the code may have thought better of it."""
        if leased.planned is None or leased.planned.key not in self._withdrawn:
            self._send(leased)

    def _applied(self, leased: "_Leased", applied: Applied) -> None:
        recorded, planned = leased.recorded, leased.planned
        if recorded is not None:
            if applied.data is not None:
                recorded.data = applied.data
            if self.invocation is not None:
                self.invocation.deliver(recorded)
        if planned is not None and not planned.future.done():
            planned.future.set_result(None)
        if leased.last:
            self.close()
            self._engine.poke()

    def _refused(self, leased: "_Leased", refused: Refused, used: int) -> None:
        if self._state is _State.ENDED:
            return
        recorded, planned = leased.recorded, leased.planned
        if isinstance(refused.op, Guard | Unpark):
            if self.token != used:
                # The dispatcher leased the run for us meanwhile, or an Unpark was not stored.
                self._send(leased)
            else:
                self.close()
                self._engine.look_again(self._run)
            return
        try:
            if planned is not None and recorded is None:
                child = self._engine.store.run(refused.existing)
                if child is None or (child.parent, child.parent_step) != (self._run, planned.key):
                    self._id_is_taken(planned)
                    return
                # Else it is ours, stored by an attempt to write whose answer was lost.
            elif recorded is not None and self.invocation is not None:
                # Stored before, by an attempt whose answer was lost: what is stored stands.
                for stored in self._engine.store.history(self._run).recorded:
                    if stored.key == recorded.key:
                        self.invocation.deliver(stored)
        except StoreError as error:
            logger.error("run %s: %s", self.row.run_id, error)
            self._later(lambda: self._refused(leased, refused, used))
            return
        if planned is not None and not planned.future.done():
            planned.future.set_result(None)

    def _id_is_taken(self, planned: "_Planned") -> None:
        """The step has failed. It waits for nothing else, so it is at work until that is stored."""
        key, kind, name = planned.key, planned.kind, planned.name
        failure = Failure("UsageError", "WA608 a run with this id is there already", 409)
        data = encode(to_json(failure, attempts=1))
        entry = self._entry(EntryKind.STEP_FAILED, kind, key, name, data)
        entry.outcome = True
        recorded = Recorded(key, kind, name, ok=False, data=data)
        self._submit([], (entry,), recorded=recorded, planned=planned)

    def _later(self, action: Callable[[], None]) -> None:
        self._engine.loop.call_later(_STORE_RETRY_S, action)

    def _entry(
        self, kind: EntryKind, type: StepKind, key: StepKey, name: str, data: bytes | None
    ) -> Entry:
        return Entry(self._run, self._now(), kind, type, key, name, data)

    def _now(self) -> int:
        return self._engine.clock.now_ms()
