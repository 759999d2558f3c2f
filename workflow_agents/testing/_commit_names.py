"""What a commit stores, in a few words, for the names of crashes."""

from collections.abc import Iterator, Sequence

from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.changes import (
    Change,
    Claim,
    LeaseDelivery,
    Notify,
    Park,
    Resolve,
    RetryDelivery,
)

_OF_A_STEP = {
    EntryKind.STEP_SUCCESS: "the result of {}",
    EntryKind.STEP_FAILED: "the failure of {}",
    EntryKind.STEP_WAITING: "the wait of {}",
    EntryKind.STEP_RETRY: "a retry of {}",
    EntryKind.STEP_WITHDRAWN: "the withdrawal of {}",
}
_OF_A_RUN = {
    EntryKind.RUN_STARTED: "the start of a run",
    EntryKind.RUN_SUCCESS: "the end of a run",
    EntryKind.RUN_FAILED: "the failure of a run",
    EntryKind.RUN_CANCELED: "the end of a run",
}


def commit_name(changes: Sequence[Change]) -> str:
    """What these changes are about: "the result of 'charge'"."""
    names = [*dict.fromkeys(name for change in changes for name in _names(change))]
    return " and ".join(names[:3]) or "a note"


def _names(change: Change) -> Iterator[str]:
    for entry in change.entries:
        if entry.kind in _OF_A_STEP:
            yield _OF_A_STEP[entry.kind].format(repr(entry.name or "a call"))
        elif entry.kind in _OF_A_RUN:
            yield _OF_A_RUN[entry.kind]
    for op in change.ops:
        match op:
            case Resolve(step=step):
                yield f"the outcome of step {step}"
            case Claim():
                yield "the lease of a run"
            case Park():
                yield "the end of an invocation"
            case LeaseDelivery():
                yield "the lease of a request"
            case RetryDelivery():
                yield "the retry of a request"
            case Notify(event=event):
                yield f"the event {event!r}"
            case _:
                pass
