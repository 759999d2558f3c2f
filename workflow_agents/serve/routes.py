"""A workflow behind a route, whoever keeps its runs; what every adapter does the same.

An adapter turns its framework's requests into `Request` and a `Response` into its own; all
between is here. A route is *embedded*, on the engine of this process, or *on the wire*: its
runs are kept by a QStash server, which a client given to the route names, or the environment.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workflow_agents import config
from workflow_agents.client import AsyncClient
from workflow_agents.clock import Clock, SystemClock
from workflow_agents.context.context import WorkflowFunction
from workflow_agents.core.bad_options import unknown_option, wrong_option
from workflow_agents.core.checks import checked_size
from workflow_agents.core.limits import Limits
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.qstash.backend import OverHttp
from workflow_agents.qstash.connection import Connection, connection_from, connection_of
from workflow_agents.serve.endpoint import Request, Response, Verify, failed, start_run
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.signatures import by_keys, by_receiver, checked_receiver, keys_of
from workflow_agents.serve.wire_endpoint import WireEndpoint
from workflow_agents.serve.workflow import Workflow, served_workflow

_WIRE_FACTOR = 10
"""A visit brings the whole history of its run, beside the payload."""

ROUTE_OPTIONS = ("qstash_client", "receiver", "url", "base_url")
"""What a route takes beside the options of its workflow."""


@dataclass(frozen=True, slots=True)
class Route:
    """One workflow behind a route.

    Attributes:
        workflow: that is served.
        handle: answers a request to it.
        on_the_wire: its runs are kept by a QStash server.
        body_bytes: a body that says it is larger is not to be read.
    """

    workflow: Workflow
    handle: Callable[[Request], Any]
    on_the_wire: bool
    body_bytes: int

    def too_large(self, content_length: str | None) -> Response | None:
        """A body that says it is over the limit is not read."""
        if content_length is None or not content_length.isdigit():
            return None
        try:
            checked_size(int(content_length), self.body_bytes, "body of the request")
        except WorkflowAgentsError as error:
            return failed(error)
        return None


class Routes:
    """The workflows of one app.

    Args:
        engine: keeps the runs, whatever the environment says.
        store: of the engine that is made, where none is given and none is to be asked.
        clock: tells the time.

    Raises:
        ConfigurationError: WA106, the environment names a QStash server without a token.
    """

    def __init__(
        self, engine: Engine | None = None, store: str | None = None, clock: Clock | None = None
    ) -> None:
        self.server = connection_from() if engine is None and store is None else None
        self._engine = engine
        self._store = store
        self._clock = clock or SystemClock()
        self._connections: list[Connection] = [] if self.server is None else [self.server]
        self._client: AsyncClient | None = None
        self._starting = asyncio.Lock()

    @property
    def embedded(self) -> bool:
        """Whether routes are embedded where they do not say otherwise."""
        return self.server is None

    @property
    def engine(self) -> Engine:
        """The embedded engine; made when it is first asked for."""
        if self._engine is None:
            self._engine = Engine(self._store)
        return self._engine

    @property
    def client(self) -> AsyncClient:
        """Starts runs and follows them: on the engine, or on the server."""
        if self.server is None:
            return self.engine.client
        if self._client is None:
            self._client = AsyncClient(OverHttp(self.server, self._clock))
        return self._client

    def add(
        self,
        path: str,
        function: WorkflowFunction,
        *,
        qstash_client: Any = None,
        receiver: Any = None,
        url: str | None = None,
        base_url: str | None = None,
        **options: Any,
    ) -> Route:
        """Serve a workflow; the options are those of `Serve.post`.

        Raises:
            ConfigurationError: an option cannot be used.
        """
        if not isinstance(path, str) or not path.startswith("/"):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("path", "text that begins with '/'", path)
        checked_receiver(receiver)
        env: Mapping[str, str | None] | None = options.get("env")
        connection = self._connection(qstash_client, env)
        variables = config.environment() if env is None else env
        address = _Address(url, base_url or variables.get("UPSTASH_WORKFLOW_URL"))
        if connection is None:
            return self._embedded(path, function, receiver, address, options)
        limits = self._engine.limits if self._engine is not None else Limits()
        workflow = served_workflow(path, function, limits=limits, **options)
        verify = _verify(receiver, variables)
        endpoint = WireEndpoint(workflow, connection, verify, self._clock)

        async def visit(request: Request) -> Response:
            return await endpoint.handle(address.of(request))

        return Route(workflow, visit, True, _WIRE_FACTOR * limits.payload_bytes)

    def _embedded(
        self,
        path: str,
        function: WorkflowFunction,
        receiver: Any,
        address: "_Address",
        options: Mapping[str, Any],
    ) -> Route:
        engine = self.engine
        workflow = engine.add(path, function, **options)
        verify = by_receiver(receiver) if receiver else None

        async def start(request: Request) -> Response:
            await self.ensure_started()
            seen = address.of(request)
            try:
                if verify is not None:
                    verify(seen, self._clock.now_ms() // 1000)
            except WorkflowAgentsError as error:
                return failed(error)
            return await start_run(engine, workflow, seen)

        return Route(workflow, start, False, engine.limits.payload_bytes)

    def _connection(self, client: Any, env: Mapping[str, Any] | None) -> Connection | None:
        if client is not None:
            connection = connection_of(client)
        elif env is not None and (own := connection_from(env)) is not None:
            connection = own
        else:
            return self.server
        self._connections.append(connection)
        return connection

    async def ensure_started(self) -> None:
        """An app whose lifespan is not run starts the engine with its first request."""
        if not self.engine.running:
            async with self._starting:
                if not self.engine.running:
                    await self.engine.start()

    def seen_at(self, origin: str) -> None:
        """The app is reached there: webhook addresses of an embedded engine begin with it."""
        if self._engine is not None:
            self._engine.seen_at(origin)

    async def start(self) -> None:
        """The app starts."""
        if self._engine is not None or self.embedded:
            await self.engine.start()

    async def stop(self) -> None:
        """The app stops: park every run, close every connection."""
        if self._engine is not None:
            await self._engine.stop()
        for connection in self._connections:
            await connection.close()


@dataclass(frozen=True, slots=True)
class _Address:
    """What a request's address is from outside. Source: protocol 11.1, `url` and `baseUrl`."""

    url: str | None
    base_url: str | None

    def of(self, request: Request) -> Request:
        """The request, at its address from outside."""
        seen = self.url or rebased(request.url, self.base_url)
        return Request(seen, request.headers, request.body, request.method)


def rebased(url: str, base_url: str | None) -> str:
    """The address with another origin."""
    if not base_url:
        return url
    return f"{base_url.rstrip('/')}/{url.split('://', 1)[-1].partition('/')[2]}"


def _verify(receiver: Any, env: Mapping[str, str | None]) -> Verify | None:
    if receiver:
        # Source: protocol 8.3. Behind a proxy the address that was signed is another one.
        return by_receiver(receiver, url=False)
    keys = None if receiver is False else keys_of(env)
    return None if keys is None else by_keys(keys)


def refuse_unknown(unknown: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuse an option that does not exist.

    Raises:
        ConfigurationError: WA101, with the nearest option.
    """
    for name in unknown:
        raise unknown_option(name, known, where)
