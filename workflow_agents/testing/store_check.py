"""Before a deploy: does the new code fit all runs that are under way?

    check_store("shop.db", serve).assert_fits()

or from a shell, with exit code 1 where some run does not fit:

    python -m workflow_agents.testing.store_check shop.db app:serve

The store is read and never written; the process that owns it may run meanwhile. What is
checked is a copy in memory, as it is at this moment.
"""

import importlib
import json
import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workflow_agents import config
from workflow_agents.core.lifecycle import is_ended
from workflow_agents.core.options import RunOptions
from workflow_agents.engine.sealing import Sealer
from workflow_agents.errors import StoreError, WorkflowAgentsError
from workflow_agents.protocol.codec import decode
from workflow_agents.store.interface import RunRow
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.testing.environment import workflows_of
from workflow_agents.testing.histories import RecordedHistory, RecordedStep, WaitingStep, plain
from workflow_agents.testing.replays import ReplayReport, replay_history

_PAGE = 500
_SHOWN = 10


@dataclass(slots=True)
class StoreReport:
    """What new code does with the runs of a store that have not ended.

    Attributes:
        path: of the store.
        replays: one for each run that is served.
        unserved: runs whose workflow is not among those that were given: path by run id.
    """

    path: str
    replays: list[ReplayReport] = field(default_factory=list[ReplayReport])
    unserved: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def fits(self) -> bool:
        """Whether every run goes on with this code."""
        return not self.unserved and all(replay.fits for replay in self.replays)

    def assert_fits(self) -> None:
        """Check that every run goes on with this code.

        Raises:
            AssertionError: some do not; the message says which, and why.
        """
        if not self.fits:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        bad = [replay for replay in self.replays if not replay.fits]
        total = len(self.replays) + len(self.unserved)
        lines = [f"{total - len(bad) - len(self.unserved)} of {total} runs of {self.path} fit"]
        lines += [str(replay) for replay in bad[:_SHOWN]]
        lines += [f"{path} {run}: not served" for run, path in [*self.unserved.items()][:_SHOWN]]
        left = max(0, len(bad) - _SHOWN) + max(0, len(self.unserved) - _SHOWN)
        return "\n".join([*lines, f"and {left} more"] if left else lines)


def check_store(path: str | Path, *workflows: Any) -> StoreReport:
    """Replay every run of a store that has not ended, with the code of today.

    Args:
        path: of the store's file.
        workflows: an `Engine` or a `Serve`; or workflows; or a dict of functions by path.

    Raises:
        StoreError: the file is no store, or cannot be read.
    """
    served = {one.path: one for given in workflows for one in workflows_of(given)}
    report = StoreReport(str(path))
    store = _Copy(str(path))
    store.open()
    try:
        for row in _unended(store):
            workflow = served.get(row.workflow)
            if workflow is None:
                report.unserved[row.run_id] = row.workflow
            else:
                report.replays.append(replay_history(_history(store, row, str(path)), workflow))
    finally:
        store.close()
    return report


class _Copy(SqliteStore):
    """A copy in memory of a store that another process may own."""

    def __init__(self, path: str) -> None:
        super().__init__(":memory:", synchronous="OFF")
        self._source = path

    def connect(self) -> sqlite3.Connection:
        """See `SqliteStore.connect`."""
        if not os.path.isfile(self._source):
            raise StoreError("WA603", where=self._source, found="expected a file, found none")
        copy = super().connect()
        address = f"file:{quote(os.path.abspath(self._source))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as source:
            source.backup(copy)
        return copy


def _unended(store: SqliteStore) -> list[RunRow]:
    found: list[RunRow] = []
    before: int | None = None
    while True:
        page = store.runs(workflow=None, phase=None, label=None, before=before, limit=_PAGE)
        found += [row for row in page if not is_ended(row.phase)]
        if len(page) < _PAGE:
            return found[::-1]
        before = page[-1].id


def _history(store: SqliteStore, row: RunRow, path: str) -> RecordedHistory:
    stored = store.history(row.id)
    options = RunOptions.from_json(json.loads(row.options)) if row.options else RunOptions()
    return RecordedHistory(
        row.workflow,
        row.run_id,
        row.created_at,
        "RUN_STARTED",
        plain(row.input),
        store.labels(row.id),
        _headers(options.headers, path),
        tuple(
            RecordedStep(r.key, r.kind.wire, r.name, r.ok, decode(r.data)) for r in stored.recorded
        ),
        tuple(WaitingStep(w.key, w.kind.wire, w.name, w.attempts) for w in stored.waiting),
    )


def _headers(stored: Mapping[str, Any], path: str) -> dict[str, str]:
    """The headers as the workflow sees them; without those that cannot be opened here."""
    found: dict[str, str] = {}
    # The sealer makes a key where there is none: nothing is to be written here.
    has_key = os.path.exists(f"{path}.key") or config.variable("WORKFLOW_AGENTS_KEY")
    sealer = Sealer(path, config.variable)
    for name, value in stored.items():
        if isinstance(value, str):
            found[name] = value
        elif has_key or "env" in value:
            try:
                found |= sealer.open_headers({name: value})
            except WorkflowAgentsError:
                continue
    return found


_USAGE = "usage: python -m workflow_agents.testing.store_check STORE MODULE:SERVE ...\n"


def main(arguments: Sequence[str]) -> int:
    """Check a store from a shell; returns the exit code: 1 some run does not fit, 2 bad usage."""
    if len(arguments) < 2 or not all(":" in name for name in arguments[1:]):
        sys.stderr.write(_USAGE)
        return 2
    sys.path.insert(0, os.getcwd())
    served: list[Any] = []
    for name in arguments[1:]:
        module, _, attribute = name.partition(":")
        served.append(getattr(importlib.import_module(module), attribute))
    try:
        report = check_store(arguments[0], *served)
    except WorkflowAgentsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{report}\n")
    return 0 if report.fits else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
