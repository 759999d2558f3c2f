"""The queries about messages, on the connection of a store: see `message_rows.Messages`."""

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.message_rows import GroupEndpoint, MessageFilter, MessageRow, Owed
from workflow_agents.store.remote_rows import RemoteRuns
from workflow_agents.store.sqlite_remote_reads import SqliteRemoteReads

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
        self.remote: RemoteRuns = SqliteRemoteReads(store)

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

    def pending(self, which: MessageFilter, *, after: int, limit: int) -> list[int]:
        """See `Messages.pending`."""
        where = ["m.run = 0", "m.id > ?", "d.message = m.id"]
        arguments: list[Any] = [after]
        for column, values in (
            ("m.url", which.urls),
            ("m.url_group", which.url_groups),
            ("m.queue", which.queues),
            ("m.schedule", which.schedules),
            ("m.flow_key", which.flow_keys),
            ("m.caller_ip", which.caller_ips),
            ("host_of(m.url)", which.hosts),
            ("path_of(m.url)", which.paths),
        ):
            if values:
                where.append(f"{column} IN (SELECT value FROM json_each(?))")
                arguments.append(json.dumps(values))
        if which.labels:
            where.append(
                "m.id IN (SELECT message FROM message_labels"
                " WHERE label IN (SELECT value FROM json_each(?)))"
            )
            arguments.append(json.dumps(which.labels))
        for comparison, at in ((">=", which.from_at), ("<=", which.to_at)):
            if at is not None:
                where.append(f"m.at {comparison} ?")
                arguments.append(at)
        if which.hosts or which.paths:
            with self._store.mutex:
                add_url_functions(self._store.db)
        rows = self._store.all(
            f"SELECT m.id FROM deliveries d JOIN messages m WHERE {' AND '.join(where)}"
            " ORDER BY m.id LIMIT ?",
            (*arguments, limit),
        )
        return [message for (message,) in rows]

    def group(self, name: str) -> list[GroupEndpoint]:
        """See `Messages.group`."""
        rows = self._store.all(
            "SELECT url, endpoint_name FROM url_groups WHERE name = ? ORDER BY created_at, url",
            (name,),
        )
        return [GroupEndpoint(*row) for row in rows]

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


def add_url_functions(db: sqlite3.Connection) -> None:
    """Let SQL look into URLs; again is harmless."""
    db.create_function("host_of", 1, _host_of, deterministic=True)
    db.create_function("path_of", 1, _path_of, deterministic=True)


def _host_of(url: str) -> str:
    return _parts(url)[0]


def _path_of(url: str) -> str:
    return _parts(url)[1]


def _parts(url: str) -> tuple[str, str]:
    try:
        found = urlsplit(url)
    except ValueError:  # brackets that hold no address
        return "", ""
    return found.netloc.lower(), found.path or "/"
