"""An engine and its server in this process, from the first socket to the last signal."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from workflow_agents import config
from workflow_agents.clock import SystemClock
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.limits import Limits
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.times import duration_ms
from workflow_agents.store.sqlite import SqliteStore

if TYPE_CHECKING:
    import uvicorn

    from workflow_agents.server.settings import ServerSettings

_BACKLOG = 2_048
_LAST_REQUESTS_S = 2
"""How long requests that are being answered, and deliveries that are being made, are waited for at
the end. What is not done by then is done when the server starts again."""
_KEEP_ALIVE_S = 75
"""How long an idle connection is kept: longer than any client does, whose request on a connection
that is just being closed would fail. Node keeps its own for 4 s, load balancers for 60 s."""
_PORTS_LOOKED_AT = 20
_MADE_BETWEEN_COLLECTIONS = 20_000


def store_path_of(store: str) -> str:
    """The path of a store given as a path or as a URL.

    Raises:
        ConfigurationError: WA102.
    """
    scheme, separator, rest = store.partition("://")
    if not separator:
        return store
    if scheme != "sqlite" or not rest.startswith("/") or len(rest) == 1:
        raise wrong_option("--store", "a path, or sqlite:///path", store)
    return rest[1:]  # sqlite:///a.db lies in this folder, sqlite:////a.db does not


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """A socket that listens; what connects is answered when the server turns.

    Raises:
        ConfigurationError: WA123, the port is taken; WA102, no such address.
    """
    try:
        return _bound(host, port)
    except socket.gaierror:
        raise wrong_option("--host", "an address of this machine", host) from None
    except PermissionError:
        raise wrong_option(option, "a port that this user may use", port) from None
    except OSError as error:
        free = _next_free(host, port)
        raise ConfigurationError(
            "WA123",
            f"port {port} is taken",
            where=f"{host}:{port}",
            found=holder_of(port) or str(error),
            fix=(f"use another: {option} {free}", "end the other process"),
        ) from None


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def _next_free(host: str, port: int) -> int:
    for candidate in range(port + 1, port + _PORTS_LOOKED_AT):
        with contextlib.suppress(OSError, OverflowError):
            _bound(host, candidate).close()
            return candidate
    return 0


def holder_of(port: int) -> str:
    """Which process listens there, where the system tells: "python (pid 12)"."""
    from pathlib import Path

    with contextlib.suppress(OSError, ValueError, IndexError):
        inodes = {f"socket:[{inode}]" for inode in _inodes_of(port)}
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            with contextlib.suppress(OSError):
                if str(link.readlink()) in inodes:
                    process = link.parts[2]
                    name = Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip()
                    return f"it is held by {name} (pid {process})"
    return ""


def _inodes_of(port: int) -> Iterator[str]:
    from pathlib import Path

    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


@contextlib.asynccontextmanager
async def engine_on(
    path: str, settings: "ServerSettings", retention: str | None = None
) -> AsyncGenerator[DurableEngine]:
    """A running engine on a store; stopped behind it.

    Raises:
        StoreError: the store cannot be used.
    """
    from workflow_agents.engine.egress import EgressPolicy, networks

    limits = Limits()
    policy = EgressPolicy(
        "loopback" if settings.dev else "public",
        networks(settings.allow_networks),
        frozenset({settings.port}),
    )
    engine = DurableEngine(
        SqliteStore(path),
        clock=SystemClock(),
        random_bytes=os.urandom,
        http=AiohttpOut(limits.result_bytes, policy),
        environment=config.variable,
        path=path,
        limits=limits,
        retention_ms=None if retention is None else duration_ms(retention),
        inline=path == ":memory:",
        base_url=config.public_url() or settings.url,
    )
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def serve(
    engine: DurableEngine, settings: "ServerSettings", listener: socket.socket, ended: asyncio.Event
) -> None:
    """Answer until `ended` is set; then answer what is being asked, and return."""
    import uvicorn

    from workflow_agents.cli import sample
    from workflow_agents.server.app import create_app
    from workflow_agents.server.connections import Connection

    class Quiet(uvicorn.Server):
        """Signals are ours: the engine has to be stopped too, and before the loop ends."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    sample.go_on(engine)
    _tell_others(engine)
    own = Quiet(
        uvicorn.Config(
            create_app(engine, settings, sample=partial(sample.serve_on, engine)),
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_LAST_REQUESTS_S,
        )
    )
    _collect_less()
    async with asyncio.TaskGroup() as group:
        group.create_task(_stop_when(ended, own, engine))
        await own.serve(sockets=[listener])
        ended.set()


def _collect_less() -> None:
    """Look for garbage less often: a tenth of a busy server's time went into it.

    What is there now stays as long as the process, and nearly everything that a request makes
    dies with its last reference.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MADE_BETWEEN_COLLECTIONS, 20, 20)


def _tell_others(engine: DurableEngine) -> None:
    """Where logs or traces are wanted, they are told what is stored."""
    if logging.getLogger("workflow_agents").isEnabledFor(logging.INFO):
        from workflow_agents.operations.logs import log_feed

        log_feed(engine)
    if any(name.startswith("OTEL_") for name in config.environment()):
        from workflow_agents.operations.tracing import trace

        try:
            trace(engine)
        except ConfigurationError as error:
            logging.getLogger(__name__).warning("there will be no traces: %s", error)


async def _stop_when(ended: asyncio.Event, server: "uvicorn.Server", engine: DurableEngine) -> None:
    await ended.wait()
    engine.hang_up()
    server.should_exit = True
    await engine.deliveries.settled(_LAST_REQUESTS_S)


def signalled() -> asyncio.Event:
    """Is set when the process is asked to end; asked a second time, it ends at once."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def told(number: signal.Signals) -> None:
        if ended.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, told, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda _n, _f: loop.call_soon_threadsafe(ended.set))
    return ended


def run(main: Any) -> None:
    """Run a coroutine on the fastest loop that is installed; warnings go to standard error."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)
