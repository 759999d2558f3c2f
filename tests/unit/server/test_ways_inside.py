"""Every way by which a request names an address: none of them lets a public server call inside.

What counts is whether the sink on loopback, which listens, was reached.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.fuzz.world import HOST, Asked, Headers, World, ask, open_world
from workflow_agents.engine.egress import EgressPolicy
from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.server.settings import DEV_TOKEN

OPEN = EgressPolicy("open")
PUBLIC = EgressPolicy("public")
NOBODY = "http://127.0.0.1:1/"
"""What is told of a failure is told elsewhere."""
AT_ONCE = {"upstash-retries": "0"}
STEP = {"stepId": 1, "stepName": "s", "stepType": "Run", "concurrent": 1}


class Asking:
    """Requests of somebody who has a token, to a server that may call what its policy allows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.inside = world.origin

    async def ask(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        given: Headers = [(b"host", HOST), (b"authorization", f"Bearer {DEV_TOKEN}".encode())]
        given += [(n.encode(), v.encode()) for n, v in (headers or {}).items()]
        data = b"" if body is None else json.dumps(body).encode()
        reply = await ask(self.world.app, Asked(method, target.encode(), given, (data,)))
        assert 200 <= reply.status < 300, (method, target, reply)
        return json.loads(reply.body)

    async def every_way(self) -> list[str]:
        """Name the sink in every place that takes an address; the paths that were named."""
        paths = [f"/{n}" for n in range(14)]
        to = [self.inside + path for path in paths]
        ask = self.ask
        await ask("POST", f"/v2/publish/{to[0]}", headers=AT_ONCE)
        await ask("POST", f"/v2/enqueue/q/{to[1]}", headers=AT_ONCE)
        await ask("POST", "/v2/batch", [{"destination": to[2], "headers": AT_ONCE}])
        await ask("POST", "/v2/topics/g/endpoints", {"endpoints": [{"url": to[3]}]})
        await ask("POST", "/v2/publish/g", headers=AT_ONCE)
        failing = {**AT_ONCE, "upstash-failure-callback": to[4], "upstash-callback": to[5]}
        await ask("POST", f"/v2/publish/{NOBODY}", headers=failing)
        await ask("POST", f"/v2/schedules/{to[6]}", headers={"upstash-cron": "* * * * *"})
        await ask("POST", f"/v2/trigger/{to[7]}", headers=AT_ONCE)
        await ask("POST", "/v2/batch/trigger", [{"destination": to[8], "headers": AT_ONCE}])
        await self._step(to[9])
        await self._call(to[10], to[11])
        await self._wait(to[12])
        await self._invocation(to[13])
        self.world.pass_time(61)
        return paths

    async def _begun(self, run_id: str) -> dict[str, str]:
        """A run that is visited later; the headers of what belongs to it."""
        of_run = {"upstash-workflow-runid": f"wfr_{run_id}"}
        await self.ask("POST", f"/v2/trigger/{NOBODY}", headers={**of_run, "upstash-delay": "1h"})
        return {**of_run, **AT_ONCE, "upstash-workflow-init": "false"}

    async def _step(self, url: str) -> None:
        await self.ask("POST", f"/v2/publish/{url}", STEP, await self._begun("step"))

    async def _call(self, url: str, told: str) -> None:
        called = {
            **await self._begun("call"),
            "upstash-workflow-calltype": "toCallback",
            "upstash-callback": told,
            "upstash-callback-retries": "0",
            "upstash-callback-workflow-runid": "wfr_call",
            "upstash-callback-forward-upstash-workflow-stepid": "1",
            "upstash-callback-forward-upstash-workflow-stepname": "s",
        }
        await self.ask("POST", f"/v2/publish/{url}", headers=called)

    async def _wait(self, url: str) -> None:
        of_run = await self._begun("wait")
        asked = {"url": url, "timeoutUrl": url, "step": STEP}
        await self.ask("POST", "/v2/wait/paid", asked, of_run)
        await self.ask("POST", "/v2/notify/paid")

    async def _invocation(self, url: str) -> None:
        await self._begun("parent")
        begins = {
            **AT_ONCE,
            "upstash-workflow-runid": "wfr_child",
            "upstash-workflow-init": "true",
            "upstash-workflow-invoke": "true",
        }
        asked = {"workflowUrl": NOBODY, "workflowRunId": "wfr_parent", "step": STEP}
        await self.ask("POST", f"/v2/publish/{url}", asked, begins)

    async def at_rest(self) -> None:
        engine = self.world.engine
        async with asyncio.timeout(20):
            while engine.busy or engine.store.due(engine.clock.now_ms(), 1).deliveries:
                await asyncio.sleep(0.01)


async def test_a_public_server_calls_nothing_inside(tmp_path: Path) -> None:
    async with open_world(tmp_path / "a.db", AiohttpOut(10_000, PUBLIC)) as world:
        asking = Asking(world)
        await asking.every_way()
        await asking.at_rest()
        assert world.sink.paths == []
        letters = (await asking.ask("GET", "/v2/dlq"))["messages"]
        assert all("may not be called" in letter["responseBody"] for letter in letters)


async def test_the_same_requests_reach_it_where_nobody_guards_it(tmp_path: Path) -> None:
    """Otherwise the test before would show nothing."""
    async with open_world(tmp_path / "a.db", AiohttpOut(10_000, OPEN)) as world:
        asking = Asking(world)
        named = await asking.every_way()
        await asking.at_rest()
        assert sorted({*world.sink.paths}) == sorted(named)
