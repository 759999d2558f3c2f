"""A server, and the endpoint of its workflows, are killed again and again under load.

Nothing that was accepted is lost, and nothing is recorded twice. SERVER_KILLS says how often
each of them is killed; with it, the number of runs at once grows up to 40. What was done is
printed: pytest -s shows it.
"""

import asyncio
import base64
import json
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.forks import SERVERS
from tests.journeys.sigkill_load import SCHEDULES, Load, Store
from tests.journeys.sigkill_processes import CREDENTIALS, Mortal, Outside, free_port
from workflow_agents.store.sqlite import SqliteStore

KILLS = int(os.environ.get("SERVER_KILLS", "5"))
RUNS = min(40, 3 * KILLS)
MOST_NOTED = 60
BYTES_OF_A_NOTE = 25
ENDPOINT = Path(__file__).with_name("sigkill_endpoint.py")
STEPS = {
    "order": ["init", "read", "double", "nap", "charge", "triple", "result"],
    "shipment": [
        "init", "left 1", "right 1", "middle", "left 2", "right 2", "paid?", "packed",
        "charge", "nap", "last",
    ],
    "packing": ["init", "pack"],
}  # fmt: skip


@dataclass
class World:
    """The processes, what is asked of them, and what was seen after each kill.

    Attributes:
        recorded: the steps that the store held, and how many lines were noted by then.
        pushed: how often a schedule was made to tick again.
    """

    folder: Path
    outside: Outside
    server: Mortal
    endpoint: Mortal
    store: Store
    load: Load
    recorded: list[tuple[set[tuple[str, str]], int]] = field(default_factory=list)
    pushed: int = 0

    @property
    def notes(self) -> list[list[str]]:
        return [line.split() for line in (self.folder / "notes").read_text().splitlines()]

    async def more_noted(self, count: int) -> None:
        """Until so many bodies and messages more were noted, or nothing more comes."""
        until = self.noted() + count * BYTES_OF_A_NOTE
        patience = time.monotonic() + 2
        while self.noted() < until and time.monotonic() < patience:
            await asyncio.sleep(0.01)

    def noted(self) -> int:
        """How many bytes, which is known without reading them."""
        path = self.folder / "notes"
        return path.stat().st_size if path.exists() else 0

    def look(self) -> None:
        self.recorded.append(({*self.store.recorded()}, len(self.notes)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    outside = Outside()
    path = tmp_path / "server.db"
    port, endpoint_port = free_port(), free_port()
    env = {
        **CREDENTIALS,
        "QSTASH_URL": f"http://127.0.0.1:{port}",
        # The official SDK makes a client for every visit; each reads all certificates there are.
        "SSL_CERT_FILE": "",
        "SSL_CERT_DIR": str(tmp_path),
    }
    options = ["--store", str(path), "--port", str(port), "--allow-network", "127.0.0.0/8"]
    server = Mortal(
        ["workflow_agents.cli", "server", *options],
        env,
        tmp_path / "server.log",
        f"{env['QSTASH_URL']}/health",
        [*SERVERS],
    )
    endpoint_url = f"http://127.0.0.1:{endpoint_port}"
    arguments = [str(ENDPOINT), str(endpoint_port), str(tmp_path / "notes"), outside.url]
    endpoint = Mortal(
        arguments,
        env,
        tmp_path / "endpoint.log",
        f"{endpoint_url}/health",
        ["upstash_workflow.fastapi", "uvicorn", "workflow_agents.fastapi"],
    )
    store = Store(path)
    load = Load(env["QSTASH_URL"], endpoint_url, outside.url, store, RUNS)
    endpoint.start()
    server.start()
    try:
        endpoint.wait_until_ready()
        server.wait_until_ready()
        yield World(tmp_path, outside, server, endpoint, store, load)
    finally:
        server.stop()
        endpoint.stop()
        outside.stop()


async def kills(world: World, victim: Mortal, draw: random.Random) -> None:
    """So many lives. Some end while they begin, most while they work."""
    for life in range(KILLS):
        if draw.random() < 0.9:
            await asyncio.to_thread(victim.wait_until_ready)
            await world.more_noted(draw.randrange(MOST_NOTED))
        await asyncio.sleep(draw.uniform(0.0, 0.05))
        victim.kill()
        world.look()
        # Not each time: it tidies up what the server has left, which is to be found as it is.
        if victim is world.server and life % 3 == 0:
            make_schedules_due(world)
        victim.start()
    await asyncio.to_thread(victim.wait_until_ready)


def make_schedules_due(world: World) -> None:
    """As if a minute had passed: schedules that have nothing to do come to their last tick."""
    now = time.time_ns() // 1_000_000
    with closing(sqlite3.connect(world.store.path)) as db, db:
        changed = db.execute(
            "UPDATE schedules SET due_at = due_at - 60000 WHERE due_at > ?", (now,)
        )
        world.pushed += changed.rowcount


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * KILLS)
@pytest.mark.parametrize("victim", ["server", "endpoint"])
async def test_kills_lose_nothing_and_record_nothing_twice(world: World, victim: str) -> None:
    load, began = world.load, time.time()
    await load.schedule()
    scheduled = time.time()
    async with load.running():
        await kills(world, getattr(world, victim), random.Random(KILLS))
    stopped = time.time()
    await load.unschedule()
    least, most = minutes_between(scheduled, stopped), minutes_between(began, time.time())
    await load.settled()
    took = time.time() - began

    await check_runs(world)
    await check_messages(world)
    check_queue(world)
    check_ticks(world, least * SCHEDULES, most * SCHEDULES)
    await load.close()
    world.server.stop()
    check_store(world)
    steps = sum(world.store.recorded().values())
    assert steps > KILLS, "the kills came before any work was done"
    told(world, victim, steps, took)


async def check_runs(world: World) -> None:
    """Every run that was accepted has its result, and each of its steps is there once."""
    seen: set[str] = set()
    async for run in world.load.pages("/v2/workflows/events?groupBy=workflowRunId", "runs"):
        assert run["workflowState"] == "RUN_SUCCESS", json.dumps(run)
        run_id, workflow = run["workflowRunId"], run["workflowUrl"].rpartition("/")[2]
        assert run_id not in seen
        seen.add(run_id)
        names = [step["stepName"] for group in run["steps"] for step in group["steps"]]
        assert sorted(names) == sorted(STEPS[workflow]), json.dumps(run)
        if workflow != "packing":
            assert result_of(run) == world.load.accepted[run_id]
    assert seen >= {*world.load.accepted}
    invoked = len(seen) - len(world.load.accepted)
    assert invoked == sum("shipment" in run_id for run_id in world.load.accepted)

    successes: Counter[tuple[str, str]] = Counter()
    async for event in world.load.pages("/v2/workflows/events?state=STEP_SUCCESS", "events"):
        successes[event["workflowRunId"], event["stepInfo"]["stepName"]] += 1
    assert {*successes.values()} == {1}
    assert {*world.store.recorded().values()} == {1}


def result_of(run: dict[str, Any]) -> Any:
    """What the function gave; the official Python SDK drops it, so there it is the last step."""
    if "workflowRunResponse" in run:
        return json.loads(run["workflowRunResponse"])
    return json.loads(run["steps"][-1]["steps"][0]["out"])


async def check_messages(world: World) -> None:
    """Every message that was accepted was delivered, and is told of once."""
    delivered: Counter[str] = Counter()
    async for event in world.load.pages("/v2/events?state=DELIVERED", "events"):
        delivered[event["messageId"]] += 1
    assert {*delivered.values()} <= {1}
    sent = world.store.number("SELECT count(*) FROM messages WHERE run = 0")
    assert len(delivered) == sent
    for kind, numbers in (("plain", world.load.messages), ("queued", world.load.queued)):
        assert {int(n) for k, n, *_ in world.notes if k == kind} == {*numbers}
    callbacks = [
        json.loads(base64.b64decode(c["sourceBody"])) for c in world.outside.received("callback")
    ]
    assert {*callbacks} == {*world.load.messages}
    assert (await world.load.ask("GET", "/v2/dlq"))["messages"] == []
    assert (await world.load.ask("GET", "/v2/workflows/dlq"))["messages"] == []


def check_queue(world: World) -> None:
    """A queue keeps its order; the first may come again and again, until it is taken."""
    queued = [int(n) for kind, n, *_ in world.notes if kind == "queued"]
    assert queued == sorted(queued), "a message has overtaken the one before it in its queue"


def repeated_after_record(world: World) -> list[tuple[str, str]]:
    """Bodies that began after a kill that had found their result recorded.

    They are few, but not none: visits that a server has made before it was killed wait in the
    endpoint, while others for the same step are made by the next one.
    """
    ends = [*(lines for _, lines in world.recorded[1:]), len(world.notes)]
    return [
        (run_id, " ".join(name))
        for (known, begin), end in zip(world.recorded, ends, strict=True)
        for kind, run_id, *name in world.notes[begin:end]
        if kind == "body" and (run_id, " ".join(name)) in known
    ]


def minutes_between(begin: float, end: float) -> int:
    return int(end // 60) - int(begin // 60)


def check_ticks(world: World, least: int, most: int) -> None:
    """One message for each minute that has passed, or was made to pass."""
    told = Counter(world.outside.received("tick"))
    made = world.store.number("SELECT count(*) FROM messages WHERE schedule IS NOT NULL")
    # A minute that passes while one is made to pass is made up for once, by one message for both.
    assert (world.pushed or least) <= made <= world.pushed + most
    assert told.total() >= made


def check_store(world: World) -> None:
    store = SqliteStore(str(world.store.path))
    store.open()
    try:
        assert store.check() == []
        assert store.size()["waiters"] == 0
    finally:
        store.close()


def told(world: World, victim: str, steps: int, took: float) -> None:
    bodies = Counter(tuple(rest) for kind, *rest in world.notes if kind == "body")
    load, charges = world.load, world.outside.charges
    print(
        f"{KILLS} kills of the {victim} in {took:.0f} s: {len(load.accepted)} runs with {steps}"
        f" steps; of {len(bodies)} bodies {bodies.total() - len(bodies)} ran again, of them"
        f" {len(repeated_after_record(world))} that were recorded; {len(load.messages)} messages"
        f" and {len(load.queued)} in a queue; {len(charges)} charges asked for"
        f" {charges.total()} times; {load.repeated} requests asked again"
    )
