"""An engine with a server's rooms, a clock that tests move, and the web as they answer it."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.engine.messages import Incoming, Published
from workflow_agents.protocol.message import parse_message
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.store.sqlite import SqliteStore

KEYS = SigningKeys("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs")
NOW = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


class HandClock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.ms = NOW

    def now_ms(self) -> int:
        return self.ms


class World:
    """Answers every request as told, and remembers it.

    Attributes:
        seen: the requests in order of their coming.
        answer: of a request.
        gates: addresses whose answers wait until their event is set.
        most_at_once: of requests that were under way at the same time.
    """

    def __init__(self) -> None:
        self.seen: list[HttpRequest] = []
        self.answer: Callable[[HttpRequest], HttpResponse] = lambda _request: HttpResponse(200)
        self.gates: dict[str, asyncio.Event] = {}
        self.under_way = 0
        self.most_at_once = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.seen.append(request)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            if request.url in self.gates:
                await self.gates[request.url].wait()
            return self.answer(request)
        finally:
            self.under_way -= 1

    async def close(self) -> None: ...

    @property
    def urls(self) -> list[str]:
        return [request.url.removeprefix("https://a.test/") for request in self.seen]

    @property
    def bodies(self) -> list[str]:
        return [request.body.decode() for request in self.seen]

    def hold(self, name: str) -> asyncio.Event:
        """Let the answers of https://a.test/`name` wait."""
        gate = self.gates[f"https://a.test/{name}"] = asyncio.Event()
        return gate


class Shop:
    """An engine that runs, and what tests do with it."""

    def __init__(self, engine: DurableEngine, world: World, clock: HandClock) -> None:
        self.engine = engine
        self.world = world
        self.clock = clock

    @property
    def wire(self) -> Any:
        return self.engine.wire

    async def publish(self, name: str, body: str = "", **headers: str) -> Published:
        """Publish to https://a.test/`name`; upstash_retries="1" is a header."""
        return await self.wire.messages.publish(incoming(f"https://a.test/{name}", body, headers))

    async def publish_group(self, name: str, body: str = "", **headers: str) -> list[Published]:
        return await self.wire.messages.accept(incoming(name, body, headers)).published()

    async def schedule(self, name: str, cron: str, body: str = "", **headers: str) -> str:
        url = f"https://a.test/{name}" if not name.startswith("group:") else name[6:]
        given = {**headers, "upstash_cron": cron}
        return await self.wire.schedules.put(incoming(url, body, given))

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not done():
                await asyncio.sleep(0.002)

    async def at_rest(self) -> None:
        """Wait until nothing is under way and nothing is due."""

        def rests() -> bool:
            due = self.engine.store.due(self.clock.ms, 10)
            busy = self.engine.busy or due.deliveries or due.schedules
            return not busy

        await self.until(rests)

    async def pass_time(self, ms: int) -> None:
        self.clock.ms += ms
        self.engine.poke()
        await asyncio.sleep(0.01)

    def owed(self, taken: Published) -> bool:
        return bool(self.engine.store.messages.owed([taken.message]))


def incoming(destination: str, body: str, headers: dict[str, str]) -> Incoming:
    given = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Incoming(parse_message(destination, given), body.encode(), "203.0.113.7")


@asynccontextmanager
async def open_shop(
    path: Any, world: World, clock: HandClock | None = None, **options: Any
) -> AsyncGenerator[Shop]:
    clock = clock or HandClock()
    file = str(path / "a.db")
    engine = DurableEngine(
        SqliteStore(file, synchronous="OFF"),
        clock=clock,
        random_bytes=random.Random(1).randbytes,
        http=world,
        environment=lambda _name: None,
        path=file,
        **options,
    )
    engine.wire.signing = KEYS
    await engine.start()
    try:
        yield Shop(engine, world, clock)
        assert engine.store.check() == []
    finally:
        await engine.stop()
