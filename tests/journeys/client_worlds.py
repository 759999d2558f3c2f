"""The same application in two worlds: on an engine of this process, and on a server over HTTP."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.checkpoint_world import world
from workflow_agents import AsyncClient, AsyncWorkflowContext, Engine, WorkflowNonRetryableError
from workflow_agents.server.settings import DEV_TOKEN

WORLDS = ("http", "process")

Context = AsyncWorkflowContext[Any]


@dataclass
class ClientWorld:
    """A client, and what the workflows at the other end of it do.

    Attributes:
        over: "http" or "process".
        work: the workflow at `/work`, as the client names it; `other` that at `/other`.
        broken: while it is set, `/work` fails where its payload says "fail".
        told: failures that its failure function was told of.
    """

    over: str
    client: AsyncClient
    work: str
    other: str
    broken: list[bool]
    told: list[str]


def _workflows(route: Any) -> tuple[list[bool], list[str]]:
    broken, told = [True], []

    async def failed(context: Any, status: int, response: str, headers: Any) -> None:
        told.append(response)
        if broken:
            raise OSError("the pager is down")

    @route("/work", retries=0, failure_function=failed)
    async def work(context: Context) -> Any:
        def body() -> Any:
            if context.request_payload == "fail" and broken:
                raise WorkflowNonRetryableError("no such order")
            return context.request_payload

        await context.run("before", lambda: 1)
        done = await context.run("do", body)
        if done == "wait":
            done = (await context.wait_for_event("wait", "go", timeout="1h")).event_data
        return done

    @route("/other", retries=0)
    async def other(context: Context) -> Any:
        await context.wait_for_event("wait", "never", timeout="1h")

    return broken, told


@contextlib.asynccontextmanager
async def client_world(
    over: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ClientWorld]:
    """Make one; see the module."""
    if over == "process":
        engine = Engine(str(folder / "engine.db"))
        broken, told = _workflows(engine.workflow)
        async with engine:
            yield ClientWorld(over, engine.client, "/work", "/other", broken, told)
        return
    async with world(folder / "server.db", monkeypatch) as site:
        broken, told = _workflows(site.serve.post)
        await site.app.start()
        async with AsyncClient(
            DEV_TOKEN, base_url=f"http://127.0.0.1:{site.server.port}"
        ) as client:
            url = site.app.url
            yield ClientWorld(over, client, f"{url}/work", f"{url}/other", broken, told)
