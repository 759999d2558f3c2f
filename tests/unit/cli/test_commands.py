"""The command line as people and launchers use it: processes, their output and their end."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from tests.forks import SERVERS, forked
from workflow_agents.cli.dev import import_string
from workflow_agents.cli.main import _COMMANDS_LATER, _LATER, _ORDER
from workflow_agents.cli.running import store_path_of
from workflow_agents.cli.server import Given
from workflow_agents.error_codes import CODES
from workflow_agents.errors import ConfigurationError
from workflow_agents.server.settings import DEV_KEYS, DEV_TOKEN, make_token, user_of

PATIENCE_S = 60
OURS = re.compile("QSTASH|UPSTASH|WORKFLOW_AGENTS")
ENVIRONMENT = {n: v for n, v in os.environ.items() if not OURS.match(n)}


class Command:
    """A command that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, pattern: str) -> re.Match[str]:
        """The first line of its output in which the pattern is found."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self.process.stdout.readline()).decode():
                self.lines.append(line.rstrip("\n"))
                if found := re.search(pattern, line):
                    return found
        raise AssertionError(f"no {pattern!r} in {self.lines}")

    async def ended(self) -> tuple[int, str]:
        """Its exit code, and all that it wrote."""
        rest, _ = await asyncio.wait_for(self.process.communicate(), PATIENCE_S)
        return self.process.returncode or 0, "\n".join([*self.lines, rest.decode()])

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        return await self.ended()

    def variables(self) -> dict[str, str]:
        lines = (line for line in self.lines if line.startswith("QSTASH_"))
        return dict(line.split("=", 1) for line in lines)


Start = Callable[..., Awaitable[Command]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts `workflow-agents` with arguments, in a folder of the test's own."""
    started: list[Command] = []

    async def command(*arguments: str, **environment: str) -> Command:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *forked(*SERVERS),
            "workflow_agents.cli",
            *arguments,
            cwd=tmp_path,
            env={**ENVIRONMENT, "PYTHONPATH": os.getcwd(), **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        started.append(Command(process))
        return started[-1]

    yield command
    for one in started:
        if one.process.returncode is None:
            one.process.kill()
            await one.process.communicate()


async def keys(url: str, token: str) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.get(f"{url}/v2/keys", headers={"Authorization": f"Bearer {token}"})


# dev


async def test_dev_prints_what_clients_need_and_then_serves(start: Start, tmp_path: Path) -> None:
    dev = await start("dev", "--port", "0")
    # What a launcher of the JS client waits for.
    await dev.until(r"(?i)runn+ing( at|\.)")
    await dev.until("^QSTASH_NEXT_SIGNING_KEY=")
    found = dev.variables()
    assert list(found) == [
        "QSTASH_URL",
        "QSTASH_TOKEN",
        "QSTASH_CURRENT_SIGNING_KEY",
        "QSTASH_NEXT_SIGNING_KEY",
    ]
    assert found["QSTASH_TOKEN"] == DEV_TOKEN
    reply = await keys(found["QSTASH_URL"], DEV_TOKEN)
    assert reply.json() == {"current": DEV_KEYS.current, "next": DEV_KEYS.following}
    assert (tmp_path / ".workflow_agents" / "dev.db").exists()
    assert (await dev.stop())[0] == 0


async def test_the_command_that_dev_shows_works_when_pasted(start: Start) -> None:
    dev = await start("dev", "--port", "0")
    line = (await dev.until("curl .*"))[0]
    words = shlex.split(line)
    assert words[:3] == ["curl", "-X", "POST"]
    assert words[4] == "-H"
    name, value = words[5].split(": ", 1)
    async with httpx2.AsyncClient() as client:
        # The same request, but for a time at which this machine may be offline.
        reply = await client.post(words[3], headers={name: value, "Upstash-Delay": "1h"})
    assert reply.status_code == 200
    assert reply.json()["messageId"].startswith("msg_")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_is_enough(start: Start, number: signal.Signals) -> None:
    dev = await start("dev", "--port", "0", "--store", ":memory:")
    await dev.until("^QSTASH_NEXT_SIGNING_KEY=")
    code, output = await dev.stop(number)
    assert code == 0
    assert "Traceback" not in output


async def test_a_request_that_never_ends_does_not_keep_it(start: Start) -> None:
    dev = await start("dev", "--port", "0", "--store", ":memory:")
    await dev.until("^QSTASH_NEXT_SIGNING_KEY=")
    port = int(dev.variables()["QSTASH_URL"].rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v2/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {DEV_TOKEN}\r\n"
    writer.write(f"{head}Content-Length: 9\r\n\r\n".encode())
    await writer.drain()
    await keys(dev.variables()["QSTASH_URL"], DEV_TOKEN)  # the other one is being read by now
    assert (await dev.stop())[0] == 0
    writer.close()


async def test_dev_starts_an_app_beside_it_with_its_variables(start: Start, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import os\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        told = os.environ['QSTASH_URL'] + ' ' + os.environ['QSTASH_TOKEN']\n"
        "        await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "        await send({'type': 'http.response.body', 'body': told.encode()})\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    dev = await start("dev", "shop.py", "--port", "0", "--app-port", str(port))
    await dev.until("^QSTASH_NEXT_SIGNING_KEY=")
    async with asyncio.timeout(PATIENCE_S), httpx2.AsyncClient() as client:
        while True:
            try:
                reply = await client.get(f"http://127.0.0.1:{port}/")
                break
            except httpx2.ConnectError:
                await asyncio.sleep(0.05)
    assert reply.text == f"{dev.variables()['QSTASH_URL']} {DEV_TOKEN}"
    assert (await dev.stop(signal.SIGINT))[0] == 0
    with socket.create_server(("127.0.0.1", port)):
        pass  # the app has ended, too


async def test_dev_stays_on_this_machine(start: Start) -> None:
    code, output = await (await start("dev", "--host", "0.0.0.0")).ended()
    assert code == 1
    assert "WA122" in output


async def test_a_taken_port_says_who_has_it_and_names_a_free_one(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        code, output = await (await start("dev", "--port", str(port))).ended()
    assert code == 1
    assert "WA123" in output
    assert re.search(r"--port \d+", output)
    if sys.platform == "linux":
        assert f"(pid {os.getpid()})" in output


async def test_a_store_that_another_process_has_is_told(start: Start) -> None:
    first = await start("dev", "--port", "0")
    await first.until("^QSTASH_NEXT_SIGNING_KEY=")
    code, output = await (await start("dev", "--port", "0")).ended()
    assert code == 1
    assert "WA601" in output
    assert "Traceback" not in output


# server


async def test_a_server_makes_its_credentials_once(start: Start, tmp_path: Path) -> None:
    first = await start("server", "--store", "sqlite:///shop.db", "--port", "0")
    await first.until("^QSTASH_NEXT_SIGNING_KEY=")
    made = first.variables()
    assert user_of(made["QSTASH_TOKEN"]) is not None
    shown = await keys(made["QSTASH_URL"], made["QSTASH_TOKEN"])
    assert shown.json()["current"] == made["QSTASH_CURRENT_SIGNING_KEY"]
    assert (await keys(made["QSTASH_URL"], DEV_TOKEN)).status_code == 401
    assert (await first.stop())[0] == 0
    again = await start("server", "--store", "sqlite:///shop.db", "--port", "0")
    url = (await again.until(r"running at (http\S+)"))[1]
    assert (await keys(url, made["QSTASH_TOKEN"])).json() == shown.json()
    code, output = await again.stop()
    assert code == 0
    assert made["QSTASH_TOKEN"] not in output
    assert "sig_" not in output
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("shop.db*"))
    assert made["QSTASH_TOKEN"].encode() not in stored


async def test_a_server_tells_programs_where_it_is(start: Start) -> None:
    server = await start("server", "--store", "own.db", "--port", "0", "--json")
    await server.until("ready")
    told = json.loads(server.lines[-1])
    assert told["server"].startswith("http://127.0.0.1:")
    assert set(told["made"]) == {
        *("QSTASH_URL", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY")
    }
    assert (await keys(told["server"], told["made"]["QSTASH_TOKEN"])).status_code == 200


async def test_a_server_takes_the_credentials_of_its_environment(start: Start) -> None:
    token, current, following = make_token("me", "secret"), "sig_a" * 6, "sig_b" * 6
    server = await start(
        "server",
        "--port",
        "0",
        QSTASH_TOKEN=token,
        QSTASH_CURRENT_SIGNING_KEY=current,
        QSTASH_NEXT_SIGNING_KEY=following,
        QSTASH_READONLY_TOKEN="reads",
    )
    url = (await server.until(r"running at (http\S+)"))[1]
    for one in (token, "reads"):
        assert (await keys(url, one)).json() == {"current": current, "next": following}
    async with httpx2.AsyncClient(headers={"Authorization": "Bearer reads"}) as client:
        assert (await client.post(f"{url}/v2/keys/rotate")).status_code == 403
    code, output = await server.stop()
    assert code == 0
    assert token not in output
    assert current not in output


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"QSTASH_TOKEN": DEV_TOKEN}, "WA122"),
        ({"QSTASH_READONLY_TOKEN": DEV_TOKEN}, "WA122"),
        ({"QSTASH_TOKEN": "a plain secret"}, "WA102"),
        (
            {
                "QSTASH_CURRENT_SIGNING_KEY": DEV_KEYS.current,
                "QSTASH_NEXT_SIGNING_KEY": DEV_KEYS.following,
            },
            "WA122",
        ),
        ({"QSTASH_CURRENT_SIGNING_KEY": "x" * 40}, "WA102"),
        ({"QSTASH_CURRENT_SIGNING_KEY": "x" * 40, "QSTASH_NEXT_SIGNING_KEY": "short"}, "WA102"),
    ],
)
def test_credentials_that_cannot_be_used_are_refused(
    environment: dict[str, str], code: str
) -> None:
    with pytest.raises(ConfigurationError) as told:
        Given.of(environment)
    assert told.value.code == code
    assert not [value for value in environment.values() if value in str(told.value)]


# Arguments.


@pytest.mark.parametrize(
    ("store", "path"),
    [
        ("a.db", "a.db"),
        (":memory:", ":memory:"),
        ("/var/a.db", "/var/a.db"),
        ("sqlite:///a.db", "a.db"),
        ("sqlite:////var/a.db", "/var/a.db"),
    ],
)
def test_a_store_is_a_path_or_a_url(store: str, path: str) -> None:
    assert store_path_of(store) == path


@pytest.mark.parametrize("store", ["postgresql://host/db", "sqlite://a.db", "sqlite:///", "x://y"])
def test_other_stores_are_refused(store: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        store_path_of(store)
    assert told.value.code == "WA102"


def test_an_app_is_named_by_its_module() -> None:
    assert import_string("flows") == "flows:app"
    assert import_string("flows.py") == "flows:app"
    assert import_string("shop/flows.py:api") == "shop.flows:api"
    for wrong in ("", ":app", "a b", "-c"):
        with pytest.raises(ConfigurationError):
            import_string(wrong)


def test_a_code_is_explained(command) -> None:
    done = command("explain", "wa201")
    assert done.code == 0
    assert "a step changed while this run was in progress" in done.out
    assert command("explain", "wa201", "--json").json["code"] == "WA201"
    assert command("explain", "WA999").code == 2


def test_every_code_is_explained(command) -> None:
    for code, entry in CODES.items():
        out = command("explain", code).out
        assert entry.title in out
        assert all(fix in out for fix in entry.fix)


def test_help_names_the_commands(command) -> None:
    out = command("--help").out
    for name in _ORDER:
        assert f"  {name} " in out


@pytest.mark.parametrize("group", sorted({*_LATER, *_COMMANDS_LATER, "dev", "server", "version"}))
def test_every_command_answers_in_json(command, group: str) -> None:
    """But for what only leads to other commands."""
    verbs = re.findall(
        r"^  ([a-z-]+)  ", command(group, "--help").out.partition("Commands:")[2], re.M
    )
    for verb in verbs or [""]:
        words = [group, verb] if verb else [group]
        assert "--json" in command(*words, "--help").out, words


def test_completion_is_offered_to_shells(command) -> None:
    assert "--install-completion" in command("--help").out


def test_the_version(command) -> None:
    assert command("version").out.strip() == command("version", "--json").json["version"]
