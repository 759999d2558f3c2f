"""Runs that fail, are tried again, cancelled, resumed and restarted."""

import asyncio
from itertools import pairwise
from typing import Any

from tests.official.scenarios import scenario
from tests.official.site import Stage, steps_of

AT_ONCE = {"retries": 0}
SOON = {"retries": 2, "retryDelay": "1"}
TENANT = {"headers": {"x-tenant": "acme"}}


async def in_dead_letters(stage: Stage, run_id: str) -> dict[str, Any]:
    told = await stage.client("dlq.list", {"filter": {"workflowRunId": run_id}})
    [letter] = told["messages"]
    return letter


@scenario("failureFunction", "retries", "retryDelay")
async def fails_after_its_retries(stage: Stage) -> None:
    run_id = await stage.trigger("fails", {"order": 42}, **SOON, **TENANT)
    run, said = await stage.failed(run_id)
    assert said == {
        "runId": run_id, "payload": {"order": 42}, "tenant": "acme", "url": stage.url("fails"),
        "failStatus": 500, "failResponse": "it always fails", "hasHeaders": True, "hasStack": True,
    }  # fmt: skip
    assert [a["retried"] for a in await stage.noted(run_id, "attempt")] == [0, 1, 2]
    last = steps_of(run)["next"]
    assert (last["state"], last["retries"], last["retryDelay"]) == ("STEP_FAILED", 2, "1")
    assert [error["status"] for error in last["errors"]] == [500, 500, 500]
    assert "it always fails" in last["errors"][0]["body"]
    assert last["stepName"] == "bad"
    assert steps_of(run)["good"]["state"] == "STEP_SUCCESS"
    function = run["failureFunction"]
    assert (function["failStatus"], function["responseStatus"]) == (500, 200)
    assert function["url"] == stage.url("fails")
    assert run["dlqId"] == (await in_dead_letters(stage, run_id))["dlqId"]


@scenario("failureFunction", "GET /v2/dlq?source=workflow")
async def fails_without_a_failure_function(stage: Stage) -> None:
    run_id = await stage.trigger("fails-untold", {"a": 1}, **AT_ONCE)
    run = await stage.ended(run_id, "RUN_FAILED")
    assert len(await stage.noted(run_id, "attempt")) == 1
    letter = await in_dead_letters(stage, run_id)
    assert (letter["workflowRunId"], letter["workflowUrl"]) == (run_id, stage.url("fails-untold"))
    assert letter["responseStatus"] == 500
    assert "it always fails" in letter["responseBody"]
    assert letter["workflowCreatedAt"] == run["workflowRunCreatedAt"]


@scenario("WorkflowNonRetryableError")
async def fails_for_good(stage: Stage) -> None:
    run_id = await stage.trigger("fails-for-good")
    run, said = await stage.failed(run_id)
    assert (said["failStatus"], said["failResponse"]) == (489, "never try again")
    assert len(await stage.noted(run_id, "attempt")) == 1
    assert steps_of(run)["next"]["errors"][0]["status"] == 489


@scenario("retries", "retryDelay")
async def succeeds_with_a_later_attempt(stage: Stage) -> None:
    told = {"retries": 3, "retryDelay": "pow(2, retried) * 100"}
    run_id = await stage.trigger("flaky", {"attempts": 4}, **told)
    assert await stage.result(run_id) == 4
    attempts = await stage.noted(run_id, "attempt")
    assert [a["retried"] for a in attempts] == [0, 1, 2, 3]
    gaps = [b["at"] - a["at"] for a, b in pairwise(attempts)]
    assert all(gap >= least for gap, least in zip(gaps, (100, 200, 400), strict=True)), gaps
    run = await stage.run(run_id)
    assert run["workflowState"] == "RUN_SUCCESS"
    assert "failureFunction" not in run


@scenario("WorkflowRetryAfterError")
async def tried_again_when_it_says(stage: Stage) -> None:
    run_id = await stage.trigger("retry-after")
    assert await stage.result(run_id) == 3
    first, second, third = [a["at"] for a in await stage.noted(run_id, "attempt")]
    for gap in (second - first, third - second):
        assert 900 <= gap < 12_000, "as it says, and not as the default would have it"


@scenario("authentication", "failureFunction")
async def refused_before_its_first_step(stage: Stage) -> None:
    """What refuses its requests refuses to hear of their failure too."""
    run_id = await stage.trigger("refuses", {"a": 1}, **AT_ONCE)

    def told(run: dict[str, Any]) -> bool:
        return run.get("failureFunction", {}).get("state") == "CALLBACK_FAIL"

    run = await stage.until(run_id, told)
    told_of = run["failureFunction"]
    assert (told_of["failStatus"], told_of["responseStatus"]) == (400, 500)
    assert "Not authorized to run the failure function" in told_of["responseBody"]
    assert [group["type"] for group in run["steps"]] == ["sequential", "next"]
    right = {"headers": {"authorization": "Bearer right"}}
    await stage.ended(await stage.trigger("refuses", **right))


@scenario("failureUrl")
async def failure_url_of_another_host(stage: Stage) -> None:
    sink = f"failure-{stage.unique}"
    options = {**AT_ONCE, **TENANT, "failureUrl": stage.outside(f"sink/{sink}")}
    run_id = await stage.trigger("fails-untold", {"a": 1}, **options)
    [told] = await stage.received(sink)
    body = told.json
    assert (body["status"], body["workflowRunId"]) == (500, run_id)
    assert (body["workflowUrl"], body["url"]) == (stage.url("fails-untold"),) * 2
    assert "it always fails" in told.callback_body
    assert told.headers["x-tenant"] == "acme"
    assert told.headers["upstash-workflow-runid"] == run_id


@scenario("cancel")
async def cancels_itself(stage: Stage) -> None:
    run_id = await stage.trigger("cancels")
    run = await stage.ended(run_id, "RUN_CANCELED")
    assert await stage.noted(run_id, "after") == []
    assert "failureFunction" not in run
    assert (await stage.client("dlq.list", {"filter": {"workflowRunId": run_id}}))["messages"] == []


@scenario("cancel", "DELETE /v2/workflows/runs")
async def cancelled_by_a_client(stage: Stage) -> None:
    event, label = f"never-{stage.unique}", f"label-{stage.unique}"
    start = {"eventId": event}
    one, two, three, four = [await stage.trigger("waits", start, label=label) for _ in range(4)]
    await stage.waiting(event, 4)
    assert (await stage.client("cancel", one))["cancelled"] == 1
    assert (await stage.client("cancel", one))["cancelled"] == 0
    assert (await stage.client("cancel", [two, "wfr_unknown"]))["cancelled"] == 1
    both = {"filter": {"label": [label, "another"]}}
    assert (await stage.client("cancel", both))["cancelled"] == 2
    for run_id in (one, two, three, four):
        run = await stage.ended(run_id, "RUN_CANCELED")
        assert steps_of(run).get("next", {"state": "STEP_CANCELED"})["state"] == "STEP_CANCELED"
    assert await stage.client("getWaiters", {"eventId": event}) == []


@scenario("cancel", "DELETE /v2/workflows/runs/{id}")
async def cancelled_over_rest(stage: Stage) -> None:
    run_id = await stage.trigger("sleeps", {"seconds": 100})
    await stage.until(run_id, lambda run: "begun" in steps_of(run))
    await stage.rest("DELETE", f"/v2/workflows/runs/{run_id}?cancel=true")
    await stage.ended(run_id, "RUN_CANCELED")
    unknown = await stage.request("DELETE", f"/v2/workflows/runs/wfr_{stage.unique}?cancel=true")
    assert unknown.status_code == 404


@scenario("DLQ: resume", "DLQ: restart", "POST /v2/workflows/dlq/resume")
async def resumed_and_restarted(stage: Stage) -> None:
    told = {"flag": stage.unique}
    options = {**AT_ONCE, **TENANT, "label": f"again-{stage.unique}"}
    one, two, three = [await stage.trigger("broken", told, **options) for _ in range(3)]
    for run_id in (one, two, three):
        await stage.failed(run_id)
    letters = [(await in_dead_letters(stage, run_id))["dlqId"] for run_id in (one, two, three)]
    await stage.raise_flag(stage.unique)
    resumed = (await stage.client("dlq.resume", letters[0], {"retries": 1}))["workflowRuns"][0]
    restarted = (await stage.client("dlq.restart", [letters[1]]))["workflowRuns"][0]
    legacy = await stage.client("dlq.resume", {"dlqId": letters[2], "retries": 1})
    for run in (resumed, restarted, legacy):
        assert run["workflowRunId"] not in (one, two, three)
        assert await stage.result(run["workflowRunId"]) == "kept, mended"
    assert await stage.noted(resumed["workflowRunId"], "kept") == [], "is not made again"
    assert len(await stage.noted(restarted["workflowRunId"], "kept")) == 1
    [visit, *_] = await stage.noted(resumed["workflowRunId"], "visit")
    assert visit["headers"]["x-tenant"] == "acme"


@scenario("DLQ: retryFailureFunction", "POST /v2/workflows/dlq/callback/{id}")
async def failure_function_made_again(stage: Stage) -> None:
    run_id = await stage.trigger("broken-twice", {"flag": stage.unique}, **AT_ONCE)

    def state(run: dict[str, Any]) -> str:
        return run.get("failureFunction", {}).get("state", "")

    await stage.until(run_id, lambda run: state(run) == "CALLBACK_FAIL")
    letter = await in_dead_letters(stage, run_id)
    assert letter["failureCallbackInfo"]["state"] == "CALLBACK_FAIL"
    found = {"filter": {"workflowRunId": run_id, "failureFunctionState": "CALLBACK_FAIL"}}
    assert len((await stage.client("dlq.list", found))["messages"]) == 1
    await stage.raise_flag(stage.unique)
    await stage.client("dlq.retryFailureFunction", {"dlqId": letter["dlqId"]})
    run = await stage.until(run_id, lambda run: state(run) == "CALLBACK_SUCCESS")
    assert "told in the end" in run["failureFunction"]["responseBody"]


@scenario("history")
async def changed_code_is_told(stage: Stage) -> None:
    run, said = await stage.failed(await stage.trigger("changing", **AT_ONCE))
    assert "Incompatible step name" in said["failResponse"]
    assert steps_of(run)["one"]["state"] == "STEP_SUCCESS"


@scenario("run id")
async def same_run_id_runs_once(stage: Stage) -> None:
    event = f"same-{stage.unique}"
    options = {"workflowRunId": stage.unique}
    one = await stage.trigger("waits", {"eventId": event}, **options)
    assert one == f"wfr_{stage.unique}"
    await stage.waiting(event)
    assert await stage.trigger("waits", {"eventId": "another"}, **options) == one
    await asyncio.sleep(0.3)
    assert await stage.visits(one) == 1
    assert len(await stage.client("notify", {"eventId": event, "eventData": 1})) == 1
    assert await stage.result(one) == {"eventData": 1, "timeout": False}


@scenario("not a workflow")
async def destination_is_no_workflow(stage: Stage) -> None:
    url = stage.outside("echo")
    run_id = (await stage.client("trigger", {"url": url, "body": "x"}))["workflowRunId"]
    run = await stage.ended(run_id, "RUN_FAILED")
    [error] = steps_of(run)["next"]["errors"]
    assert error["error"] == (
        "detected a non-workflow destination for trigger/invoke. "
        "make sure you are sending the request to the correct endpoint"
    )
    assert '"method": "POST"' in error["body"]
