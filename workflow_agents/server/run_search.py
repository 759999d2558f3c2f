"""Searching what runs were given and gave. Not of the protocol: this server's own."""

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.lifecycle import RUN_STATES, phases_of
from workflow_agents.server.answers import Json
from workflow_agents.server.filters import count_of, cursor_of, last_of, values_of
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.store.sqlite_run_lists import RunsWanted

_MOST = 100


async def search(call: Call) -> Response:
    """Runs in which a text stands, the newest first; and how far it has looked.

    `GET /v2/workflows/search?search=A-17` answers `{"matches": [{"workflowRunId": "wfr_...",
    "where": "step", "stepName": "reserve stock", "text": "..."}], "lookedAt": 120,
    "lookedUntil": 1780000000000, "stoppedBy": "end", "leftOut": 0, "cursor": null}`.
    """
    query = call.query
    states = values_of(query, "state")
    if unknown := {*states} - {*RUN_STATES}:
        raise wrong_option("state", f"one of {', '.join(RUN_STATES)}", min(unknown))
    wanted = RunsWanted(
        tuple(phase for state in states for phase in sorted(phases_of(state))),
        last_of(query, "workflowUrl") or None,
        last_of(query, "label") or None,
        before=cursor_of(query),
    )
    text, limit = last_of(query, "search"), count_of(query, 20, _MOST)
    found = await call.engine.admin.searches.search(text, wanted, limit)
    return Json(
        {
            "matches": [
                {
                    "workflowRunId": match.workflow_run_id,
                    "workflowUrl": match.workflow,
                    "workflowState": match.state,
                    "workflowRunCreatedAt": match.created_at,
                    "where": match.where,
                    "stepName": match.step_name,
                    "text": match.text,
                }
                for match in found.matches
            ],
            "lookedAt": found.looked_at,
            "lookedUntil": found.looked_until,
            "stoppedBy": found.stopped_by,
            "leftOut": found.left_out,
            "cursor": found.cursor,
        }
    )


endpoints = (
    Endpoint("GET", "/v2/workflows/search", search, "Search what runs were given and gave"),
)
