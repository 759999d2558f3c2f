"""How workflows do, by their runs."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.core.lifecycle import Phase
from workflow_agents.dashboard.health import HOUR_MS, Ran, health, percentile

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
