"""Plain messages through the engine: delivered, tried again, called back, kept as dead letters."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from workflow_agents.clock import SystemClock
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.engine.messages import Incoming
from workflow_agents.protocol.message import parse_message
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.store.sqlite import SqliteStore

KEYS = SigningKeys("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs")


class World:
    """Answers every request as told, and remembers it."""

    def __init__(self) -> None:
        self.seen: list[HttpRequest] = []
        self.answer: Callable[[HttpRequest], HttpResponse] = lambda _request: HttpResponse(200)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.seen.append(request)
        return self.answer(request)

    async def close(self) -> None: ...


@asynccontextmanager
async def running(path: str, world: World) -> AsyncIterator[DurableEngine]:
    engine = DurableEngine(
        SqliteStore(path),
        clock=SystemClock(),
        random_bytes=random.Random(1).randbytes,
        http=world,
        environment=lambda _name: None,
        path=path,
    )
    engine.wire.signing = KEYS
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def publish(engine: DurableEngine, url: str, body: bytes = b"", **headers: str):
    given = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await engine.wire.messages.publish(Incoming(parse_message(url, given), body))


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.005)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_message_is_delivered_signed_with_its_headers(tmp_path, world) -> None:
    async with running(str(tmp_path / "a.db"), world) as engine:
        taken = await publish(
            engine,
            "https://a.test/x",
            b'{"a":1}',
            content_type="application/json",
            upstash_forward_x_shop="7",
        )
        await until(lambda: len(world.seen) == 1)
        await until(lambda: not engine.store.messages.owed([taken.message]))
    (sent,) = world.seen
    assert (sent.method, sent.url, sent.body) == ("POST", "https://a.test/x", b'{"a":1}')
    assert sent.headers["X-Shop"] == "7"
    assert sent.headers["Upstash-Message-Id"] == engine.wire.messages.id_of(taken.message)
    KEYS.verify(
        sent.headers["Upstash-Signature"],
        sent.body,
        now_s=engine.clock.now_ms() // 1000,
        url=sent.url,
    )


async def test_it_is_tried_again_then_kept_and_told_of(tmp_path, world) -> None:
    world.answer = lambda r: HttpResponse(200 if "told" in r.url else 500, {}, b"no")
    async with running(str(tmp_path / "a.db"), world) as engine:
        await publish(
            engine,
            "https://a.test/x",
            b"hello",
            upstash_retries="2",
            upstash_retry_delay="1",
            upstash_callback="https://a.test/told",
            upstash_failure_callback="https://a.test/told-f",
        )
        await until(lambda: len(world.seen) == 5)
        (letter,) = engine.store.dead_letters(None, 10)
    assert [r.headers["Upstash-Retried"] for r in world.seen[:3]] == ["0", "1", "2"]
    told = {r.url: json.loads(r.body) for r in world.seen[3:]}
    assert told["https://a.test/told"]["status"] == 500
    assert told["https://a.test/told-f"]["dlqId"] == letter.id


async def test_what_is_not_delivered_goes_on_after_a_restart(tmp_path, world) -> None:
    path = str(tmp_path / "a.db")
    async with running(path, world) as engine:
        await publish(engine, "https://a.test/x", b"later", upstash_delay="1s")
    assert not world.seen
    async with running(path, world):
        await until(lambda: len(world.seen) == 1)


async def test_an_id_is_taken_once(tmp_path, world) -> None:
    async with running(str(tmp_path / "a.db"), world) as engine:
        first = await publish(engine, "https://a.test/x", upstash_deduplication_id="one")
        second = await publish(engine, "https://a.test/x", upstash_deduplication_id="one")
        await until(lambda: len(world.seen) == 1)
    assert (second.message, second.deduplicated) == (first.message, True)
