"""The page of waits: events and webhooks that runs wait for, answered from here."""

import base64
import json
from typing import Any

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.dashboard.asking import Ask, Row, text_in
from workflow_agents.engine.intake import Notifier
from workflow_agents.protocol.approvals import PREFIX
from workflow_agents.protocol.codec import Undecodable, decode
from workflow_agents.protocol.history import StepKind

PAGE = 100


async def listed(ask: Ask) -> Any:
    """What runs wait for, what has the nearest deadline first; of one run with `run`."""
    run_id = ask.asked("run")
    run = None if run_id is None else ask.engine.admin.find(run_id).id
    found = ask.pages.waits(run, PAGE + 1)
    shown: list[dict[str, Any]] = []
    for wait in found[:PAGE]:
        webhook = wait.type == StepKind.WAIT_FOR_WEBHOOK
        try:
            told: Any = decode(wait.data) if wait.data else None
        except Undecodable:
            told = None
        shown.append(
            {
                "runId": wait.run_id,
                "workflow": wait.workflow,
                "step": wait.step,
                "name": wait.name,
                "event": wait.event,
                "kind": _kind(wait.event, webhook=webhook),
                "asked": wait.asked_at,
                "deadline": wait.due_at,
                "details": told.get("details") if isinstance(told, dict) else None,  # pyright: ignore[reportUnknownMemberType] -- JSON
                "url": ask.engine.webhook_url(wait.run_id, wait.event) if webhook else None,
            }
        )
    return {"waits": shown, "more": len(found) > PAGE}


def _kind(event: str, *, webhook: bool) -> str:
    if webhook:
        return "webhook"
    return "approval" if event.startswith(PREFIX) else "event"


async def answer(ask: Ask) -> Any:
    """Notify an event, or call a webhook, with the JSON data that was given."""
    given = await ask.body()
    event, run_id, kind = (text_in(given, name) for name in ("event", "runId", "kind"))
    data = json.dumps(given.get("data")).encode()
    row, who = ask.engine.admin.find(run_id), Notifier(ask.user, "dashboard")
    if kind == "webhook":
        await ask.engine.wire.waits.receive_webhook(row.run_id, event, _request(ask, data), who)
        return {"done": True}
    if kind != "event":
        raise wrong_option("kind", "event or webhook", kind)
    # A run that no longer waits for it is not to find it later: so without the run's id.
    waiting = {wait.event for wait in ask.pages.waits(row.id, PAGE)}
    if event not in waiting:
        return {"done": False}
    told = await ask.engine.wire.waits.notify(event, data, row.run_id, who)
    return {"done": bool(told)}


def _request(ask: Ask, data: bytes) -> dict[str, Any]:
    return {
        "method": "POST",
        "header": {"Content-Type": ["application/json"]},
        "body": base64.b64encode(data).decode(),
        "proto": ask.request.url.scheme,
        "host": ask.request.headers.get("host", ""),
        "url": ask.request.url.path,
    }


routes = (
    Row("GET", "/api/waits", listed),
    Row("POST", "/api/waits", answer),
)
