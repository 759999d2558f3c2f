"""A run that begins like another one. Ours alone: QStash has no such verb."""

import json
from typing import Any, cast

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.model_asks import checked_ask
from workflow_agents.core.options import RunOptions
from workflow_agents.protocol.codec import encode
from workflow_agents.server.answers import Json
from workflow_agents.server.routing import Call, Endpoint


async def fork(call: Call) -> Response:
    """Begin a run with what another one had recorded before a step.

    {"step": 3, "payload": {...}, "result": {...}, "model": "...", "system": "...",
     "prompt": "...", "retries": 3, "retryDelay": "1000", "label": ["..."]}; all may be left out.
    """
    text = await call.body() or b"{}"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong_option("the body", "JSON", text[:80]) from None
    if not isinstance(found, dict):
        raise wrong_option("the body", "an object", found)
    given = cast("dict[str, Any]", found)
    made = await call.engine.admin.fork(
        call.parameter("run_id"),
        RunOptions.checked(
            retries=given.get("retries"),
            retry_delay=given.get("retryDelay"),
            label=given.get("label"),
        ),
        step=step_in(given),
        body=encode(given["payload"]) if "payload" in given else None,
        result=encode(given["result"]) if "result" in given else None,
        ask=checked_ask(*(given.get(name) for name in ("model", "system", "prompt"))),
    )
    return Json({"workflowRunId": made.run_id})


def step_in(given: dict[str, Any]) -> "int | str | None":
    """The key of a step in what was asked; None: the run begins from the top.

    Raises:
        ConfigurationError: WA102, it is none.
    """
    step = given.get("step")
    if isinstance(step, bool) or not isinstance(step, int | str | None):
        raise wrong_option("step", "the key of a step", step)
    return step


endpoints = (
    Endpoint("POST", "/v2/workflows/runs/{run_id}/fork", fork, "Begin a run like another one"),
)
