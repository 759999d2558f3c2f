"""JSON may hold half of a character (a lone surrogate), which no store can: it is refused."""

import base64
import json
from typing import Any

import pytest

from tests.unit.server.conftest import Endpoints, Site

HALF = "\ud800"


def step(**changed: Any) -> dict[str, Any]:
    return {"stepId": 1, "stepName": "s", "stepType": "Run", "concurrent": 1, **changed}


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v2/batch", [{"destination": HALF}]),
        ("POST", "/v2/batch", [{"destination": f"https://a.test/{HALF}"}]),
        ("POST", "/v2/batch", [{"destination": "https://a.test/", "queue": HALF}]),
        ("POST", "/v2/batch", [{"destination": "https://a.test/", "headers": {HALF: "a"}}]),
        ("POST", "/v2/batch", [{"destination": "https://a.test/", "headers": {"a": HALF}}]),
        ("POST", "/v2/queues", {"queueName": HALF}),
        ("POST", "/v2/topics/g/endpoints", {"endpoints": [{"url": f"https://a.test/{HALF}"}]}),
        (
            "POST",
            "/v2/topics/g/endpoints",
            {"endpoints": [{"url": "https://a.test", "name": HALF}]},
        ),
        ("DELETE", "/v2/topics/g/endpoints", {"endpoints": [{"url": HALF}]}),
        ("DELETE", "/v2/topics/g/endpoints", {"endpoints": [{"name": HALF}]}),
        ("DELETE", "/v2/messages", {"messageIds": [HALF]}),
        ("DELETE", "/v2/dlq", {"dlqIds": [HALF]}),
        ("POST", "/v2/dlq/retry", [HALF]),
        ("DELETE", "/v2/workflows/dlq", {"dlqIds": HALF}),
        ("POST", "/v2/workflows/dlq/resume", {"dlqIds": [HALF]}),
    ],
)
async def test_half_a_character_is_refused(site: Site, method: str, target: str, body: Any) -> None:
    reply = await site.ask(method, target, body)
    assert (reply.status, "error" in reply.json) == (400, True)


async def test_half_a_character_in_what_is_said_of_a_run_is_refused(
    site: Site, endpoints: Endpoints
) -> None:
    url = endpoints.url
    of_run = {"upstash-workflow-runid": "wfr_1", "upstash-workflow-init": "false"}
    later = {"upstash-workflow-runid": "1", "upstash-delay": "1h"}
    begun = await site.ask("POST", f"/v2/trigger/{url}", headers=later)
    assert begun.json["workflowRunId"] == "wfr_1"
    begins = {**of_run, "upstash-workflow-init": "true", "upstash-workflow-invoke": "true"}
    invocation = {"workflowRunId": HALF, "workflowUrl": url, "step": step()}
    asked: list[tuple[str, Any, dict[str, str]]] = [
        (f"/v2/publish/{url}", step(stepName=HALF), of_run),
        (f"/v2/publish/{url}", step(stepType=HALF), of_run),
        ("/v2/wait/paid", {"url": url, "step": step(stepName=HALF)}, of_run),
        ("/v2/wait/paid", {"url": url, "step": step(), "timeout": HALF}, of_run),
        (f"/v2/publish/{url}", invocation, {**begins, "upstash-workflow-runid": "wfr_2"}),
    ]
    for target, body, headers in asked:
        reply = await site.ask("POST", target, body, headers=headers)
        assert (reply.status, "error" in reply.json) == (412, True), (target, body)

    # What is handed on as it came need not be text that can be written.
    wait = {"url": url, "step": step(out=HALF)}
    assert (await site.ask("POST", "/v2/wait/paid", wait, headers=of_run)).status == 200
    told = await site.ask("POST", "/v2/notify/paid")
    assert (told.status, len(told.json)) == (200, 1)
    [_, result] = (await site.ask("GET", "/v2/workflows/runs/wfr_1")).json
    assert "out" not in json.loads(base64.b64decode(result["body"]))
    result = step(stepId=2, out=f"{HALF}abc")
    assert (await site.ask("POST", f"/v2/publish/{url}", result, headers=of_run)).status == 200
    for query in ("", "?trimBody=2", "?groupBy=workflowRunId&trimBody=2"):
        assert (await site.ask("GET", f"/v2/workflows/logs{query}")).status == 200
