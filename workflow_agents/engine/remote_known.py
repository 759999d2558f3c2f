"""What is known of remote runs without asking the store again: what never changes of them.

Whether a run has ended is never kept here: whoever has to know asks the store, most often in
the statement that writes.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_agents.core.lifecycle import is_ended
from workflow_agents.core.options import RunOptions
from workflow_agents.errors import NotFound, StateError
from workflow_agents.protocol.history import StepKey
from workflow_agents.protocol.message import MessageSpec

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.store.changes import AddRun

_MOST = 2_000


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A remote run.

    Attributes:
        id: its row.
        run_id: its id.
        url: of its workflow.
        created_at: Unix milliseconds.
        options: what the engine knows of every run.
        config: the message that began it.
        first: the row of that message.
        triggered: False while its endpoint is still to trigger it again.
        parent: the row of the run that invoked it.
        parent_step: the step of that run.
    """

    id: int
    run_id: str
    url: str
    created_at: int
    options: RunOptions
    config: MessageSpec
    first: int
    triggered: bool
    parent: int | None
    parent_step: StepKey | None

    @property
    def origin(self) -> str:
        """The first of the runs that were resumed one after the other."""
        return self.options.origin or self.run_id


class KnownRuns:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._by_id: dict[str, KnownRun] = {}
        self._by_row: dict[int, KnownRun] = {}

    def find(self, run: int | str) -> KnownRun | None:
        """A remote run, ended or not."""
        known = self._by_row.get(run) if isinstance(run, int) else self._by_id.get(run)
        return known or self._read(run)

    def running(self, run_id: str) -> KnownRun:
        """A remote run that is not known to have ended.

        Raises:
            StateError: WA608. Not NotFound: for an SDK, 400 means that the run is over.
        """
        known = self.find(run_id)
        if known is None:
            raise not_running(run_id)
        return known

    def named(self, run_id: str) -> KnownRun:
        """A remote run, ended or not.

        Raises:
            NotFound: WA606.
        """
        known = self.find(run_id)
        if known is None:
            raise NotFound("WA606", f"workflow run {run_id} not found", found=f"run {run_id!r}")
        return known

    def forget(self, run_id: str) -> None:
        """Read it again the next time."""
        known = self._by_id.pop(run_id, None)
        if known is not None:
            self._by_row.pop(known.id, None)

    def begun(self, added: "AddRun", run: int, config: MessageSpec, first: int) -> None:
        """A run was stored, with the message that begins it: nobody has to read it again."""
        part = config.workflow
        known = KnownRun(
            run,
            added.run_id,
            added.workflow,
            added.created_at,
            _options_of(added.options),
            config,
            first,
            part is None or not part.unknown_sdk,
            added.parent,
            added.parent_step,
        )
        self._keep(known)

    def _read(self, run: int | str) -> KnownRun | None:
        row = self._engine.store.messages.remote.run(run)
        if row is None:
            return None
        known = KnownRun(
            row.id,
            row.run_id,
            row.url,
            row.created_at,
            _options_of(row.options),
            self._engine.wire.messages.opened(row.spec),
            row.first,
            row.triggered,
            row.parent,
            row.parent_step,
        )
        if not is_ended(row.phase):
            self._keep(known)
        return known

    def _keep(self, known: KnownRun) -> None:
        if not known.triggered:
            return
        if len(self._by_id) >= _MOST:
            self.forget(next(iter(self._by_id)))
        self._by_id[known.run_id] = self._by_row[known.id] = known


def _options_of(stored: str | None) -> RunOptions:
    return RunOptions.from_json(json.loads(stored)) if stored else RunOptions()


def not_running(run_id: str) -> StateError:
    """Whatever is submitted for it is refused."""
    return StateError(
        "WA608",
        f"workflow run {run_id} is not running",
        where=f"run {run_id!r}",
        found="it has ended, or it never was",
    )
