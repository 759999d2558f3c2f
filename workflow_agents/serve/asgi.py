"""FastAPI: its requests to ours, our answers to its, and the engine in its lifespan."""

import base64
import contextlib
import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from fastapi.responses import JSONResponse

from workflow_agents.client import AsyncClient
from workflow_agents.context.context import WorkflowFunction
from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.core.checks import checked_size
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.serve.endpoint import Request, Response, failed
from workflow_agents.serve.routes import Routes, refuse_unknown
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import FailureFunction, Workflow

HOOK_PATH = "/v2/workflows/hooks/{user}/{run_id}/{event_id:path}"
_HOOK_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


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
        store: the path of its store, where no engine is given.

    Raises:
        ConfigurationError: WA106, QSTASH_URL is set without QSTASH_TOKEN.
    """

    @names_options
    def __init__(
        self, app: FastAPI, *, engine: Engine | None = None, store: str | None = None
    ) -> None:
        if not isinstance(app, FastAPI):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("app", "a FastAPI app", app)
        self._routes = Routes(engine, store)
        self._app = app
        self._wrap_lifespan(app)
        if self._routes.embedded:
            app.add_api_route(
                HOOK_PATH, self._receive_webhook, methods=_HOOK_METHODS, include_in_schema=False
            )

    @property
    def engine(self) -> Engine:
        """The embedded engine. Where a QStash server keeps the runs, none is started."""
        return self._routes.engine

    @property
    def client(self) -> AsyncClient:
        """Starts runs and follows them."""
        return self._routes.client

    def post(
        self,
        path: str,
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: FlowControl | None = None,
        label: str | None = None,
        failure_function: FailureFunction | None = None,
        failure_url: str | None = None,
        schema: Any = None,
        initial_payload_parser: Callable[[str], Any] | None = None,
        env: Mapping[str, str | None] | None = None,
        qstash_client: Any = None,
        receiver: Any = None,
        redact: Mapping[str, Any] | None = None,
        url: str | None = None,
        base_url: str | None = None,
        **unknown: Any,
    ) -> Callable[[WorkflowFunction], Workflow]:
        """Serve an async function as a workflow at `POST path`.

        A request starts a run with its body as the payload, and is answered with the run's id
        when the function asks for its first step:

        ```json
        {"workflowRunId": "wfr_V1StGXR8_Z5jdHi6B-myT", "finishCondition": "success"}
        ```

        Args:
            path: of the route; stored runs find their code by it.
            qstash_client: a `qstash.AsyncQStash` or `QStash`: its server keeps the runs.
            receiver: a `qstash.Receiver`; requests that are not signed are refused. Default,
                where a QStash server keeps the runs: QSTASH_CURRENT_SIGNING_KEY and
                QSTASH_NEXT_SIGNING_KEY, if both are set; False: no signatures.
            url: the route's address from outside, and what `context.url` is; default: the
                request's.
            base_url: replaces the origin of that; default: UPSTASH_WORKFLOW_URL.
            retries: as `Engine.add`, like the rest.
            retry_delay: an expression in milliseconds.
            flow_control: a key whose limits its runs wait for.
            label: of its runs.
            failure_function: called with (context, status, response, headers).
            failure_url: is sent a POST instead.
            schema: a type that the payload must fit.
            initial_payload_parser: makes the payload of the body's text.
            env: what `context.env` is.
            redact: what logs do not show.
            unknown: refused, with the nearest option.

        Raises:
            ConfigurationError: an option cannot be used.
        """
        known = {*inspect.signature(Serve.post).parameters} - {"self", "path", "unknown"}
        refuse_unknown(unknown, known, "@serve.post(...)")

        def decorate(function: WorkflowFunction) -> Workflow:
            route = self._routes.add(
                path,
                function,
                qstash_client=qstash_client,
                receiver=receiver,
                url=url,
                base_url=base_url,
                retries=retries,
                retry_delay=retry_delay,
                flow_control=flow_control,
                label=label,
                failure_function=failure_function,
                failure_url=failure_url,
                schema=schema,
                initial_payload_parser=initial_payload_parser,
                env=env,
                redact=redact,
            )
            workflow = route.workflow

            async def handle(request: FastAPIRequest) -> JSONResponse:
                refused = route.too_large(request.headers.get("content-length"))
                if refused is not None:
                    return _answer(refused)
                self._routes.seen_at(str(request.base_url).rstrip("/"))
                seen = Request(
                    str(request.url), request.headers.items(), await request.body(), request.method
                )
                return _answer(await route.handle(seen))

            summary = inspect.getdoc(function) or f"Start a run of {workflow.__name__}"
            self._app.add_api_route(
                path,
                handle,
                methods=["POST"],
                name=workflow.__name__,
                summary=summary.splitlines()[0],
            )
            return workflow

        return decorate

    async def _receive_webhook(
        self, request: FastAPIRequest, run_id: str, event_id: str
    ) -> JSONResponse:
        """Source: protocol 4.7."""
        await self._routes.ensure_started()
        if (refused := self._too_large(request)) is not None:
            return refused
        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            headers.setdefault(name, []).append(value)
        body = b"" if request.method in {"GET", "HEAD"} else await request.body()
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        told = {
            "method": request.method,
            "header": headers,
            "body": base64.b64encode(body).decode(),
            "proto": request.url.scheme,
            "host": request.url.netloc,
            "url": path,
        }
        try:
            await self.engine.receive_webhook(run_id, event_id, told)
        except WorkflowAgentsError as error:
            return _answer(failed(error))
        return JSONResponse({})

    def _too_large(self, request: FastAPIRequest) -> JSONResponse | None:
        """A body that says it is over the limit is not read."""
        said = request.headers.get("content-length", "")
        if not said.isdigit():
            return None
        try:
            checked_size(int(said), self.engine.limits.payload_bytes, "body of the request")
        except WorkflowAgentsError as error:
            return _answer(failed(error))
        return None

    def _wrap_lifespan(self, app: FastAPI) -> None:
        inner = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lifespan(scope_app: Any) -> AsyncGenerator[Any]:
            await self._routes.start()
            try:
                async with inner(scope_app) as state:
                    yield state
            finally:
                await self._routes.stop()

        app.router.lifespan_context = lifespan


def _answer(response: Response) -> JSONResponse:
    return JSONResponse(response.data, response.status, dict(response.headers))
