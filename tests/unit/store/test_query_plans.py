"""What is asked about one run costs the same, however much else the store holds.

Messages, labels and the feed only grow. Each statement that is about some of their rows finds
them by an index, and reads no such table to its end.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import StepKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.changes import AddRun, Change, EndRun, Op
from workflow_agents.store.message_changes import AddMessage, InheritMessages
from workflow_agents.store.remote_rows import LetterFilter, RunFilter
from workflow_agents.store.sqlite import SqliteStore

VISIT, PLAN, ANSWER = MessageKind.VISIT, MessageKind.PLAN, MessageKind.CALL_ANSWER
RUN = 1


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    store = SqliteStore(":memory:")
    store.open()
    run = AddRun("wfr_1", "https://shop.test/", Phase.REMOTE, None, 0, 1, b"", None)
    visits = [said(VISIT, 0), said(VISIT, 1), said(PLAN, 2), said(ANSWER, 3)]
    store.apply([Change((run, *visits))])
    yield store
    store.close()


def said(kind: MessageKind, step: int) -> AddMessage:
    return AddMessage(RUN, kind, 1, 1, "https://shop.test/", b"{}", b"", step=step)


def apply(*ops: Op) -> Callable[[SqliteStore], Any]:
    return lambda store: store.apply([Change(ops)])


def followed(store: SqliteStore) -> None:
    for message in store.messages.of_run(RUN):
        store.messages.remote.is_followed(message)


def deleted(store: SqliteStore) -> None:
    store.apply([Change((EndRun(RUN, Phase.SUCCESS, 2, b""),))])
    assert store.clean(3, 3, 9) == 1


ASKED: dict[str, Callable[[SqliteStore], Any]] = {
    "a run": lambda store: store.messages.remote.run(RUN),
    "a run by its id": lambda store: store.messages.remote.run("wfr_1"),
    "the run that a step invoked": lambda store: store.messages.remote.child(RUN, 1),
    "the runs that it invoked": lambda store: store.messages.remote.children(RUN),
    "runs": lambda store: store.messages.remote.find(RunFilter(), before=None, limit=9),
    "dead letters": lambda store: store.messages.remote.letters(
        LetterFilter(), before=None, limit=9
    ),
    "its feed": lambda store: store.messages.remote.entries(RUN),
    "its elements": lambda store: store.messages.remote.elements(RUN, after=0, limit=9),
    "its elements from there": lambda store: store.messages.remote.elements(RUN, after=2, limit=9),
    "what it said of a step": lambda store: store.messages.remote.said(RUN, 1, VISIT),
    "whether a visit is followed": followed,
    "its results": lambda store: store.messages.remote.results(RUN, StepKind.RUN),
    "its messages": lambda store: store.messages.of_run(RUN, up_to=3),
    "its labels": lambda store: store.labels(RUN),
    "the history of a run": lambda store: store.history(RUN),
    "a step again": apply(said(VISIT, 1)),
    "the end of a run": apply(EndRun(RUN, Phase.SUCCESS, 2, b"")),
    "a run that is deleted": deleted,
    "a run that takes over": apply(
        AddRun("wfr_2", "https://shop.test/", Phase.REMOTE, None, 0, 1, b"", None),
        InheritMessages(RUN, 1, {2: 1}, frozenset(), {}, None),
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_no_table_is_read_to_its_end(store: SqliteStore, name: str) -> None:
    statements: list[str] = []
    store.db.set_trace_callback(statements.append)
    ASKED[name](store)
    store.db.set_trace_callback(None)
    steps = [
        (step[3], statement)
        for statement in statements
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
        for step in store.db.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert steps
    assert [(step, statement) for step, statement in steps if reads_on_and_on(step)] == []


def reads_on_and_on(step: str) -> bool:
    """Without a key, or from some row to the last one of the table."""
    does, _, how = step.partition(" USING ")
    verb, _, table = does.partition(" ")
    if table not in {"messages", "m", "feed", "f", "labels"}:
        return False
    return verb == "SCAN" or "PRIMARY KEY (rowid>" in how
