"""The real client against real sockets: what is sent, what is read, and what is made of faults."""

import asyncio
import contextlib
import gc
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.engine.raw_server import (
    OK,
    PATIENCE_S,
    Peer,
    Server,
    always,
    exchange,
    response,
    sent,
)
from workflow_agents.engine import dialing
from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.engine.http_out import HttpRequest, NoAnswer

# What is sent.


async def test_headers_are_sent_as_they_are_given() -> None:
    given = {"X-MiXed": "Ünï", "authorization": "Bearer k", "X-Empty": ""}

    head, body = await sent(method="POST", body=b"{}", headers=given)

    lines = head.split(b"\r\n")
    assert lines[0] == b"POST / HTTP/1.1"
    assert "X-MiXed: Ünï".encode() in lines
    assert b"authorization: Bearer k" in lines
    assert b"X-Empty: " in lines
    assert (b"accept-encoding: gzip, deflate" in lines, body) == (True, b"{}")
    assert b"content-type" not in head.lower()


async def test_what_belongs_to_the_connection_is_not_sent() -> None:
    dropped = {
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "Content-Length": "99",
        "Expect": "100-continue",
        "Host": "other.example",
        "Keep-Alive": "timeout=5",
        "Proxy-Authorization": "Basic a",
        "Proxy-Connection": "close",
        "TE": "trailers",
        "Trailer": "x",
        "Transfer-Encoding": "chunked",
        "Upgrade": "h2c",
    }

    head, _ = await sent(method="POST", body=b"four", headers={**dropped, "X-Kept": "1"})

    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:-2]]
    expected = {b"host", b"content-length", b"accept", b"accept-encoding", b"user-agent", b"x-kept"}
    assert (set(names), len(names)) == (expected, len(expected))
    assert b"other.example" not in head
    assert b"Content-Length: 4\r\n" in head


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", b"/"),
        ("/a%2Fb/%41?q=a%20b+c&sig=%2B%2f#frag", b"/a%2Fb/%41?q=a%20b+c&sig=%2B%2f"),
        ("/ä?ö=ü", b"/%C3%A4?%C3%B6=%C3%BC"),
        ("/a/../b//c", b"/a/../b//c"),
        ('/"<>\\^`{}', b"/%22%3C%3E%5C%5E%60%7B%7D"),
        ("?only=query", b"/?only=query"),
    ],
)
async def test_an_address_is_sent_as_it_is_written(path: str, target: bytes) -> None:
    head, _ = await sent(path=path)

    assert head.split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\nevil: 1"},
        {"x": "a\nb"},
        {"x": "s3cret\x00"},
        {"x": "\x7f"},
        {"x\r\nevil": "1"},
        {"x y": "1"},
        {"": "1"},
        {"x:": "1"},
        {"x": "\ud800"},
    ],
)
async def test_a_header_that_would_break_the_request_is_refused(headers: dict[str, str]) -> None:
    server = Server(always(OK))
    http = AiohttpOut(1_000)
    async with server.listening() as origin:
        with pytest.raises(NoAnswer, match="a header of the request breaks") as refused:
            await http.send(HttpRequest("GET", origin, headers, b"", 1_000))
    await http.close()

    assert refused.value.final
    assert "s3cret" not in str(refused.value)
    assert server.connections == 0


async def test_a_method_that_is_none_is_refused() -> None:
    with pytest.raises(NoAnswer, match="the method of the request") as refused:
        await exchange(always(OK), method="GET / HTTP/1.1\r\n\r\nGET")

    assert refused.value.final


@pytest.mark.parametrize("size", [1_000, 3_000_000])
async def test_bodies_of_any_size(size: int) -> None:
    _, body = await sent(method="PUT", body=b"x" * size)

    assert len(body) == size


async def test_cookies_are_not_kept() -> None:
    server = Server(always(response(b"", "set-cookie: a=1; path=/")))
    heads: list[bytes] = []

    async def handle(peer: Peer) -> None:
        while True:
            heads.append((await peer.request())[0])
            await peer.say(response(b"", "set-cookie: a=1; path=/"))

    server = Server(handle)
    http = AiohttpOut(1_000)
    async with server.listening() as origin:
        origin = origin.replace("127.0.0.1", "localhost")  # no jar keeps those of an address
        for _ in range(2):
            answer = await http.send(HttpRequest("GET", origin, {}, b"", 5_000))
            assert answer.headers["set-cookie"] == ["a=1; path=/"]
        await http.close()

    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_redirects_are_answers() -> None:
    server = Server(always(b"HTTP/1.1 302 F\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n"))
    http = AiohttpOut(1_000)
    async with server.listening() as origin:
        answer = await http.send(HttpRequest("GET", origin, {}, b"", 5_000))
        await http.close()

    assert (answer.status, answer.headers["location"]) == (302, ["/other"])
    assert server.connections == 1


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server(always(OK))
    async with proxy.listening() as origin:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, origin)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await exchange(always(OK))).body == b"ok"

    assert proxy.connections == 0


# What goes wrong.


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "the connection was closed before there was an answer"),
        (b"HTTP/1.1 20", "the connection was closed before there was an answer"),
        (b"HTTP/1.1 200 OK\r\nx: y", "the connection was closed before there was an answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "closed within the answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "the answer breaks the HTTP protocol"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "the answer breaks the HTTP protocol"),
        (
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
            "the answer breaks the HTTP protocol",
        ),
        (
            b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000 + b"\r\n",
            "the answer breaks the HTTP protocol",
        ),
    ],
)
async def test_an_answer_that_is_none(answer: bytes, says: str) -> None:
    server_saw = 0

    async def handle(peer: Peer) -> None:
        nonlocal server_saw
        await peer.request()
        server_saw += 1
        await peer.say(answer)

    with pytest.raises(NoAnswer, match=says) as none:
        await exchange(handle, path="/?key=s3cret", headers={"x-key": "s3cret"})

    assert not none.value.final
    assert "s3cret" not in str(none.value)
    assert server_saw == 1, "a new connection is not tried twice: that is the engine's to decide"


async def test_an_answer_that_does_not_come() -> None:
    async def handle(peer: Peer) -> None:
        await asyncio.sleep(60)

    with pytest.raises(NoAnswer, match=r"^no answer within 0\.05 s$") as none:
        await exchange(handle, timeout_ms=50)
    assert not none.value.final


async def test_an_answer_that_comes_too_slowly() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            await peer.say(b"x")
            await asyncio.sleep(0.01)

    with pytest.raises(NoAnswer, match=r"^no answer within 0\.1 s$"):
        await exchange(handle, timeout_ms=100)


async def test_a_connection_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_args: Any, **_options: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    http = AiohttpOut(1_000, connect_ms=50)

    with pytest.raises(NoAnswer, match=r"^cannot connect in time$") as none:
        await http.send(HttpRequest("GET", "http://slow.example/", {}, b"", 10_000))
    await http.close()
    assert not none.value.final


async def test_nobody_listens_and_nobody_is_found() -> None:
    http = AiohttpOut(1_000)
    with pytest.raises(NoAnswer, match=r"^cannot connect: "):
        await http.send(HttpRequest("GET", "http://127.0.0.1:9/", {}, b"", 5_000))
    with pytest.raises(NoAnswer, match=r"^no address is found: "):
        await http.send(HttpRequest("GET", "http://nobody.invalid/", {}, b"", 5_000))
    await http.close()


# Connections that are kept.


async def test_connections_are_used_again_and_many_are_open_at_once() -> None:
    together = asyncio.Barrier(50)

    async def handle(peer: Peer) -> None:
        await peer.request()
        await together.wait()
        await peer.say(OK)
        await always(OK)(peer)

    server, http = Server(handle), AiohttpOut(1_000)
    async with server.listening() as origin:
        request = HttpRequest("POST", origin, {}, b"x", 10_000)
        await asyncio.gather(*(http.send(request) for _ in range(50)))
        for _ in range(3):
            await asyncio.gather(*(http.send(request) for _ in range(50)))
        await http.close()

    assert server.connections == 50


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("size", [10, 2_000_000])
async def test_a_kept_connection_that_is_closed_as_it_is_used(method: str, size: int) -> None:
    """The server takes the second request of a connection and closes without a word."""
    seen: list[tuple[int, int]] = []

    async def handle(peer: Peer) -> None:
        _, body = await peer.request()
        seen.append((peer.number, len(body)))
        await peer.say(OK)
        await peer.request()

    server, http = Server(handle), AiohttpOut(1_000)
    async with server.listening() as origin:
        for _ in range(3):
            answer = await http.send(HttpRequest(method, origin, {}, b"x" * size, 10_000))
            assert answer.body == b"ok"
        await http.close()

    assert seen == [(1, size), (2, size), (3, size)]


async def test_a_kept_connection_that_is_reset_as_it_is_used() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        peer.reset()

    server, http = Server(handle), AiohttpOut(1_000)
    async with server.listening() as origin:
        for _ in range(3):
            assert (await http.send(HttpRequest("POST", origin, {}, b"x", 5_000))).body == b"ok"
        await http.close()

    assert server.connections == 3


async def test_a_kept_connection_that_breaks_within_the_head_is_not_tried_again() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nx-be")

    server, http = Server(handle), AiohttpOut(1_000)
    async with server.listening() as origin:
        request = HttpRequest("POST", origin, {}, b"x", 5_000)
        await http.send(request)
        with pytest.raises(NoAnswer, match="closed before there was an answer"):
            await http.send(request)
        await http.close()

    assert server.connections == 1


async def test_a_kept_connection_that_breaks_in_the_middle_of_the_work_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever has worked on a request for a while has seen it, whatever became of him."""
    monkeypatch.setattr(dialing, "STALE_S", 0.02)

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        await asyncio.sleep(0.1)

    assert await connections_for_two(Server(handle), None) == 1


@pytest.mark.parametrize(("may", "connections"), [(True, 2), (False, 1)])
async def test_a_request_that_may_not_be_repeated_is_not(may: bool, connections: int) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()

    assert await connections_for_two(Server(handle), lambda: may) == connections


async def connections_for_two(server: Server, may_repeat: Callable[[], bool] | None) -> int:
    """Send two requests; how many connections there were. One: the second got no answer."""
    http = AiohttpOut(1_000)
    async with server.listening() as origin:
        request = HttpRequest("POST", origin, {}, b"x", 5_000, may_repeat=may_repeat)
        await http.send(request)
        with contextlib.suppress(NoAnswer):
            await http.send(request)
        await http.close()
    return server.connections


async def test_connections_that_the_server_has_closed_are_not_used() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)

    server, http = Server(handle), AiohttpOut(1_000)
    async with server.listening() as origin:
        for _ in range(20):
            assert (await http.send(HttpRequest("POST", origin, {}, b"x", 5_000))).body == b"ok"
        await http.close()

    assert server.connections == 20


async def test_nothing_is_left_open() -> None:
    """A cut-off answer, a timeout and a cancelled request give their connections back."""
    came = asyncio.Event()

    async def handle(peer: Peer) -> None:
        head, _ = await peer.request()
        if b"/long" in head:
            await peer.say(response(b"x" * 5_000))
        if b"/cancelled" in head:
            came.set()
        await asyncio.sleep(60)

    http = AiohttpOut(1_000)
    async with Server(handle).listening() as origin:
        for path, timeout_ms in (("/long", 5_000), ("/never", 20)):
            with pytest.raises(NoAnswer):
                await http.send(HttpRequest("GET", origin + path, {}, b"", timeout_ms))
        request = HttpRequest("GET", f"{origin}/cancelled", {}, b"", 10_000)
        task = asyncio.create_task(http.send(request))
        await asyncio.wait_for(came.wait(), PATIENCE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await http.close()
    gc.collect()  # what was left open would warn here, and warnings are errors

    assert task.cancelled()
