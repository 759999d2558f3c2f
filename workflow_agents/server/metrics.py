"""Metrics of the server, for Prometheus: see `operations`."""

from starlette.responses import Response

from workflow_agents.operations.metrics import CONTENT_TYPE
from workflow_agents.server.answers import refusal
from workflow_agents.server.routing import Call, Endpoint


async def metrics(call: Call) -> Response:
    """What is counted and measured."""
    counted = call.server.metrics
    if counted is None:
        return refusal(501, "not installed: pip install 'workflow-agents[metrics]'")
    return Response(await counted.text(), media_type=CONTENT_TYPE)


endpoints = (Endpoint("GET", "/metrics", metrics, "Metrics for Prometheus"),)
