"""Options of serve and of trigger: parsers, schemas, labels, delays, redaction, middlewares."""

import time

from tests.official.scenarios import scenario
from tests.official.site import Stage, steps_of


@scenario("schema")
async def payload_by_schema(stage: Stage) -> None:
    good = {"name": "Ada", "age": 36}
    assert await stage.result(await stage.trigger("schema", good)) == good
    run_id = await stage.trigger("schema", {"name": "Ada", "age": "no"}, retries=0)
    run = await stage.ended(run_id, "RUN_FAILED")
    assert steps_of(run)["next"]["errors"][0]["status"] == 500


@scenario("initialPayloadParser")
async def payload_by_parser(stage: Stage) -> None:
    run_id = await stage.trigger("parser", {"a": "b"})
    assert await stage.result(run_id) == {"parsed": '{"A":"B"}'}


@scenario("payload", frameworks=("hono", "h3", "nextjs"))
async def payload_that_is_no_json(stage: Stage) -> None:
    options = {"headers": {"content-type": "text/plain"}}
    run_id = await stage.trigger("not-json", "ä plain text", **options)
    assert await stage.result(run_id) == "ä plain text"


@scenario("headers", "context")
async def context_tells_of_its_run(stage: Stage) -> None:
    options = {
        "headers": {"x-tenant": "acme", "X-Forwarded-For": "no", "Authorization": "Bearer own"},
        "label": ["one", "two"],
        "retries": 1,
    }
    run_id = await stage.trigger("tells", {"a": {"b": 1}}, **options)
    run = await stage.ended(run_id)
    told = await stage.result(run_id)
    for seen in (told["first"], told["second"]):
        assert (seen["runId"], seen["url"]) == (run_id, stage.url("tells"))
        assert seen["createdAt"] == run["workflowRunCreatedAt"]
        assert seen["payload"] == {"a": {"b": 1}}
        assert (seen["label"], seen["labels"]) == ("one", ["one", "two"])
        assert (seen["tenant"], seen["retried"]) == ("acme", 0)
        assert "authorization" in seen["names"]
        assert "x-forwarded-for" not in seen["names"]
        assert not [name for name in seen["names"] if name.startswith("upstash-workflow")]
    assert (run["label"], run["labels"]) == ("one", ["one", "two"])
    headers = steps_of(run)["init"]["headers"]
    assert headers["X-Tenant"] == ["acme"]
    assert headers["Content-Type"] == ["application/json"]


@scenario("context")
async def run_without_payload(stage: Stage) -> None:
    told = await stage.result(await stage.trigger("tells"))
    assert told["first"]["payload"] is None


@scenario("redact")
async def what_is_redacted_is_delivered(stage: Stage) -> None:
    options = {
        "headers": {"x-tenant": "secret-tenant"},
        "redact": {"body": True, "header": ["X-Tenant"]},
    }
    run_id = await stage.trigger("tells", {"card": "4242"}, **options)
    told = (await stage.result(run_id))["second"]
    assert (told["payload"], told["tenant"]) == ({"card": "4242"}, "secret-tenant")
    init = steps_of(await stage.run(run_id))["init"]
    assert init["out"].startswith("REDACTED:")
    assert init["headers"]["X-Tenant"][0].startswith("REDACTED:")


@scenario("delay", "notBefore")
async def started_later(stage: Stage) -> None:
    begun = time.time()
    one = await stage.trigger("tells", delay="1s")
    two = await stage.trigger("tells", notBefore=int(begun) + 2)
    assert (await stage.run(one))["workflowState"] == "RUN_STARTED"
    await stage.ended(one)
    await stage.ended(two)
    assert time.time() - begun >= 1


@scenario("flowControl", "GET /v2/flowControl/{key}")
async def visits_one_at_a_time(stage: Stage) -> None:
    key = f"runs-{stage.unique}"
    options = {"flowControl": {"key": key, "parallelism": 1, "rate": 100, "period": "1m"}}
    runs = [await stage.trigger("many-steps", {"steps": 2}, **options) for _ in range(3)]
    for run_id in runs:
        assert await stage.result(run_id) == 3
    assert (await stage.run(runs[0]))["flowControlKey"] == key
    told = await stage.rest("GET", f"/v2/flowControl/{key}")
    assert (told["parallelismMax"], told["rateMax"], told["ratePeriod"]) == (1, 100, 60)
    assert told["waitListSize"] == 0


@scenario("middlewares")
async def middlewares_hear_of_everything(stage: Stage) -> None:
    run_id = await stage.trigger("listened")
    assert await stage.result(run_id) == {"one": 1, "two": 2, "three": 3}
    heard = [
        (event["event"], event.get("stepName")) for event in await stage.noted(run_id, "event")
    ]
    assert heard[:3] == [
        ("runStarted", None), ("beforeExecution", "one"), ("afterExecution", "one"),
    ]  # fmt: skip
    assert ("beforeExecution", "two") in heard
    assert ("afterExecution", "three") in heard
    assert heard.count(("runCompleted", None)) == 1
    assert "onError" not in dict(heard)


@scenario("trigger: many")
async def many_runs_in_one_request(stage: Stage) -> None:
    told = [{"url": stage.url("tells"), "body": {"number": number}} for number in range(4)]
    runs = [entry["workflowRunId"] for entry in await stage.client("trigger", told)]
    assert len(set(runs)) == 4
    for number, run_id in enumerate(runs):
        assert (await stage.result(run_id))["first"]["payload"] == {"number": number}


@scenario("GET /v2/workflows/runs/{id}")
async def steps_as_an_endpoint_fetches_them(stage: Stage) -> None:
    event = f"fetch-{stage.unique}"
    run_id = await stage.trigger("waits", {"eventId": event})
    await stage.waiting(event)
    [init] = await stage.rest("GET", f"/v2/workflows/runs/{run_id}")
    assert set(init) >= {"messageId", "body", "callType"}
    await stage.client("cancel", run_id)
    gone = await stage.request("GET", f"/v2/workflows/runs/{run_id}")
    assert gone.status_code == 404
