"""Whoever is outside: those who publish messages and cancel them.

What was acknowledged is done; what was not is done again, in the life of the next process.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.simulation.processes import Processes
from tests.simulation.wire import records
from tests.simulation.wire.publishing import incoming
from tests.simulation.wire.scenario import Post, Scenario
from tests.simulation.wire.watch import Watch
from workflow_agents import StoreError
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.messages import DEDUPLICATION_MS, Published

PATIENCE_MS = 120_000
"""How long after the last post everything has to have ended; far longer than it takes."""


@dataclass(frozen=True)
class Taken:
    """A publish that was acknowledged, and as which attempt."""

    attempt: int
    published: Published


class Outside:
    """See the module.

    Attributes:
        taken: by post.
        attempts: how often each post was published.
        refused: (post, attempt) of which it was said that nothing was taken.
        to_cancel: messages that somebody has tried to cancel.
    """

    def __init__(
        self, scenario: Scenario, processes: Processes[DurableEngine], watch: Watch
    ) -> None:
        self.taken: dict[str, Taken] = {}
        self.attempts: Counter[str] = Counter()
        self.refused: set[tuple[str, int]] = set()
        self.to_cancel: set[int] = set()
        self._scenario = scenario
        self._processes = processes
        self._database = processes.database
        self._watch = watch
        self._done: set[tuple[str, str]] = set()
        self._patience_ms = PATIENCE_MS + max((p.at_ms for p in scenario.posts), default=0)

    @property
    def is_late(self) -> bool:
        """Whether all should have ended long ago."""
        return self._processes.time.ms > self._patience_ms

    async def act(self, engine: DurableEngine) -> None:
        """Do towards this engine all that is to be done, until nothing is owed any more."""
        async with asyncio.TaskGroup() as tasks:
            for post in self._scenario.posts:
                tasks.create_task(self._post(engine, post))
        while not self.is_late:
            if records.is_quiet(self._database) and not engine.busy:
                return
            await asyncio.sleep(0.05)

    async def _post(self, engine: DurableEngine, post: Post) -> None:
        await self._at(post.at_ms)
        await self._once(post, "publish", lambda: self._publish(engine, post))
        if post.cancel_at_ms is not None:
            await self._at(post.cancel_at_ms)
            await self._once(post, "cancel", lambda: self._cancel(engine, post))

    async def _publish(self, engine: DurableEngine, post: Post) -> None:
        attempt = self.attempts[post.name] = self.attempts[post.name] + 1
        now = self._processes.clock.now_ms()
        try:
            published = await engine.wire.messages.publish(incoming(post, attempt))
        except StoreError:
            self.refused.add((post.name, attempt))
            raise
        self.taken[post.name] = Taken(attempt, published)
        if published.deduplicated:
            self._deduplicated(published.message, now)

    def _deduplicated(self, row: int, now: int) -> None:
        """The message that was there was accepted within the window (I15)."""
        self._watch.fired["deduplicated"] += 1
        there = records.message(self._database, row)
        if there is None:
            self._watch.violated("it is there, says a publish, but it is not (I15)", row)
        elif there.at + DEDUPLICATION_MS <= now:
            self._watch.violated("it was published too long ago to be the same (I15)", row)

    async def _cancel(self, engine: DurableEngine, post: Post) -> None:
        taken = self.taken[post.name].published
        self.to_cancel.add(taken.message)
        if await engine.wire.messages.cancel(taken.message):
            self._watch.canceled.add(taken.message)
            self._watch.fired["canceled"] += 1
        elif not any(
            entry.kind in records.ENDS for entry in records.entries(self._database, taken.message)
        ):
            self._watch.violated("it has not ended, and cannot be cancelled", taken.message)

    async def _once(self, post: Post, what: str, act: Callable[[], Awaitable[None]]) -> None:
        """Act until it is acknowledged; an answer that was not heard is none."""
        while (post.name, what) not in self._done:
            try:
                await act()
            except StoreError:
                await asyncio.sleep(0.3)
                continue
            self._done.add((post.name, what))
            self._watch.fired[what] += 1

    async def _at(self, ms: int) -> None:
        await asyncio.sleep(max(0.0, (ms - self._processes.time.ms) / 1000))
