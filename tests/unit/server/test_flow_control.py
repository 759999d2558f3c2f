"""Flow control keys through the server."""

import asyncio

from tests.unit.server.conftest import Endpoints, Site

KEY = {"Upstash-Flow-Control-Key": "k", "Upstash-Flow-Control-Value": "parallelism=2"}


async def test_a_key_is_shown_as_it_is_used(site: Site, endpoints: Endpoints) -> None:
    headers = {**KEY, "Upstash-Flow-Control-Value": "parallelism=2, rate=5, period=1h"}
    await site.ask("POST", f"/v2/publish/{endpoints.url}", headers=headers)
    await endpoints.until(1)
    shown = (await site.ask("GET", "/v2/flowControl/k")).json
    assert shown.pop("ratePeriodStart") > 1_700_000_000
    async with asyncio.timeout(10):
        while shown["parallelismCount"]:
            shown = (await site.ask("GET", "/v2/flowControl/k")).json
    shown.pop("ratePeriodStart", None)
    assert shown == {
        "flowControlKey": "k",
        "waitListSize": 0,
        "waitlistSize": 0,
        "parallelismMax": 2,
        "parallelismCount": 0,
        "rateMax": 5,
        "rateCount": 1,
        "ratePeriod": 3600,
        "isPaused": False,
        "isPinnedParallelism": False,
        "isPinnedRate": False,
    }
    assert [one["flowControlKey"] for one in (await site.ask("GET", "/v2/flowControl")).json] == [
        "k"
    ]
    assert (await site.ask("GET", "/v2/flowControl?search=other")).json == []
    assert (await site.ask("GET", "/v2/flowControl/other")).status == 404
    assert (await site.ask("POST", "/v2/flowControl/k/resetRate")).status == 200
    assert (await site.ask("GET", "/v2/flowControl/k")).json["rateCount"] == 0
    everything = (await site.ask("GET", "/v2/globalParallelism")).json
    assert everything == {"parallelismMax": 500, "parallelismCount": 0}


async def test_a_paused_key_holds_its_messages(site: Site, endpoints: Endpoints) -> None:
    assert (await site.ask("POST", "/v2/flowControl/k/pause")).status == 200
    for _ in range(3):
        await site.ask("POST", f"/v2/publish/{endpoints.url}", headers=KEY)
    async with asyncio.timeout(10):
        while (await site.ask("GET", "/v2/flowControl/k")).json["waitListSize"] < 3:
            await asyncio.sleep(0.01)
    assert endpoints.seen == []
    await site.ask("POST", "/v2/flowControl/k/resume")
    await endpoints.until(3)


async def test_pinned_limits_stay_until_they_are_unpinned(site: Site, endpoints: Endpoints) -> None:
    await site.ask("POST", "/v2/flowControl/k/pin?parallelism=7&rate=9&period=60")
    await site.ask("POST", f"/v2/publish/{endpoints.url}", headers=KEY)
    shown = (await site.ask("GET", "/v2/flowControl/k")).json
    assert (shown["parallelismMax"], shown["rateMax"], shown["ratePeriod"]) == (7, 9, 60)
    assert (shown["isPinnedParallelism"], shown["isPinnedRate"]) == (True, True)
    await site.ask("POST", "/v2/flowControl/k/unpin?parallelism=true")
    await site.ask("POST", f"/v2/publish/{endpoints.url}", headers=KEY)
    shown = (await site.ask("GET", "/v2/flowControl/k")).json
    assert (shown["parallelismMax"], shown["rateMax"], shown["isPinnedParallelism"]) == (
        2,
        9,
        False,
    )
    # Nothing is named, as is the default of the documentation.
    assert (await site.ask("POST", "/v2/flowControl/k/unpin")).status == 200
    assert (await site.ask("GET", "/v2/flowControl/k")).json["isPinnedRate"] is True
    for target in ("k/pin", "k/pin?rate=0", "k/pin?parallelism=x", "a%20b/pause"):
        assert (await site.ask("POST", f"/v2/flowControl/{target}")).status == 400, target
