"""Every door that this package has, each behind a real socket, and every keeper of its runs."""

import asyncio
import base64
import contextlib
import json
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socketserver import ThreadingMixIn
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx2
import uvicorn

from tests.unit.server.conftest import serving
from tests.wire.stand_in import CURRENT_KEY, NEXT_KEY, TOKEN, StandIn
from workflow_agents import AsyncClient, AsyncRunHandle, Engine, Limits
from workflow_agents.server.settings import DEV_KEYS, DEV_TOKEN
from workflow_agents.testing._http import HttpAnswer, HttpServer

PATIENCE_S = 20


class Uvicorn:
    """An ASGI app in a thread."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="none")
        self._server = uvicorn.Server(config)
        self._ready = threading.Event()
        startup = self._server.startup

        async def started(*args: Any, **options: Any) -> None:
            await startup(*args, **options)
            self._ready.set()

        self._server.startup = started  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.run)

    def start(self) -> str:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


class Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None: ...


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Wsgi:
    """A WSGI app, in a thread for each request."""

    def __init__(self, app: Any) -> None:
        self._server = make_server("127.0.0.1", 0, app, Threads, Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def start(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Gateway:
    """What stands before a Lambda function: each request becomes an event, which is JSON."""

    def __init__(self, handler: Callable[..., dict[str, Any]]) -> None:
        self._handler = handler
        self._server = HttpServer(self._answer)

    def _answer(self, method: str, path: str, headers: Any, body: bytes) -> HttpAnswer:
        parts = urlsplit(path)
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": parts.path,
            "rawQueryString": parts.query,
            "headers": {**headers, "x-forwarded-proto": "http"},
            "requestContext": {
                "domainName": "id.lambda-url.eu-west-1.on.aws",
                "http": {"method": method, "path": parts.path, "protocol": "HTTP/1.1"},
                "stage": "$default",
            },
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        answer = json.loads(json.dumps(self._handler(json.loads(json.dumps(event)), object())))
        return HttpAnswer(answer["statusCode"], answer["body"].encode(), answer["headers"])

    def start(self) -> str:
        self._server.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.stop()


Served = Uvicorn | Wsgi | Gateway
Built = tuple[Any, Callable[[], Served]]
"""A `Serve`, and what serves its app once all is decorated."""


def on_fastapi(engine: Engine | None) -> Built:
    from fastapi import FastAPI

    from workflow_agents.fastapi import Serve

    app = FastAPI()
    return Serve(app, engine=engine), lambda: Uvicorn(app)


def on_starlette(engine: Engine | None) -> Built:
    from starlette.applications import Starlette

    from workflow_agents.starlette import Serve

    app = Starlette()
    return Serve(app, engine=engine), lambda: Uvicorn(app)


def on_asgi(engine: Engine | None) -> Built:
    from workflow_agents.asgi import Serve

    app = Serve(engine=engine)
    return app, lambda: Uvicorn(app)


def on_flask(engine: Engine | None) -> Built:
    from flask import Flask

    from workflow_agents.flask import Serve

    app = Flask("site")
    return Serve(app, engine=engine), lambda: Wsgi(app)


def on_lambda(engine: Engine | None) -> Built:
    from workflow_agents.aws_lambda import Serve

    handler = Serve(engine=engine)
    return handler, lambda: Gateway(handler)


def on_django(engine: Engine | None, *, asgi: bool) -> Built:
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.urls import clear_url_caches

    from workflow_agents.django import Serve

    urls: Any = ModuleType("site_urls")
    sys.modules["site_urls"] = urls
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF="site_urls",
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="of a test",
            DATABASES={},
            DATA_UPLOAD_MAX_MEMORY_SIZE=50,
            MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
            LOGGING_CONFIG=None,
        )
        django.setup()
    serve = Serve(engine=engine)

    def serve_app() -> Served:
        clear_url_caches()
        urls.urlpatterns = serve.urlpatterns
        return Uvicorn(get_asgi_application()) if asgi else Wsgi(get_wsgi_application())

    return serve, serve_app


DOORS: dict[str, Callable[[Engine | None], Built]] = {
    "fastapi": on_fastapi,
    "starlette": on_starlette,
    "asgi": on_asgi,
    "flask": on_flask,
    "django, asgi": lambda engine: on_django(engine, asgi=True),
    "django, wsgi": lambda engine: on_django(engine, asgi=False),
    "aws lambda": on_lambda,
}
KEEPERS = ("embedded", "our server", "a QStash server")


@dataclass
class Site:
    """A door, and who keeps its runs.

    Attributes:
        serve: the door; it is served with the first request: decorate before that.
        client: of whoever keeps the runs.
        embedded: that is an engine in this process.
        pass_time: lets a little time pass, where it stands still otherwise.
    """

    serve: Any
    client: AsyncClient
    embedded: bool
    serve_app: Callable[[], Served]
    pass_time: Callable[[], Awaitable[None]]
    url: str = ""
    served: Served | None = None

    async def request(
        self, path: str, payload: Any = None, method: str = "POST"
    ) -> httpx2.Response:
        await self._begin()
        body = {"content": payload} if isinstance(payload, str) else {"json": payload}
        return await self.ask(method, self.url + path, **body)

    async def ask(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """A request from outside."""
        # No certificate is looked at, and reading all of them takes longest.
        async with httpx2.AsyncClient(timeout=PATIENCE_S, trust_env=False, verify=False) as http:
            return await http.request(method, url, **options)

    async def trigger(self, path: str, payload: Any = None) -> AsyncRunHandle:
        """Start a run: as curl does, or where a server keeps the runs by its client."""
        await self._begin()
        if not self.embedded:
            return await self.client.trigger(url=self.url + path, body=payload, retries=0)
        answer = await self.request(path, payload)
        assert answer.status_code == 200, answer.text
        assert answer.json()["finishCondition"] == "success"
        return self.client.handle(answer.json()["workflowRunId"])

    async def waited_for(self, event: str) -> None:
        """Return when a run waits for the event."""
        await self.until(lambda: self.client.get_waiters(event))

    async def ended(self, run: AsyncRunHandle) -> Any:
        """What a run returned."""

        async def over() -> bool:
            return await run.status() not in {"RUN_STARTED", "RUN_CREATED"}

        await self.until(over)
        return await run.result()

    async def until(self, asked: Callable[[], Awaitable[Any]]) -> Any:
        """What is asked for, once it is there."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await asked()):
                await self.pass_time()
        return found

    async def _begin(self) -> None:
        if self.served is None:
            self.served = await asyncio.to_thread(self.serve_app)
            self.url = await asyncio.to_thread(self.served.start)

    async def end(self) -> None:
        if self.served is not None:
            await asyncio.to_thread(self.served.stop)
        stop = getattr(self.serve, "stop", None)
        if stop is not None:
            await asyncio.to_thread(stop)


async def _pass() -> None:
    await asyncio.sleep(0.01)


@asynccontextmanager
async def site_of(door: str, keeper: str, folder: Path, monkeypatch: Any) -> AsyncIterator[Site]:
    """A door whose runs are kept by one of `KEEPERS`."""
    async with contextlib.AsyncExitStack() as stack:
        if keeper == "embedded":
            engine = Engine(str(folder / "w.db"), limits=Limits(payload_bytes=1_000))
            serve, serve_app = DOORS[door](engine)
            site = Site(serve, engine.client, True, serve_app, _pass)
        else:
            pass_time = _pass
            if keeper == "our server":
                server = await stack.enter_async_context(serving(folder / "server.db"))
                url, token = f"http://127.0.0.1:{server.port}", DEV_TOKEN
                keys = DEV_KEYS.current, DEV_KEYS.following
                server.engine.base_url = url
            else:
                stand_in = StandIn()
                await stand_in.start()
                stack.push_async_callback(_checked, stand_in)
                pass_time = partial(stand_in.pass_time, "1s")
                url, token, keys = stand_in.url, TOKEN, (CURRENT_KEY, NEXT_KEY)
            monkeypatch.setenv("QSTASH_URL", url)
            monkeypatch.setenv("QSTASH_TOKEN", token)
            monkeypatch.setenv("QSTASH_CURRENT_SIGNING_KEY", keys[0])
            monkeypatch.setenv("QSTASH_NEXT_SIGNING_KEY", keys[1])
            serve, serve_app = DOORS[door](None)
            client = await stack.enter_async_context(AsyncClient(token, base_url=url))
            site = Site(serve, client, False, serve_app, pass_time)
        stack.push_async_callback(site.end)
        yield site


async def _checked(stand_in: StandIn) -> None:
    await stand_in.stop()
    assert not stand_in.violations, "\n".join(stand_in.violations)
