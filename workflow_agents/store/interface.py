"""The Store port: what is stored, as it is read, and what the engine asks of a store.

No SQL leaves the rooms beside this one. What is written is in `changes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workflow_agents.core.journal import History
from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind
from workflow_agents.store.changes import Change, Outcome

if TYPE_CHECKING:
    from workflow_agents.core.feed_events import FeedEvent
    from workflow_agents.core.pauses import Pause
    from workflow_agents.store.message_rows import MessageRow, Messages


@dataclass(slots=True)
class RunRow:
    """A run as it is stored."""

    id: int
    run_id: str
    workflow: str
    phase: Phase
    token: int
    wakes: int
    attempt: int
    created_at: int
    due_at: int | None
    input: bytes | None
    options: str | None
    recoveries: int
    parent: int | None
    parent_step: StepKey | None
    ended_at: int | None
    result: bytes | None

    @property
    def is_remote(self) -> bool:
        """Whether its workflow is at an address, and not served by this engine."""
        return self.workflow.startswith(("http://", "https://"))


@dataclass(slots=True)
class WaiterRow:
    """A waiter as it is stored."""

    run: int
    step: StepKey
    kind: int
    type: StepKind
    name: str
    due_at: int | None
    event: str | None
    attempts: int | None
    flow_key: str | None


@dataclass(slots=True)
class DeliveryRow:
    """An owed request as it is stored; with `content`, where its message is at hand."""

    id: int
    run: int
    step: StepKey | None
    kind: int
    attempt: int
    due_at: int | None
    flow_key: str | None
    data: bytes
    body: bytes | None
    held: bool = False
    pause_key: str | None = None
    refusals: int = 0
    refused_at: int | None = None
    message: int | None = None
    queue: str | None = None
    content: "MessageRow | None" = None


class DeadLetterRow(NamedTuple):
    """A dead letter as it is stored; who triggered its run, where that was looked up."""

    id: str
    run: int
    at: int
    failure: str
    callback: str | None
    caller_ip: str | None = None


class ConversationRow(NamedTuple):
    """What is known of a conversation without reading it."""

    key: str
    messages: int
    began_at: int
    changed_at: int


class FeedRow(NamedTuple):
    """A feed entry as it is stored; `message`: that it is about, where that was asked for."""

    seq: int
    run: int
    at: int
    kind: EntryKind
    type: StepKind | None
    step: StepKey | None
    name: str | None
    data: bytes | None
    message: int | None = None


class FlowKeyRow(NamedTuple):
    """A flow control key.

    Attributes:
        value: its limits as the wire writes them; "": it has none.
        pinned: those that messages leave alone: "parallelism", "rate", or both with a comma.
    """

    flow_key: str
    value: str
    paused: bool
    pinned: str


class Body(NamedTuple):
    """The body of a request that was owed.

    Attributes:
        size: in bytes.
        data: None if there was no room for it.
    """

    size: int
    data: bytes | None


class Due(NamedTuple):
    """What there is to do now, schedules by id, and when there will be more."""

    runs: list[RunRow]
    waiters: list[WaiterRow]
    deliveries: list[DeliveryRow]
    schedules: list[str]
    next_at: int | None


class Census(NamedTuple):
    """What is stored, counted.

    Attributes:
        runs: by phase.
        waits: what steps wait for, by kind.
        deliveries: requests that are owed, by what holds them.
        queues: how many requests wait in each.
        dead_letters: how many there are.
        overdue: what is due and was not taken up, by kind.
        entries: of the feed, behind the place that was asked for: by kind, and of steps by what
            they do.
        last_seq: the place of the last of them.
        bytes: of the whole store.
    """

    runs: dict[Phase, int]
    waits: dict[str, int]
    deliveries: dict[str, int]
    queues: dict[str, int]
    dead_letters: int
    overdue: dict[str, int]
    entries: dict[tuple[EntryKind, StepKind | None], int]
    last_seq: int
    bytes: int


class Overview(Protocol):
    """What those ask who watch over the whole store."""

    def events(
        self, *, run: int | None, label: str | None, after: int, limit: int
    ) -> "list[FeedEvent]":
        """Entries of the feed in order, of a run, of runs with a label, or all."""
        ...

    def last_seq(self) -> int:
        """The place of the newest entry; 0: there is none."""
        ...

    def census(self, now: int, after: int) -> Census:
        """Count what is stored, at one instant; from any thread, and beside all writing.

        Args:
            now: what should have been taken up before is overdue.
            after: entries of the feed are counted from here on.
        """
        ...


class Store(Protocol):
    """Persistence, as the engine needs it."""

    @property
    def overview(self) -> Overview:
        """What is asked by those who watch over it."""
        ...

    @property
    def messages(self) -> "Messages":
        """What is asked about messages of the QStash protocol."""
        ...

    def open(self) -> None:
        """Take the store into possession, migrate it.

        Raises:
            StoreError: WA601, WA603, WA604, WA605.
        """
        ...

    def close(self) -> None:
        """Give it back."""
        ...

    def recover(self, now: int) -> int:
        """Make everything due that a process which died had leased; how many runs."""
        ...

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply the changes in order in one transaction, each whole or not at all."""
        ...

    def due(self, now: int, limit: int) -> Due:
        """What is due."""
        ...

    def history(self, run: int) -> History:
        """The recorded steps of a run, and what it waits for."""
        ...

    def run(self, run: int | str) -> RunRow | None:
        """A run by its row or its id."""
        ...

    def runs(
        self,
        *,
        workflow: str | None,
        phase: Phase | None,
        label: str | None,
        before: int | None,
        limit: int,
    ) -> list[RunRow]:
        """Runs, the newest first; `before` is the row of the last one seen."""
        ...

    def feed(self, *, run: int | None, after: int, limit: int) -> list[FeedRow]:
        """Feed entries in order."""
        ...

    def bodies(self, run: int, most: int) -> dict[int, Body]:
        """The bodies of the requests of a run, by the entry that keeps each.

        As many as have room in `most` bytes, the last first; the same body takes room once.
        """
        ...

    def waiters_for(self, event: str, run: int | None) -> list[WaiterRow]:
        """Who waits for an event."""
        ...

    def waiters_like(self, prefix: str, limit: int) -> list[tuple[WaiterRow, FeedRow]]:
        """Who waits for an event whose id begins so, and the entry that tells of it; by event."""
        ...

    def waiter(self, run: int, step: StepKey) -> WaiterRow | None:
        """One waiter."""
        ...

    def dead_letters(self, before: str | None, limit: int) -> list[DeadLetterRow]:
        """Dead letters, the newest first."""
        ...

    def dead_letter(self, id: str) -> DeadLetterRow | None:
        """One of them."""
        ...

    def flow(self, flow_key: str, since: int | None) -> tuple[int, list[int]]:
        """Of a flow control key: how many hold a slot, and when those since then began.

        None: that is not asked.
        """
        ...

    def flow_key(self, flow_key: str) -> "FlowKeyRow | None":
        """What is known of a key but for its use."""
        ...

    def ruled_flow_keys(self) -> "list[FlowKeyRow]":
        """The keys that are paused or have pinned limits."""
        ...

    def pause(self, pause_key: str) -> "Pause | None":
        """The pause of a key, unless it is free."""
        ...

    def under_way(self, pause_key: str) -> int:
        """How many requests of a key are leased."""
        ...

    def waits_for_turn(self, pause_key: str) -> bool:
        """Whether requests of a key wait that nothing else holds back."""
        ...

    def labels(self, run: int) -> tuple[str, ...]:
        """The labels of a run."""
        ...

    def conversation(
        self, conversation: str, *, up_to: int | None, last: int | None
    ) -> list[tuple[int, bytes]]:
        """Messages of a conversation with their ids, the newest `last` of those up to an id."""
        ...

    def conversations(self, after: str | None, limit: int) -> list[ConversationRow]:
        """Conversations by key; `after` is the key of the last one seen."""
        ...

    def clean(self, ended_before: int, now: int, limit: int) -> int:
        """Delete runs that ended before then; how many were deleted."""
        ...

    def sweep(self, limit: int) -> int:
        """Delete large data that nothing refers to any more, a part of it; 0: all is done."""
        ...

    def check(self) -> list[str]:
        """What is wrong with the stored data; empty if nothing is."""
        ...

    def size(self) -> dict[str, Any]:
        """What is stored, in numbers."""
        ...
