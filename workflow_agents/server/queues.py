"""Queues: made, looked at, paused and removed. Source: protocol 6.3."""

from typing import Any, cast

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.server.answers import Json, empty
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.store.resource_rows import QueueRow


async def put(call: Call) -> Response:
    """Make a queue, or change the one of this name."""
    data = await call.json({})
    given = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    name, parallelism = given.get("queueName"), given.get("parallelism")
    paused = given.get("paused")
    if not isinstance(name, str):
        raise wrong_option("queueName", "the name of a queue", name)
    if isinstance(parallelism, bool) or not isinstance(parallelism, int | None):
        raise wrong_option("parallelism", "a whole number from 1", parallelism)
    if not isinstance(paused, bool | None):
        raise wrong_option("paused", "true or false", paused)
    await call.engine.wire.queues.put(name, parallelism=parallelism, paused=paused)
    return empty()


async def every(call: Call) -> Response:
    """All queues."""
    return Json([_shown(row) for row in call.engine.wire.queues.all()])


async def show(call: Call) -> Response:
    """One queue."""
    return Json(_shown(call.engine.wire.queues.get(call.parameter("name"))))


async def delete(call: Call) -> Response:
    """Remove a queue; what waits in it is cancelled."""
    await call.engine.wire.queues.delete(call.parameter("name"))
    return empty()


async def pause(call: Call) -> Response:
    """Deliver nothing of a queue for now."""
    await call.engine.wire.queues.pause(call.parameter("name"), paused=True)
    return empty()


async def resume(call: Call) -> Response:
    """Deliver again."""
    await call.engine.wire.queues.pause(call.parameter("name"), paused=False)
    return empty()


def _shown(row: QueueRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "parallelism": row.parallelism,
        "lag": row.lag,
        "paused": row.paused,
    }


endpoints = (
    Endpoint("POST", "/v2/queues", put, "Make or change a queue"),
    Endpoint("GET", "/v2/queues", every, "All queues"),
    Endpoint("GET", "/v2/queues/{name}", show, "A queue"),
    Endpoint("DELETE", "/v2/queues/{name}", delete, "Remove a queue"),
    Endpoint("POST", "/v2/queues/{name}/pause", pause, "Pause a queue"),
    Endpoint("POST", "/v2/queues/{name}/resume", resume, "Resume a queue"),
)
