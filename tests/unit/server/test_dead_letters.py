"""Dead letters of messages through the server."""

import asyncio
from typing import Any

from tests.unit.server.conftest import Endpoints, Site


async def failed(site: Site, url: str, count: int = 1, label: str = "") -> list[dict[str, Any]]:
    given = {
        "Upstash-Retries": "0",
        "Upstash-Forward-Authorization": "Bearer x",
        "Upstash-Label": label,
    }
    for n in range(count):
        await site.ask("POST", f"/v2/publish/{url}/{n}", b"hi", headers=given)
    async with asyncio.timeout(10):
        while True:
            letters = (await site.ask("GET", "/v2/dlq")).json["messages"]
            if len(letters) == count:
                return letters
            await asyncio.sleep(0.01)


async def test_a_letter_is_shown_and_sent_again(site: Site, endpoints: Endpoints) -> None:
    endpoints.status = 500
    (letter,) = await failed(site, endpoints.url, label="eu")
    assert (letter["responseStatus"], letter["responseBody"]) == (500, "ok")
    assert letter["responseHeader"]["Content-Length"] == ["2"]
    assert (letter["url"], letter["body"], letter["maxRetries"]) == (f"{endpoints.url}/0", "hi", 0)
    assert letter["header"] == {"Authorization": ["[hidden]"]}
    assert (await site.ask("GET", f"/v2/dlq/{letter['dlqId']}")).json == letter
    endpoints.status = 200
    again = await site.ask("POST", f"/v2/dlq/retry?dlqIds={letter['dlqId']}")
    assert again.status == 201
    assert set(again.json) == {"responses"}
    await endpoints.until(2)
    assert endpoints.seen[1][2]["authorization"] == "Bearer x"
    assert endpoints.seen[1][2]["upstash-message-id"] == again.json["responses"][0]["messageId"]
    assert (await site.ask("GET", "/v2/dlq")).json == {"messages": []}
    for method, target in (("POST", "/v2/dlq/retry/{}"), ("GET", "/v2/dlq/{}")):
        assert (await site.ask(method, target.format(letter["dlqId"]))).status == 404


async def test_one_is_sent_again_by_its_path(site: Site, endpoints: Endpoints) -> None:
    endpoints.status = 500
    (letter,) = await failed(site, endpoints.url)
    again = await site.ask("POST", f"/v2/dlq/retry/{letter['dlqId']}")
    assert (again.status, set(again.json)) == (201, {"messageId"})
    await endpoints.until(2)


async def test_letters_come_in_pages_and_by_filters(site: Site, endpoints: Endpoints) -> None:
    endpoints.status = 404
    letters = await failed(site, endpoints.url, 5)
    first = (await site.ask("GET", "/v2/dlq?count=3")).json
    rest = (await site.ask("GET", f"/v2/dlq?count=3&cursor={first['cursor']}")).json
    assert [*first["messages"], *rest["messages"]] == letters
    assert "cursor" not in rest
    for query, count in (
        ("responseStatus=404", 5),
        ("responseStatus=500", 0),
        (f"url={endpoints.url}/3", 1),
        (f"messageId={letters[0]['messageId']}", 1),
        (f"dlqIds={letters[0]['dlqId']},{letters[1]['dlqId']}", 2),
        ("label=x", 0),
        ("toDate=5", 0),
    ):
        assert len((await site.ask("GET", f"/v2/dlq?{query}")).json["messages"]) == count, query
    assert (await site.ask("GET", "/v2/dlq?cursor=x")).status == 400
    assert (await site.ask("GET", "/v2/dlq?responseStatus=x")).status == 400


async def test_letters_are_deleted(site: Site, endpoints: Endpoints) -> None:
    endpoints.status = 404
    letters = await failed(site, endpoints.url, 5)
    ids = [letter["dlqId"] for letter in letters]
    assert (await site.ask("DELETE", f"/v2/dlq/{ids[0]}")).status == 200
    assert (await site.ask("DELETE", f"/v2/dlq/{ids[0]}")).status == 404
    by_body = await site.ask("DELETE", "/v2/dlq", {"dlqIds": ids[:2]})
    assert by_body.json == {"deleted": 1}
    none = await site.ask("DELETE", "/v2/dlq", {"dlqIds": []})
    assert none.json == {"deleted": 0}
    some = (await site.ask("DELETE", "/v2/dlq?count=2&responseStatus=404")).json
    assert (some["deleted"], bool(some["cursor"])) == (2, True)
    rest = await site.ask("DELETE", f"/v2/dlq?count=2&cursor={some['cursor']}")
    assert rest.json == {"deleted": 1}
