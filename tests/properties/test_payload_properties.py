"""Whatever is written, refused, settled, ended and cleaned: no data is lost, and none is left.

Random changes on a real store, beside a model of what has to be readable. The store is checked
after each, which finds every payload that nothing refers to, and every wrong count.
"""

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.store.changes import (
    AddDelivery,
    AddRun,
    Applied,
    Change,
    DropDelivery,
    EndRun,
    Entry,
    Guard,
    LeaseDelivery,
    Op,
    Outcome,
    TakeDelivery,
)
from workflow_agents.store.sqlite import SqliteStore

FOR_EVER = 10**12


@dataclass
class Run:
    """A run as it has to be found."""

    row: int
    input: bytes
    results: dict[int, bytes] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    owed: dict[int, bytes] = field(default_factory=dict)
    end: bytes | None = None


class Play:
    """Random changes, and what has to be there after them."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.store = SqliteStore(":memory:", synchronous="OFF")
        self.store.open()
        self.runs: dict[int, Run] = {}
        self.made = 0

    def data(self) -> bytes:
        """Few different texts, so that data often has something in common."""
        draw = self.draw
        texts = [f"text {draw.randrange(6)} " * draw.choice((1, 40, 200)) for _ in range(9)]
        kept = texts[: draw.randrange(1, 9)]
        return draw.choice((encode(kept), encode({"m": kept * 7}), texts[0].encode() * 9))

    def apply(self, *ops: Op, entry: Entry | None = None) -> Outcome:
        [outcome] = self.store.apply([Change(ops, (entry,) if entry else ())])
        return outcome

    def open_run(self) -> Run | None:
        live = [run for run in self.runs.values() if run.end is None]
        return self.draw.choice(live) if live else None

    def add(self) -> None:
        self.made += self.draw.random() < 0.8  # else an id that is taken
        data = self.data()
        outcome = self.apply(
            AddRun(f"wfr_{self.made}", "/w", Phase.LEASED, None, 1, 1, data, None),
            entry=Entry(0, 1, EntryKind.RUN_STARTED),
        )
        if isinstance(outcome, Applied):
            self.runs[outcome.run] = Run(outcome.run, data)

    def record(self) -> None:
        if run := self.open_run():
            step, data, token = self.draw.randrange(8), self.data(), self.draw.choice((1, 1, 2))
            entry = Entry(
                run.row, 2, EntryKind.STEP_SUCCESS, StepKind.RUN, step, "s", data, outcome=True
            )
            if isinstance(self.apply(Guard(run.row, token), entry=entry), Applied):
                run.results[step] = data

    def owe(self) -> None:
        if run := self.open_run():
            step, body, keeps = self.draw.randrange(8), self.data(), self.draw.random() < 0.7
            entry = Entry(
                run.row, 2, EntryKind.STEP_WAITING, StepKind.CALL, step, "s", b"{}", owes=keeps
            )
            token = self.draw.choice((1, 1, 2))
            owed = AddDelivery(run.row, step, 1, 5, b"{}", body)
            if isinstance(self.apply(Guard(run.row, token), owed, entry=entry), Applied):
                run.owed.setdefault(step, body)
                run.bodies += [body] * keeps

    def settle(self) -> None:
        for row in self.store.due(10, 3).deliveries:
            assert isinstance(row.step, int)
            if self.draw.random() < 0.5:
                self.apply(LeaseDelivery(row.id, row.attempt))
                self.apply(TakeDelivery(row.id, row.attempt + 1))
            else:
                self.apply(DropDelivery(row.run, row.step, 1))
            del self.runs[row.run].owed[row.step]

    def end(self) -> None:
        if run := self.draw.choice([*self.runs.values(), None]):
            result = self.data()
            if isinstance(self.apply(EndRun(run.row, Phase.SUCCESS, 3, result)), Applied):
                run.end = result
                run.owed.clear()

    def clean(self) -> None:
        gone = self.store.clean(FOR_EVER, 9, self.draw.randrange(1, 4))
        ended = [run.row for run in self.runs.values() if run.end is not None]
        assert gone <= len(ended)
        for row in ended:
            if self.store.run(row) is None:
                del self.runs[row]

    def sweep(self) -> None:
        self.store.sweep(self.draw.randrange(1, 30))

    def look(self) -> None:
        """Everything is as the model says, and nothing else is there."""
        assert self.store.check() == []
        owed = {(d.run, d.step): d.body for d in self.store.due(10, 10_000).deliveries}
        assert owed == {(r.row, s): body for r in self.runs.values() for s, body in r.owed.items()}
        for run in self.runs.values():
            row = self.store.run(run.row)
            assert row is not None
            assert (row.input, row.result) == (run.input, run.end)
            found = {step.key: step.data for step in self.store.history(run.row).recorded}
            assert found == run.results
            bodies = self.store.bodies(run.row, FOR_EVER).values()
            assert [body.data for body in bodies] == run.bodies


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 60))
def test_no_data_is_lost_and_none_is_left(seed: int, length: int) -> None:
    play = Play(random.Random(seed))
    acts = [play.add, play.record, play.record, play.owe, play.owe, play.settle]
    acts += [play.end, play.clean, play.sweep, play.sweep]
    for _ in range(length):
        play.draw.choice(acts)()
        play.look()

    for run in [*play.runs.values()]:
        play.apply(EndRun(run.row, Phase.CANCELED, 3))
    while play.store.clean(FOR_EVER, 9, 5):
        pass
    while play.store.sweep(50):
        pass
    assert play.store.check() == []
    tables = ("payloads", "payload_uses", "loose_payloads")
    left = [play.store.db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables]
    assert left == [0, 0, 0]
    play.store.close()
