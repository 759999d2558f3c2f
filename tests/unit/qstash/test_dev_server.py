"""QSTASH_DEV: a program starts a server for development by itself, joins it, and takes it along."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workflow_agents import AsyncClient, ConfigurationError

PROGRAM = """
import asyncio, sys
from workflow_agents import AsyncClient

async def main():
    async with AsyncClient() as client:
        sent = await client.messages.publish("https://example.test", delay="1h")
        async with AsyncClient() as other:
            assert (await other.messages.get(sent[0].message_id)).url == "https://example.test"
    print("joined", flush=True)
    if len(sys.argv) > 1:
        await asyncio.sleep(60)

asyncio.run(main())
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("ending", ["by itself", "killed"])
def test_it_is_started_joined_and_ends_with_the_program(tmp_path: Path, ending: str) -> None:
    port = free_port()
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("QSTASH", "UPSTASH"))}
    environment |= {"QSTASH_DEV": "true", "QSTASH_DEV_PORT": str(port), "PYTHONPATH": os.getcwd()}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *(["wait"] if ending == "killed" else [])],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "joined\n"
    if ending == "killed":
        assert not is_free(port)
        program.send_signal(signal.SIGKILL)
    program.communicate(timeout=60)
    assert program.returncode == (-signal.SIGKILL if ending == "killed" else 0)
    patience = time.monotonic() + 30
    while not is_free(port):
        assert time.monotonic() < patience, "the server is left behind"
        time.sleep(0.05)


async def test_what_is_no_server_for_development_is_left_alone(monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        holder.listen()
        monkeypatch.setenv("QSTASH_DEV", "true")
        monkeypatch.setenv("QSTASH_DEV_PORT", str(holder.getsockname()[1]))
        monkeypatch.setattr("workflow_agents.qstash.dev_server._ANSWERS_S", 0.2)
        async with AsyncClient() as client:
            with pytest.raises(ConfigurationError) as refused:
                await client.queues.list()
    assert refused.value.code == "WA123"
    assert "no server for development" in str(refused.value)
