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
    Route,
    RouteOptions,
    check_route,
    embedded_engine,
    receive_webhook,
    too_large,
)
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import ServedFunction, Workflow

HOOK_PATH = "/v2/workflows/hooks/{user}/{run_id}/{event_id:path}"


class Serve:
    """Serves workflows as routes of a FastAPI app.

    The engine is embedded: it starts and stops with the app, on one SQLite file. While the app
    runs, `serve.client` starts runs and follows them.

    ```python
    app = FastAPI()
    serve = Serve(app)

    @serve.post("/orders")
    async def orders(context: AsyncWorkflowContext[Order]) -> str: ...
    ```

    Args:
        app: gets a route for each workflow, and one for webhooks.
        engine: in place of one with default options.
        store: the path of the store, where no engine is given.

    Raises:
        ConfigurationError: WA106, the environment asks for a QStash server.
    """

    @names_options
    def __init__(
        self, app: FastAPI, *, engine: Engine | None = None, store: str | None = None
    ) -> None:
        if not isinstance(app, FastAPI):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("app", "a FastAPI app", app)
        self.engine = embedded_engine(engine, store)
        self._app = app
        self._starting = asyncio.Lock()
        self._wrap_lifespan(app)
        app.add_api_route(
            HOOK_PATH, self._receive_webhook, methods=HOOK_METHODS, include_in_schema=False
        )

    @property
    def client(self) -> AsyncClient:
        """Starts runs and follows them."""
        return self.engine.client

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
            route = Route(self.engine, path, function, options)

            async def handle(request: FastAPIRequest) -> JSONResponse:
                await self._ensure_started()
                if (refused := self._too_large(request)) is not None:
                    return refused
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
        if (refused := self._too_large(request)) is not None:
            return refused
        return _answer(await receive_webhook(self.engine, run_id, event_id, await _seen(request)))

    def _too_large(self, request: FastAPIRequest) -> JSONResponse | None:
        refused = too_large(self.engine, request.headers.get("content-length"))
        return None if refused is None else _answer(refused)

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
            async with self.engine, inner(scope_app) as state:
                yield state

        app.router.lifespan_context = lifespan


async def _seen(request: FastAPIRequest) -> Request:
    return Request(str(request.url), request.headers.items(), await request.body(), request.method)


def _answer(response: Response) -> JSONResponse:
    return JSONResponse(response.data, response.status)
