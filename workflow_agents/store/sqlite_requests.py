"""Operations on owed requests and on what holds them back, as SQL: see `sqlite_writes`."""

import sqlite3
from typing import Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.store import changes as ops
from workflow_agents.store.changes import Applied, WaiterKind
from workflow_agents.store.sqlite_payloads import loosen

ASKED_AGAIN = 4
"""How many of those who wait for a slot are looked at when one is free."""


def freed_by(
    db: sqlite3.Connection, deleted: str, arguments: tuple[Any, ...], at: int
) -> list[tuple[str | None]]:
    """Delete requests; the turns of their pause keys are free, and these flow control keys."""
    rows = db.execute(
        f"{deleted} RETURNING flow_key, pause_key, leased, payload", arguments
    ).fetchall()
    loosen(db, [payload for *_, payload in rows if payload is not None])
    for key in sorted({key for _, key, leased, _ in rows if key is not None and leased == 1}):
        free_turns(db, ops.FreeTurns(key, at, ASKED_AGAIN), Applied())
    return [(flow_key,) for flow_key, *_ in rows]


def take_delivery(db: sqlite3.Connection, op: ops.TakeDelivery, _applied: Applied) -> bool:
    """See `changes.TakeDelivery`."""
    taken = db.execute(
        "DELETE FROM deliveries WHERE id = ? AND attempt = ? AND leased = 1 RETURNING payload",
        (op.id, op.attempt),
    ).fetchall()
    loosen(db, [payload for (payload,) in taken if payload is not None])
    return bool(taken)


def drop_delivery(db: sqlite3.Connection, op: ops.DropDelivery, applied: Applied) -> bool:
    """See `changes.DropDelivery`."""
    deleted = "DELETE FROM deliveries WHERE run = ? AND step = ?"
    for (key,) in freed_by(db, deleted, (op.run, op.step), op.at):
        if key is not None:
            free_flow(db, ops.FreeFlow(key, op.at), applied)
    return True


def free_flow(db: sqlite3.Connection, op: ops.FreeFlow, _applied: Applied) -> bool:
    """See `changes.FreeFlow`."""
    # The first few of each kind: one slot is free, and who is not admitted asks again by itself.
    db.execute(
        "UPDATE runs SET due_at = ? WHERE id IN (SELECT id FROM runs"
        f" WHERE flow_key = ? AND phase = {int(Phase.WAITING)} ORDER BY id LIMIT {ASKED_AGAIN})",
        (op.at, op.flow_key),
    )
    db.execute(
        "UPDATE deliveries SET due_at = ? WHERE id IN (SELECT id FROM deliveries"
        f" WHERE flow_key = ? AND leased = 2 ORDER BY id LIMIT {ASKED_AGAIN})",
        (op.at, op.flow_key),
    )
    db.execute(
        "UPDATE waiters SET due_at = ? WHERE (run, step) IN (SELECT run, step FROM waiters"
        f" WHERE flow_key = ? AND kind = {WaiterKind.ADMISSION}"
        f" ORDER BY run, step LIMIT {ASKED_AGAIN})",
        (op.at, op.flow_key),
    )
    return True


def set_pause(db: sqlite3.Connection, op: ops.SetPause, _applied: Applied) -> bool:
    """See `changes.SetPause`."""
    pause = op.pause
    db.execute(
        "INSERT INTO flow_pauses (pause_key, until, in_a_row, allowed, threshold, passed)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (pause_key) DO UPDATE SET"
        " until = max(until, excluded.until), in_a_row = excluded.in_a_row,"
        " allowed = excluded.allowed, threshold = excluded.threshold, passed = excluded.passed",
        (op.pause_key, pause.until, pause.in_a_row, pause.window, pause.threshold, pause.passed),
    )
    return True


def free_turns(db: sqlite3.Connection, op: ops.FreeTurns, _applied: Applied) -> bool:
    """See `changes.FreeTurns`."""
    db.execute(
        "UPDATE deliveries SET due_at = ? WHERE id IN (SELECT id FROM deliveries"
        " WHERE pause_key = ? AND leased = 3 ORDER BY id LIMIT ?)",
        (op.at, op.pause_key, op.number),
    )
    return True


def retry_delivery(db: sqlite3.Connection, op: ops.RetryDelivery, _applied: Applied) -> bool:
    """See `changes.RetryDelivery`."""
    retried = db.execute(
        "UPDATE deliveries SET leased = 0, due_at = ?1, refusals = refusals + (?2 IS NOT NULL),"
        " refused_at = ifnull(refused_at, ?2) WHERE id = ?3 AND attempt = ?4 AND leased = 1",
        (op.due_at, op.refused_at, op.id, op.attempt),
    )
    return retried.rowcount == 1


def hold_delivery(db: sqlite3.Connection, op: ops.HoldDelivery, _applied: Applied) -> bool:
    """See `changes.HoldDelivery`."""
    held = db.execute(
        "UPDATE deliveries SET leased = ?, due_at = ? WHERE id = ? AND leased IN (0, 2, 3)",
        (3 if op.paused else 2, op.due_at, op.id),
    )
    return held.rowcount == 1
