"""What is stored of remote runs, as it is read, and what the engine asks of a store about them."""

from dataclasses import dataclass
from typing import Protocol

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import StepKey, StepKind
from workflow_agents.protocol.message_kinds import MessageKind


@dataclass(slots=True)
class RemoteRow:
    """A remote run without its payload; but for its phase, nothing of it ever changes.

    Attributes:
        id: its row.
        run_id: its id.
        url: of its workflow.
        created_at: Unix milliseconds.
        options: JSON of its `RunOptions`.
        parent: the row of the run that invoked it.
        parent_step: the step of that run.
        first: the message that began it.
        spec: of that message, JSON.
        triggered: False while its endpoint is still to trigger it again.
    """

    id: int
    run_id: str
    url: str
    phase: Phase
    created_at: int
    options: str | None
    parent: int | None
    parent_step: StepKey | None
    first: int
    spec: bytes
    triggered: bool


@dataclass(slots=True)
class ElementRow:
    """An element of a remote run."""

    id: int
    kind: MessageKind
    step: StepKey | None
    body: bytes


class RemoteRuns(Protocol):
    """Queries about remote runs."""

    def run(self, run: int | str) -> RemoteRow | None:
        """One run by its row or its id; None: there is none, or it is not a remote one."""
        ...

    def is_open(self, run: int) -> bool:
        """Whether it has not ended."""
        ...

    def elements(self, run: int, *, after: int, limit: int) -> list[ElementRow]:
        """Its elements in order, those behind a message, so many of them."""
        ...

    def said(self, run: int, step: StepKey, kind: MessageKind) -> int | None:
        """The message of this kind that is about this step."""
        ...

    def results(self, run: int, type: StepKind) -> list[bytes]:
        """The bodies of the results of all steps of this type."""
        ...

    def child(self, run: int, step: StepKey) -> RemoteRow | None:
        """The run that a step of this run invoked."""
        ...
