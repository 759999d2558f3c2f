"""What those ask of a SQLite store who watch over all of it: the feed in short, and numbers.

Loaded with the first of them. Each query reads to the end at once, so that no snapshot stays
open.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from workflow_agents.core.feed_events import FeedEvent
from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.store.changes import WaiterKind
from workflow_agents.store.interface import Census
from workflow_agents.store.sqlite_errors import store_error

_EVENTS = (
    "SELECT f.seq, f.at, f.kind, f.run, r.run_id, r.workflow, f.step, f.type, f.name, f.data,"
    " f.payload IS NOT NULL, f.message FROM feed f LEFT JOIN runs r ON r.id = f.run"
)
_STEP_KINDS = {int(kind): kind for kind in StepKind}
_WAITS = {
    WaiterKind.TIMER: "timer",
    WaiterKind.CALL: "call",
    WaiterKind.EVENT: "event",
    WaiterKind.INVOKE: "invoke",
    WaiterKind.RETRY: "retry",
    WaiterKind.ADMISSION: "admission",
    WaiterKind.READY: "ready",
    WaiterKind.REMOTE: "remote",
}
_OWED = {0: "due", 1: "on_its_way", 2: "flow_control", 3: "paused", 4: "queued"}

Query = Callable[..., list[Any]]


class SqliteOverview:
    """See `store.interface.Overview`.

    Args:
        query: reads every row of a statement.
        path: of the store.
    """

    def __init__(self, query: Query, path: str) -> None:
        self._all = query
        self._path = path

    def events(
        self, *, run: int | None, label: str | None, after: int, limit: int
    ) -> list[FeedEvent]:
        """See `Overview.events`. Of each filter there is an index to go along."""
        if run is not None:
            which = "f.run = ?3 AND f.seq > ?1"
        elif label is not None:
            which = "f.seq > ?1 AND f.run IN (SELECT run FROM labels WHERE label = ?3)"
        else:
            which = "f.seq > ?1 AND ?3 IS NULL"
        rows = self._all(
            f"{_EVENTS} WHERE {which} ORDER BY f.seq LIMIT ?2",
            (after, limit, label if run is None else run),
        )
        return [_event(row) for row in rows]

    def last_seq(self) -> int:
        """See `Overview.last_seq`."""
        return self._all("SELECT ifnull(max(seq), 0) FROM feed")[0][0]

    def census(self, now: int, after: int) -> Census:
        """See `Overview.census`. On a file it has a connection of its own, in one snapshot."""
        if self._path == ":memory:":
            return _census(self._all, now, after)
        try:
            with closing(sqlite3.connect(f"{_uri(self._path)}?mode=ro", uri=True)) as db:
                db.execute("BEGIN")

                def query(sql: str, given: tuple[Any, ...]) -> list[Any]:
                    return db.execute(sql, given).fetchall()

                return _census(query, now, after)
        except sqlite3.Error as error:
            raise store_error(error, self._path) from error


def _uri(path: str) -> str:
    from pathlib import Path

    return Path(path).absolute().as_uri()


def _census(query: Query, now: int, after: int) -> Census:
    def counts(sql: str, *given: Any) -> dict[Any, int]:
        return dict(query(sql, given))

    phases = counts("SELECT phase, count(*) FROM runs GROUP BY phase")
    waits = counts("SELECT kind, count(*) FROM waiters GROUP BY kind")
    owed = counts("SELECT leased, count(*) FROM deliveries GROUP BY leased")
    queues = "SELECT queue, count(*) FROM deliveries WHERE queue IS NOT NULL GROUP BY queue"
    overdue = counts(
        "SELECT 'run', count(*) FROM runs WHERE due_at < ?1"
        " UNION ALL SELECT 'wait', count(*) FROM waiters WHERE due_at < ?1"
        " UNION ALL SELECT 'delivery', count(*) FROM deliveries WHERE due_at < ?1",
        now,
    )
    entries = query(
        "SELECT kind, type, count(*), max(seq) FROM feed WHERE seq > ? GROUP BY kind, type",
        (after,),
    )
    pages = query("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", ())
    return Census(
        runs={Phase(phase): count for phase, count in phases.items()},
        waits={_WAITS[kind]: count for kind, count in waits.items()},
        deliveries={_OWED[leased]: count for leased, count in owed.items()},
        queues=counts(queues),
        dead_letters=query("SELECT count(*) FROM dead_letters", ())[0][0],
        overdue=overdue,
        entries={
            (EntryKind(kind), _STEP_KINDS.get(type_)): count for kind, type_, count, _ in entries
        },
        last_seq=max((last for *_, last in entries), default=after),
        bytes=pages[0][0],
    )


def _event(row: Any) -> FeedEvent:
    seq, at, kind, run, run_id, workflow, step, type_, name, data, left_out, message = row
    return FeedEvent(
        seq, at, EntryKind(kind), run, run_id, workflow, step, _STEP_KINDS.get(type_), name,
        data, bool(left_out), message,
    )  # fmt: skip
