"""`workflow-agents dev`: a server with well-known credentials, and your app beside it."""

import asyncio
import contextlib
import shlex
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

from workflow_agents import config
from workflow_agents.cli import running
from workflow_agents.cli.screen import Screen
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.errors import ConfigurationError
from workflow_agents.server.settings import (
    DEV_ACCOUNTS,
    DEV_KEYS,
    DEV_TOKEN,
    ServerSettings,
    is_loopback,
)

_APP_ENDS_S = 5.0


@dataclass(frozen=True, slots=True)
class Development:
    """What was asked for; the options of the command."""

    application: str | None
    host: str
    port: int
    app_port: int
    store: str
    allow_networks: tuple[str, ...]
    hosts: frozenset[str]
    reload: bool = True
    as_json: bool = False
    until_stdin_closes: bool = False


def run(asked: Development) -> None:
    """Serve until asked to end.

    Raises:
        ConfigurationError: WA122, not on loopback; WA123, the port is taken; WA102.
        StoreError: the store cannot be used.
    """
    if not is_loopback(asked.host):
        raise ConfigurationError("WA122", where=f"--host {asked.host}")
    target = None if asked.application is None else import_string(asked.application)
    listener = running.listen(asked.host, asked.port)
    if target is not None:
        running.listen(asked.host, asked.app_port).close()
    running.run(_serve(asked, target, listener))


def import_string(application: str) -> str:
    """What an ASGI server imports: "flows:app" of "flows", "flows.py" or "flows:app".

    Raises:
        ConfigurationError: WA102.
    """
    module, _, name = application.partition(":")
    module = module.removesuffix(".py").replace("/", ".")
    if not module or not all(part.isidentifier() for part in module.split(".")):
        raise wrong_option("MODULE:APP", "a module and an app, as flows:app", application)
    return f"{module}:{name or 'app'}"


async def _serve(asked: Development, target: str | None, listener: socket.socket) -> None:
    port: int = listener.getsockname()[1]
    settings = ServerSettings(
        host=asked.host,
        port=port,
        accounts=DEV_ACCOUNTS,
        dev=True,
        hosts=asked.hosts,
        allow_networks=asked.allow_networks,
    )
    path = running.store_path_of(asked.store)
    variables = _variables(settings)
    ended = running.signalled()
    async with contextlib.AsyncExitStack() as stack:
        if target is not None:
            # Outside of the engine: what is being delivered when it stops still has its app.
            await stack.enter_async_context(_application(target, asked, variables, ended))
        engine = await stack.enter_async_context(running.engine_on(path, settings))
        engine.wire.signing = DEV_KEYS  # also where they were rotated: clients look for these
        _show(settings, variables, path, target, asked)
        await running.serve(engine, settings, listener, ended)


def _variables(settings: ServerSettings) -> dict[str, str]:
    return {
        "QSTASH_URL": settings.url,
        "QSTASH_TOKEN": DEV_TOKEN,
        "QSTASH_CURRENT_SIGNING_KEY": DEV_KEYS.current,
        "QSTASH_NEXT_SIGNING_KEY": DEV_KEYS.following,
    }


def _show(
    settings: ServerSettings,
    variables: Mapping[str, str],
    path: str,
    target: str | None,
    asked: Development,
) -> None:
    screen = Screen()
    screen.line()
    if target is not None:
        screen.row("app", f"http://{_bracketed(asked.host)}:{asked.app_port}", f"uvicorn {target}")
    screen.row("server", f"running at {settings.url}")
    kept = "nothing is kept" if path == ":memory:" else "kept between restarts"
    screen.row("data", path, kept)
    screen.line()
    screen.variables(variables)
    screen.line()
    header = shlex.quote(f"Authorization: Bearer {DEV_TOKEN}")
    screen.row("try it", f"curl -X POST {settings.url}/v2/publish/https://example.com -H {header}")
    screen.line()
    screen.line("  everybody knows these credentials: they work from this machine only")
    screen.line("  Ctrl-C ends it")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextlib.asynccontextmanager
async def _application(
    target: str, asked: Development, variables: Mapping[str, str], ended: asyncio.Event
) -> AsyncGenerator[None]:
    """The user's app in a process of its own, which blocks nobody and ends with this one.

    Raises:
        SystemExit: it ended by itself; what it said stands above.
    """
    command = ("-m", "uvicorn", target, "--host", asked.host, "--port", str(asked.app_port))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={**config.environment(), **variables},
        start_new_session=True,  # Ctrl-C is for this process, which then ends the app
    )
    watching = asyncio.create_task(_watch(process, ended))
    try:
        yield
    finally:
        alone = process.returncode is not None
        if not alone:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _APP_ENDS_S)
            except TimeoutError:
                process.kill()
        await watching
        if alone:
            sys.stderr.write(f"the app ended, with exit code {process.returncode}: {target}\n")
            raise SystemExit(1)


async def _watch(process: asyncio.subprocess.Process, ended: asyncio.Event) -> None:
    await process.wait()
    ended.set()
