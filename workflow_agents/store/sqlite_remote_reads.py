"""The queries about remote runs, on the connection of a store: see `remote_rows.RemoteRuns`."""

from typing import TYPE_CHECKING, Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import StepKey, StepKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.remote_rows import ElementRow, RemoteRow

if TYPE_CHECKING:
    from workflow_agents.store.sqlite_reads import SqliteReads

_ELEMENT_KINDS = f"({int(MessageKind.VISIT)}, {int(MessageKind.PLAN)}, {int(MessageKind.TRIGGER)})"
# VISIT sorts before TRIGGER: what an SDK has triggered again counts before what asked for it.
_RUN = (
    "SELECT r.id, r.run_id, r.workflow, r.phase, r.created_at, r.options, r.parent,"
    f" r.parent_step, m.id, m.spec, m.kind = {int(MessageKind.VISIT)} FROM runs r"
    " JOIN messages m ON m.run = r.id AND m.step = 0"
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

    def is_open(self, run: int) -> bool:
        """See `RemoteRuns.is_open`."""
        sql = "SELECT 1 FROM runs WHERE id = ? AND phase = ?"
        return bool(self._store.all(sql, (run, int(Phase.REMOTE))))

    def elements(self, run: int, *, after: int, limit: int) -> list[ElementRow]:
        """See `RemoteRuns.elements`."""
        rows = self._store.all(
            "SELECT id, kind, step, body, payload FROM messages"
            f" WHERE run = ? AND id > ? AND kind IN {_ELEMENT_KINDS} ORDER BY id LIMIT ?",
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

    def results(self, run: int, type: StepKind) -> list[bytes]:
        """See `RemoteRuns.results`."""
        rows = self._store.all(
            "SELECT m.body, m.payload FROM feed f JOIN messages m"
            " ON m.run = f.run AND m.step = f.step AND m.kind = ?"
            " WHERE f.run = ? AND f.mark = 0 AND f.type = ?",
            (int(MessageKind.VISIT), run, type),
        )
        return [body or b"" for (body,) in self._store.with_payloads(rows, 0)]

    def _run(self, which: str, arguments: tuple[Any, ...]) -> RemoteRow | None:
        rows = self._store.all(f"{_RUN} WHERE {which} ORDER BY m.kind LIMIT 1", arguments)
        if not rows:
            return None
        found = RemoteRow(*rows[0])
        found.phase, found.triggered = Phase(found.phase), bool(found.triggered)
        return found
