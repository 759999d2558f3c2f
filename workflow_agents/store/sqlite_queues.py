"""Operations on queues as SQL: whose turn it is, and who waits. See `sqlite_writes`.

Theory. A turn is a message with all that follows it: its retries and its callbacks. The first
turns of a queue, as many as its parallelism, may be made; the others wait. Whose turn it is
follows from the rows that are there, and is asked again whenever one of them goes.
"""

import json
import sqlite3

from workflow_agents.protocol.history import EntryKind
from workflow_agents.store import message_changes as message_ops
from workflow_agents.store import resource_changes as resource_ops
from workflow_agents.store.changes import Applied
from workflow_agents.store.sqlite_requests import drop_deliveries
from workflow_agents.store.sqlite_writes import Write

TO_BE_MADE, LEASED, IN_QUEUE = 0, 1, 4
"""Of `deliveries.leased`."""

# What is left of a queue that is gone need not wait for anything.
_TURNS = (
    "SELECT DISTINCT turn FROM deliveries WHERE queue = ?1 ORDER BY turn LIMIT"
    " ifnull((SELECT CASE paused WHEN 0 THEN parallelism ELSE 0 END FROM queues"
    " WHERE name = ?1), -1)"
)
_FREE = (
    f"UPDATE deliveries SET leased = {TO_BE_MADE}, due_at = max(?2, ifnull(not_before, 0))"
    f" WHERE queue = ?1 AND leased = {IN_QUEUE} AND turn IN ({_TURNS})"
)
# A delivery that was to be tried again later still is.
_BACK = (
    f"UPDATE deliveries SET leased = {IN_QUEUE}, due_at = NULL,"
    f" not_before = CASE leased WHEN {TO_BE_MADE} THEN due_at ELSE not_before END"
    f" WHERE queue = ? AND leased NOT IN ({LEASED}, {IN_QUEUE})"
)


def next_turns(db: sqlite3.Connection, queue: str, at: int) -> None:
    """Those whose turn it is in a queue are due."""
    db.execute(_FREE, (queue, at))


def _free_queue(db: sqlite3.Connection, op: message_ops.FreeQueue, _applied: Applied) -> bool:
    next_turns(db, op.queue, op.at)
    return True


def _set_queue(db: sqlite3.Connection, op: resource_ops.SetQueue, _applied: Applied) -> bool:
    db.execute(
        "INSERT INTO queues VALUES (?1, ifnull(?2, 1), ifnull(?3, 0), ?4, ?4)"
        " ON CONFLICT (name) DO UPDATE SET parallelism = ifnull(?2, parallelism),"
        " paused = ifnull(?3, paused), updated_at = ?4",
        (op.name, op.parallelism, op.paused, op.at),
    )
    db.execute(_BACK, (op.name,))
    next_turns(db, op.name, op.at)
    return True


def _need_queue(db: sqlite3.Connection, op: resource_ops.NeedQueue, _applied: Applied) -> bool:
    db.execute("INSERT OR IGNORE INTO queues VALUES (?1, 1, 0, ?2, ?2)", (op.name, op.at))
    return True


def _pause_queue(db: sqlite3.Connection, op: resource_ops.PauseQueue, applied: Applied) -> bool:
    there = db.execute("SELECT 1 FROM queues WHERE name = ?", (op.name,)).fetchone()
    if there is not None:
        _set_queue(db, resource_ops.SetQueue(op.name, None, op.paused, op.at), applied)
    return there is not None


def _drop_queue(db: sqlite3.Connection, op: resource_ops.DropQueue, applied: Applied) -> bool:
    dropped = db.execute("DELETE FROM queues WHERE name = ?", (op.name,)).rowcount == 1
    waiting = db.execute(
        f"SELECT message FROM deliveries WHERE queue = ? AND leased != {LEASED} AND run = 0",
        (op.name,),
    ).fetchall()
    if dropped:
        drop_messages(
            db, message_ops.DropMessages(tuple(message for (message,) in waiting), op.at), applied
        )
        next_turns(db, op.name, op.at)  # a run that lost a message would never end
    return dropped


def drop_messages(db: sqlite3.Connection, op: message_ops.DropMessages, applied: Applied) -> bool:
    """See `message_changes.DropMessages`."""
    which = "message IN (SELECT value FROM json_each(?))"
    dropped = drop_deliveries(db, which, (json.dumps(op.messages),), op.at)
    for message in sorted(message for message in dropped if message is not None):
        applied.dropped.append(message)
        added = db.execute(
            "INSERT INTO feed (run, at, kind, message) VALUES (0, ?, ?, ?)",
            (op.at, EntryKind.MESSAGE_CANCELED, message),
        )
        applied.seq = added.lastrowid or 0
    return True


def _drop_message(db: sqlite3.Connection, op: message_ops.DropMessage, _applied: Applied) -> bool:
    return bool(drop_deliveries(db, "message = ?", (op.message,), op.at))


QUEUE_WRITES: dict[type, Write] = {
    message_ops.FreeQueue: _free_queue,
    message_ops.DropMessage: _drop_message,
    message_ops.DropMessages: drop_messages,
    resource_ops.SetQueue: _set_queue,
    resource_ops.NeedQueue: _need_queue,
    resource_ops.PauseQueue: _pause_queue,
    resource_ops.DropQueue: _drop_queue,
}
"""By type of operation."""
