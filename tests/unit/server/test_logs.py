"""The logs of messages through the server."""

import asyncio
from pathlib import Path
from typing import Any

from tests.unit.server.conftest import Endpoints, Site


async def lines(site: Site, query: str, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        while True:
            found = (await site.ask("GET", f"/v2/events?{query}")).json["events"]
            if len(found) == count:
                return found
            await asyncio.sleep(0.01)


async def published(site: Site, url: str, **headers: str) -> str:
    reply = await site.ask("POST", f"/v2/publish/{url}", b"hi", headers=headers)
    return reply.json["messageId"]


async def test_each_state_of_a_message_is_a_line(site: Site, endpoints: Endpoints) -> None:
    endpoints.status = 500
    headers = {"Upstash-Retries": "1", "Upstash-Retry-Delay": "1", "Upstash-Label": "eu"}
    message_id = await published(site, endpoints.url, **headers)
    found = await lines(site, f"messageIds={message_id}", 7)
    assert [one["state"] for one in reversed(found)] == [
        "CREATED",
        "ACTIVE",
        "ERROR",
        "RETRY",
        "ACTIVE",
        "ERROR",
        "FAILED",
    ]
    assert {one["messageId"] for one in found} == {message_id}
    assert {one["url"] for one in found} == {endpoints.url}
    failed, error, _, retry, *_ = found
    assert failed["responseStatus"] == error["responseStatus"] == 500
    assert (error["error"], error["responseBody"]) == ("HTTP status 500", "ok")
    assert retry["nextDeliveryTime"] >= retry["time"]
    assert (failed["body"], failed["labels"], failed["maxRetries"]) == ("aGk=", ["eu"], 1)


async def test_lines_come_in_pages_which_may_end_within_an_entry(
    site: Site, endpoints: Endpoints
) -> None:
    endpoints.status = 500
    headers = {"Upstash-Retries": "1", "Upstash-Retry-Delay": "1"}
    message_id = await published(site, endpoints.url, **headers)
    whole = await lines(site, f"messageId={message_id}", 7)
    by_one: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await site.ask("GET", f"/v2/events?count=1&cursor={cursor}")).json
        by_one += page["events"]
        if "cursor" not in page:
            break
        cursor = page["cursor"]
    assert by_one == whole


async def test_lines_are_found_by_filters(site: Site, endpoints: Endpoints) -> None:
    first = await published(site, f"{endpoints.url}/a", **{"Upstash-Label": "eu"})
    second = await published(site, f"{endpoints.url}/b", **{"Upstash-Delay": "1h"})
    await lines(site, f"messageIds={first}", 3)
    await site.ask("DELETE", f"/v2/messages/{second}")
    for query, states in (
        ("label=eu", ["DELIVERED", "ACTIVE", "CREATED"]),
        (f"messageIds={second}", ["CANCELED", "CREATED"]),
        ("state=DELIVERED", ["DELIVERED"]),
        ("state=CANCELLED,DELIVERED", ["CANCELED", "DELIVERED"]),
        ("state=ACTIVE", ["ACTIVE"]),
        ("state=IN_PROGRESS", []),
        ("path=/b", ["CANCELED", "CREATED"]),
        ("fromDate=99999999999999", []),
        ("queueName=q", []),
        ("messageIds=msg_none", []),
    ):
        found = (await site.ask("GET", f"/v2/logs?{query}")).json["logs"]
        assert [one["state"] for one in found] == states, query


async def test_what_is_to_be_redacted_is(site: Site, endpoints: Endpoints, tmp_path: Path) -> None:
    headers = {
        "Upstash-Redact-Fields": "body, header[X-A]",
        "Upstash-Forward-X-A": "secret",
        "Upstash-Forward-X-B": "plain",
        "Upstash-Forward-Api-Key": "hush-hush",
    }
    message_id = await published(site, endpoints.url, **headers)
    (found, *_) = await lines(site, f"messageIds={message_id}", 3)
    assert found["body"].startswith("REDACTED:")
    assert len(found["body"]) == len("REDACTED:") + 64
    assert found["header"]["X-A"][0].startswith("REDACTED:")
    assert found["header"]["X-B"] == ["plain"]
    assert found["header"]["Api-Key"] == ["[hidden]"]
    assert endpoints.seen[0][3] == b"hi"
    assert endpoints.seen[0][2]["x-a"] == "secret"
    stored = [*tmp_path.glob("server.db*")]
    assert len(stored) > 1
    assert not any(b"hush-hush" in path.read_bytes() for path in stored)
