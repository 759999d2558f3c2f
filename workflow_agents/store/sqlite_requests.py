"""Operations on owed requests and on what holds them back, as SQL: see `sqlite_writes`."""

import sqlite3
from typing import Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.store import changes as ops
from workflow_agents.store.changes import Applied, WaiterKind
from workflow_agents.store.sqlite_payloads import loosen

ASKED_AGAIN = 4
"""How many are looked at when there is something for one: others may not be able to use it."""


def drop_deliveries(
    db: sqlite3.Connection, which: str, arguments: tuple[Any, ...], at: int
) -> list[int | None]:
    """Delete requests, and let those go on that wait behind them; the messages of those deleted."""
    rows = db.execute(
        f"DELETE FROM deliveries WHERE {which}"
        " RETURNING flow_key, pause_key, leased, queue, message, payload",
        arguments,
    ).fetchall()
    if not rows:
        return []
    loosen(db, [payload for *_, payload in rows if payload is not None])
    for key in sorted(key for key, *_ in rows if key is not None):
        free_flow(db, ops.FreeFlow(key, at), Applied())
    for key in sorted({key for _, key, leased, *_ in rows if key is not None and leased == 1}):
        free_turns(db, ops.FreeTurns(key, at, ASKED_AGAIN), Applied())
    queues = sorted({queue for _, _, _, queue, _, _ in rows if queue is not None})
    if queues:
        from workflow_agents.store.sqlite_queues import next_turns

        for queue in queues:
            next_turns(db, queue, at)
    return [message for *_, message, _ in rows]


def take_delivery(db: sqlite3.Connection, op: ops.TakeDelivery, _applied: Applied) -> bool:
    """See `changes.TakeDelivery`."""
    taken = db.execute(
        "DELETE FROM deliveries WHERE id = ? AND attempt = ? AND leased = 1 RETURNING payload",
        (op.id, op.attempt),
    ).fetchall()
    loosen(db, [payload for (payload,) in taken if payload is not None])
    return bool(taken)


def drop_delivery(db: sqlite3.Connection, op: ops.DropDelivery, _applied: Applied) -> bool:
    """See `changes.DropDelivery`."""
    drop_deliveries(db, "run = ? AND step = ?", (op.run, op.step), op.at)
    return True


def free_flow(db: sqlite3.Connection, op: ops.FreeFlow, _applied: Applied) -> bool:
    """See `changes.FreeFlow`."""
    # The first of each kind that nobody has woken already: one slot is free. A request that its
    # pause key holds passes it on; a run whose workflow is not served here cannot, so of runs a
    # few are woken. Who is not woken asks again by itself.
    db.execute(
        "UPDATE runs SET due_at = ?2 WHERE id IN (SELECT id FROM runs WHERE flow_key = ?1"
        f" AND phase = {int(Phase.WAITING)} AND due_at > ?2 ORDER BY id LIMIT {ASKED_AGAIN})",
        (op.flow_key, op.at),
    )
    db.execute(
        "UPDATE deliveries SET due_at = ?2 WHERE id = (SELECT id FROM deliveries"
        " WHERE flow_key = ?1 AND leased = 2 AND due_at > ?2 ORDER BY id LIMIT 1)",
        (op.flow_key, op.at),
    )
    db.execute(
        "UPDATE waiters SET due_at = ?2 WHERE (run, step) = (SELECT run, step FROM waiters"
        f" WHERE flow_key = ?1 AND kind = {WaiterKind.ADMISSION} AND due_at > ?2"
        " ORDER BY run, step LIMIT 1)",
        (op.flow_key, op.at),
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
    # What has its turn in a queue goes back into it: the queue may have been paused meanwhile.
    retried = db.execute(
        "UPDATE deliveries SET leased = iif(queue IS NULL, 0, 4), due_at = iif(queue IS NULL, ?1,"
        " NULL), not_before = ?1, refusals = refusals + (?2 IS NOT NULL),"
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
