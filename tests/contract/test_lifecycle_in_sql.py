"""The SQL of every operation that changes a run's phase agrees with `core/lifecycle`."""

from copy import copy

import pytest

from workflow_agents.core.lifecycle import TRANSITIONS, Event, Phase, is_ended
from workflow_agents.protocol.history import StepKind
from workflow_agents.store.changes import (
    AddRun,
    AddWaiter,
    Applied,
    Change,
    Claim,
    DropWaiter,
    EndRun,
    Guard,
    Hold,
    Op,
    Park,
    Release,
    Resolve,
    RetryRun,
    Unpark,
    WaiterKind,
)
from workflow_agents.store.message_changes import Adopt, Reachable
from workflow_agents.store.sqlite import SqliteStore

TOKEN = 7
WAITER = AddWaiter(1, 1, WaiterKind.TIMER, StepKind.SLEEP, "nap", due_at=5)

# What an operation is in the table, and its form for run 1. EndRun stands with the guard that
# an invocation ends under, and without it, as a cancellation does.
CASES: dict[str, tuple[Event | set[Event], list[Op]]] = {
    "claim": ({Event.LEASE, Event.ADMIT}, [Claim(1, TOKEN)]),
    "hold": (Event.HOLD, [Hold(1, TOKEN, 50)]),
    "park": (Event.PARK, [Park(1, TOKEN, 0)]),
    "unpark": (Event.RESUME, [Unpark(1, TOKEN)]),
    "release": (Event.YIELD, [Release(1, TOKEN, 50)]),
    "retry": (Event.RETRY, [Guard(1, TOKEN), RetryRun(1, 50, 1, 9)]),
    "adopt": (Event.ADOPT, [Adopt(1, TOKEN, 1, "{}")]),
    "succeed": (Event.SUCCEED, [Guard(1, TOKEN), EndRun(1, Phase.SUCCESS, 9)]),
    "cancel": (Event.CANCEL, [EndRun(1, Phase.CANCELED, 9)]),
    "wake": (Event.WAKE, [Resolve(1, 1, WaiterKind.TIMER, 9, b"null", must=True)]),
}


def store_with_a_run(phase: Phase) -> SqliteStore:
    store = SqliteStore(":memory:")
    store.open()
    due_at = 3 if phase in {Phase.DUE, Phase.WAITING} else None
    run = AddRun("wfr_1", "/w", phase, due_at, TOKEN, 1, b"{}", None)
    [outcome] = store.apply([Change((run,))])
    assert isinstance(outcome, Applied)
    if not is_ended(phase):
        store.apply([Change((WAITER,))])
    return store


def store_for(name: str, phase: Phase) -> SqliteStore:
    """A run that waits for something; one that is to be adopted has only been begun."""
    store = store_with_a_run(phase)
    if name == "adopt":
        store.apply([Change((DropWaiter(1, 1, 9),))])
    return store


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("name", CASES)
def test_sql_agrees_with_the_table(name: str, phase: Phase) -> None:
    event, ops = CASES[name]
    if phase is Phase.REMOTE and name == "succeed":
        # Nobody has a lease of a remote run; its own endpoint says that it has ended.
        ops = [Reachable(1), EndRun(1, Phase.SUCCESS, 9, b"null")]
    store = store_for(name, phase)
    [outcome] = store.apply([Change(ops)])
    row = store.run(1)
    assert row is not None
    after = row.phase
    if name == "claim":
        # Admission and lease are one statement.
        expected = Phase.LEASED if phase in {Phase.DUE, Phase.WAITING} else None
    elif name == "hold" and phase is Phase.WAITING:
        expected = Phase.WAITING
    elif name == "unpark" and phase is Phase.LEASED:
        # A lease that the holder takes again is still a lease.
        expected = Phase.LEASED
    elif name == "park" and phase is Phase.PARKED:
        # Applied again after an answer was lost.
        expected = Phase.PARKED
    else:
        assert isinstance(event, Event)
        expected = TRANSITIONS[phase].get(event)
    if expected is None:
        assert not isinstance(outcome, Applied)
        assert after is phase
    else:
        assert isinstance(outcome, Applied)
        assert after is expected
    store.close()


def older_form(op: Op) -> Op:
    if isinstance(op, Adopt):
        return op._replace(token=TOKEN - 1)
    op = copy(op)
    if hasattr(op, "token"):
        op.token = TOKEN - 1
    return op


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize(
    "name", ["claim", "hold", "park", "unpark", "release", "retry", "succeed", "adopt"]
)
def test_an_older_token_is_refused_in_every_phase(name: str, phase: Phase) -> None:
    _, ops = CASES[name]
    store = store_for(name, phase)
    older = [older_form(op) for op in ops]
    [outcome] = store.apply([Change(older)])
    row = store.run(1)
    assert not isinstance(outcome, Applied)
    assert row is not None
    assert (row.phase, row.token) == (phase, TOKEN)
    store.close()
