"""An app whose runs the stand-in keeps, on real sockets; signatures are verified."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from tests.journeys.conftest import Web
from tests.wire.stand_in import CURRENT_KEY, NEXT_KEY, PATIENCE_S, TOKEN, Run, StandIn
from workflow_agents.fastapi import Serve

VARIABLES = (
    "QSTASH_URL",
    "QSTASH_TOKEN",
    "QSTASH_CURRENT_SIGNING_KEY",
    "QSTASH_NEXT_SIGNING_KEY",
    "UPSTASH_WORKFLOW_URL",
    "WORKFLOW_AGENTS_STORE",
)


class AppOnLoopback:
    """Any ASGI app, served with its first request."""

    def __init__(self, app: Any, lifespan: Any = "auto") -> None:
        self.app = app
        self._lifespan = lifespan
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S, trust_env=False)
        self._server: uvicorn.Server | None = None

    async def start(self) -> None:
        if self._server is None:
            self._socket.listen()
            config = uvicorn.Config(
                self.app, log_config=None, access_log=False, ws="none", lifespan=self._lifespan
            )
            self._server = uvicorn.Server(config)
            self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        await self.http.aclose()
        if self._server is not None:
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


class WireSite(AppOnLoopback):
    """A FastAPI app with workflows, and the server that keeps their runs."""

    def __init__(self, server: StandIn) -> None:
        super().__init__(FastAPI())
        self.server = server
        self.serve = Serve(self.app)

    async def post(self, path: str, payload: Any = None, **options: Any) -> httpx2.Response:
        """A request from outside, signed as the server signs what it is asked to publish."""
        body = payload.encode() if isinstance(payload, str) else payload
        if not isinstance(body, bytes):
            import json

            body = b"" if payload is None else json.dumps(payload).encode()
        headers = {
            "upstash-signature": self.server.sign(f"{self.url}{path}", body),
            **options.pop("headers", {}),
        }
        return await super().post(path, body, headers=headers, **options)

    async def trigger(self, path: str, payload: Any = None, **options: Any) -> str:
        answer = await self.post(path, payload, **options)
        assert answer.status_code == 200, answer.text
        assert answer.json()["finishCondition"] == "success"
        assert answer.headers["upstash-workflow-sdk-version"] == "1"
        return answer.json()["workflowRunId"]

    async def run(self, path: str, payload: Any = None, **options: Any) -> Run:
        """Start a run from outside and let it come to its end."""
        return await self.server.ended(await self.trigger(path, payload, **options))


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


@pytest.fixture(autouse=True)
def _no_hosted_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def server(web: Web) -> AsyncIterator[StandIn]:
    server = StandIn(web.led_here)
    await server.start()
    yield server
    await server.stop()
    assert not server.violations, "\n".join(server.violations)


@pytest.fixture
def variables(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the server, as its operator tells."""
    monkeypatch.setenv("QSTASH_URL", server.url)
    monkeypatch.setenv("QSTASH_TOKEN", TOKEN)
    monkeypatch.setenv("QSTASH_CURRENT_SIGNING_KEY", CURRENT_KEY)
    monkeypatch.setenv("QSTASH_NEXT_SIGNING_KEY", NEXT_KEY)


@pytest.fixture
async def site(server: StandIn, variables: None) -> AsyncIterator[WireSite]:
    site = WireSite(server)
    yield site
    await site.stop()


@pytest.fixture
def serve(site: WireSite) -> Serve:
    return site.serve
