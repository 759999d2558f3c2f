"""Each operation of a `Change` as SQL, one function for each.

A function returns False where what it must hit was not there.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind, Waiting
from workflow_agents.store import changes as ops
from workflow_agents.store.changes import Applied, Entry, WaiterKind, Woken
from workflow_agents.store.sqlite_conversations import append_messages, delete_conversation
from workflow_agents.store.sqlite_payloads import PAYLOAD_BYTES, apart, loosen, store_payload
from workflow_agents.store.sqlite_requests import (
    drop_deliveries,
    drop_delivery,
    free_flow,
    free_turns,
    hold_delivery,
    retry_delivery,
    set_pause,
    take_delivery,
)

_LEASED, _PARKED, _DUE, _WAITING, _REMOTE = (
    int(Phase.LEASED),
    int(Phase.PARKED),
    int(Phase.DUE),
    int(Phase.WAITING),
    int(Phase.REMOTE),
)
_ENDED = f"({int(Phase.SUCCESS)}, {int(Phase.FAILED)}, {int(Phase.CANCELED)})"

_ENTRY = "INSERT INTO feed (run, at, kind, type, step, name, data, payload, mark, body, message)"
_INSERT_ENTRY = f"{_ENTRY} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GUARDED_ENTRY = (
    f"{_ENTRY} SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM runs"
    f" WHERE id = ? AND token = ? AND phase = {_LEASED}"
)


_WAKE = (
    "UPDATE runs SET wakes = wakes + 1,"
    f" due_at = CASE phase WHEN {_PARKED} THEN ? ELSE due_at END,"
    f" phase = CASE phase WHEN {_PARKED} THEN {_DUE} ELSE phase END"
    f" WHERE id = ? AND phase NOT IN {_ENDED} RETURNING wakes"
)

Write = Callable[[sqlite3.Connection, Any, Applied], bool]


def add_entry(db: sqlite3.Connection, entry: Entry, run: int, applied: Applied) -> None:
    """Append to the feed."""
    added = db.execute(_INSERT_ENTRY, (run, entry.at, *_fields(db, entry, applied)))
    applied.seq = added.lastrowid or 0


def add_guarded_entry(
    db: sqlite3.Connection, entry: Entry, guard: ops.Guard, applied: Applied
) -> bool:
    """Append to the feed if the run is leased under the guard's token: one statement."""
    fields = _fields(db, entry, applied)
    try:
        added = db.execute(_GUARDED_ENTRY, (entry.at, *fields, guard.run, guard.token))
    except sqlite3.IntegrityError:
        _loosen_if(db, fields[_PAYLOAD])
        raise
    if added.rowcount != 1:
        _loosen_if(db, fields[_PAYLOAD])
        return False
    applied.seq = added.lastrowid or 0
    return True


def _fields(db: sqlite3.Connection, entry: Entry, applied: Applied) -> tuple[Any, ...]:
    data = entry.data
    if callable(data):
        applied.data = data = data(applied)
    data, payload = apart(db, data)
    mark = 0 if entry.outcome else None
    body = applied.owed if entry.owes else None
    message = entry.message
    if message is not None and message < 0:
        message = applied.messages[-message - 1][0]
    return entry.kind, entry.type, entry.step, entry.name, data, payload, mark, body, message


_PAYLOAD = 5
"""The place of the payload among the fields of an entry."""


def _loosen_if(db: sqlite3.Connection, payload: int | None) -> None:
    if payload is not None:
        loosen(db, (payload,))


def add_run(db: sqlite3.Connection, op: ops.AddRun) -> tuple[int, bool]:
    """The row of the run, and whether it is new."""
    data, payload = apart(db, op.input)
    row = db.execute(
        "INSERT INTO runs (run_id, workflow, phase, due_at, token, wakes, attempt, created_at,"
        " input, payload, options, flow_key, parent, parent_step)"
        " VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING",
        (
            op.run_id,
            op.workflow,
            op.phase,
            op.due_at,
            op.token,
            op.created_at,
            data,
            payload,
            op.options,
            op.flow_key,
            op.parent,
            op.parent_step,
        ),
    )
    if row.rowcount != 1:
        _loosen_if(db, payload)
        found = db.execute("SELECT id FROM runs WHERE run_id = ?", (op.run_id,)).fetchone()
        return found[0], False
    run = row.lastrowid or 0
    if op.labels:
        db.executemany(
            "INSERT OR IGNORE INTO labels VALUES (?, ?)", [(label, run) for label in op.labels]
        )
    if op.inherit is not None:
        db.execute(
            f"{_ENTRY} SELECT ?, at, kind, type, step, name, data, payload, mark, body, NULL"
            " FROM feed WHERE run = ? AND mark = 0 ORDER BY seq",
            (run, op.inherit),
        )
        db.executemany(
            "DELETE FROM feed WHERE run = ? AND step = ?", [(run, key) for key in op.leave_out]
        )
    return run, True


def _hit(sql: str, *names: str) -> Write:
    def write(db: sqlite3.Connection, op: Any, _applied: Applied) -> bool:
        return db.execute(sql, [getattr(op, name) for name in names]).rowcount > 0

    return write


def _always(sql: str, *names: str) -> Write:
    def write(db: sqlite3.Connection, op: Any, _applied: Applied) -> bool:
        db.execute(sql, [getattr(op, name) for name in names])
        return True

    return write


def _guard(db: sqlite3.Connection, op: ops.Guard, _applied: Applied) -> bool:
    row = db.execute(
        f"SELECT 1 FROM runs WHERE id = ? AND token = ? AND phase = {_LEASED}", (op.run, op.token)
    ).fetchone()
    return row is not None


def _park(db: sqlite3.Connection, op: ops.Park, _applied: Applied) -> bool:
    sql = (
        f"UPDATE runs SET phase = {_PARKED}, due_at = NULL WHERE id = ? AND token = ?"
        f" AND wakes = ? AND phase IN ({_LEASED}, {_PARKED}, {_DUE})"
    )
    return db.execute(sql, (op.run, op.token, op.wakes)).rowcount == 1


def _end_run(db: sqlite3.Connection, op: ops.EndRun, applied: Applied) -> bool:
    result, payload = apart(db, op.result)
    ended = db.execute(
        "UPDATE runs SET phase = ?, ended_at = ?, result = ?, result_payload = ?,"
        f" due_at = NULL, token = token + 1 WHERE id = ? AND phase NOT IN {_ENDED}",
        (op.phase, op.at, result, payload, op.run),
    )
    if ended.rowcount != 1:
        _loosen_if(db, payload)
        return False
    freed = db.execute("DELETE FROM waiters WHERE run = ? RETURNING flow_key", (op.run,)).fetchall()
    db.execute("DELETE FROM notifications WHERE run = ?", (op.run,))
    # Of its calls none is wanted any more; a message that is being delivered ends by itself.
    owed = "run = ? AND (step IS NOT NULL OR message IS NOT NULL AND leased != 1)"
    drop_deliveries(db, owed, (op.run,), op.at)
    for key in sorted(key for (key,) in freed if key is not None):
        free_flow(db, ops.FreeFlow(key, op.at), applied)
    return True


def _retry_run(db: sqlite3.Connection, op: ops.RetryRun, _applied: Applied) -> bool:
    retried = db.execute(
        f"UPDATE runs SET phase = {_DUE}, due_at = ?, attempt = ?"
        f" WHERE id = ? AND phase = {_LEASED}",
        (op.due_at, op.attempt, op.run),
    )
    # Bodies that hold a slot were cancelled with the attempt, and need one again.
    _free_slots_of(db, op.run, op.at)
    db.execute(
        f"UPDATE waiters SET kind = {WaiterKind.ADMISSION}, due_at = ?"
        f" WHERE run = ? AND kind = {WaiterKind.READY} AND flow_key IS NOT NULL",
        (op.due_at, op.run),
    )
    return retried.rowcount == 1


def _free_slots_of(db: sqlite3.Connection, run: int, at: int) -> None:
    """Tell the keys whose slots the bodies of a run hold."""
    held = db.execute(
        f"SELECT flow_key FROM waiters WHERE run = ? AND kind = {WaiterKind.READY}"
        " AND flow_key IS NOT NULL UNION ALL SELECT flow_key FROM deliveries"
        " WHERE run = ? AND leased = 1 AND flow_key IS NOT NULL",
        (run, run),
    ).fetchall()
    for (flow_key,) in held:
        free_flow(db, ops.FreeFlow(flow_key, at), Applied())


def _add_delivery(db: sqlite3.Connection, op: ops.AddDelivery, applied: Applied) -> bool:
    payload = applied.owed = None if op.body is None else store_payload(db, op.body)
    added = db.execute(
        "INSERT INTO deliveries"
        " (run, step, kind, leased, due_at, attempt, flow_key, data, payload, pause_key)"
        " VALUES (?, ?, ?, 0, ?, 0, ?, ?, ?, ?) ON CONFLICT (run, step) DO NOTHING",
        (op.run, op.step, op.kind, op.due_at, op.flow_key, op.data, payload, op.pause_key),
    )
    if added.rowcount != 1:
        _loosen_if(db, payload)
    return True


def _add_waiter(db: sqlite3.Connection, op: ops.AddWaiter, _applied: Applied) -> bool:
    db.execute(
        "INSERT INTO waiters (run, step, kind, type, name, due_at, event, attempts, flow_key,"
        " data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, step) DO UPDATE SET"
        " kind = excluded.kind, due_at = excluded.due_at, attempts = excluded.attempts,"
        " flow_key = excluded.flow_key",
        (
            op.run,
            op.step,
            op.kind,
            op.type,
            op.name,
            op.due_at,
            op.event,
            op.attempts,
            op.flow_key,
            op.data,
        ),
    )
    return True


def _drop_waiter(db: sqlite3.Connection, op: ops.DropWaiter, applied: Applied) -> bool:
    row = db.execute(
        "DELETE FROM waiters WHERE run = ? AND step = ? RETURNING flow_key", (op.run, op.step)
    ).fetchone()
    if row is not None and row[0] is not None:
        free_flow(db, ops.FreeFlow(row[0], op.at), applied)
    return True


def _wait_for_notification(
    db: sqlite3.Connection, op: ops.WaitForNotification, applied: Applied
) -> bool:
    waiter = op.waiter
    _add_waiter(db, waiter, applied)
    row = db.execute(
        "SELECT id, data FROM notifications WHERE run = ? AND event = ? ORDER BY id LIMIT 1",
        (waiter.run, waiter.event),
    ).fetchone()
    if row is not None:
        db.execute("DELETE FROM notifications WHERE id = ?", (row[0],))
        _settle(db, waiter.run, waiter.step, waiter.kind, op.at, row[1], True, applied)
    return True


def _resolve(db: sqlite3.Connection, op: ops.Resolve, applied: Applied) -> bool:
    if _settle(db, op.run, op.step, op.kind, op.at, op.data, op.ok, applied):
        return True
    if op.remote is not None and _settle(
        db, op.run, op.step, WaiterKind.REMOTE, op.at, op.remote, op.ok, applied
    ):
        return True
    if op.late:
        db.execute(
            f"{_ENTRY} VALUES (?, ?, ?, NULL, ?, NULL, ?, NULL, NULL, NULL, NULL)",
            (op.run, op.at, EntryKind.DISCARDED, op.step, op.data[:PAYLOAD_BYTES]),
        )
    return not op.must


def _notify(db: sqlite3.Connection, op: ops.Notify, applied: Applied) -> bool:
    waiters = db.execute(
        "SELECT run, step, kind FROM waiters WHERE event = ?1 AND (?2 IS NULL OR run = ?2)"
        " ORDER BY run, step",
        (op.event, op.run),
    ).fetchall()
    for run, step, kind in waiters:
        data = op.remote or b"" if kind == WaiterKind.REMOTE else op.data
        _settle(db, run, step, kind, op.at, data, True, applied)
    if not waiters and op.run is not None:
        applied.kept = db.execute(
            "INSERT INTO notifications (run, event, data) SELECT id, ?,"
            f" CASE phase WHEN {_REMOTE} THEN ? ELSE ? END FROM runs"
            f" WHERE id = ? AND phase NOT IN {_ENDED}",
            (op.event, op.remote, op.data, op.run),
        ).rowcount
    return True


def _settle(
    db: sqlite3.Connection,
    run: int,
    step: StepKey,
    kind: int,
    at: int,
    data: bytes,
    ok: bool,
    applied: Applied,
) -> bool:
    """Who removes the waiter records the outcome and wakes the run."""
    if kind == WaiterKind.REMOTE:
        from workflow_agents.store.sqlite_messages import settle_remote

        return settle_remote(db, run, step, at, data, applied)
    row = db.execute(
        "DELETE FROM waiters WHERE run = ? AND step = ? AND kind = ? RETURNING type, name, due_at",
        (run, step, kind),
    ).fetchone()
    if row is None:
        return False
    does, name, deadline = StepKind(row[0]), row[1], row[2]
    entry_kind = EntryKind.STEP_SUCCESS if ok else EntryKind.STEP_FAILED
    add_entry(db, Entry(run, at, entry_kind, does, step, name, data, outcome=True), run, applied)
    _wake(db, run, at, Recorded(step, does, name, ok, data), applied, deadline)
    return True


def _ready(db: sqlite3.Connection, op: ops.Ready, applied: Applied) -> bool:
    row = db.execute(
        f"UPDATE waiters SET kind = {WaiterKind.READY}, due_at = NULL"
        " WHERE run = ? AND step = ? AND kind = ? RETURNING type, name, attempts",
        (op.run, op.step, op.kind),
    ).fetchone()
    if row is None:
        return False
    news = Waiting(op.step, StepKind(row[0]), row[1], row[2] or 0, due=True)
    _wake(db, op.run, op.at, news, applied)
    return True


def _wake(
    db: sqlite3.Connection,
    run: int,
    at: int,
    news: Recorded | Waiting,
    applied: Applied,
    deadline: int | None = None,
) -> None:
    row = db.execute(_WAKE, (at, run)).fetchone()
    if row is not None:
        applied.woken.append(Woken(run, row[0], news, deadline))


def _set_callback(db: sqlite3.Connection, op: ops.SetCallback, _applied: Applied) -> bool:
    changed = db.execute(
        "UPDATE dead_letters SET callback = ?1 WHERE run = ?2 AND (?3 IS NULL OR callback = ?3)",
        (op.callback, op.run, op.before),
    )
    return changed.rowcount > 0 or op.before is None


def _flow_start(db: sqlite3.Connection, op: ops.FlowStart, _applied: Applied) -> bool:
    db.execute("DELETE FROM flow_starts WHERE flow_key = ? AND at < ?", (op.flow_key, op.forget))
    db.execute(
        "INSERT INTO flow_starts SELECT ?, ?, ifnull(max(n), 0) + 1 FROM flow_starts"
        " WHERE flow_key = ? AND at = ?",
        (op.flow_key, op.at, op.flow_key, op.at),
    )
    return True


WRITES: dict[type, Write] = {
    ops.Guard: _guard,
    ops.Claim: _hit(
        f"UPDATE runs SET phase = {_LEASED}, token = token + 1, due_at = NULL"
        f" WHERE id = ? AND token = ? AND phase IN ({_DUE}, {_WAITING})",
        "run",
        "token",
    ),
    ops.Hold: _hit(
        f"UPDATE runs SET phase = {_WAITING}, due_at = ?"
        f" WHERE id = ? AND token = ? AND phase IN ({_DUE}, {_WAITING})",
        "due_at",
        "run",
        "token",
    ),
    ops.Park: _park,
    ops.Unpark: _hit(
        f"UPDATE runs SET phase = {_LEASED}, token = token + 1, due_at = NULL"
        f" WHERE id = ? AND token = ? AND phase IN ({_LEASED}, {_PARKED}, {_DUE})",
        "run",
        "token",
    ),
    ops.Release: _hit(
        f"UPDATE runs SET phase = {_DUE}, due_at = ?"
        f" WHERE id = ? AND token = ? AND phase = {_LEASED}",
        "due_at",
        "run",
        "token",
    ),
    ops.RetryRun: _retry_run,
    ops.Progress: _always("UPDATE runs SET attempt = 0 WHERE id = ?", "run"),
    ops.EndRun: _end_run,
    ops.AddWaiter: _add_waiter,
    ops.HoldWaiter: _hit(
        f"UPDATE waiters SET kind = {WaiterKind.ADMISSION}, due_at = ?"
        f" WHERE run = ? AND step = ? AND kind IN ({WaiterKind.ADMISSION}, {WaiterKind.RETRY})",
        "due_at",
        "run",
        "step",
    ),
    ops.WaitForNotification: _wait_for_notification,
    ops.Resolve: _resolve,
    ops.Notify: _notify,
    ops.Ready: _ready,
    ops.DropWaiter: _drop_waiter,
    ops.AddDelivery: _add_delivery,
    ops.LeaseDelivery: _hit(
        "UPDATE deliveries SET leased = 1, due_at = NULL, attempt = attempt + 1"
        " WHERE id = ? AND attempt = ? AND leased IN (0, 2, 3)",
        "id",
        "attempt",
    ),
    ops.RetryDelivery: retry_delivery,
    ops.HoldDelivery: hold_delivery,
    ops.TakeDelivery: take_delivery,
    ops.DropDelivery: drop_delivery,
    ops.AddDeadLetter: _always(
        "INSERT OR REPLACE INTO dead_letters (id, run, at, failure, callback)"
        " VALUES (?, ?, ?, ?, ?)",
        "id",
        "run",
        "at",
        "failure",
        "callback",
    ),
    ops.TakeDeadLetter: _hit("DELETE FROM dead_letters WHERE id = ?", "id"),
    ops.SetCallback: _set_callback,
    ops.SetFlow: _always(
        "INSERT INTO flow_keys (flow_key, value) VALUES (?, ?)"
        " ON CONFLICT (flow_key) DO UPDATE SET value = excluded.value",
        "flow_key",
        "value",
    ),
    ops.FlowStart: _flow_start,
    ops.FreeFlow: free_flow,
    ops.AppendMessages: append_messages,
    ops.DeleteConversation: delete_conversation,
    ops.SetPause: set_pause,
    ops.DropPause: _always(
        "DELETE FROM flow_pauses WHERE pause_key = ? AND until <= ?", "pause_key", "at"
    ),
    ops.FreeTurns: free_turns,
}
"""By type of operation; `AddRun` apart, because later parts of its change need its row."""

WRITES_WITHOUT_CONDITION = frozenset(
    {
        ops.Progress,
        ops.AddWaiter,
        ops.WaitForNotification,
        ops.Notify,
        ops.DropWaiter,
        ops.AddDelivery,
        ops.DropDelivery,
        ops.AddDeadLetter,
        ops.SetCallback,
        ops.SetFlow,
        ops.FlowStart,
        ops.FreeFlow,
        ops.AppendMessages,
        ops.SetPause,
        ops.DropPause,
        ops.FreeTurns,
    }
)
