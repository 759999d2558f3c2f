"""Schedules through the server; that they tick is told in the journeys."""

import pytest

from tests.unit.server.conftest import Site

URL = "https://a.test/x"


async def test_a_schedule_is_made_shown_paused_and_removed(site: Site) -> None:
    made = await site.ask(
        "POST",
        f"/v2/schedules/{URL}?a=b",
        b'{"n":1}',
        headers={
            "Upstash-Cron": "CRON_TZ=Europe/Berlin 0 9 * * MON",
            "Upstash-Schedule-Id": "mondays",
            "Upstash-Forward-X-A": "1",
            "Upstash-Method": "PUT",
            "Upstash-Delay": "10s",
            "Upstash-Timeout": "30s",
            "Upstash-Retries": "2",
            "Upstash-Queue-Name": "q",
            "Upstash-Label": "eu,vip",
            "Upstash-Callback": "https://a.test/told",
            "Content-Type": "application/json",
        },
    )
    assert (made.status, made.json) == (200, {"scheduleId": "mondays"})
    shown = (await site.ask("GET", "/v2/schedules/mondays")).json
    assert shown["nextScheduleTime"] > shown.pop("createdAt")
    assert shown.pop("nextScheduleTime") % 3_600_000 == 0
    assert shown.pop("callerIP") == "127.0.0.1"
    assert shown == {
        "scheduleId": "mondays",
        "cron": "CRON_TZ=Europe/Berlin 0 9 * * MON",
        "destination": f"{URL}?a=b",
        "method": "PUT",
        "header": {"Content-Type": ["application/json"], "X-A": ["1"]},
        "body": '{"n":1}',
        "retries": 2,
        "delay": 10,
        "timeout": 30,
        "queueName": "q",
        "label": "eu",
        "labels": ["eu", "vip"],
        "callback": "https://a.test/told",
        "isPaused": False,
    }
    for method in ("PATCH", "POST"):
        assert (await site.ask(method, "/v2/schedules/mondays/pause")).status == 200
        paused = (await site.ask("GET", "/v2/schedules/mondays")).json
        assert (paused["isPaused"], "nextScheduleTime" in paused) == (True, False)
        assert (await site.ask(method, "/v2/schedules/mondays/resume")).status == 200
    assert not (await site.ask("GET", "/v2/schedules")).json[0]["isPaused"]
    assert (await site.ask("DELETE", "/v2/schedules/mondays")).status == 200
    for method in ("GET", "DELETE"):
        assert (await site.ask(method, "/v2/schedules/mondays")).status == 404
    assert (await site.ask("POST", "/v2/schedules/mondays/pause")).status == 404


async def test_without_an_id_it_is_given_one(site: Site) -> None:
    headers = {"Upstash-Cron": "* * * * *"}
    made = (await site.ask("POST", f"/v2/schedules/{URL}", headers=headers)).json
    assert made["scheduleId"].startswith("scd_")
    assert (await site.ask("GET", f"/v2/schedules/{made['scheduleId']}")).json["retries"] == 3


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upstash-Cron": "every day"},
        {"Upstash-Cron": "CRON_TZ=Mars/Olympus 0 9 * * *"},
        {"Upstash-Cron": "0 0 30 2 *"},
        {"Upstash-Cron": "* * * * *", "Upstash-Schedule-Id": "a/b"},
        {"Upstash-Cron": "* * * * *", "Upstash-Retries": "x"},
    ],
)
async def test_what_cannot_be_a_schedule_is_refused(site: Site, headers: dict[str, str]) -> None:
    assert (await site.ask("POST", f"/v2/schedules/{URL}", headers=headers)).status == 400
    assert (await site.ask("GET", "/v2/schedules")).json == []
