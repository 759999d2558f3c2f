"""How workflows do, by their runs."""

import random
import statistics
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.core.lifecycle import Phase
from workflow_agents.dashboard.health import HOUR_MS, Ran, health, percentile
from workflow_agents.dashboard.run_pages import RunPages
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.store.sqlite_pages import SqlitePages

NOW = 100 * HOUR_MS


def test_each_workflow_is_told_of_by_its_own_runs() -> None:
    a, b = health(
        [
            Ran("a", Phase.PARKED, NOW - 5, None),
            Ran("a", Phase.FAILED, NOW - HOUR_MS - 1, NOW - HOUR_MS),
            Ran("a", Phase.SUCCESS, NOW - 500, NOW - 100),
            Ran("b", Phase.SUCCESS, NOW - 90 * HOUR_MS, NOW - 89 * HOUR_MS),
        ],
        NOW,
    )
    assert (a["runs"], a["going"], a["ended"], a["failed"]) == (3, 1, 2, 1)
    assert (a["last"], a["p50"], a["p95"]) == ("success", 400, 400)
    assert a["hours"][-1] == [2, 0]
    assert a["hours"][-2] == [0, 1]
    assert b["p50"] == HOUR_MS
    assert sum(map(sum, b["hours"])) == 0


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_percentiles_are_values_that_so_many_do_not_exceed(values: list[int]) -> None:
    values.sort()
    half, most = percentile(values, 50), percentile(values, 95)
    assert half == statistics.median_low(values)
    assert most is not None
    assert sum(value <= most for value in values) >= 0.95 * len(values)
    assert percentile([], 50) is None


ASKED = {
    "runs": "SELECT count(*) FROM runs WHERE workflow = ?1",
    "going": "SELECT count(*) FROM runs WHERE workflow = ?1 AND ended_at IS NULL",
    "ended": "SELECT count(ended_at) FROM runs WHERE workflow = ?1",
    "failed": "SELECT count(*) FROM runs WHERE workflow = ?1 AND phase = 11",
    "lastHour": "SELECT count(*) FROM runs WHERE workflow = ?1 AND ended_at > ?2 - 3600000"
    " AND ended_at <= ?2",
    "lastAt": "SELECT max(ended_at) FROM runs WHERE workflow = ?1",
    "last": "SELECT CASE phase WHEN 10 THEN 'success' WHEN 11 THEN 'failed' ELSE 'canceled' END"
    " FROM runs WHERE workflow = ?1 ORDER BY ended_at DESC, id DESC LIMIT 1",
    "p50": "SELECT took FROM (SELECT ended_at - created_at AS took, row_number() OVER"
    " (ORDER BY ended_at - created_at) AS n, count(*) OVER () AS all_ FROM runs"
    " WHERE workflow = ?1 AND phase = 10) WHERE n * 2 >= all_ ORDER BY n LIMIT 1",
    "p95": "SELECT took FROM (SELECT ended_at - created_at AS took, row_number() OVER"
    " (ORDER BY ended_at - created_at) AS n, count(*) OVER () AS all_ FROM runs"
    " WHERE workflow = ?1 AND phase = 10) WHERE n * 100 >= all_ * 95 ORDER BY n LIMIT 1",
}


def test_numbers_are_those_of_the_database() -> None:
    store, draw = SqliteStore(":memory:"), random.Random(7)
    store.open()
    columns = "run_id, workflow, phase, token, wakes, attempt, created_at, ended_at"
    for number in range(600):
        began = NOW - draw.randrange(30 * HOUR_MS)
        phase = draw.choice([2, 3, 10, 10, 10, 11, 12])
        ended = None if phase < 10 else min(NOW, began + draw.randrange(2 * HOUR_MS))
        given = (f"wfr_{number}", draw.choice("abc"), phase, began, ended)
        store.db.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, 1, 0, 0, ?, ?)", given)
    engine: Any = SimpleNamespace(clock=SimpleNamespace(now_ms=lambda: NOW))
    told = RunPages(engine, SqlitePages(store.all)).health()
    assert [one["workflow"] for one in told] == ["a", "b", "c"]
    for one in told:
        for name, sql in ASKED.items():
            given = (one["workflow"], NOW) if "?2" in sql else (one["workflow"],)
            [(expected,)] = store.all(sql, given)
            assert one[name] == expected, (one["workflow"], name)
        hours = store.all(
            "SELECT 23 - (?2 - created_at) / 3600000, sum(phase != 11), sum(phase = 11) FROM runs"
            " WHERE workflow = ?1 AND created_at > ?2 - 24 * 3600000 GROUP BY 1",
            (one["workflow"], NOW),
        )
        assert {hour: [*each] for hour, each in enumerate(one["hours"]) if any(each)} == {
            hour: [well, failed] for hour, well, failed in hours
        }
    store.close()
