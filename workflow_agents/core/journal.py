"""The Journal port: what a context needs from whoever keeps its run.

Two sides speak here. The invocation asks: record this result, plan this wait, retry this
step, park. The keeper answers, and delivers what arrives from elsewhere by calling the
invocation's `deliver`. Nothing here does I/O.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workflow_agents.core.retry import RetryPolicy
from workflow_agents.errors import HistoryMismatch
from workflow_agents.protocol.history import Recorded, StepKey, StepKind, Waiting

if TYPE_CHECKING:
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.protocol.secrets import Secret


class Sleep(NamedTuple):
    """Wait until an instant.

    Attributes:
        due_at: the end, in milliseconds since the epoch.
        after_ms: where the code gave a length: how long; `due_at` is then the keeper's to set.
    """

    due_at: int | None = None
    after_ms: int | None = None


class Call(NamedTuple):
    """An HTTP request that the keeper makes for the run.

    `body` is sent as it is; `headers` have lower-case names. What makes an answer good is in
    `acceptance`; the last one is recorded as it is, or as a failure of the step if it is not
    2xx and `raise_for_status`, or without the members that `expect` names.

    `stream` names the format of an answer that is read as a stream of events; `pause_key` is
    what all requests to one provider's account share.
    """

    url: str
    method: str
    headers: "Mapping[str, str | Secret]"
    body: bytes
    policy: RetryPolicy
    timeout_ms: int | None
    flow_control: "FlowControl | None"
    raise_for_status: bool = False
    expect: tuple[str, ...] = ()
    stream: str | None = None
    pause_key: str | None = None


class WaitForEvent(NamedTuple):
    """Wait for a notification, at most `timeout_ms`.

    `details`, JSON data, are shown to whoever is to send it.
    """

    event_id: str
    timeout_ms: int
    details: Any = None


class Invoke(NamedTuple):
    """Start another workflow's run and wait for its end."""

    workflow: str
    body: bytes
    headers: "Mapping[str, str | Secret]"
    options: Mapping[str, Any]
    run_id: str | None


class Admission(NamedTuple):
    """Wait for a slot of a flow control key before a `run` step's body may start."""

    flow_control: "FlowControl"


class Failure(NamedTuple):
    """Why a step or a run failed.

    Attributes:
        error: the class name of the exception.
        message: its text.
        status: the HTTP status that stands for it: 500; 489 not to be retried; 429 later;
            400 refused.
        where: the place in the user's code.
        detail: the five parts, where it is an error of ours.
        retry_after_ms: asked for by `WorkflowRetryAfterError`.
        final: not to be retried.
    """

    error: str
    message: str
    status: int = 500
    where: str = ""
    detail: Mapping[str, Any] | None = None
    retry_after_ms: int | None = None
    final: bool = False


class Again(NamedTuple):
    """Run the body of a `run` step again, after a delay; `attempts` of it have failed."""

    after_ms: int
    attempts: int
    failure: Failure
    flow_control: "FlowControl | None" = None


Plan = Sleep | Call | WaitForEvent | Invoke | Admission | Again
"""What a step may wait for elsewhere."""


class Asked(NamedTuple):
    """A step that the code asks for, and that is held until every branch has come to rest.

    `plan`: what it will wait for elsewhere, where that is known before it starts.
    """

    key: StepKey
    kind: StepKind
    name: str
    plan: Plan | None


class Start(NamedTuple):
    """Start this member of the group, which has failed so often before. Hold the others."""

    member: int
    attempts: int


class Groups(Protocol):
    """Who decides of steps in groups, where a history is kept in lock-step.

    See `core.lockstep`: nothing new starts before every branch has come to rest.
    """

    def decide(self, asked: Sequence[Asked]) -> Sequence[tuple[int, Recorded]] | Start | None:
        """Outcomes for all, to be handed out in this order; one to start; or the end of it.

        Raises:
            HistoryMismatch: the history holds another group in this place.
        """
        ...

    def left(self) -> HistoryMismatch | None:
        """What the history holds and a function that returns has not asked for."""
        ...


class Journal(Protocol):
    """What keeps one run, during one invocation of it.

    What is recorded comes back through `Deliveries.deliver` once it is durable, in the order
    of recording. A change that is refused, because the run was cancelled, ended or taken
    over, closes the invocation instead.
    """

    def record(
        self, key: StepKey, kind: StepKind, name: str, data: bytes, *, ok: bool, waited: bool
    ) -> None:
        """Store the outcome of a step that ran here; `waited`: it had been planned before."""
        ...

    def plan(self, key: StepKey, kind: StepKind, name: str, plan: Plan) -> Awaitable[None]:
        """Store that a step waits elsewhere; its outcome will be delivered."""
        ...

    def withdraw(self, key: StepKey, name: str) -> None:
        """The code no longer waits for this step: take it back, unless it has ended."""
        ...

    def notify(
        self, key: StepKey, name: str, event_id: str, data: bytes, run_id: str | None
    ) -> None:
        """Wake who waits for the event and record the step, in one."""
        ...

    def recall(
        self, conversation: str, *, up_to: int | None, last: int | None
    ) -> Awaitable[tuple[int, list[bytes]]]:
        """Messages of a conversation, and which of them is the newest.

        `up_to`: those up to that one, None: all; of these the newest `last`, None: all.
        """
        ...

    def remember(
        self, key: StepKey, name: str, conversation: str, messages: Sequence[bytes]
    ) -> None:
        """Append to a conversation and record the step, in one."""
        ...

    def new_event_id(self) -> str:
        """An id for a webhook that nobody can guess."""
        ...

    def webhook_url(self, event_id: str) -> str:
        """The address at which this run's webhook is received."""
        ...

    def cancel(self) -> None:
        """End the run as cancelled."""
        ...


class History(NamedTuple):
    """What is stored of a run when an invocation of it begins.

    Attributes:
        recorded: outcomes in the order of recording.
        waiting: steps that wait elsewhere.
    """

    recorded: list[Recorded]
    waiting: list[Waiting]


class Completed(NamedTuple):
    """The function returned; `data` is the JSON of what."""

    data: bytes


class Failed(NamedTuple):
    """The function raised, or does not fit the history."""

    failure: Failure


class Closed(NamedTuple):
    """The keeper ended the invocation."""


Ending = Completed | Failed | Closed


class Keeper(Protocol):
    """Who is told what an invocation comes to. Called from the loop, never awaited."""

    def idle(self) -> None:
        """Every branch waits elsewhere. Told again each time that it becomes so."""
        ...

    def ended(self, ending: Ending) -> None:
        """It is over. Told once."""
        ...


class StoredRun(Protocol):
    """What an invocation is told of its run."""

    @property
    def run_id(self) -> str:
        """Its id."""
        ...

    @property
    def workflow(self) -> str:
        """The path of its workflow."""
        ...

    @property
    def created_at(self) -> int:
        """Unix milliseconds."""
        ...

    @property
    def input(self) -> bytes | None:
        """The body that it was started with."""
        ...


class Deliveries(Protocol):
    """What the keeper calls while an invocation lives: outcomes from elsewhere."""

    def deliver(self, outcome: Recorded | Waiting) -> None:
        """An outcome was stored, or a step's delay has passed. In the order of recording."""
        ...

    def close(self) -> None:
        """The run goes on without this invocation, or not at all: end it."""
        ...

    @property
    def idle(self) -> bool:
        """Whether every branch waits elsewhere, and nothing new was asked since."""
        ...

    @property
    def holds_thread(self) -> bool:
        """Whether a thread waits with it, so that it should not be kept while the run is parked."""
        ...
