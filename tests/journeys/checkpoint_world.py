"""Our own SDK before our own server, both in this process, on real sockets."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request

from tests.unit.server.conftest import Site, serving
from tests.wire.conftest import AppOnLoopback
from workflow_agents.core.checkpoints import HEADER, VISIT
from workflow_agents.fastapi import Serve
from workflow_agents.server.settings import DEV_KEYS, DEV_TOKEN

PATIENCE_S = 20


class World:
    """A server, an app with workflows, and how often that was visited.

    Attributes:
        visits: "first" and "again", for each path.
    """

    def __init__(self, server: Site) -> None:
        self.server = server
        self.engine = server.engine
        app = FastAPI()
        self.app = AppOnLoopback(app)
        self.visits: Counter[tuple[str, str]] = Counter()
        app.middleware("http")(self._count)
        self.serve = Serve(app)

    async def _count(self, request: Request, go_on: Any) -> Any:
        said = request.headers.get(HEADER)
        if said is not None:
            kind = "again" if said == VISIT else "first"
            self.visits[request.url.path, kind] += 1
        return await go_on(request)

    async def trigger(self, path: str, body: Any = None, **headers: str) -> str:
        given = {"Content-Type": "application/json"}
        given |= {f"Upstash-{n.replace('_', '-')}": v for n, v in headers.items()}
        url = f"{self.app.url}{path}"
        text = json.dumps(body)
        answer = await self.server.ask("POST", f"/v2/trigger/{url}", text, headers=given)
        assert answer.status == 200, answer.body
        return answer.json["workflowRunId"]

    async def ended(self, run_id: str) -> Any:
        """The row of the run, once it has ended and its visits are over."""
        async with asyncio.timeout(PATIENCE_S):
            while (row := self.engine.store.run(run_id)) is None:
                await asyncio.sleep(0.01)
            row = await self.engine.end_of(row.id)
            while self.engine.deliveries.busy:
                await asyncio.sleep(0.01)
        return row

    async def result(self, run_id: str) -> Any:
        row = await self.ended(run_id)
        assert row.phase.name == "SUCCESS", row.result
        return json.loads(row.result)

    async def run(self, path: str, body: Any = None, **headers: str) -> Any:
        """What a run returns; it was kept by checkpoints."""
        run_id = await self.trigger(path, body, **headers)
        result = await self.result(run_id)
        assert json.loads(self.engine.store.run(run_id).options)["checkpoints"]
        return result

    async def until(self, done: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not done():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def world(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with serving(path) as server:
        monkeypatch.setenv("QSTASH_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("QSTASH_TOKEN", DEV_TOKEN)
        monkeypatch.setenv("QSTASH_CURRENT_SIGNING_KEY", DEV_KEYS.current)
        monkeypatch.setenv("QSTASH_NEXT_SIGNING_KEY", DEV_KEYS.following)
        server.engine.base_url = f"http://127.0.0.1:{server.port}"
        here = World(server)
        yield here
        await here.app.stop()
        assert server.engine.store.check() == []
