"""The queries about messages, on the connection of a store: see `message_rows.Messages`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.message_rows import MessageRow, Owed

if TYPE_CHECKING:
    from workflow_agents.store.sqlite_reads import SqliteReads

_MESSAGE = (
    "SELECT id, run, kind, at, url, url_group, queue, schedule, flow_key, caller_ip, step,"
    " source, spec, body, payload FROM messages"
)
_BODY = 13


class SqliteMessageReads:
    """See the module."""

    def __init__(self, store: "SqliteReads") -> None:
        self._store = store

    def message(self, message: int) -> MessageRow | None:
        """See `Messages.message`."""
        rows = self._messages("id = ?", (message,))
        return rows[0] if rows else None

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
            "run = ?1 AND run > 0 AND (?2 IS NULL OR id <= ?2) AND (?3 IS NULL OR kind = ?3)"
            " ORDER BY id",
            (run, up_to, kind),
        )

    def _messages(self, which: str, arguments: tuple[Any, ...]) -> list[MessageRow]:
        rows = self._store.all(f"{_MESSAGE} WHERE {which}", arguments)
        return [_row(row) for row in self._store.with_payloads(rows, _BODY)]


def _row(row: Any) -> MessageRow:
    found = MessageRow(*row)
    found.kind = MessageKind(found.kind)
    found.body = found.body or b""
    return found
