"""`workflow-agents dev`: a server with well-known credentials, and your app beside it."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_agents.cli import running
from workflow_agents.cli.dev_screen import DevScreen
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import ConfigurationError
from workflow_agents.server.settings import (
    DEV_ACCOUNTS,
    DEV_KEYS,
    DEV_TOKEN,
    ServerSettings,
    is_loopback,
)

if TYPE_CHECKING:
    from workflow_agents.cli.app_beside import AppBeside
    from workflow_agents.cli.dev_keys import DevKeys
    from workflow_agents.cli.live_lines import LiveLines


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
    reload: bool = False
    lines: bool = False
    as_json: bool = False
    until_stdin_closes: bool = False


def run(asked: Development) -> None:
    """Serve until asked to end.

    Raises:
        ConfigurationError: WA122, not on loopback; WA123, the port is taken; WA124, the app
            cannot be imported; WA102.
        StoreError: the store cannot be used.
    """
    if not is_loopback(asked.host):
        raise ConfigurationError(
            "WA122",
            where=f"--host {asked.host}",
            found="expected an address of this machine only, found one that others may reach",
        )
    target = None if asked.application is None else import_string(asked.application)
    listener = running.listen(asked.host, asked.port)
    if target is not None:
        running.listen(asked.host, asked.app_port, option="--app-port").close()
    running.run(_until_ended(asked, target, listener))


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


async def _until_ended(asked: Development, target: str | None, listener: socket.socket) -> None:
    """Serve; and again on a fresh store, whenever that is asked for."""
    ended = running.signalled()
    asked = replace(asked, port=listener.getsockname()[1])
    screen = DevScreen(as_json=asked.as_json, lines=asked.lines)
    if asked.until_stdin_closes:
        await _end_with_stdin(ended)
    variables = screen.variables_of(_settings(asked).url, DEV_TOKEN, DEV_KEYS)
    async with contextlib.AsyncExitStack() as stack:
        # Outside of the engine: what is being delivered when it stops still has its app.
        app = None if target is None else _app(asked, target, variables, screen, ended)
        if app is not None:
            await stack.enter_async_context(app.running())
        while True:
            wiped = await _serve(asked, app, target, listener, ended, screen)
            if not wiped:
                return
            _remove(running.store_path_of(asked.store))
            ended.clear()
            screen.note("data", "wiped")
            listener = running.listen(asked.host, asked.port)


def _app(
    asked: Development,
    target: str,
    variables: Mapping[str, str],
    screen: DevScreen,
    ended: asyncio.Event,
) -> "AppBeside":
    from workflow_agents.cli.app_beside import AppBeside, Application

    application = Application(target, asked.host, asked.app_port, asked.reload)
    return AppBeside(application, variables, screen.note, ended)


async def _serve(
    asked: Development,
    app: "AppBeside | None",
    target: str | None,
    listener: socket.socket,
    ended: asyncio.Event,
    screen: DevScreen,
) -> bool:
    """Serve until asked to end; whether that was to begin on a fresh store."""
    settings = _settings(asked)
    path = running.store_path_of(asked.store)
    async with running.engine_on(path, settings) as engine:
        engine.wire.signing = DEV_KEYS  # also where they were rotated: clients look for these
        async with _following(engine, screen) as live, contextlib.AsyncExitStack() as stack:
            keys = _keys(engine, screen, ended, settings, app, path, live)
            can_press = keys is not None and stack.enter_context(keys.listening())
            screen.show(settings, path, target, asked, can_press=can_press)
            await running.serve(engine, settings, listener, ended)
    return keys is not None and keys.wipe


def _keys(
    engine: DurableEngine,
    screen: DevScreen,
    ended: asyncio.Event,
    settings: ServerSettings,
    app: "AppBeside | None",
    path: str,
    live: "LiveLines | None",
) -> "DevKeys | None":
    """What keys do; None: there is nobody to press any."""
    from workflow_agents.cli.key_presses import is_keyboard

    if not is_keyboard():
        return None
    from workflow_agents.cli.dev_keys import DevKeys

    return DevKeys(engine, screen, ended, settings, app, path, live)


@contextlib.asynccontextmanager
async def _following(
    engine: DurableEngine, screen: DevScreen
) -> "AsyncGenerator[LiveLines | None]":
    """While it lasts, what happens is told; nothing is read where nobody wants to know."""
    if not screen.lines:
        yield None
        return
    from workflow_agents.cli.live_lines import LiveLines

    live = LiveLines(engine, screen.event)
    following = asyncio.create_task(live.follow())
    try:
        yield live
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _settings(asked: Development) -> ServerSettings:
    return ServerSettings(
        host=asked.host,
        port=asked.port,
        accounts=DEV_ACCOUNTS,
        dev=True,
        hosts=asked.hosts,
        allow_networks=asked.allow_networks,
    )


def _remove(path: str) -> None:
    """A store and what SQLite keeps beside it; its lock and its sealing key stay."""
    for ending in ("", "-wal", "-shm"):
        Path(path + ending).unlink(missing_ok=True)


async def _end_with_stdin(ended: asyncio.Event) -> None:
    """End when whoever holds the other end of standard input does, however that ends."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            loop.remove_reader(sys.stdin.fileno())
            ended.set()

    loop.add_reader(sys.stdin.fileno(), read)
