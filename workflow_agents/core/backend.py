"""The Backend port: what a client asks of whoever keeps the runs."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workflow_agents.core.options import RunOptions
from workflow_agents.core.selection import Selection
from workflow_agents.protocol.history import StepKey

if TYPE_CHECKING:
    from workflow_agents.core.logs import RunLog
    from workflow_agents.core.model_asks import ModelAsk
    from workflow_agents.core.operations import Operations
    from workflow_agents.core.searching import SearchResult
    from workflow_agents.core.step_logs import FeedEntry
    from workflow_agents.core.stream_events import StreamEvent
    from workflow_agents.core.workflow_events import WorkflowEvent
    from workflow_agents.protocol.approvals import OpenWait


class Trigger(NamedTuple):
    """A run that is to be started.

    Attributes:
        path: of its workflow, or its address.
        body: the payload.
        options: all that holds for it.
        run_id: an id of the caller's; None: any.
        not_before: Unix milliseconds; None: now.
    """

    path: str
    body: bytes
    options: RunOptions
    run_id: str | None = None
    not_before: int | None = None


class TriggeredRun(Protocol):
    """What a backend says of a trigger."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        ...

    @property
    def deduplicated(self) -> bool:
        """Whether a run of this id was there."""
        ...


class Letter(Protocol):
    """What a backend says of a dead letter."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def at(self) -> int:
        """When the run failed, Unix milliseconds."""
        ...

    @property
    def caller_ip(self) -> str | None:
        """The address that triggered its run over HTTP."""
        ...

    @property
    def callback(self) -> str | None:
        """The state of the failure function."""
        ...


class Backend(Protocol):
    """Whoever keeps the runs."""

    def now_ms(self) -> int:
        """Its time."""
        ...

    def destination(self, workflow: Any) -> str:
        """How it finds a workflow: by its path, or its whole address."""
        ...

    @property
    def operations(self) -> "Operations":
        """What has nothing to do with runs: messages, queues, schedules, limits, keys."""
        ...

    async def trigger(self, asked: Trigger) -> TriggeredRun:
        """Start a run."""
        ...

    async def trigger_many(self, asked: Sequence[Trigger]) -> Sequence[TriggeredRun]:
        """Start several, in this order."""
        ...

    async def cancel(self, run_id: str) -> bool:
        """End a run."""
        ...

    async def cancel_many(self, which: Selection) -> int:
        """End all that fit and have not ended; how many."""
        ...

    async def notify(self, event_id: str, data: bytes, run_id: str | None) -> dict[str, Any]:
        """Notify an event."""
        ...

    async def waiters(self, event_id: str) -> list[dict[str, Any]]:
        """Who waits for it."""
        ...

    async def waits(self, prefix: str, limit: int) -> "Sequence[OpenWait]":
        """The waits for events whose ids begin so, by id, with what is told of them."""
        ...

    async def log(self, run_id: str, *, steps: bool) -> "RunLog":
        """One run."""
        ...

    async def logs(
        self, which: Selection, *, before: str | None, cursor: str | None, limit: int
    ) -> "tuple[list[RunLog], str | None]":
        """Many runs without their steps, the newest first; and where the next part begins."""
        ...

    async def search(
        self, text: str, which: Selection, *, cursor: str | None, limit: int
    ) -> "SearchResult":
        """Runs in which a text stands; of the selection: workflow, state, label."""
        ...

    async def end_of(self, run_id: str) -> "RunLog":
        """A run that has ended, waited for."""
        ...

    async def feed(self, run_id: str, after: int) -> "tuple[list[FeedEntry], bool]":
        """What happened after an entry, waited for; and whether that is all."""
        ...

    def stream(self, run_id: str, after: int) -> "AsyncIterator[StreamEvent]":
        """What happens after an entry, and what is said meanwhile, until the run has ended."""
        ...

    def events(
        self, run_id: str | None, label: str | None, after: int | None
    ) -> "AsyncIterator[WorkflowEvent]":
        """What happens to a run, to the runs with a label, or to everything."""
        ...

    async def conversation(self, key: str, last: int | None) -> list[Any]:
        """The newest messages of a conversation."""
        ...

    async def conversations(self, after: str | None, limit: int) -> list[dict[str, Any]]:
        """Conversations by key: how long each is, and when it began and changed."""
        ...

    async def delete_conversation(self, key: str) -> bool:
        """Remove a conversation. False: there is none."""
        ...

    async def letters(
        self, which: Selection, *, before: str | None, cursor: str | None, limit: int
    ) -> "tuple[Sequence[tuple[Letter, RunLog]], str | None]":
        """Dead letters, the newest first; and where the next part begins."""
        ...

    async def letter(self, dlq_id: str) -> "tuple[Letter, RunLog]":
        """One of them."""
        ...

    async def again(self, dlq_id: str, options: RunOptions, *, resume: bool) -> TriggeredRun:
        """A new run of it."""
        ...

    async def again_many(
        self, which: Selection, options: RunOptions, *, resume: bool
    ) -> Sequence[TriggeredRun]:
        """A new run of each that fits."""
        ...

    async def fork(
        self,
        run_id: str,
        options: RunOptions,
        *,
        step: StepKey | None,
        body: bytes | None,
        result: bytes | None,
        ask: "ModelAsk | None",
    ) -> TriggeredRun:
        """A new run with the beginning of another."""
        ...

    async def delete_letter(self, dlq_id: str) -> None:
        """Remove it."""
        ...

    async def delete_letters(self, which: Selection) -> int:
        """Remove all that fit; how many."""
        ...

    async def retry_failure_function(self, dlq_id: str) -> None:
        """Call its failure function again."""
        ...

    async def close(self) -> None:
        """Close what was opened for the client alone."""
        ...
