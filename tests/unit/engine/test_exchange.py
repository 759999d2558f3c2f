"""What is read of an answer: compression, sizes, streams."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.unit.engine.raw_server import (
    PATIENCE_S,
    Collecting,
    Peer,
    always,
    compressed,
    exchange,
    response,
)
from workflow_agents.engine.http_out import NoAnswer


async def test_an_answer_is_handed_on_whole() -> None:
    answer = await exchange(always(response(b"\x00\xff", "X-A: 1", "x-a: 2", "x-b: \xe9")))

    assert (answer.status, answer.body) == (200, b"\x00\xff")
    assert (answer.headers["x-a"], answer.headers["x-b"]) == (["1", "2"], ["é"])


async def test_a_header_in_another_encoding_is_text_all_the_same() -> None:
    answer = await exchange(always(b"HTTP/1.1 204 No\r\nx-a: caf\xe9\r\n\r\n"))

    assert answer.headers["x-a"] == ["café"]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", lambda data: compressed(data, 31)),
        ("X-GZIP", lambda data: compressed(data, 31)),
        ("deflate", lambda data: compressed(data, 15)),
        ("deflate", lambda data: compressed(data, -15)),
        ("gzip, gzip", lambda data: compressed(compressed(data, 31), 31)),
        ("deflate, gzip", lambda data: compressed(compressed(data, 15), 31)),
        ("identity", lambda data: data),
        ("br", lambda data: data),
        ("zstd", lambda data: data),
        ("gzip, br", lambda data: data),
    ],
)
async def test_compressed_answers(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    data = bytes(range(256)) * 2_000

    answer = await exchange(always(response(pack(data), f"content-encoding: {encoding}")))

    assert answer.body == data


@pytest.mark.parametrize(
    ("body", "encoding", "says", "final"),
    [
        (b"not gzip", "gzip", "the compressed answer is damaged", False),
        (compressed(b"x" * 999, 31)[:-9], "gzip", "the compressed answer has no end", False),
        (b"x", "gzip, gzip, gzip", "the answer is compressed 3 times over", True),
    ],
)
async def test_what_is_not_compressed_as_it_says(
    body: bytes, encoding: str, says: str, final: bool
) -> None:
    with pytest.raises(NoAnswer, match=says) as broken:
        await exchange(always(response(body, f"content-encoding: {encoding}")))

    assert broken.value.final is final


@pytest.mark.parametrize(
    ("size", "fits"), [(999, True), (1_000, True), (1_001, False), (10_000, False)]
)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_the_limit_is_one_of_decoded_bytes(size: int, fits: bool, encoding: str) -> None:
    body = b"x" * size if encoding == "identity" else compressed(b"x" * size, 31)
    answer = always(response(body, f"content-encoding: {encoding}"))

    if fits:
        assert len((await exchange(answer, max_bytes=1_000)).body) == size
    else:
        with pytest.raises(NoAnswer, match="over the limit of 1,000 bytes") as over:
            await exchange(answer, max_bytes=1_000)
        assert over.value.final


async def test_an_answer_without_end_is_cut_off() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await peer.say(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")

    with pytest.raises(NoAnswer, match="over the limit"):
        await exchange(handle, max_bytes=100_000)


@pytest.mark.parametrize(
    "begins",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
    ],
    ids=["head", "trailers"],
)
async def test_a_head_without_end_is_cut_off(begins: bytes) -> None:
    sent = 0

    async def handle(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.say(begins)
        while True:
            await peer.say(b"".join(b"x-%d: y\r\n" % (sent + n) for n in range(1_000)))
            sent += 1_000

    with pytest.raises(NoAnswer, match="the answer breaks the HTTP protocol"):
        await exchange(handle)
    assert sent < 1_000_000


BOMB = """
import asyncio, resource, zlib
from tests.unit.engine.raw_server import always, exchange, response
from workflow_agents.engine.http_out import NoAnswer

def bomb(wbits):
    packer = zlib.compressobj(9, wbits=wbits)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()

def packed(data):
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(data) + packer.flush()

class Stream:
    def begins(self, status, headers):
        return True
    def feed(self, received):
        return False

async def main():
    gzip, deflate = bomb(31), bomb(15)
    bombs = [("gzip", gzip), ("deflate", deflate), ("gzip, gzip", packed(gzip)),
             ("deflate, gzip", packed(deflate)), ("gzip", gzip * 3)]
    await exchange(always(response(packed(b"x" * 900_000), "content-encoding: gzip")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for encoding, body in bombs:
        for reader in (None, Stream()):
            limit = 1_000_000 if reader is None else 20_000
            try:
                await exchange(always(response(body, f"content-encoding: {encoding}")),
                               max_bytes=limit, reader=reader)
            except NoAnswer as error:
                assert error.final, error
                assert "over the limit of 1,000,000 bytes" in str(error), error
            else:
                raise AssertionError(encoding)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""


def test_a_bomb_does_not_grow_the_process() -> None:
    """200 MiB in 200 kB, or in 1 kB: read until the limit, and no further."""
    done = subprocess.run([sys.executable, "-c", BOMB], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 4_096, f"{done.stdout} KiB more than an answer within the limit"


async def test_a_stream_is_read_while_it_comes() -> None:
    reader, go_on = Collecting(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        await peer.say(b"6\r\n[DONE]\r\n0\r\n\r\n")

    task = asyncio.create_task(exchange(handle, reader=reader))
    await asyncio.wait_for(reader.came.wait(), PATIENCE_S)
    assert reader.parts == [b"first"]
    go_on.set()

    assert (await task).body == b""
    assert b"".join(reader.parts) == b"first[DONE]"


@pytest.mark.parametrize("end", ["silence", "reset", "rubbish", "hang up"])
async def test_what_comes_behind_the_end_of_a_stream_is_not_failed_for(end: str) -> None:
    reader = Collecting()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n[DONE]\r\n")
        await reader.came.wait()
        if end == "silence":
            await asyncio.sleep(60)
        elif end == "reset":
            peer.reset()
        elif end == "rubbish":
            await peer.say(b"rubbish\r\n")

    assert (await exchange(handle, reader=reader)).status == 200
    assert reader.parts == [b"[DONE]"]


@pytest.mark.parametrize("end", ["reset", "rubbish", "hang up"])
async def test_a_stream_that_breaks_off(end: str) -> None:
    reader = Collecting()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await reader.came.wait()
        if end == "reset":
            peer.reset()
        elif end == "rubbish":
            await peer.say(b"rubbish\r\n")

    with pytest.raises(NoAnswer) as broken:
        await exchange(handle, reader=reader)
    assert not broken.value.final
