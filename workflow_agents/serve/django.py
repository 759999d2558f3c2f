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
from collections.abc import Callable, Coroutine
from typing import Any, cast

from django.core.exceptions import RequestDataTooBig
from django.db import close_old_connections
from django.http import HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, URLResolver
from django.urls import path as django_path

from workflow_agents.core.bad_options import names_options
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.serve.doors import BackgroundDoor
from workflow_agents.serve.endpoint import Request, Response, failed
from workflow_agents.serve.routes import HOOK_METHODS, HOOKS, Answering, Route
from workflow_agents.serve.serve import Engine
from workflow_agents.sync.loop_thread import LOOP_THREAD

View = Callable[..., Coroutine[Any, Any, HttpResponse]]

HttpRequest = Any
"""Made of properties whose types cannot be inferred."""


class Serve(BackgroundDoor):
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
        super().__init__(engine, store)
        self._patterns: list[URLPattern | URLResolver] = []
        if self._routes.embedded:
            address = f"{HOOKS.lstrip('/')}<user>/<run_id>/<path:event_id>"
            self._patterns.append(django_path(address, self._view(self._hooks(), HOOK_METHODS)))

    @property
    def urlpatterns(self) -> list[URLPattern | URLResolver]:
        """One for each workflow that was decorated until now, and one for webhooks."""
        return [*self._patterns]

    def _mount(self, path: str, route: Route) -> None:
        view = self._view(route, ["POST"])
        self._patterns.append(django_path(path.lstrip("/"), view, name=route.workflow.__name__))

    def _view(self, route: Answering, methods: list[str]) -> View:
        async def view(request: HttpRequest, **_names: str) -> HttpResponse:
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            try:
                response = await self._answer(route, request)
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

    async def _answer(self, route: Answering, request: HttpRequest) -> Response:
        """On the loop of the process: below WSGI, that of a view ends with its request."""
        if route.needs_engine:
            await asyncio.to_thread(self.start)
        refused = route.too_large(request.headers.get("content-length"))
        if refused is not None:
            return refused
        return await asyncio.wrap_future(LOOP_THREAD.submit(route.answer(_seen(request))))

    def _prepared(self, function: Any) -> Any:
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


def _seen(request: HttpRequest) -> Request:
    try:
        body: bytes = request.body
    except RequestDataTooBig:
        # Django's limit is one of forms; the route has one of its own, which it has seen to.
        body = request.read()
    return Request(
        request.build_absolute_uri(), [*request.headers.items()], body, request.method or "POST"
    )
