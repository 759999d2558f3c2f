"""Runs that somebody asks for directly: stored with their first step, or never."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workflow_agents.core.journal import Completed, History
from workflow_agents.core.options import RunOptions
from workflow_agents.engine.live import LiveRun
from workflow_agents.engine.served import Gate, Served
from workflow_agents.errors import StoreError
from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.changes import AddRun, Applied, Broken, Change, Entry, Outcome
from workflow_agents.store.interface import RunRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine


class Accepting:
    """A run that somebody asks for directly: it is stored with its first step, or never.

    Attributes:
        run_id: its id.
        accepted: ends with None when the run is stored, or with what the function came to
            before it asked for a step.
    """

    def __init__(
        self, engine: "DurableEngine", served: Served, op: AddRun, given: RunOptions
    ) -> None:
        self._engine = engine
        self._op = op
        self.run_id = op.run_id
        self.accepted: asyncio.Future[Any] = engine.loop.create_future()
        row = engine.intake.row(0, op)
        options = engine.options_of(row)
        options = replace(options, headers=given.headers, url=given.url)
        self._live = _UnstoredRun(engine, row, options, self.accepted)
        gate: Gate = self._store
        self._live.invocation = served.invoke(
            row, options, History([], []), self._live, self._live, gate
        )

    def _store(self) -> "asyncio.Future[None]":
        """Store the run; the future ends when it is stored. Called once."""
        stored: asyncio.Future[None] = self._engine.loop.create_future()

        def told(outcome: Outcome) -> None:
            if isinstance(outcome, Applied):
                self._live.stored(outcome.run)
                self._answer(None)
                stored.set_result(None)
            else:
                self._answer(outcome.error if isinstance(outcome, Broken) else StoreError("WA603"))
                self._live.close()

        entry = Entry(0, self._op.created_at, EntryKind.RUN_STARTED)
        self._engine.commits.submit(Change((self._op,), (entry,)), told)
        return stored

    def _answer(self, error: Exception | None) -> None:
        if self.accepted.done():
            return
        if error is None:
            self.accepted.set_result(None)
        else:
            self.accepted.set_exception(error)


class _UnstoredRun(LiveRun):
    """A `LiveRun` that may end before it is stored."""

    def __init__(
        self, engine: "DurableEngine", row: RunRow, options: RunOptions, accepted: Any
    ) -> None:
        super().__init__(engine, row, options)
        self._accepted = accepted

    def stored(self, run: int) -> None:
        """It is stored now, and like any other."""
        self.row.id = run
        self._run = run
        self._engine.live[run] = self

    def cancel(self) -> None:
        """A run that cancels itself before it is stored leaves nothing behind."""
        if self._run:
            super().cancel()
        else:
            self.ended(Completed(b"null"))
            self.close()

    def ended(self, ending: Any) -> None:
        """Before it is stored, the ending is the answer to whoever asked."""
        if self._run:
            super().ended(ending)
        elif not self._accepted.done():
            self._accepted.set_result(ending)
