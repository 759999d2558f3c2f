"""What SDKs ask of a server about runs: steps that they submit, waits, and invocations.

Bodies in, values out. Source: protocol 1.3, 4.4, 4.6.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from workflow_agents.errors import StepUsageError
from workflow_agents.protocol.codec import Undecodable, decode, is_text
from workflow_agents.protocol.message import MessageSpec, parse_message
from workflow_agents.protocol.times import duration_ms
from workflow_agents.protocol.wire_steps import NotWire, WireStep

DEFAULT_WAIT = "7d"


@dataclass(frozen=True, slots=True)
class Wait:
    """What a wait is asked with.

    Attributes:
        step: whose result the outcome will be.
        timeout_ms: how long it waits.
        timeout: the same, as it was given.
        spec: how the result is delivered.
    """

    step: WireStep
    timeout_ms: int
    timeout: str
    spec: MessageSpec


@dataclass(frozen=True, slots=True)
class Invocation:
    """What an invocation is asked with.

    Attributes:
        step: whose result the end of the invoked run will be.
        run_id: of the run that invokes.
        body: the payload of the run that is invoked.
        spec: how the result is delivered.
    """

    step: WireStep
    run_id: str
    body: bytes
    spec: MessageSpec


def read_step(body: bytes) -> WireStep:
    """A plan or a result, as it is submitted.

    Raises:
        StepUsageError: WA204.
    """
    try:
        step = WireStep.from_json(_object(body))
    except NotWire as error:
        raise _unreadable("a step", str(error)) from None
    if not step.number:
        raise _unreadable("a step", "it has no number")
    return step


def read_wait(body: bytes) -> Wait:
    """The body of `POST /v2/wait/{event id}`.

    Raises:
        StepUsageError: WA204.
        ConfigurationError: WA103, WA121.
    """
    data = _object(body)
    step = _delegated(data, "a wait")
    timeout = data.get("timeout") or DEFAULT_WAIT
    if isinstance(timeout, bool) or not isinstance(timeout, str | int | float):
        raise _unreadable("a wait", "its timeout is no duration")
    url = data.get("timeoutUrl") or data.get("url")
    spec = _result_spec(url, data.get("timeoutHeaders"), "a wait")
    return Wait(step, duration_ms(timeout), str(timeout), spec)


def read_invocation(body: bytes) -> Invocation:
    """The body of a publish that invokes a run.

    Raises:
        StepUsageError: WA204.
        ConfigurationError: WA121.
    """
    data = _object(body)
    step = _delegated(data, "an invocation")
    run_id, payload = data.get("workflowRunId"), data.get("body")
    if not isinstance(run_id, str) or not run_id or not is_text(run_id):
        raise _unreadable("an invocation", "it names no run that invokes")
    if payload is not None and not isinstance(payload, str):
        raise _unreadable("an invocation", "its body is no text")
    spec = _result_spec(data.get("workflowUrl"), data.get("headers"), "an invocation")
    return Invocation(step, run_id, (payload or "").encode("utf-8", "replace"), spec)


def _delegated(data: Mapping[str, Any], what: str) -> WireStep:
    try:
        step = WireStep.from_json(data.get("step"))
    except NotWire as error:
        raise _unreadable(what, str(error)) from None
    if not step.step_id or step.is_plan:
        raise _unreadable(what, "its step has no number")
    return replace(step, out=None)  # what it comes to is not for whoever asks to say


def _result_spec(url: object, headers: object, what: str) -> MessageSpec:
    if not isinstance(url, str):
        raise _unreadable(what, "it has no address of its workflow")
    given: list[tuple[str, str]] = []
    if isinstance(headers, Mapping):
        for name, values in cast("Mapping[str, object]", headers).items():
            listed = cast("list[object]", values) if isinstance(values, list) else [values]
            given += [(name, value) for value in listed if isinstance(value, str)]
    # Of a name that is given in two spellings, the last one counts.
    return parse_message(url, given)


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = decode(body)
    except Undecodable as error:
        raise _unreadable("a request about a run", error.reason) from None
    if not isinstance(data, dict):
        raise _unreadable("a request about a run", "it is no JSON object")
    return cast("dict[str, Any]", data)


def _unreadable(what: str, found: str) -> StepUsageError:
    return StepUsageError(
        "WA204",
        f"{what} cannot be read",
        where="the body",
        found=found,
        why="it is not what an SDK of the Workflow protocol sends",
        fix=("send it with an SDK",),
    )
