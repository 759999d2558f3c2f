"""Each list finds what its filters name, and nothing else."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.rest.filters import FILTERS, Filter
from tests.rest.place import Place
from tests.rest.trials import SDK, Trial

KEYS = {"/v2/logs": "logs", "/v2/workflows/logs": "runs"}
PAGE = {"/v2/workflows/logs": "&groupBy=workflowRunId"}


def message(place: Place, word: str, status: int, **more: str) -> dict[str, str]:
    """What a message of a schedule has, which waits or has failed: it has all that one can have."""
    trial = Trial(place, word, "")
    url = trial.url(status)
    has = {
        "url": url,
        "label": f"label-{trial.word}",
        "flowControlKey": f"key-{trial.word}",
        "topicName": f"group-{trial.word}",
        "queueName": f"queue-{trial.word}",
        "scheduleId": f"schedule-{trial.word}",
        "path": f"/answer/{trial.word}/{status}",
    }
    place.done("POST", f"/v2/topics/{has['topicName']}/endpoints", {"endpoints": [{"url": url}]})
    told = {
        "Upstash-Cron": "* * * * *",
        "Upstash-Schedule-Id": has["scheduleId"],
        "Upstash-Queue-Name": has["queueName"],
        "Upstash-Label": has["label"],
        "Upstash-Flow-Control-Key": has["flowControlKey"],
        "Upstash-Flow-Control-Value": "parallelism=9",
        "Upstash-Retries": "0",
        **more,
    }
    place.done("POST", f"/v2/schedules/{has['topicName']}", b"x", told)
    place.jump(61)
    path = f"/v2/logs?scheduleId={has['scheduleId']}"
    [*_, log] = place.until(lambda: place.done("GET", path)["logs"], len)
    place.done("DELETE", f"/v2/schedules/{has['scheduleId']}")
    at = log["time"]
    return {**has, "messageId": log["messageId"], "before": str(at - 1), "after": str(at + 120_000)}


@pytest.fixture(scope="module")
def entries(place: Place) -> dict[str, dict[str, str]]:
    """By list: what the entry has that its filters are to find."""
    failed = message(place, "failed", 500)
    path = f"/v2/dlq?messageId={failed['messageId']}"
    [letter] = place.until(lambda: place.done("GET", path)["messages"], len)
    failed["dlqId"] = letter["dlqId"]
    trial = Trial(place, "run", "")
    begun = {
        "Upstash-Label": f"label-{trial.word}",
        "Upstash-Flow-Control-Key": f"key-{trial.word}",
        "Upstash-Flow-Control-Value": "parallelism=9",
        "Upstash-Failure-Callback": trial.url(answered=SDK),
    }
    url = trial.url(500)
    run = place.run(trial.begin(begun, url=url), "RUN_FAILED")
    path = f"/v2/workflows/dlq?dlqIds={run['dlqId']}"
    place.until(
        lambda: place.done("GET", path)["messages"][0].get("failureFunctionState"),
        lambda state: state == "CALLBACK_SUCCESS",
    )
    at = run["workflowRunCreatedAt"]
    had = {
        "label": begun["Upstash-Label"],
        "flowControlKey": begun["Upstash-Flow-Control-Key"],
        "path": f"/answer/{trial.word}/500",
        "workflowRunId": run["workflowRunId"],
        "workflowUrl": url,
        "workflowUrl_begin": url[:-1],
        "workflowCreatedAt": str(at),
        "dlqId": run["dlqId"],
        "before": str(at - 1),
        "after": str(at + 120_000),
    }
    return {
        "GET /v2/logs": failed,
        "GET /v2/dlq": failed,
        "GET /v2/workflows/logs": had,
        "GET /v2/workflows/dlq": had,
    }


def found(place: Place, asked: str, name: str, value: str) -> list[dict[str, Any]]:
    path = asked.removeprefix("GET ")
    query = f"{name}={quote(value, safe=',')}{PAGE.get(path, '')}"
    return place.done("GET", f"{path}?{query}")[KEYS.get(path, "messages")]


@pytest.mark.parametrize("row", FILTERS, ids=lambda row: f"{row.asked} {row.name}")
def test_a_filter_finds_what_it_names(
    place: Place, entries: dict[str, dict[str, str]], row: Filter
) -> None:
    if row.asked == "DELETE /v2/messages":
        has = message(place, "waits", 200, **{"Upstash-Delay": "1h"})
        for value, count in ((row.misses, 0), (row.finds, 1)):
            query = f"{row.name}={quote(value.format(**has), safe=',')}&count=1"
            told = place.done("DELETE", f"/v2/messages?{query}")
            # Filters that hold for other messages too cancel one of those as well.
            assert told["cancelled"] == count
        return
    has = entries[row.asked]
    key = "workflowRunId" if "workflow" in row.asked else "messageId"
    missed = found(place, row.asked, row.name, row.misses.format(**has))
    assert has[key] not in {one[key] for one in missed}
    hit = found(place, row.asked, row.name, row.finds.format(**has))
    assert has[key] in {one[key] for one in hit}
    if row.name not in (
        "callerIp",
        "fromDate",
        "toDate",
        "host",
        "state",
        "responseStatus",
        "failureFunctionState",
    ):
        assert {one[key] for one in hit} == {has[key]}


def test_bodies_of_runs_are_cut_at_bytes(place: Place) -> None:
    trial = Trial(place, "cut", "")
    run = trial.begin(body="ééé".encode())
    path = f"/v2/workflows/logs?groupBy=workflowRunId&workflowRunId={run}"
    for asked, shown in (("", None), ("&trimBody=-1", None), ("&trimBody=3", "é")):
        [told] = place.done("GET", f"{path}{asked}")["runs"]
        assert told["steps"][0]["steps"][0].get("out") == shown
