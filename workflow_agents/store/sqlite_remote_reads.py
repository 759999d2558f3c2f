"""The queries about remote runs, on the connection of a store: see `remote_rows.RemoteRuns`.

Messages of runs are found by indexes that hold no others: a query has to say `run > 0` for that.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.interface import FeedRow
from workflow_agents.store.message_rows import MessageRow
from workflow_agents.store.remote_rows import (
    ElementRow,
    LetterFilter,
    LetterRow,
    RemoteRow,
    RunFilter,
)
from workflow_agents.store.sqlite_urls import add_url_fits

if TYPE_CHECKING:
    from workflow_agents.store.sqlite_reads import SqliteReads

_ELEMENT_KINDS = f"({int(MessageKind.VISIT)}, {int(MessageKind.PLAN)}, {int(MessageKind.TRIGGER)})"
# VISIT sorts before TRIGGER: what an SDK has triggered again counts before what asked for it.
_FIRST = "(SELECT id FROM messages WHERE run = r.id AND run > 0 AND step = 0 ORDER BY kind LIMIT 1)"
_RUN = (
    "SELECT r.id, r.run_id, r.workflow, r.phase, r.created_at, r.options, r.parent,"
    f" r.parent_step, m.id, m.spec, m.kind = {int(MessageKind.VISIT)} FROM runs r"
    f" JOIN messages m ON m.id = {_FIRST}"
)
_ENTRY = (
    "SELECT f.seq, f.run, f.at, f.kind, f.type, f.step, f.name, f.data, f.message, f.payload"
    " FROM feed f"
)
_OF_STEP = "SELECT 1 FROM messages WHERE run = ?1 AND run > 0 AND step = ?2 AND kind"
_STEP_HAS_RESULT = f"{_OF_STEP} = {int(MessageKind.VISIT)} AND id > ?3"
_STEP_IS_UNDER_WAY = (
    f"{_OF_STEP} IN ({int(MessageKind.VISIT)}, {int(MessageKind.CALL)}) AND id > ?3"
    " UNION ALL SELECT 1 FROM waiters WHERE run = ?1 AND step = ?2 LIMIT 1"
)
# Mostly there is nothing yet that could be behind it. Only where there is, and therefore with a
# plus that keeps it from being looked up first, are the steps that were known with it read.
_STEP_BEHIND = (
    "SELECT 1 FROM (SELECT step FROM messages WHERE run = ?1 AND run > 0 AND id > ?3"
    " UNION ALL SELECT step FROM waiters WHERE run = ?1) WHERE +step >"
    " (SELECT max(step) FROM messages WHERE run = ?1 AND run > 0 AND id <= ?3) LIMIT 1"
)
_STATUS = "json_extract(d.failure, '$.status')"
_BEGINS_WITH_ONE = (
    "EXISTS (SELECT 1 FROM json_each(?) WHERE substr(r.workflow, 1, length(value)) = value)"
)


class SqliteRemoteReads:
    """See the module."""

    def __init__(self, store: "SqliteReads") -> None:
        self._store = store

    def run(self, run: int | str) -> RemoteRow | None:
        """See `RemoteRuns.run`."""
        return self._run("r.id = ?" if isinstance(run, int) else "r.run_id = ?", (run,))

    def child(self, run: int, step: StepKey) -> RemoteRow | None:
        """See `RemoteRuns.child`."""
        return self._run("r.parent = ? AND r.parent_step = ?", (run, step))

    def find(self, which: RunFilter, *, before: int | None, limit: int) -> list[RemoteRow]:
        """See `RemoteRuns.find`."""
        where, arguments = where_of(which)
        if before is not None:
            where.append("r.id < ?")
            arguments.append(before)
        self._allow_urls(which)
        rows = self._store.all(
            f"{_RUN} WHERE {' AND '.join(where or ['1'])} ORDER BY r.id DESC LIMIT ?",
            (*arguments, limit),
        )
        return [_row(row) for row in rows]

    def letters(self, which: LetterFilter, *, before: int | None, limit: int) -> list[LetterRow]:
        """See `RemoteRuns.letters`."""
        where, arguments = where_of(which.runs)
        for condition, values in (
            ("d.id IN (SELECT value FROM json_each(?))", which.ids),
            (f"{_STATUS} IN (SELECT value FROM json_each(?))", which.statuses),
            ("d.callback IN (SELECT value FROM json_each(?))", which.callbacks),
        ):
            if values:
                where.append(condition)
                arguments.append(json.dumps(values))
        for condition, at in (("d.at >= ?", which.from_at), ("d.at <= ?", which.to_at)):
            if at is not None:
                where.append(condition)
                arguments.append(at)
        if before is not None:
            where.append("d.rowid < ?")
            arguments.append(before)
        self._allow_urls(which.runs)
        rows = self._store.all(
            "SELECT d.rowid, d.id, d.run, d.at, d.failure, d.callback FROM dead_letters d"
            f" JOIN runs r ON r.id = d.run JOIN messages m ON m.id = {_FIRST}"
            f" WHERE {' AND '.join(where or ['1'])} ORDER BY d.rowid DESC LIMIT ?",
            (*arguments, limit),
        )
        return [LetterRow(*row) for row in rows]

    def letter_of(self, run: int) -> LetterRow | None:
        """See `RemoteRuns.letter_of`."""
        rows = self._store.all(
            "SELECT rowid, id, run, at, failure, callback FROM dead_letters WHERE run = ?", (run,)
        )
        return LetterRow(*rows[0]) if rows else None

    def entries(self, run: int) -> list[FeedRow]:
        """See `RemoteRuns.entries`."""
        return self._entries(f"{_ENTRY} WHERE f.run = ? ORDER BY f.seq", (run,))

    def events(
        self, which: RunFilter, kinds: Sequence[EntryKind], *, before: int | None, limit: int
    ) -> list[FeedRow]:
        """See `RemoteRuns.events`."""
        where, arguments = where_of(which)
        where.append("f.kind IN (SELECT value FROM json_each(?))")
        arguments.append(json.dumps([*map(int, kinds)]))
        if before is not None:
            where.append("f.seq < ?")
            arguments.append(before)
        self._allow_urls(which)
        return self._entries(
            f"{_ENTRY} JOIN runs r ON r.id = f.run JOIN messages m ON m.id = {_FIRST}"
            f" WHERE {' AND '.join(where)} ORDER BY f.seq DESC LIMIT ?",
            (*arguments, limit),
        )

    def _entries(self, sql: str, arguments: tuple[Any, ...]) -> list[FeedRow]:
        rows = self._store.with_payloads(self._store.all(sql, arguments), 7)
        return [
            FeedRow(
                seq, run, at, EntryKind(kind), None if type_ is None else StepKind(type_), *rest
            )
            for seq, run, at, kind, type_, *rest in rows
        ]

    def children(self, run: int) -> list[RemoteRow]:
        """See `RemoteRuns.children`."""
        return [_row(row) for row in self._store.all(f"{_RUN} WHERE r.parent = ?", (run,))]

    def _allow_urls(self, which: RunFilter) -> None:
        """Teach the connection the functions that a filter may need."""
        if which.hosts or which.paths:
            with self._store.mutex:
                add_url_fits(self._store.db)

    def is_open(self, run: int) -> bool:
        """See `RemoteRuns.is_open`."""
        sql = "SELECT 1 FROM runs WHERE id = ? AND phase = ?"
        return bool(self._store.all(sql, (run, int(Phase.REMOTE))))

    def elements(self, run: int, *, after: int, limit: int) -> list[ElementRow]:
        """See `RemoteRuns.elements`."""
        rows = self._store.all(
            "SELECT id, kind, step, body, payload FROM messages"
            f" WHERE run = ? AND run > 0 AND id > ? AND kind IN {_ELEMENT_KINDS}"
            " ORDER BY id LIMIT ?",
            (run, after, limit),
        )
        return [
            ElementRow(message, MessageKind(kind), step, body or b"")
            for message, kind, step, body in self._store.with_payloads(rows, 3)
        ]

    def said(self, run: int, step: StepKey, kind: MessageKind) -> int | None:
        """See `RemoteRuns.said`."""
        rows = self._store.all(
            "SELECT id FROM messages WHERE run = ? AND run > 0 AND step = ? AND kind = ?",
            (run, step, kind),
        )
        return rows[0][0] if rows else None

    def is_followed(self, visit: MessageRow) -> bool:
        """See `RemoteRuns.is_followed`."""
        match visit.kind:
            case MessageKind.PLAN:
                sql = _STEP_IS_UNDER_WAY
            case MessageKind.CALL_ANSWER:
                sql = _STEP_HAS_RESULT
            case _:
                sql = _STEP_BEHIND
        return bool(self._store.all(sql, (visit.run, visit.step, visit.id)))

    def results(self, run: int, type: StepKind) -> list[bytes]:
        """See `RemoteRuns.results`."""
        rows = self._store.all(
            "SELECT m.body, m.payload FROM feed f JOIN messages m"
            " ON m.run = f.run AND m.run > 0 AND m.step = f.step AND m.kind = ?"
            " WHERE f.run = ? AND f.mark = 0 AND f.type = ?",
            (int(MessageKind.VISIT), run, type),
        )
        return [body or b"" for (body,) in self._store.with_payloads(rows, 0)]

    def _run(self, which: str, arguments: tuple[Any, ...]) -> RemoteRow | None:
        rows = self._store.all(f"{_RUN} WHERE {which} LIMIT 1", arguments)
        return _row(rows[0]) if rows else None


def where_of(which: RunFilter) -> tuple[list[str], list[Any]]:
    """Conditions on the run `r` and its first message `m`, and their arguments."""
    where: list[str] = []
    arguments: list[Any] = []
    listed = "(SELECT value FROM json_each(?))"
    for condition, values in (
        (f"r.run_id IN {listed}", which.run_ids),
        (f"r.workflow IN {listed}", which.urls),
        (_BEGINS_WITH_ONE, which.prefixes),
        (f"r.id IN (SELECT run FROM labels WHERE label IN {listed})", which.labels),
        (f"r.flow_key IN {listed}", which.flow_keys),
        (f"m.caller_ip IN {listed}", which.caller_ips),
        (f"r.phase IN {listed}", which.phases),
        (f"r.id IN (SELECT run FROM messages WHERE id IN {listed})", which.messages),
        (
            f"EXISTS (SELECT 1 FROM feed f WHERE f.run = r.id AND f.kind IN {listed})",
            which.happened,
        ),
    ):
        if values:
            where.append(condition)
            arguments.append(json.dumps(values))
    if which.hosts or which.paths:
        where.append("url_fits(r.workflow, ?, ?)")
        arguments += [json.dumps(which.hosts), json.dumps(which.paths)]
    for condition, at in (
        ("r.created_at = ?", which.created_at),
        ("r.created_at >= ?", which.from_at),
        ("r.created_at <= ?", which.to_at),
    ):
        if at is not None:
            where.append(condition)
            arguments.append(at)
    return where, arguments


def _row(row: Any) -> RemoteRow:
    found = RemoteRow(*row)
    found.phase, found.triggered = Phase(found.phase), bool(found.triggered)
    return found
