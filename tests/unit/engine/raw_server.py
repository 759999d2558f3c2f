"""A server that does what a test wants, byte by byte, and one request to it."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.engine.http_out import HttpRequest, HttpResponse

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENCE_S = 10

Handle = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One connection to the server, as its handler sees it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.number = number

    async def request(self) -> tuple[bytes, bytes]:
        """Head and body of the next request."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = dict(line.lower().partition(b": ")[::2] for line in head.split(b"\r\n")[1:-2])
        body = await self._reader.readexactly(int(lines.get(b"content-length", b"0")))
        return head, body

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def reset(self) -> None:
        self._writer.transport.abort()


class Server:
    """Listens on a free port of loopback; a handler for each connection."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._tasks: set[asyncio.Task[Any]] = set()
        self.connections = 0
        self.heads: list[bytes] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._handle(Peer(reader, writer, self.connections))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


def always(answer: bytes) -> Handle:
    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(answer)

    return handle


async def exchange(
    handle: Handle,
    *,
    method: str = "GET",
    path: str = "/",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    timeout_ms: int = 10_000,
    max_bytes: int = 1_000_000,
    reader: Any = None,
) -> HttpResponse:
    """One request to a server with this handler."""
    http = AiohttpOut(max_bytes)
    async with Server(handle).listening() as origin:
        try:
            return await http.send(
                HttpRequest(method, origin + path, headers or {}, body, timeout_ms, reader)
            )
        finally:
            await http.close()


async def sent(**options: Any) -> tuple[bytes, bytes]:
    """What the server gets to see of a request."""
    seen: list[tuple[bytes, bytes]] = []

    async def handle(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(OK)

    await exchange(handle, **options)
    return seen[0]


def response(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def compressed(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


class Collecting:
    """Reads every answer as a stream; enough is known with the part `last`."""

    def __init__(self, last: bytes = b"[DONE]") -> None:
        self.parts: list[bytes] = []
        self._last = last
        self.came = asyncio.Event()

    def begins(self, status: int, headers: dict[str, list[str]]) -> bool:
        return status == 200

    def feed(self, received: bytes) -> bool:
        self.parts.append(received)
        self.came.set()
        return self._last in b"".join(self.parts)
