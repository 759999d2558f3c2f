"""What pages ask of a SQLite store of one run, and of what runs leave behind: without bodies.

The list of runs is in `sqlite_run_lists`. Loaded with the first of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.protocol.codec import Undecodable, decode
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind
from workflow_agents.store.changes import WaiterKind
from workflow_agents.store.sqlite_run_lists import SqliteRunLists

_STEP_NAMES = {int(kind): kind.name for kind in StepKind}
_ENTRY_NAMES = {int(kind): kind.name for kind in EntryKind}
_LETTERS = (
    " FROM dead_letters d LEFT JOIN runs r ON r.id = d.run AND d.run > 0"
    " LEFT JOIN messages m ON m.id = d.message"
)
_ERROR = (
    "coalesce(json_extract(d.failure, '$.error'),"
    " 'HTTP status ' || json_extract(d.failure, '$.status'))"
)
_MESSAGE = "json_extract(d.failure, '$.message')"
_OF = "coalesce(r.workflow, m.url, '')"
_READ_AT_ONCE = 50_000
_STEPS = (
    "SELECT seq, at, kind, type, step, name,"
    f" CASE WHEN kind IN ({EntryKind.STEP_WAITING}, {EntryKind.STEP_RETRY}) THEN data END"
    " FROM feed WHERE run = ? AND seq > ? AND step IS NOT NULL ORDER BY seq"
)

_WOKEN_TOGETHER = 1_000
"""So many waits end in one change, at most, that it is known who ended them."""


class LetterGroup(NamedTuple):
    """Dead letters of one error: what it is called, of which workflow or address, how many."""

    error: str | None
    message: str | None
    of: str
    letters: int
    first: int
    last: int


class LetterLine(NamedTuple):
    """A dead letter in a list; `message` is the row of its message, if it is of one."""

    place: int
    id: str
    at: int
    failure: str
    callback: str | None
    run_id: str | None
    of: str
    message: int | None


class WaitLine(NamedTuple):
    """What a run waits for that somebody may answer."""

    run_id: str
    workflow: str
    step: StepKey
    name: str
    event: str
    type: int
    due_at: int | None
    asked_at: int
    data: bytes | None


class SqlitePages:
    """See the module.

    Args:
        query: reads every row of a statement.
    """

    def __init__(self, query: Callable[..., list[Any]]) -> None:
        self._all = query
        self.lists = SqliteRunLists(query)

    def steps(self, run: int, after: int = 0) -> list[FeedEntry]:
        """What is told of the steps of a run behind an entry, in order; without results."""
        return [_entry(row) for row in self._all(_STEPS, (run, after))]

    def places(self, run: int, step: StepKey) -> list[int]:
        """The places of what is told of one step, in order."""
        rows = self._all(
            "SELECT seq FROM feed WHERE run = ? AND step = ? ORDER BY seq", (run, step)
        )
        return [seq for (seq,) in rows]

    def seq_at(self, at: int) -> int:
        """A place in the feed before all that happened from then on. There is no index of times.

        Args:
            at: Unix milliseconds.
        """
        low, high = 0, self._all("SELECT ifnull(max(seq), 0) FROM feed")[0][0]
        while low < high:
            middle = (low + high) // 2
            found = self._all("SELECT at FROM feed WHERE seq > ? ORDER BY seq LIMIT 1", (middle,))
            if found and found[0][0] < at:
                low = middle + 1
            else:
                high = middle
        return low

    def calls_after(self, seq: int, limit: int) -> tuple[list[tuple[int, StepKey, int]], int, bool]:
        """The call steps that were answered since: run, step and when; how far it has read.

        And whether there is more to read: it reads so many entries at once, and no more.
        """
        last = self._all(
            "SELECT max(seq), count(*) FROM"
            " (SELECT seq FROM feed WHERE seq > ? ORDER BY seq LIMIT ?)",
            (seq, _READ_AT_ONCE),
        )
        newest, read = last[0]
        if not read:
            return [], seq, False
        rows = self._all(
            "SELECT run, step, at, seq FROM feed WHERE seq > ? AND seq <= ? AND kind = ?"
            " AND type = ? ORDER BY seq LIMIT ?",
            (seq, newest, int(EntryKind.STEP_SUCCESS), int(StepKind.CALL), limit),
        )
        if len(rows) == limit:
            newest = rows[-1][3]
        found = [(run, step, at) for run, step, at, _ in rows]
        return found, newest, len(rows) == limit or read == _READ_AT_ONCE

    def notified(self, run: int, event: str, ended: int) -> list[tuple[int, Any]]:
        """When an event was notified for a run, and what is told of it, in order.

        Args:
            run: that waited.
            event: the id.
            ended: the place where the feed tells of the end of the wait. Who notified whoever
                waits, and no run, is told close behind it, as it was stored in the same change.
        """
        kind = int(EntryKind.NOTIFIED)
        rows = self._all(
            "SELECT at, data FROM (SELECT seq, at, data FROM feed"
            " WHERE run = ?1 AND step IS NULL AND kind = ?2 AND name = ?3 AND seq <= ?4 + ?5"
            " UNION ALL SELECT seq, at, data FROM feed"
            " WHERE run = 0 AND seq > ?4 AND seq <= ?4 + ?5 AND kind = ?2 AND name = ?3)"
            " ORDER BY seq",
            (run, kind, event, ended, _WOKEN_TOGETHER),
        )
        told = [(at, decode(data)) for at, data in rows if data]
        return [(at, one) for at, one in told if run in one["woken"] or one["kept"]]

    def lineage(self, run: int) -> Any:
        """What was told when a run was started: of which other it was made."""
        rows = self._all(
            "SELECT data FROM feed WHERE run = ? AND step IS NULL AND kind = ?"
            " ORDER BY seq LIMIT 1",
            (run, int(EntryKind.RUN_STARTED)),
        )
        return decode(rows[0][0]) if rows and rows[0][0] else None

    def recent(self, most: int) -> list[tuple[str, Phase, int, int | None]]:
        """Workflow, phase, beginning and end of the newest runs."""
        rows = self._all(
            "SELECT workflow, phase, created_at, ended_at FROM runs ORDER BY id DESC LIMIT ?",
            (most,),
        )
        return [(workflow, Phase(phase), at, ended) for workflow, phase, at, ended in rows]

    def letter_groups(self) -> list[LetterGroup]:
        """The errors of dead letters, the most frequent first."""
        rows = self._all(
            f"SELECT {_ERROR}, {_MESSAGE}, min({_OF}), count(*), min(d.at), max(d.at){_LETTERS}"
            " GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 100",
            (),
        )
        return [LetterGroup._make(row) for row in rows]

    def letters(
        self, error: str | None, message: str | None, before: int | None, limit: int
    ) -> list[LetterLine]:
        """Dead letters, the newest first."""
        rows = self._all(
            f"SELECT d.rowid, d.id, d.at, d.failure, d.callback, r.run_id, {_OF}, d.message"
            f"{_LETTERS} WHERE (?1 IS NULL OR {_ERROR} = ?1) AND (?2 IS NULL OR {_MESSAGE} = ?2)"
            " AND (?3 IS NULL OR d.rowid < ?3) ORDER BY d.rowid DESC LIMIT ?4",
            (error, message, before, limit),
        )
        return [LetterLine._make(row) for row in rows]

    def letter_kind(self, letter: str) -> str:
        """Whether a dead letter is of a "run" or of a "message"."""
        rows = self._all("SELECT message FROM dead_letters WHERE id = ? AND run = 0", (letter,))
        return "message" if rows else "run"

    def waits(self, run: int | None, limit: int) -> list[WaitLine]:
        """What runs wait for that somebody may answer; what ends first comes first."""
        rows = self._all(
            "SELECT r.run_id, r.workflow, w.step, w.name, w.event, w.type, w.due_at, f.at,"
            " CASE WHEN f.payload IS NULL THEN f.data END"
            " FROM waiters w JOIN runs r ON r.id = w.run LEFT JOIN feed f ON f.seq ="
            " (SELECT max(seq) FROM feed WHERE run = w.run AND step = w.step)"
            " WHERE w.event IS NOT NULL AND (?1 IS NULL OR w.run = ?1)"
            " ORDER BY w.due_at, w.run, w.step LIMIT ?2",
            (run, limit),
        )
        return [WaitLine._make(row) for row in rows]

    def flow_keys_in_use(self) -> list[str]:
        """The flow control keys of runs, steps and requests that have not ended."""
        rows = self._all(
            "SELECT DISTINCT flow_key FROM runs WHERE flow_key IS NOT NULL AND ended_at IS NULL"
            " UNION SELECT DISTINCT flow_key FROM waiters WHERE flow_key IS NOT NULL"
            " UNION SELECT DISTINCT flow_key FROM deliveries WHERE flow_key IS NOT NULL",
            (),
        )
        return [key for (key,) in rows]

    def oldest_held(self, key: str) -> int | None:
        """Since when a key has held back a run, a step or a request; None: it holds none."""
        asked = "(SELECT max(f.at) FROM feed f WHERE f.run = {0}.run AND f.step = {0}.step)"
        rows = self._all(
            "SELECT min(at) FROM (SELECT created_at AS at FROM runs"
            f" WHERE flow_key = ?1 AND phase = {Phase.WAITING:d}"
            f" UNION ALL SELECT {asked.format('w')} FROM waiters w"
            f" WHERE w.flow_key = ?1 AND w.kind = {WaiterKind.ADMISSION:d}"
            f" UNION ALL SELECT coalesce(m.at, {asked.format('d')}) FROM deliveries d"
            " LEFT JOIN messages m ON m.id = d.message WHERE d.flow_key = ?1 AND d.leased = 2)",
            (key,),
        )
        return rows[0][0]

    def outcomes(self, run: int) -> dict[StepKey, bytes]:
        """A mark of what came of each step of a run: the same where that is the same."""
        rows = self._all(
            "SELECT f.step, f.kind, f.data, p.hash FROM feed f"
            " LEFT JOIN payloads p ON p.id = f.payload WHERE f.run = ? AND f.mark = 0",
            (run,),
        )
        return {
            step: b"%d%s%s" % (kind, data or b"", hash_ or b"") for step, kind, data, hash_ in rows
        }

    def children(self, run: int) -> list[tuple[StepKey, str, Phase]]:
        """The runs that a run has invoked: by which step, their ids, and where they are."""
        rows = self._all(
            "SELECT parent_step, run_id, phase FROM runs WHERE parent = ? ORDER BY id", (run,)
        )
        return [(step, run_id, Phase(phase)) for step, run_id, phase in rows]


def _entry(row: Any) -> FeedEntry:
    seq, at, kind, type_, step, name, data = row
    told: Any = None
    if data:
        try:
            told = decode(data)
        except Undecodable:
            told = None
    return FeedEntry(seq, at, _ENTRY_NAMES[kind], step, _STEP_NAMES.get(type_), name, told)
