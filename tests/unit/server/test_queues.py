"""Queues through the server."""

from typing import Any

from tests.unit.server.conftest import Endpoints, Site


async def test_a_queue_is_made_changed_and_removed(site: Site) -> None:
    made = await site.ask("POST", "/v2/queues", {"queueName": "q", "parallelism": 3})
    assert made.status == 200
    shown = (await site.ask("GET", "/v2/queues/q")).json
    assert shown["createdAt"] == shown["updatedAt"] > 0
    assert {k: shown[k] for k in ("name", "parallelism", "lag", "paused")} == {
        "name": "q",
        "parallelism": 3,
        "lag": 0,
        "paused": False,
    }
    assert (await site.ask("POST", "/v2/queues/q/pause")).status == 200
    await site.ask("POST", "/v2/queues", {"queueName": "q", "parallelism": 2})
    (listed,) = (await site.ask("GET", "/v2/queues")).json
    assert (listed["parallelism"], listed["paused"]) == (2, True)
    await site.ask("POST", "/v2/queues", {"queueName": "q", "paused": False})
    (listed,) = (await site.ask("GET", "/v2/queues")).json
    assert (listed["parallelism"], listed["paused"]) == (2, False)
    assert (await site.ask("DELETE", "/v2/queues/q")).status == 200
    assert (await site.ask("GET", "/v2/queues/q")).status == 404
    assert (await site.ask("DELETE", "/v2/queues/q")).status == 404
    assert (await site.ask("POST", "/v2/queues/q/resume")).status == 404


async def test_what_is_enqueued_waits_while_the_queue_is_paused(
    site: Site, endpoints: Endpoints
) -> None:
    await site.ask("POST", "/v2/queues", {"queueName": "q", "parallelism": 1, "paused": True})
    for body in (b"1", b"2"):
        reply = await site.ask("POST", f"/v2/enqueue/q/{endpoints.url}", body)
        assert (await site.ask("GET", f"/v2/messages/{reply.json['messageId']}")).json[
            "queueName"
        ] == "q"
    assert (await site.ask("GET", "/v2/queues/q")).json["lag"] == 2
    assert endpoints.seen == []
    await site.ask("POST", "/v2/queues/q/resume")
    await endpoints.until(2)
    assert [body for *_, body in endpoints.seen] == [b"1", b"2"]


async def test_what_cannot_be_a_queue_is_refused(site: Site) -> None:
    bodies: list[Any] = [{}, {"queueName": "a b"}, {"queueName": "q", "parallelism": "2"}, []]
    for body in bodies:
        assert (await site.ask("POST", "/v2/queues", body)).status == 400
    for parallelism in (0, -1, True):
        asked = {"queueName": "q", "parallelism": parallelism}
        assert (await site.ask("POST", "/v2/queues", asked)).status == 400
