"""An engine for tests of remote runs: its clock jumps, its endpoints are in this process."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.journeys.js_endpoint import Endpoint
from workflow_agents.clock import SystemClock
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.store.sqlite import SqliteStore

URL = "https://shop.test/api/order"
PATIENCE_S = 20


class JumpingClock:
    """The machine's time, and what was jumped over."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self._system = SystemClock()

    def now_ms(self) -> int:
        return self._system.now_ms() + self.ahead_ms


def made(path: str, endpoint: Endpoint, *, inline: bool = False) -> DurableEngine:
    """An engine that is not started yet. `inline`: each turn of the loop has its own commit."""
    endpoint.engine = DurableEngine(
        SqliteStore(path),
        clock=JumpingClock(),
        random_bytes=random.Random(1).randbytes,
        http=endpoint,
        environment=lambda _name: None,
        path=path,
        inline=inline,
    )
    return endpoint.engine


@asynccontextmanager
async def running(path: str, endpoint: Endpoint) -> AsyncIterator[DurableEngine]:
    engine = made(path, endpoint)
    await engine.start()
    try:
        yield engine
        await settled(engine)
        assert engine.store.check() == []
    finally:
        await engine.stop()


def jump(engine: DurableEngine, seconds: float) -> None:
    engine.clock.ahead_ms += int(seconds * 1000)
    engine.poke()


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not done():
            await asyncio.sleep(0.002)


async def settled(engine: DurableEngine) -> None:
    """Until nothing is on its way and nothing is due now."""
    async with asyncio.timeout(PATIENCE_S):
        quiet = 0
        while quiet < 3:
            due = engine.store.due(engine.clock.now_ms(), 1)
            busy = engine.deliveries.busy or engine.commits.busy
            quiet = 0 if busy or due.deliveries or due.waiters else quiet + 1
            await asyncio.sleep(0.002)


async def ended(engine: DurableEngine, run_id: str):
    row = engine.store.run(run_id)
    assert row is not None
    async with asyncio.timeout(PATIENCE_S):
        row = await engine.end_of(row.id)
    await settled(engine)
    return row
