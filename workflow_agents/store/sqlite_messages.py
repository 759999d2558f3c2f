"""Operations on messages as SQL: what an engine with a server writes. See `sqlite_writes`."""

import sqlite3

from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import settled_step
from workflow_agents.store import message_changes as message_ops
from workflow_agents.store.changes import Applied, Entry, WaiterKind, Woken
from workflow_agents.store.sqlite_payloads import apart, loosen
from workflow_agents.store.sqlite_queues import (
    IN_QUEUE,
    LEASED,
    QUEUE_WRITES,
    TO_BE_MADE,
    next_turns,
)
from workflow_agents.store.sqlite_remote import REMOTE_WRITES
from workflow_agents.store.sqlite_schedules import RESOURCE_WRITES
from workflow_agents.store.sqlite_writes import Write, add_entry

_ADD_MESSAGE = (
    "INSERT INTO messages (run, kind, at, url, url_group, endpoint, queue, schedule, flow_key,"
    " caller_ip, step, source, spec, body, payload)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_SAID = "SELECT id FROM messages WHERE run = ? AND run > 0 AND step = ? AND kind = ?"
_OWE_MESSAGE = (
    "INSERT INTO deliveries (run, kind, leased, due_at, attempt, flow_key, data, message, queue,"
    " turn, not_before) VALUES (?, 4, ?, ?, ?, ?, x'', ?, ?, ?, ?)"
)
_CLAIM_ID = (
    "INSERT INTO deduplications VALUES (?1, 0, ?2, ?3) ON CONFLICT (id) DO UPDATE SET"
    " message = 0, messages = excluded.messages, until = excluded.until WHERE until <= ?4"
)


def add_message(db: sqlite3.Connection, op: message_ops.AddMessage, applied: Applied) -> bool:
    """See `message_changes.AddMessage`."""
    if op.dedup is not None:
        key, until, messages = op.dedup
        if db.execute(_CLAIM_ID, (key, messages, until, op.at)).rowcount != 1:
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
            op.endpoint,
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
        db.execute("UPDATE deduplications SET message = ? WHERE id = ?", (message, op.dedup.id))
    if op.labels:
        db.executemany(
            "INSERT OR IGNORE INTO message_labels VALUES (?, ?)",
            [(label, message) for label in op.labels],
        )
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
        next_turns(db, op.queue, op.at)
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


def forget_messages(db: sqlite3.Connection, before: int, now: int, limit: int) -> int:
    """Delete plain messages of which nothing is owed any more, with their letters; how many."""
    rows = db.execute(
        "SELECT id, payload FROM messages WHERE run = 0 AND at < ?"
        " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message = messages.id)"
        " AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE message = messages.id AND at >= ?1)"
        " LIMIT ?2",
        (before, limit),
    ).fetchall()
    db.execute("DELETE FROM deduplications WHERE until <= ?", (now,))
    if not rows:
        return 0
    # First, so that the numbers of the feed go on and do not begin again.
    db.execute(
        "INSERT INTO feed (run, at, kind, data) VALUES (0, ?, ?, ?)",
        (now, EntryKind.CLEANED, str(len(rows)).encode()),
    )
    ids = [(message,) for message, _ in rows]
    payloads = [payload for _, payload in rows if payload is not None]
    for message in ids:
        told = "SELECT payload FROM feed WHERE message = ? AND payload IS NOT NULL"
        payloads += [payload for (payload,) in db.execute(told, message)]
    for table in ("feed", "message_labels", "dead_letters"):
        db.executemany(f"DELETE FROM {table} WHERE message = ?", ids)
    db.executemany("DELETE FROM messages WHERE id = ?", ids)
    loosen(db, payloads)
    return len(rows)


MESSAGE_WRITES: dict[type, Write] = {
    message_ops.AddMessage: add_message,
    message_ops.AddMessageLetter: _add_letter,
    **QUEUE_WRITES,
    **RESOURCE_WRITES,
    message_ops.KeepSetting: _keep_setting,
    **REMOTE_WRITES,
}
"""By type of operation."""
