"""What every store has to do with large data: share what is common, keep what is referred to.

A conversation that grows is stored as what is new in it; nothing is lost that a row refers to,
and nothing is left behind that none does.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.stores import STORES
from tests.contract.test_store import CALL, Bench, outcome_of
from workflow_agents.core.lifecycle import Phase
from workflow_agents.errors import StoreError
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind
from workflow_agents.store import migrate
from workflow_agents.store.changes import (
    AddDelivery,
    AddRun,
    Applied,
    DropDelivery,
    EndRun,
    Entry,
    Guard,
    LeaseDelivery,
    Refused,
    TakeDelivery,
)
from workflow_agents.store.interface import Body
from workflow_agents.store.sqlite import SqliteStore

BIG = encode([{"n": n, "text": f"{n} bottles of beer on the wall. " * 20} for n in range(40)])
LATER = 10**9


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    store = STORES[request.param](tmp_path)
    store.open()
    yield Bench(store)
    assert store.check() == []
    store.close()


def owe(bench: Bench, run: int, step: Any, body: bytes | None) -> Applied:
    """A call step: the request that it owes, and the entry that keeps its body."""
    waiting = Entry(run, 100, EntryKind.STEP_WAITING, CALL, step, "call", b"{}", owes=True)
    return bench.applied(
        Guard(run, 1), AddDelivery(run, step, 1, 50, b"{}", body), entries=(waiting,)
    )


def settle(bench: Bench) -> None:
    for owed in bench.store.due(LATER, 100).deliveries:
        bench.applied(LeaseDelivery(owed.id, owed.attempt))
        bench.applied(TakeDelivery(owed.id, owed.attempt + 1))


def swept(bench: Bench) -> int:
    """How many payloads there are once those are gone that nothing refers to."""
    while bench.store.sweep(7):
        pass
    return bench.store.size()["payloads"]


def conversation(turns: int) -> bytes:
    text = "What a long and winding road it was, as one of them said at turn {}. " * 6
    said = [{"role": "user", "content": text.replace("{}", str(n))} for n in range(turns)]
    return encode({"model": "m", "messages": said})


def test_a_conversation_is_stored_as_what_is_new_in_it(bench: Bench) -> None:
    run = bench.run()
    grown: list[int] = []
    for n in range(1, 120):
        before = bench.store.size()["payloads"]
        owe(bench, run, n, conversation(n))
        grown.append(bench.store.size()["payloads"] - before)

    assert max(grown) <= 7
    kept = bench.store.bodies(run, 10**9).values()
    assert [body.data for body in kept] == [conversation(n) for n in range(1, 120)]
    owed = {d.step: d.body for d in bench.store.due(LATER, 1_000).deliveries}
    assert owed == {n: conversation(n) for n in range(1, 120)}


def test_a_text_is_stored_once_in_result_request_and_input(bench: Bench) -> None:
    text = "All work and no play makes Jack a dull boy. " * 100
    run = bench.run(input=encode({"prompt": text}))
    few = bench.store.size()["payloads"]

    bench.record(run, 1, encode({"ok": text}))
    owe(bench, run, 2, encode({"messages": [{"role": "user", "content": text}]}))

    # What is around the text in each, and the list; the text itself is there already.
    assert bench.store.size()["payloads"] - few <= 6
    assert bench.store.history(run).recorded[0].data == encode({"ok": text})


@pytest.mark.parametrize("size", [0, 1, 1_024, 1_025, 4_096, 4_097, 70_000])
def test_data_of_every_size_comes_back_whole(bench: Bench, size: int) -> None:
    for n, data in enumerate((b"x" * size, encode("x" * size), encode(["é" * 9] * (size // 18)))):
        run = bench.run(input=data)
        bench.record(run, 1, data)
        owe(bench, run, 2, data)
        assert bench.store.history(run).recorded[0].data == data
        [owed] = bench.store.due(LATER, 10).deliveries
        assert owed.body == data
        bench.applied(EndRun(run, Phase.SUCCESS, 100, data))
        row = bench.store.run(run)
        assert row is not None
        assert (row.input, row.result) == (data, data), n
        assert bench.store.runs(workflow=None, phase=None, label=None, before=None, limit=1)[
            0
        ].result == (data)


def test_the_body_of_a_request_stays_when_the_request_is_settled(bench: Bench) -> None:
    run = bench.run()
    owe(bench, run, 1, BIG)
    owe(bench, run, 2, None)
    owe(bench, run, 3, b"short")
    settle(bench)

    assert swept(bench) > 1
    found = bench.store.bodies(run, 10**6)
    assert [*found.values()] == [Body(len(BIG), BIG), Body(5, b"short")]
    entries = {entry.seq: entry for entry in bench.store.feed(run=run, after=0, limit=9)}
    assert [entries[seq].step for seq in found] == [1, 3]
    assert {entry.data for entry in entries.values()} == {None, b"{}"}


def test_bodies_have_as_much_room_as_they_are_given(bench: Bench) -> None:
    run = bench.run()
    bodies = [BIG, b"y" * 3_000, b"z" * 3_000, b"z" * 3_000]
    for step, body in enumerate(bodies):
        owe(bench, run, step, body)

    def shown(most: int) -> list[bool]:
        return [body.data is not None for body in bench.store.bodies(run, most).values()]

    assert shown(10**6) == [True, True, True, True]
    assert shown(6_500) == [False, True, True, True]
    assert shown(3_500) == [False, False, True, True]
    assert shown(0) == [False] * 4
    assert [body.size for body in bench.store.bodies(run, 0).values()] == [*map(len, bodies)]


def test_a_request_that_nobody_keeps_leaves_nothing(bench: Bench) -> None:
    run = bench.run()
    for step in range(3):
        bench.delivery(run, step=step, body=BIG + b"%d" % step)
    settle(bench)
    bench.delivery(run, step=7, body=BIG)
    bench.applied(DropDelivery(run, 7, 1))
    bench.delivery(run, step=8, body=BIG)
    bench.applied(EndRun(run, Phase.CANCELED, 100))

    assert swept(bench) == 0


def test_what_was_refused_leaves_nothing(bench: Bench) -> None:
    run = bench.run()
    bench.record(run, 1)
    assert isinstance(bench.record(run, 1, BIG), Refused)
    assert isinstance(bench.apply(Guard(run, 7), entries=(outcome_of(run, 2, BIG),)), Refused)
    again = AddRun("wfr_1", "/w", Phase.DUE, 1, 1, 1, BIG, None)
    assert isinstance(bench.apply(again), Refused)
    bench.applied(EndRun(run, Phase.CANCELED, 100))
    assert isinstance(bench.apply(EndRun(run, Phase.SUCCESS, 100, BIG)), Refused)

    assert swept(bench) == 0


def test_cleaning_keeps_what_others_refer_to(bench: Bench) -> None:
    old, young = bench.run(input=conversation(60)), bench.run(input=conversation(70))
    both = bench.store.size()["payloads"]
    bench.applied(EndRun(old, Phase.SUCCESS, 100, encode(["bye"] * 3_000)))

    assert bench.store.clean(200, 300, 10) == 1
    assert 1 < swept(bench) < both
    row = bench.store.run(young)
    assert row is not None
    assert row.input == conversation(70)
    bench.applied(EndRun(young, Phase.SUCCESS, 100))
    assert bench.store.clean(200, 300, 10) == 1
    assert swept(bench) == 0
    assert bench.store.sweep(10) == 0


def test_sweeping_takes_a_few_at_a_time(bench: Bench) -> None:
    run = bench.run()
    for n in range(20):
        bench.delivery(run, step=n, body=b"x" * 5_000 + b"%d" % n)
    settle(bench)

    assert bench.store.sweep(8) == 8
    assert bench.store.size()["payloads"] == 12
    # What becomes loose and is wanted again, is kept.
    bench.delivery(run, step="again", body=b"x" * 5_000 + b"19")
    assert swept(bench) == 1


def test_a_number_that_is_given_again_means_what_it_means_now(bench: Bench) -> None:
    run = bench.run()
    for n in range(3):
        bench.delivery(run, step=n, body=b"%d" % n * 5_000)
        [owed] = bench.store.due(LATER, 10).deliveries
        assert owed.body == b"%d" % n * 5_000
        settle(bench)
        assert swept(bench) == 0


# SQLite.


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(tmp_path / "x.db"))
    store.open()
    Bench(store).run(input=conversation(200))
    yield store
    store.close()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM payloads WHERE id = 5", "names what is not there"),
        ("DELETE FROM payloads WHERE depth = 2", "a reference of runs to a payload"),
        ("UPDATE payloads SET data = x'20' WHERE id = 5", "is not what its hash says: 5"),
        ("UPDATE payloads SET depth = 3 WHERE depth = 2", "not one level below"),
        ("UPDATE payload_uses SET uses = 7 WHERE payload = 5", "1 lists, counted as 7: 5"),
        ("DELETE FROM payload_uses WHERE payload = 5", "1 lists, counted as 0: 5"),
        ("UPDATE runs SET payload = NULL", "a payload that nothing refers to"),
    ],
)
def test_the_check_finds_what_is_damaged(damaged: SqliteStore, damage: str, found: str) -> None:
    assert damaged.check() == []
    damaged.db.execute(damage)

    assert any(found in fault for fault in damaged.check()), damaged.check()


def test_data_that_is_not_there_is_told(damaged: SqliteStore) -> None:
    damaged.db.execute("DELETE FROM payloads WHERE id = 5")
    with pytest.raises(StoreError, match="WA605"):
        damaged.run(1)


def test_a_store_of_the_version_before_keeps_its_payloads(tmp_path: Path) -> None:
    """It is made by the schema that it had: large input and result, and a request left over."""
    path = str(tmp_path / "x.db")
    first = (Path(migrate.__file__).parent / "sql" / "0001_init.sql").read_text()
    with sqlite3.connect(path) as db:
        db.executescript(f"{first};PRAGMA user_version=1;")
        db.execute("INSERT INTO payloads (hash, data) VALUES (x'00', ?)", (b"left over",))
        for data in (b"i" * 9_000, BIG):
            digest = hashlib.sha256(data).digest()
            db.execute("INSERT INTO payloads (hash, data) VALUES (?, ?)", (digest, data))
        db.execute(
            "INSERT INTO runs (id, run_id, workflow, phase, token, wakes, attempt, created_at,"
            " payload) VALUES (1, 'wfr_1', '/w', ?, 1, 0, 0, 9, 2)",
            (int(Phase.LEASED),),
        )
        db.execute(
            "INSERT INTO feed (run, at, kind, type, step, name, payload, mark)"
            " VALUES (1, 9, 10, 1, 1, 'one', 3, 0)"
        )
    db.close()

    bench = Bench(SqliteStore(path))
    bench.store.open()

    row = bench.store.run(1)
    assert row is not None
    assert row.input == b"i" * 9_000
    assert bench.store.history(1).recorded[0].data == BIG
    # The same bytes again are those that are there; what was left over goes.
    bench.record(1, 2, b"i" * 9_000)
    assert swept(bench) == 2
    assert bench.store.check() == []
    bench.store.close()
