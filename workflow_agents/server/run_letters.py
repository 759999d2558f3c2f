"""Dead letters of runs: listed, gone on with, begun again, told again.

Source: protocol 5.4, 6.4.
"""

import json
from typing import Any

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.engine.ends import CALLBACK_STATES
from workflow_agents.engine.remote_runs import Accepted
from workflow_agents.protocol.message import MessageSpec, parse_message
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.server.answers import Json, empty, page, without_empty
from workflow_agents.server.filters import (
    count_of,
    cursor_of,
    date_of,
    ids_in,
    run_filter,
    values_of,
    whole_values_of,
)
from workflow_agents.server.message_json import message_json
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.server.run_facts import RunFacts, facts_of
from workflow_agents.server.run_json import failure_function
from workflow_agents.store.remote_rows import LetterFilter, LetterRow, RunFilter

_MOST = 100


async def show_all(call: Call) -> Response:
    """Dead letters of runs, the newest first."""
    count = count_of(call.query, _MOST, _MOST)
    rows, cursor = call.engine.wire.run_letters.listed(_which(call), cursor_of(call.query), count)
    shown = [letter_json(call, row) for row in rows]
    return page("messages", shown, None if cursor is None else str(cursor))


async def show(call: Call) -> Response:
    """One of them."""
    row, _ = call.engine.wire.run_letters.find(call.parameter("dlq_id"))
    return Json(letter_json(call, row))


async def delete(call: Call) -> Response:
    """Remove one; its run stays in the logs."""
    call.engine.wire.run_letters.find(call.parameter("dlq_id"))
    await call.engine.admin.delete_letter(call.parameter("dlq_id"))
    return empty()


async def delete_many(call: Call) -> Response:
    """Remove those that are named, or that the filters name."""
    ids, cursor = await _ids(call)
    deleted = await call.engine.wire.run_letters.delete(ids)
    return Json({"deleted": deleted, **_cursor(cursor)})


async def resume(call: Call) -> Response:
    """Go on with a failed run."""
    return await _again(call, resume=True)


async def restart(call: Call) -> Response:
    """Begin a failed run again, from the top."""
    return await _again(call, resume=False)


async def _again(call: Call, *, resume: bool) -> Response:
    dlq_id = call.parameter("dlq_id")
    made = await call.engine.wire.run_letters.again(dlq_id, _override(call), resume=resume)
    return Json(_made(made))


async def resume_many(call: Call) -> Response:
    """Go on with failed runs."""
    return await _again_many(call, resume=True)


async def restart_many(call: Call) -> Response:
    """Begin failed runs again."""
    return await _again_many(call, resume=False)


async def _again_many(call: Call, *, resume: bool) -> Response:
    over = _override(call)
    ids, cursor = await _ids(call)
    made = await call.engine.wire.run_letters.again_many(ids, over, resume=resume)
    return Json({"workflowRuns": [*map(_made, made)], **_cursor(cursor)})


def _made(made: Accepted) -> dict[str, Any]:
    return {"workflowRunId": made.run_id, "workflowCreatedAt": made.created_at}


async def tell_again(call: Call) -> Response:
    """Visit the failure function again, if it has failed."""
    run = await call.engine.wire.run_letters.tell_again(call.parameter("dlq_id"))
    return Json({"workflowRunId": run.run_id, "workflowCreatedAt": run.created_at})


async def stop_telling(call: Call) -> Response:
    """Visit the failure function no more."""
    await call.engine.wire.run_letters.stop_telling(call.parameter("dlq_id"))
    return empty()


def _override(call: Call) -> MessageSpec:
    """What the request says of the new run; where it goes is not in question."""
    given = [(n, v) for n, v in call.headers if n.startswith("upstash-")]
    return parse_message("https://any.invalid", given, call.target.configuration)


async def _ids(call: Call) -> tuple[tuple[str, ...], int | None]:
    """Those that are named, by the query or a body; else those that the filters name."""
    named = values_of(call.query, "dlqIds", "dlqId") or ids_in(await call.json(), "dlqIds")
    if named is not None:
        return named, None
    count = count_of(call.query, _MOST, _MOST)
    rows, cursor = call.engine.wire.run_letters.listed(_which(call), cursor_of(call.query), count)
    return tuple(row.id for row in rows), cursor


def _cursor(cursor: int | None) -> dict[str, str]:
    return {} if cursor is None else {"cursor": str(cursor)}


def _which(call: Call) -> LetterFilter:
    query = call.query
    statuses = values_of(query, "responseStatus")
    if wrong := [text for text in statuses if not (text.isascii() and text.isdigit())]:
        raise wrong_option("responseStatus", "an HTTP status", wrong[0])
    callbacks = values_of(query, "failureFunctionState")
    if unknown := {*callbacks} - CALLBACK_STATES:
        raise wrong_option("failureFunctionState", "a state of a failure function", min(unknown))
    runs = run_filter(query)
    return LetterFilter(
        ids=values_of(query, "dlqIds", "dlqId"),
        runs=RunFilter(
            run_ids=runs.run_ids,
            urls=(*runs.urls, *whole_values_of(query, "url")),
            hosts=runs.hosts,
            paths=runs.paths,
            labels=runs.labels,
            flow_keys=runs.flow_keys,
            caller_ips=runs.caller_ips,
            created_at=runs.created_at,
        ),
        statuses=tuple(map(int, statuses)),
        callbacks=callbacks,
        from_at=date_of(query, "fromDate"),
        to_at=date_of(query, "toDate"),
    )


def letter_json(call: Call, row: LetterRow) -> dict[str, Any]:
    """A dead letter of a run. Source: protocol 6.4, WorkflowDLQMessage."""
    engine = call.engine
    run = engine.store.messages.remote.run(row.run)
    if run is None:
        return {"dlqId": row.id}
    return _shown(facts_of(engine, run), row)


def _shown(facts: RunFacts, row: LetterRow) -> dict[str, Any]:
    failure: dict[str, Any] = json.loads(row.failure)
    failed = next((m for m in facts.messages if m.id == failure.get("message_id")), facts.first)
    told = failure_function(facts) or {}
    state = row.callback or None
    pairs = [(n, v) for n, values in failure.get("headers", {}).items() for v in values]
    info = {
        "state": state,
        **{name: told.get(name) for name in ("responseStatus", "responseBody", "responseHeaders")},
    }
    shown = message_json(facts.ids[failed.id], failed, facts.effective(failed))
    return shown | without_empty(
        {
            "dlqId": row.id,
            "workflowRunId": facts.run.run_id,
            "workflowCreatedAt": facts.run.created_at,
            "workflowUrl": facts.run.url,
            "callerIP": facts.first.caller_ip,
            "responseStatus": failure.get("status"),
            "responseHeader": header_map(pairs),
            "responseBody": failure.get("body") or failure.get("message"),
            "failureCallbackInfo": without_empty(info) if state else None,
            "failureFunctionState": state,
        }
    )


endpoints = (
    Endpoint("GET", "/v2/workflows/dlq", show_all, "Failed runs"),
    Endpoint("GET", "/v2/workflows/dlq/{dlq_id}", show, "A failed run"),
    Endpoint("DELETE", "/v2/workflows/dlq/{dlq_id}", delete, "Forget that a run failed"),
    Endpoint("DELETE", "/v2/workflows/dlq", delete_many, "Forget failed runs"),
    Endpoint("POST", "/v2/workflows/dlq/resume", resume_many, "Go on with failed runs"),
    Endpoint("POST", "/v2/workflows/dlq/restart", restart_many, "Begin failed runs again"),
    Endpoint("POST", "/v2/workflows/dlq/resume/{dlq_id}", resume, "Go on with a failed run"),
    Endpoint("POST", "/v2/workflows/dlq/restart/{dlq_id}", restart, "Begin a failed run again"),
    Endpoint("POST", "/v2/workflows/dlq/callback/{dlq_id}", tell_again, "Tell of it again"),
    Endpoint("DELETE", "/v2/workflows/dlq/callback/{dlq_id}", stop_telling, "Tell no more of it"),
)
