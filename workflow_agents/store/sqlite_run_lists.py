"""Lists of runs in a SQLite store, and how many there are: quick, however many there are.

Each filter has an index that gives its runs in the order of their rows, the newest last. A list
with one filter goes along it. One with several goes along that of the fewest, and leaves out what
the others do not want: of `LOOKED_AT` candidates at most, and says how far it has come. Nothing
here reads all rows of a large store; counts end at `COUNTED`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from workflow_agents.core.lifecycle import Phase

LOOKED_AT = 20_000
"""So many candidates are looked at for a page of a list with several filters."""

COUNTED = 10_000
"""Up to here counts are exact; beyond it there are "10,000 or more"."""

_MOST_WORKFLOWS = 1_000
_END_OF_TEXT = "\U0010ffff"
_BEHIND_ALL = 2**63 - 1
_LINES = (
    "SELECT id, run_id, workflow, phase, created_at, ended_at, attempt,"
    " (SELECT json_group_array(label) FROM labels WHERE run = id) FROM runs"
)
_WORKFLOWS = (
    "WITH RECURSIVE found (name, n) AS (SELECT min(workflow), 1 FROM runs UNION ALL"
    " SELECT (SELECT min(workflow) FROM runs WHERE workflow > name), n + 1 FROM found"
    f" WHERE name IS NOT NULL AND n < {_MOST_WORKFLOWS})"
    " SELECT name FROM found WHERE name IS NOT NULL"
)
"""From one name to the next along the index: DISTINCT would read an entry for each run."""


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


class Found(NamedTuple):
    """Runs of a list.

    Attributes:
        runs: the newest first.
        stopped_at: the row at which looking ended before there were enough; None: it did not.
    """

    runs: list[RunLine]
    stopped_at: int | None


class Count(NamedTuple):
    """How many there are; `more`: at least."""

    runs: int
    more: bool


class _Filter(NamedTuple):
    """A filter, with names of what it is given in place of values.

    Attributes:
        condition: that it is of a row of `runs`.
        candidates: the rows that meet it before `:before`, the newest first, `:most` at most.
    """

    condition: str
    candidates: str


_ALL = _Filter("1", "SELECT id FROM runs WHERE id < :before ORDER BY id DESC LIMIT :most")
_WORKFLOW = _Filter(
    "workflow = :workflow",
    "SELECT id FROM runs WHERE workflow = :workflow AND id < :before ORDER BY id DESC LIMIT :most",
)
_LABEL = _Filter(
    "EXISTS (SELECT 1 FROM labels WHERE label = :label AND run = runs.id)",
    "SELECT run AS id FROM labels WHERE label = :label AND run < :before"
    " ORDER BY run DESC LIMIT :most",
)
_FIND = _Filter(
    "run_id >= :find AND run_id < :find_end",
    "SELECT id FROM (SELECT id FROM runs WHERE run_id >= :find AND run_id < :find_end"
    " LIMIT :looked_at) WHERE id < :before ORDER BY id DESC LIMIT :most",
)


def _in_phases(phases: tuple[Phase, ...]) -> _Filter:
    each = " UNION ALL ".join(
        f"SELECT id FROM (SELECT id FROM runs WHERE phase = {phase:d} AND id < :before"
        " ORDER BY id DESC LIMIT :most)"
        for phase in phases
    )
    numbers = ", ".join(f"{phase:d}" for phase in phases)
    return _Filter(f"phase IN ({numbers})", f"{each} ORDER BY id DESC LIMIT :most")


class SqliteRunLists:
    """See the module.

    Args:
        query: reads every row of a statement.
    """

    def __init__(self, query: Callable[..., list[Any]]) -> None:
        self._all = query

    def page(self, wanted: RunsWanted, limit: int) -> Found:
        """The newest that are wanted, `limit` at most."""
        given = _given(wanted)
        way, others = self._way(wanted, given)
        given["most"] = LOOKED_AT if others else limit
        which = " AND ".join(("1", *(other.condition for other in others)))
        rows = self._all(
            f"{_LINES} WHERE id IN ({way.candidates}) AND {which} ORDER BY id DESC LIMIT :limit",
            given | {"limit": limit},
        )
        runs = [RunLine._make((*row[:3], Phase(row[3]), *row[4:])) for row in rows]
        if not others or len(runs) == limit:
            return Found(runs, None)
        looked, oldest = self._all(f"SELECT count(*), min(id) FROM ({way.candidates})", given)[0]
        return Found(runs, oldest if looked == LOOKED_AT else None)

    def counts(self, wanted: RunsWanted) -> dict[Phase, Count]:
        """How many are in each phase; of a workflow, a label or both, if it says one.

        Without them each phase is counted by itself. With them the newest `COUNTED` are looked
        at, so that beyond those each count is one of "at least".
        """
        narrow = RunsWanted(workflow=wanted.workflow, label=wanted.label)
        if narrow == RunsWanted():
            each = ", ".join(f"({_count(_in_phases((phase,)))})" for phase in Phase)
            found = self._all(f"SELECT {each}", _given(narrow) | {"most": COUNTED + 1})[0]
            return {
                phase: Count(min(runs, COUNTED), runs > COUNTED)
                for phase, runs in zip(Phase, found, strict=True)
            }
        given = _given(narrow)
        way, others = self._way(narrow, given)
        given["most"] = COUNTED
        which = " AND ".join(("1", *(other.condition for other in others)))
        counted = dict[int, int](
            self._all(
                f"SELECT phase, count(*) FROM runs WHERE id IN ({way.candidates}) AND {which}"
                " GROUP BY phase",
                given,
            )
        )
        more = self._all(_count(way), given | {"most": COUNTED + 1})[0][0] > COUNTED
        return {phase: Count(counted.get(phase, 0), more) for phase in Phase}

    def workflows(self) -> list[str]:
        """Of which there are runs."""
        return [name for (name,) in self._all(_WORKFLOWS)]

    def recent(self, most: int) -> list[tuple[str, Phase, int, int | None]]:
        """Workflow, phase, beginning and end of the newest runs."""
        rows = self._all(
            "SELECT workflow, phase, created_at, ended_at FROM runs ORDER BY id DESC LIMIT ?",
            (most,),
        )
        return [(workflow, Phase(phase), at, ended) for workflow, phase, at, ended in rows]

    def _way(self, wanted: RunsWanted, given: dict[str, Any]) -> tuple[_Filter, list[_Filter]]:
        """The filter whose candidates are looked at, and those that they have to meet besides."""
        filters = _filters(wanted)
        ways = filters
        if len(filters) > 1 or _FIND in filters:
            of_all = given | {"before": _BEHIND_ALL, "most": LOOKED_AT}
            counts = {one: self._all(_count(one), of_all)[0][0] for one in filters}
            # Ids are not in the order of rows: those of a short beginning are too many to sort.
            ways = [one for one in filters if one is not _FIND or counts[one] < LOOKED_AT]
            ways.sort(key=lambda one: counts[one])
        way = ways[0] if ways else _ALL
        return way, [one for one in filters if one is not way]


def _filters(wanted: RunsWanted) -> list[_Filter]:
    filters: list[_Filter] = []
    if wanted.phases:
        filters.append(_in_phases(wanted.phases))
    if wanted.workflow is not None:
        filters.append(_WORKFLOW)
    if wanted.label is not None:
        filters.append(_LABEL)
    if wanted.find is not None:
        filters.append(_FIND)
    return filters


def _given(wanted: RunsWanted) -> dict[str, Any]:
    return {
        "before": _BEHIND_ALL if wanted.before is None else wanted.before,
        "workflow": wanted.workflow,
        "label": wanted.label,
        "looked_at": LOOKED_AT,
        "find": wanted.find,
        "find_end": None if wanted.find is None else wanted.find + _END_OF_TEXT,
    }


def _count(one: _Filter) -> str:
    return f"SELECT count(*) FROM ({one.candidates})"
