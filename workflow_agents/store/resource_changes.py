"""Operations on what users keep beside messages: queues, URL groups, schedules, limits of keys.

More of what a `Change` holds. They lie apart from `changes`, so that an engine without a server
need not load them.
"""

from typing import NamedTuple


class SetQueue(NamedTuple):
    """A queue has this parallelism, and is made where it is missing.

    Attributes:
        name: of the queue.
        parallelism: how many turns it gives at the same time; None: as it has, else 1.
        paused: None: as it is, else not.
        at: Unix milliseconds.
    """

    name: str
    parallelism: int | None
    paused: bool | None
    at: int


class NeedQueue(NamedTuple):
    """A queue is made where it is missing, and left alone where it is not."""

    name: str
    at: int


class PauseQueue(NamedTuple):
    """Must: the queue is there. Paused, it begins no delivery."""

    name: str
    paused: bool
    at: int


class DropQueue(NamedTuple):
    """Must: the queue is there. What waits in it is cancelled; what is on its way, goes on.

    Messages of runs wait no more: a run ends by itself, or is cancelled as a whole.
    """

    name: str
    at: int


class PutEndpoints(NamedTuple):
    """A URL group has these endpoints, each a URL and its name; others stay."""

    group: str
    endpoints: tuple[tuple[str, str | None], ...]
    at: int


class RemoveEndpoints(NamedTuple):
    """Must: the URL group is there. Endpoints of these URLs or these names are not."""

    group: str
    urls: tuple[str, ...]
    names: tuple[str, ...]
    at: int


class DropGroup(NamedTuple):
    """Must: the URL group is there; now it is gone."""

    group: str


class PutSchedule(NamedTuple):
    """A schedule is this from now on. Where one of its id is there, it stays paused if it is.

    Attributes:
        due_at: its next tick, where its cron line is a new one; else that stays as it is.
        spec: JSON of the `MessageSpec` of its messages.
    """

    id: str
    cron: str
    destination: str
    at: int
    due_at: int | None
    spec: bytes
    body: bytes | None = None
    caller_ip: str | None = None


class PauseSchedule(NamedTuple):
    """Must: the schedule is there. Paused, it has no next tick."""

    id: str
    paused: bool
    due_at: int | None


class DropSchedule(NamedTuple):
    """Must: the schedule is there; now it is gone."""

    id: str


class TickSchedule(NamedTuple):
    """Must: this is the tick that the schedule comes to next, and nobody has made it.

    Its messages are those that the same change added before.

    Attributes:
        expected: the tick.
        due_at: the one after it.
        fired_at: the tick that was made; None: it was skipped.
        error: why it has no message.
    """

    id: str
    expected: int
    due_at: int | None
    fired_at: int | None
    error: str | None = None


class PauseFlow(NamedTuple):
    """A flow control key starts nothing, or goes on."""

    flow_key: str
    paused: bool
    at: int


class PinFlow(NamedTuple):
    """The limits of a key, and those of them ("parallelism,rate") that messages leave alone."""

    flow_key: str
    value: str
    pinned: str
    at: int


class ResetRate(NamedTuple):
    """What a key has started until now counts no more for its rate."""

    flow_key: str
    at: int


ResourceOp = (
    SetQueue
    | NeedQueue
    | PauseQueue
    | DropQueue
    | PutEndpoints
    | RemoveEndpoints
    | DropGroup
    | PutSchedule
    | PauseSchedule
    | DropSchedule
    | TickSchedule
    | PauseFlow
    | PinFlow
    | ResetRate
)
