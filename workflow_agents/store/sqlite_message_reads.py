"""The queries about messages, on the connection of a store: see `message_rows.Messages`."""

import json
from collections.abc import Sequence
from typing import Any

from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.message_rows import MessageRow, Owed
from workflow_agents.store.remote_rows import RemoteRuns
from workflow_agents.store.sqlite_message_lists import (
    MESSAGE_BODY,
    MESSAGE_COLUMNS,
    SqliteMessageLists,
    message_row,
)
from workflow_agents.store.sqlite_messages import forget_messages
from workflow_agents.store.sqlite_reads import SqliteReads
from workflow_agents.store.sqlite_remote_reads import SqliteRemoteReads
from workflow_agents.store.sqlite_resource_reads import SqliteResourceReads


class SqliteMessageReads(SqliteMessageLists, SqliteResourceReads):
    """See the module."""

    def __init__(self, store: SqliteReads) -> None:
        super().__init__(store)
        self.remote: RemoteRuns = SqliteRemoteReads(store)

    def message(self, message: int) -> MessageRow | None:
        """See `Messages.message`."""
        rows = self._messages("m.id = ?", (message,))
        return rows[0] if rows else None

    def accepted_with(self, deduplication_id: str) -> list[MessageRow]:
        """See `Messages.accepted_with`."""
        rows = self._store.all(
            "SELECT message, message + messages FROM deduplications WHERE id = ?",
            (deduplication_id,),
        )
        return self._messages("m.id >= ? AND m.id < ? ORDER BY m.id", rows[0]) if rows else []

    def owed(self, messages: Sequence[int]) -> dict[int, Owed]:
        """See `Messages.owed`."""
        rows = self._store.all(
            "SELECT message, id, leased, attempt, due_at, not_before FROM deliveries"
            " WHERE message IN (SELECT value FROM json_each(?))",
            (json.dumps([*messages]),),
        )
        return {message: Owed(*rest) for message, *rest in rows}

    def setting(self, name: str) -> str | None:
        """See `Messages.setting`."""
        rows = self._store.all("SELECT value FROM meta WHERE name = ?", (f"server.{name}",))
        return rows[0][0] if rows else None

    def of_run(
        self, run: int, *, up_to: int | None = None, kind: MessageKind | None = None
    ) -> list[MessageRow]:
        """See `Messages.of_run`."""
        return self._messages(
            "m.run = ?1 AND m.run > 0 AND (?2 IS NULL OR m.id <= ?2)"
            " AND (?3 IS NULL OR m.kind = ?3) ORDER BY m.id",
            (run, up_to, kind),
        )

    def forget(self, before: int, now: int, limit: int) -> int:
        """See `Messages.forget`."""
        with self._store.mutex:
            db = self._store.db
            db.execute("BEGIN IMMEDIATE")
            try:
                forgotten = forget_messages(db, before, now, limit)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return forgotten

    def _messages(self, which: str, arguments: tuple[Any, ...]) -> list[MessageRow]:
        sql = f"SELECT {MESSAGE_COLUMNS}, m.payload FROM messages m WHERE {which}"
        rows = self._store.all(sql, arguments)
        return [message_row(row) for row in self._store.with_payloads(rows, MESSAGE_BODY)]
