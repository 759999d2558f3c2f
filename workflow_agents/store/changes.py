"""What one decision writes: a `Change`, the operations in it, and what becomes of it.

A change is applied whole in one transaction or refused whole. Many may share a transaction
(group commit); each is then refused or applied by itself.

What a change relies on is asked in the writing statements themselves, never by a read before:
an operation that *must* hit its row (the lease of a guard, a waiter that nobody else has
taken) refuses its change when it hits none.

There are some forty classes here, and a process that runs one step waits for all of them to be
defined. So what is not made for every step is neither dataclass nor named tuple: see
`Operation`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, dataclass_transform

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind, Waiting

if TYPE_CHECKING:
    from workflow_agents.core.pauses import Pause
    from workflow_agents.store.message_changes import MessageOp


@dataclass(slots=True)
class Entry:
    """A feed entry.

    Attributes:
        run: the run's row; 0 stands for the run that the same change adds.
        at: Unix milliseconds.
        kind: what happened.
        type: of a step: what it does.
        step: of a step: its key.
        name: of a step: its name.
        data: JSON; or what makes it of that which the change has done so far.
        outcome: it is the outcome of its step, of which there is one for ever.
        owes: it keeps the body of the request that its change owes (`AddDelivery`).
        message: the message that it is about; below 0: -n is the n-th that its change adds.
    """

    run: int
    at: int
    kind: EntryKind
    type: StepKind | None = None
    step: StepKey | None = None
    name: str | None = None
    data: "bytes | Callable[[Applied], bytes] | None" = None
    outcome: bool = False
    owes: bool = False
    message: int | None = None


@dataclass_transform()
class Operation:
    """An operation: a value with the fields that its class declares, in that order.

    To a type checker it is a dataclass. Those, and named tuples, write and compile methods for
    each class when it is defined, which takes fifty times as long as these three for all.
    """

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = (*cls.__annotations__,)

    def __init__(self, *values: Any, **named: Any) -> None:
        self.__dict__.update(zip(self._fields, values), **named)  # noqa: B905  # the rest is named

    def __eq__(self, other: object) -> bool:
        """Of one class, and the same in every field."""
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in self._fields
        )

    def __repr__(self) -> str:
        """As it would be written."""
        fields = [f"{name}={getattr(self, name)!r}" for name in self._fields]
        return f"{type(self).__name__}({', '.join(fields)})"


class WaiterKind:
    """What a waiter waits for; a number in the store."""

    TIMER = 1
    CALL = 2
    EVENT = 3
    INVOKE = 4
    RETRY = 5
    ADMISSION = 6
    READY = 7
    """A retry or an admission whose time has come: the body may run."""
    REMOTE = 8
    """A step of a remote run: its outcome is delivered to the run's endpoint."""


class AddRun(Operation):
    """Add a run, unless one of this id is there."""

    run_id: str
    workflow: str
    phase: Phase
    due_at: int | None
    token: int
    created_at: int
    input: bytes | None
    options: str | None
    flow_key: str | None = None
    labels: tuple[str, ...] = ()
    parent: int | None = None
    parent_step: StepKey | None = None
    inherit: int | None = None
    """A run whose outcomes of steps this one begins with (resume)."""
    leave_out: "Sequence[StepKey]" = ()
    """Of those: which it does not take over."""


class Guard(Operation):
    """Must: the run is leased under this token."""

    run: int
    token: int


class Claim(Operation):
    """Must: lease a run that is due; its token becomes `token + 1`."""

    run: int
    token: int


class Hold(Operation):
    """A due run that has to wait for its flow control key."""

    run: int
    token: int
    due_at: int | None


class Park(Operation):
    """Must: the lease is ours and no wake-up came that we have not seen."""

    run: int
    token: int
    wakes: int


class Unpark(Operation):
    """Must: nobody has leased the run since this token; lease it again, as `token + 1`."""

    run: int
    token: int


class Release(Operation):
    """The lease is given back: the run is due, and nothing went wrong."""

    run: int
    token: int
    due_at: int


class RetryRun(Operation):
    """Must: give the lease back; the run is due again later. Goes with a `Guard`."""

    run: int
    due_at: int
    attempt: int
    at: int


class Progress(Operation):
    """The run made progress: its failed attempts count no more."""

    run: int


class EndRun(Operation):
    """Must: the run has not ended. Its waiters, requests and notifications go with it."""

    run: int
    phase: Phase
    at: int
    result: bytes | None = None


class AddWaiter(Operation):
    """A step waits elsewhere."""

    run: int
    step: StepKey
    kind: int
    type: StepKind
    name: str
    due_at: int | None = None
    event: str | None = None
    attempts: int | None = None
    flow_key: str | None = None
    data: bytes | None = None


class WaitForNotification(Operation):
    """A step waits for an event; a notification that was kept for it is its outcome."""

    waiter: AddWaiter
    at: int


class Resolve(Operation):
    """A step's wait has an outcome, if it still waits: its run is woken.

    Whoever removes the waiter wins; `late` tells of an outcome that came second. `remote` is
    the outcome as a remote run has it, where it may be one that waits.
    """

    run: int
    step: StepKey
    kind: int
    at: int
    data: bytes
    ok: bool = True
    late: bool = False
    must: bool = False
    remote: bytes | None = None


class Notify(Operation):
    """Every waiter of an event, or of one run's, has this outcome.

    With a run that does not wait, the notification is kept for it, unless it has ended.
    `remote` is the outcome as remote runs have it.
    """

    event: str
    run: int | None
    at: int
    data: bytes
    remote: bytes | None = None


class DropWaiter(Operation):
    """The waiter, if it is there, is gone, and with it the slot that it holds."""

    run: int
    step: StepKey
    at: int


class HoldWaiter(Operation):
    """Must: an admission, or a retry that needs one, is there; it has to wait for its key."""

    run: int
    step: StepKey
    due_at: int | None


class Ready(Operation):
    """Must: a retry or an admission is there; its body may run now, and its run is woken."""

    run: int
    step: StepKey
    kind: int
    at: int


class AddDelivery(Operation):
    """A request is owed."""

    run: int
    step: StepKey | None
    kind: int
    due_at: int
    data: bytes
    body: bytes | None = None
    flow_key: str | None = None
    pause_key: str | None = None


class LeaseDelivery(Operation):
    """Must: the request is due and not leased."""

    id: int
    attempt: int


class RetryDelivery(Operation):
    """Must: give the request back; it is due later.

    `refused_at`: the attempt does not count, the whole account was refused then.
    """

    id: int
    attempt: int
    due_at: int
    refused_at: int | None = None


class HoldDelivery(Operation):
    """A due request that has to wait for its flow control key, or for its pause key."""

    id: int
    due_at: int | None
    paused: bool = False


class TakeDelivery(Operation):
    """Must: the request is leased in this attempt; now it is gone."""

    id: int
    attempt: int


class DropDelivery(Operation):
    """The requests of a step, if there are any, are gone, and with them their slots."""

    run: int
    step: StepKey
    at: int


class AddDeadLetter(Operation):
    """A failed run that a person may resume."""

    id: str
    run: int
    at: int
    failure: str
    callback: str | None = None


class TakeDeadLetter(Operation):
    """Must: the dead letter is there; now it is gone."""

    id: str


class SetCallback(Operation):
    """The state of a dead letter's failure function. With `before`, must: it was that."""

    run: int
    callback: str
    before: str | None = None


class FlowStart(Operation):
    """Work of a flow control key began; starts before `forget` matter no more."""

    flow_key: str
    at: int
    forget: int


class SetFlow(Operation):
    """The limits of a key from now on, as the wire writes them."""

    flow_key: str
    value: str


class FreeFlow(Operation):
    """A slot of the key is free: more of those who wait for it are looked at."""

    flow_key: str
    at: int


class AppendMessages(Operation):
    """Append messages to a conversation, all at once, whichever others are appended beside."""

    conversation: str
    at: int
    messages: Sequence[bytes]


class DeleteConversation(Operation):
    """Must: the conversation has messages; now they are gone."""

    conversation: str


class SetPause(Operation):
    """A pause key is in this state; the end of its pause only ever moves on."""

    pause_key: str
    pause: "Pause"


class DropPause(Operation):
    """The key is free, if its pause is over at this time."""

    pause_key: str
    at: int


class FreeTurns(Operation):
    """So many requests that wait for their turn may ask again; -1: all of them."""

    pause_key: str
    at: int
    number: int


Op: TypeAlias = "Operation | MessageOp"


class Change(NamedTuple):
    """What one decision writes. Operations come first, in order; then the entries."""

    ops: "Sequence[Op]"
    entries: Sequence[Entry] = ()


class Woken(NamedTuple):
    """A run that has news.

    Attributes:
        run: its row.
        wakes: its wake-ups so far, this one included.
        news: the outcome of a step, or a step whose body may run.
        deadline: of a wait for an event: its end.
        message: of a remote run: what its endpoint is told by.
    """

    run: int
    wakes: int
    news: Recorded | Waiting
    deadline: int | None = None
    message: int = 0


@dataclass(slots=True)
class Applied:
    """The change is durable.

    Attributes:
        run: the row of the run that it added.
        woken: the runs that it has news for, in the order of recording.
        kept: notifications that it kept for later.
        data: of its last entry, where that was made of what happened before it.
        seq: of an entry that it added.
        up_to: the last message of the conversation that it appended to.
        owed: what the store calls the body of the request that it owes.
        messages: those that it added, each with its delivery.
        taken: of a message that was refused: the one that has its deduplication id.
        dropped: the messages of which nothing is owed any more.
    """

    run: int = 0
    woken: list[Woken] = field(default_factory=list[Woken])
    kept: int = 0
    data: bytes | None = None
    seq: int = 0
    up_to: int = 0
    owed: int | None = None
    messages: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    taken: int = 0
    dropped: list[int] = field(default_factory=list[int])


class Refused(NamedTuple):
    """The change was not made: `op` did not hit what it relies on.

    Attributes:
        op: the operation; None: an outcome was recorded for this step before.
        existing: of an `AddRun` or an `AddMessage`: the row that has the id.
    """

    op: "Op | None"
    existing: int = 0


class Broken(NamedTuple):
    """The store could not be written: nothing of the change was made."""

    error: Exception


Outcome = Applied | Refused | Broken
