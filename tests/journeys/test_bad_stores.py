"""A store that cannot be used, from the start or from one moment on: told, and nothing lost."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_agents import AsyncWorkflowContext, Engine, StoreError

OWNER = """
import asyncio, sys
from workflow_agents import Engine

async def main():
    async with Engine(sys.argv[1]):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


def serve(engine: Engine) -> None:
    @engine.workflow("/echo")
    async def echo(context: AsyncWorkflowContext) -> object:
        return await context.run("echo", lambda: context.request_payload)


def refused(raised: pytest.ExceptionInfo[StoreError], code: str) -> str:
    error = raised.value
    assert error.code == code
    text = str(error)
    assert all((error.what, error.where, error.found, error.why, error.fix)), text
    lines = text.splitlines()
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 100
    return text


async def opened(path: Path | str) -> None:
    async with Engine(str(path)):
        pass


async def test_a_second_process_is_refused_and_told_who_the_first_is(tmp_path) -> None:
    store = tmp_path / "shared.db"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, store],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert owner.stdout is not None
        assert await asyncio.to_thread(owner.stdout.readline) == b"open\n"
        with pytest.raises(StoreError) as raised:
            await opened(store)
        assert f"owned by process {owner.pid}" in refused(raised, "WA601")
    finally:
        owner.communicate()
    await opened(store)  # it ended, and so did its lock


async def test_a_process_that_was_killed_leaves_no_lock(tmp_path) -> None:
    store = tmp_path / "shared.db"
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, store],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as owner:
        assert owner.stdout is not None
        await asyncio.to_thread(owner.stdout.readline)
        owner.kill()

    await opened(store)


async def test_a_second_engine_in_the_process_is_refused_too(tmp_path) -> None:
    async with Engine(str(tmp_path / "x.db")):
        with pytest.raises(StoreError) as raised:
            await opened(tmp_path / "x.db")
    assert "owned by this process" in refused(raised, "WA601")


@pytest.mark.parametrize("inside", ["a file", "a file that is no folder/of.db", "/proc/none/x.db"])
async def test_a_folder_that_cannot_be_written(tmp_path, inside) -> None:
    (tmp_path / "a file that is no folder").write_text("not a folder")
    (tmp_path / "a file").mkdir()

    with pytest.raises(StoreError) as raised:
        await opened(tmp_path / inside)
    refused(raised, "WA603")


async def test_a_file_that_is_something_else(tmp_path) -> None:
    diary = tmp_path / "diary.txt"
    diary.write_text("Dear diary, " * 500)

    with pytest.raises(StoreError) as raised:
        await opened(diary)
    refused(raised, "WA605")
    assert diary.read_text() == "Dear diary, " * 500


async def test_a_damaged_file(tmp_path) -> None:
    store = tmp_path / "x.db"
    engine = Engine(str(store))
    serve(engine)
    async with engine:
        for _ in range(50):
            await (await engine.client.trigger("/echo", "x" * 300)).result()
    with store.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 3)

    again = Engine(str(store))
    serve(again)
    with pytest.raises(StoreError) as raised:
        async with again:
            await again.client.logs()
    refused(raised, "WA605")


async def test_a_store_of_a_later_version_is_left_alone(tmp_path) -> None:
    store = tmp_path / "x.db"
    await opened(store)
    with sqlite3.connect(store) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()

    with pytest.raises(StoreError) as raised:
        await opened(store)
    assert "found 999" in refused(raised, "WA604")
    with sqlite3.connect(store) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (999,)
    db.close()


def limit_pages(engine: Engine, pages: int | None) -> None:
    """Let the disk be full, as far as SQLite can tell; None: there is space again."""
    db = engine.core.store.db
    count = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {2**30 if pages is None else count + pages}")


async def test_a_full_disk_refuses_new_runs(tmp_path) -> None:
    engine = Engine(str(tmp_path / "x.db"))
    serve(engine)
    async with engine:
        limit_pages(engine, 0)
        with pytest.raises(StoreError) as raised:
            await engine.client.trigger("/echo", os.urandom(100_000).hex())
        refused(raised, "WA602")
        assert await engine.client.logs() == []

        limit_pages(engine, None)
        run = await engine.client.trigger("/echo", "there is space again")
        assert await run.result() == "there is space again"


async def test_a_run_goes_on_by_itself_when_the_disk_has_space_again(tmp_path, caplog) -> None:
    """The body ran; only its record is missing, and is made as soon as it can be."""
    engine = Engine(str(tmp_path / "x.db"))
    bodies = []

    @engine.workflow("/big")
    async def big(context: AsyncWorkflowContext) -> list:
        async def body() -> str:
            bodies.append(1)
            limit_pages(engine, 0)
            return os.urandom(100_000).hex()

        data = await context.run("big", body)
        return [len(data), await context.run("next", lambda: "next")]

    async with engine:
        run = await engine.client.trigger("/big")
        while "WA602" not in caplog.text:
            await asyncio.sleep(0.005)
        assert await run.status() == "RUN_STARTED"
        limit_pages(engine, None)
        async with asyncio.timeout(20):
            assert await run.result() == [200_000, "next"]
        assert engine.core.store.check() == []
    assert bodies == [1]


async def test_a_process_that_ends_while_the_disk_is_full_has_lost_nothing(tmp_path) -> None:
    store = str(tmp_path / "x.db")
    full = asyncio.Event()
    lives = []

    def life() -> Engine:
        engine = Engine(store)
        lives.append(engine)

        @engine.workflow("/big")
        async def big(context: AsyncWorkflowContext) -> list:
            first = await context.run("small", lambda: "small")

            async def body() -> str:
                if len(lives) == 1:
                    limit_pages(engine, 0)
                    full.set()
                return os.urandom(100_000).hex()

            return [first, len(await context.run("big", body))]

        return engine

    async with life() as engine:
        run = await engine.client.trigger("/big")
        await full.wait()
        await asyncio.sleep(0)
    async with life() as engine, asyncio.timeout(20):
        assert await engine.client.handle(run.run_id).result() == ["small", 200_000]


async def test_a_disk_that_becomes_read_only_loses_nothing(tmp_path, caplog) -> None:
    engine = Engine(str(tmp_path / "x.db"))
    gate = asyncio.Event()

    @engine.workflow("/w")
    async def w(context: AsyncWorkflowContext) -> str:
        await context.run("first", lambda: 1)
        await gate.wait()
        return await context.run("second", lambda: "done")

    async with engine:
        run = await engine.client.trigger("/w")
        async for entry in run.feed():
            if entry.kind == "STEP_SUCCESS":
                break
        db = engine.core.store.db
        db.execute("PRAGMA query_only = 1")
        gate.set()
        with pytest.raises(StoreError) as raised:
            await engine.client.trigger("/w")
        refused(raised, "WA603")
        while "WA603" not in caplog.text:
            await asyncio.sleep(0.005)
        db.execute("PRAGMA query_only = 0")
        async with asyncio.timeout(20):
            assert await run.result() == "done"


async def test_http_says_that_the_store_is_in_trouble(site, serve) -> None:
    """503, so that whoever sent the request sends it again."""

    @serve.post("/echo")
    async def echo(context: AsyncWorkflowContext) -> object:
        return await context.run("echo", lambda: context.request_payload)

    await site.run("/echo", "fine")
    limit_pages(site.engine, 0)
    answer = await site.post("/echo", os.urandom(100_000).hex())
    assert answer.status_code == 503
    assert answer.json()["code"] == "WA602"
    limit_pages(site.engine, None)
    assert (await site.run("/echo", "again")).result == "again"
    assert len(await site.client.logs()) == 2
