"""Results of steps: from the form that the wire has to the one that the context reads, and back.

The context reads one form, whoever keeps the history (`protocol.results`). A QStash server and
other SDKs know another, which differs from kind to kind. Pure.
"""

import json
from typing import Any, cast

from workflow_agents.core.failures import to_json
from workflow_agents.core.journal import Asked, Call, Failure
from workflow_agents.protocol.codec import Undecodable, decode, encode
from workflow_agents.protocol.history import Recorded, StepKind
from workflow_agents.protocol.results import stored_body
from workflow_agents.protocol.wire_steps import CallAnswer, NotWire, WireStep, unbase64
from workflow_agents.qstash.run_logs import waiters

_SHOWN_BYTES = 2_000


def recorded(asked: Asked, step: WireStep, child_id: str) -> Recorded:
    """The outcome of a step that the code asks for, from the server's result of it.

    Args:
        asked: the step.
        step: its result. Source: protocol 1.3, result formats.
        child_id: of an invoke: the run that it started.

    Raises:
        NotWire: the result is not what its kind has.
    """
    ok, data = True, _value(step)
    match asked.kind:
        case StepKind.SLEEP | StepKind.SLEEP_UNTIL:
            data = None
        case StepKind.WAIT:
            data = {"data": _event_data(step), "timeout": step.timed_out}
        case StepKind.WAIT_FOR_WEBHOOK:
            data = _webhook(step)
        case StepKind.CALL:
            ok, data = _call(asked, _object(data))
        case StepKind.NOTIFY:
            data = _notified(_object(data))
        case StepKind.INVOKE:
            data = _invoked(_object(data), child_id)
        case StepKind.RUN | StepKind.CREATE_WEBHOOK:
            pass
    return Recorded(asked.key, asked.kind, asked.name, ok, encode(data))


def call_out(answer: CallAnswer) -> str:
    """What is submitted of a third party's answer."""
    content_type = ",".join(answer.headers.get("content-type", []))
    stored = stored_body(answer.body, content_type)
    return json.dumps({"status": answer.status, "header": answer.headers, **stored})


def notify_out(event_id: str, data: bytes, woken: Any) -> str:
    """What is submitted of a notification. Source: protocol 4.5."""
    waiters = cast("list[Any]", woken) if isinstance(woken, list) else [woken] if woken else []
    told = {"eventId": event_id, "eventData": _json_or_text(data), "notifyResponse": waiters}
    return encode(told).decode()


def _value(step: WireStep) -> Any:
    """`out` as JSON; of waits it is base64 and read elsewhere."""
    if step.out is None or step.type in {"Wait", "WaitForWebhook"}:
        return None
    try:
        return decode(step.out)
    except Undecodable as error:
        raise NotWire(f"the result of {step.name!r} is {error}") from None


def _event_data(step: WireStep) -> Any:
    return None if step.timed_out else _json_or_text(unbase64(step.out or ""))


def _json_or_text(data: bytes) -> Any:
    if not data:
        return None
    try:
        return decode(data)
    except Undecodable:
        return data.decode("utf-8", "replace")


def _webhook(step: WireStep) -> dict[str, Any]:
    """Source: protocol 4.7: no `out` is a time-out."""
    if step.timed_out or not step.out:
        return {"data": None, "timeout": True}
    request = _object(_json_or_text(unbase64(step.out)))
    headers = {name.lower(): values for name, values in _object(request["header"]).items()}
    return {"data": request | {"header": headers}, "timeout": False}


def _call(asked: Asked, answer: dict[str, Any]) -> tuple[bool, Any]:
    status = answer.get("status")
    if type(status) is not int:
        raise NotWire(f"the answer to {asked.name!r} has no status")
    plan = asked.plan
    if isinstance(plan, Call) and plan.raise_for_status and not 200 <= status < 300:
        body = str(answer.get("body", answer.get("bodyBase64", "")))[:_SHOWN_BYTES]
        message = f"WA301 {plan.url} answered {status}"
        failure = Failure("RemoteError", message, status, detail={"body": body})
        return False, to_json(failure, attempts=1 + plan.policy.retries)
    headers = {name.lower(): values for name, values in _object(answer.get("header")).items()}
    return True, {"body": "", **answer, "header": headers}


def _notified(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventId": told.get("eventId", ""),
        "eventData": told.get("eventData"),
        "notified": waiters(told.get("notifyResponse")),
        "kept": bool(told.get("kept", False)),
    }


def _invoked(told: dict[str, Any], child_id: str) -> dict[str, Any]:
    body = told.get("body")
    return {
        "body": _json_or_text(body.encode()) if isinstance(body, str) else body,
        "isCanceled": bool(told.get("isCanceled")),
        "isFailed": bool(told.get("isFailed")),
        "workflowRunId": child_id,
    }


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
