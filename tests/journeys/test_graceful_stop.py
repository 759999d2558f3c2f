"""SIGTERM to a server with 200 deliveries on their way and 50 streams open, and to an endpoint.

Each is gone within 5 seconds, without a traceback. Nothing is lost, and what goes on does so at
once: nobody waits for a lease that has to expire.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request

from tests.forks import SERVERS, forked
from tests.journeys.sigkill_processes import CREDENTIALS, free_port
from tests.unit.server.reading import StreamReader
from tests.wire.conftest import AppOnLoopback
from workflow_agents import AsyncWorkflowContext
from workflow_agents.fastapi import Serve
from workflow_agents.server.events import PATH
from workflow_agents.store.sqlite import SqliteStore

RUNS, MESSAGES, STREAMS = 50, 150, 50
MOST_S = 5.0
TOKEN = CREDENTIALS["QSTASH_TOKEN"]
WORKER = Path(__file__).with_name("checkpoint_worker.py")
RETRIES = {"Upstash-Retries": "50", "Upstash-Retry-Delay": "100"}


class Server:
    """`workflow-agents server` in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.options = options
        self.store = folder / "server.db"
        self.port = free_port()
        self.log = folder / "server.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx2.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False
        )

    async def start(self) -> None:
        options = ["--store", str(self.store), "--port", str(self.port)]
        with self.log.open("a") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *forked(*SERVERS), "workflow_agents.cli", "server", *options,
                "--allow-network", "127.0.0.0/8", *self.options, env={**os.environ, **CREDENTIALS},
                stdout=log, stderr=log,
            )  # fmt: skip
        await until(self._is_ready)

    async def _is_ready(self) -> bool:
        assert self.process.returncode is None, self.log.read_text()
        try:
            return (await self.http.get("/ready")).status_code == 200
        except httpx2.TransportError:
            return False

    async def stop(self) -> tuple[int, float]:
        """With SIGTERM; its exit code, and how long it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            code = await self.process.wait()
        return code, time.monotonic() - began

    async def post(self, path: str, **headers: str) -> Any:
        answer = await self.http.post(path, headers={**RETRIES, **headers}, json={})
        assert answer.status_code < 300, answer.text
        return answer.json()


async def until(done: Any, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await done():
            await asyncio.sleep(0.02)


class Outside:
    """Endpoints in this process: messages are held until `let` is set; so are steps of runs."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.held = 0
        self.taken: Counter[str] = Counter()
        app = FastAPI()
        self.app = AppOnLoopback(app)
        serve = Serve(app)

        @app.post("/message/{number}")
        async def message(number: str, _request: Request) -> dict[str, str]:
            await self._hold()
            self.taken[number] += 1
            return {}

        @serve.post("/work")
        async def work(context: AsyncWorkflowContext[Any]) -> list[int]:
            first = await context.run("first", lambda: 1)
            await context.run("hold", self._hold)
            return [first, await context.run("last", lambda: 3)]

    async def _hold(self) -> None:
        self.held += 1
        try:
            await self.let.wait()
        finally:
            self.held -= 1


@asynccontextmanager
async def served(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str
) -> AsyncIterator[Server]:
    server = Server(folder, *options)
    for name, value in {**CREDENTIALS, "QSTASH_URL": server.url}.items():
        monkeypatch.setenv(name, value)
    await server.start()
    try:
        yield server
    finally:
        if server.process.returncode is None:
            await server.stop()
        await server.http.aclose()


async def stopped(server: Server) -> None:
    code, took = await server.stop()
    said = server.log.read_text()
    print(f"the server was gone after {took:.2f} s")
    assert code == 0, said
    assert took < MOST_S
    assert "Traceback" not in said


@pytest.mark.timeout(120)
async def test_a_server_that_is_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        outside = Outside()
        await outside.app.start()
        url = outside.app.url
        runs = [
            (await server.post(f"/v2/trigger/{url}/work"))["workflowRunId"] for _ in range(RUNS)
        ]
        for number in range(MESSAGES):
            await server.post(f"/v2/publish/{url}/message/{number}")
        readers = [await StreamReader.open(server.port, PATH, token=TOKEN) for _ in range(STREAMS)]

        async def all_are_held() -> bool:
            return outside.held == RUNS + MESSAGES

        await until(all_are_held)
        await stopped(server)
        for reader in readers:
            await reader.read_on(lambda r: r.ended)
            assert reader.events[-1].name == "closing"
            reader.close()

        outside.let.set()
        await server.start()
        began = time.monotonic()

        async def all_is_done() -> bool:
            states = [
                (await server.http.get(f"/v2/workflows/runs/{run}")).status_code for run in runs
            ]
            return set(states) == {404} and len(outside.taken) == MESSAGES

        await until(all_is_done)
        print(f"after the next start all was done within {time.monotonic() - began:.2f} s")
        await stopped(server)
        await outside.app.stop()
    store = SqliteStore(str(server.store))
    store.open()
    try:
        assert store.check() == []
        assert store.size()["deliveries"] == store.size()["dead_letters"] == 0
        for run_id in runs:
            row = store.run(run_id)
            assert row is not None
            assert json.loads(row.result or b"") == [1, 3]
            names = [recorded.name for recorded in store.history(row.id).recorded]
            assert sorted(names) == ["first", "hold", "last"]
    finally:
        store.close()


@pytest.mark.timeout(120)
async def test_an_endpoint_that_is_asked_to_end_gives_its_runs_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--log-format", "json", "--log-level", "info")
    async with served(tmp_path, monkeypatch, *options) as server:
        port, notes = free_port(), tmp_path / "notes"
        environment = {**os.environ, "QSTASH_URL": server.url}

        async def endpoint() -> asyncio.subprocess.Process:
            begun = await asyncio.create_subprocess_exec(
                sys.executable,
                *forked(*SERVERS),
                str(WORKER),
                str(port),
                str(notes),
                env=environment,
            )

            async def is_there() -> bool:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                except OSError:
                    return False
                return True

            await until(is_there)
            return begun

        worker = await endpoint()
        url = f"http://127.0.0.1:{port}/work"
        runs = [(await server.post(f"/v2/trigger/{url}"))["workflowRunId"] for _ in range(5)]

        async def some_is_done() -> bool:
            return notes.exists() and len(notes.read_text().splitlines()) > 30

        await until(some_is_done)
        began = time.monotonic()
        worker.terminate()
        async with asyncio.timeout(30):
            # uvicorn ends by the signal that it was sent.
            assert await worker.wait() in {0, -signal.SIGTERM}
        took = time.monotonic() - began
        print(f"the endpoint was gone after {took:.2f} s")
        assert took < MOST_S
        before = notes.read_text().splitlines()
        worker = await endpoint()

        async def all_is_done() -> bool:
            states = [
                (await server.http.get(f"/v2/workflows/runs/{run}")).status_code for run in runs
            ]
            return set(states) == {404}

        began = time.monotonic()
        await until(all_is_done)
        print(f"its runs were done {time.monotonic() - began:.2f} s after the next one started")
        worker.terminate()
        await worker.wait()
        again = Counter(notes.read_text().splitlines())
        # Only what was being done when it was asked to end is done again, once for each run.
        assert sum(again.values()) - len(again) <= len(runs)
        assert len(again) > len(before)
        await stopped(server)
    store = SqliteStore(str(server.store))
    store.open()
    entries = store.overview.events(run=None, label=None, after=0, limit=10_000)
    store.close()
    assert sum(entry.kind.name == "RUN_SUCCESS" for entry in entries) == len(runs)
    # Nobody had to find out that it was gone: meanwhile nobody was reached, and that is all.
    tries = {entry.data or b"" for entry in entries if entry.kind.name == "RUN_RETRY"}
    assert all(b"cannot connect" in one for one in tries)
    assert not [entry for entry in entries if entry.kind.name == "RUN_RECOVERED"]
    # What happened is in the log too, a line of JSON for each.
    logged = [json.loads(line) for line in server.log.read_text().splitlines() if line[:1] == "{"]
    assert {line["run_id"] for line in logged if line.get("kind") == "RUN_SUCCESS"} == set(runs)
    assert {line["run_id"] for line in logged if "its endpoint stops" in line["message"]} <= set(
        runs
    )
    assert TOKEN not in str(logged)
