"""Whether the server works, for whoever watches it."""

from starlette.responses import Response

from workflow_agents.operations.health import why_not_alive, why_not_ready
from workflow_agents.server.answers import Json
from workflow_agents.server.routing import Call, Endpoint


async def health(call: Call) -> Response:
    """200 while the engine runs and its store can be read; 503 with the reason otherwise."""
    return _told("ok", "failing", why_not_alive(call.engine))


async def ready(call: Call) -> Response:
    """200 while it should be asked: it can write, and does not stop. 503 with the reason."""
    return _told("ready", "not ready", await why_not_ready(call.engine))


def _told(good: str, bad: str, reason: str) -> Response:
    if reason:
        return Json({"status": bad, "reason": reason}, 503)
    return Json({"status": good})


endpoints = (
    Endpoint("GET", "/health", health, "Whether the server works", public=True),
    Endpoint("GET", "/ready", ready, "Whether it should be given work", public=True),
)
