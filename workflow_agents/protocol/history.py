"""The words of a run's history: kinds of steps, kinds of feed entries, a recorded step.

Numbers are what the store keeps; wire names are what other SDKs read. Neither may change.
"""

from dataclasses import dataclass
from enum import IntEnum


class StepKind(IntEnum):
    """What a step does. `wire` is its `stepType` in the QStash protocol."""

    RUN = 1
    SLEEP = 2
    SLEEP_UNTIL = 3
    CALL = 4
    WAIT = 5
    NOTIFY = 6
    INVOKE = 7
    CREATE_WEBHOOK = 8
    WAIT_FOR_WEBHOOK = 9

    @property
    def wire(self) -> str:
        """Source: protocol, step object."""
        return _WIRE[self]

    @property
    def label(self) -> str:
        """The method of the context that makes it, as people know it."""
        return self.name.lower()

    @classmethod
    def of_wire(cls, text: str) -> "StepKind":
        """The reverse of `wire`; RUN for what is not known here."""
        return _OF_WIRE.get(text, cls.RUN)


_WIRE = {
    StepKind.RUN: "Run",
    StepKind.SLEEP: "SleepFor",
    StepKind.SLEEP_UNTIL: "SleepUntil",
    StepKind.CALL: "Call",
    StepKind.WAIT: "Wait",
    StepKind.NOTIFY: "Notify",
    StepKind.INVOKE: "Invoke",
    StepKind.CREATE_WEBHOOK: "CreateWebhook",
    StepKind.WAIT_FOR_WEBHOOK: "WaitForWebhook",
}
_OF_WIRE = {text: kind for kind, text in _WIRE.items()}


class EntryKind(IntEnum):
    """What a feed entry tells. The feed is append-only and holds every state change."""

    RUN_STARTED = 1
    RUN_SUCCESS = 2
    RUN_FAILED = 3
    RUN_CANCELED = 4
    RUN_RETRY = 5
    RUN_RECOVERED = 6
    STEP_SUCCESS = 10
    STEP_FAILED = 11
    STEP_WAITING = 12
    STEP_RETRY = 13
    STEP_WITHDRAWN = 14
    STEP_ATTEMPT_FAILED = 15
    DISCARDED = 20
    NOTIFIED = 21
    NOTIFICATION_KEPT = 22
    FAILURE_FUNCTION_SUCCESS = 30
    FAILURE_FUNCTION_RETRY = 31
    FAILURE_FUNCTION_FAILED = 32
    DEAD_LETTER_ADDED = 33
    DEAD_LETTER_REMOVED = 34
    CLEANED = 40
    CONVERSATION_DELETED = 41
    MESSAGE_CREATED = 50
    MESSAGE_ACTIVE = 51
    MESSAGE_RETRY = 52
    MESSAGE_DELIVERED = 53
    MESSAGE_FAILED = 54
    MESSAGE_CANCELED = 55


StepKey = int | str
"""A step's place in its run: 3 is the root branch's third, "2.0/1" the first step of the
first branch that the root forked after its second step. It never depends on timing."""


def idempotency_key(origin: str, step: StepKey) -> str:
    """What a step tells the world outside, so that it does nothing twice for it.

    `origin` is the first of the runs that were resumed one after the other.
    """
    return f"{origin}/{step}"


@dataclass(slots=True)
class Recorded:
    """One recorded outcome of a step, in the order of recording.

    Attributes:
        key: the step's place.
        kind: what the step does.
        name: as the code named it.
        ok: False where `data` describes a failure for good.
        data: JSON; the result, or the failure.
    """

    key: StepKey
    kind: StepKind
    name: str
    ok: bool
    data: bytes


@dataclass(slots=True)
class Waiting:
    """A step that is planned and has no outcome yet.

    Attributes:
        key: the step's place.
        kind: what the step does.
        name: as the code named it.
        attempts: of a `run` step that is to be retried: how often its body has failed.
        due: of such a step: its delay has passed, the body may run again.
    """

    key: StepKey
    kind: StepKind
    name: str
    attempts: int = 0
    due: bool = False
