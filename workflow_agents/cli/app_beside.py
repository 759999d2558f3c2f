"""The user's app beside `dev`: a process of its own, started again when its files change."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_agents import config
from workflow_agents.errors import ConfigurationError

_ENDS_S = 5.0
_LOOK_S = 0.75
_MOST_FILES = 2_000
_NOT_WATCHED = frozenset({"node_modules", "__pycache__", "site-packages", "venv", "build", "dist"})


@dataclass(frozen=True, slots=True)
class Application:
    """An app and where it is served; `target` as an ASGI server imports it."""

    target: str
    host: str
    port: int
    reload: bool


class AppBeside:
    """See the module.

    Args:
        application: what to serve.
        variables: of its environment, beside those of this process.
        say: is told lines for people.
        ended: is set when the app cannot go on.

    Attributes:
        workflows: the paths that it serves, as far as is known.
        error: why it could not be imported.
    """

    def __init__(
        self,
        application: Application,
        variables: Mapping[str, str],
        say: Callable[[str, str], None],
        ended: asyncio.Event,
    ) -> None:
        self._application = application
        self._variables = variables
        self._say = say
        self._ended = ended
        self._process: asyncio.subprocess.Process | None = None
        self.workflows: list[str] = []
        self.error: ConfigurationError | None = None

    @property
    def url(self) -> str:
        """Its address."""
        host = self._application.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._application.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While it runs.

        Raises:
            ConfigurationError: WA124, it cannot be imported.
        """
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._stop()
        if self.error is not None and not self._application.reload:
            raise self.error

    async def _keep(self) -> None:
        """Start it, and again after each change; without reload, its end ends `dev`."""
        while True:
            before = await asyncio.to_thread(_files, Path.cwd())
            await self._start()
            if not self._application.reload:
                await self._until_exit()
                self._ended.set()
                return
            await _changed(before)
            self._say("app", "its files have changed: it starts again")
            await self._stop()

    async def _start(self) -> None:
        one = self._application
        self.error = None
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "workflow_agents.cli.app_process", one.target, one.host, str(one.port)),
            env={**config.environment(), **self._variables},
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the app
        )
        line = b"" if process.stdout is None else await process.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {}
        if "error" in told:
            self.error = _error_of(told["error"])
            if one.reload:
                self._say("app", f"{self.error}\n  it is started again when its files change")
            return
        self.workflows = told.get("workflows", [])
        if self.workflows:
            self._say("app", f"serves {', '.join(self.workflows)}")

    async def _until_exit(self) -> None:
        if self._process is not None:
            code = await self._process.wait()
            if self.error is None:
                self.error = ConfigurationError(
                    "WA124",
                    "the app ended",
                    where=self._application.target,
                    found=f"exit code {code}; what it said stands above",
                )

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _ENDS_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def _error_of(told: dict[str, Any]) -> ConfigurationError:
    return ConfigurationError(
        told["code"],
        told["what"],
        where=told["where"],
        found=tuple(told["found"]),
        why=told["why"],
        fix=tuple(told["fix"]),
    )


async def _changed(before: dict[str, int]) -> None:
    """Return when a file was changed, made or removed."""
    while await asyncio.to_thread(_files, Path.cwd()) == before:  # noqa: ASYNC110 -- nobody tells
        await asyncio.sleep(_LOOK_S)


def _files(folder: Path) -> dict[str, int]:
    """The Python files below a folder and when each was changed, the hidden ones left out."""
    found: dict[str, int] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [n for n in folders if n not in _NOT_WATCHED and not n.startswith(".")]
        for name in names:
            if name.endswith(".py"):
                with contextlib.suppress(OSError):
                    path = f"{place}/{name}"
                    found[path] = os.stat(path).st_mtime_ns
            if len(found) >= _MOST_FILES:
                return found
    return found
