"""Conversations in SQLite: what is written of them and read, and nothing of runs."""

import sqlite3
from typing import Any

from workflow_agents.store import changes as ops
from workflow_agents.store.changes import Applied

MESSAGES = (
    "SELECT id, data FROM messages WHERE conversation = ?1 AND (?2 IS NULL OR id <= ?2)"
    " ORDER BY id DESC LIMIT ?3"
)
CONVERSATIONS = (
    "SELECT conversation, count(*), min(at), max(at) FROM messages"
    " WHERE ?1 IS NULL OR conversation > ?1 GROUP BY conversation ORDER BY conversation LIMIT ?2"
)
_LAST_MESSAGE = "SELECT ifnull(max(id), 0) FROM messages WHERE conversation = ?"


def append_messages(db: sqlite3.Connection, op: ops.AppendMessages, applied: Applied) -> bool:
    """See `AppendMessages`."""
    db.executemany(
        "INSERT INTO messages (conversation, at, data) VALUES (?, ?, ?)",
        [(op.conversation, op.at, data) for data in op.messages],
    )
    applied.up_to = db.execute(_LAST_MESSAGE, (op.conversation,)).fetchone()[0]
    return True


def delete_conversation(
    db: sqlite3.Connection, op: ops.DeleteConversation, _applied: Applied
) -> bool:
    """See `DeleteConversation`."""
    deleted = db.execute("DELETE FROM messages WHERE conversation = ?", (op.conversation,))
    return deleted.rowcount > 0


def newest_last(rows: list[Any]) -> list[tuple[int, bytes]]:
    """As they were said."""
    return [(row[0], row[1]) for row in reversed(rows)]
