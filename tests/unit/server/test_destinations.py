"""Destinations are read from the request's target as the client wrote it."""

from typing import Any

import pytest
from starlette.responses import Response

from workflow_agents.server.answers import Json
from workflow_agents.server.destinations import Target
from workflow_agents.server.routing import Call, Endpoint


def target(text: str) -> Target:
    path, _, query = text.encode().partition(b"?")
    return Target.of({"raw_path": path, "path": path.decode(), "query_string": query})


@pytest.mark.parametrize(
    ("given", "destination"),
    [
        ("https://a.test/b", "https://a.test/b"),
        ("https://a.test", "https://a.test"),
        ("https:/a.test/b", "https://a.test/b"),
        ("http:/127.0.0.1:8000/b", "http://127.0.0.1:8000/b"),
        ("https://a.test//b//c/", "https://a.test//b//c/"),
        ("https://a.test/b%20c%2Fd", "https://a.test/b%20c%2Fd"),
        ("https://a.test/../b", "https://a.test/../b"),
        ("https%3A%2F%2Fa.test%2Fb%3Fc%3Dd", "https://a.test/b?c=d"),
        ("https%3A%2F%2Fa.test%2Fb%3Fc%3Dd?e=f&upstash-retries=1", "https://a.test/b?c=d&e=f"),
        ("https://a.test/b?c=d&e=f", "https://a.test/b?c=d&e=f"),
        (
            "https://a.test/b?c=%20&qstash_token=t&d=https://x/?y",
            "https://a.test/b?c=%20&d=https://x/?y",
        ),
        ("https://a.test/b?Upstash-Delay=1s&upstash-forward-x=1", "https://a.test/b"),
        ("https://a.test/b?flag&x=", "https://a.test/b?flag&x="),
        ("my-group", "my-group"),
        ("my-group?upstash-delay=1s&x=y", "my-group"),
        ("HTTPS://a.test/b", "HTTPS://a.test/b"),
        ("", ""),
    ],
)
def test_the_destination_is_all_that_follows(given: str, destination: str) -> None:
    assert target(f"/v2/publish/{given}").destination(2) == destination
    assert target(f"/v2/enqueue/my%2Fqueue/{given}").destination(3) == destination


def test_parameters_that_configure_the_message_are_told_apart() -> None:
    found = target(
        "/v2/publish/https://a.test?a=1&upstash-delay=1%20s&Upstash-Label=a&upstash-label=b"
    )
    assert found.configuration == {
        "upstash-delay": ["1 s"],
        "Upstash-Label": ["a"],
        "upstash-label": ["b"],
    }
    assert found.parameters["a"] == ["1"]


def test_segments_are_decoded_one_by_one() -> None:
    found = target("/v2/notify/wfr_1/a%2Fb%20c")
    assert [found.decoded(n) for n in range(5)] == ["v2", "notify", "wfr_1", "a/b c", ""]


def test_bytes_outside_ascii_are_encoded() -> None:
    found = Target.of(
        {"raw_path": "/v2/publish/https://a.test/ü".encode(), "path": "", "query_string": b""}
    )
    assert found.destination(2) == "https://a.test/%C3%BC"


async def test_no_part_of_the_server_changes_the_target_before(start: Any) -> None:
    async def tell(call: Call) -> Response:
        return Json(call.target.destination(2))

    site = await start(endpoints=[Endpoint("POST", "/v2/publish/{rest:path}", tell, "Publish")])
    for given in ("https://a.test//b/../c%2Fd?e=%20&f", "https:/a.test/", "group"):
        reply = await site.ask("POST", f"/v2/publish/{given}")
        assert reply.json == given.replace("https:/a", "https://a")
