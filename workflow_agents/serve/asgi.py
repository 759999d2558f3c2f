"""Plain ASGI: an app of its own, or before another one, with any server of ASGI apps."""

import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.serve.doors import AwaitedDoor
from workflow_agents.serve.endpoint import Request, Response
from workflow_agents.serve.paths import Paths
from workflow_agents.serve.routes import Route
from workflow_agents.serve.serve import Engine

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]


class Serve(AwaitedDoor):
    """Serves workflows; it is an ASGI app itself.

    ```python
    app = Serve()                # or Serve(another_app), which gets all other requests

    @app.post("/orders")
    async def orders(context: AsyncWorkflowContext[Order]) -> str: ...
    ```

    The engine is embedded: it starts and stops with the app's lifespan, on one SQLite file; with
    a server that runs no lifespan it starts with the first request. Where QSTASH_TOKEN is set and
    no engine is given, a QStash server keeps the runs instead.

    Args:
        app: answers what is no workflow's; default: 404.
        engine: in place of one with default options; it keeps the runs, whatever is set.
        store: the path of the store, where no engine is given; the same.

    Raises:
        ConfigurationError: WA106, QSTASH_URL is set without QSTASH_TOKEN.
    """

    @names_options
    def __init__(
        self,
        app: AsgiApp | None = None,
        *,
        engine: Engine | None = None,
        store: str | None = None,
    ) -> None:
        if app is not None and not callable(app):
            raise wrong_option("app", "an ASGI app", app)
        super().__init__(engine, store)
        self._app = app
        self._paths = Paths(self._hooks() if self._routes.embedded else None)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on; see the specification of ASGI."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and (self._app is None or self._paths.knows(_path(scope))):
            await _say(await self._answer(scope, receive), send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    def _mount(self, path: str, route: Route) -> None:
        self._paths.add(path, route)

    async def _answer(self, scope: Message, receive: Receive) -> Response:
        route = self._paths.find(scope["method"], _path(scope))
        if isinstance(route, Response):
            return route
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]]
        given = dict(headers)

        async def read() -> Request:
            return Request(
                _url(scope, given.get("host")), headers, await _body(receive), scope["method"]
            )

        return await self._answered(route, given.get("content-length"), read)

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        """From the start of the app to its end."""
        async with contextlib.AsyncExitStack() as stack:

            async def hear() -> Message:
                message = await receive()
                if message["type"] == "lifespan.startup":
                    await stack.enter_async_context(self._running())
                return message

            async def say(message: Message) -> None:
                if message["type"].startswith("lifespan.shutdown."):
                    await stack.aclose()
                await send(message)

            await (self._app or _quiet)(scope, hear, say)


async def _quiet(_scope: Message, receive: Receive, send: Send) -> None:
    """The lifespan of an app that has nothing to do in it."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


def _path(scope: Message) -> str:
    """Below the place where the app is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _url(scope: Message, host: str | None) -> str:
    if host is None:
        name, port = scope.get("server") or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    query = scope.get("query_string", b"").decode("latin-1")
    path = quote(scope["path"], safe="/:@!$&'()*+,;=~")
    return f"{scope.get('scheme', 'http')}://{host}{path}{f'?{query}' if query else ''}"


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _say(response: Response, send: Send) -> None:
    body = response.body
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **response.headers,
    }
    pairs = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
