"""One process after the other on one database, each ended as a scenario says or a fault wants.

What lives in the processes, and what must be true of it, is the business of those who use it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from workflow_agents import StoreError
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.testing.faults import Crash, Database, Faults
from workflow_agents.testing.processes import run_process
from workflow_agents.testing.virtual_time import VirtualClock, VirtualTime


@dataclass(kw_only=True)
class Disturbances:
    """What ends processes, and what happens to their clock.

    Attributes:
        stops_ms: when the engine is stopped in an orderly way, and started again.
        crashes_ms: when its process dies, whatever it is doing.
        clock: (when, what, milliseconds): "step" or "freeze".
    """

    stops_ms: list[int] = field(default_factory=list[int])
    crashes_ms: list[int] = field(default_factory=list[int])
    clock: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])


class Runs(Protocol):
    """An engine, as far as its process is concerned."""

    async def start(self) -> object: ...

    async def stop(self) -> None: ...


E = TypeVar("E", bound=Runs)


class Processes(Generic[E]):
    """See the module.

    Args:
        disturbances: what is to happen to the processes.
        faults: what goes wrong with the database.
        draw: decides how long the machine is down after a crash.
        new_engine: makes the engine of a process.
        act: does towards it all that is to be done, and returns when all is over.

    Attributes:
        database: outlives the processes.
        number: of the process that lives now, from 1.
        fired: how often each thing happened.
        problems: what must not have happened.
    """

    def __init__(
        self,
        disturbances: Disturbances,
        faults: Faults,
        draw: random.Random,
        new_engine: Callable[[SqliteStore], E],
        act: Callable[[E], Awaitable[None]],
    ) -> None:
        self.database = _empty_database()
        self.time = VirtualTime()
        self.clock = VirtualClock(self.time)
        self.number = 0
        self.fired: Counter[str] = Counter()
        self.problems: list[str] = []
        self._disturbances = disturbances
        self._clock_disturbances = [*disturbances.clock]
        self._faults = faults
        self._random = draw
        self._new_engine = new_engine
        self._act = act

    def live(self) -> bool:
        """One process. True: all is over, and it has stopped in order."""
        self.number += 1
        try:
            return run_process(
                lambda store: self._process(self._new_engine(store)),
                self.database,
                self._faults,
                self.time,
                unhandled=self._unhandled,
            )
        except Crash:
            self.fired["crash"] += 1
            self.time.advance(self._random.choice((0, 0, 5, 700)))
            return False

    async def _process(self, engine: E) -> bool:
        loop, now = asyncio.get_running_loop(), self.time.ms
        for at_ms in self._disturbances.crashes_ms:
            if at_ms > now:
                loop.call_at(at_ms / 1000, self._die)
        for at_ms, what, ms in self._clock_disturbances:
            loop.call_at(at_ms / 1000, self._disturb_clock, at_ms, what, ms)
        self.clock.thaw()
        try:
            await engine.start()
        except StoreError:
            # Whoever supervises the process starts it again.
            self.fired["start failed"] += 1
            await asyncio.sleep(0.5)
            return False
        stop = min((at for at in self._disturbances.stops_ms if at > now), default=None)
        try:
            async with asyncio.timeout_at(None if stop is None else stop / 1000):
                await self._act(engine)
            complete = True
        except TimeoutError:
            complete = False
            self.fired["stop"] += 1
        await self._stop(engine)
        return complete

    async def _stop(self, engine: E) -> None:
        """Stop in order; nothing may be left in memory (I13)."""
        await engine.stop()
        # Tasks that were cancelled end within a few turns.
        for _ in range(20):
            await asyncio.sleep(0)
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            self.problems.append(f"tasks are left after the stop: {left}")

    def _die(self) -> None:
        raise Crash("at an instant")

    def _disturb_clock(self, at_ms: int, what: str, ms: int) -> None:
        self._clock_disturbances.remove((at_ms, what, ms))
        self.fired[f"clock {what} {ms}"] += 1
        if what == "freeze":
            self.clock.freeze()
            asyncio.get_running_loop().call_later(ms / 1000, self.clock.thaw)
        else:
            self.clock.step(ms)

    def _unhandled(self, context: dict[str, Any]) -> None:
        self.problems.append(f"nobody handled: {context}")


_database: Database | None = None


def _empty_database() -> Database:
    """A database with nothing in it; one connection serves all scenarios of the process."""
    global _database
    if _database is None:
        _database = Database()
    _database.empty()
    return _database
