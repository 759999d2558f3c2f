"""One journey on each framework that has an adapter, over real sockets."""

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx2
import pytest
import uvicorn

from tests.journeys.flask_site import PATIENCE_S, told
from workflow_agents import Client, Engine, Limits, RunHandle, WorkflowContext

Context = WorkflowContext[Any]


@dataclass
class Framework:
    """A site that is served with its first request: decorate before that."""

    post: Callable[..., Any]
    engine: Engine
    client: Client
    serve_app: Callable[[], str]
    stop: Callable[[], None]
    url: str = ""

    def request(self, path: str, payload: Any = None, method: str = "POST") -> httpx2.Response:
        if not self.url:
            self.url = self.serve_app()
        body = {"content": payload} if isinstance(payload, str) else {"json": payload}
        return httpx2.request(method, self.url + path, timeout=PATIENCE_S, trust_env=False, **body)

    def trigger(self, path: str, payload: Any = None) -> RunHandle:
        answer = self.request(path, payload)
        assert answer.status_code == 200, answer.text
        assert answer.json()["finishCondition"] == "success"
        return self.client.handle(answer.json()["workflowRunId"])


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


class Wsgi:
    """A WSGI app in a thread."""

    def __init__(self, app: Any) -> None:
        self._server = make_server("127.0.0.1", 0, app, handler_class=Silent)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def start(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def on_fastapi(engine: Engine) -> Framework:
    from fastapi import FastAPI

    from workflow_agents.fastapi import Serve

    app = FastAPI()
    serve, server = Serve(app, engine=engine), Uvicorn(app)
    return Framework(serve.post, engine, engine.sync_client, server.start, server.stop)


def on_flask(engine: Engine) -> Framework:
    from flask import Flask

    from workflow_agents.flask import Serve

    app = Flask("site")
    serve, server = Serve(app, engine=engine), Wsgi(app)

    def stop() -> None:
        server.stop()
        serve.stop()

    return Framework(serve.route, engine, serve.client, server.start, stop)


def on_django(engine: Engine, *, asgi: bool) -> Framework:
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
    server: list[Uvicorn | Wsgi] = []

    def serve_app() -> str:
        clear_url_caches()
        urls.urlpatterns = serve.urlpatterns
        server.append(Uvicorn(get_asgi_application()) if asgi else Wsgi(get_wsgi_application()))
        return server[0].start()

    def stop() -> None:
        server[0].stop()
        serve.stop()

    return Framework(serve.post, engine, serve.client, serve_app, stop)


FRAMEWORKS: dict[str, Callable[[Engine], Framework]] = {
    "fastapi": on_fastapi,
    "flask": on_flask,
    "django, asgi": lambda engine: on_django(engine, asgi=True),
    "django, wsgi": lambda engine: on_django(engine, asgi=False),
}


@pytest.fixture(params=FRAMEWORKS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Framework]:
    engine = Engine(str(tmp_path / "w.db"), limits=Limits(payload_bytes=1_000))
    site = FRAMEWORKS[request.param](engine)
    yield site
    site.stop()


def test_a_journey(site: Framework, web: Any) -> None:
    """Start, steps, a call, a wait and its notification, a webhook, a failure, refusals."""
    web.answer("https://rates.example", {"rate": 2})
    heard = threading.Event()
    failures: list[Any] = []

    def failed(context: Any, status: int, response: str, headers: Any) -> None:
        failures.append((context.request_payload, status, response))
        heard.set()

    @site.post("/order")
    def order(context: Context) -> Any:
        if not context.request_payload:
            return None
        item = context.run("read", lambda: context.request_payload["item"])
        rate = context.call("rate", url=f"{web.origin}/https/rates.example/eur")
        paid = context.wait_for_event("payment", f"paid {item}", timeout="1h")
        webhook = context.create_webhook("address")
        shipped = context.wait_for_webhook("shipping", webhook, timeout="1h")
        return [item, rate.body["rate"], paid.event_data, shipped.request.body.decode()]

    @site.post("/both")
    async def both(context: Any) -> int:
        return await context.run("length", lambda: len(context.request_payload))

    @site.post("/fails", failure_function=failed, retries=0)
    def fails(context: Context) -> None:
        context.run("step", lambda: 1)
        raise ValueError("no")

    run = site.trigger("/order", {"item": "chair"})
    told(run, "STEP_WAITING", "payment")
    assert len(site.client.notify("paid chair", 30)) == 1
    told(run, "STEP_WAITING", "shipping")
    [address] = [s.out["webhookUrl"] for s in run.log().steps if s.name == "address"]
    assert address.startswith(site.url)
    assert site.request(address.removeprefix(site.url), "on its way").json() == {}
    assert run.result() == ["chair", 2, 30, "on its way"]

    assert site.trigger("/both", "ä" * 100).result() == 100

    site.trigger("/fails", "payload")
    assert heard.wait(PATIENCE_S)
    assert failures == [("payload", 500, "no")]

    refused = site.request("/order", "")
    assert (refused.status_code, refused.json()["workflowRunId"]) == (400, "no-workflow-id")
    large = site.request("/both", "x" * 1_001)
    assert (large.status_code, large.json()["code"]) == (413, "WA501")
    unknown = site.request("/v2/workflows/hooks/local/wfr_none/evt_none")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "WA606")
    assert site.request("/order", method="GET").status_code == 405
