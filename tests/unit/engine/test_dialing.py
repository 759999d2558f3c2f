"""Requests that must not arrive, made at listeners that count what arrives."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.corpora import FOUND, NOT_REACHING, PATHS, REACHING, UNUSABLE
from workflow_agents.engine.egress import EgressPolicy, networks
from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer

PUBLIC = EgressPolicy("public")
LOOPBACK = EgressPolicy("loopback")


class Listener:
    """Listens on every address of this machine, and counts."""

    def __init__(self, answer: bytes) -> None:
        self.connections = 0
        self._answer = answer

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=_everywhere())
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()


def _everywhere() -> socket.socket:
    made = socket.socket(socket.AF_INET6)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind(("::", 0))
    return made


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    one = Listener(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    await one.start()
    yield one
    await one.stop()


Resolve = Callable[[str], list[str]]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Names that are found, and in "asked" which of them were asked for."""
    found: dict[str, Any] = {**FOUND, "asked": []}

    async def getaddrinfo(host: str, port: int, **_options: Any) -> list[Any]:
        found["asked"].append(host)
        answer = found.get(host)
        if answer is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answer = answer() if callable(answer) else answer
        return [_info(text, port) for text in answer]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return found


def _info(text: str, port: int) -> Any:
    if ":" in text:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (text, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))


@pytest.fixture
async def calling() -> AsyncIterator[Callable[..., Any]]:
    """Makes requests under a policy."""
    opened: dict[EgressPolicy, AiohttpOut] = {}

    async def call(url: str, policy: EgressPolicy) -> HttpResponse:
        if policy not in opened:
            opened[policy] = AiohttpOut(10_000, policy, connect_ms=30_000)
        return await opened[policy].send(HttpRequest("POST", url, {}, b"x", 60_000))

    yield call
    for http in opened.values():
        await http.close()


async def test_nothing_reaches_this_machine_from_a_public_server(
    listener: Listener, names: dict[str, Any], calling: Callable[..., Any]
) -> None:
    """More than 500 ways to say where not to go; none arrives."""
    hosts = [*REACHING, *NOT_REACHING]
    urls = [f"http://{h}:{listener.port}{p}" for h, p in product(hosts, PATHS)]
    urls += [f"https://{host}:{listener.port}/" for host in hosts]
    refused: list[NoAnswer] = []
    for url in urls:
        with pytest.raises(NoAnswer) as none:
            await calling(url, PUBLIC)
        refused.append(none.value)

    assert len(urls) > 500
    assert listener.connections == 0
    assert [str(one) for one in refused if not one.final] == []
    assert {one.error.code for one in refused if one.error} == {"WA304"}


async def test_the_same_ways_lead_to_this_machine_where_nobody_guards_it(
    listener: Listener, names: dict[str, Any], calling: Callable[..., Any]
) -> None:
    """Otherwise the test before would show nothing."""
    for host in REACHING:
        answer = await calling(f"http://{host}:{listener.port}/", EgressPolicy("open"))
        assert answer.body == b"ok", host
    assert listener.connections == len(REACHING)


async def test_unusable_urls_reach_nobody_under_any_policy(
    listener: Listener, calling: Callable[..., Any]
) -> None:
    for url, policy in product(UNUSABLE, (EgressPolicy("open"), LOOPBACK, PUBLIC)):
        to_us = url.replace("127.0.0.1/", f"127.0.0.1:{listener.port}/")
        with pytest.raises(NoAnswer) as none:
            await calling(to_us, policy)
        assert none.value.final
        assert none.value.error is not None
        assert none.value.error.code == "WA302"
    assert listener.connections == 0


async def test_a_refusal_tells_what_to_do(
    listener: Listener, names: dict[str, Any], calling: Callable[..., Any]
) -> None:
    url = f"http://one-of-two.example:{listener.port}/?key=s3cret"
    with pytest.raises(NoAnswer) as none:
        await calling(url, PUBLIC)

    error = none.value.error
    assert error is not None
    place = f"one-of-two.example:{listener.port}"
    assert error.what == f"{place} may not be called: it is this machine (loopback)"
    assert (error.where, error.found) == (place, ("it leads to 127.0.0.1",))
    assert any("allow_networks" in fix for fix in error.fix)
    assert "s3cret" not in str(error)


async def test_a_redirect_is_not_followed(
    names: dict[str, Any], calling: Callable[..., Any]
) -> None:
    inner = Listener(b"")
    await inner.start()
    location = f"http://127.0.0.1:{inner.port}/"
    outer = Listener(
        f"HTTP/1.1 307 R\r\nlocation: {location}\r\nrefresh: 0;url={location}\r\n"
        "content-length: 0\r\n\r\n".encode()
    )
    await outer.start()

    answer = await calling(f"http://localtest.example:{outer.port}/", LOOPBACK)
    await inner.stop()
    await outer.stop()

    assert answer.status == 307
    assert (outer.connections, inner.connections) == (1, 0)


async def test_a_name_that_leads_elsewhere_the_second_time(
    listener: Listener, names: dict[str, Any], calling: Callable[..., Any]
) -> None:
    """What was checked is dialled: for one connection, one resolution."""
    answers = iter([["127.0.0.2"], *[["127.0.0.1"]] * 50])
    names["rebind.example"] = lambda: next(answers)
    policy = EgressPolicy("public", allow_networks=networks(["127.0.0.2"]))
    peers: list[str] = []
    serve = listener._serve

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("sockname")[0])
        await serve(reader, writer)

    other = Listener(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    other._serve = noting  # type: ignore[method-assign]
    await other.start()
    url = f"http://rebind.example:{other.port}/"

    assert (await calling(url, policy)).status == 200
    assert names["asked"] == ["rebind.example"]
    assert peers == ["::ffff:127.0.0.2"]
    fresh = AiohttpOut(1_000, policy)  # its connections are others, and it knows no names
    with pytest.raises(NoAnswer, match="may not be called"):
        await fresh.send(HttpRequest("GET", url, {}, b"", 5_000))
    await fresh.close()
    await other.stop()
    assert peers == ["::ffff:127.0.0.2"]


async def test_a_server_that_turns_names_round_reaches_nobody(
    listener: Listener, names: dict[str, Any]
) -> None:
    turns = iter(["10.0.0.1", "127.0.0.1", "::1", "0.0.0.0", "::ffff:7f00:1"] * 20)
    names["turning.example"] = lambda: [next(turns)]
    for _ in range(100):
        http = AiohttpOut(1_000, PUBLIC)
        url = f"http://turning.example:{listener.port}/"
        with pytest.raises(NoAnswer, match="may not be called"):
            await http.send(HttpRequest("GET", url, {}, b"", 5_000))
        await http.close()
    assert listener.connections == 0


async def test_a_server_does_not_call_itself(
    listener: Listener, names: dict[str, Any], calling: Callable[..., Any]
) -> None:
    """Whatever else is allowed, and by whatever address of the machine."""
    everything = networks(["0.0.0.0/0", "::/0"])
    policies = [
        EgressPolicy("open", own_ports=frozenset({listener.port})),
        EgressPolicy("loopback", own_ports=frozenset({listener.port})),
        EgressPolicy("public", everything, frozenset({listener.port})),
    ]
    hosts = [*REACHING, *_own_addresses()]
    for host, policy in product(hosts, policies):
        with pytest.raises(NoAnswer) as none:
            await calling(f"http://{host}:{listener.port}/", policy)
        assert none.value.final
    assert listener.connections == 0

    other = EgressPolicy("public", everything, frozenset({listener.port + 1}))
    assert (await calling(f"http://127.0.0.1:{listener.port}/", other)).status == 200


def _own_addresses() -> Iterator[str]:
    """Addresses of this machine's interfaces, as far as it has any."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.43.7", 9))
        except OSError:
            return
        yield probe.getsockname()[0]


async def test_the_name_is_kept_for_host_and_tls(
    tmp_path: Path, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is dialled; the certificate has to be that of the name."""
    from workflow_agents.engine import exchange

    certificate = _certificate(tmp_path, "shop.example")
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(exchange, "tls", lambda: trusting)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    names["shop.example"] = names["other.example"] = ["127.0.0.1"]
    http = AiohttpOut(1_000, LOOPBACK)

    async def get(host: str) -> int:
        url = f"https://{host}:{port}/"
        return (await http.send(HttpRequest("GET", url, {}, b"", 5_000))).status

    assert await get("shop.example") == 204
    assert f"Host: shop.example:{port}".encode() in heads[0]
    for host in ("other.example", "127.0.0.1"):
        with pytest.raises(NoAnswer, match="its certificate is not trusted") as none:
            await get(host)
        assert not none.value.final
    monkeypatch.undo()
    await http.close()
    server.close()
    await server.wait_closed()


def _certificate(folder: Path, name: str) -> Path:
    """Key and certificate of a name, signed by itself."""
    from datetime import datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime.now() + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_a_name_server_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, calling: Callable[..., Any]
) -> None:
    from workflow_agents.engine import dialing

    async def never(*_args: Any, **_options: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(dialing, "RESOLVE_S", 0.02)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)

    with pytest.raises(NoAnswer, match=r"no answer of the name server within 0\.02 s") as none:
        await calling("http://slow.example/", PUBLIC)
    assert not none.value.final
