"""Many readers of one stream of events, in a process of their own.

usage: python stream_readers.py PORT PATH TOKEN READERS FROZEN ENTRIES

Some read nothing after the head. Of the others each tenth hangs up half way and comes back. When
all have read all entries, what they saw is printed as JSON. It ends with its standard input.
"""

import asyncio
import json
import re
import sys

PORT, PATH, TOKEN = int(sys.argv[1]), sys.argv[2], sys.argv[3]
READERS, FROZEN, ENTRIES = map(int, sys.argv[4:])
IDS = re.compile(rb"id: (\d+)\nevent: entry\n")


async def connect(last: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    lines = [f"GET {PATH} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}"]
    lines += [f"Last-Event-ID: {last}"] if last else []
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head
    return reader, writer


class Reader:
    """Counts the entries and looks at their order."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = self.last = self.gaps = self.resumed = self.cut = 0

    async def read(self, opened: asyncio.Event) -> None:
        reader, writer = await connect(0)
        opened.set()
        tail = b""
        while self.seen < ENTRIES:
            received = await reader.read(65_536)
            if not received:
                # It could not keep up, and was taken for frozen: whoever reads on comes back.
                self.cut, tail = self.cut + 1, b""
                reader, writer = await connect(self.last)
            *whole, tail = (tail + received).split(b"\n\n")
            for block in whole:
                for (seq,) in (match.groups() for match in IDS.finditer(block + b"\n")):
                    self.gaps += self.last > 0 and int(seq) != self.last + 1
                    self.seen, self.last = self.seen + 1, int(seq)
            if self.seen > ENTRIES // 2 and self.number % 10 == 0 and not self.resumed:
                self.resumed, tail = 1, b""
                writer.transport.abort()
                reader, writer = await connect(self.last)
        writer.close()


async def main() -> None:
    frozen = []
    for _ in range(FROZEN):
        reader, writer = await connect(0)
        writer.transport.pause_reading()
        frozen.append((reader, writer))
    readers = [Reader(number) for number in range(READERS - FROZEN)]
    async with asyncio.TaskGroup() as group:
        for reader in readers:
            opened = asyncio.Event()
            group.create_task(reader.read(opened))
            await opened.wait()
        print("ready", flush=True)
    told = {
        "complete": sum(reader.seen == ENTRIES for reader in readers),
        "gaps": sum(reader.gaps for reader in readers),
        "resumed": sum(reader.resumed for reader in readers),
        "cut": sum(reader.cut for reader in readers),
        "different": len({reader.last for reader in readers}),
    }
    print(json.dumps(told), flush=True)
    # The frozen ones stay until the server has cut them off.
    sys.stdin.read()


asyncio.run(main())
