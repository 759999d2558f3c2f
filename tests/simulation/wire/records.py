"""What the database holds of messages, as those who judge it read it."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workflow_agents.engine.sealing import Sealer
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.sqlite_payloads import read_payloads
from workflow_agents.testing.faults import Database

RETRIES = (EntryKind.MESSAGE_RETRY, EntryKind.FAILURE_FUNCTION_RETRY)
ANSWERED = (EntryKind.MESSAGE_DELIVERED, EntryKind.MESSAGE_FAILED)
ENDS = (*ANSWERED, EntryKind.MESSAGE_CANCELED)
ENDED = f"EXISTS (SELECT 1 FROM feed f WHERE f.message = m.id AND f.kind IN {(*map(int, ENDS),)})"

KEY = {"WORKFLOW_AGENTS_KEY": base64.b64encode(bytes(32)).decode()}
"""The environment of all processes: what one has sealed, the others read."""

_SEALER = Sealer(":memory:", KEY.get)
_MESSAGE = (
    "SELECT id, run, kind, at, url, queue, flow_key, source, schedule, url_group, endpoint,"
    " spec, body, payload FROM messages m"
)


@dataclass(frozen=True)
class Message:
    """A message as it was accepted; see `messages` in the store."""

    id: int
    run: int
    kind: MessageKind
    at: int
    url: str
    queue: str | None
    flow_key: str | None
    source: int | None
    schedule: str | None
    group: str | None
    endpoint: str | None
    spec: MessageSpec
    body: bytes

    @property
    def turn(self) -> int:
        """The message whose turn in the queue it is."""
        return self.source or self.id

    @property
    def due_at(self) -> int:
        """Before it, no attempt is made."""
        if self.spec.not_before is not None:
            return self.spec.not_before
        return self.at + (self.spec.delay_ms or 0)

    @property
    def attempts(self) -> int:
        """How many are made if all fail."""
        return 1 + (3 if self.spec.retries is None else self.spec.retries)


@dataclass(frozen=True)
class Entry:
    """What the feed tells of a message."""

    at: int
    kind: EntryKind
    told: dict[str, Any]


def message(database: Database, row: int) -> Message | None:
    """One message."""
    found = _messages(database, "WHERE id = ?", row)
    return found[0] if found else None


def messages(database: Database) -> list[Message]:
    """All of them, in the order in which they were accepted."""
    return _messages(database, "ORDER BY id")


def _messages(database: Database, which: str, *arguments: Any) -> list[Message]:
    found: list[Message] = []
    for row in database.all(f"{_MESSAGE} {which}", *arguments):
        *facts, spec, body, payload = row
        if payload is not None:
            body = read_payloads(lambda sql, given: database.all(sql, *given), {payload})[payload]
        facts[2] = MessageKind(facts[2])
        found.append(Message(*facts, _opened(spec), body or b""))
    return found


def _opened(spec: bytes) -> MessageSpec:
    data = json.loads(spec)
    for family in ("headers", "callback_headers", "failure_callback_headers"):
        data[family] = _SEALER.open_headers(data.get(family, {}))
    return MessageSpec.from_json(data)


def entries(database: Database, row: int) -> list[Entry]:
    """What the feed tells of a message, in order."""
    sql = "SELECT at, kind, data FROM feed WHERE message = ? ORDER BY seq"
    return [
        Entry(at, EntryKind(kind), json.loads(data) if data else {})
        for at, kind, data in database.all(sql, row)
    ]


def earlier_turns(database: Database, of: Message) -> int:
    """How many turns before this message's one in its queue are not over."""
    sql = (
        "SELECT count(DISTINCT ifnull(m.source, m.id)) FROM messages m WHERE m.queue = ?"
        f" AND ifnull(m.source, m.id) < ? AND NOT {ENDED}"
    )
    return database.all(sql, of.queue, of.turn)[0][0]


def unended(database: Database, rows: Iterable[int]) -> list[int]:
    """Those of these messages that have not ended."""
    sql = (
        f"SELECT m.id FROM messages m WHERE NOT {ENDED}"
        " AND m.id IN (SELECT value FROM json_each(?))"
    )
    return [row for (row,) in database.all(sql, json.dumps([*rows]))]


def was_cancelled(database: Database, row: int) -> bool:
    """Whether a message ended because somebody cancelled it."""
    canceled = int(EntryKind.MESSAGE_CANCELED)
    return bool(database.all(f"SELECT 1 FROM feed WHERE message = ? AND kind = {canceled}", row))


def matching(database: Database, column: str, value: str) -> list[int]:
    """Published messages of a queue or a flow control key."""
    sql = f"SELECT id FROM messages WHERE kind = {int(MessageKind.PLAIN)} AND {column} = ?"
    return [row for (row,) in database.all(sql, value)]


def letters(database: Database) -> dict[int, list[tuple[str, dict[str, Any]]]]:
    """The dead letters of each message: the id, and what came of the last attempt."""
    found: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    sql = "SELECT message, id, failure FROM dead_letters WHERE message IS NOT NULL"
    for row, letter, failure in database.all(sql):
        found.setdefault(row, []).append((letter, json.loads(failure)))
    return found


def is_quiet(database: Database) -> bool:
    """Whether nothing is owed any more."""
    return not database.all("SELECT 1 FROM deliveries LIMIT 1")


def leftovers(database: Database) -> list[str]:
    """What is not over, for people."""
    sql = (
        "SELECT id, message, leased, due_at, attempt, queue, turn, flow_key, not_before"
        " FROM deliveries"
    )
    return [f"still owed: {row}" for row in database.all(sql)]
