"""Whether the server works, for whoever watches it."""

from starlette.responses import Response

from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.server.answers import Json
from workflow_agents.server.routing import Call, Endpoint


async def health(call: Call) -> Response:
    """200 while the engine runs and its store can be read; 503 with the reason otherwise."""
    try:
        call.engine.ensure_running()
        call.engine.store.messages.message(0)
    except WorkflowAgentsError as error:
        return Json({"status": "failing", "reason": error.what}, 503)
    return Json({"status": "ok"})


endpoints = (Endpoint("GET", "/health", health, "Whether the server works", public=True),)
