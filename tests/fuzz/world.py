"""A server on a SQLite file, its clock jumps, and its deliveries reach a sink on loopback.

It is asked in this process, as an ASGI server would ask it, or over a real socket. Nothing but
the sink is ever called: what the requests name as destinations is made up.
"""

import asyncio
import logging
import random
import socket
import traceback
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn

from tests.journeys.remote_world import JumpingClock
from workflow_agents.core.limits import Limits
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.engine.http_out import HttpOut, HttpRequest, HttpResponse, NoAnswer
from workflow_agents.server.app import create_app
from workflow_agents.server.connections import Connection
from workflow_agents.server.settings import (
    DEV_ACCOUNTS,
    DEV_KEYS,
    Account,
    Scope,
    ServerSettings,
    digest_of,
)
from workflow_agents.store.sqlite import SqliteStore

READ_TOKEN = "read-only"
PAYLOAD_BYTES = 50_000
HOST = b"127.0.0.1:8080"

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Asked:
    """A request. Its body comes in parts; with `breaks_off`, the client goes before the end."""

    method: str
    target: bytes
    headers: Headers = field(default_factory=list)
    parts: tuple[bytes, ...] = ()
    breaks_off: bool = False

    def __repr__(self) -> str:
        """Enough to send it again, unless it is long."""
        shown = [self.method, self.target, self.headers, self.parts, self.breaks_off]
        return "Asked(" + ", ".join(map(_shortly, shown)) + ")"


def _shortly(value: object) -> str:
    text = repr(value)
    return text if len(text) < 3_000 else f"{text[:2_900]}...{len(text)} characters"


@dataclass(frozen=True)
class Reply:
    """An answer; status 0: there was none, because nobody waited for it any more."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes:
        return dict(self.headers).get(name, b"")


async def ask(app: Any, asked: Asked) -> Reply:
    """Ask an ASGI app as uvicorn does."""
    path, _, query = asked.target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in asked.headers],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }
    parts = list(asked.parts)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if parts:
            part = parts.pop(0)
            more = bool(parts) or asked.breaks_off
            return {"type": "http.request", "body": part, "more_body": more}
        # Whoever has asked all waits for an answer a while, then hangs up.
        if not asked.breaks_off:
            await asyncio.sleep(_PATIENCE_S)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return Reply(0, [], b"")
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Reply(sent[0]["status"], list(sent[0]["headers"]), body)


_PATIENCE_S = 0.05

# What deliveries come to.

_OF_A_WORKFLOW = {"upstash-workflow-sdk-version": "1", "upstash-workflow-sdk": "v1.3.2"}
_BOMB = zlib.compress(bytes(2 * PAYLOAD_BYTES))

ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/ok": (200, {}, b"ok"),
    "/bytes": (200, {"content-type": "application/octet-stream"}, bytes(range(256))),
    "/odd": (200, {"x-odd": "\u00e9\u00ff", "x-long": "y" * 5_000}, b"\xff\x00\r\n"),
    "/fails": (500, {}, b"no"),
    "/final": (489, {"upstash-nonretryable-error": "true"}, b"never"),
    "/busy": (429, {"retry-after": "9" * 30, "x-ratelimit-reset": "NaN"}, b""),
    "/moved": (302, {"location": "http://127.0.0.1:1/"}, b""),
    "/bomb": (200, {"content-encoding": "deflate"}, _BOMB),
    "/workflow": (200, _OF_A_WORKFLOW, b"{}"),
    "/workflow/fails": (500, _OF_A_WORKFLOW, b'{"error":"Error","message":"no"}'),
    "/workflow/final": (489, {**_OF_A_WORKFLOW, "upstash-nonretryable-error": "true"}, b"no"),
}

FAILING_WORKFLOWS = ["/workflow/fails", "/workflow/final", "/fails"]


class Sink:
    """An HTTP server that answers by its path, and counts what came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        self.paths.append(scope["path"])
        status, headers, content = ANSWERS.get(scope["path"], ANSWERS["/ok"])
        given = [(n.encode(), v.encode("latin-1")) for n, v in headers.items()]
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [*given, length]})
        await send({"type": "http.response.body", "body": content})


class OnlyTo(AiohttpOut):
    """What goes to one origin is sent for real; nobody listens elsewhere."""

    def __init__(self, origin: str) -> None:
        super().__init__(PAYLOAD_BYTES)
        self._origin = origin

    async def send(self, request: HttpRequest) -> HttpResponse:
        if request.url.startswith(f"{self._origin}/"):
            return await super().send(request)
        raise NoAnswer("nobody listens there")


@asynccontextmanager
async def listening(app: Any) -> AsyncGenerator[int]:
    """An ASGI app on a free port of loopback, served as `workflow-agents server` serves it."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=Connection, log_config=None, access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


class Troubles(logging.Handler):
    """Tracebacks that were logged, by whomever."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            told = "".join(traceback.format_exception(*record.exc_info))
            self.found.append(f"{record.name}: {record.getMessage()}\n{told}")


@dataclass
class World:
    """A running server and what is around it."""

    engine: DurableEngine
    app: Any
    sink: Sink
    origin: str
    troubles: Troubles

    def pass_time(self, seconds: int) -> None:
        clock: Any = self.engine.clock
        clock.ahead_ms += seconds * 1000
        self.engine.poke()

    async def until_delivered(self, body: bytes) -> None:
        async with asyncio.timeout(20):
            while body not in self.sink.bodies:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def open_world(path: Path, http: HttpOut | None = None) -> AsyncGenerator[World]:
    """A server on a new store; whoever has none of its tokens may ask as often as they like.

    Args:
        path: of the store.
        http: in place of what reaches the sink only.
    """
    sink, troubles = Sink(), Troubles()
    reader = Account("reader", digest_of(READ_TOKEN), Scope.READ)
    settings = ServerSettings(accounts=(*DEV_ACCOUNTS, reader), dev=True, stranger_rate=1e9)
    logging.getLogger().addHandler(troubles)
    try:
        async with listening(sink) as port:
            origin = f"http://127.0.0.1:{port}"
            engine = DurableEngine(
                SqliteStore(str(path), synchronous="OFF"),
                clock=JumpingClock(),
                random_bytes=random.Random(1).randbytes,
                http=http or OnlyTo(origin),
                environment=lambda _name: None,
                path=str(path),
                limits=Limits(payload_bytes=PAYLOAD_BYTES, result_bytes=PAYLOAD_BYTES),
            )
            await engine.start()
            try:
                await engine.wire.credentials.load_keys(DEV_KEYS)
                yield World(engine, create_app(engine, settings), sink, origin, troubles)
            finally:
                await engine.stop()
    finally:
        logging.getLogger().removeHandler(troubles)
