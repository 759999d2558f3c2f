"""The queries for lists of messages as SQL: see `message_lists`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.message_lists import MessageEntryRow, MessageFilter, MessageLetterRow
from workflow_agents.store.message_rows import MessageRow
from workflow_agents.store.sqlite_urls import add_url_fits

if TYPE_CHECKING:
    from workflow_agents.store.sqlite_reads import SqliteReads

MESSAGE_COLUMNS = (
    "m.id, m.run, m.kind, m.at, m.url, m.url_group, m.endpoint, m.queue, m.schedule, m.flow_key,"
    " m.caller_ip, m.step, m.source, m.spec, m.body"
)
"""Of a `MessageRow`, in its order, of a table that is called m."""

MESSAGE_BODY = 14
"""The place of the body among them."""

_TOLD = (
    f"({EntryKind.MESSAGE_CREATED}, {EntryKind.MESSAGE_ACTIVE}, {EntryKind.MESSAGE_RETRY},"
    f" {EntryKind.MESSAGE_DELIVERED}, {EntryKind.MESSAGE_FAILED}, {EntryKind.MESSAGE_CANCELED})"
)
_COLUMNS = {
    "letters": "l.id",
    "urls": "m.url",
    "url_groups": "m.url_group",
    "queues": "m.queue",
    "schedules": "m.schedule",
    "flow_keys": "m.flow_key",
    "caller_ips": "m.caller_ip",
    "statuses": "json_extract(l.failure, '$.status')",
    "kinds": "f.kind",
}


class SqliteMessageLists:
    """See the module."""

    def __init__(self, store: "SqliteReads") -> None:
        self._store = store

    def owed_messages(self, which: MessageFilter, after: int, limit: int) -> list[int]:
        """See `MessageLists.owed_messages`."""
        conditions, arguments = self._conditions(which, "m.at")
        rows = self._store.all(
            "SELECT m.id FROM deliveries d JOIN messages m ON m.id = d.message"
            f" WHERE {conditions} AND m.id > ? ORDER BY m.id LIMIT ?",
            (*arguments, after, limit),
        )
        return [message for (message,) in rows]

    def letters(
        self, which: MessageFilter, before: int | None, limit: int
    ) -> list[MessageLetterRow]:
        """See `MessageLists.letters`."""
        conditions, arguments = self._conditions(which, "l.at")
        if before is not None:
            conditions += " AND l.rowid < ?"
            arguments += (before,)
        rows = self._store.all(
            f"SELECT l.rowid, l.id, l.at, l.failure, {MESSAGE_COLUMNS}, m.payload"
            f" FROM dead_letters l JOIN messages m ON m.id = l.message WHERE {conditions}"
            " ORDER BY l.rowid DESC LIMIT ?",
            (*arguments, limit),
        )
        rows = self._store.with_payloads(rows, 4 + MESSAGE_BODY)
        return [MessageLetterRow(*row[:4], message=message_row(row[4:])) for row in rows]

    def entries(self, which: MessageFilter, up_to: int | None, limit: int) -> list[MessageEntryRow]:
        """See `MessageLists.entries`."""
        conditions, arguments = self._conditions(which, "f.at")
        if up_to is not None:
            conditions += " AND f.seq <= ?"
            arguments += (up_to,)
        rows = self._store.all(
            f"SELECT f.seq, f.at, f.kind, f.data, {MESSAGE_COLUMNS}, f.payload"
            f" FROM feed f JOIN messages m ON m.id = f.message WHERE f.kind IN {_TOLD}"
            f" AND {conditions} ORDER BY f.seq DESC LIMIT ?",
            (*arguments, limit),
        )
        return [
            MessageEntryRow(row[0], row[1], EntryKind(row[2]), row[3], message_row(row[4:]))
            for row in self._store.with_payloads(rows, 3)
        ]

    def states(self, messages: Sequence[int]) -> dict[int, EntryKind]:
        """See `MessageLists.states`."""
        rows = self._store.all(
            "SELECT message, kind, max(seq) FROM feed WHERE message IN"
            f" (SELECT value FROM json_each(?)) AND kind IN {_TOLD} GROUP BY message",
            (json.dumps([*messages]),),
        )
        return {message: EntryKind(kind) for message, kind, _ in rows}

    def _conditions(self, which: MessageFilter, at: str) -> tuple[str, tuple[Any, ...]]:
        conditions = ["m.run = 0"]
        arguments: list[Any] = []

        def one_of(column: str, values: Sequence[Any]) -> None:
            conditions.append(f"{column} IN (SELECT value FROM json_each(?))")
            arguments.append(json.dumps([*values]))

        if which.ids is not None:
            one_of("m.id", which.ids)
        for name, column in _COLUMNS.items():
            values = getattr(which, name)
            if values:
                one_of(column, values)
        if which.labels:
            one_of("l_.label", which.labels)
            labelled = conditions.pop()
            conditions.append(
                f"m.id IN (SELECT l_.message FROM message_labels l_ WHERE {labelled})"
            )
        if which.hosts or which.paths:
            with self._store.mutex:
                add_url_fits(self._store.db)
            conditions.append("url_fits(m.url, ?, ?)")
            arguments += [json.dumps(which.hosts), json.dumps(which.paths)]
        for bound, sign in ((which.since, ">="), (which.until, "<=")):
            if bound is not None:
                conditions.append(f"{at} {sign} ?")
                arguments.append(bound)
        return " AND ".join(conditions), tuple(arguments)


def message_row(row: Sequence[Any]) -> MessageRow:
    """A message of the columns above."""
    found = MessageRow(*row)
    found.kind = MessageKind(found.kind)
    found.body = found.body or b""
    return found
