"""A reader of a stream of events, on a raw socket: it shows every byte, and can freeze."""

import asyncio
import json
from typing import Any, NamedTuple


class Event(NamedTuple):
    """As it came."""

    id: int | None
    name: str
    data: Any


class StreamReader:
    """See the module.

    Attributes:
        status: of the answer.
        events: that have come.
        comments: heartbeats that have come.
        last_id: what it would come back with.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.status = 0
        self.headers = ""
        self.events: list[Event] = []
        self.comments = 0
        self.last_id: int | None = None
        self.ended = False

    @classmethod
    async def open(
        cls, port: int, target: str, *, token: str, last_id: int | None = None, buffer: int = 0
    ) -> "StreamReader":
        limit = {"limit": buffer} if buffer else {}
        reader, writer = await asyncio.open_connection("127.0.0.1", port, **limit)
        lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
        if last_id is not None:
            lines.append(f"Last-Event-ID: {last_id}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        opened = cls(reader, writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        opened.status, opened.headers = int(head.split()[1]), head.lower()
        return opened

    def freeze(self) -> None:
        """Take nothing more, and leave the connection open."""
        self._writer.transport.pause_reading()

    async def thaw(self) -> None:
        """Take what is there, and wait for the end that a whole answer has."""
        self._writer.transport.resume_reading()
        async with asyncio.timeout(10):
            await self.read_on(lambda _reader: False)

    async def read_on(self, until: Any, seconds: float = 20) -> None:
        """Read until `until(self)` holds, or the stream ends."""
        async with asyncio.timeout(seconds):
            while not self.ended and not until(self):
                size = int((await self._reader.readuntil(b"\r\n")).strip(), 16)
                body = (await self._reader.readexactly(size + 2))[:-2]
                self.ended = not size
                self._take(body.decode())

    def _take(self, body: str) -> None:
        # Each chunk is whole events: that is how they are written.
        for block in body.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "id" in fields:
                self.last_id = int(fields["id"])
            self.comments += "" in fields
            if "data" in fields:
                number = int(fields["id"]) if "id" in fields else None
                self.events.append(Event(number, fields["event"], json.loads(fields["data"])))

    def entries(self) -> list[Any]:
        return [event.data for event in self.events if event.name == "entry"]

    def close(self) -> None:
        self._writer.transport.abort()
