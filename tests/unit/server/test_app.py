"""Whatever a request asks for: who may ask, from where, and how much."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from starlette.responses import Response

from tests.fuzz.world import Asked, ask
from tests.unit.server.conftest import READ_TOKEN, SETTINGS, Site
from workflow_agents.core.limits import Limits
from workflow_agents.errors import (
    ConfigurationError,
    LimitError,
    NotFound,
    RemoteError,
    StateError,
    StoreError,
    WorkflowAgentsError,
)
from workflow_agents.server import waits
from workflow_agents.server.answers import Json
from workflow_agents.server.app import create_app
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.server.settings import DEV_ACCOUNTS, DEV_TOKEN, ServerSettings


async def echo(call: Call) -> Response:
    return Json({"body": (await call.body()).decode(), "user": call.account and call.account.user})


async def read(call: Call) -> Response:
    return Json(await call.json({}))


ECHO = (
    Endpoint("GET POST DELETE", "/v2/echo", echo, "Echo"),
    Endpoint("POST", "/v2/json", read, "JSON", batch=True),
    Endpoint("POST", "/v2/hook", echo, "A hook", public=True, foreign=True),
)


# Tokens.


async def test_a_token_lets_in_by_header_or_by_query(site: Site) -> None:
    assert (await site.ask("GET", "/v2/keys")).status == 200
    assert (await site.ask("GET", f"/v2/keys?qstash_token={DEV_TOKEN}", token=None)).status == 200


@pytest.mark.parametrize("token", [None, "", "wrong", DEV_TOKEN[:-1], DEV_TOKEN + "=", "é"])
async def test_without_a_token_of_the_server_nothing_is_told(site: Site, token: Any) -> None:
    reply = await site.ask("GET", "/v2/keys", token=token)
    assert reply.status == 401
    assert reply.json["error"].startswith("unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_a_token_of_another_scheme_is_none(site: Site) -> None:
    reply = await site.ask(
        "GET", "/v2/keys", token=None, headers={"Authorization": f"Basic {DEV_TOKEN}"}
    )
    assert reply.status == 401


async def test_a_read_only_token_reads(start: Any) -> None:
    site = await start(endpoints=ECHO)
    assert (await site.ask("GET", "/v2/echo", token=READ_TOKEN)).json["user"] == "reader"
    for method in ("POST", "DELETE"):
        reply = await site.ask(method, "/v2/echo", token=READ_TOKEN)
        assert (reply.status, reply.json) == (403, {"error": "the token may only read"})


async def test_each_test_user_has_keys_of_their_own(site: Site) -> None:
    """Source: protocol 9."""
    token = "eyJVc2VySUQiOiJ0ZXN0VXNlcjIiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9"
    assert (await site.ask("GET", "/v2/keys", token=token)).json == {
        "current": "sig_6jWGaWRxHsw4vMSPJprXadyvrybF",
        "next": "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx",
    }


def test_the_well_known_token_is_the_documented_one() -> None:
    assert DEV_TOKEN == ("eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=")


@pytest.mark.parametrize("options", [{"dev": False}, {"dev": True, "host": "0.0.0.0"}])
def test_well_known_tokens_stay_on_this_machine(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as told:
        ServerSettings(accounts=DEV_ACCOUNTS, **options)
    assert told.value.code == "WA122"


# Where a request comes from.


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8080", "app.localhost"])
async def test_names_of_this_machine_are_known(site: Site, host: str) -> None:
    assert (await site.ask("GET", "/health", host=host)).status == 200


@pytest.mark.parametrize("host", ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "a@b"])
@pytest.mark.parametrize("target", ["/health", "/v2/keys", "/nothing"])
async def test_a_name_that_could_be_a_web_pages_is_refused(
    site: Site, host: str, target: str
) -> None:
    """DNS may let any name stand for 127.0.0.1; the page of that name then reads what it likes."""
    assert (await site.ask("GET", target, host=host)).status == 421


async def test_further_names_may_be_allowed(start: Any) -> None:
    site = await start(settings=replace(SETTINGS, hosts=frozenset({"queue.shop.test"})))
    assert (await site.ask("GET", "/health", host="queue.shop.test:443")).status == 200
    assert (await site.ask("GET", "/health", host="shop.test")).status == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_pages_of_other_origins_change_nothing(
    start: Any, headers: dict[str, str], status: int
) -> None:
    site = await start(endpoints=ECHO)
    target = f"/v2/echo?qstash_token={DEV_TOKEN}"
    assert (await site.ask("POST", target, token=None, headers=headers)).status == status
    assert (await site.ask("GET", target, token=None, headers=headers)).status == 200
    assert (await site.ask("POST", "/v2/hook", token=None, headers=headers)).status == 200


async def test_no_page_of_another_origin_may_read(site: Site) -> None:
    reply = await site.ask("GET", "/v2/keys", headers={"Origin": "https://evil.test"})
    assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_a_path_that_climbs_reaches_nothing(start: Any) -> None:
    site = await start(endpoints=ECHO)
    for target in ("/v2/hook/../echo", "/v2/hook/%2e%2e/echo", "//v2/echo", "/v2//echo"):
        assert (await site.ask("POST", target, token=None)).status in {401, 404}


# How much, and how often.


async def test_a_body_over_the_limit_is_not_read(start: Any) -> None:
    site = await start(endpoints=ECHO, limits=Limits(payload_bytes=100))
    assert (await site.ask("POST", "/v2/echo", b"x" * 100)).status == 200
    reply = await site.ask("POST", "/v2/echo", headers={"Content-Length": "101"})
    assert reply.status == 413
    assert "at most 100 bytes" in reply.json["error"]


async def test_a_body_that_does_not_say_how_long_it_is_is_cut(start: Any) -> None:
    site = await start(endpoints=ECHO, limits=Limits(payload_bytes=100))
    headers = {"Transfer-Encoding": "chunked"}
    reply = await site.ask("POST", "/v2/echo", b"65\r\n" + b"x" * 0x65 + b"\r\n", headers=headers)
    assert reply.status == 413
    whole = b"3\r\nabc\r\n0\r\n\r\n"
    assert (await site.ask("POST", "/v2/echo", whole, headers=headers)).json["body"] == "abc"


async def test_a_body_that_does_not_come_is_not_waited_for(start: Any) -> None:
    site = await start(endpoints=ECHO, settings=replace(SETTINGS, body_seconds=0.05))
    reply = await site.ask("POST", "/v2/echo", b"ab", headers={"Content-Length": "3"})
    assert reply.status == 408


async def test_long_addresses_and_headers_are_refused(start: Any) -> None:
    small = replace(SETTINGS, target_bytes=100, header_bytes=1_000)
    site = await start(endpoints=ECHO, settings=small)
    assert (await site.ask("GET", f"/v2/echo?{'x' * 100}")).status == 414
    assert (await site.ask("GET", "/v2/echo", headers={"X": "y" * 1_000})).status == 431


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[1",
        "NaN",
        "[Infinity]",
        "1e999",
        "9" * 5_000,
        "[" * 65 + "]" * 65,
        "[" * 100_000,
        b"\xff",
    ],
)
async def test_what_is_no_json_is_refused(start: Any, body: str | bytes) -> None:
    site = await start(endpoints=ECHO)
    reply = await site.ask("POST", "/v2/json", body)
    assert (reply.status, reply.json["code"]) == (400, "WA204")
    assert len(reply.body) < 1_000


async def test_brackets_in_text_are_no_depth(start: Any) -> None:
    site = await start(endpoints=ECHO)
    body = json.dumps({"a": "[" * 1_000, "b": '"' + "{" * 1_000})
    assert (await site.ask("POST", "/v2/json", body)).json == json.loads(body)
    deep = "[" * 64 + "]" * 64
    assert (await site.ask("POST", "/v2/json", deep)).status == 200


async def test_a_token_that_asks_too_often_is_told_when_to_ask_again(start: Any) -> None:
    site = await start(endpoints=ECHO, settings=replace(SETTINGS, rate=2.0))
    replies = [await site.ask("GET", "/v2/echo") for _ in range(6)]
    assert [r.status for r in replies][:4] == [200, 200, 200, 200]
    refused = replies[-1]
    assert refused.status == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["burst-ratelimit-limit"] == "2"
    assert (await site.ask("GET", "/v2/echo", token=READ_TOKEN)).status == 200


async def test_who_guesses_tokens_is_slowed_down(start: Any) -> None:
    site = await start(endpoints=ECHO, settings=replace(SETTINGS, stranger_rate=1.0))
    statuses = [(await site.ask("GET", "/v2/echo", token=f"guess{n}")).status for n in range(4)]
    assert statuses == [401, 401, 429, 429]
    assert (await site.ask("GET", "/v2/echo")).status == 200


# Errors.


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("WA102"), 400),
        (StateError("WA608"), 400),
        (NotFound("WA606"), 404),
        (LimitError("WA501"), 413),
        (LimitError("WA503"), 412),
        (LimitError("WA504"), 400),
        (StoreError("WA602"), 503),
        (RemoteError("WA301"), 500),
    ],
)
async def test_an_error_has_a_status_and_a_text(
    start: Any, error: WorkflowAgentsError, status: int
) -> None:
    async def fail(_call: Call) -> Response:
        raise error

    site = await start(endpoints=[Endpoint("GET", "/v2/fail", fail, "Fails")])
    reply = await site.ask("GET", "/v2/fail")
    assert reply.status == status
    assert isinstance(reply.json["error"], str)
    assert reply.json["code"] == error.code


async def test_what_nobody_expected_is_told_to_nobody_outside(
    start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_call: Call) -> Response:
        raise KeyError("secret")

    site = await start(endpoints=[Endpoint("GET", "/v2/fail", fail, "Fails")])
    reply = await site.ask("GET", "/v2/fail")
    assert (reply.status, reply.json) == (500, {"error": "internal error"})
    assert "secret" in caplog.text


async def test_a_query_that_is_no_text_is_one_like_any_other(site: Site) -> None:
    """Even where a request fails: what is told in the log of its address is what can be read."""

    async def fail(_call: Call) -> Response:
        raise KeyError("secret")

    failing = Endpoint("GET", "/v2/fail", fail, "Fails", public=True)
    app = create_app(site.engine, SETTINGS, [*ECHO, *waits.endpoints, failing])
    for path, status in (
        (b"/v2/workflows/hooks/defaultUser/wfr_1/paid", 404),
        (b"/v2/echo", 401),
        (b"/v2/fail", 500),
    ):
        asked = Asked("GET", path + b"?a=\x98\xff", [(b"host", b"localhost")])
        reply = await ask(app, asked)
        assert (reply.status, b"error" in reply.body) == (status, True)


async def test_there_is_nothing_elsewhere(site: Site) -> None:
    for target in ("/", "/v2", "/v2/nothing", "/v2/keys/"):
        reply = await site.ask("GET", target)
        assert reply.status == 404
        assert "error" in reply.json


async def test_a_method_that_an_address_has_not_is_refused_as_all_else_is(site: Site) -> None:
    reply = await site.ask("PUT", "/v2/keys")
    assert (reply.status, reply.headers["allow"]) == (405, "GET")
    assert "error" in reply.json


# The rooms of this part.


async def test_health_tells_whether_the_store_can_be_read(site: Site) -> None:
    reply = await site.ask("GET", "/health", token=None)
    assert (reply.status, reply.json) == (200, {"status": "ok"})
    site.engine.store.close()
    reply = await site.ask("GET", "/health", token=None)
    assert reply.status == 503
    site.engine.store.open()


async def test_it_is_ready_while_it_can_write_and_does_not_stop(site: Site) -> None:
    async def ready() -> tuple[int, str]:
        reply = await site.ask("GET", "/ready", token=None)
        return reply.status, reply.json.get("reason", "")

    assert await ready() == (200, "")
    site.engine.store.db.execute("PRAGMA query_only=1")
    status, reason = await ready()
    assert status == 503
    assert reason
    # It can still be read, so there is no use in a restart.
    assert (await site.ask("GET", "/health", token=None)).status == 200
    site.engine.store.db.execute("PRAGMA query_only=0")
    assert await ready() == (200, "")
    site.engine.hang_up()
    assert await ready() == (503, "the engine stops")
    assert (await site.ask("GET", "/health", token=None)).status == 200


async def test_the_description_names_each_endpoint(start: Any) -> None:
    site = await start(endpoints=ECHO)
    reply = await site.ask("GET", "/openapi.json", token=None)
    document = reply.json
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {"/v2/echo", "/v2/json", "/v2/hook"}
    assert set(document["paths"]["/v2/echo"]) == {"get", "post", "delete"}
    assert document["paths"]["/v2/hook"]["post"]["security"] == []
    assert document["servers"] == [{"url": f"http://127.0.0.1:{site.port}"}]


async def test_answers_are_given_at_the_same_time(start: Any) -> None:
    met = asyncio.Barrier(3)

    async def meet(_call: Call) -> Response:
        await met.wait()
        return Json({})

    site = await start(endpoints=[Endpoint("GET", "/v2/meet", meet, "Meets")])
    replies = await asyncio.gather(*(site.ask("GET", "/v2/meet") for _ in range(3)))
    assert {reply.status for reply in replies} == {200}


async def test_the_payload_of_a_run_is_no_result_of_a_step(start: Any) -> None:
    site = await start(limits=Limits(result_bytes=10))
    began = await site.ask("POST", "/v2/trigger/https://example.com/w", "x" * 20)
    assert (began.status, list(began.json)) == (200, ["workflowRunId", "workflowCreatedAt"])
