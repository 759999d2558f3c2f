"""The stream of events through the server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.server.conftest import READ_TOKEN, SETTINGS, Endpoints, Site, Starting
from tests.unit.server.reading import StreamReader
from tests.wire.conftest import AppOnLoopback
from workflow_agents import AsyncClient, AsyncWorkflowContext, Engine
from workflow_agents.clock import SystemClock
from workflow_agents.engine import broadcast
from workflow_agents.errors import RemoteError
from workflow_agents.operations import EventStream, events
from workflow_agents.qstash import events as following
from workflow_agents.qstash.backend import OverHttp
from workflow_agents.qstash.connection import Connection
from workflow_agents.server.events import PATH
from workflow_agents.server.settings import DEV_TOKEN


class Readers:
    """Opens streams, and closes them at the end."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._open: list[StreamReader] = []

    async def open(self, query: str = "", token: str = DEV_TOKEN, **options: Any) -> StreamReader:
        reader = await StreamReader.open(self._site.port, PATH + query, token=token, **options)
        self._open.append(reader)
        return reader

    def close(self) -> None:
        for reader in self._open:
            reader.close()


@pytest.fixture
async def readers(site: Site) -> AsyncIterator[Readers]:
    readers = Readers(site)
    yield readers
    readers.close()
    site.engine.broadcast.close("the test is over")


async def published(site: Site, url: str, **headers: str) -> str:
    reply = await site.ask("POST", f"/v2/publish/{url}", b"hi", headers=headers)
    return reply.json["messageId"]


def has(count: int) -> Any:
    return lambda reader: len(reader.entries()) >= count


async def test_what_happens_is_told_while_it_happens(
    site: Site, endpoints: Endpoints, readers: Readers
) -> None:
    reader = await readers.open()
    message_id = await published(site, endpoints.url)
    await reader.read_on(has(2))
    assert reader.status == 200
    assert "text/event-stream" in reader.headers
    first, *entries = reader.events
    assert (first.name, first.data) == ("open", {"position": first.id})
    kinds = [entry.data["kind"] for entry in entries]
    assert kinds[0] == "MESSAGE_CREATED"
    assert kinds[-1] == "MESSAGE_DELIVERED"
    assert {entry.data["messageId"] for entry in entries} == {message_id}
    assert [entry.id for entry in entries] == [entry.data["seq"] for entry in entries]


async def test_a_reader_who_comes_back_goes_on_behind_what_it_has_seen(
    site: Site, endpoints: Endpoints, readers: Readers
) -> None:
    whole = await readers.open()
    reader = await readers.open()
    await published(site, endpoints.url)
    await reader.read_on(has(1))
    seen = reader.entries()
    reader.close()
    await published(site, endpoints.url)
    await whole.read_on(has(4))
    again = await readers.open(last_id=reader.last_id)
    await again.read_on(lambda r: len(seen) + len(r.entries()) >= 4)
    assert seen + again.entries() == whole.entries()
    from_the_start = await readers.open("?after=0")
    await from_the_start.read_on(has(4))
    # Who loses the connection right behind the first event has seen nothing yet.
    assert from_the_start.events[0].id == 0
    assert from_the_start.entries()[-4:] == whole.entries()


async def run_of(site: Site, url: str, **headers: str) -> str:
    reply = await site.ask("POST", f"/v2/trigger/{url}", b"{}", headers=headers)
    return reply.json["workflowRunId"]


async def test_a_run_and_a_label_are_told_alone(
    site: Site, endpoints: Endpoints, readers: Readers
) -> None:
    labelled = await readers.open("?label=eu")
    other = await run_of(site, endpoints.url, **{"Upstash-Label": "us"})
    mine = await run_of(site, endpoints.url, **{"Upstash-Label": "eu"})
    await labelled.read_on(has(2))
    assert {entry["workflowRunId"] for entry in labelled.entries()} == {mine}
    one = await readers.open(f"?workflowRunId={other}")
    await one.read_on(has(2))
    assert {entry["workflowRunId"] for entry in one.entries()} == {other}
    assert one.entries()[0]["kind"] == "RUN_STARTED"


async def test_the_stream_of_a_run_ends_with_it_and_is_not_begun_again(
    site: Site, endpoints: Endpoints, readers: Readers
) -> None:
    run_id = await run_of(site, endpoints.url, **{"Upstash-Delay": "1h"})
    reader = await readers.open(f"?workflowRunId={run_id}")
    await site.ask("DELETE", f"/v2/workflows/runs/{run_id}")
    await reader.read_on(lambda r: r.ended)
    assert reader.events[-1].name == "end"
    assert reader.entries()[-1]["kind"] == "RUN_CANCELED"
    assert not len(site.engine.broadcast)
    again = await readers.open(f"?workflowRunId={run_id}", last_id=reader.last_id)
    assert again.status == 204


@pytest.mark.parametrize(
    ("query", "last_id", "token", "status"),
    [
        ("", None, "nobody", 401),
        ("?workflowRunId=wfr_none", None, DEV_TOKEN, 404),
        ("?after=x", None, DEV_TOKEN, 400),
        ("?after=-1", None, DEV_TOKEN, 400),
        ("?label=a&workflowRunId=wfr_b", None, DEV_TOKEN, 400),
        ("?words=true", None, DEV_TOKEN, 400),
        ("", None, READ_TOKEN, 200),
    ],
)
async def test_who_may_ask_for_what(
    readers: Readers, query: str, last_id: int | None, token: str, status: int
) -> None:
    assert (await readers.open(query, token, last_id=last_id)).status == status


async def test_a_heartbeat_shows_how_far_the_reader_is(
    site: Site, endpoints: Endpoints, readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events.Stream.__init__, "__defaults__", (0.1, 20.0))
    reader = await readers.open("?label=nobody-has-it")
    await published(site, endpoints.url)
    await endpoints.until(1)
    await reader.read_on(lambda r: r.comments >= 3)
    assert reader.entries() == []
    # What is not for it is behind it, too, so that it need not be read again.
    assert reader.last_id is not None
    assert reader.last_id >= 2


async def test_one_reader_of_the_store_tells_all(
    site: Site, endpoints: Endpoints, readers: Readers
) -> None:
    many = [await readers.open() for _ in range(20)]
    for reader in many:
        await reader.read_on(lambda r: r.events)
    # Each of them has caught up by itself, once.
    before = site.engine.broadcast.reads
    await published(site, endpoints.url)
    for reader in many:
        await reader.read_on(has(2))
    assert len({str(reader.entries()) for reader in many}) == 1
    assert site.engine.broadcast.reads - before <= 6


async def test_a_reader_who_was_too_slow_for_its_buffer_misses_nothing(
    site: Site, endpoints: Endpoints, readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "BUFFERED_BYTES", 1_000)
    monkeypatch.setattr(broadcast, "_PAGE", 4)
    reader = await readers.open()
    await reader.read_on(lambda r: r.events)
    for _ in range(10):
        await published(site, endpoints.url)
    await reader.read_on(has(20))
    seqs = [entry["seq"] for entry in reader.entries()]
    stored = site.engine.store.overview.events(run=None, label=None, after=0, limit=1_000)
    assert seqs == [event.seq for event in stored if event.seq >= seqs[0]]
    assert all(s.buffered <= 1_000 for s in site.engine.broadcast)


async def test_a_frozen_reader_is_closed_and_the_log_says_so(
    start: Starting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site = await start(settings=replace(SETTINGS, stream_seconds=0.2))
    monkeypatch.setattr(events.Stream.__init__, "__defaults__", (0.02, 20.0))
    # Heartbeats alone would take hours to fill the buffers of the sockets.
    monkeypatch.setattr(events, "mark", lambda position: b":" + b"x" * 1_000_000 + b"\n\n")
    reader = await Readers(site).open()
    reader.freeze()
    async with asyncio.timeout(10):
        while len(site.engine.broadcast):
            await asyncio.sleep(0.02)
    assert "its reader at 127.0.0.1 is frozen" in caplog.text
    # Nothing more would ever leave for it: the connection is cut, not merely closed.
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.thaw()
    reader.close()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[AsyncClient]:
    connection = Connection(DEV_TOKEN, f"http://127.0.0.1:{site.port}")
    yield AsyncClient(OverHttp(connection, SystemClock()))
    site.engine.broadcast.close("the test is over")
    await connection.close()


async def test_a_client_follows_a_run_to_its_end(
    site: Site, endpoints: Endpoints, client: AsyncClient
) -> None:
    run_id = await run_of(site, endpoints.url, **{"Upstash-Delay": "1h"})
    await site.ask("DELETE", f"/v2/workflows/runs/{run_id}")
    told = [event async for event in client.events(run_id)]
    assert (told[0].kind, told[-1].kind) == ("RUN_STARTED", "RUN_CANCELED")
    assert {event.workflow_run_id for event in told} == {run_id}
    # There is no more behind the last one, and it ends at once.
    assert [event async for event in client.events(run_id, after=told[-1].seq)] == []
    with pytest.raises(RemoteError) as raised:
        await anext(client.events("wfr_none"))
    assert raised.value.status == 404


async def test_a_client_comes_back_where_the_stream_breaks_off(
    site: Site, endpoints: Endpoints, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It takes the silence between two events for the end of the connection.
    monkeypatch.setattr(following, "_SILENCE_S", 0.1)
    monkeypatch.setattr(following, "_AGAIN_S", 0.01)
    monkeypatch.setattr(following, "_RETRIES", 1_000)
    told: list[int] = []

    async def follow() -> None:
        async for event in client.events(after=0):
            told.append(event.seq)
            if len(told) == 6:
                return

    async with asyncio.timeout(20):
        async with asyncio.TaskGroup() as group:
            group.create_task(follow())
            for _ in range(3):
                await published(site, endpoints.url)
                await asyncio.sleep(0.25)
    stored = site.engine.store.overview.events(run=None, label=None, after=0, limit=100)
    assert told == [event.seq for event in stored][:6]


async def test_an_embedded_engine_tells_its_client_too() -> None:
    engine = Engine(":memory:")

    @engine.workflow("/one")
    async def one(context: AsyncWorkflowContext[Any]) -> str:
        return await context.run("long", lambda: "x" * 5_000)

    async with engine:
        run = await engine.client.trigger(one, label="eu")
        kinds = [event async for event in engine.client.events(run.run_id)]
        assert [event.kind for event in kinds] == ["RUN_STARTED", "STEP_SUCCESS", "RUN_SUCCESS"]
        assert (kinds[1].step_name, kinds[1].data, kinds[1].left_out) == ("long", None, True)
        labelled = engine.client.events(label="eu", after=0)
        assert (await anext(labelled)).workflow_run_id == run.run_id
        await labelled.aclose()
        assert not len(engine.core.broadcast)


async def test_an_app_mounts_it(tmp_path: Path) -> None:
    engine = Engine(str(tmp_path / "a.db"))

    @engine.workflow("/one")
    async def one(context: AsyncWorkflowContext[Any]) -> int:
        return await context.run("step", lambda: 1)

    async with engine:
        run = await engine.client.trigger(one)
        await run.result()
        app = AppOnLoopback(EventStream(engine, token="secret"), lifespan="off")
        await app.start()
        port = int(app.url.rpartition(":")[2])
        target = f"/?workflowRunId={run.run_id}"
        stranger = await StreamReader.open(port, target, token="guessed")
        assert stranger.status == 401
        reader = await StreamReader.open(port, target, token="secret")
        await reader.read_on(lambda r: r.ended)
        assert reader.events[-1].name == "end"
        # A stream that has no end does not hold up the server that is asked to end.
        endless = await StreamReader.open(port, "/", token="secret")
        async with asyncio.timeout(5):
            await asyncio.gather(app.stop(), endless.read_on(lambda r: r.ended))
        assert endless.events[-1].data == {"reason": "the process stops"}
        for one in (stranger, reader, endless):
            one.close()


async def test_streams_end_when_the_engine_stops(site: Site, readers: Readers) -> None:
    reader = await readers.open()
    site.engine.broadcast.close("the server stops")
    await reader.read_on(lambda r: r.ended)
    assert reader.events[-1][1:] == ("closing", {"reason": "the server stops"})
    assert (await readers.open()).status == 503
