"""What every store has to do: each operation, each query, each refusal, and what survives.

Stores are added in `stores`; the suite knows nothing but `store/interface` and `store/changes`.
`test_lifecycle_in_sql.py` holds the phases of runs to their table.
"""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.stores import STORES
from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.pauses import Pause
from workflow_agents.errors import StoreError
from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind, Waiting
from workflow_agents.store import migrate
from workflow_agents.store.changes import (
    AddDeadLetter,
    AddDelivery,
    AddRun,
    AddWaiter,
    AppendMessages,
    Applied,
    Broken,
    Change,
    Claim,
    DeleteConversation,
    DropDelivery,
    DropPause,
    DropWaiter,
    EndRun,
    Entry,
    FlowStart,
    FreeFlow,
    FreeTurns,
    Guard,
    Hold,
    HoldDelivery,
    LeaseDelivery,
    Notify,
    Op,
    Outcome,
    Park,
    Progress,
    Ready,
    Refused,
    Resolve,
    RetryDelivery,
    RetryRun,
    SetCallback,
    SetFlow,
    SetPause,
    TakeDeadLetter,
    TakeDelivery,
    Unpark,
    WaiterKind,
    WaitForNotification,
)
from workflow_agents.store.interface import ConversationRow, FlowKeyRow, Store
from workflow_agents.store.sqlite import SqliteStore

RUN, CALL, WAIT = StepKind.RUN, StepKind.CALL, StepKind.WAIT


class Bench:
    """A store, and the changes of these tests in few words."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.runs = 0

    def apply(self, *ops: Op, entries: tuple[Entry, ...] = ()) -> Outcome:
        [outcome] = self.store.apply([Change(ops, entries)])
        return outcome

    def applied(self, *ops: Op, entries: tuple[Entry, ...] = ()) -> Applied:
        outcome = self.apply(*ops, entries=entries)
        assert isinstance(outcome, Applied), outcome
        return outcome

    def refused(self, *ops: Op, entries: tuple[Entry, ...] = ()) -> Refused:
        before = self.snapshot()
        outcome = self.apply(*ops, entries=entries)
        assert isinstance(outcome, Refused), outcome
        assert self.snapshot() == before, "a refused change has left something"
        return outcome

    def run(self, **options: Any) -> int:
        self.runs += 1
        given = {
            "run_id": f"wfr_{self.runs}",
            "workflow": "/w",
            "phase": Phase.LEASED,
            "due_at": None,
            "token": 1,
            "created_at": 100,
            "input": b'{"a":1}',
            "options": None,
        } | options
        return self.applied(AddRun(**given), entries=(Entry(0, 100, EntryKind.RUN_STARTED),)).run

    def record(self, run: int, step: Any, data: bytes = b"1", at: int = 200) -> Outcome:
        return self.apply(Guard(run, 1), entries=(outcome_of(run, step, data, at),))

    def delivery(self, run: int, **options: Any) -> int:
        given = {"step": 1, "kind": 1, "due_at": 10, "data": b"{}", "body": None} | options
        self.applied(AddDelivery(run, **given))
        return max(d.id for d in self.store.due(10**9, 100).deliveries)

    def snapshot(self) -> Any:
        found = [self.store.run(n) for n in range(1, self.runs + 3)]
        due = self.store.due(10**12, 1_000)
        feed = self.store.feed(run=None, after=0, limit=1_000)
        waiters = [self.store.history(n).waiting for n in range(1, self.runs + 3)]
        return found, due, feed, waiters, self.store.dead_letters(None, 100)


def outcome_of(run: int, step: Any, data: bytes = b"1", at: int = 200) -> Entry:
    return Entry(run, at, EntryKind.STEP_SUCCESS, RUN, step, f"step {step}", data, outcome=True)


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    store = STORES[request.param](tmp_path)
    store.open()
    yield Bench(store)
    assert store.check() == []
    store.close()


# Runs.


def test_a_run_is_found_by_its_row_and_its_id(bench: Bench) -> None:
    run = bench.run(options='{"retries":1}', labels=("a", "b"), parent=7, parent_step="1.0/2")

    row = bench.store.run(run)
    assert row is not None
    assert row == bench.store.run("wfr_1")
    assert (row.run_id, row.workflow, row.phase, row.token) == ("wfr_1", "/w", Phase.LEASED, 1)
    assert (row.wakes, row.attempt, row.recoveries, row.created_at) == (0, 0, 0, 100)
    assert (row.input, row.options) == (b'{"a":1}', '{"retries":1}')
    assert (row.parent, row.parent_step, row.ended_at, row.result) == (7, "1.0/2", None, None)
    assert set(bench.store.labels(run)) == {"a", "b"}
    assert bench.store.run(99) is None
    assert bench.store.run("wfr_none") is None


def test_a_run_id_is_taken_once(bench: Bench) -> None:
    run = bench.run(run_id="wfr_order")

    again = AddRun("wfr_order", "/other", Phase.DUE, 5, 0, 300, None, None)
    refused = bench.refused(again, entries=(Entry(0, 300, EntryKind.RUN_STARTED),))

    assert refused.existing == run
    assert refused.op is again


def test_runs_are_listed_newest_first(bench: Bench) -> None:
    rows = [
        bench.run(workflow="/a", labels=("x",)),
        bench.run(workflow="/b", labels=("x", "y")),
        bench.run(workflow="/a", phase=Phase.DUE, due_at=5),
    ]

    def listed(**filters: Any) -> list[int]:
        given: dict[str, Any] = dict.fromkeys(("workflow", "phase", "label", "before")) | filters
        return [row.id for row in bench.store.runs(**({"limit": 10} | given))]

    assert listed() == rows[::-1]
    assert listed(limit=2) == rows[:0:-1]
    assert listed(before=rows[2]) == rows[1::-1]
    assert listed(workflow="/a") == [rows[2], rows[0]]
    assert listed(label="x") == [rows[1], rows[0]]
    assert listed(label="x", workflow="/b") == [rows[1]]
    assert listed(phase=Phase.DUE) == [rows[2]]
    assert listed(label="z") == []


def test_a_resumed_run_begins_with_outcomes_of_another(bench: Bench) -> None:
    run = bench.run()
    bench.record(run, 1, b'"one"')
    bench.record(run, 2, b"2" * 5_000)
    failed = Entry(run, 300, EntryKind.STEP_FAILED, RUN, 3, "step 3", b"{}", outcome=True)
    bench.applied(Guard(run, 1), entries=(failed,))
    bench.applied(Guard(run, 1), entries=(Entry(run, 300, EntryKind.STEP_RETRY, RUN, 4),))

    caught = Entry(run, 300, EntryKind.STEP_FAILED, RUN, 5, "step 5", b"[]", outcome=True)
    bench.applied(Guard(run, 1), entries=(caught,))

    heir = bench.run(inherit=run, leave_out=(3, 9))

    history = bench.store.history(heir)
    assert [(r.key, r.ok, r.data) for r in history.recorded] == [
        (1, True, b'"one"'),
        (2, True, b"2" * 5_000),
        (5, False, b"[]"),
    ]


# Leases.


@pytest.mark.parametrize("token", [0, 2])
def test_a_lost_lease_refuses_everything(bench: Bench, token: int) -> None:
    run = bench.run()

    for ops in (
        (Guard(run, token), AddWaiter(run, 1, WaiterKind.TIMER, StepKind.SLEEP, "nap", 5)),
        (Guard(run, token), EndRun(run, Phase.SUCCESS, 300, b"1")),
        (Guard(run, token), RetryRun(run, 300, 1, 200)),
        (Park(run, token, 0),),
        (Unpark(run, token),),
    ):
        refused = bench.refused(*ops, entries=(Entry(run, 300, EntryKind.STEP_WAITING, RUN, 1),))
        assert refused.op == ops[0]
    assert bench.refused(Guard(run, token), entries=(outcome_of(run, 1),)).op == Guard(run, token)


def test_a_claim_raises_the_token_once(bench: Bench) -> None:
    run = bench.run(phase=Phase.DUE, due_at=5, token=3)

    bench.applied(Claim(run, 3))
    bench.refused(Claim(run, 3))
    bench.refused(Claim(run, 4))

    row = bench.store.run(run)
    assert row is not None
    assert (row.phase, row.token, row.due_at) == (Phase.LEASED, 4, None)


def test_a_wake_up_that_was_not_seen_forbids_to_park(bench: Bench) -> None:
    run = bench.run()
    bench.applied(AddWaiter(run, 1, WaiterKind.TIMER, StepKind.SLEEP, "nap", 5))
    bench.applied(AddWaiter(run, 2, WaiterKind.EVENT, WAIT, "wait", 50, "e"))
    woken = bench.applied(Resolve(run, 1, WaiterKind.TIMER, 5, b"null")).woken

    bench.refused(Park(run, 1, 0))
    bench.applied(Park(run, 1, woken[0].wakes))

    row = bench.store.run(run)
    assert row is not None
    assert (row.phase, row.wakes) == (Phase.PARKED, 1)


def test_a_wake_up_makes_a_parked_run_due(bench: Bench) -> None:
    run = bench.run()
    bench.applied(AddWaiter(run, 1, WaiterKind.TIMER, StepKind.SLEEP, "nap", 5))
    bench.applied(Park(run, 1, 0))

    bench.applied(Resolve(run, 1, WaiterKind.TIMER, 7, b"null"))

    row = bench.store.run(run)
    assert row is not None
    assert (row.phase, row.due_at) == (Phase.DUE, 7)
    bench.applied(Unpark(run, 1))
    bench.refused(Claim(run, 1))
    bench.applied(Guard(run, 2))


def test_a_retried_run_counts_its_attempts_until_it_makes_progress(bench: Bench) -> None:
    run = bench.run()

    bench.applied(Guard(run, 1), RetryRun(run, 500, 2, 200))
    row = bench.store.run(run)
    assert row is not None
    assert (row.phase, row.due_at, row.attempt) == (Phase.DUE, 500, 2)
    bench.applied(Claim(run, 1))
    bench.applied(Guard(run, 2), Progress(run))
    row = bench.store.run(run)
    assert row is not None
    assert row.attempt == 0


@pytest.mark.parametrize("phase", [Phase.SUCCESS, Phase.FAILED, Phase.CANCELED])
def test_finished_is_finished(bench: Bench, phase: Phase) -> None:
    run = bench.run()
    bench.applied(AddWaiter(run, 1, WaiterKind.EVENT, WAIT, "wait", 50, "e"))
    bench.delivery(run, step=2)
    bench.applied(Notify("other", run, 5, b"1"))
    bench.applied(EndRun(run, phase, 300, b'"end"'))

    row = bench.store.run(run)
    assert row is not None
    assert (row.phase, row.ended_at, row.result, row.due_at) == (phase, 300, b'"end"', None)
    assert bench.store.history(run).waiting == []
    assert bench.store.due(10**9, 10).deliveries == []
    bench.refused(EndRun(run, Phase.CANCELED, 400))
    assert bench.apply(Guard(run, 1), entries=(outcome_of(run, 9),)) == Refused(Guard(run, 1))
    assert bench.applied(Notify("e", None, 400, b"1")).woken == []
    assert bench.applied(Notify("e", run, 400, b"1")).kept == 0


# Outcomes of steps.


def test_a_step_has_one_outcome(bench: Bench) -> None:
    run = bench.run()
    assert isinstance(bench.record(run, 1, b'"first"'), Applied)

    assert bench.record(run, 1, b'"second"') == Refused(None)
    assert bench.refused(
        Guard(run, 1), DropWaiter(run, 1, 5), entries=(outcome_of(run, 1, b'"third"'),)
    ) == Refused(None)

    assert bench.store.history(run).recorded == [Recorded(1, RUN, "step 1", True, b'"first"')]


def test_history_is_in_the_order_of_recording(bench: Bench) -> None:
    run, other = bench.run(), bench.run()
    keys = ["2.0/1", 1, "2.1/1", 3, 2]
    for key in keys:
        bench.record(run, key)
        bench.record(other, key)
    bench.applied(AddWaiter(run, 9, WaiterKind.CALL, CALL, "call"))
    bench.applied(AddWaiter(run, 10, WaiterKind.RETRY, RUN, "retry", 50, attempts=2))
    bench.delivery(run, step=9)
    bench.applied(Ready(run, 10, WaiterKind.RETRY, 60))

    history = bench.store.history(run)
    assert [recorded.key for recorded in history.recorded] == keys
    assert sorted(history.waiting, key=lambda w: w.name) == [
        Waiting(9, CALL, "call"),
        Waiting(10, RUN, "retry", attempts=2, due=True),
    ]


def test_an_entry_may_be_made_of_what_its_change_has_done(bench: Bench) -> None:
    run, waits = bench.run(), bench.run()
    bench.applied(AddWaiter(waits, 1, WaiterKind.EVENT, WAIT, "wait", 50, "e"))

    def woken(applied: Applied) -> bytes:
        return b"%d" % len(applied.woken)

    entry = Entry(run, 5, EntryKind.STEP_SUCCESS, RUN, 1, "notify", woken, outcome=True)

    applied = bench.applied(Guard(run, 1), Notify("e", None, 5, b"null"), entries=(entry,))

    assert applied.data == b"1"
    assert bench.store.history(run).recorded[0].data == b"1"


def test_large_data_comes_back_whole_and_is_stored_once(bench: Bench) -> None:
    big = bytes(range(256)) * 64
    before = bench.store.size()["payloads"]
    runs = [bench.run(input=big) for _ in range(3)]
    for run in runs:
        bench.record(run, 1, big)
        bench.delivery(run, step=2, body=big)

    for run in runs:
        row = bench.store.run(run)
        assert row is not None
        assert row.input == big
        assert bench.store.history(run).recorded[0].data == big
    assert [d.body for d in bench.store.due(100, 10).deliveries] == [big] * 3
    assert bench.store.size()["payloads"] == before + 1
    assert [e.data for e in bench.store.feed(run=runs[0], after=0, limit=9)] == [None, big]


def test_the_feed_is_read_in_pages(bench: Bench) -> None:
    one, two = bench.run(), bench.run()
    for step in range(1, 6):
        bench.record(one, step)
        bench.record(two, step)

    all_of_it = bench.store.feed(run=None, after=0, limit=100)
    assert [e.seq for e in all_of_it] == sorted({e.seq for e in all_of_it})
    of_one = bench.store.feed(run=one, after=0, limit=100)
    assert [e.step for e in of_one] == [None, 1, 2, 3, 4, 5]
    assert [e.kind for e in of_one][:2] == [EntryKind.RUN_STARTED, EntryKind.STEP_SUCCESS]
    assert of_one[1].type is RUN
    page = bench.store.feed(run=one, after=of_one[2].seq, limit=2)
    assert page == of_one[3:5]


# Waits.


def test_whoever_removes_the_waiter_wins(bench: Bench) -> None:
    run = bench.run()
    bench.applied(AddWaiter(run, 1, WaiterKind.EVENT, WAIT, "wait", 50, "e"))

    first = bench.applied(Notify("e", None, 40, b'"told"'))
    bench.refused(Resolve(run, 1, WaiterKind.EVENT, 50, b'"timeout"', must=True))
    late = bench.applied(Resolve(run, 1, WaiterKind.EVENT, 50, b'"timeout"', late=True))

    assert [w.news for w in first.woken] == [Recorded(1, WAIT, "wait", True, b'"told"')]
    assert first.woken[0].deadline == 50
    assert late.woken == []
    assert bench.store.feed(run=run, after=0, limit=9)[-1].kind is EntryKind.DISCARDED


def test_an_event_wakes_all_who_wait_or_one_run(bench: Bench) -> None:
    runs = [bench.run() for _ in range(3)]
    for run in runs:
        bench.applied(AddWaiter(run, 1, WaiterKind.EVENT, WAIT, "wait", 50, "e"))
        bench.applied(AddWaiter(run, 2, WaiterKind.EVENT, WAIT, "other", 50, "f"))

    assert [w.run for w in bench.store.waiters_for("e", None)] == runs
    assert [w.run for w in bench.store.waiters_for("e", runs[1])] == [runs[1]]
    assert [w.run for w in bench.applied(Notify("e", runs[1], 5, b"1")).woken] == [runs[1]]
    assert [w.run for w in bench.applied(Notify("e", None, 6, b"1")).woken] == [runs[0], runs[2]]
    assert bench.store.waiters_for("e", None) == []
    assert len(bench.store.waiters_for("f", None)) == 3


def test_waits_are_found_by_how_their_event_begins(bench: Bench) -> None:
    run, other = bench.run(), bench.run()
    events = {(run, 1): "ask:b", (run, "2.0/1"): "ask:a", (other, 1): "ask:b:1", (other, 2): "ask;"}
    for (owner, step), event in events.items():
        waiter = AddWaiter(owner, step, WaiterKind.EVENT, WAIT, "wait", 50, event)
        told = f'{{"eventId":"{event}"}}'.encode() + b" " * 5_000
        entry = Entry(owner, 7, EntryKind.STEP_WAITING, WAIT, step, "wait", told)
        bench.applied(waiter, entries=[entry])

    def found(prefix: str, limit: int = 9) -> list[tuple[int, StepKey]]:
        pairs = bench.store.waiters_like(prefix, limit)
        assert all(f'"{w.event}"'.encode() in (e.data or b"") for w, e in pairs)
        return [(w.run, w.step) for w, _ in pairs]

    assert found("ask:") == [(run, "2.0/1"), (run, 1), (other, 1)]
    assert found("ask:b") == [(run, 1), (other, 1)]
    assert found("ask:", limit=1) == [(run, "2.0/1")]
    assert found("as%") == found("x") == []


def test_a_notification_is_kept_for_its_run_in_order(bench: Bench) -> None:
    run, other = bench.run(), bench.run()
    for data in (b"1", b"2"):
        assert bench.applied(Notify("e", run, 5, data)).kept == 1
    assert bench.applied(Notify("e", None, 5, b"3")).kept == 0

    def wait(run: int, step: int, event: str) -> Applied:
        waiter = AddWaiter(run, step, WaiterKind.EVENT, WAIT, "wait", 50, event)
        return bench.applied(WaitForNotification(waiter, 6))

    assert [w.news.data for w in wait(run, 1, "e").woken] == [b"1"]
    assert [w.news.data for w in wait(run, 2, "e").woken] == [b"2"]
    assert wait(run, 3, "e").woken == []
    assert wait(other, 1, "e").woken == []
    assert wait(run, 4, "f").woken == []
    assert {(w.run, w.step) for w in bench.store.waiters_for("e", None)} == {(run, 3), (other, 1)}


def test_a_wait_for_the_wrong_kind_is_not_resolved(bench: Bench) -> None:
    run = bench.run()
    bench.applied(AddWaiter(run, 1, WaiterKind.TIMER, StepKind.SLEEP, "nap", 5))

    bench.refused(Resolve(run, 1, WaiterKind.CALL, 5, b"1", must=True))
    bench.refused(Ready(run, 1, WaiterKind.RETRY, 5))
    bench.applied(DropWaiter(run, 1, 5))
    bench.applied(DropWaiter(run, 1, 5))
    assert bench.store.waiter(run, 1) is None


def test_what_is_due_comes_with_the_time_of_what_is_next(bench: Bench) -> None:
    due = bench.run(phase=Phase.DUE, due_at=10)
    bench.run(phase=Phase.DUE, due_at=40)
    leased = bench.run()
    bench.applied(AddWaiter(leased, 1, WaiterKind.TIMER, StepKind.SLEEP, "nap", 20))
    bench.applied(AddWaiter(leased, 2, WaiterKind.EVENT, WAIT, "wait", 30, "e"))
    bench.applied(AddDelivery(leased, 3, 1, 10, b"{}"))
    bench.applied(AddDelivery(leased, 4, 1, 35, b"{}"))

    now = bench.store.due(20, 10)
    assert [r.id for r in now.runs] == [due]
    assert [w.step for w in now.waiters] == [1]
    assert [d.step for d in now.deliveries] == [3]
    assert now.next_at == 30
    assert bench.store.due(9, 10).next_at == 10
    assert len(bench.store.due(100, 1).waiters) == 1
    assert bench.store.due(100, 10).next_at is None


# Requests.


def test_a_request_is_leased_attempted_and_settled(bench: Bench) -> None:
    run = bench.run()
    bench.applied(AddWaiter(run, 1, WaiterKind.CALL, CALL, "call"))
    delivery = bench.delivery(run, body=b"body")

    bench.applied(LeaseDelivery(delivery, 0))
    bench.refused(LeaseDelivery(delivery, 0))
    bench.refused(LeaseDelivery(delivery, 1))
    assert bench.store.due(10**9, 9).deliveries == []
    bench.refused(RetryDelivery(delivery, 0, 50))
    bench.applied(RetryDelivery(delivery, 1, 50))
    [row] = bench.store.due(50, 9).deliveries
    assert (row.attempt, row.due_at, row.body) == (1, 50, b"body")
    bench.applied(LeaseDelivery(delivery, 1))
    bench.refused(TakeDelivery(delivery, 1))
    done = bench.applied(TakeDelivery(delivery, 2), Resolve(run, 1, WaiterKind.CALL, 60, b"{}"))
    assert [w.run for w in done.woken] == [run]
    bench.refused(TakeDelivery(delivery, 2), Resolve(run, 1, WaiterKind.CALL, 60, b"{}"))


def test_a_step_owes_one_request_and_a_run_may_owe_others(bench: Bench) -> None:
    run = bench.run()
    for kind in (1, 2):
        bench.applied(AddDelivery(run, 1, kind, 10, b"{}"))
        bench.applied(AddDelivery(run, None, kind, 10, b"{}"))

    assert sorted((d.step or 0, d.kind) for d in bench.store.due(10, 9).deliveries) == [
        (0, 1),
        (0, 2),
        (1, 1),
    ]
    bench.applied(DropDelivery(run, 1, 10))
    bench.applied(EndRun(run, Phase.FAILED, 20))
    assert [d.step for d in bench.store.due(10, 9).deliveries] == [None, None]


# Pauses.


def test_a_pause_is_stored_until_its_key_is_free(bench: Bench) -> None:
    assert bench.store.pause("k") is None
    bench.applied(SetPause("k", Pause(100, in_a_row=2, window=3, threshold=8, passed=1)))
    assert bench.store.pause("k") == Pause(100, 2, 3, 8, 1)
    assert bench.store.pause("other") is None
    bench.applied(SetPause("k", Pause(90, in_a_row=0, window=4)))
    assert bench.store.pause("k") == Pause(100, in_a_row=0, window=4)
    bench.applied(DropPause("k", 99))
    assert bench.store.pause("k") is not None
    bench.applied(DropPause("k", 100))
    assert bench.store.pause("k") is None


def test_requests_that_are_held_back_by_their_pause_key(bench: Bench) -> None:
    one, two, three = (bench.delivery(bench.run(), pause_key="k") for _ in range(3))
    assert bench.store.under_way("k") == 0
    bench.applied(LeaseDelivery(one, 0))
    bench.applied(HoldDelivery(two, 500, paused=True))
    bench.applied(HoldDelivery(three, 500, paused=True))
    assert bench.store.under_way("k") == 1
    assert bench.store.waits_for_turn("k")
    assert bench.store.due(499, 9).deliveries == []

    bench.applied(FreeFlow("k", 20))
    assert bench.store.due(20, 9).deliveries == []
    bench.applied(FreeTurns("k", 20, 1))
    [row] = bench.store.due(20, 9).deliveries
    assert (row.id, row.held, row.pause_key, row.refusals, row.refused_at) == (
        two,
        True,
        "k",
        0,
        None,
    )
    bench.applied(FreeTurns("k", 20, -1))
    assert len(bench.store.due(20, 9).deliveries) == 2
    for waiting in (two, three):
        bench.applied(LeaseDelivery(waiting, 0))
    assert bench.store.under_way("k") == 3
    assert not bench.store.waits_for_turn("k")


def test_refusals_are_counted_apart(bench: Bench) -> None:
    delivery = bench.delivery(bench.run(), pause_key="k")
    for attempt, refused_at in enumerate((100, None, 300)):
        bench.applied(LeaseDelivery(delivery, attempt))
        bench.applied(RetryDelivery(delivery, attempt + 1, 10, refused_at))
    [row] = bench.store.due(10, 9).deliveries
    assert (row.attempt, row.refusals, row.refused_at) == (3, 2, 100)


@pytest.mark.parametrize("how", ["withdrawn", "run ended"])
def test_who_is_gone_lets_others_have_its_turn(bench: Bench, how: str) -> None:
    run = bench.run()
    gone = bench.delivery(run, pause_key="k", flow_key="f")
    waits = bench.delivery(bench.run(), pause_key="k")
    limited = bench.delivery(bench.run(), flow_key="f")
    bench.applied(LeaseDelivery(gone, 0))
    bench.applied(HoldDelivery(waits, 900, paused=True))
    bench.applied(HoldDelivery(limited, 900))
    if how == "withdrawn":
        bench.applied(DropDelivery(run, 1, 20))
    else:
        bench.applied(EndRun(run, Phase.CANCELED, 20))
    assert sorted(row.id for row in bench.store.due(20, 9).deliveries) == [waits, limited]


# Flow control.


def test_slots_are_counted_from_who_holds_them(bench: Bench) -> None:
    assert bench.store.flow("k", 0) == (0, [])
    run = bench.run(flow_key="k")
    bench.run(flow_key="k", phase=Phase.DUE, due_at=5)
    other = bench.run()
    bench.applied(AddWaiter(other, 1, WaiterKind.ADMISSION, RUN, "step", 5, flow_key="k"))
    assert bench.store.flow("k", 0)[0] == 1
    bench.applied(Ready(other, 1, WaiterKind.ADMISSION, 6), FlowStart("k", 6, 0))
    assert bench.store.flow("k", 0) == (2, [6])
    delivery = bench.delivery(other, step=2, flow_key="k")
    bench.applied(LeaseDelivery(delivery, 0), FlowStart("k", 7, 0))
    assert bench.store.flow("k", 0) == (3, [6, 7])

    bench.applied(EndRun(run, Phase.SUCCESS, 8))
    bench.applied(TakeDelivery(delivery, 1))
    bench.applied(DropWaiter(other, 1, 9))
    assert bench.store.flow("k", 0) == (0, [6, 7])


def test_starts_are_remembered_as_long_as_they_matter(bench: Bench) -> None:
    for at in (5, 5, 6, 9):
        bench.applied(FlowStart("k", at, 0))
    bench.applied(FlowStart("other", 5, 0))

    assert bench.store.flow("k", 0)[1] == [5, 5, 6, 9]
    assert bench.store.flow("k", 6)[1] == [6, 9]
    bench.applied(FlowStart("k", 20, 9))
    assert bench.store.flow("k", 0)[1] == [9, 20]


def test_a_free_slot_makes_those_due_who_wait_for_it(bench: Bench) -> None:
    run = bench.run(flow_key="k", phase=Phase.DUE, due_at=5)
    bench.applied(Hold(run, 1, 10_000))
    other = bench.run()
    bench.applied(AddWaiter(other, 1, WaiterKind.ADMISSION, RUN, "step", 10_000, flow_key="k"))
    bench.applied(AddWaiter(other, 2, WaiterKind.RETRY, RUN, "retry", 10_000, flow_key="k"))
    held, retried = bench.delivery(other, step=3, flow_key="k"), bench.delivery(other, step=4)
    bench.applied(HoldDelivery(held, 10_000))
    bench.applied(LeaseDelivery(retried, 0))
    bench.applied(RetryDelivery(retried, 1, 10_000))
    assert bench.store.due(100, 9).runs == []

    bench.applied(FreeFlow("k", 50))

    due = bench.store.due(100, 9)
    assert [r.id for r in due.runs] == [run]
    assert [w.step for w in due.waiters] == [1]
    assert [d.id for d in due.deliveries] == [held]


def test_each_slot_that_is_free_wakes_one_more(bench: Bench) -> None:
    """Several may be given back in one transaction; those who have no chance sleep on."""
    held = [bench.delivery(bench.run(), flow_key="k") for _ in range(4)]
    for delivery in held:
        bench.applied(HoldDelivery(delivery, 10_000))

    bench.applied(FreeFlow("k", 50), FreeFlow("k", 50))

    assert [d.id for d in bench.store.due(100, 9).deliveries] == held[:2]


def test_a_free_slot_wakes_runs_behind_one_that_cannot_use_it(bench: Bench) -> None:
    """Its workflow may not be served where the others are."""
    unserved, other = (bench.run(flow_key="k", phase=Phase.DUE, due_at=5) for _ in range(2))
    for run in (unserved, other):
        bench.applied(Hold(run, 1, 10_000))

    bench.applied(FreeFlow("k", 50))

    assert [r.id for r in bench.store.due(100, 9).runs] == [unserved, other]


def test_the_limits_of_a_key_are_the_last_that_were_set(bench: Bench) -> None:
    assert bench.store.flow_key("k") is None
    bench.applied(SetFlow("k", "rate=1"))
    bench.applied(SetFlow("k", "parallelism=2"))
    assert bench.store.flow_key("k") == FlowKeyRow("k", "parallelism=2", False, "")


# Dead letters.


def test_dead_letters_are_taken_once_and_listed_newest_first(bench: Bench) -> None:
    for n in range(3):
        run = bench.run()
        bench.applied(EndRun(run, Phase.FAILED, 300), AddDeadLetter(f"d{n}", run, 300 + n, "{}"))

    assert [d.id for d in bench.store.dead_letters(None, 10)] == ["d2", "d1", "d0"]
    assert [d.id for d in bench.store.dead_letters("d2", 1)] == ["d1"]
    bench.applied(SetCallback(2, "CALLBACK_FAIL"))
    found = bench.store.dead_letter("d1")
    assert found is not None
    assert (found.run, found.at, found.failure, found.callback) == (2, 301, "{}", "CALLBACK_FAIL")
    bench.applied(TakeDeadLetter("d1"))
    bench.refused(TakeDeadLetter("d1"))
    bench.refused(TakeDeadLetter("d1"), AddRun("wfr_n", "/w", Phase.DUE, 1, 0, 1, None, None))
    assert bench.store.dead_letter("d1") is None


# Transactions.


# Conversations.


def remembered(bench: Bench, run: int, step: Any, key: str, *messages: bytes) -> Outcome:
    def up_to(applied: Applied) -> bytes:
        return b"%d" % applied.up_to

    entry = outcome_of(run, step)
    entry.data = up_to
    return bench.apply(Guard(run, 1), AppendMessages(key, 300, messages), entries=(entry,))


def newest(bench: Bench, key: str) -> int:
    return bench.store.conversation(key, up_to=None, last=1)[0][0]


def test_messages_come_back_in_order_and_up_to_where_was_read(bench: Bench) -> None:
    run = bench.run()
    remembered(bench, run, 1, "user-1", b"1", b"2")
    remembered(bench, run, 2, "user-2", b"other")
    first = newest(bench, "user-1")
    remembered(bench, run, 3, "user-1", b"3", b"4", b"5")

    def read(up_to: int | None = None, last: int | None = None) -> list[bytes]:
        return [data for _, data in bench.store.conversation("user-1", up_to=up_to, last=last)]

    assert read() == [b"1", b"2", b"3", b"4", b"5"]
    assert read(up_to=first) == [b"1", b"2"]
    assert read(up_to=first, last=1) == [b"2"]
    assert read(last=3) == [b"3", b"4", b"5"]
    assert read(up_to=0) == []
    assert bench.store.conversation("nobody", up_to=None, last=None) == []


def test_messages_are_appended_with_their_step_or_not_at_all(bench: Bench) -> None:
    run = bench.run()
    outcome = remembered(bench, run, 1, "user-1", b"1", b"2")
    assert isinstance(outcome, Applied)
    assert outcome.data == b"%d" % newest(bench, "user-1")
    assert bench.store.history(run).recorded[0].data == outcome.data

    assert isinstance(remembered(bench, run, 1, "user-1", b"1", b"2"), Refused)  # a second time
    stale = bench.apply(Guard(run, 7), AppendMessages("user-1", 300, (b"3",)))
    assert isinstance(stale, Refused)

    assert len(bench.store.conversation("user-1", up_to=None, last=None)) == 2


def test_a_deleted_conversation_begins_anew_with_other_ids(bench: Bench) -> None:
    bench.applied(AppendMessages("user-1", 300, (b"1", b"2")))
    last = newest(bench, "user-1")

    bench.applied(DeleteConversation("user-1"))
    bench.refused(DeleteConversation("user-1"))
    assert bench.store.conversation("user-1", up_to=None, last=None) == []

    bench.applied(AppendMessages("user-1", 400, (b"3",)))
    assert bench.store.conversation("user-1", up_to=last, last=None) == []
    assert newest(bench, "user-1") > last


def test_conversations_are_listed_by_key_in_pages(bench: Bench) -> None:
    for at, key in ((300, "b"), (310, "a"), (320, "c"), (330, "a")):
        bench.applied(AppendMessages(key, at, (b"1", b"2")))

    first = bench.store.conversations(None, 2)
    rest = bench.store.conversations(first[-1].key, 2)

    assert first == [ConversationRow("a", 4, 310, 330), ConversationRow("b", 2, 300, 300)]
    assert rest == [ConversationRow("c", 2, 320, 320)]


def test_changes_of_a_batch_are_refused_one_by_one(bench: Bench) -> None:
    run = bench.run()
    changes = [
        Change((Guard(run, 1),), (outcome_of(run, 1, b'"a"'),)),
        Change((Guard(run, 9),), (outcome_of(run, 2),)),
        Change((Guard(run, 1),), (outcome_of(run, 1, b'"b"'),)),
        Change((Guard(run, 1), EndRun(run, Phase.SUCCESS, 9)), (outcome_of(run, 1),)),
        Change((Guard(run, 1),), (outcome_of(run, 3, b'"c"'),)),
    ]

    outcomes = bench.store.apply(changes)

    assert [type(o) for o in outcomes] == [Applied, Refused, Refused, Refused, Applied]
    assert [(r.key, r.data) for r in bench.store.history(run).recorded] == [
        (1, b'"a"'),
        (3, b'"c"'),
    ]
    row = bench.store.run(run)
    assert row is not None
    assert row.phase is Phase.LEASED


def test_a_change_that_cannot_be_stored_harms_no_other(bench: Bench) -> None:
    run = bench.run()
    unstorable: Any = object()
    changes = [
        Change((Guard(run, 1),), (outcome_of(run, 1),)),
        Change((Guard(run, 1), SetFlow("k", unstorable)), (outcome_of(run, 2),)),
        Change((Guard(run, 1),), (outcome_of(run, 3),)),
    ]

    outcomes = bench.store.apply(changes)

    assert [type(o) for o in outcomes] == [Applied, Broken, Applied]
    assert [r.key for r in bench.store.history(run).recorded] == [1, 3]


def test_the_same_change_again_changes_nothing(bench: Bench) -> None:
    """Whoever does not know whether a change was stored may apply it again."""
    run = bench.run()
    bench.applied(AddWaiter(run, 1, WaiterKind.EVENT, WAIT, "wait", 50, "e"))
    once: list[tuple[Op, ...]] = [
        (AddRun("wfr_twice", "/w", Phase.DUE, 5, 0, 5, None, None),),
        (Resolve(run, 1, WaiterKind.EVENT, 9, b"1", must=True),),
        (Park(run, 1, 1),),
        (Unpark(run, 1),),
        (EndRun(run, Phase.FAILED, 10), AddDeadLetter("d", run, 10, "{}")),
    ]
    for ops in once:
        bench.applied(*ops)
        if not isinstance(ops[0], Park):
            bench.refused(*ops)


def test_threads_take_turns(bench: Bench) -> None:
    run = bench.run()
    failed: list[object] = []

    def write(start: int) -> None:
        for step in range(start, start + 50):
            if not isinstance(bench.record(run, step), Applied):
                failed.append(step)
            bench.store.history(run)

    threads = [threading.Thread(target=write, args=(n * 50,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert len(bench.store.history(run).recorded) == 200


# Keeping and cleaning.


def test_recovery_makes_due_what_was_in_hand(bench: Bench) -> None:
    leased = bench.run()
    parked = bench.run()
    bench.applied(AddWaiter(parked, 1, WaiterKind.EVENT, WAIT, "wait", 10**6, "e"))
    bench.applied(Park(parked, 1, 0))
    delivery = bench.delivery(parked, step=2)
    bench.applied(LeaseDelivery(delivery, 0))

    assert bench.store.recover(1_000) == 1

    due = bench.store.due(1_000, 9)
    assert [r.id for r in due.runs] == [leased]
    assert [(d.id, d.attempt) for d in due.deliveries] == [(delivery, 1)]
    row = bench.store.run(leased)
    assert row is not None
    assert (row.phase, row.recoveries) == (Phase.DUE, 1)
    assert bench.store.feed(run=leased, after=0, limit=9)[-1].kind is EntryKind.RUN_RECOVERED
    bench.refused(Park(leased, 0, 0))


def test_recoveries_are_counted_only_without_progress(bench: Bench) -> None:
    run = bench.run()

    def die() -> int:
        bench.store.recover(1_000)
        row = bench.store.run(run)
        assert row is not None
        bench.applied(Claim(run, row.token))
        return row.recoveries

    assert [die(), die(), die()] == [1, 2, 3]
    token = bench.store.run(run).token  # type: ignore[union-attr]
    bench.applied(Guard(run, token), entries=(outcome_of(run, 1),))
    assert [die(), die()] == [1, 2]


def test_recoveries_are_not_counted_where_the_code_is_elsewhere(bench: Bench) -> None:
    """That code cannot have ended this process."""
    run = bench.run(workflow="https://elsewhere/w")
    for _ in range(9):
        bench.store.recover(1_000)
        row = bench.store.run(run)
        assert row is not None
        assert (row.phase, row.recoveries, row.due_at) == (Phase.DUE, 0, 1_000)
        bench.applied(Claim(run, row.token))


def test_cleaning_removes_what_ended_long_ago_and_nothing_else(bench: Bench) -> None:
    big = b"x" * 10_000
    runs = [bench.run(input=big + b"%d" % n, labels=("l",)) for n in range(4)]
    for n, run in enumerate(runs):
        bench.record(run, 1, big)
        bench.record(run, 2, big + b"%d" % n)
    old, owing, young, _alive = runs
    bench.applied(EndRun(old, Phase.FAILED, 100), AddDeadLetter("d", old, 100, "{}"))
    bench.applied(EndRun(owing, Phase.FAILED, 100), AddDelivery(owing, None, 2, 100, b"{}"))
    bench.applied(EndRun(young, Phase.SUCCESS, 500))

    assert bench.store.clean(400, 1_000, 10) == 1
    assert bench.store.clean(400, 1_000, 10) == 0
    while bench.store.sweep(2):
        pass

    assert bench.store.run(old) is None
    assert bench.store.dead_letter("d") is None
    assert bench.store.feed(run=old, after=0, limit=9) == []
    for run in runs[1:]:
        assert [r.key for r in bench.store.history(run).recorded] == [1, 2]
    assert bench.store.size()["payloads"] == 1 + 3  # what only the old one had is gone
    assert len(bench.store.runs(workflow=None, phase=None, label="l", before=None, limit=9)) == 3
    last = bench.store.feed(run=None, after=0, limit=100)[-1]
    assert (last.kind, last.data) == (EntryKind.CLEANED, b"1")


def test_cleaning_takes_a_few_at_a_time(bench: Bench) -> None:
    for _ in range(5):
        bench.applied(EndRun(bench.run(), Phase.SUCCESS, 100))

    assert [bench.store.clean(400, 1_000, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_the_check_finds_a_run_that_nothing_will_wake(bench: Bench) -> None:
    run = bench.run()
    bench.applied(Park(run, 1, 0))

    assert bench.store.check() == ["a parked run that nothing will wake: wfr_1"]
    bench.applied(EndRun(run, Phase.CANCELED, 9))


def test_size_counts_what_is_stored(bench: Bench) -> None:
    bench.record(bench.run(), 1)

    size = bench.store.size()
    assert (size["runs"], size["feed"], size["waiters"]) == (1, 2, 0)
    assert size["bytes"] > 0


# The file.


def test_a_file_keeps_everything_over_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "folder" / "x.db")
    bench = Bench(SqliteStore(path))
    bench.store.open()
    run = bench.run(input=b"x" * 9_000)
    bench.record(run, 1, b'"kept"')
    bench.applied(AddWaiter(run, 2, WaiterKind.EVENT, WAIT, "wait", 50, "e"))
    before = bench.snapshot()
    bench.store.close()

    again = Bench(SqliteStore(path))
    again.runs = bench.runs
    again.store.open()
    assert again.snapshot() == before
    again.store.close()
    again.store.close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "x.db"))

    with pytest.raises(StoreError, match="WA111"):
        store.run(1)


def test_the_schema_is_made_from_nothing_and_is_the_latest(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    for _ in range(2):
        store = SqliteStore(path)
        store.open()
        assert store.db.execute("PRAGMA user_version").fetchone() == (migrate.LATEST,)
        store.close()

    files = (Path(migrate.__file__).parent / "sql").glob("[0-9]*.sql")
    assert max(int(file.name[:4]) for file in files) == migrate.LATEST


def test_a_new_store_is_the_same_when_its_history_is_left_out(tmp_path: Path) -> None:
    def schema(db: sqlite3.Connection, ours: str = "") -> list[tuple[object, ...]]:
        query = f"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name != '{ours}'"
        return sorted(db.execute(query), key=str)

    migrate._whole.clear()
    with sqlite3.connect(tmp_path / "theirs.db") as first:
        first.execute("CREATE TABLE mine (it TEXT)")
        migrate.migrate(first, "theirs.db")
    assert not migrate._whole  # with tables of somebody else it is no new one
    second, third = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    migrate.migrate(second, ":memory:")
    assert migrate._whole
    migrate.migrate(third, ":memory:")
    assert len(schema(second)) > 40
    assert schema(third) == schema(second) == schema(first, "mine")
    for db in (first, second, third):
        assert db.execute("PRAGMA user_version").fetchone() == (migrate.LATEST,)
        db.close()


def test_a_migration_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE runs (mine TEXT)")  # in the way of the first migration
    db.close()
    store = SqliteStore(path)

    with pytest.raises(StoreError):
        store.open()

    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
    db.close()


def test_a_store_is_durable_by_default(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "x.db"))
    store.open()
    assert store.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    store.grow_wal()
    assert store.db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store.check() == []
    store.close()
