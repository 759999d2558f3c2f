"""The server as an ASGI app: every room's endpoints, and what holds for each request.

In this order: the size of its target and headers, the name of the host, pages of other origins,
how many requests there were, the token, the body. Nothing is decided twice: a route and its
check are one object, so that no path can be reached past it.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from workflow_agents.dashboard import PATH
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import ConfigurationError, WorkflowAgentsError
from workflow_agents.server import (
    auth,
    checkpoint_channel,
    checkpoints,
    dead_letters,
    events,
    flow_control,
    forks,
    health,
    keys,
    logs,
    metrics,
    openapi,
    publishing,
    queues,
    run_letters,
    run_logs,
    run_search,
    schedules,
    url_groups,
    waits,
    workflows,
)
from workflow_agents.server.answers import refusal, refusal_of
from workflow_agents.server.destinations import Target
from workflow_agents.server.rates import Rates
from workflow_agents.server.routing import Call, Endpoint, Server, TooSlow
from workflow_agents.server.settings import DEV_TOKEN, Account, ServerSettings, is_loopback

if TYPE_CHECKING:
    from workflow_agents.operations.metrics import Metrics

logger = logging.getLogger(__name__)


def all_endpoints() -> tuple[Endpoint, ...]:
    """The table: what is asked for most comes first."""
    return (
        *checkpoint_channel.endpoints,
        *checkpoints.endpoints,
        *publishing.endpoints,
        *workflows.endpoints,
        *forks.endpoints,
        *waits.endpoints,
        *run_logs.endpoints,
        *run_search.endpoints,
        *run_letters.endpoints,
        *events.endpoints,
        *queues.endpoints,
        *url_groups.endpoints,
        *schedules.endpoints,
        *dead_letters.endpoints,
        *logs.endpoints,
        *flow_control.endpoints,
        *keys.endpoints,
        *health.endpoints,
        *metrics.endpoints,
    )


def create_app(
    engine: DurableEngine,
    settings: ServerSettings,
    endpoints: Iterable[Endpoint] | None = None,
    sample: Callable[[], str] | None = None,
) -> ASGIApp:
    """The app of a running engine; whoever starts the engine stops it.

    Args:
        engine: is asked.
        settings: who may ask, and what is refused.
        endpoints: in place of all; for tests.
        sample: serves a workflow for whoever has none, and tells its path; None: there is none.
    """
    table = tuple(all_endpoints() if endpoints is None else endpoints)
    server = Server(engine, settings, _metrics_of(engine))
    gate = _Gate(server)
    routes = [
        *(_route(endpoint, gate) for endpoint in table),
        *(_route(endpoint, gate) for endpoint in openapi.endpoints(table)),
    ]
    pages = Mount(PATH, _dashboard_of(engine, settings, gate, sample))
    app = Starlette(routes=[*routes, Route(PATH, _to_the_dashboard), pages])
    app.router.redirect_slashes = False
    app.router.default = _nothing_here
    app.add_exception_handler(405, _Methods(routes))
    return _Door(app, settings)


def _dashboard_of(
    engine: DurableEngine,
    settings: ServerSettings,
    gate: "_Gate",
    sample: Callable[[], str] | None,
) -> ASGIApp:
    """The dashboard, in which a developer at his own machine need not sign in."""
    from workflow_agents.dashboard.sessions import Session
    from workflow_agents.dashboard.site import Dashboard

    if settings.dev and is_loopback(settings.host):
        known = gate.tokens.account_of(DEV_TOKEN) is not None
        shown = DEV_TOKEN if known else None
        return Dashboard(
            engine, local=False, server=_told_of(settings), shown_token=shown, sample=sample
        )

    def sign_in(token: str) -> Session | None:
        account = gate.tokens.account_of(token)
        return None if account is None else Session(account.user, auth.may(account, "POST"), 0)

    return Dashboard(engine, sign_in=sign_in, local=False, server=_told_of(settings), sample=sample)


def _told_of(settings: ServerSettings) -> dict[str, Any]:
    """What the page of settings tells: no tokens, and nobody's key."""
    return {
        "listens on": f"{settings.host}:{settings.port}",
        "for development": settings.dev,
        "accounts": [f"{one.user} ({one.scope.name.lower()})" for one in settings.accounts],
        "names": sorted(settings.hosts),
        "private networks": [*settings.allow_networks],
        "requests a second of a token": settings.rate,
        "requests a second of a stranger": settings.stranger_rate,
        "seconds for a body": settings.body_seconds,
        "bytes of a batch": settings.batch_bytes,
    }


def _metrics_of(engine: DurableEngine) -> "Metrics | None":
    from workflow_agents.operations.metrics import Metrics

    try:
        counted = Metrics(engine)
    except ConfigurationError:
        return None
    counted.start()
    return counted


def _route(endpoint: Endpoint, gate: "_Gate") -> Route:
    return Route(endpoint.path, _Guarded(endpoint, gate), methods=list(endpoint.methods))


async def _to_the_dashboard(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    return Response(status_code=307, headers={"Location": f"{root}{PATH}/"})


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await refusal(404, f"there is nothing at {scope['path'][:200]}")(scope, receive, send)


class _Methods:
    """Tells what may be done at a path instead, whichever of its routes was looked at."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    def __call__(self, request: Request, _error: Exception) -> Response:
        scope = request.scope
        found = (route for route in self._routes if route.matches(scope)[0] is not Match.NONE)
        allowed = ", ".join(sorted({m for route in found for m in route.methods or ()} - {"HEAD"}))
        return refusal(405, f"{scope['path'][:200]} takes {allowed}", {"Allow": allowed})


class _Door:
    """What holds for every request, whether there is a route for it or not."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

        @lru_cache(256)
        def is_known(host: str | None) -> bool:
            return auth.is_known_host(host, settings)

        self._is_known = is_known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refused(scope) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        settings = self._settings
        target = scope.get("raw_path") or b""
        if len(target) + len(scope["query_string"]) > settings.target_bytes:
            return refusal(414, f"the address is longer than {settings.target_bytes} bytes")
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > settings.header_bytes:
            return refusal(431, f"the headers have more than {settings.header_bytes} bytes")
        host = next((v.decode("latin-1") for n, v in headers if n == b"host"), None)
        if not self._is_known(host):
            return refusal(421, auth.WRONG_HOST)
        return None


class _Gate:
    """Who may ask how often, for all endpoints of a server."""

    def __init__(self, server: Server) -> None:
        settings, clock = server.settings, server.engine.clock
        self.server = server
        self.tokens = auth.Tokens(settings.accounts)
        self._rates = Rates(settings.rate, clock)
        self._strangers = Rates(settings.stranger_rate, clock)
        self._rate = settings.rate

    def admit(
        self, endpoint: Endpoint, request: Request, target: Target
    ) -> Account | Response | None:
        """The account, or None for a public endpoint, or why the request is refused."""
        address = request.client.host if request.client else ""
        if not endpoint.foreign and auth.is_foreign_page(request.method, request.headers):
            return refusal(403, auth.FOREIGN_PAGE)
        if endpoint.public:
            return _slower(self._strangers.wait_of(address), self.server.settings.stranger_rate)
        token = auth.token_in(request.headers, target.parameters)
        account = None if token is None else self.tokens.account_of(token)
        if account is None:
            slower = _slower(self._strangers.wait_of(address), self.server.settings.stranger_rate)
            headers = {"WWW-Authenticate": "Bearer"}
            return slower or refusal(
                401, auth.NO_TOKEN if token is None else auth.BAD_TOKEN, headers
            )
        if not auth.may(account, request.method):
            return refusal(403, auth.READ_ONLY)
        return _slower(self._rates.wait_of(account.digest), self._rate or 0) or account


def _slower(wait_s: float, rate: float) -> Response | None:
    """Clients tell the kind of limit by these headers. Source: protocol 6.1."""
    if not wait_s:
        return None
    seconds = str(math.ceil(wait_s))
    headers = {
        "Retry-After": seconds,
        "Burst-RateLimit-Limit": str(math.ceil(rate)),
        "Burst-RateLimit-Remaining": "0",
        "Burst-RateLimit-Reset": seconds,
    }
    return refusal(429, "too many requests", headers)


class _Guarded:
    """An endpoint behind the gate, as an ASGI app: a route takes it as it is."""

    def __init__(self, endpoint: Endpoint, gate: _Gate) -> None:
        self._endpoint = endpoint
        self._gate = gate
        settings, limits = gate.server.settings, gate.server.engine.limits
        self._largest = settings.batch_bytes if endpoint.batch else limits.payload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        measured = None if self._endpoint.lasts else self._gate.server.metrics
        began = perf_counter()
        try:
            response = await self._answer(Request(scope, receive))
        except asyncio.CancelledError:
            if not self._gate.server.engine.stopping:
                raise
            # It took longer than the server, which stops, could wait.
            response = refusal(503, "the server stops", {"Retry-After": "1"})
        if measured is not None:
            status = 499 if response is None else response.status_code
            route, took = self._endpoint.path, perf_counter() - began
            measured.answered(scope["method"], route, status, took)
        if response is not None:
            await self._send(response, scope, receive, send)

    async def _send(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await response(scope, receive, send)
        except asyncio.CancelledError:
            if not self._gate.server.engine.stopping:
                raise
            logger.warning("an answer is cut off: the server stops")

    async def _answer(self, request: Request) -> Response | None:
        target = Target.of(request.scope)
        admitted = self._gate.admit(self._endpoint, request, target)
        if isinstance(admitted, Response):
            return admitted
        headers: list[tuple[Any, Any]] = request.headers.raw
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        call = Call(self._gate.server, request, admitted, target, pairs, self._largest)
        try:
            return await self._endpoint.handle(call)
        except WorkflowAgentsError as error:
            return refusal_of(error)
        except TooSlow:
            return refusal(408, "the body did not come in time", {"Connection": "close"})
        except ClientDisconnect:
            return None
        except Exception:
            # The edge of the process: told in the log, and not to whoever asked.
            logger.exception("a request failed", extra={"path": request.scope["path"]})
            return refusal(500, "internal error")
