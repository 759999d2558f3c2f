"""`doctor` finds what is wrong: each fault is seeded, found, named with its code and a fix."""

import asyncio
import json
import os
import socket
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.journeys.checkpoint_world import World, world
from tests.unit.cli.conftest import clean_environment
from workflow_agents import AsyncWorkflowContext
from workflow_agents.cli.checks.machine import check_store
from workflow_agents.server.settings import DEV_KEYS
from workflow_agents.store.owner import OwnerLock
from workflow_agents.store.sqlite import SqliteStore

KEYS = json.dumps({"current": DEV_KEYS.current, "next": DEV_KEYS.following})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    clean_environment(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
async def site(tmp_path, monkeypatch) -> AsyncIterator[World]:
    async with world(tmp_path / "server.db", monkeypatch) as site:
        yield site


class Answers:
    """A server on loopback that answers as a test says, byte for byte."""

    def __init__(self) -> None:
        self.paths: dict[str, Callable[[], bytes]] = {}
        self.url = ""

    def answer(self, path: str, body: str, status: int = 200, date: str | None = None) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        head += f"Date: {date or formatdate(usegmt=True)}\r\nContent-Type: application/json\r\n"
        self.paths[path] = lambda: f"{head}\r\n{body}".encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            for start, answer in self.paths.items():
                if path.startswith(start):
                    writer.write(answer())
                    await writer.drain()
                    if b"event-stream" in answer():
                        await asyncio.sleep(30)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def answering(context: ssl.SSLContext | None = None) -> AsyncIterator[Answers]:
    answers = Answers()
    server = await asyncio.start_server(answers.serve, "127.0.0.1", 0, ssl=context)
    scheme = "http" if context is None else "https"
    answers.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    answers.answer("/v2/keys", KEYS)
    answers.answer("/v2/workflows/stream", "{}", 404)
    answers.answer("/v2/publish", '{"error": "no"}', 400)
    yield answers
    server.close()  # open streams of the test are cut with its loop


@pytest.fixture
async def answers() -> AsyncIterator[Answers]:
    async with answering() as made:
        yield made


def found(done: Any, check: str) -> dict[str, Any]:
    return next(one for one in done.json["findings"] if one["check"] == check)


def assert_fault(done: Any, check: str, code: str, text: str = "") -> None:
    """It is found, named and mended; the exit code says so."""
    one = found(done, check)
    assert (one["level"], one["code"]) == ("fault", code), one
    assert one["fix"]
    assert text in one["told"], one
    assert done.code == 8
    assert done.json["healthy"] is False


async def test_a_healthy_set_up(site: World, ask, tmp_path) -> None:
    @site.serve.post("/work")
    async def work(context: AsyncWorkflowContext[Any]) -> None:
        await context.run("step", lambda: 1)

    await site.app.start()
    done = await ask(
        *("doctor", "--json", "--endpoint", f"{site.app.url}/work"),
        *("--store", str(tmp_path / "server.db")),
    )
    assert done.code == 0, done.out
    levels = {one["check"]: one["level"] for one in done.json["findings"]}
    assert levels == {
        **dict.fromkeys(
            ("configuration", "folder", "disk", "store", "work", "server", "token", "clock"), "ok"
        ),
        **dict.fromkeys(("keys", "signature", "endpoint", "endpoint keys", "checkpoints"), "ok"),
        "stream": levels["stream"],
    }
    assert levels["stream"] in {"ok", "skipped"}
    assert site.visits == {}
    people = await ask("doctor")
    assert "0 faults" in people.out
    assert "✓ signature" in people.out


def test_nothing_to_look_at_is_no_fault(command, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("QSTASH_DEV_PORT", str(port))
    done = command("doctor", "--json")
    assert done.code == 0, done.out
    assert found(done, "server")["level"] == "skipped"


# What is set wrongly.


@pytest.mark.parametrize(
    ("environment", "file", "code"),
    [
        ({"QSTASH_DEV": "perhaps"}, "", "WA102"),
        ({"QSTASH_DEV_PORT": "http"}, "", "WA102"),
        ({"QSTASH_REGION": "MOON"}, "", "WA102"),
        ({"QSTASH_REGION": "US_EAST_1"}, "", "WA106"),
        ({}, "servr = 'x'\n", "WA125"),
        ({}, "[[[", "WA125"),
    ],
)
def test_an_environment_or_a_file_that_cannot_be_read(
    command, monkeypatch, folder: Path, environment: dict[str, str], file: str, code: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if file:
        (folder / "workflow_agents.toml").write_text(file)
    assert_fault(command("doctor", "--json"), "configuration", code)


def test_an_address_that_is_none(command, monkeypatch) -> None:
    monkeypatch.setenv("QSTASH_URL", "localhost:8080")
    assert_fault(command("doctor", "--json"), "server", "WA102", "localhost:8080")


# The server.


def test_a_server_that_is_not_reached(command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert_fault(command("doctor", "--json", "--server", url), "server", "WA303", url)


async def test_another_program_at_the_port(answers: Answers, ask) -> None:
    answers.answer("/v2/keys", "<html>hello</html>", 404)
    done = await ask("doctor", "--json", "--server", answers.url)
    assert_fault(done, "port", "WA123", str(os.getpid()))


async def test_a_token_that_is_not_taken(site: World, ask) -> None:
    assert_fault(await ask("doctor", "--json", "--token", "stale"), "token", "WA403", "401")


async def test_a_clock_that_is_wrong(answers: Answers, ask) -> None:
    answers.answer("/v2/keys", KEYS, date=formatdate(time.time() - 900, usegmt=True))
    done = await ask("doctor", "--json", "--server", answers.url)
    assert_fault(done, "clock", "WA126", "s apart")
    answers.answer("/v2/keys", KEYS, date=formatdate(time.time() - 20, usegmt=True))
    done = await ask("doctor", "--json", "--server", answers.url)
    assert found(done, "clock")["level"] == "warning"


async def test_keys_of_another_server(site: World, ask, monkeypatch) -> None:
    monkeypatch.setenv("QSTASH_CURRENT_SIGNING_KEY", "sig_other")
    monkeypatch.setenv("QSTASH_NEXT_SIGNING_KEY", "sig_other_too")
    assert_fault(await ask("doctor", "--json"), "keys", "WA402", "another server")


async def test_messages_that_do_not_come(answers: Answers, ask) -> None:
    done = await ask("doctor", "--json", "--server", answers.url)
    assert_fault(done, "signature", "WA304", "refused")


async def test_deliveries_that_others_have_signed(site: World, ask) -> None:
    wire = site.engine.wire
    wire.signing = replace(DEV_KEYS, current="sig_stolen" * 3)
    wire.credentials = SimpleNamespace(keys=DEV_KEYS)  # type: ignore[assignment]
    assert_fault(await ask("doctor", "--json"), "signature", "WA402", "not signed")


async def test_streams_that_a_proxy_holds_back(answers: Answers, ask, monkeypatch) -> None:
    monkeypatch.setattr("workflow_agents.cli.checks.server._FIRST_BYTES_S", 0.3)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    answers.paths["/v2/workflows/stream"] = lambda: head
    done = await ask("doctor", "--json", "--server", answers.url)
    assert_fault(done, "stream", "WA305")
    answers.paths["/v2/workflows/stream"] = lambda: head + b"event: open\n\n"
    done = await ask("doctor", "--json", "--server", answers.url)
    assert found(done, "stream")["level"] == "ok"


async def test_a_certificate_that_nobody_trusts(ask, tmp_path) -> None:
    async with answering(self_signed(tmp_path)) as answers:
        done = await ask("doctor", "--json", "--server", answers.url, "--token", "x")
        assert_fault(done, "server", "WA306")


async def test_a_server_that_speaks_no_tls(ask) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        done = await ask("doctor", "--json", "--server", url, "--token", "x")
    assert_fault(done, "server", "WA306", "TLS")


def self_signed(folder: Path) -> ssl.SSLContext:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "own.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


# The endpoint.


async def test_an_endpoint_that_is_not_there(site: World, ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/work"
    done = await ask("doctor", "--json", "--endpoint", url)
    assert_fault(done, "endpoint", "WA301", "not reached")


@pytest.mark.parametrize(
    ("status", "body"), [(404, "nothing"), (200, "<html>"), (302, ""), (500, "Internal Server")]
)
async def test_an_endpoint_that_answers_something_else(
    site: World, answers: Answers, ask, status: int, body: str
) -> None:
    answers.answer("/work", body, status)
    done = await ask("doctor", "--json", "--endpoint", f"{answers.url}/work")
    assert_fault(done, "endpoint", "WA301", f"answers {status}")


async def test_an_endpoint_with_keys_of_another_server(site: World, answers: Answers, ask) -> None:
    answers.answer("/work", '{"error": "WA402", "message": "not signed"}', 500)
    done = await ask("doctor", "--json", "--endpoint", f"{answers.url}/work")
    assert_fault(done, "endpoint keys", "WA402")


async def test_an_endpoint_of_another_sdk_that_takes_everything(
    site: World, answers: Answers, ask
) -> None:
    text = "Incompatible sdk versions. Received doctor while expecting 1"
    answers.answer("/work", text, 400)
    done = await ask("doctor", "--json", "--endpoint", f"{answers.url}/work")
    assert done.code == 0
    assert found(done, "endpoint keys")["level"] == "warning"
    assert found(done, "checkpoints")["level"] == "skipped"


# The store and its disk.


@pytest.fixture
def store(folder: Path) -> Path:
    path = folder / "own.db"
    made = SqliteStore(str(path))
    made.open()
    made.close()
    return path


def test_a_store_that_is_none(command, folder: Path) -> None:
    (folder / "notes.db").write_text("remember the milk\n" * 100)
    done = command("doctor", "--json", "--store", "notes.db")
    assert_fault(done, "store", "WA605", "not a database")


def test_a_store_that_is_damaged(command, store: Path) -> None:
    data = bytearray(store.read_bytes())
    for page in range(2, len(data) // 4096, 2):
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    store.write_bytes(data)
    done = command("doctor", "--json", "--store", str(store))
    assert_fault(done, "store", "WA605")


@pytest.mark.parametrize(
    ("version", "level", "code"), [(999, "fault", "WA604"), (5, "warning", "WA613")]
)
def test_a_store_of_another_version(
    command, store: Path, version: int, level: str, code: str
) -> None:
    with sqlite3.connect(store) as db:
        db.execute(f"PRAGMA user_version = {version}")
    done = command("doctor", "--json", "--store", str(store))
    one = found(done, "store")
    assert (one["level"], one["code"]) == (level, code)
    assert done.code == (8 if level == "fault" else 0)


def test_work_that_nobody_does(command, store: Path) -> None:
    with sqlite3.connect(store) as db:
        db.execute(
            "INSERT INTO deliveries (run, kind, leased, due_at, attempt, data)"
            " VALUES (0, 1, 0, 1000, 0, '')"
        )
    assert found(command("doctor", "--json", "--store", str(store)), "work")["level"] == "warning"
    lock = OwnerLock(str(store))
    lock.acquire()
    done = command("doctor", "--json", "--store", str(store))
    lock.release()
    assert_fault(done, "work", "WA612", f"process {os.getpid()}")


@pytest.mark.parametrize(("free", "level"), [(10 * 2**20, "fault"), (500 * 2**20, "warning")])
def test_a_disk_that_is_nearly_full(store: Path, free: int, level: str) -> None:
    disk = next(one for one in check_store(store, 0, free) if one.check == "disk")
    assert (disk.level, disk.code) == (level, "WA602")
    assert disk.fix


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="nobody may write there, root too")
def test_a_folder_that_cannot_be_written(command) -> None:
    done = command("doctor", "--json", "--store", "/proc/self/task/dev.db")
    assert_fault(done, "folder", "WA603", "/proc/self")
