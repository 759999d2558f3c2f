"""Workflows as routes: where their runs are kept, and what is done with a request.

A door (`doors.py`) turns its framework's request into a `Request`, asks here, and answers with
the `Response`; no framework is known here.

A route is *embedded*, on the engine of this process, or *on the wire*: its runs are kept by a
QStash server, which a client given to the route names, or the environment.
"""

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from workflow_agents import config
from workflow_agents.client import AsyncClient
from workflow_agents.clock import Clock, SystemClock
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.checks import checked_size
from workflow_agents.core.limits import Limits
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.qstash.backend import OverHttp
from workflow_agents.qstash.connection import Connection, connection_from, connection_of
from workflow_agents.serve.endpoint import Request, Response, Verify, failed, start_run
from workflow_agents.serve.hand_over import hand_over
from workflow_agents.serve.options import RouteOptions, ServedFunction, check_names
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.signatures import by_keys, by_receiver, checked_receiver, keys_of
from workflow_agents.serve.wire_endpoint import WireEndpoint
from workflow_agents.serve.workflow import Workflow

HOOKS = "/v2/workflows/hooks/"
"""What the address of a webhook goes on with: the user, the run's id, the event's id."""

HOOK_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
"""What a webhook takes."""

_WIRE_FACTOR = 10
"""A visit brings the whole history of its run, beside the payload."""


class Answering(Protocol):
    """What answers requests to a path."""

    @property
    def needs_engine(self) -> bool:
        """Whether the engine has to turn before it can answer."""
        ...

    async def answer(self, request: Request) -> Response:
        """Answer a request to it."""
        ...

    def too_large(self, content_length: str | None) -> Response | None:
        """The answer to a body that says it is over the limit, which is then not read."""
        ...


class Route(Answering, Protocol):
    """A workflow behind a path."""

    @property
    def workflow(self) -> Workflow:
        """What is served."""
        ...


_opening = threading.Lock()


def ensure_open(engine: Engine) -> None:
    """Start an engine on the loop in the background, which outlives whoever asks first.

    From any thread, and once, whichever of the doors that share it are asked at a time.

    Raises:
        StoreError: the store cannot be used; WA601: another process has it.
    """
    if not engine.running:
        with _opening:
            if not engine.running:
                engine.open()


class Routes:
    """Where the runs of one app are kept, and its routes.

    Args:
        engine: keeps the runs, whatever the environment says.
        store: of the engine that is made otherwise; it is kept there then, too.
        clock: tells the time.

    Attributes:
        server: the QStash server that keeps the runs of routes which do not name their own.

    Raises:
        ConfigurationError: WA106, QSTASH_URL is set without QSTASH_TOKEN.
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

    @property
    def embedded(self) -> bool:
        """Whether there is an engine in this process: a server takes its place otherwise."""
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

    def add(self, path: str, function: ServedFunction, options: RouteOptions) -> Route:
        """Serve a workflow.

        Raises:
            ConfigurationError: an option cannot be used.
        """
        given: dict[str, Any] = {**options}
        receiver = given.pop("receiver", None)
        connection = self._connection(given.pop("qstash_client", None), given.get("env"))
        variables = config.environment() if given.get("env") is None else given["env"]
        base_url = given.pop("base_url", None) or variables.get("UPSTASH_WORKFLOW_URL")
        address = _Address(given.pop("url", None), base_url)
        if connection is None:
            workflow = self.engine.add(path, function, **given)
            verify = by_receiver(receiver) if receiver else None
            return _EmbeddedRoute(workflow, self.engine, address, verify, self._clock)
        limits = Limits() if self._engine is None else self._engine.limits
        workflow = Workflow(path, function, limits=limits, **given)
        endpoint = WireEndpoint(workflow, connection, _verify(receiver, variables), self._clock)
        return _WireRoute(workflow, endpoint, address, _WIRE_FACTOR * limits.payload_bytes)

    def _connection(self, client: Any, env: Mapping[str, Any] | None) -> Connection | None:
        if client is not None:
            connection = connection_of(client)
        elif env is not None and (own := connection_from(env)) is not None:
            connection = own
        else:
            return self.server
        self._connections.append(connection)
        return connection

    async def close_connections(self) -> None:
        """Close those to QStash servers; they open again when they are needed."""
        for connection in self._connections:
            await connection.close()


@dataclass(frozen=True, slots=True)
class _Address:
    """What a request's address is from outside. Source: protocol 11.1, `url` and `baseUrl`."""

    url: str | None
    base_url: str | None

    def of(self, request: Request) -> Request:
        """The request, at its address from outside."""
        url = self.url or _rebased(request.url, self.base_url)
        # They are read more than once, and a framework may give them only once.
        return Request(url, tuple(request.headers), request.body, request.method)


@dataclass(slots=True)
class _EmbeddedRoute:
    workflow: Workflow
    engine: Engine
    address: _Address
    verify: Verify | None
    clock: Clock
    needs_engine: bool = True

    async def answer(self, request: Request) -> Response:
        """Start a run with the request's body as its payload."""
        parts = urlsplit(request.url)
        self.engine.seen_at(f"{parts.scheme}://{parts.netloc}")
        seen = self.address.of(request)
        try:
            if self.verify is not None:
                self.verify(seen, self.clock.now_ms() // 1000)
        except WorkflowAgentsError as error:
            return failed(error)
        return await hand_over(start_run(self.engine, self.workflow, seen), self.engine.loop)

    def too_large(self, content_length: str | None) -> Response | None:
        """See `Answering.too_large`."""
        return too_large(self.engine.limits.payload_bytes, content_length)


@dataclass(slots=True)
class _WireRoute:
    workflow: Workflow
    endpoint: WireEndpoint
    address: _Address
    limit: int
    needs_engine: bool = False

    async def answer(self, request: Request) -> Response:
        """A visit, or what becomes a run on the server."""
        return await self.endpoint.handle(self.address.of(request))

    def too_large(self, content_length: str | None) -> Response | None:
        """See `Answering.too_large`."""
        return too_large(self.limit, content_length)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Takes what is sent to the webhooks of the runs of an engine. Source: protocol 4.7."""

    engine: Engine
    needs_engine: bool = True

    async def answer(self, request: Request) -> Response:
        """Hand a request to the run whose webhook it is for."""
        headers: dict[str, list[str]] = {}
        for name, value in request.headers:
            headers.setdefault(name.lower(), []).append(value)
        parts = urlsplit(request.url)
        _, run_id, event_id = unquote(parts.path.partition(HOOKS)[2]).split("/", 2)
        body = b"" if request.method in {"GET", "HEAD"} else request.body
        told = {
            "method": request.method,
            "header": headers,
            "body": base64.b64encode(body).decode(),
            "proto": parts.scheme,
            "host": parts.netloc,
            "url": parts.path + (f"?{parts.query}" if parts.query else ""),
        }
        engine = self.engine
        try:
            await hand_over(engine.receive_webhook(run_id, event_id, told), engine.loop)
        except WorkflowAgentsError as error:
            return failed(error)
        return Response(200, {})

    def too_large(self, content_length: str | None) -> Response | None:
        """See `Answering.too_large`."""
        return too_large(self.engine.limits.payload_bytes, content_length)


def too_large(limit: int, content_length: str | None) -> Response | None:
    """The answer to a body that says it is over the limit, which is then not read."""
    if content_length is None or not content_length.isdigit():
        return None
    try:
        checked_size(int(content_length), limit, "body of the request")
    except WorkflowAgentsError as error:
        return failed(error)
    return None


def check_route(path: object, options: Mapping[str, Any], where: str) -> None:
    """Refuse, before there is a function, what no route can be told.

    Raises:
        ConfigurationError: WA101, WA102 or WA106.
    """
    check_names(options, RouteOptions, where)
    if not isinstance(path, str) or not path.startswith("/"):
        raise wrong_option("path", "text that begins with '/'", path)
    checked_receiver(options.get("receiver"))
    if (client := options.get("qstash_client")) is not None:
        connection_of(client)


def _rebased(url: str, base_url: str | None) -> str:
    if not base_url:
        return url
    return f"{base_url.rstrip('/')}/{url.split('://', 1)[-1].partition('/')[2]}"


def _verify(receiver: Any, env: Mapping[str, str | None]) -> Verify | None:
    if receiver:
        # Source: protocol 8.3. Behind a proxy the address that was signed is another one.
        return by_receiver(receiver, url=False)
    keys = None if receiver is False else keys_of(env)
    return None if keys is None else by_keys(keys)
