"""Somebody looks for a text in what runs were given and gave: in process, over HTTP, by command.

It ends within bounds and says how far it has come, and nobody who writes waits for it.
"""

import asyncio
import threading
from typing import Any

import pytest

from workflow_agents import Engine, SearchResult
from workflow_agents.core.searching import Needle
from workflow_agents.errors import ConfigurationError
from workflow_agents.store import sqlite_search
from workflow_agents.store.sqlite_run_lists import RunsWanted

LONG = "lorem ipsum " * 2_000


@pytest.fixture
async def engine(tmp_path: Any) -> Any:
    engine = Engine(str(tmp_path / "s.db"))

    @engine.workflow("/orders", retries=0)
    async def orders(context: Any) -> Any:
        asked = context.request_payload
        await context.run("reserve", lambda: {"shelf": asked["shelf"]})
        await context.run("write", lambda: LONG + asked["end"])
        return {"sent": asked["sent"]}

    async with engine:
        for number in range(3):
            given = {"sku": f"A-{number}", "shelf": f"s{number}", "end": f"e{number}", "sent": "y"}
            await engine.client.run(orders, given, label=f"l{number}")
        yield engine


async def test_it_is_told_where_a_text_stands(engine: Engine) -> None:
    search = engine.client.search
    found = await search('"sku": "a-1"')
    [match] = found.matches
    assert (match.where, match.step_name, match.workflow) == ("input", None, "/orders")
    assert match.text.startswith('{"sku":"A-1","shelf"')
    assert (found.looked_at, found.stopped_by, found.cursor) == (3, "end", None)
    [match] = (await search('"shelf":"s2"')).matches
    assert match.where == "input"  # where it stood first
    [match] = (await search("ipsum e2")).matches
    assert (match.where, match.step_name) == ("step", "write")
    assert [m.where for m in (await search('"sent": "y"', label="l0")).matches] == ["input"]
    assert (await search("A-0", state="RUN_FAILED")) == SearchResult()
    with pytest.raises(ConfigurationError):
        await search("x", host="h")  # pyright: ignore -- no filter of this


async def test_it_goes_on_where_it_stopped(engine: Engine) -> None:
    first = await engine.client.search("lorem", limit=2)
    assert (len(first.matches), first.stopped_by) == (2, "enough")
    rest = await engine.client.search("lorem", cursor=first.cursor)
    seen = {match.workflow_run_id for match in [*first.matches, *rest.matches]}
    assert len(seen) == 3


async def test_it_ends_when_its_time_or_its_runs_are_over(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_search, "AT_ONCE", 1)
    store, times = engine.core.store, iter([0, 1_000, 2_000])
    needle, wanted = Needle.of("nowhere"), RunsWanted()
    found = sqlite_search.search(store.all, needle, wanted, 9, lambda: next(times))
    assert (found.looked_at, found.stopped_by) == (2, "time")
    found = sqlite_search.search(store.all, needle, wanted, 9, lambda: 0, most_runs=2)
    assert (found.looked_at, found.stopped_by) == (2, "runs")
    assert found.cursor is not None
    monkeypatch.setattr(sqlite_search, "LARGEST_BYTES", 10_000)
    found = sqlite_search.search(store.all, Needle.of("ipsum e2"), wanted, 9, lambda: 0)
    assert (found.matches, found.left_out) == ([], 3)


async def test_nobody_who_writes_waits_for_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search stands still in the middle of the store while other runs begin and end."""
    reached, go_on = threading.Event(), threading.Event()
    look = sqlite_search._look

    def held(query: Any, *rest: Any) -> Any:
        rows = look(query, *rest)
        reached.set()
        assert go_on.wait(30)
        return rows

    monkeypatch.setattr(sqlite_search, "_look", held)
    search = asyncio.create_task(engine.client.search("A-2"))
    try:
        await asyncio.to_thread(reached.wait, 30)
        for _ in range(3):
            given = {"sku": "A-9", "shelf": "", "end": "", "sent": ""}
            await asyncio.wait_for(engine.client.run("/orders", given), 10)
        assert not search.done()
    finally:
        go_on.set()
    assert len((await search).matches) == 1
