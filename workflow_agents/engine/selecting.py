"""Runs and dead letters that a selection means, read from the store a page at a time.

What the store can look up, it looks up; the rest is asked of each row.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from workflow_agents.core.lifecycle import Phase, is_ended, phases_of
from workflow_agents.core.selection import Selection
from workflow_agents.store.interface import DeadLetterRow, RunRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

_PAGE = 200
_AT_MOST_LATE_MS = 60_000
"""How much later than its successors a run may seem to be made, where a clock was set back."""


def runs(engine: "DurableEngine", which: Selection, before: int | None, limit: int) -> list[RunRow]:
    """Runs that fit, the newest first; `before` is the row of the last one seen."""
    phases: list[Phase | None] = [None] if which.state is None else [*phases_of(which.state)]
    found: list[RunRow] = []
    page = max(_PAGE, limit) if _asks_rows(which) else limit
    while len(found) < limit:
        rows = [
            row
            for phase in phases
            for row in engine.store.runs(
                workflow=which.workflow, phase=phase, label=which.label, before=before, limit=page
            )
        ]
        rows = sorted(rows, key=lambda row: row.id, reverse=True)[:page]
        found += [row for row in rows if _fits(engine, which, row)]
        if len(rows) < page or _all_too_old(which, rows):
            break
        before = rows[-1].id
    return found[:limit]


def open_runs(engine: "DurableEngine", which: Selection) -> Iterator[list[str]]:
    """Ids of runs that fit and have not ended, a page at a time."""
    if which.ids:
        found = (engine.store.run(one) or engine.store.run(f"wfr_{one}") for one in which.ids)
        yield [row.run_id for row in found if row is not None and not is_ended(row.phase)]
        return
    for phase in phases_of("RUN_STARTED"):
        before: int | None = None
        while True:
            rows = engine.store.runs(
                workflow=which.workflow, phase=phase, label=which.label, before=before, limit=_PAGE
            )
            yield [row.run_id for row in rows if _fits(engine, which, row)]
            if len(rows) < _PAGE:
                break
            before = rows[-1].id


def letters(
    engine: "DurableEngine", which: Selection, before: str | None, limit: int | None
) -> list[tuple[DeadLetterRow, RunRow]]:
    """Dead letters that fit, with their runs, the newest first; `before`: the last one seen."""
    if which.ids:
        named = (engine.store.dead_letter(one) for one in which.ids)
        return [*_with_runs(engine, which, [row for row in named if row is not None])]
    found: list[tuple[DeadLetterRow, RunRow]] = []
    while limit is None or len(found) < limit:
        rows = engine.store.dead_letters(before, _PAGE)
        found += _with_runs(engine, which, rows)
        if len(rows) < _PAGE:
            break
        before = rows[-1].id
    return found if limit is None else found[:limit]


def _with_runs(
    engine: "DurableEngine", which: Selection, rows: list[DeadLetterRow]
) -> Iterator[tuple[DeadLetterRow, RunRow]]:
    for letter in rows:
        row = engine.store.run(letter.run)
        if row is None:
            continue  # of a message, and no run
        flow = engine.options_of(row).flow_control if which.flow_control_key else None
        if which.fits(
            workflow=row.workflow,
            at=letter.at,
            labels=engine.store.labels(row.id) if which.label else (),
            flow_control_key=None if flow is None else flow.key,
            caller_ip=caller_ip_of(engine, row) if which.caller_ip else None,
            callback=letter.callback,
            status=_status(letter) if which.response_status is not None else None,
        ):
            yield letter, row


def _fits(engine: "DurableEngine", which: Selection, row: RunRow) -> bool:
    flow = engine.options_of(row).flow_control if which.flow_control_key else None
    return which.fits(
        workflow=row.workflow,
        at=row.created_at,
        labels=() if which.label is None else (which.label,),  # the store has looked it up
        flow_control_key=None if flow is None else flow.key,
        caller_ip=caller_ip_of(engine, row) if which.caller_ip else None,
    )


def caller_ip_of(engine: "DurableEngine", row: RunRow) -> str | None:
    """Who triggered a run over HTTP."""
    if not row.is_remote:
        return None
    reads = engine.store.messages
    run = reads.remote.run(row.id)
    message = None if run is None else reads.message(run.first)
    return None if message is None else message.caller_ip


def _status(letter: DeadLetterRow) -> int | None:
    return json.loads(letter.failure).get("status")


def _asks_rows(which: Selection) -> bool:
    """Whether a page of the store may hold rows that do not fit."""
    asked = (which.url_prefix, which.flow_control_key, which.since, which.until)
    more = (which.caller_ip, which.host, which.path)
    return any(one is not None for one in (*asked, *more))


def _all_too_old(which: Selection, rows: list[RunRow]) -> bool:
    oldest = None if which.since is None else which.since - _AT_MOST_LATE_MS
    return oldest is not None and all(row.created_at < oldest for row in rows)
