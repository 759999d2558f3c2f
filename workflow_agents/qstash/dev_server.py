"""The server for development that QSTASH_DEV asks for: joined where it runs, else started.

It is a child of this program and ends with it, however that ends: it reads from a pipe that
only this program holds open. Source: protocol 9.
"""

import asyncio
import atexit
import subprocess
import sys
import tempfile
from typing import IO

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.dev_credentials import DEV_KEYS, DEV_TOKEN

_LOOK_S = 0.05
_LOOKS = 400
_ANSWERS_S = 5.0
_ENDS_S = 5.0


class DevServer:
    """Of one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._there = False

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    async def ready(self) -> None:
        """Return when it answers; start it where nobody does.

        Raises:
            ConfigurationError: WA123, something else answers there, or it cannot be started.
        """
        if self._there:
            return
        answer = await self._ask()
        if answer is None:
            await self._start()
        elif not answer:
            raise ConfigurationError(
                "WA123",
                f"port {self._port} is taken",
                where=self.url,
                found="what answers there is no server for development",
                fix=("QSTASH_DEV_PORT=8081", "end the other process"),
            )
        self._there = True

    def lost(self) -> None:
        """It did not answer: look again before the next request."""
        self._there = False

    async def _ask(self) -> bool | None:
        """Whether what answers is one; None: nobody answers."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(_ANSWERS_S)
        headers = {"authorization": f"Bearer {DEV_TOKEN}"}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self.url}/v2/keys", headers=headers) as answer,
            ):
                told = await answer.json(content_type=None) if answer.status == 200 else None
        except aiohttp.ClientConnectorError:
            return None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return told == {"current": DEV_KEYS.current, "next": DEV_KEYS.following}

    async def _start(self) -> None:
        said = tempfile.TemporaryFile()  # noqa: SIM115 -- the child writes to it
        child = subprocess.Popen(  # noqa: ASYNC220, S603 -- our own program, outlives this loop
            [*_COMMAND, "--port", str(self._port), "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # Ctrl-C is for this program, which then ends the server
        )
        atexit.register(_end, child)
        looked = 0
        while not await self._ask():
            looked += 1
            # A child that has ended found the port taken, perhaps by one that is just starting.
            if looked > _LOOKS or (child.poll() is not None and not await self._ask()):
                _end(child)
                raise ConfigurationError(
                    "WA123",
                    "the server for development did not start",
                    where=self.url,
                    found=_last_line(said) or f"exit code {child.poll()}",
                    why="QSTASH_DEV is set, and nobody answered there",
                    fix=(f"workflow-agents dev --port {self._port}", "unset QSTASH_DEV"),
                )
            await asyncio.sleep(_LOOK_S)


_COMMAND = (sys.executable, "-m", "workflow_agents.cli", "dev")


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(_ENDS_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return " ".join(line.strip() for line in lines[:4])[:300]
