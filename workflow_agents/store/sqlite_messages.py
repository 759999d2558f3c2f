"""Operations on messages as SQL: what an engine with a server writes. See `sqlite_writes`."""

import sqlite3

from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import settled_step
from workflow_agents.store import changes as ops
from workflow_agents.store import message_changes as message_ops
from workflow_agents.store.changes import Applied, Entry, WaiterKind, Woken
from workflow_agents.store.sqlite_payloads import apart, loosen
from workflow_agents.store.sqlite_remote import REMOTE_WRITES
from workflow_agents.store.sqlite_requests import free_flow, freed_by
from workflow_agents.store.sqlite_writes import Write, add_entry

TO_BE_MADE, LEASED, IN_QUEUE = 0, 1, 4
"""Of `deliveries.leased`."""

_ADD_MESSAGE = (
    "INSERT INTO messages (run, kind, at, url, url_group, queue, schedule, flow_key, caller_ip,"
    " step, source, spec, body, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_SAID = "SELECT id FROM messages WHERE run = ? AND step = ? AND kind = ?"
_OWE_MESSAGE = (
    "INSERT INTO deliveries (run, kind, leased, due_at, attempt, flow_key, data, message, queue,"
    " turn, not_before) VALUES (?, 4, ?, ?, ?, ?, x'', ?, ?, ?, ?)"
)
_CLAIM_ID = (
    "INSERT INTO deduplications VALUES (?1, 0, ?2) ON CONFLICT (id) DO UPDATE SET"
    " message = 0, until = excluded.until WHERE until <= ?3"
)
_MAKE_QUEUE = "INSERT OR IGNORE INTO queues VALUES (?1, 1, 0, ?2, ?2)"
"""A message may name a queue that nobody has made: one turn after the other."""
_TURNS = (
    "SELECT DISTINCT turn FROM deliveries WHERE queue = ?1 ORDER BY turn"
    " LIMIT (SELECT parallelism FROM queues WHERE name = ?1 AND NOT paused)"
)


def add_message(db: sqlite3.Connection, op: message_ops.AddMessage, applied: Applied) -> bool:
    """See `message_changes.AddMessage`."""
    if op.dedup is not None:
        key, until = op.dedup
        if db.execute(_CLAIM_ID, (key, until, op.at)).rowcount != 1:
            taken = db.execute("SELECT message FROM deduplications WHERE id = ?", (key,)).fetchone()
            applied.taken = taken[0]
            return False
    run = op.run or applied.run
    body, payload = apart(db, op.body)
    added = db.execute(
        _ADD_MESSAGE,
        (
            run,
            op.kind,
            op.at,
            op.url,
            op.url_group,
            op.queue,
            op.schedule,
            op.flow_key,
            op.caller_ip,
            op.step,
            op.source,
            op.spec,
            body,
            payload,
        ),
    )
    if added.rowcount != 1:
        loosen(db, [] if payload is None else [payload])
        applied.taken = db.execute(_SAID, (run, op.step, op.kind)).fetchone()[0]
        return False
    message = added.lastrowid or 0
    if op.dedup is not None:
        db.execute("UPDATE deduplications SET message = ? WHERE id = ?", (message, op.dedup[0]))
    if op.labels:
        db.executemany(
            "INSERT OR IGNORE INTO message_labels VALUES (?, ?)",
            [(label, message) for label in op.labels],
        )
    if op.queue is not None:
        db.execute(_MAKE_QUEUE, (op.queue, op.at))
    at_once = op.due_at is None
    leased = LEASED if at_once else IN_QUEUE if op.queue is not None else TO_BE_MADE
    due_at = op.due_at if leased == TO_BE_MADE else None
    turn = None if op.queue is None else op.turn or message
    delivery = db.execute(
        _OWE_MESSAGE,
        (run, leased, due_at, int(at_once), op.flow_key, message, op.queue, turn, op.due_at),
    )
    applied.messages.append((message, delivery.lastrowid or 0))
    if op.queue is not None and not at_once:
        free_queue(db, message_ops.FreeQueue(op.queue, op.at), applied)
    return True


def free_queue(db: sqlite3.Connection, op: message_ops.FreeQueue, _applied: Applied) -> bool:
    """See `message_changes.FreeQueue`. The first turns of a queue may be made, and no others."""
    db.execute(
        f"UPDATE deliveries SET leased = {TO_BE_MADE}, due_at = max(?2, ifnull(not_before, 0))"
        f" WHERE queue = ?1 AND leased = {IN_QUEUE} AND turn IN ({_TURNS})",
        (op.queue, op.at),
    )
    return True


def drop_message(db: sqlite3.Connection, op: message_ops.DropMessage, applied: Applied) -> bool:
    """See `message_changes.DropMessage`."""
    row = db.execute("SELECT queue FROM deliveries WHERE message = ?", (op.message,)).fetchone()
    if row is None:
        return False
    for (key,) in freed_by(db, "DELETE FROM deliveries WHERE message = ?", (op.message,), op.at):
        if key is not None:
            free_flow(db, ops.FreeFlow(key, op.at), applied)
    if row[0] is not None:
        free_queue(db, message_ops.FreeQueue(row[0], op.at), applied)
    return True


def _add_letter(
    db: sqlite3.Connection, op: message_ops.AddMessageLetter, _applied: Applied
) -> bool:
    db.execute(
        "INSERT OR REPLACE INTO dead_letters (id, run, at, failure, message)"
        " VALUES (?, 0, ?, ?, ?)",
        (op.id, op.at, op.failure, op.message),
    )
    return True


def _keep_setting(db: sqlite3.Connection, op: message_ops.KeepSetting, _applied: Applied) -> bool:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"server.{op.name}", op.value))
    return True


def settle_remote(
    db: sqlite3.Connection, run: int, step: StepKey, at: int, outcome: bytes, applied: Applied
) -> bool:
    """What a remote run waits for has come: it is its next element, and is delivered."""
    row = db.execute(
        "DELETE FROM waiters WHERE run = ? AND step = ? AND kind = ?"
        " RETURNING type, name, due_at, event, data",
        (run, step, WaiterKind.REMOTE),
    ).fetchone()
    if row is None:
        return False
    does, name, deadline, event, asked = row
    body, spec = settled_step(asked, event, outcome)
    found = db.execute("SELECT workflow, flow_key FROM runs WHERE id = ?", (run,)).fetchone()
    result = message_ops.AddMessage(
        run, MessageKind.VISIT, at, at, found[0], spec, body, flow_key=found[1], step=step
    )
    if not add_message(db, result, applied):
        return False
    entry = Entry(run, at, EntryKind.STEP_SUCCESS, StepKind(does), step, name, outcome=True)
    entry.message = message = applied.messages[-1][0]
    add_entry(db, entry, run, applied)
    news = Recorded(step, StepKind(does), name, ok=True, data=b"")
    applied.woken.append(Woken(run, 0, news, deadline, message))
    return True


def drop_messages_of(db: sqlite3.Connection, run: int, at: int, applied: Applied) -> None:
    """A remote run has ended: what nobody delivers at the moment is never delivered."""
    deleted = f"DELETE FROM deliveries WHERE run = ? AND message > 0 AND leased != {LEASED}"
    for (key,) in freed_by(db, deleted, (run,), at):
        if key is not None:
            free_flow(db, ops.FreeFlow(key, at), applied)


def forget_messages(db: sqlite3.Connection, before: int, limit: int) -> int:
    """Delete plain messages of which nothing is owed any more; how many."""
    rows = db.execute(
        "SELECT id, payload FROM messages WHERE run = 0 AND at < ?"
        " AND id NOT IN (SELECT message FROM deliveries WHERE message IS NOT NULL)"
        " AND id NOT IN (SELECT message FROM dead_letters WHERE message IS NOT NULL) LIMIT ?",
        (before, limit),
    ).fetchall()
    ids = [(message,) for message, _ in rows]
    for table, column in (("feed", "message"), ("message_labels", "message"), ("messages", "id")):
        db.executemany(f"DELETE FROM {table} WHERE {column} = ?", ids)
    db.execute("DELETE FROM deduplications WHERE until < ?", (before,))
    loosen(db, [payload for _, payload in rows if payload is not None])
    return len(rows)


MESSAGE_WRITES: dict[type, Write] = {
    message_ops.AddMessage: add_message,
    message_ops.DropMessage: drop_message,
    message_ops.FreeQueue: free_queue,
    message_ops.AddMessageLetter: _add_letter,
    message_ops.KeepSetting: _keep_setting,
    **REMOTE_WRITES,
}
"""By type of operation."""
