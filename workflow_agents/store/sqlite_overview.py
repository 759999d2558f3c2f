"""What those ask of a SQLite store who watch over all of it: the feed in short, and numbers.

Loaded with the first of them. Each query reads to the end at once, so that no snapshot stays
open.
"""

from collections.abc import Callable
from typing import Any

from workflow_agents.core.feed_events import FeedEvent
from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.store.changes import WaiterKind
from workflow_agents.store.interface import Census

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
    """

    def __init__(self, query: Query) -> None:
        self._all = query

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

    def census(self, now: int) -> Census:
        """See `Overview.census`."""
        phases = self._all("SELECT phase, count(*) FROM runs GROUP BY phase")
        waits = self._all("SELECT kind, count(*) FROM waiters GROUP BY kind")
        owed = self._all("SELECT leased, count(*) FROM deliveries GROUP BY leased")
        queues = self._all(
            "SELECT queue, count(*) FROM deliveries WHERE queue IS NOT NULL GROUP BY queue"
        )
        overdue = (
            "SELECT (SELECT count(*) FROM runs WHERE due_at < ?1),"
            " (SELECT count(*) FROM waiters WHERE due_at < ?1),"
            " (SELECT count(*) FROM deliveries WHERE due_at < ?1)"
        )
        runs_late, waits_late, deliveries_late = self._all(overdue, (now,))[0]
        kinds = self._all("SELECT kind, count(*) FROM feed GROUP BY kind")
        return Census(
            runs={Phase(phase): count for phase, count in phases},
            waits={_WAITS[kind]: count for kind, count in waits},
            deliveries={_OWED[leased]: count for leased, count in owed},
            queues=dict(queues),
            dead_letters=self._all("SELECT count(*) FROM dead_letters")[0][0],
            overdue={"run": runs_late, "wait": waits_late, "delivery": deliveries_late},
            entries={EntryKind(kind): count for kind, count in kinds},
        )


def _event(row: Any) -> FeedEvent:
    seq, at, kind, run, run_id, workflow, step, type_, name, data, left_out, message = row
    return FeedEvent(
        seq, at, EntryKind(kind), run, run_id, workflow, step, _STEP_KINDS.get(type_), name,
        data, bool(left_out), message,
    )  # fmt: skip
