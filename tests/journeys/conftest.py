"""A site on loopback, a clock that tests move, and the rest of the web as tests answer it.

`site` is a FastAPI app with workflows, served by uvicorn on a real socket; its engine keeps a
SQLite file in the test's own folder. Time stands still until `site.pass_time("3d")`. Requests
to other hosts (`https://api.openai.com/...`) are led to a local server, where `web` answers.
"""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from tests.wire.stand_in import CURRENT_KEY, NEXT_KEY, TOKEN, StandIn
from workflow_agents import AsyncRunHandle, Engine, RunLog
from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.fastapi import Serve
from workflow_agents.protocol.times import duration_ms
from workflow_agents.testing._http import HttpAnswer, HttpServer

PATIENCE_S = 20
"""How long a test waits for what it was promised; far longer than that takes."""


class ManualClock:
    """Time that moves when a test says so. It begins now, for code that asks `time.time()`."""

    def __init__(self) -> None:
        self._now_ms = time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, duration: Any) -> None:
        self._now_ms += duration_ms(duration)


@dataclass(frozen=True)
class WebRequest:
    """A request as the web received it; header names in lower case."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


WebAnswer = Callable[[WebRequest], Any]


class Web:
    """Everything that is not the site, on a real socket of its own.

    Attributes:
        requests: what was received, in order.
    """

    def __init__(self) -> None:
        self.requests: list[WebRequest] = []
        self._answers: dict[str, WebAnswer] = {}
        self._server = HttpServer(self._handle)
        self._server.start()
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, url: str, answer: Any) -> None:
        """Requests to `url` get this: JSON data, an `HttpAnswer`, or what a function returns.

        None drops the connection.
        """
        self._answers[url] = answer if callable(answer) else lambda _request: answer

    def led_here(self, url: str) -> str:
        """Where a request to `url` goes: here, if the url is answered here."""
        for known in self._answers:
            if url.startswith(known):
                parts = urlsplit(url)
                query = f"?{parts.query}" if parts.query else ""
                return f"{self.origin}/{parts.scheme}/{parts.netloc}{parts.path}{query}"
        return url

    def to(self, url: str) -> list[WebRequest]:
        return [request for request in self.requests if request.url == url]

    def close(self) -> None:
        self._server.stop()

    def _handle(self, method: str, path: str, headers: Any, body: bytes) -> HttpAnswer | None:
        scheme, _, rest = path.lstrip("/").partition("/")
        request = WebRequest(method, f"{scheme}://{rest}", dict(headers), body)
        self.requests.append(request)
        found = [a for url, a in self._answers.items() if request.url.startswith(url)]
        if not found:
            return HttpAnswer(404, b"", {})
        answer = found[0](request)
        if answer is None or isinstance(answer, HttpAnswer):
            return answer
        return HttpAnswer(200, json.dumps(answer).encode(), {"content-type": "application/json"})


class HttpToWeb(AiohttpOut):
    """What the engine sends, sent for real; foreign hosts are led to the `Web`."""

    def __init__(self, web: Web) -> None:
        super().__init__(10 * 2**20)
        self._web = web

    async def send(self, request: HttpRequest) -> HttpResponse:
        return await super().send(replace(request, url=self._web.led_here(request.url)))


class Site:
    """A FastAPI app with workflows, started with the first request.

    Attributes:
        app: the app.
        serve: serves workflows on it.
        clock: of its engine.
        url: where it is served.
    """

    def __init__(self, store: Path, web: Web, clock: ManualClock, **engine_options: Any) -> None:
        self.app = FastAPI()
        self.clock = clock
        self.store = store
        self.engine = Engine(
            str(store), clock=clock, http=HttpToWeb(web), **{"seed": 1, **engine_options}
        )
        self.serve = Serve(self.app, engine=self.engine)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S, trust_env=False)
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def client(self) -> Any:
        return self.serve.client

    async def start(self) -> None:
        """Serve. A request that comes before the app is up waits in the socket."""
        if self._task is None:
            self._socket.listen()
            config = uvicorn.Config(self.app, log_config=None, access_log=False, ws="none")
            self._server = uvicorn.Server(config)
            self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        await self.http.aclose()
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
        self._socket.close()

    async def post(self, path: str, payload: Any = None, **options: Any) -> httpx2.Response:
        """POST: text and bytes as they are, anything else as JSON."""
        await self.start()
        if isinstance(payload, str | bytes):
            options["content"] = payload
        elif payload is not None:
            options["json"] = payload
        return await self.http.post(path, **options)

    async def trigger(self, path: str, payload: Any = None, **options: Any) -> AsyncRunHandle:
        """Start a run as curl does, and follow it."""
        answer = await self.post(path, payload, **options)
        assert answer.status_code == 200, answer.text
        assert answer.json()["finishCondition"] == "success"
        return self.client.handle(answer.json()["workflowRunId"])

    async def run(self, path: str, payload: Any = None, **options: Any) -> RunLog:
        """Start a run and wait for its end."""
        return await self.ended(await self.trigger(path, payload, **options))

    async def ended(self, run: AsyncRunHandle) -> RunLog:
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(Exception):
                await run.result()
            return await run.log()

    async def told(
        self, run: AsyncRunHandle, kind: str, name: str | None = None, times: int = 1
    ) -> Any:
        """Wait for the n-th feed entry of this kind, of a step of this name."""
        async with asyncio.timeout(PATIENCE_S):
            async for entry in run.feed():
                if entry.kind == kind and (name is None or entry.step_name == name):
                    times -= 1
                    if not times:
                        return entry
        raise AssertionError(f"the run ended without {kind} of {name}")

    async def waits(self, run: AsyncRunHandle, name: str, times: int = 1) -> Any:
        """Wait until a step waits, for the n-th time, for what comes from elsewhere."""
        return await self.told(run, "STEP_WAITING", name, times)

    async def parked(self) -> None:
        """Wait until no run is in hand: what waits is rows, and will begin at the top."""
        async with asyncio.timeout(PATIENCE_S):
            while self.engine.core.live:
                await self.pause()

    async def sleeps(self, run: AsyncRunHandle, name: str, times: int = 1) -> None:
        """Wait until the run is nothing but rows, with this step waiting for the n-th time."""
        await self.waits(run, name, times)
        await self.parked()

    def stored_bytes(self) -> bytes:
        """Every byte that lies on the disk: the store, its log, and what is beside them."""
        files = sorted(self.store.parent.glob(f"{self.store.name}*"))
        return b"".join(path.read_bytes() for path in files)

    async def pause(self) -> None:
        """Let the engine turn a little; for loops that look until something is so."""
        await asyncio.sleep(0.002)

    def pass_time(self, duration: Any) -> None:
        """Time passes, and the engine looks at what is due."""
        self.clock.advance(duration)
        self.engine.core.poke()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


@pytest.fixture
def http_to_web(web: Web) -> Callable[[], HttpToWeb]:
    return lambda: HttpToWeb(web)


@pytest.fixture
async def site(tmp_path: Path, web: Web, clock: ManualClock) -> AsyncIterator[Site]:
    site = Site(tmp_path / "workflows.db", web, clock)
    yield site
    await site.stop()


@pytest.fixture
def serve(site: Site) -> Serve:
    return site.serve


@pytest.fixture
def app(site: Site) -> FastAPI:
    return site.app


@pytest.fixture
async def qstash(web: Web, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """A QStash server, which the environment names."""
    server = StandIn(web.led_here)
    await server.start()
    monkeypatch.setenv("QSTASH_URL", server.url)
    monkeypatch.setenv("QSTASH_TOKEN", TOKEN)
    monkeypatch.setenv("QSTASH_CURRENT_SIGNING_KEY", CURRENT_KEY)
    monkeypatch.setenv("QSTASH_NEXT_SIGNING_KEY", NEXT_KEY)
    yield server
    await server.stop()
    assert not server.violations


@pytest.fixture(autouse=True)
def _no_hosted_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "QSTASH_URL",
        "QSTASH_TOKEN",
        "QSTASH_CURRENT_SIGNING_KEY",
        "QSTASH_NEXT_SIGNING_KEY",
        "UPSTASH_WORKFLOW_URL",
        "WORKFLOW_AGENTS_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
