"""Thousands of requests to every route: each is answered, soon, and the server lives on.

    FUZZ_REQUESTS=50000 FUZZ_SEED=7 python -m pytest -s tests/fuzz/test_requests.py

`-s` shows how many answers of which kind each route gave. A failure prints the request: given to
`ask`, it can be asked again.
"""

import asyncio
import os
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from starlette.routing import Route

from tests.fuzz.generate import asked_of
from tests.fuzz.known import Known
from tests.fuzz.verdict import faults
from tests.fuzz.world import HOST, Asked, Reply, World, ask, open_world
from workflow_agents.server.settings import DEV_TOKEN

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
AT_ONCE = 4
BETWEEN_JUMPS = 40
JUMPS_S = (1, 61, 3_600, 86_400)
SELDOM_WELL = {
    "GET HEAD /ui": "it sends to the page behind it",
    "POST /v2/workflows/checkpoints": "no endpoint here was offered a run; nothing may be said",
    "POST /v2/workflows/runs/{run_id}/fork": "the runs here are of other SDKs",
    "DELETE GET HEAD OPTIONS PATCH POST PUT /v2/workflows/hooks/{user}/{run_id}/{event_id}": (
        "only a run that goes on has webhooks, for as long as it does"
    ),
}
"""Routes that hardly ever answer with 2xx here, and why."""


def routes_of(app: Any) -> list[Route]:
    """Every route that the app has."""
    return [route for route in app._app.routes if isinstance(route, Route)]


class Tally:
    """Who answered what, and how long the slowest took."""

    def __init__(self) -> None:
        self.statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.slowest: defaultdict[str, float] = defaultdict(float)

    def add(self, route: Route, reply: Reply, seconds: float) -> None:
        name = f"{' '.join(sorted(route.methods or ()))} {route.path}"
        self.statuses[name][f"{reply.status // 100}xx" if reply.status else "gone"] += 1
        self.slowest[name] = max(self.slowest[name], seconds)

    def __str__(self) -> str:
        lines = [
            f"{name:80} {'  '.join(f'{k}: {n}' for k, n in sorted(counts.items())):50}"
            f" {self.slowest[name] * 1000:6.0f} ms"
            for name, counts in sorted(self.statuses.items())
        ]
        return "\n".join(lines)


async def test_every_request_is_answered_and_the_server_lives_on(tmp_path: Path) -> None:
    tally = Tally()
    async with open_world(tmp_path / "server.db") as world:
        routes, known = routes_of(world.app), Known()
        for first in range(0, REQUESTS, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, REQUESTS))
            drawn = [asked_of(SEED, n, routes, known, world.origin) for n in numbers]
            timed = await asyncio.gather(*(_timed(world, asked) for _, asked in drawn))
            for number, (route, asked), (reply, seconds) in zip(numbers, drawn, timed, strict=True):
                wrong = [*faults(asked, reply, seconds), *world.troubles.found]
                assert not wrong, _told(number, asked, reply, wrong)
                tally.add(route, reply, seconds)
                known.learn(reply.body)
            if first % BETWEEN_JUMPS == 0:
                world.pass_time(JUMPS_S[first // BETWEEN_JUMPS % len(JUMPS_S)])
        await _lives_on(world)
        assert world.engine.store.check() == []
    assert world.troubles.found == []
    print(f"\n{tally}\n{len(world.sink.bodies)} deliveries reached the sink")
    assert REQUESTS < 1_000 or len(tally.statuses) == len(routes)
    failing = {route for route, counts in tally.statuses.items() if not counts["2xx"]}
    assert REQUESTS < 10_000 or failing <= {*SELDOM_WELL}


async def _timed(world: World, asked: Asked) -> tuple[Reply, float]:
    began = time.perf_counter()
    async with asyncio.timeout(30):
        reply = await ask(world.app, asked)
    return reply, time.perf_counter() - began


def _told(number: int, asked: Asked, reply: Reply, wrong: list[str]) -> str:
    lines = [f"FUZZ_SEED={SEED}, request {number}", *wrong, repr(asked), repr(reply)[:2_000]]
    return "\n".join(lines)


async def _lives_on(world: World) -> None:
    """A message is published, and comes."""
    headers = [(b"host", HOST), (b"authorization", f"Bearer {DEV_TOKEN}".encode())]
    asked = Asked("POST", f"/v2/publish/{world.origin}/ok".encode(), headers, (b"the last",))
    assert (await ask(world.app, asked)).status == 200
    await world.until_delivered(b"the last")
    assert (await ask(world.app, Asked("GET", b"/health", headers))).status == 200
