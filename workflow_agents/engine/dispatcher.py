"""The loop that finds what is due and hands it on.

One task, supervised: whatever a pass raises is logged, and the next pass comes all the same.
It asks the store, so that nothing depends on what this process remembers; it sleeps until the
next due time, never longer than `_POLL_S`, because wall clocks step.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.store.changes import (
    Applied,
    Change,
    Claim,
    Entry,
    FlowStart,
    FreeFlow,
    FreeTurns,
    Hold,
    HoldDelivery,
    HoldWaiter,
    LeaseDelivery,
    Op,
    Outcome,
    Ready,
    Resolve,
    WaiterKind,
)
from workflow_agents.store.interface import DeliveryRow, RunRow, WaiterRow

if TYPE_CHECKING:
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.engine.engine import DurableEngine

logger = logging.getLogger(__name__)

_POLL_S = 1.0
_BATCH = 500
_UNSERVED_MS = 5_000
_ASK_AGAIN_MS = 60_000


class _Held(NamedTuple):
    """It has to wait: until when, and whether for a slot that somebody may give back sooner.

    Without a time, its key is paused, and whoever ends the pause makes it due.
    """

    until: int | None
    for_slot: bool = False


class Dispatcher:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._in_hand: set[object] = set()
        self._admitting: defaultdict[str, list[int]] = defaultdict(list)
        self._unserved: set[str] = set()
        self._looks_at = 0

    def start(self) -> None:
        """Begin."""
        self._task = self._engine.spawn(self._run())

    def halt(self) -> None:
        """Claim nothing more."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """The same, and wait until it is so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def poke(self) -> None:
        """Something may be due."""
        self._poked.set()

    def expect(self, at: int) -> None:
        """Something was stored that is due then."""
        if self._looks_at == 0 or at < self._looks_at:
            self._poked.set()

    async def _run(self) -> None:
        while True:
            self._poked.clear()
            wait_s = _POLL_S
            try:
                now = self._engine.clock.now_ms()
                more, next_at = self._pass(now)
                if more:
                    wait_s = 0.0
                elif next_at is not None:
                    wait_s = min(_POLL_S, max(0.0, (next_at - now) / 1000))
            except Exception:  # the loop outlives whatever one pass met
                logger.exception("a pass over what is due failed; the next one follows")
            if wait_s == 0.0:
                await asyncio.sleep(0)
                continue
            self._looks_at = self._engine.clock.now_ms() + int(wait_s * 1000)
            timer = self._engine.loop.call_later(wait_s, self._poked.set)
            try:
                await self._poked.wait()
            finally:
                self._looks_at = 0
                timer.cancel()

    def _pass(self, now: int) -> tuple[bool, int | None]:
        engine = self._engine
        due = engine.store.due(now, _BATCH)
        in_hand = self._in_hand
        began = 0
        for waiter in due.waiters:
            if (waiter.run, waiter.step) not in in_hand:
                began += self._waiter(waiter, now)
        for delivery in due.deliveries:
            if delivery.id not in in_hand:
                began += self._delivery(delivery, now)
        for schedule in due.schedules:
            if ("schedule", schedule) not in in_hand:
                began += self._tick(schedule, now)
        for run in due.runs:
            if run.run_id not in in_hand and (run.id in engine.live or engine.has_room):
                began += self._invoke(run, now)
        full = max(map(len, (due.runs, due.waiters, due.deliveries, due.schedules))) >= _BATCH
        return full and began > 0, due.next_at

    def _invoke(self, row: RunRow, now: int) -> bool:
        engine = self._engine
        options = engine.options_of(row)
        if row.workflow not in engine.workflows and not options.checkpoints:
            if row.workflow not in self._unserved:
                self._unserved.add(row.workflow)
                logger.warning(
                    "WA107 run %s waits: no workflow %r is served here",
                    row.run_id,
                    row.workflow,
                    extra={"run_id": row.run_id, "code": "WA107"},
                )
            self._commit(row.run_id, Hold(row.id, row.token, now + _UNSERVED_MS))
            return True
        start: list[Op] = []
        flow = options.flow_control
        if flow is not None:
            flow = engine.flow_limits.with_pinned(flow)
            held = self._admission(flow.key, flow, now)
            if held is not None:
                self._hold(row.run_id, Hold(row.id, row.token, held.until), flow.key, held)
                return True
            start.append(self._started(flow, now))

        def told(outcome: Outcome) -> None:
            if flow is not None:
                self._admitted(flow, now)
            if isinstance(outcome, Applied):
                row.token += 1
                engine.claimed(row)

        self._commit(row.run_id, Claim(row.id, row.token), *start, told=told)
        return True

    def _waiter(self, waiter: WaiterRow, now: int) -> bool:
        key = (waiter.run, waiter.step)
        kind = waiter.kind
        if kind == WaiterKind.ADMISSION or (kind == WaiterKind.RETRY and waiter.flow_key):
            flow_key = waiter.flow_key or ""
            flow = self._engine.flow_limits.of(flow_key)
            if flow is None:
                self._commit(key, HoldWaiter(waiter.run, waiter.step, now + _UNSERVED_MS))
                return True
            held = self._admission(flow_key, flow, now)
            if held is not None:
                self._hold(key, HoldWaiter(waiter.run, waiter.step, held.until), flow_key, held)
                return True
            ops: list[Op] = [Ready(waiter.run, waiter.step, kind, now), self._started(flow, now)]

            self._commit(key, *ops, told=lambda _outcome: self._admitted(flow, now))
        elif kind == WaiterKind.RETRY:
            self._commit(key, Ready(waiter.run, waiter.step, kind, now))
        else:
            outcome = _outcome_of_time(kind)
            self._commit(key, Resolve(waiter.run, waiter.step, kind, now, outcome, must=True))
        return True

    def _delivery(self, row: DeliveryRow, now: int) -> bool:
        if row.message is not None and not self._engine.deliveries.has_room:
            return False
        start: list[Op] = []
        pause_key = row.pause_key
        if pause_key is not None and self._held_by_pause(row, pause_key, now):
            return True
        flow_key = row.flow_key
        flow = None if flow_key is None else self._engine.flow_limits.of(flow_key)
        if flow_key is not None:
            held = self._admission(flow_key, flow, now, elsewhere=True)
            if held is not None:
                self._hold(row.id, HoldDelivery(row.id, held.until), flow_key, held)
                return True
        if flow is not None:
            start.append(self._started(flow, now))

        def told(outcome: Outcome) -> None:
            if flow is not None:
                self._admitted(flow, now)
            if pause_key is not None:
                self._engine.pauses.begun(pause_key)
            if isinstance(outcome, Applied):
                self._engine.deliveries.attempt(row)

        if pause_key is not None:
            self._engine.pauses.beginning(pause_key)
        entries: tuple[Entry, ...] = ()
        if row.message is not None and not row.run:
            entries = (Entry(0, now, EntryKind.MESSAGE_ACTIVE, message=row.message),)
        lease = LeaseDelivery(row.id, row.attempt)
        self._commit(row.id, lease, *start, told=told, entries=entries)
        return True

    def _tick(self, schedule: str, now: int) -> bool:
        taking = self._engine.wire.schedules.tick(schedule, now)
        if taking is None:
            return False

        def told(outcome: Outcome) -> None:
            if isinstance(outcome, Applied):
                self._engine.wire.messages.begin(taking.added, outcome)

        self._commit(("schedule", schedule), *taking.ops, told=told, entries=taking.entries)
        return True

    def _held_by_pause(self, row: DeliveryRow, pause_key: str, now: int) -> bool:
        """Whether the request has to wait, because the provider refused others of its key."""
        from workflow_agents.core.pauses import Begin, WaitForEnd, WaitForTurn

        passed_on: list[Op] = []
        if row.flow_key is not None and not row.held:
            # It may be the one that a free slot has woken.
            passed_on.append(FreeFlow(row.flow_key, now))
        match self._engine.pauses.may_begin(pause_key, now):
            case Begin():
                return False
            case WaitForEnd(until):
                entries: list[Entry] = []
                if not row.held and not row.attempt:
                    # Whoever was refused itself has said so.
                    why = encode({"until": until, "pauseKey": pause_key})
                    kind, does = EntryKind.STEP_WAITING, StepKind.CALL
                    entries.append(Entry(row.run, now, kind, does, row.step, data=why))
                hold = HoldDelivery(row.id, until, paused=True)
                self._commit(row.id, hold, *passed_on, entries=entries)
            case WaitForTurn():
                # Whoever ends lets it ask again; this is for what nobody has thought of.
                later = now + _ASK_AGAIN_MS

                def told(_outcome: Outcome) -> None:
                    if isinstance(self._engine.pauses.may_begin(pause_key, now), Begin):
                        self._free(FreeTurns(pause_key, now, 1))

                hold = HoldDelivery(row.id, later, paused=True)
                self._commit(row.id, hold, *passed_on, told=told)
        return True

    def _admission(
        self, key: str, flow: "FlowControl | None", now: int, *, elsewhere: bool = False
    ) -> "_Held | None":
        """None: it may start now; else when to ask again. `elsewhere`: a provider counts too."""
        if self._engine.flow_limits.is_paused(key):
            return _Held(None)
        if flow is None:
            return None
        from workflow_agents.core.admission import Admit, WaitUntil, admit, margin_ms

        margin = margin_ms(flow) if elsewhere else 0
        starting = self._admitting[flow.key]
        since = None if flow.rate is None else now - flow.period_ms - margin
        slots, starts = self._engine.store.flow(flow.key, since)
        decision = admit(
            flow,
            in_flight=slots + len(starting),
            recent_starts=sorted([*starts, *starting]),
            now=now,
            margin=margin,
        )
        if isinstance(decision, Admit):
            return None
        if isinstance(decision, WaitUntil):
            return _Held(decision.at_ms)
        # A slot that becomes free makes it due at once; this is for what nobody has thought of.
        return _Held(now + int(_POLL_S * 1000), for_slot=True)

    def _hold(self, thing: object, op: Op, key: str, held: "_Held") -> None:
        """Let it wait. What was given back before it waited has woken nobody."""

        def told(_outcome: Outcome) -> None:
            limits = self._engine.flow_limits
            now = self._engine.clock.now_ms()
            if held.until is None and not limits.is_paused(key):
                from workflow_agents.store.resource_changes import PauseFlow

                self._free(PauseFlow(key, False, now))
            elif held.for_slot:
                flow = limits.of(key)
                slots, _ = self._engine.store.flow(key, None)
                taken = slots + len(self._admitting.get(key, ()))
                if flow is not None and taken < (flow.parallelism or 0):
                    self._free(FreeFlow(key, now))

        self._commit(thing, op, told=told)

    def _free(self, op: Op) -> None:
        """Wake those who wait for what is free."""
        self._engine.commits.submit(Change((op,)), lambda _outcome: self.poke())

    def _started(self, flow: "FlowControl", now: int) -> FlowStart:
        from workflow_agents.core.admission import MOST_MARGIN_MS

        self._admitting[flow.key].append(now)
        return FlowStart(flow.key, now, now - flow.period_ms - MOST_MARGIN_MS)

    def _admitted(self, flow: "FlowControl", at: int) -> None:
        starting = self._admitting[flow.key]
        if at in starting:
            starting.remove(at)
        if not starting:
            del self._admitting[flow.key]

    def _commit(
        self,
        thing: object,
        *ops: Op,
        told: Callable[[Outcome], None] | None = None,
        entries: Sequence[Entry] = (),
    ) -> None:
        """Submit, and leave the thing alone until the outcome is known."""
        self._in_hand.add(thing)

        def done(outcome: Outcome) -> None:
            self._in_hand.discard(thing)
            if told is not None:
                told(outcome)

        self._engine.commits.submit(Change(ops, entries), done)


def _outcome_of_time(kind: int) -> bytes:
    """What it comes to that the time of a waiter is over."""
    if kind == WaiterKind.REMOTE:
        from workflow_agents.protocol.raw_steps import timed_out

        return timed_out()
    return encode({"data": None, "timeout": True} if kind == WaiterKind.EVENT else None)
