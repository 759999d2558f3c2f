"""Operations on remote runs as SQL, beside those of `sqlite_messages`. See `sqlite_writes`."""

import sqlite3

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import notification
from workflow_agents.store import message_changes as message_ops
from workflow_agents.store.changes import Applied
from workflow_agents.store.sqlite_writes import Write

_UNASKED = (
    "SELECT NOT EXISTS (SELECT 1 FROM waiters WHERE run = ?1 AND step = ?2)"
    " AND NOT EXISTS (SELECT 1 FROM feed WHERE run = ?1 AND step = ?2 AND mark = 0)"
)
_ELEMENTS = (int(MessageKind.VISIT), int(MessageKind.PLAN), int(MessageKind.TRIGGER))
_TAKEN_OVER = "SELECT id, kind, step FROM messages WHERE run = ? AND run > 0 ORDER BY id"
_COPY = (
    "INSERT INTO messages (run, kind, at, url, url_group, queue, schedule, flow_key, caller_ip,"
    " step, source, spec, body, payload) SELECT ?1, ?2, at, url, NULL, NULL, NULL, ?3, caller_ip,"
    " step, NULL, ifnull(?4, spec), body, payload FROM messages WHERE id = ?5"
)
_OWE = (
    "INSERT INTO deliveries (run, kind, leased, due_at, attempt, flow_key, data, message,"
    " not_before) VALUES (?, 4, 0, ?, 0, ?, x'', ?, ?)"
)
_ADOPT = (
    f"UPDATE runs SET phase = {int(Phase.LEASED)}, token = token + 1, due_at = NULL, options = ?1"
    f" WHERE id = ?2 AND token = ?3 AND phase = {int(Phase.REMOTE)}"
    " AND NOT EXISTS (SELECT 1 FROM messages WHERE run = ?2 AND step != 0)"
    " AND NOT EXISTS (SELECT 1 FROM waiters WHERE run = ?2)"
)


def _reachable(db: sqlite3.Connection, op: message_ops.Reachable, _applied: Applied) -> bool:
    row = db.execute(
        "SELECT 1 FROM runs WHERE id = ? AND phase = ?", (op.run, int(Phase.REMOTE))
    ).fetchone()
    return row is not None


def _unasked(db: sqlite3.Connection, op: message_ops.Unasked, _applied: Applied) -> bool:
    return bool(db.execute(_UNASKED, (op.run, op.step)).fetchone()[0])


def _adopt(db: sqlite3.Connection, op: message_ops.Adopt, _applied: Applied) -> bool:
    if db.execute(_ADOPT, (op.options, op.run, op.token)).rowcount != 1:
        return False
    db.execute("UPDATE deliveries SET flow_key = NULL WHERE message = ?", (op.message,))
    kept = db.execute("SELECT id, data FROM notifications WHERE run = ?", (op.run,)).fetchall()
    for notification_id, data in kept:
        # They were kept for a run whose endpoint reads another form.
        told = notification(data)
        db.execute("UPDATE notifications SET data = ? WHERE id = ?", (told, notification_id))
    return True


def _inherit(db: sqlite3.Connection, op: message_ops.InheritMessages, applied: Applied) -> bool:
    rows = db.execute(_TAKEN_OVER, (op.run,)).fetchall()
    begun = any(kind == MessageKind.VISIT and step == 0 for _, kind, step in rows)
    for message, kind, _ in rows:
        asked_again = kind == MessageKind.TRIGGER
        if asked_again and begun:
            continue
        if kind not in _ELEMENTS and message not in op.owed and message not in op.along:
            continue
        taken_as = MessageKind.VISIT if asked_again else kind
        spec, flow_key = op.specs.get(message), op.flow_key if message in op.owed else None
        copied = db.execute(_COPY, (applied.run, taken_as, flow_key, spec, message)).lastrowid or 0
        if message in op.owed:
            due_at = op.owed[message]
            owed = db.execute(_OWE, (applied.run, due_at, op.flow_key, copied, due_at))
            applied.messages.append((copied, owed.lastrowid or 0))
    return True


REMOTE_WRITES: dict[type, Write] = {
    message_ops.Reachable: _reachable,
    message_ops.Unasked: _unasked,
    message_ops.Adopt: _adopt,
    message_ops.InheritMessages: _inherit,
}
"""By type of operation."""
