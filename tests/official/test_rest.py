"""What only the REST API documents, and no official client calls."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.official.site import Site, Stage, steps_of


@pytest.fixture
async def stage(site: Site) -> AsyncIterator[Stage]:
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
        yield Stage(site, "hono", http)


async def dead_letter(stage: Stage, workflow: str = "broken") -> dict[str, Any]:
    """That of a run that fails until the flag of the stage is raised."""
    run_id = await stage.trigger(workflow, {"flag": stage.unique}, retries=0)
    await stage.until(run_id, lambda run: run["workflowState"] == "RUN_FAILED")
    told = await stage.rest("GET", f"/v2/workflows/dlq?workflowRunId={run_id}")
    [letter] = told["messages"]
    return letter


async def test_configuration_in_the_query(stage: Stage) -> None:
    sink = f"query-{stage.unique}"
    url = f"{stage.outside(f'sink/{sink}')}?own=1&upstash-method=PUT&upstash-delay=1s"
    token = stage.site.server.env["QSTASH_TOKEN"]
    answer = await stage.http.post(
        f"{stage.site.server.url}/v2/publish/{url}&qstash_token={token}", content="x"
    )
    assert answer.is_success, answer.text
    [request] = await stage.received(sink)
    assert (request.method, request.target) == ("PUT", f"/sink/{sink}?own=1")


async def test_batch_is_all_or_nothing(stage: Stage) -> None:
    sink = f"batch-{stage.unique}"
    good = {"destination": stage.outside(f"sink/{sink}"), "body": {"not": "text"}}
    ended = await stage.trigger("cancels")
    await stage.ended(ended, "RUN_CANCELED")
    step = {
        "destination": stage.url("cancels"),
        "headers": {
            "upstash-workflow-init": "false",
            "upstash-workflow-runid": ended,
            "upstash-workflow-url": stage.url("cancels"),
        },
        "body": '{"stepId":9,"stepName":"late","stepType":"Run","out":"1","concurrent":1}',
    }
    refused = await stage.request("POST", "/v2/batch", json=[good, step])
    assert refused.status_code == 400
    assert "error" in refused.json()
    [told] = await stage.rest("POST", "/v2/batch", json=[{**good, "queue": None, "headers": None}])
    assert told["messageId"]
    await stage.received(sink)
    await asyncio.sleep(0.2)
    [request] = await stage.received(sink)
    assert request.json == {"not": "text"}


async def test_what_is_wrong_is_refused(stage: Stage) -> None:
    url = stage.outside("sink/never")
    for headers in (
        {"upstash-delay": "soon"},
        {"upstash-retries": "many"},
        {"upstash-retry-delay": "open('/etc/passwd')"},
        {"upstash-callback": "ftp://x.test"},
        {"upstash-flow-control-key": "k", "upstash-flow-control-value": "speed=1"},
        {"upstash-label": "with space"},
    ):
        answer = await stage.request("POST", f"/v2/publish/{url}", headers=headers)
        assert answer.status_code == 400, (headers, answer.text)
        assert isinstance(answer.json()["error"], str)
    unknown = await stage.request("POST", "/v2/publish/no-such-group", content="x")
    assert unknown.status_code == 404
    for token in ("", "Bearer wrong"):
        answer = await stage.request("GET", "/v2/queues", headers={"authorization": token})
        assert answer.status_code == 401


async def test_schedules_are_paused_by_post_too(stage: Stage) -> None:
    url = stage.outside("sink/never")
    headers = {"Upstash-Cron": "0 0 1 1 *"}
    told = await stage.rest("POST", f"/v2/schedules/{url}", headers=headers)
    path = f"/v2/schedules/{told['scheduleId']}"
    await stage.rest("POST", f"{path}/pause")
    assert (await stage.rest("GET", path))["isPaused"] is True
    await stage.rest("POST", f"{path}/resume")
    assert (await stage.rest("GET", path))["isPaused"] is False
    await stage.rest("DELETE", path)


async def test_a_workflow_is_scheduled(stage: Stage) -> None:
    headers = {"Upstash-Cron": "*/5 * * * *", "Upstash-Retries": "1"}
    told = await stage.rest("POST", f"/v2/schedules/{stage.url('tells')}", headers=headers)
    schedule = await stage.rest("GET", f"/v2/schedules/{told['scheduleId']}")
    assert (schedule["destination"], schedule["retries"]) == (stage.url("tells"), 1)
    assert schedule["nextScheduleTime"] % 300_000 == 0
    await stage.rest("DELETE", f"/v2/schedules/{told['scheduleId']}")


async def test_one_dead_letter_is_retried(stage: Stage) -> None:
    name = f"one-{stage.unique}"
    url, headers = stage.outside(f"flaky/{name}/1"), {"upstash-retries": "0"}
    sent = await stage.rest("POST", f"/v2/publish/{url}", headers=headers)
    path = f"/v2/dlq?messageId={sent['messageId']}"
    async with asyncio.timeout(20):
        while not (letters := (await stage.rest("GET", path))["messages"]):
            await asyncio.sleep(0.05)
    again = await stage.rest("POST", f"/v2/dlq/retry/{letters[0]['dlqId']}")
    assert again["messageId"]
    await stage.received(name, 2)
    gone = await stage.request("POST", f"/v2/dlq/retry/{letters[0]['dlqId']}")
    assert gone.status_code == 404


async def test_logs_have_two_names(stage: Stage) -> None:
    sink = f"logs-{stage.unique}"
    url = stage.outside(f"sink/{sink}")
    sent = await stage.rest("POST", f"/v2/publish/{url}", content="x")
    await stage.received(sink)
    query = f"messageId={sent['messageId']}&state=CREATED"
    one = await stage.rest("GET", f"/v2/logs?{query}")
    two = await stage.rest("GET", f"/v2/events?{query}")
    assert one["logs"] == two["events"]
    assert "cursor" not in one
    [entry] = one["logs"]
    assert (entry["state"], entry["messageId"]) == ("CREATED", sent["messageId"])


async def test_trigger_of_what_is_no_workflow(stage: Stage) -> None:
    told = await stage.rest("POST", f"/v2/trigger/{stage.outside('echo')}", content="x")
    run = await stage.ended(told["workflowRunId"], "RUN_FAILED")
    [error] = steps_of(run)["next"]["errors"]
    assert error["error"].startswith(("trigger rest api is only usable", "detected a non-workflow"))


async def test_trigger_by_an_unknown_sdk(stage: Stage) -> None:
    headers = {
        "Upstash-Workflow-Unknown-Sdk": "true",
        "Upstash-Forward-X-Tenant": "acme",
        "Upstash-Retries": "1",
        "Content-Type": "application/json",
    }
    told = await stage.rest(
        "POST", f"/v2/trigger/{stage.url('tells')}", headers=headers, json={"a": 1}
    )
    run_id = told["workflowRunId"]
    seen = (await stage.result(run_id))["second"]
    assert (seen["payload"], seen["tenant"]) == ({"a": 1}, "acme")
    assert await stage.visits(run_id) == 4, "one more than for a known SDK"


async def test_trigger_of_an_id_that_runs(stage: Stage) -> None:
    headers = {"Upstash-Workflow-RunId": stage.unique}
    path = f"/v2/trigger/{stage.url('sleeps')}"
    told = await stage.rest("POST", path, headers=headers, json={"seconds": 60})
    again = await stage.rest("POST", path, headers=headers, json={"seconds": 60})
    assert told["workflowRunId"] == again["workflowRunId"]
    assert told["workflowCreatedAt"] == again["workflowCreatedAt"]
    await stage.client("cancel", told["workflowRunId"])


async def test_many_are_triggered(stage: Stage) -> None:
    told = [
        {"destination": stage.url("tells"), "body": '{"number":1}'},
        {
            "destination": stage.url("tells"),
            "body": '{"number":2}',
            "headers": {"Upstash-Workflow-RunId": stage.unique, "Upstash-Forward-X-Tenant": "acme"},
        },
    ]
    answer = await stage.request("POST", "/v2/batch/trigger", json=told)
    assert answer.status_code == 201
    one, two = answer.json()
    assert two["workflowRunId"] == f"wfr_{stage.unique}"
    assert (await stage.result(one["workflowRunId"]))["first"]["payload"] == {"number": 1}
    seen = (await stage.result(two["workflowRunId"]))["first"]
    assert (seen["payload"], seen["tenant"]) == ({"number": 2}, "acme")
    [again] = (await stage.request("POST", "/v2/batch/trigger", json=told[1:])).json()
    assert again["deduplicated"] is True


async def test_a_run_is_ended_twice(stage: Stage) -> None:
    run_id = await stage.trigger("sleeps", {"seconds": 60})
    path = f"/v2/workflows/runs/{run_id}?cancel=false"
    assert (await stage.request("DELETE", path, content='{"ok":true}')).is_success
    assert (await stage.request("DELETE", path, content='{"ok":true}')).is_success
    assert await stage.result(run_id) == {"ok": True}


async def test_events_of_runs(stage: Stage) -> None:
    run_id = await stage.trigger("many-steps", {"steps": 2})
    await stage.ended(run_id)
    path = f"/v2/workflows/events?workflowRunId={run_id}"
    events = (await stage.rest("GET", path))["events"]
    states = [event["state"] for event in events]
    assert {"RUN_STARTED", "STEP_SUCCESS", "RUN_SUCCESS"} <= set(states)
    assert {event["workflowRunId"] for event in events} == {run_id}
    [ended] = (await stage.rest("GET", f"{path}&state=RUN_SUCCESS"))["events"]
    assert ended["workflowRunResponse"] == "3"


async def test_logs_of_runs_have_two_names(stage: Stage) -> None:
    run_id = await stage.trigger("many-steps", {"steps": 1})
    run = await stage.ended(run_id)
    query = f"groupBy=workflowRunId&workflowRunId={run_id}&trimBody=1000"
    assert (await stage.rest("GET", f"/v2/workflows/logs?{query}"))["runs"] == [run]
    by_pair = f"workflowRuns={run_id}@{run['workflowRunCreatedAt']}&trimBody=1000"
    [same] = (await stage.rest("GET", f"/v2/workflows/logs?groupBy=workflowRunId&{by_pair}"))[
        "runs"
    ]
    assert same["workflowRunId"] == run_id


async def test_failed_runs(stage: Stage) -> None:
    letter = await dead_letter(stage)
    path = f"/v2/workflows/dlq/{letter['dlqId']}"
    assert (await stage.rest("GET", path))["workflowRunId"] == letter["workflowRunId"]
    listed = await stage.rest("GET", f"/v2/dlq?source=workflow&dlqIds={letter['dlqId']}")
    assert [other["dlqId"] for other in listed["messages"]] == [letter["dlqId"]]
    none = await stage.request("POST", f"/v2/workflows/dlq/callback/{letter['dlqId']}")
    assert none.status_code == 400, "its failure function did not fail"
    await stage.rest("DELETE", path)
    for method in ("GET", "DELETE"):
        assert (await stage.request(method, path)).status_code == 404


async def test_a_failed_run_is_resumed_and_restarted(stage: Stage) -> None:
    one, two = await dead_letter(stage), await dead_letter(stage)
    await stage.raise_flag(stage.unique)
    headers = {"Upstash-Retries": "1", "Upstash-Label": "again"}
    for verb, letter in (("resume", one), ("restart", two)):
        path = f"/v2/workflows/dlq/{verb}/{letter['dlqId']}"
        told = await stage.rest("POST", path, headers=headers)
        run_id = told["workflowRunId"]
        assert await stage.result(run_id) == "kept, mended"
        run = await stage.run(run_id)
        assert run["label"] == "again"
        assert run["workflowRunCreatedAt"] == told["workflowCreatedAt"]
        assert (await stage.request("POST", path)).status_code == 404


async def test_a_failure_callback_is_cancelled(stage: Stage) -> None:
    told = {"url": stage.url("fails-untold"), "retries": 0, "failureUrl": stage.outside("slow/20")}
    run_id = (await stage.client("trigger", told))["workflowRunId"]
    run = await stage.until(run_id, lambda run: run["workflowState"] == "RUN_FAILED")
    path = f"/v2/workflows/dlq/callback/{run['dlqId']}"
    answer = await stage.request("DELETE", path)
    assert answer.status_code in (200, 302)
    run = await stage.until(
        run_id, lambda run: run["failureFunction"]["state"] == "CALLBACK_CANCELED"
    )
    assert (await stage.request("DELETE", path)).status_code == 400


async def test_a_step_that_cannot_be_carried_out_fails_its_run(stage: Stage) -> None:
    """Refused with 400, the SDK would take its run for ended, and the run would wait for ever."""
    call = {"url": stage.outside("echo"), "retryDelay": "wait(1)"}
    run_id = await stage.trigger("calls", {"calls": [call]})
    run = await stage.ended(run_id, "RUN_FAILED")
    [error] = steps_of(run)["next"]["errors"]
    assert error["status"] == 489
    assert "not a retry-delay expression" in error["body"]


async def test_flow_control_keys_under_both_spellings(stage: Stage) -> None:
    sink, key = f"flow-{stage.unique}", f"key-{stage.unique}"
    headers = {"Upstash-Flow-Control-Key": key, "Upstash-Flow-Control-Value": "parallelism=2"}
    url = stage.outside(f"sink/{sink}")
    await stage.rest("POST", f"/v2/publish/{url}", headers=headers, content="x")
    await stage.received(sink)
    one = await stage.rest("GET", f"/v2/flowControl/{key}")
    assert (one["waitListSize"], one["waitlistSize"]) == (0, 0), "clients, and the API reference"
    assert key in [told["flowControlKey"] for told in await stage.rest("GET", "/v2/flowControl")]
    wrong = await stage.request("POST", f"/v2/flowControl/{key}/pin?parallelism=no")
    assert wrong.status_code == 400
