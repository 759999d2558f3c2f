"""The queries about queues, URL groups, schedules and flow control keys: see `resource_rows`."""

import json
from typing import Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.store.changes import WaiterKind
from workflow_agents.store.interface import FlowKeyRow
from workflow_agents.store.resource_rows import (
    EndpointRow,
    GroupRow,
    QueueRow,
    ScheduleRow,
)
from workflow_agents.store.sqlite_flow_reads import known_flow_keys
from workflow_agents.store.sqlite_reads import SqliteReads

_QUEUE = (
    "SELECT name, parallelism, paused, created_at, updated_at,"
    " (SELECT count(DISTINCT turn) FROM deliveries WHERE queue = name) FROM queues"
)
_SCHEDULE = (
    "SELECT id, cron, destination, created_at, paused, due_at, last_at, last_messages, error,"
    " caller_ip, spec, body, payload FROM schedules"
)
_SCHEDULE_BODY = 11
# What is due waits too: nobody has looked yet whether it may start.
_WAITING = (
    f"SELECT (SELECT count(*) FROM runs WHERE flow_key = ?1 AND (phase = {int(Phase.WAITING)}"
    f" OR phase = {int(Phase.DUE)} AND due_at <= ?2))"
    " + (SELECT count(*) FROM deliveries WHERE flow_key = ?1 AND (leased = 2"
    " OR leased = 0 AND due_at <= ?2))"
    " + (SELECT count(*) FROM waiters WHERE flow_key = ?1"
    f" AND kind = {WaiterKind.ADMISSION})"
)


class SqliteResourceReads:
    """See the module."""

    def __init__(self, store: SqliteReads) -> None:
        self._store = store

    def queues(self) -> list[QueueRow]:
        """See `Resources.queues`."""
        return [_queue(row) for row in self._store.all(f"{_QUEUE} ORDER BY name")]

    def queue(self, name: str) -> QueueRow | None:
        """See `Resources.queue`."""
        rows = self._store.all(f"{_QUEUE} WHERE name = ?", (name,))
        return _queue(rows[0]) if rows else None

    def groups(self) -> list[GroupRow]:
        """See `Resources.groups`."""
        return self._groups("")

    def group(self, name: str) -> GroupRow | None:
        """See `Resources.group`."""
        found = self._groups("WHERE name = ?", name)
        return found[0] if found else None

    def _groups(self, which: str, *arguments: str) -> list[GroupRow]:
        rows = self._store.all(
            "SELECT name, url, endpoint_name, created_at, updated_at FROM url_groups"
            f" {which} ORDER BY name, url",
            arguments,
        )
        found: dict[str, GroupRow] = {}
        for name, url, endpoint, created_at, updated_at in rows:
            group = found.setdefault(name, GroupRow(name, created_at, updated_at))
            group.endpoints.append(EndpointRow(url, endpoint))
        return [*found.values()]

    def schedules(self) -> list[ScheduleRow]:
        """See `Resources.schedules`."""
        return self._schedules("1 ORDER BY created_at, id")

    def schedule(self, id: str) -> ScheduleRow | None:
        """See `Resources.schedule`."""
        found = self._schedules("id = ?", (id,))
        return found[0] if found else None

    def _schedules(self, which: str, arguments: tuple[Any, ...] = ()) -> list[ScheduleRow]:
        rows = self._store.all(f"{_SCHEDULE} WHERE {which}", arguments)
        return [_schedule(row) for row in self._store.with_payloads(rows, _SCHEDULE_BODY)]

    def flow_keys(self, search: str | None = None) -> list[FlowKeyRow]:
        """See `Resources.flow_keys`."""
        return known_flow_keys(self._store.all, search)

    def waiting_for_flow(self, flow_key: str, now: int) -> int:
        """See `Resources.waiting_for_flow`."""
        return self._store.all(_WAITING, (flow_key, now))[0][0]


def _queue(row: Any) -> QueueRow:
    found = QueueRow(*row)
    found.paused = bool(found.paused)
    return found


def _schedule(row: Any) -> ScheduleRow:
    found = ScheduleRow(*row)
    found.paused = bool(found.paused)
    found.last_messages = json.loads(row[7]) if row[7] else []
    found.body = found.body or b""
    return found
