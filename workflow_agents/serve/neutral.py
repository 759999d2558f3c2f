"""`serve` and `async_serve`: a workflow for a web framework that has no adapter of its own.

Each takes a workflow function and gives a handler, which takes a request in whatever shape the
framework has it and gives a `Response`: a status, JSON data, headers. The route is yours to add.

Source: the documented `serve, async_serve`, "platforms not natively supported"; the handler is
under "handler", as there.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypedDict, Unpack, cast

from workflow_agents.core.bad_options import unknown_option, wrong_option
from workflow_agents.serve.endpoint import Request, Response
from workflow_agents.serve.routes import Route, RouteOptions, Routes, check_route, ensure_open
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import ServedFunction, Workflow
from workflow_agents.sync.loop_thread import LOOP_THREAD


class NeutralOptions(RouteOptions, total=False):
    """Options of a route, and where it is.

    Attributes:
        path: stored runs find their code by it; default: "/" and the function's name.
        engine: keeps the runs, where no QStash server does; default: one for the process, which
            starts with the first request.
    """

    path: str
    engine: Engine


class AsyncServed(TypedDict):
    """What `async_serve` gives.

    Attributes:
        handler: answers a request.
        workflow: what is served.
        close: closes the connections to a QStash server; the engine is its owner's to stop.
    """

    handler: Callable[[Any], Awaitable[Response]]
    workflow: Workflow
    close: Callable[[], Awaitable[None]]


class Served(TypedDict):
    """What `serve` gives; see `AsyncServed`."""

    handler: Callable[[Any], Response]
    workflow: Workflow
    close: Callable[[], None]


def async_serve(function: ServedFunction, **options: Unpack[NeutralOptions]) -> AsyncServed:
    """Serve a workflow; its handler is awaited.

    ```python
    handler = async_serve(orders, path="/orders")["handler"]

    async def route(request):  # in any framework
        response = await handler(request)
        return MyResponse(response.status, response.body, response.headers)
    ```

    Args:
        function: the workflow function.
        options: see `NeutralOptions`.

    Raises:
        ConfigurationError: an option cannot be used.
    """
    routes, route = _route(function, options, "async_serve(...)")

    async def handler(request: Any) -> Response:
        if route.needs_engine and not routes.engine.running:
            await asyncio.to_thread(ensure_open, routes.engine)
        return await _answer(route, request)

    return {"handler": handler, "workflow": route.workflow, "close": routes.close_connections}


def serve(function: ServedFunction, **options: Unpack[NeutralOptions]) -> Served:
    """Serve a workflow; its handler is called, from any thread.

    Args:
        function: the workflow function.
        options: see `NeutralOptions`.

    Raises:
        ConfigurationError: an option cannot be used.
    """
    routes, route = _route(function, options, "serve(...)")

    def handler(request: Any) -> Response:
        if route.needs_engine:
            ensure_open(routes.engine)
        return LOOP_THREAD.wait(_answer(route, request))

    def close() -> None:
        LOOP_THREAD.wait(routes.close_connections())

    return {"handler": handler, "workflow": route.workflow, "close": close}


_of_the_process: list[Routes] = []


def _route(function: ServedFunction, options: Any, where: str) -> tuple[Routes, Route]:
    given: dict[str, Any] = {**options}
    for name in given:
        if name not in {*NeutralOptions.__annotations__, *RouteOptions.__annotations__}:
            known = {*NeutralOptions.__annotations__, *RouteOptions.__annotations__}
            raise unknown_option(name, known, where)
    path = given.pop("path", None) or f"/{getattr(function, '__name__', 'workflow')}"
    engine = given.pop("engine", None)
    if engine is not None and not isinstance(engine, Engine):
        raise wrong_option("engine", "an Engine", engine)
    check_route(path, given, where)
    routes = _routes(engine)
    return routes, routes.add(path, function, cast("RouteOptions", given))


def _routes(engine: Engine | None) -> Routes:
    """Those of the engine; without one, those of the process."""
    if engine is not None:
        return Routes(engine)
    asked = Routes()
    if not asked.embedded:
        return asked
    if not _of_the_process:
        _of_the_process.append(asked)
    return _of_the_process[0]


async def _answer(route: Route, request: Any) -> Response:
    headers = _headers(getattr(request, "headers", None) or {})
    length = next((v for n, v in headers if n.lower() == "content-length"), None)
    if (refused := route.too_large(length)) is not None:
        return refused
    body = getattr(request, "body", b"")
    if callable(body):
        body = body()
    if inspect.isawaitable(body):
        body = await body
    seen = Request(
        str(getattr(request, "url", "")),
        headers,
        _bytes(body),
        str(getattr(request, "method", "POST")),
    )
    return await route.answer(seen)


def _headers(headers: Any) -> list[tuple[str, str]]:
    """Headers as a mapping or as pairs, of texts or of bytes."""
    items = getattr(headers, "items", None)
    pairs = items() if callable(items) else headers
    return [(_text(name), _text(value)) for name, value in cast("Iterable[Any]", pairs)]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any) -> bytes:
    """A body as bytes: text as UTF-8, what a framework has parsed as JSON again."""
    if body is None:
        return b""
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
