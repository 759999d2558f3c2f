"""What pages ask of a SQLite store: lists without bodies, and the steps of one run in short.

Loaded with the first of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.protocol.codec import Undecodable, decode
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind

_STEP_KINDS = {int(kind): kind for kind in StepKind}
_STEPS = (
    "SELECT seq, at, kind, type, step, name,"
    f" CASE WHEN kind IN ({EntryKind.STEP_WAITING}, {EntryKind.STEP_RETRY}) THEN data END"
    " FROM feed WHERE run = ? AND step IS NOT NULL ORDER BY seq"
)
_LINE = (
    "SELECT id, run_id, workflow, phase, created_at, ended_at, attempt,"
    " (SELECT json_group_array(label) FROM labels WHERE run = id) FROM runs"
)


@dataclass(frozen=True, slots=True)
class RunsWanted:
    """Which runs a list shows.

    Attributes:
        phases: any of them; empty: all.
        workflow: its path or address.
        label: one of theirs.
        find: what its id begins with.
        before: the row of the last one that was seen.
    """

    phases: tuple[Phase, ...] = ()
    workflow: str | None = None
    label: str | None = None
    find: str | None = None
    before: int | None = None


class RunLine(NamedTuple):
    """A run in a list."""

    id: int
    run_id: str
    workflow: str
    phase: Phase
    created_at: int
    ended_at: int | None
    attempt: int
    labels: str


class SqlitePages:
    """See the module.

    Args:
        query: reads every row of a statement.
    """

    def __init__(self, query: Callable[..., list[Any]]) -> None:
        self._all = query

    def runs(self, wanted: RunsWanted, limit: int) -> list[RunLine]:
        """The newest first."""
        which: list[str] = []
        given: list[Any] = []
        if wanted.phases:
            which.append(f"phase IN ({', '.join(str(int(p)) for p in wanted.phases)})")
        if wanted.workflow is not None:
            which.append("workflow = ?")
            given.append(wanted.workflow)
        if wanted.label is not None:
            which.append("id IN (SELECT run FROM labels WHERE label = ?)")
            given.append(wanted.label)
        if wanted.find is not None:
            which.append("run_id >= ? AND run_id < ?")
            given += (wanted.find, wanted.find + "\U0010ffff")
        if wanted.before is not None:
            which.append("id < ?")
            given.append(wanted.before)
        where = f" WHERE {' AND '.join(which)}" if which else ""
        rows = self._all(f"{_LINE}{where} ORDER BY id DESC LIMIT ?", (*given, limit))
        return [RunLine._make((*row[:3], Phase(row[3]), *row[4:])) for row in rows]

    def counts(self) -> dict[Phase, int]:
        """How many runs are in each phase."""
        rows = self._all("SELECT phase, count(*) FROM runs GROUP BY phase", ())
        return {Phase(phase): count for phase, count in rows}

    def workflows(self) -> list[str]:
        """Of which there are runs."""
        return [w for (w,) in self._all("SELECT DISTINCT workflow FROM runs ORDER BY 1", ())]

    def steps(self, run: int) -> list[FeedEntry]:
        """What is told of the steps of a run, in order; without their results."""
        return [_entry(row) for row in self._all(_STEPS, (run,))]

    def children(self, run: int) -> list[tuple[StepKey, str, Phase]]:
        """The runs that a run has invoked: by which step, their ids, and where they are."""
        rows = self._all(
            "SELECT parent_step, run_id, phase FROM runs WHERE parent = ? ORDER BY id", (run,)
        )
        return [(step, run_id, Phase(phase)) for step, run_id, phase in rows]


def _entry(row: Any) -> FeedEntry:
    seq, at, kind, type_, step, name, data = row
    step_kind = _STEP_KINDS.get(type_)
    told: Any = None
    if data:
        try:
            told = decode(data)
        except Undecodable:
            told = None
    named = None if step_kind is None else step_kind.name
    return FeedEntry(seq, at, EntryKind(kind).name, step, named, name, told)
