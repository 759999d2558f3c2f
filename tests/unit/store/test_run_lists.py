"""Lists of runs show the same as reading all of them would, and go along indices."""

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from workflow_agents.core.lifecycle import Phase
from workflow_agents.store import sqlite_run_lists
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.store.sqlite_run_lists import Count, RunsWanted, SqliteRunLists

RUNS = 400
PHASES = (*[Phase.SUCCESS] * 6, Phase.FAILED, Phase.PARKED, Phase.LEASED)


class Row:
    def __init__(self, number: int, draw: random.Random) -> None:
        self.id = number
        self.run_id = f"wfr_{draw.choice('abc')}{number:03}"
        self.workflow = draw.choice(["/orders", "/orders", "/mails", "/rare"])
        self.phase = draw.choice(PHASES)
        self.labels = [label for label in ("vip", "night") if draw.random() < 0.4]

    def fits(self, wanted: RunsWanted) -> bool:
        return (
            (not wanted.phases or self.phase in wanted.phases)
            and wanted.workflow in (None, self.workflow)
            and (wanted.label is None or wanted.label in self.labels)
            and (wanted.find is None or self.run_id.startswith(wanted.find))
            and (wanted.before is None or self.id < wanted.before)
        )


ROWS = [Row(number, random.Random(number)) for number in range(1, RUNS + 1)]


@pytest.fixture(scope="module")
def store() -> Iterator[SqliteStore]:
    store = SqliteStore(":memory:")
    store.open()
    columns = "id, run_id, workflow, phase, token, wakes, attempt, created_at"
    for row in ROWS:
        given = (row.id, row.run_id, row.workflow, row.phase)
        store.db.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, 1, 0, 0, 0)", given)
        for label in row.labels:
            store.db.execute("INSERT INTO labels VALUES (?, ?)", (label, row.id))
    yield store
    store.close()


WANTED = [
    RunsWanted(*given)
    for given in product(
        [(), (Phase.SUCCESS,), (Phase.PARKED, Phase.LEASED)],
        [None, "/orders", "/rare"],
        [None, "vip"],
        [None, "wfr_", "wfr_c01"],
        [None, 200],
    )
]


@pytest.mark.parametrize("looked_at", [1_000, 60])
def test_a_list_has_what_is_wanted(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    """Where it stops before the end it says so; going on from there nothing is left out."""
    monkeypatch.setattr(sqlite_run_lists, "LOOKED_AT", looked_at)
    lists = SqliteRunLists(store.all)
    stopped = 0
    for wanted in WANTED:
        expected = [row.id for row in reversed(ROWS) if row.fits(wanted)]
        found: list[int] = []
        asked = wanted
        while True:
            runs, stopped_at = lists.page(asked, 30)
            found += [run.id for run in runs]
            stopped += stopped_at is not None
            before = stopped_at if stopped_at is not None else runs[-1].id if runs else None
            if before is None:
                break
            asked = RunsWanted(wanted.phases, wanted.workflow, wanted.label, wanted.find, before)
        assert found == expected, wanted
    assert (stopped > 0) is (looked_at == 60)


def test_counts_are_exact_up_to_a_bound(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = SqliteRunLists(store.all)
    for workflow, label in product([None, "/orders", "/rare"], [None, "vip"]):
        wanted = RunsWanted(workflow=workflow, label=label)
        fitting = [row.phase for row in ROWS if row.fits(wanted)]
        expected = {phase: Count(fitting.count(phase), more=False) for phase in Phase}
        assert lists.counts(wanted) == expected
    monkeypatch.setattr(sqlite_run_lists, "COUNTED", 100)
    assert lists.counts(RunsWanted())[Phase.SUCCESS] == (100, True)
    failed = sum(row.phase is Phase.FAILED for row in ROWS)
    assert lists.counts(RunsWanted())[Phase.FAILED] == (failed, False)
    of_orders = [row for row in ROWS if row.workflow == "/orders"][-100:]
    assert lists.counts(RunsWanted(workflow="/orders")) == {
        phase: (sum(row.phase is phase for row in of_orders), True) for phase in Phase
    }


def test_workflows_are_found_from_one_to_the_next(store: SqliteStore) -> None:
    assert SqliteRunLists(store.all).workflows() == ["/mails", "/orders", "/rare"]


def test_no_list_reads_or_sorts_all_rows(store: SqliteStore) -> None:
    plans: list[str] = []

    def explained(sql: str, given: Any = ()) -> list[Any]:
        plans.extend(f"{row[3]}: {sql}" for row in store.all(f"EXPLAIN QUERY PLAN {sql}", given))
        return store.all(sql, given)

    lists = SqliteRunLists(explained)
    for wanted in WANTED:
        lists.page(wanted, 30)
        lists.counts(wanted)
    lists.workflows()
    read = [plan for plan in plans if plan.startswith(("SCAN runs", "SCAN labels"))]
    assert read == []
