"""Django: its requests to ours, our answers to its, and the engine on a loop in the background.

One async view for each workflow serves both an ASGI and a WSGI server. Django tells nobody when
it starts or ends: the engine starts with the first request for a workflow, or with
`serve.start()`, and is closed when the process ends.
"""
# Django ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, Unpack, cast

from django.core.exceptions import RequestDataTooBig
from django.db import close_old_connections
from django.http import HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, URLResolver, path

from workflow_agents.core.bad_options import names_options
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.serve.endpoint import Request, Response, failed
from workflow_agents.serve.routes import (
    HOOK_METHODS,
    RouteOptions,
    Routes,
    check_route,
    ensure_open,
    receive_webhook,
    too_large,
)
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import ServedFunction, Workflow
from workflow_agents.sync.client import Client
from workflow_agents.sync.loop_thread import LOOP_THREAD

T = TypeVar("T")
View = Callable[..., Coroutine[Any, Any, HttpResponse]]

HttpRequest = Any
"""Made of properties whose types cannot be inferred."""

HOOK_PATH = "v2/workflows/hooks/<user>/<run_id>/<path:event_id>"


class Serve:
    """Serves workflows at addresses of a Django project.

    ```python
    # workflows.py
    serve = Serve()

    @serve.post("/orders")
    def orders(context: WorkflowContext[Order]) -> str: ...

    # urls.py
    urlpatterns = [*serve.urlpatterns, ...]
    ```

    The addresses are those of the decorators: put `urlpatterns` at the root. The engine is
    embedded, on one SQLite file: the project is to be served by one process, with as many threads
    as it likes. The views are exempt from CSRF checks, as they are called by programs.

    Args:
        engine: in place of one with default options; it keeps the runs, whatever is set.
        store: the path of the store, where no engine is given; the same.

    Raises:
        ConfigurationError: WA106, QSTASH_URL is set without QSTASH_TOKEN.
    """

    @names_options
    def __init__(self, *, engine: Engine | None = None, store: str | None = None) -> None:
        self._routes = Routes(engine, store)
        self._patterns: list[URLPattern | URLResolver] = []
        if self._routes.embedded:
            self._patterns.append(path(HOOK_PATH, _view(self._receive_webhook, HOOK_METHODS)))

    @property
    def urlpatterns(self) -> list[URLPattern | URLResolver]:
        """One for each workflow that was decorated until now, and one for webhooks."""
        return [*self._patterns]

    @property
    def engine(self) -> Engine:
        """The embedded engine. Where a QStash server keeps the runs, it is not started."""
        return self._routes.engine

    @property
    def client(self) -> Client:
        """Starts runs and follows them; `serve.engine.client` is the one to be awaited."""
        return self.engine.sync_client if self._routes.embedded else Client(self._routes.client)

    def start(self) -> None:
        """Start the engine before the first request comes, so that stored runs go on at once.

        Raises:
            StoreError: the store cannot be used; WA601: another process has it.
        """
        if self._routes.embedded:
            ensure_open(self.engine)

    def stop(self) -> None:
        """Park every run and close the store; done anyway when the process ends."""
        if self._routes.embedded:
            self.engine.close()
        LOOP_THREAD.wait(self._routes.close_connections())

    def post(
        self, address: str, **options: Unpack[RouteOptions]
    ) -> Callable[[ServedFunction], Workflow]:
        """Serve a function as a workflow at `POST address`.

        A request starts a run with its body as the payload, and is answered with the run's id
        when the function asks for its first step:

        ```json
        {"workflowRunId": "wfr_V1StGXR8_Z5jdHi6B-myT", "finishCondition": "success"}
        ```

        Args:
            address: of the view, "/orders"; stored runs find their code by it.
            options: see `RouteOptions`.

        Raises:
            ConfigurationError: an option cannot be used.
        """
        check_route(address, options, "@serve.post(...)")
        failure_function = options.get("failure_function")
        if callable(failure_function):
            options["failure_function"] = _with_connections(failure_function)

        def decorate(function: ServedFunction) -> Workflow:
            route = self._routes.add(address, _with_connections(function), options)

            async def handle(request: HttpRequest) -> Response:
                if route.needs_engine:
                    await asyncio.to_thread(self.start)
                refused = route.too_large(request.headers.get("content-length"))
                return refused or await _on_the_loop(route.answer(_seen(request)))

            name = route.workflow.__name__
            self._patterns.append(path(address.lstrip("/"), _view(handle, ["POST"]), name=name))
            return route.workflow

        return decorate

    async def _receive_webhook(
        self, request: HttpRequest, user: str, run_id: str, event_id: str
    ) -> Response:
        del user  # there is one
        await asyncio.to_thread(self.start)
        limit = self.engine.limits.payload_bytes
        refused = too_large(limit, request.headers.get("content-length"))
        return refused or await _on_the_loop(
            receive_webhook(self.engine, run_id, event_id, _seen(request))
        )


def _view(answer: Callable[..., Awaitable[Response]], methods: list[str]) -> View:
    async def view(request: HttpRequest, **names: str) -> HttpResponse:
        if request.method not in methods:
            return HttpResponseNotAllowed(methods)
        try:
            response = await answer(request, **names)
        except WorkflowAgentsError as error:
            response = failed(error)
        return HttpResponse(
            response.body,
            status=response.status,
            content_type="application/json",
            headers=dict(response.headers),
        )

    # As `csrf_exempt` does it.
    cast("Any", view).csrf_exempt = True
    return view


async def _on_the_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """On the loop of the process: below WSGI, that of a view ends with its request."""
    return await asyncio.wrap_future(LOOP_THREAD.submit(coroutine))


def _seen(request: HttpRequest) -> Request:
    try:
        body: bytes = request.body
    except RequestDataTooBig:
        # Django's limit is one of forms; the route has one of its own, which it has seen to.
        body = request.read()
    return Request(
        request.build_absolute_uri(), [*request.headers.items()], body, request.method or "POST"
    )


def _with_connections(function: Any) -> Any:
    """The function, in whose thread no database connection of Django outlives its use."""
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def called(*args: Any) -> Any:
        close_old_connections()
        try:
            return function(*args)
        finally:
            close_old_connections()

    return function if inspect.isgeneratorfunction(function) else called
