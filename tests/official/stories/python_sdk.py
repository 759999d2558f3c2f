"""The official Python SDK: its endpoints know run, sleep, sleep_until and call."""

import json
from typing import Any

from tests.official.scenarios import scenario
from tests.official.site import PY_FRAMEWORKS, Stage, steps_of
from tests.official.stories.steps import VALUES


async def told_by(stage: Stage, run_id: str) -> Any:
    """The result of its last step: the SDK drops what a workflow function gives."""
    run = await stage.ended(run_id)
    return json.loads(steps_of(run)["result"]["out"])


@scenario("PY run", frameworks=PY_FRAMEWORKS)
async def python_run_gives_back_every_value(stage: Stage) -> None:
    run_id = await stage.publish_to("run-values", {"values": VALUES})
    assert await told_by(stage, run_id) == VALUES


@scenario("PY sleep", "PY sleep_until", frameworks=PY_FRAMEWORKS)
async def python_sleeps(stage: Stage) -> None:
    run_id = await stage.publish_to("sleeps", {})
    assert await told_by(stage, run_id) >= 2


@scenario("PY call", frameworks=PY_FRAMEWORKS)
async def python_calls(stage: Stage) -> None:
    name = stage.unique
    calls = [
        {
            "url": stage.outside("echo"),
            "method": "POST",
            "body": {"a": "ä"},
            "headers": {"x-b": "c"},
        },
        {"url": stage.outside("status/404?text=none")},
        {"url": stage.outside(f"flaky/{name}/1"), "retries": 0, "timeout": 10},
        {"url": stage.outside("echo?x=1"), "method": "PUT", "body": "text", "timeout": "10s"},
    ]
    run_id = await stage.publish_to("calls", {"calls": calls}, upstash_forward_x_tenant="acme")
    posted, missing, flaky, put = await told_by(stage, run_id)
    assert (posted["status"], json.loads(posted["body"]["text"])) == (200, {"a": "ä"})
    assert posted["body"]["headers"]["x-b"] == "c"
    assert "x-tenant" not in posted["body"]["headers"]
    assert missing == {"status": 404, "body": "none"}
    assert flaky == {"status": 500, "body": "not yet"}
    assert json.loads(put["body"]["text"]) == "text"


@scenario("PY context", frameworks=PY_FRAMEWORKS)
async def python_context_tells_of_its_run(stage: Stage) -> None:
    for payload in ({"a": ["ä", None]}, ["list"], "text", 7):
        run_id = await stage.publish_to("tells", payload, upstash_forward_x_tenant="acme")
        for seen in await told_by(stage, run_id):
            assert (seen["runId"], seen["url"]) == (run_id, stage.url("tells"))
            assert (seen["payload"], seen["tenant"]) == (payload, "acme")


@scenario("PY initial_payload_parser", frameworks=PY_FRAMEWORKS)
async def python_payload_by_parser(stage: Stage) -> None:
    run_id = await stage.publish_to("parsed", {"a": "b"})
    assert await told_by(stage, run_id) == {"a": "b", "parsed": True}


@scenario("PY failure_function", "PY retries", frameworks=PY_FRAMEWORKS)
async def python_failure_function(stage: Stage) -> None:
    sink = f"failed-{stage.unique}"
    run_id = await stage.publish_to("fails", {"sink": stage.outside(f"sink/{sink}")})
    [told] = await stage.received(sink)
    said = told.json
    assert (said["runId"], said["status"]) == (run_id, 500)
    assert said["message"] == "it always fails"
    assert said["payload"] == {"sink": stage.outside(f"sink/{sink}")}
    run = await stage.ended(run_id, "RUN_FAILED")
    assert steps_of(run)["good"]["out"] == '"kept"'


@scenario("PY authentication", frameworks=PY_FRAMEWORKS)
async def python_refused_before_its_first_step(stage: Stage) -> None:
    sink = f"refused-{stage.unique}"
    headers = {"upstash-failure-callback": stage.outside(f"sink/{sink}"), "upstash-retries": "0"}
    await stage.rest("POST", f"/v2/publish/{stage.url('refuses')}", headers=headers, json={})
    [told] = await stage.received(sink)
    assert told.json["status"] == 400
    assert json.loads(told.callback_body)["workflowRunId"] == "no-workflow-id"


@scenario("POST /v2/trigger", "PY first invocation", frameworks=PY_FRAMEWORKS)
async def python_is_triggered_over_rest(stage: Stage) -> None:
    """Its SDK says less of itself in its answers than is asked for, but it submits a step."""
    told = await stage.rest("POST", f"/v2/trigger/{stage.url('tells')}", json={"a": 1})
    await stage.ended(told["workflowRunId"])
