"""A remote run goes on from wherever its server died: after each of its commits."""

import asyncio
import json
from collections import Counter
from pathlib import Path

from tests.journeys.js_endpoint import Context, Endpoint, Failing, Step
from tests.journeys.remote_world import URL, ended, made, running, settled
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.protocol.message_kinds import MessageKind

RECORDED = "SELECT r.run_id, f.name FROM feed f JOIN runs r ON r.id = f.run WHERE f.mark = 0"
CHILD = "https://shop.test/api/child"
FAILS = "https://shop.test/api/fails"


async def order(context: Context):
    first = await context.run("first", lambda: 1)
    extra = {"waitEventId": "paid", "timeout": "1h"}
    group = await context.all(
        Step("a", "Run", lambda: 2),
        Step("called", "Call", extra={"call": {"url": "https://pay.test/", "body": 1}}),
        Step("paid?", "Wait", extra=extra),
        Step("child", "Invoke", extra={"invoke": {"path": "child", "body": 20}}),
        Step("failed", "Invoke", extra={"invoke": {"path": "fails", "retries": 0}}),
    )
    return [first, group[0], group[1]["status"], group[2]["data"], *map(told, group[3:])]


def told(invoked: dict) -> object:
    return "failed" if invoked["isFailed"] else json.loads(invoked["body"])


async def child(context: Context):
    return await context.run("add", lambda: context.payload + 1)


async def fails(context: Context):
    raise Failing(500)


class Scattered(Endpoint):
    """Its answers come one after the other, so that each has a commit of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = asyncio.Lock()

    async def send(self, request: HttpRequest) -> HttpResponse:
        async with self._turn:
            answer = await super().send(request)
            await asyncio.sleep(0.002)
            return answer


def endpoints() -> Endpoint:
    endpoint = Scattered()
    endpoint.programs = {URL: order, CHILD: child, FAILS: fails}
    endpoint.others = lambda _request: HttpResponse(200, {}, b"paid")
    endpoint.on_failure = lambda _visit: "told"
    return endpoint


async def pays(engine: DurableEngine) -> None:
    """Somebody who notifies until he hears that somebody was woken."""
    while engine.running:
        if engine.store.waiters_for("paid", None):
            await engine.wire.waits.notify("paid", b"yes", None)
        await asyncio.sleep(0.002)


async def finish(engine: DurableEngine) -> None:
    paying = asyncio.create_task(pays(engine))
    try:
        row = await ended(engine, "wfr_1")
    finally:
        paying.cancel()
    assert row.phase is Phase.SUCCESS
    assert json.loads(row.result) == [1, 2, 200, "yes", 21, "failed"]


async def test_it_goes_on_after_each_of_its_commits(tmp_path: Path) -> None:
    snapshots: list[bytes] = []
    engine = made(str(tmp_path / "first.db"), endpoints(), inline=True)
    engine.on_commit = lambda _changes, _outcomes: snapshots.append(engine.store.db.serialize())
    await engine.start()
    await engine.http.trigger(URL, "wfr_1")
    await finish(engine)
    await settled(engine)
    await engine.stop()
    assert len(snapshots) > 20

    for n, snapshot in enumerate(snapshots):
        path = tmp_path / f"{n}.db"
        # It was written ahead in a log; as a file of its own it is not.
        path.write_bytes(snapshot[:18] + b"\x01\x01" + snapshot[20:])
        endpoint = endpoints()
        async with running(str(path), endpoint) as again:
            recorded = set(again.store.all(RECORDED))
            await finish(again)
            await settled(again)
            assert recorded.isdisjoint(endpoint.ran), "a body ran again after it was recorded"
            for run in again.store.runs(
                workflow=None, phase=None, label=None, before=None, limit=9
            ):
                said = [(m.step, m.kind) for m in again.store.messages.of_run(run.id) if m.step]
                assert max(Counter(said).values(), default=1) == 1
            runs = again.store.messages.remote.children(again.store.run("wfr_1").id)
            assert len(runs) == 2, "each is invoked once"
            (letter,) = again.store.dead_letters(None, 5)
            assert letter.callback == "CALLBACK_SUCCESS"
            notices = again.store.messages.of_run(letter.run, kind=MessageKind.FAILURE_VISIT)
            assert len(notices) == 1
