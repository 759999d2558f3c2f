"""Schedules: made, looked at, paused and removed. Source: protocol 6.3."""

from typing import Any

from starlette.responses import Response

from workflow_agents.core.retry import DEFAULT_RETRIES
from workflow_agents.engine.messages import Incoming
from workflow_agents.protocol.message import parse_message
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.server.answers import Json, empty, without_empty
from workflow_agents.server.message_json import body_of, flow_fields, headers_of, label_fields
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.store.resource_rows import ScheduleRow


async def put(call: Call) -> Response:
    """Make a schedule, or overwrite the one whose id is given."""
    spec = parse_message(call.target.destination(2), call.headers, call.target.configuration)
    incoming = Incoming(spec, await call.body(), call.caller_ip)
    return Json({"scheduleId": await call.engine.wire.schedules.put(incoming)})


async def every(call: Call) -> Response:
    """All schedules."""
    return Json([_shown(call, row) for row in call.engine.wire.schedules.all()])


async def show(call: Call) -> Response:
    """One schedule."""
    return Json(_shown(call, call.engine.wire.schedules.get(call.parameter("schedule_id"))))


async def delete(call: Call) -> Response:
    """Remove a schedule."""
    await call.engine.wire.schedules.delete(call.parameter("schedule_id"))
    return empty()


async def pause(call: Call) -> Response:
    """Make no tick of a schedule for now."""
    await call.engine.wire.schedules.pause(call.parameter("schedule_id"), paused=True)
    return empty()


async def resume(call: Call) -> Response:
    """Go on with the next tick."""
    await call.engine.wire.schedules.pause(call.parameter("schedule_id"), paused=False)
    return empty()


def _shown(call: Call, row: ScheduleRow) -> dict[str, Any]:
    wire = call.engine.wire
    spec = wire.messages.displayed(row.spec)
    states = wire.schedules.states(row)
    last = {wire.messages.id_of(message): state for message, state in states.items()}
    return {
        **without_empty(
            {
                "scheduleId": row.id,
                "cron": row.cron,
                "destination": row.destination,
                "createdAt": row.created_at,
                "method": spec.method,
                "header": headers_of(spec),
                **body_of(row.body, spec),
                "retries": DEFAULT_RETRIES if spec.retries is None else spec.retries,
                "retryDelayExpression": spec.retry_delay,
                "delay": None if spec.delay_ms is None else spec.delay_ms // 1000,
                "timeout": None if spec.timeout_ms is None else spec.timeout_ms // 1000,
                "callback": spec.callback,
                "callbackHeader": header_map(spec.callback_headers.items()),
                "failureCallback": spec.failure_callback,
                "failureCallbackHeader": header_map(spec.failure_callback_headers.items()),
                "callerIP": row.caller_ip,
                "queueName": spec.queue,
                **flow_fields(spec),
                **label_fields(spec.labels),
                "lastScheduleTime": row.last_at,
                "nextScheduleTime": row.due_at,
                "lastScheduleStates": last,
                "error": row.error,
            }
        ),
        "isPaused": row.paused,
    }


_SCHEDULE = "/v2/schedules/{schedule_id}"
endpoints = (
    Endpoint("GET", "/v2/schedules", every, "All schedules"),
    Endpoint("GET", _SCHEDULE, show, "A schedule"),
    Endpoint("DELETE", _SCHEDULE, delete, "Remove a schedule"),
    Endpoint("PATCH POST", f"{_SCHEDULE}/pause", pause, "Pause a schedule"),
    Endpoint("PATCH POST", f"{_SCHEDULE}/resume", resume, "Resume a schedule"),
    Endpoint("POST", "/v2/schedules/{destination:path}", put, "Make a schedule"),
)
