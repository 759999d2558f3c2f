"""FastAPI: its requests to ours, our answers to its, and the engine in its lifespan."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Callable
from typing import Any, Unpack

from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from fastapi.responses import JSONResponse

from workflow_agents.client import AsyncClient
from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.serve.endpoint import Request, Response
from workflow_agents.serve.routes import (
    HOOK_METHODS,
    RouteOptions,
    Routes,
    check_route,
    receive_webhook,
    too_large,
)
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import ServedFunction, Workflow

HOOK_PATH = "/v2/workflows/hooks/{user}/{run_id}/{event_id:path}"


class Serve:
    """Serves workflows as routes of a FastAPI app.

    The engine is embedded: it starts and stops with the app, on one SQLite file. Where
    QSTASH_TOKEN is set and no engine is given, a QStash server keeps the runs instead. While the
    app runs, `serve.client` starts runs and follows them.

    ```python
    app = FastAPI()
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

    @names_options
    def __init__(
        self,
        app: FastAPI,
        *,
        engine: Engine | None = None,
        store: str | None = None,
        dashboard: bool | str = False,
        dashboard_token: str | None = None,
    ) -> None:
        if not isinstance(app, FastAPI):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("app", "a FastAPI app", app)
        self._routes = Routes(engine, store)
        self._app = app
        self._starting = asyncio.Lock()
        self._wrap_lifespan(app)
        if self._routes.embedded:
            app.add_api_route(
                HOOK_PATH, self._receive_webhook, methods=HOOK_METHODS, include_in_schema=False
            )
            if dashboard is not False:
                self._mount_dashboard(app, dashboard, dashboard_token)

    @property
    def engine(self) -> Engine:
        """The embedded engine. Where a QStash server keeps the runs, it is not started."""
        return self._routes.engine

    @property
    def client(self) -> AsyncClient:
        """Starts runs and follows them."""
        return self._routes.client

    def post(
        self, path: str, **options: Unpack[RouteOptions]
    ) -> Callable[[ServedFunction], Workflow]:
        """Serve a function as a workflow at `POST path`.

        A request starts a run with its body as the payload, and is answered with the run's id
        when the function asks for its first step:

        ```json
        {"workflowRunId": "wfr_V1StGXR8_Z5jdHi6B-myT", "finishCondition": "success"}
        ```

        Args:
            path: of the route; stored runs find their code by it.
            options: see `RouteOptions`.

        Raises:
            ConfigurationError: an option cannot be used.
        """
        check_route(path, options, "@serve.post(...)")

        def decorate(function: ServedFunction) -> Workflow:
            route = self._routes.add(path, function, options)

            async def handle(request: FastAPIRequest) -> JSONResponse:
                if route.needs_engine:
                    await self._ensure_started()
                refused = route.too_large(request.headers.get("content-length"))
                if refused is not None:
                    return _answer(refused)
                return _answer(await route.answer(await _seen(request)))

            name = route.workflow.__name__
            summary = inspect.getdoc(function) or f"Start a run of {name}"
            self._app.add_api_route(
                path, handle, methods=["POST"], name=name, summary=summary.splitlines()[0]
            )
            return route.workflow

        return decorate

    async def _receive_webhook(
        self, request: FastAPIRequest, run_id: str, event_id: str
    ) -> JSONResponse:
        await self._ensure_started()
        limit = self.engine.limits.payload_bytes
        refused = too_large(limit, request.headers.get("content-length"))
        if refused is not None:
            return _answer(refused)
        return _answer(await receive_webhook(self.engine, run_id, event_id, await _seen(request)))

    def _mount_dashboard(self, app: FastAPI, path: bool | str, token: str | None) -> None:
        from workflow_agents.dashboard import EMBEDDED_PATH
        from workflow_agents.dashboard.site import Dashboard

        path = EMBEDDED_PATH if path is True else path
        if not isinstance(path, str) or not path.startswith("/") or path == "/":
            raise wrong_option("dashboard", "True or a path, such as '/runs'", path)
        pages = Dashboard(self.engine, token=token)

        async def started(scope: Any, receive: Any, send: Any) -> None:
            await self._ensure_started()
            await pages(scope, receive, send)

        app.mount(path.rstrip("/"), started)

    async def _ensure_started(self) -> None:
        """An app whose lifespan is not run starts the engine with its first request."""
        if not self.engine.running:
            async with self._starting:
                if not self.engine.running:
                    await self.engine.start()

    def _wrap_lifespan(self, app: FastAPI) -> None:
        inner = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lifespan(scope_app: Any) -> AsyncGenerator[Any]:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(self._routes.close_connections)
                if self._routes.embedded:
                    await stack.enter_async_context(self.engine)
                yield await stack.enter_async_context(inner(scope_app))

        app.router.lifespan_context = lifespan


async def _seen(request: FastAPIRequest) -> Request:
    return Request(str(request.url), request.headers.items(), await request.body(), request.method)


def _answer(response: Response) -> JSONResponse:
    return JSONResponse(response.data, response.status, dict(response.headers))
