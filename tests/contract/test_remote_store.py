"""What every store has to do with remote runs: each operation, each refusal, each query."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.stores import STORES
from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import notified, timed_out
from workflow_agents.store.changes import (
    AddDeadLetter,
    AddRun,
    AddWaiter,
    Applied,
    Change,
    EndRun,
    Entry,
    Notify,
    Op,
    Outcome,
    Refused,
    Resolve,
    WaiterKind,
    WaitForNotification,
)
from workflow_agents.store.interface import Store
from workflow_agents.store.message_changes import (
    AddMessage,
    InheritMessages,
    Reachable,
    Unasked,
)
from workflow_agents.store.remote_rows import LetterFilter, RunFilter

URL = "https://shop.test/api/order"
VISIT, PLAN, CALL = MessageKind.VISIT, MessageKind.PLAN, MessageKind.CALL
ANSWER, TRIGGER = MessageKind.CALL_ANSWER, MessageKind.TRIGGER
SPEC = json.dumps({"url": URL}).encode()


class Bench:
    """A store, and the changes of these tests in few words."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.remote = store.messages.remote

    def apply(self, *ops: Op, entries: tuple[Entry, ...] = ()) -> Outcome:
        [outcome] = self.store.apply([Change(ops, entries)])
        return outcome

    def done(self, *ops: Op, entries: tuple[Entry, ...] = ()) -> Applied:
        outcome = self.apply(*ops, entries=entries)
        assert isinstance(outcome, Applied), outcome
        return outcome

    def begin(self, run_id: str = "wfr_1", kind: MessageKind = VISIT, **more: object) -> int:
        run = AddRun(
            run_id,
            URL,
            Phase.REMOTE,
            None,
            0,
            10,
            b"payload",
            None,
            **more,  # type: ignore
        )
        first = AddMessage(0, kind, 10, 10, URL, SPEC, b"payload", step=0, caller_ip="203.0.113.7")
        return self.done(run, first).run

    def message(self, run: int, kind: MessageKind, step: int, body: bytes = b"{}") -> AddMessage:
        return AddMessage(run, kind, 20, 20, URL, SPEC, body, step=step)

    def wait(self, run: int, step: int, event: str) -> AddWaiter:
        asked = json.dumps({"step": {"stepId": step, "stepName": "w"}, "spec": {"url": URL}})
        return AddWaiter(
            run, step, WaiterKind.REMOTE, StepKind.WAIT, "w", 1_000, event, data=asked.encode()
        )

    def steps(self, run: int) -> list[dict[str, object]]:
        rows = self.remote.elements(run, after=0, limit=100)[1:]
        return [json.loads(row.body) for row in rows]


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    store = STORES[request.param](tmp_path)
    store.open()
    yield Bench(store)
    store.close()


def test_a_run_is_told_of_without_its_payload(bench: Bench) -> None:
    run = bench.begin(labels=("eu",), flow_key="shop")
    for key in (run, "wfr_1"):
        found = bench.remote.run(key)
        assert found is not None
        assert (found.id, found.run_id, found.url, found.triggered) == (run, "wfr_1", URL, True)
    assert bench.remote.run("wfr_2") is None
    assert bench.remote.is_open(run)
    bench.done(EndRun(run, Phase.SUCCESS, 30, b"1"))
    assert not bench.remote.is_open(run)


def test_what_an_sdk_has_triggered_again_counts(bench: Bench) -> None:
    run = bench.begin(kind=TRIGGER)
    asked = bench.remote.run(run)
    assert asked is not None
    assert not asked.triggered
    bench.done(bench.message(run, VISIT, 0))
    again = bench.remote.run(run)
    assert again is not None
    assert again.triggered
    assert again.first != asked.first


def test_a_run_says_the_same_of_a_step_once(bench: Bench) -> None:
    run = bench.begin()
    first = bench.done(bench.message(run, PLAN, 1)).messages[0][0]
    bench.done(bench.message(run, VISIT, 1))
    refused = bench.apply(bench.message(run, PLAN, 2), bench.message(run, PLAN, 1))
    assert isinstance(refused, Refused)
    assert refused.existing == first
    assert bench.remote.said(run, 2, PLAN) is None
    assert [row.kind for row in bench.remote.elements(run, after=0, limit=9)] == [
        VISIT, PLAN, VISIT,
    ]  # fmt: skip


def test_nothing_reaches_a_run_that_is_over_or_never_was(bench: Bench) -> None:
    run = bench.begin()
    bench.done(EndRun(run, Phase.CANCELED, 30))
    for gone in (run, 77):
        outcome = bench.apply(Reachable(gone), bench.message(run, VISIT, 1))
        assert isinstance(outcome, Refused)
        assert outcome.op == Reachable(gone)


def test_a_step_that_waits_or_has_an_outcome_was_asked(bench: Bench) -> None:
    run = bench.begin()
    bench.done(Unasked(run, 1), bench.wait(run, 1, "paid"))
    assert isinstance(bench.apply(Unasked(run, 1)), Refused)
    bench.done(Resolve(run, 1, WaiterKind.REMOTE, 30, timed_out(), must=True))
    assert isinstance(bench.apply(Unasked(run, 1)), Refused)
    assert isinstance(bench.apply(Unasked(run, 2)), Applied)


def test_a_wait_is_ended_once(bench: Bench) -> None:
    run = bench.begin(flow_key="shop")
    bench.done(WaitForNotification(bench.wait(run, 1, "paid"), 20))
    told = bench.done(Notify("paid", None, 30, b"null", notified(b"yes")))
    assert [woken.message for woken in told.woken] == [told.messages[0][0]]
    late = bench.apply(Resolve(run, 1, WaiterKind.REMOTE, 40, timed_out(), must=True))
    assert isinstance(late, Refused)
    assert bench.steps(run) == [
        {"stepId": 1, "stepName": "w", "out": "eWVz", "waitTimeout": False, "waitEventId": "paid"}
    ]
    message = bench.store.messages.message(told.messages[0][0])
    assert message is not None
    assert message.flow_key == "shop"
    assert bench.store.check() == []


def test_a_notification_of_a_run_is_kept_in_the_form_of_remote_runs(bench: Bench) -> None:
    run = bench.begin()
    assert bench.done(Notify("paid", run, 30, b"null", notified(b"1"))).kept == 1
    bench.done(Notify("paid", run, 30, b"null", notified(b"2")))
    for step in (1, 2):
        bench.done(WaitForNotification(bench.wait(run, step, "paid"), 40))
    assert [step["out"] for step in bench.steps(run)] == ["MQ==", "Mg=="]


def test_the_end_of_a_run_takes_what_it_owes(bench: Bench) -> None:
    run = bench.begin()
    bench.done(bench.message(run, CALL, 1), bench.wait(run, 2, "paid"))
    under_way = bench.done(bench.message(run, PLAN, 3)._replace(due_at=None)).messages[0][0]
    bench.done(Notify("later", run, 30, b"null", notified(b"")))
    bench.done(EndRun(run, Phase.FAILED, 40, b"{}"))
    messages = [row.id for row in bench.store.messages.of_run(run)]
    assert [*bench.store.messages.owed(messages)] == [under_way]
    assert bench.store.waiters_for("paid", None) == []


def test_a_run_takes_over_the_elements_of_another(bench: Bench) -> None:
    old = bench.begin()
    for kind, step in ((PLAN, 1), (PLAN, 2), (CALL, 2), (ANSWER, 2), (CALL, 3)):
        bench.done(bench.message(old, kind, step, b'{"of":"%d"}' % step))
    entry = Entry(old, 30, EntryKind.STEP_SUCCESS, StepKind.RUN, 1, "a", outcome=True, message=-1)
    bench.done(bench.message(old, VISIT, 1, b"x" * 20_000), entries=(entry,))
    of = {(row.kind, row.step): row for row in bench.store.messages.of_run(old)}
    run = AddRun("wfr_2", URL, Phase.REMOTE, None, 0, 50, b"payload", None, inherit=old)
    applied = bench.done(
        run,
        InheritMessages(
            old, 50, {of[ANSWER, 2].id: 60}, frozenset({of[CALL, 2].id}),
            {of[VISIT, 0].id: b'{"url":"https://other.test/"}'}, "shop",
        ),
    )  # fmt: skip
    rows = bench.store.messages.of_run(applied.run)
    assert [(row.kind, row.step) for row in rows] == [
        (VISIT, 0), (PLAN, 1), (PLAN, 2), (CALL, 2), (ANSWER, 2), (VISIT, 1),
    ]  # fmt: skip
    assert rows[0].spec == b'{"url":"https://other.test/"}'
    assert rows[-1].body == b"x" * 20_000
    owed = bench.store.messages.owed([row.id for row in rows])
    assert [(message, one.due_at) for message, one in owed.items()] == [(rows[4].id, 60)]
    assert rows[4].flow_key == "shop"
    assert isinstance(bench.apply(Unasked(applied.run, 1)), Refused)


def test_a_run_that_was_never_triggered_again_begins_as_any_other(bench: Bench) -> None:
    old = bench.begin(kind=TRIGGER)
    run = AddRun("wfr_2", URL, Phase.REMOTE, None, 0, 50, b"payload", None, inherit=old)
    new = bench.done(run, InheritMessages(old, 50, {}, frozenset(), {}, None)).run
    assert [(row.kind, row.step) for row in bench.store.messages.of_run(new)] == [(VISIT, 0)]


def test_runs_are_found(bench: Bench) -> None:
    one = bench.begin("wfr_1", labels=("eu", "vip"), flow_key="shop")
    two = bench.begin("wfr_2", labels=("us",))
    bench.done(EndRun(two, Phase.FAILED, 30), entries=(Entry(two, 30, EntryKind.RUN_FAILED),))

    def found(before: int | None = None, limit: int = 9, **which: object) -> list[int]:
        rows = bench.remote.find(RunFilter(**which), before=before, limit=limit)  # type: ignore
        return [row.id for row in rows]

    assert found() == [two, one]
    assert found(limit=1) == [two]
    assert found(before=two) == [one]
    for which, rows in (
        ({"run_ids": ("wfr_1", "wfr_9")}, [one]),
        ({"urls": (URL,)}, [two, one]),
        ({"urls": (URL[:-1],)}, []),
        ({"prefixes": (URL[:-1],)}, [two, one]),
        ({"hosts": ("shop.test",), "paths": ("/api/order",)}, [two, one]),
        ({"paths": ("/api",)}, []),
        ({"labels": ("vip", "us")}, [two, one]),
        ({"labels": ("vip",), "urls": ("https://else.test/",)}, []),
        ({"flow_keys": ("shop",)}, [one]),
        ({"caller_ips": ("203.0.113.7",)}, [two, one]),
        ({"phases": (int(Phase.REMOTE),)}, [one]),
        ({"happened": (int(EntryKind.RUN_FAILED),)}, [two]),
        ({"messages": (bench.store.messages.of_run(one)[0].id,)}, [one]),
        ({"created_at": 10}, [two, one]),
        ({"from_at": 11}, []),
        ({"to_at": 9}, []),
    ):
        assert found(**which) == rows, which


def test_dead_letters_of_runs_are_found(bench: Bench) -> None:
    runs = [bench.begin(f"wfr_{n}", labels=(f"label{n}",)) for n in range(3)]
    for n, run in enumerate(runs):
        bench.done(
            EndRun(run, Phase.FAILED, 30),
            AddDeadLetter(f"30-{n}", run, 30 + n, json.dumps({"status": 500 + n}), "CALLBACK_FAIL"),
        )

    def found(before: int | None = None, limit: int = 9, **which: object) -> list[str]:
        rows = bench.remote.letters(LetterFilter(**which), before=before, limit=limit)  # type: ignore
        return [row.id for row in rows]

    assert found() == ["30-2", "30-1", "30-0"]
    place = bench.remote.letters(LetterFilter(ids=("30-1",)), before=None, limit=1)[0].place
    assert found(before=place) == ["30-0"]
    assert found(statuses=(501, 502), limit=1) == ["30-2"]
    assert found(callbacks=("CALLBACK_SUCCESS",)) == []
    assert found(runs=RunFilter(labels=("label1",))) == ["30-1"]
    assert found(from_at=31, to_at=31) == ["30-1"]
    letter = bench.remote.letter_of(runs[0])
    assert letter is not None
    assert letter.id == "30-0"


def test_a_store_that_has_lost_a_visit_says_so(bench: Bench) -> None:
    run = bench.begin()
    bench.done(bench.message(run, PLAN, 1))
    assert bench.store.check() == []
    bench.store.db.execute("DELETE FROM deliveries")  # type: ignore
    assert any("neither owed nor delivered" in fault for fault in bench.store.check())


def test_what_was_a_run_is_cleaned_with_all_of_it(bench: Bench) -> None:
    run = bench.begin()
    bench.done(bench.message(run, VISIT, 1, b"y" * 20_000))
    bench.done(EndRun(run, Phase.SUCCESS, 30, b"1"))
    assert bench.store.clean(100, 200, 10) == 1
    assert bench.store.messages.of_run(run) == []
    while bench.store.sweep(100):
        pass
    assert bench.store.check() == []


def test_a_visit_is_followed_by_what_its_endpoint_submits(bench: Bench) -> None:
    run = bench.begin()

    def followed() -> dict[tuple[MessageKind, int], bool]:
        visits = [m for m in bench.store.messages.of_run(run) if m.kind is not CALL]
        return {(m.kind, int(str(m.step))): bench.remote.is_followed(m) for m in visits}

    assert followed() == {(VISIT, 0): False}
    bench.done(bench.message(run, VISIT, 1))
    assert followed() == {(VISIT, 0): True, (VISIT, 1): False}

    # A group of a step, a call and a wait; each plan by itself, whatever is there of the others.
    bench.done(*(bench.message(run, PLAN, step) for step in (2, 3, 4)))
    assert followed() == {
        (VISIT, 0): True, (VISIT, 1): True, (PLAN, 2): False, (PLAN, 3): False, (PLAN, 4): False,
    }  # fmt: skip
    bench.done(bench.message(run, CALL, 3))
    bench.done(bench.wait(run, 4, "paid"))
    bench.done(bench.message(run, ANSWER, 3))
    assert [followed()[PLAN, step] for step in (2, 3, 4)] == [False, True, True]
    assert not followed()[ANSWER, 3]
    bench.done(bench.message(run, VISIT, 3))
    assert followed()[ANSWER, 3]
    bench.done(Resolve(run, 4, WaiterKind.REMOTE, 30, timed_out(), must=True))
    bench.done(bench.message(run, VISIT, 2))
    assert followed()[PLAN, 2]
    assert followed()[PLAN, 4]

    # Which of the results was the last one nobody needs to know: the next step follows them all.
    assert not any(followed()[VISIT, step] for step in (2, 3, 4))
    bench.done(bench.wait(run, 5, "sent"))
    assert all(followed()[VISIT, step] for step in (2, 3, 4))
    bench.done(Resolve(run, 5, WaiterKind.REMOTE, 40, timed_out(), must=True))
    assert {visit for visit, is_followed in followed().items() if not is_followed} == {(VISIT, 5)}


def test_what_follows_in_another_run_counts_for_nothing(bench: Bench) -> None:
    first, second = bench.begin("wfr_1"), bench.begin("wfr_2")
    bench.done(bench.message(second, VISIT, 1))
    bench.done(bench.wait(second, 2, "paid"))
    (visit,) = bench.store.messages.of_run(first)
    assert not bench.remote.is_followed(visit)
