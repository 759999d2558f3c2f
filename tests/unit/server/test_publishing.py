"""Messages through the server: taken as clients write them, delivered, shown, cancelled."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.server.conftest import Endpoints, Reply, Site
from workflow_agents.core.limits import Limits

LATER = {"Upstash-Delay": "1h"}


async def published(site: Site, target: str, body: Any = b"", **options: Any) -> str:
    reply = await site.ask("POST", f"/v2/publish/{target}", body, **options)
    assert reply.status == 200, reply.body
    assert set(reply.json) == {"messageId"}
    return str(reply.json["messageId"])


async def test_a_message_reaches_its_destination_as_it_was_written(
    site: Site, endpoints: Endpoints
) -> None:
    message_id = await published(
        site,
        f"{endpoints.url}/a//b?c=%20d&upstash-forward-x-b=2&qstash_token=none",
        b'{"n":1}',
        headers={"Content-Type": "application/json", "Upstash-Forward-X-A": "1", "X-Own": "3"},
    )
    await endpoints.until(1)
    method, target, headers, body = endpoints.seen[0]
    assert (method, target, body) == ("POST", "/a//b?c=%20d", b'{"n":1}')
    assert headers["upstash-message-id"] == message_id
    assert (headers["x-a"], headers["x-b"]) == ("1", "2")
    assert "x-own" not in headers
    assert "authorization" not in headers
    assert headers["upstash-signature"]


async def test_a_value_that_cannot_be_used_is_told(site: Site, endpoints: Endpoints) -> None:
    for headers in ({"Upstash-Retries": "many"}, {"Upstash-Retry-Delay": "import os"}):
        reply = await site.ask("POST", f"/v2/publish/{endpoints.url}", headers=headers)
        assert reply.status == 400
    assert (await site.ask("POST", "/v2/publish/ftp://a.test")).status == 400
    assert (await site.ask("POST", "/v2/publish/")).status == 400
    assert not endpoints.seen


async def test_a_duplicate_is_accepted_and_told(site: Site, endpoints: Endpoints) -> None:
    headers = {"Upstash-Deduplication-Id": "one"}
    first = await site.ask("POST", f"/v2/publish/{endpoints.url}", headers=headers)
    second = await site.ask("POST", f"/v2/publish/{endpoints.url}", headers=headers)
    assert second.status == 202
    assert second.json == {"messageId": first.json["messageId"], "deduplicated": True}


async def test_content_may_be_what_makes_a_duplicate(site: Site, endpoints: Endpoints) -> None:
    headers = {"Upstash-Content-Based-Deduplication": "True"}
    statuses = [
        (await site.ask("POST", f"/v2/publish/{endpoints.url}", body, headers=headers)).status
        for body in ("a", "b", "a")
    ]
    assert statuses == [200, 200, 202]


async def test_a_queue_is_made_by_the_first_message_that_names_it(
    site: Site, endpoints: Endpoints
) -> None:
    for n in range(3):
        reply = await site.ask("POST", f"/v2/enqueue/orders/{endpoints.url}/x", str(n))
        assert reply.status == 200
    await endpoints.until(3)
    assert [body for *_, body in endpoints.seen] == [b"0", b"1", b"2"]


# Batches.


async def test_a_batch_takes_what_clients_write(site: Site, endpoints: Endpoints) -> None:
    url = endpoints.url
    reply = await site.ask(
        "POST",
        "/v2/batch",
        [
            {"destination": f"{url}/text", "body": "as it is", "headers": {"upstash-retries": "0"}},
            {"destination": f"{url}/json", "body": {"a": [1, "ü"]}, "queue": None},
            {"destination": f"{url}/none", "body": None, "headers": None},
            {"destination": f"{url}/queued", "body": 5, "queue": "q"},
        ],
    )
    assert reply.status == 200
    assert [set(entry) for entry in reply.json] == [{"messageId"}] * 4
    await endpoints.until(4)
    assert {target: body for _, target, _, body in endpoints.seen} == {
        "/text": b"as it is",
        "/json": '{"a":[1,"ü"]}'.encode(),
        "/none": b"",
        "/queued": b"5",
    }


async def test_a_batch_may_be_one_object(site: Site, endpoints: Endpoints) -> None:
    reply = await site.ask("POST", "/v2/batch", {"destination": endpoints.url})
    assert [set(entry) for entry in reply.json] == [{"messageId"}]


async def test_an_item_that_cannot_be_taken_is_told_of_in_its_place(
    site: Site, endpoints: Endpoints
) -> None:
    items: list[Any] = [
        {"destination": endpoints.url},
        {"destination": "ftp://a"},
        {"destination": endpoints.url, "headers": {"Upstash-Delay": "soon"}},
        {"destination": "no-such-group"},
        7,
        {"destination": endpoints.url, "headers": {"x": {}}},
    ]
    reply = await site.ask("POST", "/v2/batch", items)
    assert reply.status == 200
    assert [set(entry) for entry in reply.json] == [{"messageId"}] + [{"error"}] * 5
    assert "Upstash-Delay" in reply.json[2]["error"]


async def test_a_batch_of_which_nothing_can_be_taken_is_refused(site: Site) -> None:
    bad = {"destination": "ftp://a"}
    for items in (bad, [bad], [bad, bad]):
        reply = await site.ask("POST", "/v2/batch", items)
        assert (reply.status, reply.json["code"]) == (400, "WA121")


async def test_a_batch_with_a_step_that_cannot_be_taken_is_refused_as_a_whole(
    site: Site, endpoints: Endpoints
) -> None:
    """An SDK looks at the status only: it would go on as if its run had the step.

    400 tells it that the run is over, 412 that the run has to fail.
    """
    run = {"Upstash-Workflow-RunId": "wfr_1", "Upstash-Workflow-Init": "false"}
    plain = {"destination": endpoints.url}
    for headers, status in ((run, 400), ({**run, "Upstash-Delay": "soon"}, 412)):
        reply = await site.ask(
            "POST", "/v2/batch", [plain, {"destination": endpoints.url, "headers": headers}]
        )
        assert reply.status == status
    assert not endpoints.seen
    assert (await site.ask("DELETE", "/v2/messages")).json == {"cancelled": 0}


async def test_a_batch_may_be_larger_than_one_message(start: Any, endpoints: Endpoints) -> None:
    site = await start(limits=Limits(payload_bytes=100))
    items = [{"destination": endpoints.url, "body": "x" * 100} for _ in range(3)]
    assert (await site.ask("POST", "/v2/batch", items)).status == 200
    large = [{"destination": endpoints.url, "body": "x" * 101}]
    assert (await site.ask("POST", "/v2/batch", large)).status == 413


# URL groups.


async def test_a_url_group_gets_a_message_for_each_endpoint(
    tmp_path: Path, site: Site, endpoints: Endpoints
) -> None:
    with closing(sqlite3.connect(tmp_path / "server.db")) as db, db:
        for name in ("a", "b"):
            values = (f"{endpoints.url}/{name}",)
            db.execute("INSERT INTO url_groups VALUES ('shops', ?, NULL, 1, 1)", values)
    headers = {"Upstash-Deduplication-Id": "one"}
    reply = await site.ask("POST", "/v2/publish/shops", "hello", headers=headers)
    assert [entry["url"] for entry in reply.json] == [f"{endpoints.url}/a", f"{endpoints.url}/b"]
    await endpoints.until(2)
    again = await site.ask("POST", "/v2/publish/shops", "hello", headers=headers)
    assert again.json == [{**entry, "deduplicated": True} for entry in reply.json]
    nested = await site.ask(
        "POST", "/v2/batch", [{"destination": "shops"}, {"destination": endpoints.url}]
    )
    assert [type(entry) for entry in nested.json] == [list, dict]


async def test_a_url_group_that_is_not_there_is_told(site: Site) -> None:
    assert (await site.ask("POST", "/v2/publish/no-such-group")).status == 404


# What was taken.


async def test_a_message_that_waits_is_shown_as_it_was_asked_for(site: Site) -> None:
    before = site.engine.clock.now_ms()
    message_id = await published(
        site,
        "https://a.test/b",
        "hello",
        headers={
            "Content-Type": "text/plain",
            "Upstash-Method": "PUT",
            "Upstash-Delay": "1h",
            "Upstash-Retries": "7",
            "Upstash-Retry-Delay": "1000",
            "Upstash-Forward-X-A": "1",
            "Upstash-Callback": "https://a.test/cb",
            "Upstash-Callback-Retries": "1",
            "Upstash-Flow-Control-Key": "k",
            "Upstash-Flow-Control-Value": "parallelism=2, rate=3, period=1m",
            "Upstash-Label": "x,y",
        },
    )
    shown = (await site.ask("GET", f"/v2/messages/{message_id}")).json
    created, due = shown.pop("createdAt"), shown.pop("notBefore")
    assert before <= created <= site.engine.clock.now_ms()
    assert due == created + 3_600_000
    assert shown == {
        "messageId": message_id,
        "url": "https://a.test/b",
        "method": "PUT",
        "header": {"Content-Type": ["text/plain"], "X-A": ["1"]},
        "body": "hello",
        "maxRetries": 7,
        "retryDelayExpression": "1000",
        "callback": "https://a.test/cb",
        "callbackHeader": {"Upstash-Retries": ["1"]},
        "callerIP": "127.0.0.1",
        "label": "x",
        "labels": ["x", "y"],
        "flowControlKey": "k",
        "parallelism": 2,
        "rate": 3,
        "period": 60,
    }


async def test_bytes_are_shown_in_base64_and_secrets_are_not_shown(site: Site) -> None:
    message_id = await published(site, "https://a.test", b"\xff\x00", headers=LATER)
    shown = (await site.ask("GET", f"/v2/messages/{message_id}")).json
    assert (shown["bodyBase64"], "body" in shown) == ("/wA=", False)
    hidden = {**LATER, "Upstash-Redact-Fields": "body,header[X-A]", "Upstash-Forward-X-A": "1"}
    message_id = await published(site, "https://a.test", "secret", headers=hidden)
    shown = (await site.ask("GET", f"/v2/messages/{message_id}")).json
    assert shown["body"].startswith("REDACTED:")
    assert shown["header"]["X-A"][0].startswith("REDACTED:")


async def test_a_message_that_was_delivered_is_no_longer_shown(
    site: Site, endpoints: Endpoints
) -> None:
    message_id = await published(site, endpoints.url)
    await endpoints.until(1)

    async def gone() -> Reply:
        while (reply := await site.ask("GET", f"/v2/messages/{message_id}")).status == 200:
            await asyncio.sleep(0.01)
        return reply

    assert (await asyncio.wait_for(gone(), 10)).status == 404
    assert (await site.ask("DELETE", f"/v2/messages/{message_id}")).status == 404


@pytest.mark.parametrize(
    "message_id", ["msg_0000000000", "msg_zzzzzzzzzzz", "x", "msg_%00", "%C3%A9"]
)
async def test_an_id_that_names_nothing_is_told(site: Site, message_id: str) -> None:
    for method in ("GET", "DELETE"):
        reply = await site.ask(method, f"/v2/messages/{message_id}")
        assert reply.status == 404


async def test_a_cancelled_message_is_gone(site: Site) -> None:
    message_id = await published(site, "https://a.test", headers=LATER)
    reply = await site.ask("DELETE", f"/v2/messages/{message_id}")
    assert (reply.status, reply.json) == (200, {"cancelled": 1})
    assert (await site.ask("GET", f"/v2/messages/{message_id}")).status == 404


async def test_messages_are_cancelled_by_their_ids(site: Site) -> None:
    ids = [await published(site, "https://a.test", headers=LATER) for _ in range(5)]
    query = f"?messageIds={ids[0]}&messageIds={ids[1]}&messageIds=msg_unknown"
    assert (await site.ask("DELETE", f"/v2/messages{query}")).json == {"cancelled": 2}
    body = {"messageIds": [ids[1], ids[2]]}
    assert (await site.ask("DELETE", "/v2/messages", body)).json == {"cancelled": 1}
    assert (await site.ask("DELETE", "/v2/messages", {"messageIds": []})).json == {"cancelled": 0}
    assert (await site.ask("DELETE", "/v2/messages")).json == {"cancelled": 2}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("url=https://a.test/one", 1),
        ("url=https://a.test/one&url=https://b.test/two", 2),
        ("host=a.test", 2),
        ("path=/two", 1),
        ("label=x", 1),
        ("label=x,y", 2),
        ("label=x&host=b.test", 0),
        ("queueName=q", 1),
        ("flowControlKey=k", 1),
        ("callerIp=127.0.0.1", 3),
        ("callerIP=10.0.0.1", 0),
        ("fromDate=1", 3),
        ("toDate=1", 0),
        ("topicName=g", 0),
        ("scheduleId=s", 0),
    ],
)
async def test_messages_are_cancelled_by_what_they_have(site: Site, query: str, count: int) -> None:
    for target, headers in (
        ("https://a.test/one", {"Upstash-Label": "x", "Upstash-Flow-Control-Key": "k"}),
        ("https://a.test/a,b", {"Upstash-Label": "y"}),
        ("https://b.test/two", {"Upstash-Queue-Name": "q"}),
    ):
        await published(site, target, headers={**LATER, **headers})
    assert (await site.ask("DELETE", f"/v2/messages?{query}")).json == {"cancelled": count}


async def test_many_messages_are_cancelled_by_and_by(site: Site) -> None:
    for _ in range(5):
        await published(site, "https://a.test", headers=LATER)
    first = (await site.ask("DELETE", "/v2/messages?count=3")).json
    assert first["cancelled"] == 3
    last = await site.ask("DELETE", f"/v2/messages?count=3&cursor={first['cursor']}")
    assert last.json == {"cancelled": 2}
    assert (await site.ask("DELETE", "/v2/messages?count=some")).status == 400


async def test_what_was_taken_is_kept_over_a_restart(start: Any) -> None:
    site = await start()
    message_id = await published(site, "https://a.test", headers=LATER)
    await site.engine.stop()
    await site.engine.start()
    assert (await site.ask("GET", f"/v2/messages/{message_id}")).status == 200
