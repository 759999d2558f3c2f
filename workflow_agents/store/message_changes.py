"""Operations on messages: more of what a `Change` holds.

They lie apart from `changes`, so that an engine without a server need not load them.
"""

from typing import NamedTuple

from workflow_agents.protocol.history import StepKey
from workflow_agents.store.resource_changes import ResourceOp


class Deduplication(NamedTuple):
    """An id that is taken until then.

    Attributes:
        id: of those who publish, or made of what they publish.
        until: Unix milliseconds.
        messages: how many are accepted with it: the first, which claims it, and those that
            the same change adds right behind.
    """

    id: str
    until: int
    messages: int = 1


class AddMessage(NamedTuple):
    """Add a message and what is owed of it, unless its deduplication id is taken.

    Attributes:
        run: its row; 0: the run that the same change adds, else none.
        kind: a `MessageKind`.
        at: Unix milliseconds.
        due_at: when it may be delivered; None: it is leased by whoever adds it.
        spec: JSON of its `MessageSpec`.
        endpoint: the name that the destination has in its URL group.
        dedup: the id by which it is accepted once.
        turn: of a callback in a queue: the message whose turn it is a part of.
        source: the message that it is a callback of.
    """

    run: int
    kind: int
    at: int
    due_at: int | None
    url: str
    spec: bytes
    body: bytes | None = None
    flow_key: str | None = None
    queue: str | None = None
    url_group: str | None = None
    schedule: str | None = None
    caller_ip: str | None = None
    labels: tuple[str, ...] = ()
    step: StepKey | None = None
    dedup: Deduplication | None = None
    turn: int | None = None
    source: int | None = None
    endpoint: str | None = None


class Reachable(NamedTuple):
    """Must: the run is a remote one that has not ended."""

    run: int


class Unasked(NamedTuple):
    """Must: the step of a remote run neither waits nor has an outcome."""

    run: int
    step: StepKey


class Adopt(NamedTuple):
    """Must: a remote run has only been begun. From now on it is leased, as `token + 1`.

    Attributes:
        run: its row.
        token: its fencing token.
        message: its first visit, which is being delivered; the run takes over its slot.
        options: JSON of what holds for the run now.
    """

    run: int
    token: int
    message: int
    options: str


class InheritMessages(NamedTuple):
    """The run that the same change adds takes over the elements of another one (resume).

    Attributes:
        run: the other.
        at: Unix milliseconds.
        owed: those of the other's messages that are delivered again, each with its due time.
        along: further ones that it takes over, beside the elements.
        specs: how some of them are delivered from now on, JSON of `MessageSpec`.
        flow_key: of what is delivered again.
    """

    run: int
    at: int
    owed: dict[int, int]
    along: frozenset[int]
    specs: dict[int, bytes]
    flow_key: str | None


class DropMessage(NamedTuple):
    """Must: something is owed of the message; now nothing is."""

    message: int
    at: int


class DropMessages(NamedTuple):
    """Nothing is owed any more of those of these messages of which something is.

    The feed tells of each that it is cancelled; `Applied.dropped` says which there were.
    """

    messages: tuple[int, ...]
    at: int


class FreeQueue(NamedTuple):
    """A turn of the queue may be over: the next ones are due."""

    queue: str
    at: int


class AddMessageLetter(NamedTuple):
    """A message that failed for good, which a person may retry."""

    id: str
    message: int
    at: int
    failure: str


class KeepSetting(NamedTuple):
    """Something that a server has to know again after a restart; replaces what was kept."""

    name: str
    value: str


MessageOp = (
    AddMessage
    | Reachable
    | Unasked
    | Adopt
    | InheritMessages
    | DropMessage
    | DropMessages
    | FreeQueue
    | AddMessageLetter
    | KeepSetting
    | ResourceOp
)
