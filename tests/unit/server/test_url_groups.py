"""URL groups through the server."""

from typing import Any

from tests.unit.server.conftest import Endpoints, Site


async def test_a_group_is_made_published_to_and_removed(site: Site, endpoints: Endpoints) -> None:
    ends = [{"url": f"{endpoints.url}/a", "name": "a"}, {"url": f"{endpoints.url}/b"}]
    assert (await site.ask("POST", "/v2/topics/g/endpoints", {"endpoints": ends})).status == 200
    shown = (await site.ask("GET", "/v2/topics/g")).json
    assert shown["endpoints"] == ends
    assert (await site.ask("GET", "/v2/topics")).json == [shown]
    headers = {"Upstash-Deduplication-Id": "one"}
    first = await site.ask("POST", "/v2/publish/g", b"hi", headers=headers)
    await endpoints.until(2)
    assert sorted(target for _, target, *_ in endpoints.seen) == ["/a", "/b"]
    assert {headers["upstash-topic-name"] for *_, headers, _ in endpoints.seen} == {"g"}
    again = (await site.ask("POST", "/v2/publish/g", b"hi", headers=headers)).json
    assert again == [{**one, "deduplicated": True} for one in first.json]
    gone = {"endpoints": [{"name": "a"}]}
    assert (await site.ask("DELETE", "/v2/topics/g/endpoints", gone)).status == 200
    assert (await site.ask("GET", "/v2/topics/g")).json["endpoints"] == ends[1:]
    assert (await site.ask("DELETE", "/v2/topics/g")).status == 200
    assert (await site.ask("GET", "/v2/topics/g")).status == 404
    assert (await site.ask("POST", "/v2/publish/g")).status == 404


async def test_what_cannot_be_an_endpoint_is_refused(site: Site) -> None:
    wrong: list[Any] = [None, [{}], [{"name": "a"}], [{"url": "ftp://a.test"}], [{"url": 3}], ["x"]]
    for ends in wrong:
        reply = await site.ask("POST", "/v2/topics/g/endpoints", {"endpoints": ends})
        assert reply.status == 400
    reply = await site.ask("POST", "/v2/topics/a%20b/endpoints", {"endpoints": []})
    assert reply.status == 400
    gone = {"endpoints": [{"url": "https://a.test"}]}
    assert (await site.ask("DELETE", "/v2/topics/g/endpoints", gone)).status == 404
