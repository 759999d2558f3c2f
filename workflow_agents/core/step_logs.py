"""What happened in the steps of a run, as a person or a program reads it: folded from its feed.

Pure. The run itself is in `logs`; whoever only waits for a result needs no more than that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workflow_agents.core.logs import Steps
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind

_STEP_STATES = {
    EntryKind.STEP_SUCCESS: "STEP_SUCCESS",
    EntryKind.STEP_FAILED: "STEP_FAILED",
    EntryKind.STEP_WAITING: "STEP_PROGRESS",
    EntryKind.STEP_RETRY: "STEP_RETRY",
    EntryKind.STEP_WITHDRAWN: "STEP_CANCELED",
}

_NO_BODIES: "Mapping[int, tuple[int, Any]]" = {}


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One thing that happened.

    Attributes:
        seq: its place in the feed of the whole store.
        at: Unix milliseconds.
        kind: RUN_STARTED, STEP_SUCCESS, ... (`EntryKind`).
        step: of a step: its key.
        step_type: of a step: what it does.
        step_name: of a step: its name.
        data: a result, a failure, what is waited for.
    """

    seq: int
    at: int
    kind: str
    step: StepKey | None = None
    step_type: str | None = None
    step_name: str | None = None
    data: Any = None


@dataclass(frozen=True, slots=True)
class CallRequest:
    """The request of a call step, as it was or will be sent.

    Attributes:
        method: GET, POST, ...
        url: its address.
        headers: values of secrets, and of headers like "authorization", are hidden.
        body: JSON as Python data, anything else as text; None if there is none, or no room
            for it in the log: the last requests of a run come first.
        body_bytes: how long the body is.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Any = None
    body_bytes: int = 0


@dataclass(slots=True)
class StepLog:
    """One step of a run.

    Attributes:
        step: its key.
        name: its name.
        type: Run, Call, SleepFor, ... as on the wire.
        state: STEP_PROGRESS, STEP_RETRY, STEP_SUCCESS, STEP_FAILED or STEP_CANCELED.
        began_at: when it was first heard of, Unix milliseconds.
        ended_at: when its outcome was stored.
        retries: failed attempts so far.
        out: its result, or its failure.
        waits_for: what it waits for, or waited for.
        request: of a call: what it requests.
    """

    step: StepKey
    name: str
    type: str
    state: str
    began_at: int
    ended_at: int | None = None
    retries: int = 0
    out: Any = None
    waits_for: Any = None
    request: CallRequest | None = None


def fold_steps(
    entries: Iterable[FeedEntry], bodies: "Mapping[int, tuple[int, Any]]" = _NO_BODIES
) -> Steps:
    """The steps that the entries of one run tell of.

    Args:
        entries: in order.
        bodies: of requests: how long each is, and what it holds, by the `seq` of its entry.
    """
    steps: dict[StepKey, StepLog] = {}
    for entry in entries:
        state = _STEP_STATES.get(EntryKind[entry.kind])
        if entry.step is None or state is None:
            continue
        step = steps.get(entry.step)
        if step is None:
            step = steps[entry.step] = StepLog(
                entry.step,
                entry.step_name or "",
                StepKind[entry.step_type].wire if entry.step_type else "",
                state,
                entry.at,
            )
        if step.ended_at is not None:
            # An outcome is final; what comes behind it was written in the same change.
            continue
        step.state = state
        if state in {"STEP_SUCCESS", "STEP_FAILED"}:
            step.out, step.ended_at = entry.data, entry.at
        elif state == "STEP_RETRY":
            # A refusal of the whole account is no failed attempt of this step.
            step.retries += "pauseKey" not in (entry.data or {})
            step.waits_for = entry.data
        elif state == "STEP_PROGRESS":
            step.waits_for = entry.data
            # The wait for a paused provider is told of too, and is no request.
            if entry.step_type == StepKind.CALL.name and "method" in entry.data:
                step.request = _request(entry.data, *bodies.get(entry.seq, (0, None)))
    return Steps(steps.values())


def _request(data: Mapping[str, Any], size: int, body: Any) -> CallRequest:
    return CallRequest(data["method"], data["url"], data.get("headers", {}), body, size)
