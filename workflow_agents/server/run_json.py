"""A run as its log shows it, and what happened to runs one by one. Pure. Source: protocol 7.

Members without a value are left out: clients compare whole objects.
"""

from collections.abc import Mapping
from typing import Any

from workflow_agents.core.lifecycle import wire_state
from workflow_agents.engine.ends import (
    CALLBACK_CANCELED,
    CALLBACK_FAIL,
    CALLBACK_IN_PROGRESS,
    CALLBACK_SUCCESS,
)
from workflow_agents.engine.failure_visits import NOT_FOUND
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.server.answers import without_empty
from workflow_agents.server.message_json import label_fields
from workflow_agents.server.run_facts import RunFacts, data_of, shown_spec, step_error
from workflow_agents.server.run_steps import step_groups, step_of
from workflow_agents.store.interface import FeedRow
from workflow_agents.store.message_rows import MessageRow
from workflow_agents.store.remote_rows import RemoteRow

STATES: dict[EntryKind, str] = {
    EntryKind.RUN_STARTED: "RUN_STARTED",
    EntryKind.RUN_SUCCESS: "RUN_SUCCESS",
    EntryKind.RUN_FAILED: "RUN_FAILED",
    EntryKind.RUN_CANCELED: "RUN_CANCELED",
    EntryKind.STEP_SUCCESS: "STEP_SUCCESS",
    EntryKind.STEP_WAITING: "STEP_PROGRESS",
    EntryKind.STEP_RETRY: "STEP_RETRY",
    EntryKind.STEP_FAILED: "STEP_FAILED",
    EntryKind.STEP_WITHDRAWN: "STEP_CANCELED",
    EntryKind.MESSAGE_RETRY: "STEP_RETRY",
    EntryKind.MESSAGE_FAILED: "STEP_FAILED",
    EntryKind.FAILURE_FUNCTION_SUCCESS: CALLBACK_SUCCESS,
    EntryKind.FAILURE_FUNCTION_RETRY: CALLBACK_IN_PROGRESS,
    EntryKind.FAILURE_FUNCTION_FAILED: CALLBACK_FAIL,
    EntryKind.MESSAGE_CANCELED: CALLBACK_CANCELED,
}
"""What the wire calls what happened to a run; the rest of the feed it does not tell."""

_CALLBACKS = {kind: state for kind, state in STATES.items() if state.startswith("CALLBACK")}


def run_json(facts: RunFacts) -> dict[str, Any]:
    """A run with its steps."""
    run = facts.run
    told = {
        "workflowRunId": run.run_id,
        "workflowUrl": run.url,
        "workflowState": wire_state(run.phase),
        "workflowRunCreatedAt": run.created_at,
        "workflowRunCompletedAt": facts.ended_at,
        **label_fields(facts.labels),
        "flowControlKey": facts.config.flow_key,
        "workflowRunResponse": _response(facts),
        "dlqId": None if facts.letter is None else facts.letter.id,
        "invoker": None if facts.parent is None else _invoker(facts.parent),
        "failureFunction": failure_function(facts),
    }
    return {**without_empty(told), "steps": step_groups(facts)}


def _response(facts: RunFacts) -> str | None:
    if not facts.result:
        return None
    return facts.result.decode("utf-8", "replace")


def _invoker(parent: RemoteRow) -> dict[str, Any]:
    return {
        "workflowRunId": parent.run_id,
        "workflowUrl": parent.url,
        "workflowRunCreatedAt": parent.created_at,
    }


def failure_function(facts: RunFacts) -> dict[str, Any] | None:
    """What became of telling the failure function; None: there is nobody to be told."""
    notices = [m for m in facts.messages if m.kind is MessageKind.FAILURE_VISIT]
    if not notices:
        return None
    notice = notices[-1]
    told = [e for e in facts.told.get(notice.id, ()) if e.kind in _CALLBACKS]
    last = data_of(told[-1]) if told else {}
    state = _CALLBACKS[told[-1].kind] if told else CALLBACK_IN_PROGRESS
    answered = state in {CALLBACK_SUCCESS, CALLBACK_FAIL}
    if state == CALLBACK_SUCCESS and NOT_FOUND in last.get("headers", {}):
        return None
    owed = facts.owed.get(notice.id)
    errors = [step_error(e) for e in told if e.kind in _FAILED_ATTEMPTS]
    return without_empty(
        {
            "messageId": facts.ids[notice.id],
            "url": facts.run.url,
            "state": state,
            **_failure(facts, notice),
            "dlqId": _letter_id(facts),
            "maxRetries": facts.retrying(shown_spec(notice.spec))["retries"],
            "responseStatus": last.get("status") if answered else None,
            "responseBody": last.get("body") if answered else None,
            "responseHeaders": _header_map(last.get("headers", {})) if answered else None,
            "errors": errors,
            "nextDeliveryTime": owed.due_at if owed is not None and errors else None,
        }
    )


_FAILED_ATTEMPTS = frozenset({EntryKind.FAILURE_FUNCTION_RETRY, EntryKind.FAILURE_FUNCTION_FAILED})


def _failure(facts: RunFacts, notice: MessageRow) -> dict[str, Any]:
    """The answer that the run failed with."""
    failed = [e for e in facts.told.get(notice.source or 0, ()) if _is_failure(e)]
    if not failed:
        return {}
    error = step_error(failed[-1])
    return {
        "failStatus": error["status"],
        "failResponse": error["body"],
        "failHeaders": error["headers"],
    }


def _is_failure(entry: FeedRow) -> bool:
    return entry.kind is EntryKind.MESSAGE_FAILED


def _letter_id(facts: RunFacts) -> str | None:
    for entry in facts.entries:
        if entry.kind is EntryKind.DEAD_LETTER_ADDED:
            return data_of(entry).get("dlqId")
    return None


def event_json(facts: RunFacts, entry: FeedRow) -> dict[str, Any]:
    """One thing that happened to a run. Source: protocol 7.3."""
    run, data = facts.run, data_of(entry)
    told: dict[str, Any] = {
        "time": entry.at,
        "state": STATES[entry.kind],
        "workflowRunId": run.run_id,
        "workflowUrl": run.url,
        "workflowCreatedAt": run.created_at,
        **label_fields(facts.labels),
    }
    match entry.kind:
        case EntryKind.RUN_STARTED:
            if facts.parent is not None:
                invoker = _invoker(facts.parent)
                told["invokerWorkflowRunId"] = invoker["workflowRunId"]
                told["invokerWorkflowUrl"] = invoker["workflowUrl"]
                told["invokerWorkflowCreatedAt"] = invoker["workflowRunCreatedAt"]
        case EntryKind.RUN_SUCCESS:
            told["workflowRunResponse"] = _response(facts)
        case EntryKind.RUN_FAILED:
            told["dlqId"] = _letter_id(facts)
            told["error"] = data.get("message")
        case EntryKind.RUN_CANCELED:
            pass
        case _:
            told |= _attempt_of(data)
            if STATES[entry.kind].startswith("STEP"):
                told["stepInfo"] = step_of(facts, entry)
    return without_empty(told)


def _attempt_of(data: Mapping[str, Any]) -> dict[str, Any]:
    if "attempts" not in data:
        return {}
    return {
        "error": data.get("error"),
        "responseStatus": data.get("status"),
        "responseBody": data.get("body"),
        "responseHeaders": _header_map(data.get("headers", {})),
        "nextDeliveryTime": data.get("until"),
    }


def _header_map(headers: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return header_map((n, v) for n, values in headers.items() for v in values)
