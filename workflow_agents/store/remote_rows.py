"""What is stored of remote runs, as it is read, and what the engine asks of a store about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.interface import FeedRow

if TYPE_CHECKING:
    from workflow_agents.store.message_rows import MessageRow


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


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which remote runs are meant: those that have one of each tuple's values, if it has any.

    Attributes:
        urls: of the workflow, exactly.
        prefixes: with which that begins.
        hosts: the host and port in that.
        paths: the path in that.
        messages: rows of messages that are the run's.
        happened: kinds of feed entries that tell of it.
        created_at: exactly then, Unix milliseconds.
        from_at: created then or later.
        to_at: created then or before.
    """

    run_ids: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    flow_keys: tuple[str, ...] = ()
    caller_ips: tuple[str, ...] = ()
    phases: tuple[int, ...] = ()
    messages: tuple[int, ...] = ()
    happened: tuple[int, ...] = ()
    created_at: int | None = None
    from_at: int | None = None
    to_at: int | None = None


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters of remote runs are meant.

    Attributes:
        ids: of dead letters.
        runs: whose they are.
        statuses: that were answered last.
        callbacks: states of the failure function.
        from_at: failed then or later, Unix milliseconds.
        to_at: failed then or before.
    """

    ids: tuple[str, ...] = ()
    runs: RunFilter = RunFilter()
    statuses: tuple[int, ...] = ()
    callbacks: tuple[str, ...] = ()
    from_at: int | None = None
    to_at: int | None = None


@dataclass(slots=True)
class LetterRow:
    """A dead letter of a remote run, and its place among all."""

    place: int
    id: str
    run: int
    at: int
    failure: str
    callback: str | None


class RemoteRuns(Protocol):
    """Queries about remote runs."""

    def run(self, run: int | str) -> RemoteRow | None:
        """One run by its row or its id; None: there is none, or it is not a remote one."""
        ...

    def find(self, which: RunFilter, *, before: int | None, limit: int) -> list[RemoteRow]:
        """Runs, the newest first; `before` is the row of the last one seen."""
        ...

    def letters(self, which: LetterFilter, *, before: int | None, limit: int) -> list[LetterRow]:
        """Dead letters, the newest first; `before` is the place of the last one seen."""
        ...

    def entries(self, run: int) -> list[FeedRow]:
        """The feed of a run, in order."""
        ...

    def events(
        self, which: RunFilter, kinds: Sequence[EntryKind], *, before: int | None, limit: int
    ) -> list[FeedRow]:
        """Entries of these kinds, the newest first; `before` is the `seq` of the last one seen."""
        ...

    def children(self, run: int) -> list[RemoteRow]:
        """The runs that the steps of this run invoked."""
        ...

    def letter_of(self, run: int) -> LetterRow | None:
        """The dead letter of a run."""
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

    def is_followed(self, visit: "MessageRow") -> bool:
        """Whether what an endpoint submits when it is visited with this message is there.

        Of a plan and of the answer to a call that is the result of their own step, or what that
        waits for. Of any other element it is a step behind all that were known with it: steps
        are numbered as they are asked for, and a group is asked for as a whole.
        """
        ...

    def results(self, run: int, type: StepKind) -> list[bytes]:
        """The bodies of the results of all steps of this type."""
        ...

    def child(self, run: int, step: StepKey) -> RemoteRow | None:
        """The run that a step of this run invoked."""
        ...
