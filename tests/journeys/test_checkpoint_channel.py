"""What is said of runs in hand goes over a channel where it can, and by requests where not."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from tests.journeys.checkpoint_world import World, world
from tests.unit.server.conftest import SETTINGS, serving
from workflow_agents import AsyncWorkflowContext
from workflow_agents.core.checkpoint_json import read_answer, write_batch
from workflow_agents.core.checkpoints import CHANNEL, PATH, Batch, Cancel, Said
from workflow_agents.qstash import checkpoint_channel
from workflow_agents.qstash.checkpoint_channel import Channel
from workflow_agents.qstash.connection import Connection
from workflow_agents.server import checkpoint_channel as server_channel
from workflow_agents.server.settings import DEV_TOKEN

STEPS = 40
STRANGER = write_batch(Batch("endpoint", [Said("wfr_unknown", 1, 0, 1, [Cancel()])]))


@pytest.fixture
async def site(tmp_path, monkeypatch) -> AsyncIterator[World]:
    async with world(tmp_path / "server.db", monkeypatch) as site:
        yield site


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a batch was a request of its own, a line of a channel, or lost with a channel."""
    asked: Counter[str] = Counter()
    fetch, exchange = Connection.fetch, Channel.exchange

    async def fetched(self: Connection, request: Any) -> bytes:
        asked[f"{request.method} {request.path}"] += 1
        return await fetch(self, request)

    async def exchanged(self: Channel, batch: bytes) -> bytes | None:
        answer = await exchange(self, batch)
        asked["line" if answer is not None else "lost"] += 1
        return answer

    monkeypatch.setattr(Connection, "fetch", fetched)
    monkeypatch.setattr(Channel, "exchange", exchanged)
    return asked


async def counts(site: World) -> Any:
    """A run of so many steps; each body runs once."""
    bodies: Counter[int] = Counter()

    @site.serve.post("/count")
    async def count(context: AsyncWorkflowContext[Any]) -> int:
        for n in range(STEPS):
            await context.run(f"step {n}", lambda n=n: bodies.update([n]))
        return context.request_payload

    await site.app.start()
    assert await site.run("/count", 7) == 7
    assert bodies == dict.fromkeys(range(STEPS), 1)


async def test_steps_go_over_the_channel_once_it_is_open(site: World, asked: Counter[str]) -> None:
    await counts(site)
    assert asked["line"] > STEPS / 2
    assert asked["lost"] == 0


async def test_what_a_channel_has_lost_is_said_again(
    site: World, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has taken it, and the connection ends before the answer."""
    line = Channel._line
    lines = 0

    async def breaks(self: Channel) -> bytes | None:
        nonlocal lines
        found = await line(self)
        lines += 1
        if lines % 5 == 0:
            self._answer.close()
            raise aiohttp.ClientPayloadError("cut off")
        return found

    monkeypatch.setattr(Channel, "_line", breaks)
    await counts(site)
    assert asked["lost"] >= 3
    assert asked["line"] >= 8


async def test_behind_a_proxy_that_waits_requests_go_on(
    site: World, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes back over a channel; nobody waits for it."""

    async def never(self: Channel) -> bytes | None:
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr(Channel, "_line", never)
    await counts(site)
    assert asked[f"POST {PATH}"] > STEPS
    assert asked["line"] == asked["lost"] == 0


async def test_a_channel_that_falls_silent_is_the_last_one(
    site: World, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Channel._line
    lines = 0

    async def falls_silent(self: Channel) -> bytes | None:
        nonlocal lines
        lines += 1
        if lines > 3:
            await asyncio.Event().wait()
        return await line(self)

    monkeypatch.setattr(Channel, "_line", falls_silent)
    monkeypatch.setattr(checkpoint_channel, "PATIENCE_S", 0.05)
    await counts(site)
    assert (asked["line"], asked["lost"]) == (2, 1)


async def test_where_requests_are_counted_each_batch_is_one(tmp_path) -> None:
    async with serving(tmp_path / "s.db", replace(SETTINGS, rate=1000.0)) as server:
        connection = Connection(DEV_TOKEN, f"http://127.0.0.1:{server.port}")
        assert await connection.open_channel(CHANNEL) is None
        await connection.close()


async def test_a_channel_needs_a_token(tmp_path) -> None:
    async with serving(tmp_path / "s.db") as server:
        connection = Connection("guessed", f"http://127.0.0.1:{server.port}")
        assert await connection.open_channel(CHANNEL) is None
        await connection.close()


async def test_a_channel_ends_when_nothing_is_said(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(server_channel, "IDLE_S", 0.05)
    async with serving(tmp_path / "s.db") as server:
        connection = Connection(DEV_TOKEN, f"http://127.0.0.1:{server.port}")
        channel = await connection.open_channel(CHANNEL)
        assert channel is not None
        answer = await channel.exchange(STRANGER)
        assert answer is not None
        assert read_answer(answer)[0].closed
        await asyncio.sleep(0.2)
        assert await channel.exchange(STRANGER) is None
        assert not channel.broken
        channel.close()
        await connection.close()


@pytest.mark.parametrize(
    "line",
    [b"nothing", b"[]", json.dumps({"endpoint": 7, "runs": []}).encode(), b"[" * 200],
    ids=["no JSON", "a list", "another type", "deep"],
)
async def test_what_is_no_batch_ends_the_channel(tmp_path, line: bytes) -> None:
    async with serving(tmp_path / "s.db") as server:
        connection = Connection(DEV_TOKEN, f"http://127.0.0.1:{server.port}")
        channel = await connection.open_channel(CHANNEL)
        assert channel is not None
        assert await channel.exchange(line) is None
        channel.close()
        assert (await server.ask("GET", "/v2/keys")).status == 200
        await connection.close()
