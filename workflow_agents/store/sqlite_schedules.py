"""Operations on URL groups, schedules and flow control keys as SQL. See `sqlite_writes`."""

import json
import sqlite3

from workflow_agents.core.lifecycle import Phase
from workflow_agents.store import resource_changes as resource_ops
from workflow_agents.store.changes import Applied, WaiterKind
from workflow_agents.store.sqlite_payloads import apart, loosen
from workflow_agents.store.sqlite_writes import Write


def _put_endpoints(db: sqlite3.Connection, op: resource_ops.PutEndpoints, _ap: Applied) -> bool:
    made = db.execute(
        "SELECT min(created_at) FROM url_groups WHERE name = ?", (op.group,)
    ).fetchone()[0]
    for url, name in op.endpoints:
        if name is not None:
            db.execute(
                "DELETE FROM url_groups WHERE name = ? AND endpoint_name = ?", (op.group, name)
            )
        db.execute(
            "INSERT INTO url_groups VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name, url) DO UPDATE"
            " SET endpoint_name = ifnull(?3, endpoint_name)",
            (op.group, url, name, op.at if made is None else made, op.at),
        )
    _touch(db, op.group, op.at)
    return True


def _remove_endpoints(
    db: sqlite3.Connection, op: resource_ops.RemoveEndpoints, _applied: Applied
) -> bool:
    there = db.execute("SELECT 1 FROM url_groups WHERE name = ? LIMIT 1", (op.group,)).fetchone()
    db.execute(
        "DELETE FROM url_groups WHERE name = ?1 AND (url IN (SELECT value FROM json_each(?2))"
        " OR endpoint_name IN (SELECT value FROM json_each(?3)))",
        (op.group, json.dumps(op.urls), json.dumps(op.names)),
    )
    _touch(db, op.group, op.at)
    return there is not None


def _touch(db: sqlite3.Connection, group: str, at: int) -> None:
    db.execute("UPDATE url_groups SET updated_at = ? WHERE name = ?", (at, group))


def _drop_group(db: sqlite3.Connection, op: resource_ops.DropGroup, _applied: Applied) -> bool:
    return db.execute("DELETE FROM url_groups WHERE name = ?", (op.group,)).rowcount > 0


def _put_schedule(db: sqlite3.Connection, op: resource_ops.PutSchedule, _applied: Applied) -> bool:
    before = db.execute("SELECT payload FROM schedules WHERE id = ?", (op.id,)).fetchone()
    body, payload = apart(db, op.body)
    db.execute(
        "INSERT INTO schedules (id, cron, destination, created_at, paused, due_at, caller_ip,"
        " spec, body, payload) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET destination = excluded.destination,"
        # A tick that is due and not made yet is not lost because somebody starts again.
        " due_at = CASE WHEN paused THEN NULL WHEN cron = excluded.cron THEN"
        " ifnull(due_at, excluded.due_at) ELSE excluded.due_at END, cron = excluded.cron,"
        " caller_ip = excluded.caller_ip, spec = excluded.spec, body = excluded.body,"
        " payload = excluded.payload",
        (
            op.id,
            op.cron,
            op.destination,
            op.at,
            op.due_at,
            op.caller_ip,
            op.spec,
            body,
            payload,
        ),
    )
    if before is not None and before[0] not in (None, payload):
        loosen(db, (before[0],))
    return True


def _pause_schedule(
    db: sqlite3.Connection, op: resource_ops.PauseSchedule, _applied: Applied
) -> bool:
    # One that is not paused keeps its tick when it is resumed.
    changed = db.execute(
        "UPDATE schedules SET due_at = CASE WHEN ?1 THEN NULL WHEN paused THEN ?2"
        " ELSE due_at END, paused = ?1 WHERE id = ?3",
        (op.paused, op.due_at, op.id),
    )
    return changed.rowcount == 1


def _drop_schedule(
    db: sqlite3.Connection, op: resource_ops.DropSchedule, _applied: Applied
) -> bool:
    row = db.execute("DELETE FROM schedules WHERE id = ? RETURNING payload", (op.id,)).fetchone()
    if row is not None and row[0] is not None:
        loosen(db, (row[0],))
    return row is not None


def _tick_schedule(db: sqlite3.Connection, op: resource_ops.TickSchedule, applied: Applied) -> bool:
    added = json.dumps([message for message, _ in applied.messages])
    ticked = db.execute(
        "UPDATE schedules SET due_at = ?1, last_at = ifnull(?2, last_at),"
        " last_messages = CASE WHEN ?2 IS NULL THEN last_messages ELSE ?3 END, error = ?6"
        " WHERE id = ?4 AND due_at = ?5",
        (op.due_at, op.fired_at, added, op.id, op.expected, op.error),
    )
    return ticked.rowcount == 1


def _pause_flow(db: sqlite3.Connection, op: resource_ops.PauseFlow, _applied: Applied) -> bool:
    db.execute(
        "INSERT INTO flow_keys (flow_key, value, paused) VALUES (?, '', ?)"
        " ON CONFLICT (flow_key) DO UPDATE SET paused = excluded.paused",
        (op.flow_key, op.paused),
    )
    if not op.paused:
        ask_again(db, op.flow_key, op.at)
    return True


def _pin_flow(db: sqlite3.Connection, op: resource_ops.PinFlow, _applied: Applied) -> bool:
    db.execute(
        "INSERT INTO flow_keys (flow_key, value, pinned) VALUES (?, ?, ?)"
        " ON CONFLICT (flow_key) DO UPDATE SET value = excluded.value, pinned = excluded.pinned",
        (op.flow_key, op.value, op.pinned),
    )
    ask_again(db, op.flow_key, op.at)
    return True


def _reset_rate(db: sqlite3.Connection, op: resource_ops.ResetRate, _applied: Applied) -> bool:
    db.execute("DELETE FROM flow_starts WHERE flow_key = ?", (op.flow_key,))
    ask_again(db, op.flow_key, op.at)
    return True


def ask_again(db: sqlite3.Connection, flow_key: str, at: int) -> None:
    """All who wait for a key are looked at again: what holds them back has changed."""
    for table, column, waiting in (
        ("runs", "phase", int(Phase.WAITING)),
        ("deliveries", "leased", 2),
        ("waiters", "kind", WaiterKind.ADMISSION),
    ):
        db.execute(
            f"UPDATE {table} SET due_at = ? WHERE flow_key = ? AND {column} = ?",
            (at, flow_key, waiting),
        )


RESOURCE_WRITES: dict[type, Write] = {
    resource_ops.PutEndpoints: _put_endpoints,
    resource_ops.RemoveEndpoints: _remove_endpoints,
    resource_ops.DropGroup: _drop_group,
    resource_ops.PutSchedule: _put_schedule,
    resource_ops.PauseSchedule: _pause_schedule,
    resource_ops.DropSchedule: _drop_schedule,
    resource_ops.TickSchedule: _tick_schedule,
    resource_ops.PauseFlow: _pause_flow,
    resource_ops.PinFlow: _pin_flow,
    resource_ops.ResetRate: _reset_rate,
}
"""By type of operation."""
