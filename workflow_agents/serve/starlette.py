"""Starlette: its requests to ours, our answers to its, and the engine in its lifespan."""

import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse

from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.serve.doors import AwaitedDoor
from workflow_agents.serve.endpoint import Request
from workflow_agents.serve.routes import HOOK_METHODS, HOOKS, Answering, Route
from workflow_agents.serve.serve import Engine

Handler = Callable[[StarletteRequest], Awaitable[JSONResponse]]


class Serve(AwaitedDoor):
    """Serves workflows as routes of a Starlette app.

    The engine is embedded: it starts and stops with the app, on one SQLite file. Where
    QSTASH_TOKEN is set and no engine is given, a QStash server keeps the runs instead. While the
    app runs, `serve.client` starts runs and follows them.

    ```python
    app = Starlette()
    serve = Serve(app)

    @serve.post("/orders")
    async def orders(context: AsyncWorkflowContext[Order]) -> str: ...
    ```

    Args:
        app: gets a route for each workflow, and one for webhooks.
        engine: in place of one with default options; it keeps the runs, whatever is set.
        store: the path of the store, where no engine is given; the same.
        dashboard: serve the dashboard of the embedded engine at `/workflow-agents`, or at a path
            of yours. It answers requests of this machine only, unless there is a token.
        dashboard_token: is asked for once, in the browser; with it, any machine may ask.

    Raises:
        ConfigurationError: WA106, QSTASH_URL is set without QSTASH_TOKEN.
    """

    _kind: type[Starlette] = Starlette

    @names_options
    def __init__(
        self,
        app: Starlette,
        *,
        engine: Engine | None = None,
        store: str | None = None,
        dashboard: bool | str = False,
        dashboard_token: str | None = None,
    ) -> None:
        if not isinstance(app, self._kind):
            raise wrong_option("app", f"a {self._kind.__name__} app", app)
        super().__init__(engine, store)
        self._app = app
        self._wrap_lifespan(app)
        if self._routes.embedded:
            path = f"{HOOKS}{{user}}/{{run_id}}/{{event_id:path}}"
            app.add_route(
                path, self._handler(self._hooks()), methods=HOOK_METHODS, include_in_schema=False
            )
            if dashboard is not False:
                self._mount_dashboard(dashboard, dashboard_token)

    def _mount_dashboard(self, path: bool | str, token: str | None) -> None:
        from workflow_agents.dashboard import EMBEDDED_PATH
        from workflow_agents.dashboard.site import Dashboard

        path = EMBEDDED_PATH if path is True else path
        if not isinstance(path, str) or not path.startswith("/") or path == "/":
            raise wrong_option("dashboard", "True or a path, such as '/runs'", path)
        pages = Dashboard(self.engine, token=token)

        async def started(scope: Any, receive: Any, send: Any) -> None:
            await self._ensure_started()
            await pages(scope, receive, send)

        self._app.mount(path.rstrip("/"), started)

    def _mount(self, path: str, route: Route) -> None:
        name = route.workflow.__name__
        self._app.add_route(path, self._handler(route), methods=["POST"], name=name)

    def _handler(self, route: Answering) -> Handler:
        async def handle(request: StarletteRequest) -> JSONResponse:
            async def read() -> Request:
                body = await request.body()
                return Request(str(request.url), request.headers.items(), body, request.method)

            length = request.headers.get("content-length")
            response = await self._answered(route, length, read)
            return JSONResponse(response.data, response.status, dict(response.headers))

        return handle

    def _wrap_lifespan(self, app: Starlette) -> None:
        inner = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lifespan(scope_app: Any) -> AsyncGenerator[Any]:
            async with self._running(), inner(scope_app) as state:
                yield state

        app.router.lifespan_context = lifespan


def summary_of(route: Route) -> str:
    """The first line of what a workflow says of itself."""
    said = inspect.cleandoc(route.workflow.__doc__ or "").splitlines()
    return said[0] if said else f"Start a run of {route.workflow.__name__}"
