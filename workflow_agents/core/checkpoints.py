"""What an endpoint and our own server tell each other while a run is kept by checkpoints.

The endpoint calls the workflow's function; the server keeps the run as it keeps those of its
own process. Between them go *frames*, what the code asks of its `Journal` and tells its
`Keeper`, and *news*, what the server has stored. Both are numbered from 1 for each invocation
and said again until the other side is known to have them, so that an answer which is lost
costs nothing: whoever hears a number twice leaves it out.

How they are written is in `checkpoint_json`. Values only.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workflow_agents.core.journal import Completed, Failed, History, Plan
from workflow_agents.protocol.history import Recorded, StepKey, StepKind, Waiting

HEADER = "Upstash-Workflow-Agents-Checkpoint"
"""What our server says in its visits; every SDK keeps headers of this beginning to itself.

In the first visit of a run it is an `Offer` as JSON; in the visit of a run that is kept by
checkpoints, `VISIT`.
"""

VISIT = "visit"
PATH = "/v2/workflows/checkpoints"
CHANNEL = f"{PATH}/channel"
"""Where a request is opened that goes on: a batch is a line of its body, the answer another."""


# Frames: what the endpoint says.


class Record(NamedTuple):
    """See `Journal.record`."""

    key: StepKey
    kind: StepKind
    name: str
    ok: bool
    waited: bool
    data: bytes


class Planned(NamedTuple):
    """See `Journal.plan`."""

    key: StepKey
    kind: StepKind
    name: str
    plan: Plan


class Withdrawn(NamedTuple):
    """See `Journal.withdraw`."""

    key: StepKey
    name: str


class Notified(NamedTuple):
    """See `Journal.notify`."""

    key: StepKey
    name: str
    event_id: str
    data: bytes
    run_id: str | None


class Recall(NamedTuple):
    """See `Journal.recall`; answered by `Recalled`."""

    conversation: str
    up_to: int | None
    last: int | None


class Remember(NamedTuple):
    """See `Journal.remember`."""

    key: StepKey
    name: str
    conversation: str
    messages: Sequence[bytes]


class Cancel(NamedTuple):
    """See `Journal.cancel`."""


class Rest(NamedTuple):
    """See `Keeper.idle`; it holds if these were all news when the code came to rest."""

    seen: int


class Yield(NamedTuple):
    """The endpoint's process stops: the run is to go on elsewhere, and no attempt has failed."""


class End(NamedTuple):
    """See `Keeper.ended`."""

    ending: Completed | Failed


Frame = Record | Planned | Withdrawn | Notified | Recall | Remember | Cancel | Rest | Yield | End


# News: what the server says.


class Taken(NamedTuple):
    """The outcome that this frame told of is stored as it was told."""

    frame: int


class Recalled(NamedTuple):
    """What a conversation holds; the answer to a `Recall`."""

    frame: int
    up_to: int
    messages: list[bytes]


class Refused(NamedTuple):
    """What this frame asked for cannot be: an error as `WorkflowAgentsError.as_dict` gives it."""

    frame: int
    error: Mapping[str, Any]


News = Recorded | Waiting | Taken | Recalled | Refused


# What frames and news travel in.


class Offer(NamedTuple):
    """A first visit may be answered with checkpoints; what then holds for its steps.

    Attributes:
        attempt: the number of the visit's attempt, which whoever accepts names.
        retries: of each step and of the function; None: the default.
        retry_delay: an expression in milliseconds.
        origin: the first of the runs that were resumed one after the other.
    """

    attempt: int
    retries: int | None = None
    retry_delay: str | None = None
    origin: str | None = None

    def to_text(self) -> str:
        """As a header's value."""
        return json.dumps(dict(self._asdict()), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Offer | None":
        """The reverse; None: it is none that this version understands."""
        try:
            given = json.loads(text)
            offer = cls(given["attempt"], given["retries"], given["retry_delay"], given["origin"])
        except (ValueError, TypeError, KeyError):
            return None
        return offer if type(offer.attempt) is int else None


class Adoption(NamedTuple):
    """The run of this first visit is to be kept by checkpoints from now on."""

    message_id: str
    attempt: int


class Said(NamedTuple):
    """What an endpoint says of one invocation.

    Attributes:
        run_id: of the run.
        by: the fencing token; of a run that is not known to be adopted: how it is.
        seen: the number of the last news that have come.
        first: the number of the first frame.
        frames: in order.
    """

    run_id: str
    by: int | Adoption
    seen: int
    first: int
    frames: Sequence[Frame]


class Told(NamedTuple):
    """What a server answers of one invocation.

    Attributes:
        token: the fencing token of the invocation.
        first: the number of the first news.
        news: in order.
        closed: it is over, or somebody else's.
    """

    token: int
    first: int
    news: Sequence[News]
    closed: bool


class Batch(NamedTuple):
    """What an endpoint's process says at a time; `endpoint` is a name that it has made up."""

    endpoint: str
    said: Sequence[Said]


class Visit(NamedTuple):
    """What the visit of a run brings that is kept by checkpoints.

    Attributes:
        run_id: of the run.
        token: the fencing token of the invocation.
        created_at: Unix milliseconds.
        payload: what the run was started with.
        offer: what holds for its steps.
        labels: of the run.
        history: what is stored of it.
    """

    run_id: str
    token: int
    created_at: int
    payload: bytes
    offer: Offer
    labels: tuple[str, ...]
    history: History
