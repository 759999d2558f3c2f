"""Events: what runs wait for, who is notified, and webhooks. Source: protocol 4.4, 4.5, 4.7."""

import base64
from urllib.parse import unquote

from starlette.responses import Response

from workflow_agents.engine.intake import Notifier
from workflow_agents.errors import UsageError
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.server.answers import Json, empty, refusal_of, refusal_of_step
from workflow_agents.server.routing import Call, Endpoint

_RUN_PREFIX = "wfr_"
_METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS"


async def wait(call: Call) -> Response:
    """Let a step of a run wait for an event."""
    run_id = dict(call.headers).get("upstash-workflow-runid")
    try:
        await call.engine.wire.waits.wait(_event(call), await call.body(), run_id)
    except UsageError as error:
        return refusal_of(error) if run_id is None else refusal_of_step(error)
    return empty()


async def notify(call: Call) -> Response:
    """Wake who waits for an event; with a run id, keep it for that run if it does not wait."""
    event, run_id = _event(call), None
    first, _, rest = event.partition("/")
    if first.startswith(_RUN_PREFIX) and rest:
        run_id, event = first, rest
    who = None if call.account is None else Notifier(call.account.user, "api")
    return Json(await call.engine.wire.waits.notify(event, await call.body(), run_id, who))


async def waiters(call: Call) -> Response:
    """Who waits for an event."""
    return Json(call.engine.wire.waits.waiters(_event(call)))


def _event(call: Call) -> str:
    """What follows in the path; an id may have slashes of its own."""
    return unquote("/".join(call.target.segments[2:]))


async def webhook(call: Call) -> Response:
    """Hand a request to the run whose webhook it is for."""
    request = call.request
    body = b"" if request.method in {"GET", "HEAD"} else await call.body()
    query = f"?{call.target.query}" if call.target.query else ""
    told = {
        "method": request.method,
        "header": header_map(call.headers),
        "body": base64.b64encode(body).decode(),
        "proto": request.scope["scheme"],
        "host": request.headers.get("host", ""),
        "url": f"/{'/'.join(call.target.segments)}{query}",
    }
    waits = call.engine.wire.waits
    await waits.receive_webhook(call.parameter("run_id"), call.parameter("event_id"), told)
    return empty()


endpoints = (
    Endpoint("POST", "/v2/wait/{event:path}", wait, "Wait for an event"),
    Endpoint("POST", "/v2/notify/{event:path}", notify, "Notify who waits for an event"),
    Endpoint("GET", "/v2/waiters/{event:path}", waiters, "Who waits for an event"),
    Endpoint(
        _METHODS,
        "/v2/workflows/hooks/{user}/{run_id}/{event_id}",
        webhook,
        "Call a webhook of a run",
        public=True,
        foreign=True,
    ),
)
