"""S2: plain messages through the server: published over HTTP in batches, delivered, recorded.

The server is the command `workflow-agents dev` in a process of its own, on a SQLite file with
`synchronous=FULL`. Publisher and receiver share the measuring process, and do as little as they
can: bytes that were made before are written, and requests are counted.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.adapter import Json
from benchmarks.procstat import cpu_seconds

TOKEN = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0="
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
AT_ONCE = 4
PATIENCE_S = 120
GOAL = 1_500  # messages/s


class Receiver(asyncio.Protocol):
    """Answers each request, and tells when as many as are wanted have come."""

    wanted = 0
    ids: set[bytes]
    all_there: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            whole = end + 4 + int(length or 0)
            if len(self._received) < whole:
                return
            # Ids differ in the case of letters.
            at = head.find(b"upstash-message-id: ") + 20
            Receiver.ids.add(self._received[at : head.find(b"\r\n", at)])
            self._received = self._received[whole:]
            self._transport.write(ANSWER)
            if len(Receiver.ids) == Receiver.wanted:
                Receiver.all_there.set()


def batch(url: str, messages: int) -> bytes:
    """A request that publishes so many messages."""
    items = [
        {
            "destination": url,
            "headers": {"content-type": "application/json", "upstash-forward-x-n": str(n)},
            "body": '{"order":1234567}',
        }
        for n in range(messages)
    ]
    body = json.dumps(items).encode()
    head = (
        "POST /v2/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def publish(port: int, request: bytes, times: int) -> None:
    """Write the request so often, each time when the one before is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    for _ in range(times):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
    writer.close()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def rest(port: int, seconds: float) -> None:
    """Wait until the server listens."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


async def messages_per_second(folder: Path, messages: int, batch_of: int) -> Json:
    """The figures: from the first byte published to the last message received."""
    port = free_port()
    store = str(folder / "messages.db")
    command = [
        *(sys.executable, "-m", "workflow_agents.cli", "dev"),
        *("--port", str(port), "--store", store),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    listening = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/orders"
    try:
        await rest(port, 30)
        figures: Json = {}
        for count in (batch_of * AT_ONCE, messages):  # the first is a warm-up
            Receiver.ids, Receiver.wanted = set(), count
            Receiver.all_there = asyncio.Event()
            request = batch(url, batch_of)
            each = count // batch_of // AT_ONCE
            cpu, own = cpu_seconds(server.pid), time.process_time()
            start = time.perf_counter()
            await asyncio.gather(*(publish(port, request, each) for _ in range(AT_ONCE)))
            accepted = time.perf_counter() - start
            await asyncio.wait_for(Receiver.all_there.wait(), PATIENCE_S)
            wall = time.perf_counter() - start
            figures = {
                "messages_per_s": count / wall,
                "accepted_per_s": count / accepted,
                "cpu_us": (cpu_seconds(server.pid) - cpu) / count * 1e6,
                "own_cpu_us": (time.process_time() - own) / count * 1e6,
            }
        return figures
    finally:
        listening.close()
        server.terminate()
        server.wait()


async def main() -> None:
    import tempfile

    from benchmarks.beside import aiohttp_per_s, share

    with tempfile.TemporaryDirectory() as folder:
        figures = await messages_per_second(Path(folder), 10_000, 100)
    figures |= share(figures["messages_per_s"], GOAL, "aiohttp", await aiohttp_per_s())
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
