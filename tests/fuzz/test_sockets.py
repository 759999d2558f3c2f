"""Broken HTTP over a real socket: each connection is answered or closed, and the server lives on.

What is sent is a right request that was damaged as bytes, or one of `MALFORMED`. Volume by
`FUZZ_CONNECTIONS`; a failure prints the bytes.
"""

import asyncio
import contextlib
import os
import random
from pathlib import Path

from tests.fuzz.generate import asked_of
from tests.fuzz.known import Known
from tests.fuzz.test_requests import routes_of
from tests.fuzz.world import Asked, World, listening, open_world
from workflow_agents.server.settings import DEV_TOKEN

CONNECTIONS = int(os.environ.get("FUZZ_CONNECTIONS", "200"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
AT_ONCE = 20
PATIENCE_S = 20
MORE_S = 0.3

_HOST = b"Host: 127.0.0.1\r\n"
_TOKEN = f"Authorization: Bearer {DEV_TOKEN}\r\n".encode()
_GET = b"GET /health HTTP/1.1\r\n" + _HOST
_POST = b"POST /v2/publish/https://a.test/ HTTP/1.1\r\n" + _HOST + _TOKEN

MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "a line end": b"\r\n",
    "line ends": b"\r\n" * 10_000,
    "no HTTP": b"hello\r\n\r\n",
    "NUL": b"\x00" * 100,
    "TLS": bytes.fromhex("16030100a5010000a1030300000000"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n",
    "HTTP/9.9": b"GET /health HTTP/9.9\r\n" + _HOST + b"\r\n",
    "no version": b"GET /health\r\n" + _HOST + b"\r\n",
    "no target": b"GET  HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a target with a space": b"GET /a b HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a target that is no ASCII": b"GET /\xff\xfe HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a target in UTF-8": "GET /v2/publish/\U0001f9e8 HTTP/1.1\r\n".encode() + _HOST + b"\r\n",
    "a target with NUL": b"GET /\x00 HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a target with an address": b"GET http://127.0.0.1:x/health HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\n" + _HOST + b"\r\n",
    "CONNECT": b"CONNECT a.test:443 HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a long method": b"G" * 10_000 + b" / HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a long target": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": _GET + b"Host: evil.test\r\n\r\n",
    "a host that is none": b"GET /health HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "a huge header": _GET + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "many headers": _GET + b"X: a\r\n" * 20_000 + b"\r\n",
    "a header without colon": _GET + b"X\r\n\r\n",
    "a header without name": _GET + b": a\r\n\r\n",
    "a header on two lines": _GET + b"X: a\r\n b\r\n\r\n",
    "a header with NUL": _GET + b"X: a\x00b\r\n\r\n",
    "a header with CR": _GET + b"X: a\rb\r\n\r\n",
    "a name with a space": _GET + b"X Y: a\r\n\r\n",
    "a name before a space": _GET + b"Host : evil.test\r\n\r\n",
    "line feeds only": _GET.replace(b"\r\n", b"\n") + b"\n",
    "an upgrade": _GET + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/2 in the clear": _GET + b"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n",
    "no length": _POST + b"\r\nbody",
    "a negative length": _POST + b"Content-Length: -1\r\n\r\n",
    "a length that is none": _POST + b"Content-Length: a\r\n\r\n",
    "a length in other digits": _POST + "Content-Length: ٣\r\n\r\n".encode(),
    "a huge length": _POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "two lengths": _POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": _POST
    + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown transfer encoding": _POST + b"Transfer-Encoding: gzip, x\r\n\r\n",
    "chunked twice": _POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a chunk without length": _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
    "a negative chunk": _POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n",
    "a huge chunk": _POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nab\r\n",
    "a chunk with a long extension": (
        _POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 100_000 + b"\r\na\r\n0\r\n\r\n"
    ),
    "endless trailers": (
        _POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: a\r\n" * 20_000 + b"\r\n"
    ),
    "a body that is too long": _POST + b"Content-Length: 1\r\n\r\nabGET / HTTP/1.1\r\n\r\n",
    "two requests": _GET + b"\r\n" + _GET + b"\r\n",
    "a request inside a request": _POST + b"Content-Length: 5\r\n\r\nhello" + _GET + b"\r\n",
    "an expectation": _POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    "another expectation": _POST + b"Expect: x\r\nContent-Length: 1\r\n\r\na",
    "a compressed body": _POST + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na",
}


async def spoken(port: int, data: bytes) -> bytes:
    """What comes back until the server closes; if it waits for more, it is told that none comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reply = b""
    try:
        writer.write(data)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MORE_S):
                while part := await reader.read(65_536):
                    reply += part
                return reply
        writer.write_eof()
        return reply + await reader.read()
    except ConnectionError:
        return reply
    finally:
        writer.close()


def checked(data: bytes, reply: bytes) -> None:
    """A reply is one or more answers, of which the first may be to what could not be read."""
    assert b"Traceback" not in reply, data[:3_000]
    if reply:
        first = reply.split(b"\r\n", 1)[0].split()
        assert first[0] == b"HTTP/1.1", (data[:3_000], reply[:300])
        assert int(first[1]) < 500, (data[:3_000], reply[:300])


async def lives_on(world: World, port: int, body: bytes) -> None:
    target = f"POST /v2/publish/{world.origin}/ok HTTP/1.1\r\n".encode()
    length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    reply = await spoken(port, target + _HOST + _TOKEN + length + body)
    assert reply.startswith(b"HTTP/1.1 200"), reply
    await world.until_delivered(body)


async def test_malformed_requests(tmp_path: Path) -> None:
    async with open_world(tmp_path / "server.db") as world, listening(world.app) as port:
        async with asyncio.timeout(PATIENCE_S):
            replies = await asyncio.gather(*(spoken(port, data) for data in MALFORMED.values()))
        for name, reply in zip(MALFORMED, replies, strict=True):
            checked(name.encode(), reply)
        await lives_on(world, port, b"the last")
        assert world.troubles.found == []


async def test_damaged_requests(tmp_path: Path) -> None:
    async with open_world(tmp_path / "server.db") as world, listening(world.app) as port:
        routes, known = routes_of(world.app), Known()
        for first in range(0, CONNECTIONS, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, CONNECTIONS))
            drawn = [asked_of(SEED, n, routes, known, world.origin)[1] for n in numbers]
            chances = [random.Random(f"{SEED}:{n}") for n in numbers]
            sent = [damaged(*pair) for pair in zip(drawn, chances, strict=True)]
            async with asyncio.timeout(PATIENCE_S):
                replies = await asyncio.gather(*(spoken(port, data) for data in sent))
            for data, reply in zip(sent, replies, strict=True):
                checked(data, reply)
                known.learn(reply.partition(b"\r\n\r\n")[2])
        await lives_on(world, port, b"the last")
        assert world.engine.store.check() == []
        assert world.troubles.found == []


def damaged(asked: Asked, chance: random.Random) -> bytes:
    """The request as bytes of HTTP, whatever is in it; every other time something is wrong."""
    body = b"".join(asked.parts)
    target = asked.target[:100_000].replace(b" ", b"%20").replace(b"\n", b"").replace(b"\r", b"")
    lines = [asked.method.encode() + b" " + target + b" HTTP/1.1"]
    lines += [name + b": " + value[:100_000] for name, value in asked.headers]
    if chance.random() < 0.3:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in asked.parts if part)
        body += b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
    lines.append(b"Connection: close")
    data = b"\r\n".join(lines) + b"\r\n\r\n" + body
    if chance.random() < 0.5:
        return data
    at = chance.randrange(min(len(data), 500))
    match chance.randrange(4):
        case 0:
            return data[: chance.randrange(len(data))]
        case 1:
            return data[:at] + chance.randbytes(4) + data[at:]
        case 2:
            return data[:at] + data[at + chance.randrange(20) :]
        case _:
            return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


async def test_whoever_falls_silent_hinders_nobody(tmp_path: Path) -> None:
    """Half a request each on many connections: others are answered meanwhile."""
    halves = [b"", b"GET /health HTT", _GET, _POST + b"Content-Length: 9\r\n\r\na"]
    async with open_world(tmp_path / "server.db") as world, listening(world.app) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for nth, (_, writer) in enumerate(silent):
            writer.write(halves[nth % len(halves)])
        async with asyncio.timeout(PATIENCE_S):
            await lives_on(world, port, b"meanwhile")
        for _, writer in silent:
            writer.transport.abort()
