"""Steps that wait for others: events, look-back, webhooks."""

import json
import time

from tests.official.scenarios import scenario
from tests.official.site import Stage, steps_of

EVENT_DATA = [{"paid": True, "ä": None}, "just text", 7, [1, 2], ""]


@scenario("waitForEvent", "POST /v2/notify/{eventId}", "GET /v2/waiters/{eventId}")
async def wait_until_notified(stage: Stage) -> None:
    for number, data in enumerate(EVENT_DATA[:3]):
        event = f"paid-{number}-{stage.unique}"
        run_id = await stage.trigger("waits", {"eventId": event, "timeout": "1h"})
        [waiter] = await stage.waiting(event)
        assert waiter["url"] == stage.url("waits")
        assert 3000 < waiter["deadline"] - time.time() < 3700
        assert run_id in [v for values in waiter["headers"].values() for v in values]
        [told] = await stage.client("notify", {"eventId": event, "eventData": data})
        assert (told["workflowRunId"], told["error"]) == (run_id, "")
        assert told["waiter"]["deadline"] == waiter["deadline"]
        assert told["messageId"]
        assert await stage.result(run_id) == {"eventData": data, "timeout": False}
        step = steps_of(await stage.run(run_id))["wait"]
        assert (step["stepType"], step["waitEventId"]) == ("Wait", event)
        assert step["waitTimeoutDuration"] == "1h"
        assert not step.get("waitTimeout")
        assert await stage.client("getWaiters", {"eventId": event}) == []


@scenario("waitForEvent: timeout")
async def wait_in_vain(stage: Stage) -> None:
    for timeout in (1, "1s"):
        told = {"eventId": f"never-{stage.unique}", "timeout": timeout}
        run_id = await stage.trigger("waits", told)
        assert await stage.result(run_id) == {"timeout": True}
        assert steps_of(await stage.run(run_id))["wait"]["waitTimeout"] is True


@scenario("waitForEvent", "POST /v2/notify/{eventId}")
async def one_notification_wakes_all(stage: Stage) -> None:
    event = f"all-{stage.unique}"
    runs = [await stage.trigger("waits", {"eventId": event}) for _ in range(3)]
    await stage.waiting(event, 3)
    told = await stage.client("notify", {"eventId": event})
    assert {entry["workflowRunId"] for entry in told} == set(runs)
    for run_id in runs:
        assert (await stage.result(run_id))["timeout"] is False


@scenario("notify: look-back", "POST /v2/notify/{runId}/{eventId}")
async def notified_before_it_waits(stage: Stage) -> None:
    event = f"early-{stage.unique}"
    run_id = await stage.trigger("waits-late", {"eventId": event})
    await stage.client("notify", {"eventId": event, "eventData": "lost"})
    for data in ("first", {"number": 2}):
        told = {"eventId": event, "eventData": data, "workflowRunId": run_id}
        await stage.client("notify", told)
    first, second = await stage.result(run_id)
    assert first == {"eventData": "first", "timeout": False}
    assert second == {"eventData": {"number": 2}, "timeout": False}


@scenario("notify: look-back", "POST /v2/notify/{runId}/{eventId}")
async def notified_by_run_while_it_waits(stage: Stage) -> None:
    event = f"mine-{stage.unique}"
    mine, other = [await stage.trigger("waits", {"eventId": event}) for _ in range(2)]
    await stage.waiting(event, 2)
    told = {"eventId": event, "eventData": 1, "workflowRunId": mine}
    [woken] = await stage.client("notify", told)
    assert woken["workflowRunId"] == mine
    assert await stage.result(mine) == {"eventData": 1, "timeout": False}
    assert [w["url"] for w in await stage.waiting(event)] == [stage.url("waits")]
    await stage.client("cancel", other)


@scenario("notify")
async def notify_from_a_run(stage: Stage) -> None:
    event = f"between-{stage.unique}"
    waiting = await stage.trigger("waits", {"eventId": event})
    await stage.waiting(event)
    notifying = await stage.trigger("notifies", {"eventId": event, "eventData": {"from": "a run"}})
    told = await stage.result(notifying)
    assert (told["eventId"], told["eventData"]) == (event, {"from": "a run"})
    assert [entry["workflowRunId"] for entry in told["notifyResponse"]] == [waiting]
    assert await stage.result(waiting) == {"eventData": {"from": "a run"}, "timeout": False}


@scenario("notify: look-back")
async def notify_from_a_run_for_later(stage: Stage) -> None:
    event = f"later-{stage.unique}"
    late = await stage.trigger("waits-late", {"eventId": event})
    told = {"eventId": event, "eventData": "x", "runId": late}
    for _ in range(2):
        await stage.result(await stage.trigger("notifies", told))
    assert [w["eventData"] for w in await stage.result(late)] == ["x", "x"]


@scenario("createWebhook", "waitForWebhook", "any /v2/workflows/hooks/{userId}/{runId}/{eventId}")
async def webhook_called_twice(stage: Stage) -> None:
    run_id = await stage.trigger("webhook-twice")
    run = await stage.until(run_id, lambda run: "webhook" in steps_of(run))
    created = json.loads(steps_of(run)["webhook"]["out"])
    url, event = created["webhookUrl"], created["eventId"]
    assert url.startswith(f"{stage.site.server.url}/v2/workflows/hooks/")
    assert run_id in url
    assert event.startswith("evt_")
    first = await stage.http.post(
        f"{url}?a=1&b=%20", content='{"shipped":"ä"}', headers={"x-mark": "one"}
    )
    assert first.is_success
    assert (await stage.http.get(url, headers={"x-mark": "two"})).is_success
    result = await stage.result(run_id)
    assert result["received"] == [
        {
            "timeout": False, "sameUrl": True, "query": "?a=1&b=%20", "method": "POST",
            "mark": "one", "body": '{"shipped":"ä"}',
        },
        {
            "timeout": False, "sameUrl": True, "query": "", "method": "GET",
            "mark": "two", "body": None,
        },
    ]  # fmt: skip
    assert result["last"] == {"timeout": True, "request": None}
    assert steps_of(await stage.run(run_id))["wait 1"]["stepType"] == "WaitForWebhook"


@scenario("any /v2/workflows/hooks/{userId}/{runId}/{eventId}")
async def webhook_of_no_run(stage: Stage) -> None:
    path = f"/v2/workflows/hooks/defaultUser/wfr_{stage.unique}/evt_nothing"
    answer = await stage.http.post(f"{stage.site.server.url}{path}", content="{}")
    assert answer.status_code == 404
