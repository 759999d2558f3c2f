"""Conversations in SQLite: what is written of them and read, and nothing of runs."""

import sqlite3

from workflow_agents.store import changes as ops
from workflow_agents.store.changes import Applied
from workflow_agents.store.sqlite_payloads import apart, loosen

MESSAGES = (
    "SELECT id, data, payload FROM conversation_messages"
    " WHERE conversation = ?1 AND (?2 IS NULL OR id <= ?2) ORDER BY id DESC LIMIT ?3"
)
CONVERSATIONS = (
    "SELECT conversation, count(*), min(at), max(at) FROM conversation_messages"
    " WHERE ?1 IS NULL OR conversation > ?1 GROUP BY conversation ORDER BY conversation LIMIT ?2"
)
_LAST_MESSAGE = "SELECT ifnull(max(id), 0) FROM conversation_messages WHERE conversation = ?"


def append_messages(db: sqlite3.Connection, op: ops.AppendMessages, applied: Applied) -> bool:
    """See `AppendMessages`."""
    db.executemany(
        "INSERT INTO conversation_messages (conversation, at, data, payload) VALUES (?, ?, ?, ?)",
        [(op.conversation, op.at, *apart(db, data)) for data in op.messages],
    )
    applied.up_to = db.execute(_LAST_MESSAGE, (op.conversation,)).fetchone()[0]
    return True


def delete_conversation(
    db: sqlite3.Connection, op: ops.DeleteConversation, _applied: Applied
) -> bool:
    """See `DeleteConversation`."""
    deleted = db.execute(
        "DELETE FROM conversation_messages WHERE conversation = ? RETURNING payload",
        (op.conversation,),
    ).fetchall()
    loosen(db, [payload for (payload,) in deleted if payload is not None])
    return bool(deleted)
