"""What follows the answer to a delivery: it is done, made again, or given up.

A 2xx answer delivers, whatever its body says; every other one, and none at all, is a failed
attempt, which `core/retry.py` counts. Two things are known only here:

- 489 with `Upstash-NonRetryable-Error` ends the attempts at once, for every kind of message.
- The first visit of a run has to prove that the address is a workflow. A 2xx answer that does
  not is no delivery but the end of the run: asking again would answer the same. Other answers
  prove nothing: they may come from a proxy, or from before the application has started.
  Of a later visit such an answer is a failed attempt: taken for a delivery, the run would wait
  for ever for a step that nobody has submitted.

What then becomes of a run, a callback or a dead letter is the caller's. Nothing here reads a
clock, and nothing raises, whatever the other side sends.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from workflow_agents.core.failures import NON_RETRYABLE_STATUS
from workflow_agents.core.retry import Retry, RetryPolicy, after_failure, retry_after_ms
from workflow_agents.protocol.message_kinds import MessageKind

NOT_A_WORKFLOW = (
    "detected a non-workflow destination for trigger/invoke. "
    "make sure you are sending the request to the correct endpoint"
)
"""Source: protocol, non-workflow destination; clients compare the text."""

SDK_TOO_OLD = "trigger rest api is only usable with sdk versions after v1.0.0 major version"
"""Source: protocol, REST trigger; clients compare the text."""

DETECTS_WORKFLOWS = "WF_DetectTrigger"
"""The feature by which a message asks for the proof."""

_VISITS = frozenset(
    {MessageKind.VISIT, MessageKind.PLAN, MessageKind.TRIGGER, MessageKind.CALL_ANSWER}
)

Headers = Mapping[str, Sequence[str]]

_NON_RETRYABLE = "upstash-nonretryable-error"
_NO_FUNCTION = "upstash-workflow-failure-callback-notfound"
_VERSION = "upstash-workflow-sdk-version"
_SDK = "upstash-workflow-sdk"
_MAJOR = re.compile(r"v?([0-9]{1,9})(?![0-9])")


class Proof(Enum):
    """What a 2xx answer has to say of the address."""

    NONE = auto()
    WORKFLOW = auto()
    """`Upstash-Workflow-Sdk-Version`: it serves workflows."""
    STILL = auto()
    """The same, of an address that has proved it before: it may do so again."""
    SDK_1 = auto()
    """And `Upstash-workflow-sdk` of 1.0 or later: it can take a run that no SDK has started."""


def proof_owed(
    kind: MessageKind, *, first: bool, features: Container[str] = (), by_rest: bool = False
) -> Proof:
    """What the answers to a message have to prove.

    Args:
        kind: of the message.
        first: whether it is the first visit of its run.
        features: flags that the message carries.
        by_rest: whether the run was started by the trigger endpoint, without an SDK.
    """
    if kind not in _VISITS:
        return Proof.NONE
    if first and by_rest:
        return Proof.SDK_1
    if DETECTS_WORKFLOWS not in features:
        return Proof.NONE
    return Proof.WORKFLOW if first else Proof.STILL


@dataclass(frozen=True, slots=True)
class Delivered:
    """It is done.

    Attributes:
        unhandled: of a visit for a failure: the endpoint has no failure function.
    """

    unhandled: bool = False


class Cause(Enum):
    """Why no attempt follows."""

    NON_RETRYABLE = auto()
    NOT_A_WORKFLOW = auto()
    SDK_TOO_OLD = auto()
    EXHAUSTED = auto()


@dataclass(frozen=True, slots=True)
class Failed:
    """No attempt follows.

    Attributes:
        cause: which rule ended it.
        reason: the same in words, for the log and the dead letter.
    """

    cause: Cause
    reason: str


def after_answer(
    status: int | None,
    headers: Headers,
    *,
    attempt: int,
    policy: RetryPolicy,
    now_ms: int,
    kind: MessageKind = MessageKind.PLAIN,
    proof: Proof = Proof.NONE,
    final: bool = False,
) -> Delivered | Retry | Failed:
    """Decide what follows an attempt.

    Args:
        status: of the answer; None: no usable answer came.
        headers: of the answer, names in any case, each with its values.
        attempt: its number, from 1; all before it have failed.
        policy: retries, and the delay before each.
        now_ms: Unix milliseconds, for headers that hold a date.
        kind: of the message.
        proof: what a 2xx answer has to prove; see `proof_owed`.
        final: no answer came, and none will come another time.

    Source: endpoint responses and delays of the protocol (3.4, 3.5, 3.7, 5.1, 5.2).
    """
    unproven = proof is Proof.STILL and not _values(headers, _VERSION)
    if status is not None and 200 <= status < 300 and not unproven:
        is_told = kind is MessageKind.FAILURE_VISIT and _says_true(headers, _NO_FUNCTION)
        return _unproven(headers, proof) or Delivered(unhandled=is_told)
    gives_up = is_final(status, headers) or (final and status is None)
    decision = after_failure(
        policy,
        failures=attempt,
        retry_after_ms=retry_after_ms(headers, now_ms),
        non_retryable=gives_up,
    )
    if isinstance(decision, Retry):
        return decision
    return Failed(Cause.NON_RETRYABLE if gives_up else Cause.EXHAUSTED, decision.reason)


def is_final(status: int | None, headers: Headers) -> bool:
    """Whether an answer says that it would be the same another time."""
    return status == NON_RETRYABLE_STATUS and _says_true(headers, _NON_RETRYABLE)


def _unproven(headers: Headers, proof: Proof) -> Failed | None:
    """How a 2xx answer falls short of what it has to prove."""
    is_workflow = bool(_values(headers, _VERSION))
    match proof:
        case Proof.NONE | Proof.STILL:
            return None
        case Proof.WORKFLOW:
            return None if is_workflow else Failed(Cause.NOT_A_WORKFLOW, NOT_A_WORKFLOW)
        case Proof.SDK_1:
            majors = [_MAJOR.match(text) for text in _values(headers, _SDK)]
            if is_workflow and any(found and int(found[1]) >= 1 for found in majors):
                return None
            return Failed(Cause.SDK_TOO_OLD, SDK_TOO_OLD)


def _says_true(headers: Headers, name: str) -> bool:
    return any(value.lower() == "true" for value in _values(headers, name))


def _values(headers: Headers, name: str) -> list[str]:
    found = (values for n, values in headers.items() if n.lower() == name)
    return [value.strip() for values in found for value in values]
