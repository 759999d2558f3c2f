"""A server on loopback, on a SQLite file of its own, and raw requests to it."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from workflow_agents.clock import Clock, SystemClock
from workflow_agents.core.limits import Limits
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.server.app import create_app
from workflow_agents.server.connections import Connection
from workflow_agents.server.routing import Endpoint
from workflow_agents.server.settings import (
    DEV_ACCOUNTS,
    DEV_KEYS,
    DEV_TOKEN,
    Account,
    Scope,
    ServerSettings,
    digest_of,
)
from workflow_agents.store.sqlite import SqliteStore

READ_TOKEN = "read-only"
SETTINGS = ServerSettings(
    accounts=(*DEV_ACCOUNTS, Account("reader", digest_of(READ_TOKEN), Scope.READ)), dev=True
)


@dataclass
class Reply:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """A running server."""

    def __init__(self, engine: DurableEngine, port: int) -> None:
        self.engine = engine
        self.port = port

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes | str | list[Any] | dict[str, Any] = b"",
        *,
        token: str | None = DEV_TOKEN,
        headers: dict[str, str] | None = None,
        host: str | None = None,
    ) -> Reply:
        """Write a request as given: no client library changes its target or headers."""
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        given = headers or {}
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}"]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        lines += [f"{name}: {value}" for name, value in given.items()]
        if not {"content-length", "transfer-encoding"} & {name.lower() for name in given}:
            lines.append(f"Content-Length: {len(body)}")
        lines.append("Connection: close")
        return await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def raw(self, data: bytes) -> Reply:
        """Send bytes and read the answer to its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            first, *rest = head.decode("latin-1").split("\r\n")
            pairs = (line.split(": ", 1) for line in rest if line)
            found = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(found.get("content-length", "0")))
        finally:
            writer.close()
        return Reply(int(first.split()[1]), found, body)


@asynccontextmanager
async def serving(
    path: Path,
    settings: ServerSettings = SETTINGS,
    endpoints: Iterable[Endpoint] | None = None,
    limits: Limits | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[Site]:
    limits = limits or Limits()
    engine = DurableEngine(
        SqliteStore(str(path)),
        clock=clock or SystemClock(),
        random_bytes=random.Random(1).randbytes,
        http=AiohttpOut(limits.result_bytes),
        environment=lambda _name: None,
        path=str(path),
        limits=limits,
    )
    await engine.start()
    await engine.wire.credentials.load_keys(DEV_KEYS)
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    app = create_app(engine, replace(settings, port=port), endpoints)
    config = uvicorn.Config(
        app, http=Connection, log_config=None, access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield Site(engine, port)
    finally:
        server.should_exit = True
        await task
        await engine.stop()


class Endpoints:
    """Addresses on loopback that take what is delivered to them, and remember it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 200
        self.arrived = asyncio.Event()

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers = {n.lower(): v for n, v in (line.split(": ", 1) for line in lines if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = first.split(" ")
            self.seen.append((method, target, headers, body))
            self.arrived.set()
            answer = f"HTTP/1.1 {self.status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            writer.write(answer.encode())
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # a connection that was never used
        finally:
            writer.close()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.seen) < count:
                self.arrived.clear()
                await self.arrived.wait()


@pytest.fixture
async def endpoints() -> AsyncIterator[Endpoints]:
    made = Endpoints()
    async with await made.listen():
        yield made


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path / "server.db") as running:
        yield running


Starting = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Starting]:
    """Starts a server with settings, endpoints and limits of the test's own."""
    async with AsyncExitStack() as stack:

        async def started(**options: Any) -> Site:
            return await stack.enter_async_context(serving(tmp_path / "server.db", **options))

        yield started
