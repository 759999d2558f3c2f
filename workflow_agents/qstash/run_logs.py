"""Runs as a QStash server logs them, read as our own `RunLog`. Pure. Source: protocol 7."""

import base64
import binascii
from typing import Any, cast

from workflow_agents.core.logs import RunLog, Steps
from workflow_agents.core.searching import SearchMatch, SearchResult
from workflow_agents.core.step_logs import StepLog
from workflow_agents.protocol.codec import Undecodable, decode

_SHOWN_AS_RESULT = {"STEP_SUCCESS", "STEP_FAILED"}
_NOTHING: dict[str, Any] = {}
_WAITS_FOR = (
    "sleepFor",
    "sleepUntil",
    "waitEventId",
    "waitTimeoutDuration",
    "callUrl",
    "invokedWorkflowRunId",
    "nextDeliveryTime",
)


def run_log(run: dict[str, Any]) -> RunLog:
    """One run of `GET /v2/workflows/events`."""
    steps = [step for group in objects(run.get("steps")) for step in objects(group.get("steps"))]
    init = next((s for s in steps if s.get("stepType") == "Initial"), _NOTHING)
    state = str(run.get("workflowState") or "")
    invoker: dict[str, Any] = run.get("invoker") or _NOTHING
    labels = run.get("labels") or ([run["label"]] if run.get("label") else [])
    return RunLog(
        str(run.get("workflowRunId") or ""),
        str(run.get("workflowUrl") or ""),
        state,
        int(run.get("workflowRunCreatedAt") or 0),
        ended_at=run.get("workflowRunCompletedAt"),
        labels=tuple(labels),
        payload=json_or_text(init.get("out")),
        result=json_or_text(run.get("workflowRunResponse")),
        failure=_failure(run, steps) if state == "RUN_FAILED" else None,
        dlq_id=run.get("dlqId"),
        invoker=invoker.get("workflowRunId"),
        steps=Steps(
            _step(s) for s in steps if s.get("stepType") != "Initial" and s.get("stepName")
        ),
    )


def search_result(found: dict[str, Any]) -> SearchResult:
    """The answer of `GET /v2/workflows/search`."""
    return SearchResult(
        [
            SearchMatch(
                str(match.get("workflowRunId") or ""),
                str(match.get("workflowUrl") or ""),
                str(match.get("workflowState") or ""),
                int(match.get("workflowRunCreatedAt") or 0),
                match.get("where") or "input",
                match.get("stepName"),
                str(match.get("text") or ""),
            )
            for match in objects(found.get("matches"))
        ],
        int(found.get("lookedAt") or 0),
        found.get("lookedUntil"),
        found.get("stoppedBy") or "end",
        int(found.get("leftOut") or 0),
        found.get("cursor"),
    )


def _step(step: dict[str, Any]) -> StepLog:
    state = str(step.get("state") or "")
    began = int(step.get("createdAt") or 0)
    waits_for = {name: step[name] for name in _WAITS_FOR if name in step}
    return StepLog(
        int(step.get("stepId") or 0),
        str(step.get("stepName") or ""),
        str(step.get("stepType") or ""),
        state,
        began,
        ended_at=began if state in _SHOWN_AS_RESULT else None,
        retries=len(step.get("errors") or []),
        out=json_or_text(step.get("out")),
        waits_for=waits_for or None,
    )


def _failure(run: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [error for step in steps for error in objects(step.get("errors"))]
    last = errors[-1] if errors else _NOTHING
    function = _object(run.get("failureFunction"))
    status = last.get("status") or function.get("failStatus") or 500
    body = last.get("body") or function.get("failResponse") or last.get("error") or ""
    return failure_of(status, str(body), attempts=max(1, len(errors)))


def failure_of(status: int, body: str, *, attempts: int) -> dict[str, Any]:
    """Why a run failed, from what its endpoint answered last."""
    told = _object(json_or_text(body))
    failure: dict[str, Any] = {
        "error": str(told.get("error") or "RemoteError"),
        "message": str(told.get("message") or body),
        "status": status,
        "attempts": attempts,
    }
    if told.get("stack"):
        failure["where"] = told["stack"]
    if told.get("detail"):
        failure["detail"] = told["detail"]
    return failure


def dead_letter_failure(message: dict[str, Any]) -> dict[str, Any]:
    """Why a run became a dead letter."""
    body = message.get("responseBody") or ""
    if not body and message.get("responseBodyBase64"):
        try:
            body = base64.b64decode(message["responseBodyBase64"]).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            body = ""
    attempts = 1 + int(message.get("maxRetries") or 0)
    return failure_of(int(message.get("responseStatus") or 500), str(body), attempts=attempts)


def waiters(found: Any) -> list[dict[str, Any]]:
    """Waiters as the client knows them, from a list of them or a notification's answer."""
    entries = cast("list[Any]", found) if isinstance(found, list) else [found] if found else []
    told: list[dict[str, Any]] = []
    for one in entries:
        entry = _object(one)
        waiter = _object(entry.get("waiter", entry))
        deadline = waiter.get("deadline")
        told.append(
            {
                "workflowRunId": entry.get("workflowRunId") or _run_of(waiter),
                "deadline": deadline if isinstance(deadline, int) else 0,
            }
        )
    return told


def _run_of(waiter: dict[str, Any]) -> str:
    for name, values in _object(waiter.get("headers")).items():
        if name.lower() == "upstash-workflow-runid" and values:
            return str(values[0])
    return ""


def json_or_text(text: Any) -> Any:
    """JSON as data, other text as it is; None stays None."""
    if not isinstance(text, str) or not text:
        return text or None
    try:
        return decode(text)
    except Undecodable:
        return text


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a JSON list; nothing, where it is none."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [_object(item) for item in items]


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
