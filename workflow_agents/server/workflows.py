"""Workflow runs: begun without an SDK, read by one, finished and cancelled.

Source: protocol 3.4, 4.8, 4.9, 6.4.
"""

from typing import Any, cast

from starlette.responses import Response

from workflow_agents.engine.messages import Incoming
from workflow_agents.engine.remote_runs import Accepted
from workflow_agents.errors import NotFound
from workflow_agents.protocol.message import parse_message
from workflow_agents.server.answers import Json
from workflow_agents.server.publishing import read_item
from workflow_agents.server.routing import Call, Endpoint


async def trigger(call: Call) -> Response:
    """Begin a run of the workflow at an address."""
    spec = parse_message(call.target.destination(2), call.headers, call.target.configuration)
    incoming = Incoming(spec, await call.body(), call.caller_ip)
    (taken,) = await call.engine.wire.runs.trigger([incoming])
    return Json(_begun(taken))


async def batch_trigger(call: Call) -> Response:
    """Begin several."""
    data = await call.json([])
    items = cast("list[Any]", data) if isinstance(data, list) else [data]
    taken = await call.engine.wire.runs.trigger([read_item(i, call.caller_ip) for i in items])
    return Json([_begun(one) for one in taken], 201)


def _begun(taken: Accepted) -> dict[str, Any]:
    data: dict[str, Any] = {
        "workflowRunId": taken.run_id,
        "workflowCreatedAt": taken.created_at,
    }
    return {**data, "deduplicated": True} if taken.deduplicated else data


async def raw_steps(call: Call) -> Response:
    """Every raw step of a run that has not ended, for an SDK that fetches them."""
    run_id = call.parameter("run_id")
    wire = call.engine.wire
    run = wire.known.running(run_id)
    messages = call.engine.store.messages.of_run(run.id)
    if not messages:
        raise NotFound("WA606", found=f"run {run_id!r}")
    body = wire.lists.body(run.id, messages[-1].id)
    return Response(body, media_type="application/json")


async def end(call: Call) -> Response:
    """Finish a run with its result, which its SDK does, or cancel it."""
    run_id = call.parameter("run_id")
    if call.query.get("cancel", ["true"])[-1].lower() == "false":
        await call.engine.wire.remote_ends.finish(run_id, await call.body())
        return Json({})
    return Json({"cancelled": int(await call.engine.admin.cancel(run_id))})


endpoints = (
    Endpoint("POST", "/v2/trigger/{destination:path}", trigger, "Begin a run"),
    Endpoint("POST", "/v2/batch/trigger", batch_trigger, "Begin several runs", batch=True),
    Endpoint("GET", "/v2/workflows/runs/{run_id}", raw_steps, "The raw steps of a run"),
    Endpoint("DELETE", "/v2/workflows/runs/{run_id}", end, "Finish or cancel a run"),
)
