"""Workflows of the official JS SDK's `serveMany` and ours, through our server, invoke each other.

Both are reached at one origin, as the names of `serveMany` ask for: a workflow of ours takes the
place of one of theirs, and everything else is handed on to the Node process.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.official.site import Site
from tests.wire.conftest import AppOnLoopback
from workflow_agents import AsyncClient, AsyncWorkflowContext
from workflow_agents.asgi import Serve

Context = AsyncWorkflowContext[Any]
OF_ONE_REQUEST = {"content-length", "connection", "transfer-encoding", "content-encoding"}


class HandedOn:
    """An ASGI app that hands requests on to another origin, under the name of its own."""

    def __init__(self, origin: str, http: httpx2.AsyncClient) -> None:
        self._origin = origin
        self._http = http

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        headers = [(n, v) for n, v in scope["headers"] if n.decode() not in OF_ONE_REQUEST]
        answer = await self._http.request(
            scope["method"], self._origin + scope["path"], content=body, headers=headers
        )
        told = [(n, v) for n, v in answer.headers.raw if n.decode().lower() not in OF_ONE_REQUEST]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": told})
        await send({"type": "http.response.body", "body": answer.content})


@pytest.fixture
async def place(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AppOnLoopback]:
    """One origin: `/many/child` and `/ours` are served by us, all else by the JS SDK."""
    for name, value in site.server.env.items():
        monkeypatch.setenv(name, value)
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
        serve = Serve(HandedOn(site.apps.urls["hono"], http))

        async def child(context: Context) -> Any:
            number = context.request_payload["number"]
            doubled = await context.run("double", lambda: 2 * number)
            return {"doubled": doubled, "x": context.headers.get("x-child"), "l": context.label}

        serve.many("/many", {"child": child})

        @serve.post("/many/ours")
        async def ours(context: Context) -> Any:
            named = await context.invoke("by name", "grandchild", {"number": 5})
            address = context.url.replace("/many/ours", "/many/failing-child")
            failed = await context.invoke("by address", address, retries=0)
            return [named.body, failed.is_failed, failed.is_canceled]

        place = AppOnLoopback(serve)
        await place.start()
        yield place
        await place.stop()


async def result(site: Site, place: AppOnLoopback, path: str, body: Any) -> Any:
    env = site.server.env
    async with AsyncClient(env["QSTASH_TOKEN"], base_url=env["QSTASH_URL"]) as client:
        run = await client.trigger(url=f"{place.url}{path}", body=body)
        return await run.result()


async def test_ours_invokes_theirs_by_name_and_by_address(site: Site, place: AppOnLoopback) -> None:
    assert await result(site, place, "/many/ours", None) == [{"doubled": 10}, True, False]


async def test_theirs_invokes_ours_by_its_name(site: Site, place: AppOnLoopback) -> None:
    found = await result(site, place, "/many/parent", {"number": 4})
    assert found["one"]["body"] == {"doubled": 8, "x": "yes", "l": "a-child"}
    assert not found["one"]["isFailed"]
