"""Time that a test need not wait for: it jumps when nothing else can happen.

Time moves only while the test waits for something here: the end of a run, news of it, a step
that waits. Then, whenever no code runs, no request is under way and nothing is due, the clock
is set to whatever is due next. So a test can trigger, look and notify in peace, and a wait of
thirty days is over at once. Steps' bodies, and servers on loopback, take the time that they
take: they are waited for.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from workflow_agents.core.checks import checked_body
from workflow_agents.core.lifecycle import Phase, is_ended
from workflow_agents.core.logs import RunLog
from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.in_process import InProcess
from workflow_agents.store.changes import Change, Outcome
from workflow_agents.store.interface import RunRow
from workflow_agents.testing.virtual_time import Deadlock, VirtualTime

T = TypeVar("T")

_LOOK_AGAIN_S = 0.02
_TURNS = 20
"""How often the loop turns before time jumps, so that the test's other tasks act first."""
_JUMPS_WITHOUT_NEWS = 10_000


class Skipping:
    """Moves the virtual time of an engine. See the module.

    Attributes:
        answers: events, and what whoever waits for them is told, before time jumps.
        check: called before time jumps; what it raises ends the wait.
    """

    def __init__(self, engine: DurableEngine, time: VirtualTime) -> None:
        self.answers: dict[str, object] = {}
        self.check: Callable[[], None] = _nothing
        self._engine = engine
        self._time = time
        self._changed = asyncio.Event()
        self._jumps = 0
        self._settling = 0
        engine.on_commit = self._committed

    async def until(self, reached: Callable[[], T | None], what: str) -> T:
        """Wait until `reached` returns something, and let time jump meanwhile.

        Raises:
            Deadlock: nothing is left that could bring it; `what` is named.
        """
        while True:
            self._engine.ensure_running()
            self.check()
            found = reached()
            if found is not None:
                return found
            if not self._at_rest():
                await self._news()
            elif await self._others_act() or self._settling or await self._answer():
                continue
            elif (found := reached()) is None:
                self._jump(self._next(what))

    async def settle(self) -> None:
        """Wait until nothing more happens at this time. No other wait lets time jump meanwhile."""
        self._settling += 1
        try:
            while True:
                self._engine.ensure_running()
                self.check()
                if not self._at_rest():
                    await self._news()
                elif not (await self._others_act() or await self._answer()):
                    return
        finally:
            self._settling -= 1

    async def advance(self, ms: int) -> None:
        """Let so much time pass, and all that is due meanwhile happen in its order."""
        target = self._engine.clock.now_ms() + ms
        while True:
            await self.settle()
            now = self._engine.clock.now_ms()
            next_at = self._engine.store.due(now, 1).next_at
            if next_at is None or next_at > target:
                self._jump(target)
                await self.settle()
                return
            self._jump(next_at)

    def _at_rest(self) -> bool:
        if self._engine.busy:
            return False
        due = self._engine.store.due(self._engine.clock.now_ms(), 1)
        if due.runs or due.waiters or due.deliveries:
            self._engine.poke()
            return False
        return True

    async def _others_act(self) -> bool:
        self._changed.clear()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if self._changed.is_set() or self._engine.busy:
                return True
        return not self._at_rest()

    async def _answer(self) -> bool:
        for event, data in self.answers.items():
            if self._engine.store.waiters_for(event, None):
                told = data() if callable(data) else data
                content, _ = checked_body(told, where=f"the answer to event {event!r}")
                await self._engine.intake.notify(event, content, None)
                return True
        return False

    async def _news(self) -> None:
        """Wait for a commit; not for ever, because what ends without one is news as well."""
        self._changed.clear()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if self._changed.is_set() or self._at_rest():
                return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN_S):
                await self._changed.wait()

    def _committed(self, changes: Sequence[Change], _outcomes: Sequence[Outcome]) -> None:
        if any(change.entries for change in changes):
            self._jumps = 0
        self._changed.set()

    def _jump(self, at: int) -> None:
        self._time.advance(max(0, at - self._engine.clock.now_ms()))
        self._engine.poke()

    def _next(self, what: str) -> int:
        store = self._engine.store
        waiting = store.runs(workflow=None, phase=Phase.WAITING, label=None, before=None, limit=500)
        for row in waiting:
            if row.workflow not in self._engine.workflows:
                self._engine.served(row.workflow)
        next_at = store.due(self._engine.clock.now_ms(), 1).next_at
        self._jumps += 1
        if next_at is None or self._jumps > _JUMPS_WITHOUT_NEWS:
            raise Deadlock(f"nothing is left that would bring {what}\n{unended(self._engine)}")
        return next_at


class SkippingBackend(InProcess):
    """The client's port to an engine whose time jumps while a client waits."""

    def __init__(self, engine: DurableEngine, skipping: Skipping) -> None:
        super().__init__(engine)
        self._skipping = skipping

    async def end_of(self, run_id: str) -> RunLog:
        """See `Backend.end_of`."""
        admin = self._engine.admin

        def ended() -> RunRow | None:
            row = admin.find(run_id)
            return row if is_ended(row.phase) else None

        row = await self._skipping.until(ended, f"the end of run {run_id}")
        return admin.log(row, steps=False)

    async def feed(self, run_id: str, after: int) -> tuple[list[FeedEntry], bool]:
        """See `Backend.feed`."""
        admin = self._engine.admin

        def news() -> tuple[list[FeedEntry], bool] | None:
            row = admin.find(run_id)
            entries = admin.entries(row, after)
            return (entries, is_ended(row.phase)) if entries or is_ended(row.phase) else None

        return await self._skipping.until(news, f"news of run {run_id}")


def unended(engine: DurableEngine) -> str:
    """The runs that have not ended and what they wait for, for people."""
    lines: list[str] = []
    for row in engine.store.runs(workflow=None, phase=None, label=None, before=None, limit=20):
        if not is_ended(row.phase):
            waits = [f"{w.kind.label} {w.name!r}" for w in engine.store.history(row.id).waiting]
            lines.append(f"  {row.run_id} of {row.workflow} waits: {', '.join(waits) or 'nothing'}")
    return "\n".join(lines) or "  every run has ended"


def _nothing() -> None:
    return None
