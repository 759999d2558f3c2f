"""Every query of the SQLite store. Each reads to the end at once, so no snapshot stays open."""

import sqlite3
from typing import TYPE_CHECKING, Any

from workflow_agents.core.journal import History
from workflow_agents.core.lifecycle import Phase
from workflow_agents.errors import StoreError
from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind, Waiting
from workflow_agents.store.changes import WaiterKind
from workflow_agents.store.interface import (
    Body,
    ConversationRow,
    DeadLetterRow,
    DeliveryRow,
    Due,
    FeedRow,
    FlowKeyRow,
    RunRow,
    WaiterRow,
)
from workflow_agents.store.sqlite_conversations import CONVERSATIONS, MESSAGES
from workflow_agents.store.sqlite_errors import store_error
from workflow_agents.store.sqlite_flow_reads import flow, one_flow_key, ruled_flow_keys
from workflow_agents.store.sqlite_payloads import (
    Reader,
    loosen,
    payload_sizes,
    read_payloads,
    sweep,
)

if TYPE_CHECKING:
    from workflow_agents.core.pauses import Pause
    from workflow_agents.store.sqlite_message_reads import SqliteMessageReads
    from workflow_agents.store.sqlite_overview import SqliteOverview

_RUN = (
    "SELECT id, run_id, workflow, phase, token, wakes, attempt, created_at, due_at,"
    " input, options, ifnull(recoveries, 0), parent, parent_step, ended_at, result,"
    " payload, result_payload FROM runs"
)
_WAITER = "SELECT run, step, kind, type, name, due_at, event, attempts, flow_key FROM waiters"
_DELIVERY = (
    "SELECT id, run, step, kind, attempt, due_at, flow_key, data, NULL,"
    " leased > 1, pause_key, refusals, refused_at, message, queue, payload FROM deliveries"
)
_FEED = "SELECT seq, run, at, kind, type, step, name, data, payload FROM feed"
_HISTORY = (
    "SELECT step, type, name, kind, data, payload FROM feed WHERE run = ? AND mark = 0 ORDER BY seq"
)
_PAYLOADS_OF = " UNION ".join(
    f"SELECT {column} FROM {table} WHERE {of} = ?1 AND {column} IS NOT NULL"
    for table, column, of in (
        ("feed", "payload", "run"),
        ("feed", "body", "run"),
        ("runs", "payload", "id"),
        ("runs", "result_payload", "id"),
        ("messages", "payload", "run"),
    )
)
_OF_A_RUN = ("feed", "waiters", "notifications", "dead_letters", "labels", "messages")
_FIRST_DUE = (
    "SELECT (SELECT min(due_at) FROM runs WHERE due_at > ?1),"
    " (SELECT min(due_at) FROM waiters WHERE due_at > ?1),"
    " (SELECT min(due_at) FROM deliveries WHERE due_at > ?1),"
    " (SELECT min(due_at) FROM schedules WHERE due_at > ?1)"
)
_EVER = -(1 << 63)
_INPUT, _RESULT = 9, 15
_LEASED = int(Phase.LEASED)
_ELSEWHERE = "(workflow GLOB 'http://*' OR workflow GLOB 'https://*')"
"""See `RunRow.is_remote`."""
_STEP_KINDS = {int(kind): kind for kind in StepKind}


class SqliteReads:
    """The queries; `SqliteStore` adds the connection and the writes."""

    @property
    def db(self) -> sqlite3.Connection:
        """The connection to read from."""
        raise NotImplementedError

    path: str
    mutex: Any

    def __init__(self) -> None:
        self._payloads = Reader()
        self._messages: SqliteMessageReads | None = None

    @property
    def messages(self) -> "SqliteMessageReads":
        """See `Store.messages`. Only an engine with a server loads it."""
        if self._messages is None:
            from workflow_agents.store.sqlite_message_reads import SqliteMessageReads

            self._messages = SqliteMessageReads(self)
        return self._messages

    @property
    def overview(self) -> "SqliteOverview":
        """See `Store.overview`."""
        from workflow_agents.store.sqlite_overview import SqliteOverview

        return SqliteOverview(self.all, self.path)

    def all(self, sql: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        """Every row of a query."""
        try:
            with self.mutex:
                return self.db.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            raise store_error(error, self.path) from error

    def _data_of(self, ids: set[int]) -> dict[int, bytes]:
        """The data of all these payloads; a damaged store says so."""
        with self.mutex:
            found = self._payloads.read(self.all, ids)
        if missing := ids - found.keys():
            raise StoreError(
                "WA605", where=self.path, found=f"payload {min(missing)} is not there whole"
            )
        return found

    def with_payloads(self, rows: list[Any], *places: int) -> list[Any]:
        """Rows whose last columns are payloads, or NULL: their data put in these places."""
        count = len(places)
        ids = {payload for row in rows for payload in row[-count:] if payload is not None}
        if not ids:
            return [row[:-count] for row in rows]
        found = self._data_of(ids)
        whole: list[Any] = []
        for row in rows:
            filled = [*row[:-count]]
            for place, payload in zip(places, row[-count:], strict=True):
                if payload is not None:
                    filled[place] = found[payload]
            whole.append(filled)
        return whole

    def _one(self, sql: str, arguments: tuple[Any, ...] = ()) -> Any:
        try:
            with self.mutex:
                return self.db.execute(sql, arguments).fetchone()
        except sqlite3.Error as error:
            raise store_error(error, self.path) from error

    def recover(self, now: int) -> int:
        """See `Store.recover`. The feed tells of every run that a dead process left."""
        try:
            return self._recover(now)
        except sqlite3.Error as error:
            raise store_error(error, self.path) from error

    def _recover(self, now: int) -> int:
        with self.mutex:
            db = self.db
            db.execute("BEGIN IMMEDIATE")
            db.execute(
                "INSERT INTO feed (run, at, kind) SELECT id, ?, ? FROM runs WHERE phase = ?",
                (now, EntryKind.RUN_RECOVERED, _LEASED),
            )
            last = "(SELECT max(seq) FROM feed WHERE run = runs.id AND mark = 0)"
            # Without progress since the last recovery, this one counts on top of it. A run whose
            # code is at an address cannot have ended this process: it is not counted.
            runs = db.execute(
                "UPDATE runs SET phase = ?, due_at = ?, recoveries ="
                f" CASE WHEN {_ELSEWHERE} THEN NULL"
                f" WHEN progress IS {last} AND recoveries IS NOT NULL"
                " THEN recoveries + 1 ELSE 1 END,"
                f" progress = {last} WHERE phase = ?",
                (Phase.DUE, now, _LEASED),
            ).rowcount
            # The run that ends its process drags others down with it. From the fourth time on
            # they go on one after the other, so that the others make progress.
            db.execute(
                "UPDATE runs SET due_at = due_at + min(60000, 500 << (recoveries - 4))"
                " * (50 + id * 37 % 100) / 100 WHERE phase = ? AND recoveries > 3 AND due_at = ?",
                (Phase.DUE, now),
            )
            # A body that died with its process starts again, which counts for its key's rate.
            db.execute(
                "UPDATE waiters SET kind = ?, due_at = ? WHERE kind = ? AND flow_key IS NOT NULL",
                (WaiterKind.ADMISSION, now, WaiterKind.READY),
            )
            # What a queue gives no turn to any more goes back into it.
            db.execute(
                "UPDATE deliveries SET leased = 4, not_before = ? WHERE leased = 1"
                " AND queue IN (SELECT name FROM queues WHERE paused)",
                (now,),
            )
            db.execute("UPDATE deliveries SET leased = 0, due_at = ? WHERE leased = 1", (now,))
            db.execute("COMMIT")
            return runs

    def due(self, now: int, limit: int) -> Due:
        """See `Store.due`."""
        # Most often little of all that could be due is; the first of each kind tells.
        runs_at, waiters_at, deliveries_at, schedules_at = first = self._one(_FIRST_DUE, (_EVER,))
        runs: list[RunRow] = []
        waiters: list[WaiterRow] = []
        deliveries: list[DeliveryRow] = []
        schedules: list[str] = []
        if runs_at is not None and runs_at <= now:
            runs = self._runs("due_at <= ? LIMIT ?", (now, limit))
        if waiters_at is not None and waiters_at <= now:
            rows = self.all(f"{_WAITER} WHERE due_at <= ? LIMIT ?", (now, limit))
            waiters = [_waiter(row) for row in rows]
        if deliveries_at is not None and deliveries_at <= now:
            rows = self.all(f"{_DELIVERY} WHERE due_at <= ? LIMIT ?", (now, limit))
            deliveries = [DeliveryRow(*row) for row in self.with_payloads(rows, 8)]
        if schedules_at is not None and schedules_at <= now:
            rows = self.all("SELECT id FROM schedules WHERE due_at <= ? LIMIT ?", (now, limit))
            schedules = [schedule for (schedule,) in rows]
        if runs or waiters or deliveries or schedules:
            first = self._one(_FIRST_DUE, (now,))
        next_at = min((at for at in first if at is not None), default=None)
        return Due(runs, waiters, deliveries, schedules, next_at)

    def history(self, run: int) -> History:
        """See `Store.history`."""
        kinds, success = _STEP_KINDS, int(EntryKind.STEP_SUCCESS)
        rows = self.all(_HISTORY, (run,))
        apart = {row[5] for row in rows if row[5] is not None}
        found = self._data_of(apart) if apart else {}
        recorded = [
            Recorded(
                step,
                kinds[does],
                name,
                kind == success,
                data if payload is None else found[payload],
            )
            for step, does, name, kind, data, payload in rows
        ]
        ready = WaiterKind.READY
        waiting = [
            Waiting(step, kinds[does], name, attempts or 0, kind == ready)
            for step, kind, does, name, attempts in self.all(
                "SELECT step, kind, type, name, attempts FROM waiters WHERE run = ?", (run,)
            )
        ]
        return History(recorded, waiting)

    def run(self, run: int | str) -> RunRow | None:
        """See `Store.run`."""
        column = "id" if isinstance(run, int) else "run_id"
        rows = self._runs(f"{column} = ?", (run,))
        return rows[0] if rows else None

    def runs(
        self,
        *,
        workflow: str | None,
        phase: Phase | None,
        label: str | None,
        before: int | None,
        limit: int,
    ) -> list[RunRow]:
        """See `Store.runs`."""
        return self._runs(
            "(?1 IS NULL OR workflow = ?1) AND (?2 IS NULL OR phase = ?2)"
            " AND (?3 IS NULL OR id IN (SELECT run FROM labels WHERE label = ?3))"
            " AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5",
            (workflow, phase, label, before, limit),
        )

    def _runs(self, which: str, arguments: tuple[Any, ...]) -> list[RunRow]:
        rows = self.all(f"{_RUN} WHERE {which}", arguments)
        return [_run(r) for r in self.with_payloads(rows, _INPUT, _RESULT)]

    def labels(self, run: int) -> tuple[str, ...]:
        """The labels of a run."""
        return tuple(r[0] for r in self.all("SELECT label FROM labels WHERE run = ?", (run,)))

    def feed(self, *, run: int | None, after: int, limit: int) -> list[FeedRow]:
        """See `Store.feed`."""
        which = "seq > ?1 AND ?3 IS NULL" if run is None else "run = ?3 AND seq > ?1"
        rows = self.all(f"{_FEED} WHERE {which} ORDER BY seq LIMIT ?2", (after, limit, run))
        return [feed_row(r) for r in self.with_payloads(rows, -1)]

    def bodies(self, run: int, most: int) -> dict[int, Body]:
        """See `Store.bodies`."""
        kept = self.all(
            "SELECT seq, body FROM feed WHERE run = ? AND body IS NOT NULL ORDER BY seq", (run,)
        )
        sizes = payload_sizes(self.all, {payload for _, payload in kept})
        shown: set[int] = set()
        for _, payload in reversed(kept):
            if sizes.get(payload, 0) <= most and payload not in shown:
                most -= sizes.get(payload, 0)
                shown.add(payload)
        found = read_payloads(self.all, shown)
        return {seq: Body(sizes.get(payload, 0), found.get(payload)) for seq, payload in kept}

    def waiters_for(self, event: str, run: int | None) -> list[WaiterRow]:
        """See `Store.waiters_for`."""
        rows = self.all(
            f"{_WAITER} WHERE event = ?1 AND (?2 IS NULL OR run = ?2) ORDER BY run, step",
            (event, run),
        )
        return [_waiter(w) for w in rows]

    def waiters_like(self, prefix: str, limit: int) -> list[tuple[WaiterRow, FeedRow]]:
        """See `Store.waiters_like`. A text that begins so sorts before this with the last one."""
        found: list[tuple[WaiterRow, FeedRow]] = []
        rows = self.all(
            f"{_WAITER} WHERE event >= ?1 AND event < ?1 || char(1114111) ORDER BY event LIMIT ?2",
            (prefix, limit),
        )
        for waiter in map(_waiter, rows):
            entries = self.all(
                f"{_FEED} WHERE run = ? AND step = ? AND kind = ? ORDER BY seq DESC LIMIT 1",
                (waiter.run, waiter.step, EntryKind.STEP_WAITING),
            )
            found += [(waiter, feed_row(entry)) for entry in self.with_payloads(entries, -1)]
        return found

    def waiter(self, run: int, step: StepKey) -> WaiterRow | None:
        """See `Store.waiter`."""
        row = self._one(f"{_WAITER} WHERE run = ? AND step = ?", (run, step))
        return None if row is None else _waiter(row)

    def dead_letters(self, before: str | None, limit: int) -> list[DeadLetterRow]:
        """See `Store.dead_letters`."""
        rows = self.all(
            "SELECT id, run, at, failure, callback FROM dead_letters"
            " WHERE message IS NULL"
            " AND (?1 IS NULL OR rowid < (SELECT rowid FROM dead_letters WHERE id = ?1))"
            " ORDER BY rowid DESC LIMIT ?2",
            (before, limit),
        )
        return [DeadLetterRow(*row) for row in rows]

    def dead_letter(self, id: str) -> DeadLetterRow | None:
        """See `Store.dead_letter`."""
        row = self._one(
            "SELECT id, run, at, failure, callback FROM dead_letters"
            " WHERE id = ? AND message IS NULL",
            (id,),
        )
        return None if row is None else DeadLetterRow(*row)

    def flow(self, flow_key: str, since: int | None) -> tuple[int, list[int]]:
        """See `Store.flow`."""
        return flow(self.all, flow_key, since)

    def flow_key(self, flow_key: str) -> FlowKeyRow | None:
        """See `Store.flow_key`."""
        return one_flow_key(self.all, flow_key)

    def ruled_flow_keys(self) -> list[FlowKeyRow]:
        """See `Store.ruled_flow_keys`."""
        return ruled_flow_keys(self.all)

    def conversation(
        self, conversation: str, *, up_to: int | None, last: int | None
    ) -> list[tuple[int, bytes]]:
        """See `Store.conversation`."""
        found = self.all(MESSAGES, (conversation, up_to, -1 if last is None else last))
        return [(row[0], row[1]) for row in self.with_payloads(found[::-1], -1)]

    def conversations(self, after: str | None, limit: int) -> list[ConversationRow]:
        """See `Store.conversations`."""
        return [ConversationRow(*row) for row in self.all(CONVERSATIONS, (after, limit))]

    def pause(self, pause_key: str) -> "Pause | None":
        """See `Store.pause`."""
        row = self._one(
            "SELECT until, in_a_row, allowed, threshold, passed FROM flow_pauses"
            " WHERE pause_key = ?",
            (pause_key,),
        )
        if row is None:
            return None
        from workflow_agents.core.pauses import Pause

        return Pause(*row)

    def under_way(self, pause_key: str) -> int:
        """See `Store.under_way`."""
        sql = "SELECT count(*) FROM deliveries WHERE pause_key = ? AND leased = 1"
        return self._one(sql, (pause_key,))[0]

    def waits_for_turn(self, pause_key: str) -> bool:
        """See `Store.waits_for_turn`."""
        sql = "SELECT 1 FROM deliveries WHERE pause_key = ? AND leased IN (0, 3) LIMIT 1"
        return self._one(sql, (pause_key,)) is not None

    def clean(self, ended_before: int, now: int, limit: int) -> int:
        """See `Store.clean`. A few runs at a time, each batch a short transaction."""
        with self.mutex:
            db = self.db
            db.execute("BEGIN IMMEDIATE")
            try:
                runs = db.execute(
                    "SELECT id FROM runs WHERE ended_at < ? AND id NOT IN"
                    " (SELECT run FROM deliveries) LIMIT ?",
                    (ended_before, limit),
                ).fetchall()
                if runs:
                    # First, so that the numbers of the feed go on and do not begin again.
                    db.execute(
                        "INSERT INTO feed (run, at, kind, data) VALUES (0, ?, ?, ?)",
                        (now, EntryKind.CLEANED, str(len(runs)).encode()),
                    )
                payloads = [p for run in runs for (p,) in db.execute(_PAYLOADS_OF, run)]
                for table in _OF_A_RUN:
                    # Messages of runs have an index of their own, by which `run > 0` is known.
                    db.executemany(f"DELETE FROM {table} WHERE run = ? AND run > 0", runs)
                db.executemany("DELETE FROM runs WHERE id = ?", runs)
                loosen(db, payloads)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return len(runs)

    def sweep(self, limit: int) -> int:
        """See `Store.sweep`."""
        with self.mutex:
            db = self.db
            if not self.all("SELECT 1 FROM loose_payloads LIMIT 1"):
                return 0
            self._payloads.forget()
            db.execute("BEGIN IMMEDIATE")
            try:
                seen = sweep(db, limit)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return seen

    def check(self) -> list[str]:
        """See `Store.check`."""
        from workflow_agents.store.sqlite_checks import contradictions, damage

        return damage(self.all) + contradictions(self.all)

    def size(self) -> dict[str, Any]:
        """See `Store.size`."""
        tables = ("runs", "feed", "payloads", "waiters", "deliveries", "dead_letters")
        sizes = {t: self._one(f"SELECT count(*) FROM {t}")[0] for t in tables}
        pages, page = self._one("PRAGMA page_count")[0], self._one("PRAGMA page_size")[0]
        return {**sizes, "bytes": pages * page}


def _run(row: Any) -> RunRow:
    run = RunRow(*row)
    run.phase = Phase(run.phase)
    return run


def _waiter(row: Any) -> WaiterRow:
    waiter = WaiterRow(*row)
    waiter.type = _STEP_KINDS[waiter.type]
    return waiter


def feed_row(row: Any) -> FeedRow:
    """An entry of the feed, of the columns as they are there."""
    seq, run, at, kind, type_, *rest = row
    return FeedRow(seq, run, at, EntryKind(kind), _STEP_KINDS.get(type_), *rest)
