"""H1: requests to other machines, by the engine's client and by httpx2, which it was before.

The server is a process of its own on loopback that answers every request with the same few
bytes, with as little work as Python can do. Both clients take turns in the measuring process.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from benchmarks.adapter import Json

ANSWER = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"ok":true}'
)
BODY = b'{"order":1234567}'
HEADERS = {"content-type": "application/json"}
TIMEOUT_S = 60
TURNS = 3
SHARE_OF_HTTPX2 = 4  # it is slow: so much fewer requests

Send = Callable[[], Awaitable[int]]


class Answering(asyncio.Protocol):
    """Answers each request as soon as all of it is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            _, _, length = self._received[:end].lower().partition(b"content-length:")
            whole = end + 4 + int(length.split(b"\r\n", 1)[0] or 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._transport.write(ANSWER)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def rate_of(send: Send, requests: int, at_once: int) -> tuple[float, float]:
    """Requests a second, and microseconds of CPU for each."""

    async def some(n: int) -> None:
        for _ in range(n):
            assert await send() == 200

    await asyncio.gather(*(some(2) for _ in range(at_once)))  # opens the connections
    each = requests // at_once
    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(some(each) for _ in range(at_once)))
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    return each * at_once / wall, used / (each * at_once) * 1e6


async def requests_per_second(requests: int, at_once: int) -> Json:
    """The figures: requests a second of both, and the CPU time of a request."""
    import httpx2

    from workflow_agents.engine.http_client import AiohttpOut
    from workflow_agents.engine.http_out import HttpRequest

    command = [sys.executable, "-m", "benchmarks.outbound"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(server.stdout.readline())}/path"
    http = AiohttpOut(10**6)
    old = httpx2.AsyncClient(
        trust_env=False, timeout=TIMEOUT_S, limits=httpx2.Limits(max_connections=None)
    )

    async def ours() -> int:
        request = HttpRequest("POST", url, HEADERS, BODY, TIMEOUT_S * 1000)
        return (await http.send(request)).status

    async def theirs() -> int:
        return (await old.post(url, headers=HEADERS, content=BODY)).status_code

    try:
        found = [
            (
                await rate_of(ours, requests, at_once),
                await rate_of(theirs, requests // SHARE_OF_HTTPX2, at_once),
            )
            for _ in range(TURNS)
        ]
    finally:
        await http.close()
        await old.aclose()
        server.kill()
        server.wait()
        server.stdout.close()
    return {
        "requests_per_s": max(ours_rate for (ours_rate, _), _ in found),
        "cpu_us": min(cpu for (_, cpu), _ in found),
        "httpx2_per_s": max(rate for _, (rate, _) in found),
        "httpx2_cpu_us": min(cpu for _, (_, cpu) in found),
    }


if __name__ == "__main__":
    asyncio.run(serve())
