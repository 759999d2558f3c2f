"""Searches what runs of a SQLite store were given and gave, a few runs at a time.

On a file it has a connection of its own that only reads: writing goes on beside it, and no
snapshot is held for longer than a few runs take. What lies in rows is compared inside SQLite, so
that other threads of the process go on meanwhile.
"""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from workflow_agents.core.lifecycle import wire_state
from workflow_agents.core.searching import (
    LARGEST_BYTES,
    MOST_MS,
    MOST_RUNS,
    Needle,
    SearchMatch,
    SearchResult,
    Where,
)
from workflow_agents.store.sqlite_errors import store_error
from workflow_agents.store.sqlite_payloads import payload_sizes, read_payloads
from workflow_agents.store.sqlite_run_lists import RunLine, RunsWanted, SqliteRunLists

AT_ONCE = 100
"""So many runs are looked into between two looks at the clock."""

Query = Callable[..., list[Any]]

_RUNS = "(SELECT value FROM json_each(:runs))"
_IN_ROWS = " UNION ALL ".join(
    f"SELECT run, {where!r}, name, data FROM ({rows}) WHERE {{condition}}"
    for where, rows in (
        ("input", f"SELECT id AS run, NULL AS name, input AS data FROM runs WHERE id IN {_RUNS}"),
        ("result", f"SELECT id AS run, NULL AS name, result AS data FROM runs WHERE id IN {_RUNS}"),
        ("step", f"SELECT run, name, data FROM feed WHERE run IN {_RUNS}"),
        ("message", f"SELECT run, NULL AS name, body AS data FROM messages WHERE run IN {_RUNS}"),
    )
)
"""What lies in the row of a run, an entry or a message: what holds the text is given."""

_APART = " UNION ALL ".join(
    f"SELECT {run}, {where!r}, {name}, {column} FROM {table}"
    f" WHERE {run} IN {_RUNS} AND {column} IS NOT NULL"
    for where, table, run, name, column in (
        ("input", "runs", "id", "NULL", "payload"),
        ("result", "runs", "id", "NULL", "result_payload"),
        ("step", "feed", "run", "name", "payload"),
        ("request", "feed", "run", "name", "body"),
        ("message", "messages", "run", "NULL", "payload"),
    )
)
"""What is long lies apart: the payloads that they refer to."""


def search(
    query: Query,
    needle: Needle,
    wanted: RunsWanted,
    limit: int,
    clock: Callable[[], int],
    most_runs: int = MOST_RUNS,
) -> SearchResult:
    """Look into runs, the newest first, until a bound is met. See `SearchResult`.

    Args:
        query: reads every row of a statement.
        needle: what to look for.
        wanted: into which runs; `before`: where it goes on.
        limit: so many matches are enough.
        clock: milliseconds.
        most_runs: into so many at most.
    """
    lists, ends = SqliteRunLists(query), clock() + MOST_MS
    matches: list[SearchMatch] = []
    looked_at = left_out = 0
    looked_until: int | None = None
    while True:
        runs, stopped_at = lists.page(wanted, min(AT_ONCE, most_runs - looked_at))
        found, skipped = _look(query, needle, [run.id for run in runs])
        left_out += skipped
        for run in runs:
            looked_at, looked_until = looked_at + 1, run.created_at
            if run.id in found:
                matches.append(_match(run, *found[run.id]))
            wanted = replace(wanted, before=run.id)
            if len(matches) == limit:
                break
        if stopped_at is not None:
            wanted = replace(wanted, before=stopped_at)
        at_end = stopped_at is None and len(runs) < AT_ONCE and looked_at < most_runs
        if len(matches) == limit:
            stopped_by = "enough"
        elif at_end:
            stopped_by = "end"
        elif looked_at >= most_runs:
            stopped_by = "runs"
        elif clock() >= ends:
            stopped_by = "time"
        else:
            continue
        cursor = None if stopped_by == "end" else str(wanted.before)
        return SearchResult(matches, looked_at, looked_until, stopped_by, left_out, cursor)


def _look(
    query: Query, needle: Needle, runs: list[int]
) -> tuple[dict[int, tuple[Where, str | None, str]], int]:
    """By run: where it was found; and how many values were left out."""
    found: dict[int, tuple[Where, str | None, str]] = {}
    given = {"runs": str(runs)} | {
        f"p{number}": pattern for number, pattern in enumerate(needle.patterns())
    }
    condition = " OR ".join(
        f"CAST(data AS TEXT) LIKE :p{number} ESCAPE '\\'" for number in range(len(needle.forms))
    )
    for run, where, name, data in query(_IN_ROWS.format(condition=condition), given):
        text = needle.found_in(data)
        if text is not None:
            found.setdefault(run, (where, name, text))
    apart = [row for row in query(_APART, given) if row[0] not in found]
    sizes = payload_sizes(query, {payload for *_, payload in apart})
    too_large = {payload for payload, size in sizes.items() if size > LARGEST_BYTES}
    for run, where, name, payload in apart:
        if run in found or payload in too_large:
            continue
        data = read_payloads(query, [payload]).get(payload)
        text = None if data is None else needle.found_in(data)
        if text is not None:
            found[run] = where, name, text
    return found, len(too_large)


def _match(run: RunLine, where: Where, name: str | None, text: str) -> SearchMatch:
    state = wire_state(run.phase)
    return SearchMatch(run.run_id, run.workflow, state, run.created_at, where, name, text)


@contextmanager
def reading(path: str, shared: Query) -> Generator[Query]:
    """Queries beside all writing; of a store in memory, the `shared` ones.

    Raises:
        StoreError: the store cannot be read.
    """
    if path == ":memory:":
        yield shared
        return
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as db:

            def query(sql: str, given: Any = ()) -> list[Any]:
                return db.execute(sql, given).fetchall()

            yield query
    except sqlite3.Error as error:
        raise store_error(error, path) from error
