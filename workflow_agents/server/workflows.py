"""Runs of workflows: triggered without an SDK, listed as raw steps, finished, cancelled.

Source: protocol 1.7, 3.4, 4.8, 4.9, 6.4.
"""

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from workflow_agents.core.lifecycle import is_ended
from workflow_agents.engine.messages import Incoming
from workflow_agents.engine.remote_runs import Accepted
from workflow_agents.errors import NotFound
from workflow_agents.protocol.message import parse_message
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import raw_step, raw_steps
from workflow_agents.server.answers import Json, empty
from workflow_agents.server.filters import count_of, last_of, run_filter, values_of
from workflow_agents.server.publishing import in_turns, items_of, read_item
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.store.remote_rows import RunFilter

_CANCELLED_AT_ONCE = 500
_RAW = frozenset({MessageKind.VISIT, MessageKind.PLAN, MessageKind.CALL, MessageKind.CALL_ANSWER})


async def trigger(call: Call) -> Response:
    """Begin a run of a workflow."""
    spec = parse_message(call.target.destination(2), call.headers, call.target.configuration)
    item = Incoming(spec, await call.body(), call.caller_ip)
    (taken,) = await call.engine.wire.runs.trigger([item])
    return Json(_triggered(taken))


async def batch_trigger(call: Call) -> Response:
    """Begin several runs: all that are asked for, or none where one cannot be read."""
    read = [read_item(i, call.caller_ip) async for i in in_turns(await items_of(call))]
    return Json([_triggered(one) for one in await call.engine.wire.runs.trigger(read)], 201)


def _triggered(taken: Accepted) -> dict[str, Any]:
    told = {"workflowRunId": taken.run_id, "workflowCreatedAt": taken.created_at}
    return {**told, "deduplicated": True} if taken.deduplicated else told


async def raw(call: Call) -> Response:
    """Every raw step of a run that has not ended."""
    run_id = call.parameter("run_id")
    reads, wire = call.engine.store.messages, call.engine.wire
    run = wire.known.named(run_id)
    row = call.engine.store.run(run.id)
    if row is None or is_ended(row.phase):
        raise NotFound("WA606", f"workflow run {run_id} not found", found="it has ended")
    elements = [
        raw_step(wire.messages.id_of(row.id), row.body, row.kind.call_type)
        for row in reads.of_run(run.id)
        if row.kind in _RAW
    ]
    return Response(raw_steps(elements), media_type="application/json")


async def end(call: Call) -> Response:
    """Finish a run with its result, or cancel it."""
    run_id = call.parameter("run_id")
    if last_of(call.query, "cancel").lower() == "false":
        await call.engine.wire.remote_ends.finish(run_id, await call.body())
        return empty()
    return Json({"cancelled": int(await call.engine.admin.cancel(run_id))})


async def cancel_many(call: Call) -> Response:
    """Cancel runs by their ids, or those that the filters name; without any, all."""
    ends, query = call.engine.wire.remote_ends, call.query
    run_ids = values_of(query, "workflowRunIds", "workflowRunId")
    if run_ids:
        cancelled = await ends.cancel_many(RunFilter(run_ids=run_ids), len(run_ids))
        return Json({"cancelled": cancelled})
    which = run_filter(query)
    # Here alone an address stands for all that begin with it, unless the request says otherwise.
    if last_of(query, "workflowUrlExactMatch").lower() != "true":
        which = replace(which, urls=(), prefixes=which.urls)
    limit = count_of(query, 100, _CANCELLED_AT_ONCE)
    cancelled = more = await ends.cancel_many(which, limit)
    while more and which == RunFilter():
        more = await ends.cancel_many(which, limit)
        cancelled += more
    return Json({"cancelled": cancelled})


endpoints = (
    Endpoint("POST", "/v2/trigger/{destination:path}", trigger, "Begin a run of a workflow"),
    Endpoint("POST", "/v2/batch/trigger", batch_trigger, "Begin several runs", batch=True),
    Endpoint("GET", "/v2/workflows/runs/{run_id}", raw, "The raw steps of a run"),
    Endpoint("DELETE", "/v2/workflows/runs/{run_id}", end, "Finish a run, or cancel it"),
    Endpoint("DELETE", "/v2/workflows/runs", cancel_many, "Cancel runs"),
)
