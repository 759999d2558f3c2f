"""Whoever is outside: those who publish messages, cancel them, and send dead letters again.

What was acknowledged is done; what was not is done again, in the life of the next process.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tests.simulation.processes import Processes
from tests.simulation.wire import records
from tests.simulation.wire.operators import Operators
from tests.simulation.wire.post_watch import PostWatch
from tests.simulation.wire.publishing import incoming
from tests.simulation.wire.scenario import Post, Scenario
from workflow_agents import StoreError
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.messages import DEDUPLICATION_MS, Published
from workflow_agents.errors import NotFound

PATIENCE_MS = 120_000
"""How long after all was asked for everything has to have ended; far longer than it takes."""


@dataclass(frozen=True)
class Taken:
    """A publish that was acknowledged, and as which attempt."""

    attempt: int
    published: list[Published]


class Outside:
    """See the module.

    Attributes:
        taken: by post.
        attempts: how often each post was published.
        refused: (post, attempt) of which it was said that nothing was taken.
        to_cancel: messages that somebody has tried to cancel.
        operators: who keep queues, schedules and keys.
    """

    def __init__(
        self, scenario: Scenario, processes: Processes[DurableEngine], watch: PostWatch
    ) -> None:
        self.taken: dict[str, Taken] = {}
        self.attempts: Counter[str] = Counter()
        self.refused: set[tuple[str, int]] = set()
        self.to_cancel: set[int] = set()
        self.operators = Operators(scenario, processes, watch, self)
        self._scenario = scenario
        self._processes = processes
        self._database = processes.database
        self._watch = watch
        self._done: set[tuple[str, str]] = set()

    @property
    def is_late(self) -> bool:
        """Whether all should have ended long ago."""
        return self._processes.time.ms > self._scenario.last_ms + PATIENCE_MS

    async def act(self, engine: DurableEngine) -> None:
        """Do towards this engine all that is to be done, until nothing is owed any more."""
        await self.operators.prepare(engine)
        async with asyncio.TaskGroup() as tasks:
            for post in self._scenario.posts:
                tasks.create_task(self._post(engine, post))
            for act in self.operators.acts(engine):
                tasks.create_task(act)
        await self._quiet(engine)
        for post in self._scenario.posts:
            if post.retried:
                await self._retried(engine, post)
        await self._quiet(engine)

    async def _quiet(self, engine: DurableEngine) -> None:
        while not self.is_late:
            if records.is_quiet(self._database) and not engine.busy:
                return
            await asyncio.sleep(0.05)

    async def _post(self, engine: DurableEngine, post: Post) -> None:
        await self.at(post.at_ms)
        await self.once(post.name, "publish", partial(self._publish, engine, post))
        if post.cancel_at_ms is not None:
            await self.at(post.cancel_at_ms)
            for taken in self.taken[post.name].published:
                what = f"cancel {taken.message}"
                await self.once(post.name, what, partial(self._cancel, engine, taken.message))

    async def _publish(self, engine: DurableEngine, post: Post) -> None:
        attempt = self.attempts[post.name] = self.attempts[post.name] + 1
        now, messages = self._processes.clock.now_ms(), engine.wire.messages
        try:
            if post.group is not None:
                published = await messages.accept(incoming(post, attempt)).published()
            else:
                published = [await messages.publish(incoming(post, attempt))]
        except StoreError:
            self.refused.add((post.name, attempt))
            raise
        self.taken[post.name] = Taken(attempt, published)
        for one in published:
            if one.deduplicated:
                self._deduplicated(one.message, now)

    def _deduplicated(self, row: int, now: int) -> None:
        """The message that was there was accepted within the window (I15)."""
        self._watch.fired["deduplicated"] += 1
        there = records.message(self._database, row)
        if there is None:
            self._watch.violated("it is there, says a publish, but it is not (I15)", row)
        elif there.at + DEDUPLICATION_MS <= now:
            self._watch.violated("it was published too long ago to be the same (I15)", row)

    async def _cancel(self, engine: DurableEngine, row: int) -> None:
        self.to_cancel.add(row)
        messages = engine.wire.messages
        try:
            await messages.cancel(messages.id_of(row))
        except NotFound:
            if records.unended(self._database, [row]):
                self._watch.violated("it has not ended, and cannot be cancelled", row)
        else:
            self._watch.canceled.add(row)
            self._watch.fired["canceled"] += 1

    async def _retried(self, engine: DurableEngine, post: Post) -> None:
        """Its dead letters are sent again; whoever comes too late finds none (I12)."""
        self._watch.retried.add(post.name)
        mine = {taken.message for taken in self.taken[post.name].published}
        for row, letters in records.letters(self._database).items():
            for letter, _ in letters if row in mine else ():
                await self.once(letter, "retry of a letter", partial(self._retry, engine, letter))

    async def _retry(self, engine: DurableEngine, letter: str) -> None:
        try:
            await engine.wire.letters.retry(letter)
        except NotFound:
            self._watch.fired["retry of a letter that was taken"] += 1

    async def once(self, who: str, what: str, act: Callable[[], Awaitable[object]]) -> None:
        """Act until it is acknowledged; an answer that was not heard is none."""
        while (who, what) not in self._done:
            try:
                await act()
            except StoreError:
                await asyncio.sleep(0.3)
                continue
            self._done.add((who, what))
            self._watch.fired[what.rstrip(" 0123456789")] += 1

    async def at(self, ms: int) -> None:
        """Wait until it is so late."""
        await asyncio.sleep(max(0.0, (ms - self._processes.time.ms) / 1000))
