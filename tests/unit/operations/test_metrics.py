"""Metrics agree with the store, after a story in which much fails."""

import asyncio
import builtins
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.server.conftest import READ_TOKEN, Endpoints, Site
from workflow_agents import AsyncWorkflowContext, Engine, RunFailed
from workflow_agents.errors import ConfigurationError
from workflow_agents.operations import Metrics
from workflow_agents.operations.tally import COUNTED, MEASURED, PREFIX
from workflow_agents.protocol.history import EntryKind


class Told:
    """What Prometheus would read."""

    def __init__(self, text: bytes) -> None:
        # When a series began is told by some versions of prometheus-client, and not by others.
        families = [
            family
            for family in text_string_to_metric_families(text.decode())
            if not family.name.endswith("_created")
        ]
        self.kinds = {family.name: family.type for family in families}
        self._samples = [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        (found,) = [
            sample.value
            for sample in self._samples
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
        ]
        return found

    def total(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
        )


def stored(path: Path) -> tuple[Counter[str], Any]:
    """The kinds of all entries, and a way to ask for one number."""
    with closing(sqlite3.connect(path)) as db:
        kinds = Counter(EntryKind(kind).name for (kind,) in db.execute("SELECT kind FROM feed"))

    def number(sql: str) -> int:
        with closing(sqlite3.connect(path)) as db:
            return db.execute(sql).fetchone()[0]

    return kinds, number


async def test_metrics_agree_with_the_store_after_a_story_with_failures(tmp_path: Path) -> None:
    path = tmp_path / "story.db"
    engine = Engine(str(path))

    @engine.workflow("/fails", retries=1, retry_delay="1")
    async def fails(context: AsyncWorkflowContext[Any]) -> None:
        await context.run("good", lambda: 1)
        await context.run("bad", lambda: 1 / 0)

    @engine.workflow("/waits")
    async def waits(context: AsyncWorkflowContext[Any]) -> None:
        await context.wait_for_event("paid", "an-event", timeout="1d")

    @engine.workflow("/works")
    async def works(context: AsyncWorkflowContext[Any]) -> int:
        await context.sleep("nap", 0.01)
        return await asyncio.wait_for(context.run("step", lambda: 1), 10)

    async with engine:
        metrics = Metrics(engine)
        metrics.start()
        for _ in range(3):
            run = await engine.client.trigger(works)
            await run.result()
        for _ in range(2):
            failing = await engine.client.trigger(fails)
            with pytest.raises(RunFailed):
                await failing.result()
        handles = [await engine.client.trigger(waits) for _ in range(4)]
        await handles[0].cancel()
        await engine.client.notify("an-event", 1, workflow_run_id=handles[1].run_id)
        await handles[1].result()
        told = Told(await metrics.text())
        again = Told(await metrics.text())
        # A second look counts nothing twice.
        assert again.value("runs_started_total") == told.value("runs_started_total")

    kinds, number = stored(path)
    for name, kind in {
        "runs_started_total": "RUN_STARTED",
        "run_retries_total": "RUN_RETRY",
        "steps_ended_total": "STEP_SUCCESS",
        "dead_letters_added_total": "DEAD_LETTER_ADDED",
        "notifications_total": "NOTIFIED",
    }.items():
        labels = {"outcome": "success"} if kind == "STEP_SUCCESS" else {}
        assert told.total(name, **labels) == kinds[kind], name
    assert told.value("runs_ended_total", state="success") == kinds["RUN_SUCCESS"] == 4
    assert told.value("runs_ended_total", state="failed") == kinds["RUN_FAILED"] == 2
    assert told.value("runs_ended_total", state="canceled") == kinds["RUN_CANCELED"] == 1
    assert told.total("steps_ended_total", outcome="failed") == kinds["STEP_FAILED"]
    assert told.total("step_retries_total") == kinds["STEP_RETRY"] > 0
    assert told.value("runs", state="parked") == number("SELECT count(*) FROM runs WHERE phase = 3")
    assert told.value("runs", state="failed") == 2
    assert told.value("waits", kind="event") == number("SELECT count(*) FROM waiters") == 2
    assert told.value("dead_letters") == number("SELECT count(*) FROM dead_letters") == 2
    assert told.value("feed_position") == number("SELECT max(seq) FROM feed")
    assert told.value("overdue", kind="run") == 0
    assert told.value("commit_seconds_count") > 10
    assert told.value("commit_changes_sum") >= told.value("commit_seconds_count")


async def test_every_metric_of_the_table_is_told_and_no_other(tmp_path: Path) -> None:
    async with Engine(str(tmp_path / "a.db")) as engine:
        told = Told(await Metrics(engine).text())
    table = {PREFIX + metric.name: metric.kind for metric in (*COUNTED, *MEASURED)}
    assert told.kinds == table


async def test_runs_that_a_dead_process_left_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    def engine() -> Engine:
        made = Engine(str(path))

        @made.workflow("/long")
        async def long(context: AsyncWorkflowContext[Any]) -> None:
            await context.run("wait", asyncio.Event().wait)

        return made

    first = engine()
    async with first:
        run = await first.client.trigger("/long")
        while not first.core.live:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        # What a death leaves: a run that is leased, and nobody who has it.
        copy = sqlite3.connect(tmp_path / "dead.db")
        first.core.store.db.backup(copy)
        copy.close()
    path = tmp_path / "dead.db"
    again = engine()
    async with again:
        told = Told(await Metrics(again).text())
        assert told.value("runs_recovered_total") == 1
        await again.client.cancel(run.run_id)


def test_the_guide_lists_every_metric() -> None:
    guide = Path(__file__).parents[3] / "docs" / "guides" / "operations.md"
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", guide.read_text("utf-8"), re.M)
    expected = [
        (
            metric.name + ("_total" if metric.kind == "counter" else ""),
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.help,
        )
        for metric in (*COUNTED, *MEASURED)
    ]
    assert rows == expected


async def test_the_server_tells_who_has_a_token(site: Site, endpoints: Endpoints) -> None:
    for _ in range(3):
        await site.ask("POST", f"/v2/publish/{endpoints.url}", b"hi")
    await endpoints.until(3)
    endpoints.status = 500
    headers = {"Upstash-Retries": "1", "Upstash-Retry-Delay": "1"}
    await site.ask("POST", f"/v2/publish/{endpoints.url}", b"hi", headers=headers)
    async with asyncio.timeout(10):
        while not site.engine.store.size()["dead_letters"]:
            await asyncio.sleep(0.01)
    assert (await site.ask("GET", "/metrics", token=None)).status == 401
    reply = await site.ask("GET", "/metrics", token=READ_TOKEN)
    assert reply.status == 200
    told = Told(reply.body)
    assert told.value("deliveries_ended_total", outcome="delivered") == 3
    assert told.value("deliveries_ended_total", outcome="failed") == 1
    assert told.value("delivery_retries_total") == 1
    assert told.value("delivery_attempts_total") == 5
    route = "/v2/publish/{destination:path}"
    assert told.total("http_request_seconds_count", method="POST", route=route) == 4


async def test_an_app_mounts_it(tmp_path: Path) -> None:
    async with Engine(str(tmp_path / "a.db")) as engine:
        transport = httpx2.ASGITransport(Metrics(engine, token="secret"))
        async with httpx2.AsyncClient(transport=transport, base_url="http://app") as http:
            assert (await http.get("/")).status_code == 401
            good = {"authorization": "Bearer secret"}
            assert (await http.post("/", headers=good)).status_code == 405
            answer = await http.get("/", headers=good)
    assert "workflow_agents_runs{" in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")


async def test_what_is_missing_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    known = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return known(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match="workflow-agents\\[metrics\\]"):
        Metrics(site.engine)
