"""What every store has to do with messages, and with what is kept beside them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.stores import STORES
from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.changes import (
    AddRun,
    Applied,
    Change,
    EndRun,
    Entry,
    FlowStart,
    HoldDelivery,
    LeaseDelivery,
    Op,
    Outcome,
    Refused,
    RetryDelivery,
    SetFlow,
    TakeDeadLetter,
    TakeDelivery,
)
from workflow_agents.store.interface import FlowKeyRow, Store
from workflow_agents.store.message_changes import (
    AddMessage,
    AddMessageLetter,
    Deduplication,
    DropMessages,
    FreeQueue,
)
from workflow_agents.store.message_lists import MessageFilter
from workflow_agents.store.resource_changes import (
    DropGroup,
    DropQueue,
    DropSchedule,
    NeedQueue,
    PauseFlow,
    PauseQueue,
    PauseSchedule,
    PinFlow,
    PutEndpoints,
    PutSchedule,
    RemoveEndpoints,
    ResetRate,
    SetQueue,
    TickSchedule,
)

LARGE = b"x" * 20_000


class Bench:
    """A store, and the changes of these tests in few words."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.messages = store.messages

    def apply(self, *ops: Op, entries: tuple[Entry, ...] = ()) -> Outcome:
        [outcome] = self.store.apply([Change(ops, entries)])
        return outcome

    def applied(self, *ops: Op, entries: tuple[Entry, ...] = ()) -> Applied:
        outcome = self.apply(*ops, entries=entries)
        assert isinstance(outcome, Applied), outcome
        return outcome

    def refused(self, *ops: Op) -> Refused:
        outcome = self.apply(*ops)
        assert isinstance(outcome, Refused), outcome
        return outcome

    def add(self, url: str = "https://a.test/x", **options: Any) -> int:
        """A message and the entry that tells of it; its row."""
        created = Entry(0, 10, EntryKind.MESSAGE_CREATED, message=-1)
        applied = self.applied(message(url, **options), entries=(created,))
        return applied.messages[0][0]

    def due(self, now: int = 10) -> list[int | None]:
        return [delivery.message for delivery in self.store.due(now, 100).deliveries]

    def lease(self, row: int) -> tuple[int, int]:
        owed = self.messages.owed([row])[row]
        self.applied(LeaseDelivery(owed.delivery, owed.attempt))
        return owed.delivery, owed.attempt + 1

    def end(self, row: int, queue: str | None = None) -> None:
        ops: list[Op] = [TakeDelivery(*self.lease(row))]
        if queue is not None:
            ops.append(FreeQueue(queue, 10))
        told = Entry(0, 10, EntryKind.MESSAGE_DELIVERED, message=row)
        self.applied(*ops, entries=(told,))


def message(url: str = "https://a.test/x", **options: Any) -> AddMessage:
    given: dict[str, Any] = {"kind": MessageKind.PLAIN, "at": 10, "due_at": 10, "spec": b"{}"}
    return AddMessage(0, url=url, **(given | options))


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    store = STORES[request.param](tmp_path)
    store.open()
    yield Bench(store)
    assert store.check() == []
    store.close()


def test_the_end_of_a_run_frees_the_turns_that_its_messages_have_in_queues(bench: Bench) -> None:
    run = AddRun("wfr_1", "https://a.test/wf", Phase.REMOTE, None, 0, 10, b"", None)
    first = message(queue="q", kind=MessageKind.VISIT, step=0)
    began = bench.applied(NeedQueue("q", 10), run, first)
    behind = bench.add(queue="q")
    assert bench.due() == [began.messages[0][0]]
    bench.applied(EndRun(began.run, Phase.CANCELED, 10))
    assert bench.due() == [behind]


def test_a_message_is_read_as_it_was_added(bench: Bench) -> None:
    row = bench.add(
        body=LARGE,
        spec=b'{"url":"u"}',
        flow_key="k",
        url_group="g",
        endpoint="e",
        schedule="s",
        caller_ip="ip",
        source=None,
    )
    found = bench.messages.message(row)
    assert found is not None
    assert (found.body, found.spec, found.kind) == (LARGE, b'{"url":"u"}', MessageKind.PLAIN)
    assert (found.flow_key, found.url_group, found.endpoint) == ("k", "g", "e")
    assert (found.schedule, found.caller_ip, found.run) == ("s", "ip", 0)
    assert bench.messages.message(row + 1) is None


def test_messages_of_one_claim_are_found_by_it(bench: Bench) -> None:
    claim = Deduplication("id", 100, 2)
    first = bench.applied(message("https://a.test/1", dedup=claim), message("https://a.test/2"))
    for row, _ in first.messages:
        bench.applied(DropMessages((row,), 10))
    rows = [row for row, _ in first.messages]
    refused = bench.refused(message("https://a.test/3", dedup=claim), message())
    assert refused.existing == rows[0]
    assert [one.id for one in bench.messages.accepted_with("id")] == rows
    assert bench.messages.accepted_with("other") == []
    late = message("https://a.test/3", at=100, dedup=Deduplication("id", 200))
    again = bench.applied(late).messages[0][0]
    assert [one.id for one in bench.messages.accepted_with("id")] == [again]
    bench.applied(DropMessages((again,), 10))


def test_a_queue_gives_as_many_turns_as_it_allows(bench: Bench) -> None:
    bench.applied(NeedQueue("q", 10))
    rows = [bench.add(queue="q") for _ in range(4)]
    assert bench.due() == rows[:1]
    bench.applied(SetQueue("q", 2, None, 11))
    assert bench.due(11) == rows[:2]
    bench.end(rows[1], "q")
    assert sorted(map(str, bench.due(11))) == sorted(map(str, [rows[0], rows[2]]))
    bench.applied(SetQueue("q", 1, None, 12))
    assert bench.due(12) == rows[:1]
    queue = bench.messages.queue("q")
    assert queue is not None
    assert (queue.parallelism, queue.lag, queue.created_at, queue.updated_at) == (1, 3, 10, 12)


def test_a_turn_that_is_retried_keeps_its_place_and_its_time(bench: Bench) -> None:
    bench.applied(NeedQueue("q", 10))
    head, following = bench.add(queue="q"), bench.add(queue="q")
    delivery, attempt = bench.lease(head)
    bench.refused(RetryDelivery(delivery, attempt + 1, 50))
    bench.applied(RetryDelivery(delivery, attempt, 50), FreeQueue("q", 10))
    assert bench.due(49) == []
    assert bench.due(50) == [head]
    bench.applied(PauseQueue("q", paused=True, at=20))
    assert bench.due(99) == []
    bench.applied(PauseQueue("q", paused=False, at=30))
    assert bench.due(49) == []
    assert bench.due(50) == [head]
    assert bench.applied(DropMessages((head,), 60)).dropped == [head]
    assert bench.due(60) == [following]


def test_a_callback_in_a_queue_is_a_part_of_its_sources_turn(bench: Bench) -> None:
    bench.applied(NeedQueue("q", 10))
    head, _ = bench.add(queue="q"), bench.add(queue="q")
    told = Entry(0, 10, EntryKind.MESSAGE_DELIVERED, message=head)
    taken = TakeDelivery(*bench.lease(head))
    follows = message(queue="q", turn=head, source=head, kind=MessageKind.CALLBACK)
    added = bench.applied(taken, follows, FreeQueue("q", 10), entries=(told,))
    callback = added.messages[0][0]
    assert bench.due() == [callback]
    bench.applied(DropMessages((callback,), 10), entries=(Entry(0, 10, EntryKind.MESSAGE_CREATED),))


def test_the_turn_of_a_run_that_ends_is_the_next_ones(bench: Bench) -> None:
    bench.applied(NeedQueue("q", 10))
    begun = AddRun("wfr_1", "https://a.test/x", Phase.REMOTE, None, 0, 10, b"", None)
    first = message(queue="q", kind=MessageKind.VISIT, step=0)
    run = bench.applied(begun, first).run
    follows = bench.add(queue="q")
    assert follows not in bench.due()
    bench.applied(EndRun(run, Phase.CANCELED, 20))
    assert bench.due(20) == [follows]


def test_what_waits_goes_with_its_queue(bench: Bench) -> None:
    bench.applied(NeedQueue("q", 10))
    head, waits = bench.add(queue="q"), bench.add(queue="q")
    delivery, attempt = bench.lease(head)
    assert bench.applied(DropQueue("q", 11)).dropped == [waits]
    assert bench.messages.states([waits]) == {waits: EntryKind.MESSAGE_CANCELED}
    bench.refused(DropQueue("q", 11))
    bench.refused(PauseQueue("q", paused=True, at=11))
    assert bench.messages.queues() == []
    # What is left of the queue waits for nothing.
    bench.applied(RetryDelivery(delivery, attempt, 12), FreeQueue("q", 11))
    assert bench.due(12) == [head]


def test_endpoints_of_a_group(bench: Bench) -> None:
    bench.applied(PutEndpoints("g", (("u1", "a"), ("u2", None)), 10))
    bench.applied(PutEndpoints("g", (("u3", "a"), ("u2", "b")), 20))
    group = bench.messages.group("g")
    assert group is not None
    assert [(end.url, end.name) for end in group.endpoints] == [("u2", "b"), ("u3", "a")]
    assert (group.created_at, group.updated_at) == (10, 20)
    bench.applied(RemoveEndpoints("g", ("u2",), ("none",), 30))
    bench.refused(RemoveEndpoints("other", ("u2",), (), 30))
    assert [len(group.endpoints) for group in bench.messages.groups()] == [1]
    bench.applied(DropGroup("g"))
    bench.refused(DropGroup("g"))


def test_a_schedule_ticks_once(bench: Bench) -> None:
    put = PutSchedule("s", "* * * * *", "https://a.test", 10, 100, b"{}", LARGE, "ip")
    bench.applied(put)
    assert bench.store.due(99, 10).schedules == []
    assert bench.store.due(99, 10).next_at == 100
    assert bench.store.due(100, 10).schedules == ["s"]
    tick = TickSchedule("s", 100, 200, 100)
    row = bench.applied(message(), tick).messages[0][0]
    bench.refused(message(), tick)
    bench.applied(DropMessages((row,), 10))
    found = bench.messages.schedule("s")
    assert found is not None
    assert (found.due_at, found.last_at, found.last_messages) == (200, 100, [row])
    assert (found.body, found.caller_ip, found.created_at) == (LARGE, "ip", 10)
    bench.applied(TickSchedule("s", 200, 300, None, "why"))
    bench.applied(put._replace(at=20, due_at=999, body=None))
    [found] = bench.messages.schedules()
    assert (found.due_at, found.error, found.body, found.created_at) == (300, "why", b"", 10)
    bench.applied(PauseSchedule("s", paused=True, due_at=None))
    bench.applied(put._replace(cron="0 * * * *", due_at=999))
    assert bench.store.due(10_000, 10).schedules == []
    bench.applied(PauseSchedule("s", paused=False, due_at=400))
    bench.applied(PauseSchedule("s", paused=False, due_at=500))
    assert bench.store.due(400, 10).schedules == ["s"]
    bench.applied(DropSchedule("s"))
    bench.refused(DropSchedule("s"))
    bench.refused(PauseSchedule("s", paused=True, due_at=None))


def test_a_key_is_paused_pinned_and_begun_anew(bench: Bench) -> None:
    row = bench.add(flow_key="k")
    held = bench.messages.owed([row])[row].delivery
    bench.applied(PauseFlow("k", paused=True, at=10))
    bench.applied(HoldDelivery(held, None))
    assert bench.messages.waiting_for_flow("k", 10) == 1
    assert bench.due(10**9) == []
    bench.applied(PinFlow("k", "parallelism=1", "parallelism", 20))
    assert bench.store.flow_key("k") == FlowKeyRow("k", "parallelism=1", True, "parallelism")
    assert bench.store.ruled_flow_keys() == [bench.store.flow_key("k")]
    assert bench.due(20) == [row]
    bench.applied(HoldDelivery(held, None))
    bench.applied(PauseFlow("k", paused=False, at=30))
    assert bench.due(30) == [row]
    bench.applied(FlowStart("k", 30, 0))
    bench.applied(SetFlow("k", "rate=1"), ResetRate("k", 40))
    assert bench.store.flow("k", 0) == (0, [])
    assert [key.flow_key for key in bench.messages.flow_keys()] == ["k"]
    assert bench.messages.flow_keys("other") == []
    bench.applied(PinFlow("k", "rate=1", "", 50))
    assert bench.store.ruled_flow_keys() == []


def test_letters_and_entries_are_found_by_what_they_have_in_common(bench: Bench) -> None:
    rows: list[int] = []
    for n in range(3):
        row = bench.add(f"https://h{n}.test:80{n}/p{n}?q", labels=("all", f"l{n}"), caller_ip="ip")
        taken = TakeDelivery(*bench.lease(row))
        failed = Entry(0, 20 + n, EntryKind.MESSAGE_FAILED, message=row)
        letter = AddMessageLetter(f"{n}", row, 20 + n, f'{{"status":{500 + n}}}')
        bench.applied(taken, letter, entries=(failed,))
        rows.append(row)

    def letters(**which: Any) -> list[str]:
        return [one.id for one in bench.messages.letters(MessageFilter(**which), None, 10)]

    assert letters() == ["2", "1", "0"]
    assert letters(letters=("0", "2"), labels=("l2", "l1")) == ["2"]
    assert letters(statuses=(501,)) == letters(hosts=("H1.test",)) == ["1"]
    assert letters(hosts=("h1.test:801",), paths=("/p1",)) == ["1"]
    assert letters(since=21, until=21) == letters(urls=("https://h1.test:801/p1?q",)) == ["1"]
    assert letters(ids=(rows[0],)) == ["0"]
    assert letters(ids=()) == letters(queues=("q",)) == []
    newest = bench.messages.letters(MessageFilter(), None, 1)[0]
    rest = bench.messages.letters(MessageFilter(), newest.row, 10)
    assert [one.id for one in rest] == ["1", "0"]
    entries = bench.messages.entries(MessageFilter(labels=("all",)), None, 10)
    assert [entry.kind.name for entry in entries][:2] == ["MESSAGE_FAILED", "MESSAGE_CREATED"]
    failed = MessageFilter(kinds=(EntryKind.MESSAGE_FAILED,))
    assert len(bench.messages.entries(failed, entries[1].seq, 10)) == 2
    assert set(bench.messages.states(rows).values()) == {EntryKind.MESSAGE_FAILED}
    bench.applied(TakeDeadLetter("0"))
    bench.refused(TakeDeadLetter("0"))
    assert bench.store.dead_letters(None, 10) == []


def test_old_messages_are_forgotten_with_all_that_was_told_of_them(bench: Bench) -> None:
    old, owed, lettered, young = (
        bench.add(labels=("l",), body=LARGE + bytes([n]), at=10 if n < 3 else 200) for n in range(4)
    )
    bench.end(old)
    bench.end(young)
    taken = TakeDelivery(*bench.lease(lettered))
    failed = Entry(0, 150, EntryKind.MESSAGE_FAILED, message=lettered)
    bench.applied(taken, AddMessageLetter("a", lettered, 150, "{}"), entries=(failed,))
    assert bench.messages.forget(100, 300, 10) == 1
    assert [bool(bench.messages.message(row)) for row in (old, owed, lettered, young)] == [
        False,
        True,
        True,
        True,
    ]
    assert bench.messages.states([old]) == {}
    assert bench.messages.forget(160, 300, 10) == 1
    assert bench.messages.letters(MessageFilter(), None, 10) == []
    assert bench.messages.forget(160, 300, 10) == 0
    while bench.store.sweep(100):
        pass
    assert bench.store.size()["payloads"] >= 2
