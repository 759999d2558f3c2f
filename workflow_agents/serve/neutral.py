"""`serve`, `serve_many` and their awaited kin, for web frameworks that have no door of their own.

Each takes workflow functions and gives a handler, which takes a request in whatever shape the
framework has it and gives a `Response`: a status, JSON data, headers. The route is yours to add.

Source: the documented `serve, async_serve`, "platforms not natively supported"; the handler is
under "handler", as there.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack, cast
from urllib.parse import urlsplit

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.serve.endpoint import Request, Response
from workflow_agents.serve.many import Member, members
from workflow_agents.serve.options import RouteOptions, ServedFunction, check_names
from workflow_agents.serve.routes import Answering, Route, Routes, check_route, ensure_open
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.wire_endpoint import ANSWERED
from workflow_agents.serve.workflow import Workflow
from workflow_agents.sync.loop_thread import LOOP_THREAD


class NeutralOptions(RouteOptions, total=False):
    """Options of a route, and where it is.

    Attributes:
        path: stored runs find their code by it; default: "/" and the function's name. Of several
            workflows what their paths begin with; default: "/".
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


class AsyncServedMany(TypedDict):
    """What `async_serve_many` gives.

    Attributes:
        handler: answers a request to any of them.
        workflows: what is served, by name.
        close: closes the connections to a QStash server; the engine is its owner's to stop.
    """

    handler: Callable[[Any], Awaitable[Response]]
    workflows: Mapping[str, Workflow]
    close: Callable[[], Awaitable[None]]


class ServedMany(TypedDict):
    """What `serve_many` gives; see `AsyncServedMany`."""

    handler: Callable[[Any], Response]
    workflows: Mapping[str, Workflow]
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
    handler = _awaited(routes, route)
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
    handler, close = _called(routes, route)
    return {"handler": handler, "workflow": route.workflow, "close": close}


def async_serve_many(
    workflows: Mapping[str, Member], **options: Unpack[NeutralOptions]
) -> AsyncServedMany:
    """Serve several workflows, which may invoke each other; the handler is awaited.

    The last part of a request's address names the workflow: add one route for all of them,
    "/workflows/{name}", and say `path="/workflows"`.

    Args:
        workflows: by their names; see `create_workflow`.
        options: see `NeutralOptions`; a workflow's own options come first.

    Raises:
        ConfigurationError: a name or an option cannot be used.
    """
    routes, family = _family(workflows, options, "async_serve_many(...)")
    handler = _awaited(routes, family)
    return {"handler": handler, "workflows": family.workflows, "close": routes.close_connections}


def serve_many(workflows: Mapping[str, Member], **options: Unpack[NeutralOptions]) -> ServedMany:
    """Serve several workflows; the handler is called, from any thread. See `async_serve_many`.

    Args:
        workflows: by their names; see `create_workflow`.
        options: see `NeutralOptions`; a workflow's own options come first.

    Raises:
        ConfigurationError: a name or an option cannot be used.
    """
    routes, family = _family(workflows, options, "serve_many(...)")
    handler, close = _called(routes, family)
    return {"handler": handler, "workflows": family.workflows, "close": close}


def _awaited(routes: Routes, route: Answering) -> Callable[[Any], Awaitable[Response]]:
    async def handler(request: Any) -> Response:
        if route.needs_engine and not routes.engine.running:
            await asyncio.to_thread(ensure_open, routes.engine)
        return await _answer(route, request)

    return handler


def _called(
    routes: Routes, route: Answering
) -> tuple[Callable[[Any], Response], Callable[[], None]]:
    def handler(request: Any) -> Response:
        if route.needs_engine:
            ensure_open(routes.engine)
        return LOOP_THREAD.wait(_answer(route, request))

    def close() -> None:
        LOOP_THREAD.wait(routes.close_connections())

    return handler, close


@dataclass(frozen=True, slots=True)
class _Family:
    """Several workflows behind one handler; the last part of an address names one."""

    routes: Mapping[str, Route]

    @property
    def workflows(self) -> dict[str, Workflow]:
        return {name: route.workflow for name, route in self.routes.items()}

    @property
    def needs_engine(self) -> bool:
        return any(route.needs_engine for route in self.routes.values())

    async def answer(self, request: Request) -> Response:
        """See `Answering`. Source: protocol 3.7, what an unknown workflow is answered."""
        name = urlsplit(request.url).path.rpartition("/")[2]
        route = self.routes.get(name)
        if route is not None:
            return await route.answer(request)
        known = ", ".join(self.routes)
        said = {"error": "NotFound", "message": f"no workflow {name!r} here; known are {known}"}
        return Response(404, said, ANSWERED)

    def too_large(self, content_length: str | None) -> Response | None:
        """See `Answering`; they share one limit."""
        return next(iter(self.routes.values())).too_large(content_length)


_of_the_process: list[Routes] = []


def _route(function: ServedFunction, options: Any, where: str) -> tuple[Routes, Route]:
    path, routes, given = _place(options, f"/{getattr(function, '__name__', 'workflow')}", where)
    return routes, routes.add(path, function, given)


def _family(workflows: Mapping[str, Member], options: Any, where: str) -> tuple[Routes, _Family]:
    path, routes, shared = _place(options, "/", where)
    found = members(path, workflows, shared, where)
    return routes, _Family({name: routes.add(at, do, own) for name, at, do, own in found})


def _place(options: Any, default: str, where: str) -> tuple[str, Routes, RouteOptions]:
    """The path, who keeps the runs, and the options that are left."""
    check_names(options, NeutralOptions, where)
    given: dict[str, Any] = {**options}
    path = given.pop("path", None) or default
    engine = given.pop("engine", None)
    if engine is not None and not isinstance(engine, Engine):
        raise wrong_option("engine", "an Engine", engine)
    check_route(path, given, where)
    return path, _routes(engine), cast("RouteOptions", given)


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


async def _answer(route: Answering, request: Any) -> Response:
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
