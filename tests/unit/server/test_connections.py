"""What a connection brings before an app hears of it: bounded in time and size."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fuzz.world import listening
from workflow_agents.server import connections
from workflow_agents.server.connections import MOST_BYTES

PATIENCE_S = 20
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the number of bytes that came."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    length = (b"content-length", str(len(str(size))).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": str(size).encode()})


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    async with listening(app) as port, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.transport.abort()


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        (b"GET /", b"a" * 1_000),
        (HEAD, b"x-a: b\r\n" * 100),
        (HEAD + b"x-a: ", b"a" * 1_000),
        (HEAD, b"a" * 1_000),
        (CHUNKED + b"1\r\na\r\n0\r\n", b"x-a: b\r\n" * 100),
        (CHUNKED + b"1\r\na\r\n0\r\nx-a: ", b"a" * 1_000),
        (CHUNKED + b"1;", b"a" * 1_000),
        (b"\r\n", b"\r\n" * 500),
    ],
    ids=["address", "headers", "value", "name", "trailers", "trailer", "extension", "line ends"],
)
async def test_what_never_ends_is_cut_off(streams: Streams, begins: bytes, goes_on: bytes) -> None:
    assert await _taken(*streams, begins, goes_on) < 20 * MOST_BYTES


async def _taken(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begins: bytes, goes_on: bytes
) -> int:
    """How much is sent until the connection is closed, with what lies in the buffers between."""
    writer.write(begins)
    sent = 0
    try:
        while sent < 100 * MOST_BYTES and not reader.at_eof():
            writer.write(goes_on)
            await writer.drain()
            sent += len(goes_on)
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    return sent


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HT", HEAD, HEAD + b"x-a: b"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    streams: Streams, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    reader, writer = streams
    whole = HEAD + b"Content-Length: 0\r\n\r\n"
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)
    writer.write(whole)  # so that the connection is one that has waited before
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(1) == b"0"
    writer.write(sent or whole + b"GET")
    assert not (await reader.read()).endswith(b"\r\n\r\n")
    assert reader.at_eof()


async def test_whoever_says_nothing_at_all_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)
    async with listening(app) as port, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_bodies_and_pauses_between_requests_have_limits_of_their_own(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = streams
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)
    size = 3 * MOST_BYTES
    for _ in range(2):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        await asyncio.sleep(0.1)
        writer.write(b"a" * size)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(7) == b"%d" % size
        await asyncio.sleep(0.1)
