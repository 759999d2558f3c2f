"""Requests that are small to send and large to read: refused, or read no further than they came."""

import asyncio
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.world import HOST, PAYLOAD_BYTES, Asked, Reply, World, ask, open_world
from workflow_agents.server.settings import DEV_TOKEN

ACCESS = [(b"host", HOST), (b"authorization", f"Bearer {DEV_TOKEN}".encode())]
DESTINATION = {"destination": "https://a.test/", "headers": {"upstash-delay": "1h"}}


async def sent(
    world: World, method: str, target: str, body: bytes, headers: dict[str, str] | None = None
) -> Reply:
    given = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return await ask(world.app, Asked(method, target.encode(), [*ACCESS, *given], (body,)))


# What is compressed is not unpacked: it is the destination's, and is handed on as it came.

ZEROS = bytes(20 * 2**20)
COMPRESSED = {
    "gzip": gzip.compress(ZEROS, 9),
    "deflate": zlib.compress(ZEROS, 9),
    "br": bytes.fromhex("cbffff3f000024e2b1452000fe7b6b0508"),
    "zstd": bytes.fromhex("28b52ffda40000400154000010000001"),
    "gzip, gzip": gzip.compress(gzip.compress(ZEROS, 9), 9),
}


@pytest.mark.parametrize("encoding", COMPRESSED)
async def test_a_compressed_body_is_handed_on_as_it_came(tmp_path: Path, encoding: str) -> None:
    body, headers = COMPRESSED[encoding], {"content-encoding": encoding}
    assert len(body) < PAYLOAD_BYTES
    async with open_world(tmp_path / "a.db") as world:
        target = f"/v2/publish/{world.origin}/ok"
        assert (await sent(world, "POST", target, body, headers)).status == 200
        await world.until_delivered(body)


async def test_compressed_json_is_no_json(tmp_path: Path) -> None:
    async with open_world(tmp_path / "a.db") as world:
        body = gzip.compress(b'{"queueName":"q"}')
        reply = await sent(world, "POST", "/v2/queues", body, {"content-encoding": "gzip"})
        assert (reply.status, json.loads(reply.body)["code"]) == (400, "WA204")
        assert world.engine.wire.queues.all() == []


# JSON.


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b"[" * 24_000 + b"]" * 24_000,
        b'{"a":' * 8_000 + b"1" + b"}" * 8_000,
        b'[{"a":' * 5_000,
        b'{"a":"' + b'\\"' * 24_000,
        b"[" + b"[" * 64 + b"]" * 64 + b"]",
    ],
    ids=lambda body: body[:6].decode(),
)
async def test_deep_json_is_refused_wherever_json_is_read(tmp_path: Path, body: bytes) -> None:
    places = [
        *(("POST", "/v2/batch"), ("POST", "/v2/batch/trigger"), ("POST", "/v2/queues")),
        *(("POST", "/v2/topics/g/endpoints"), ("DELETE", "/v2/topics/g/endpoints")),
        *(("DELETE", "/v2/messages"), ("DELETE", "/v2/dlq"), ("POST", "/v2/dlq/retry")),
        *(("DELETE", "/v2/workflows/dlq"), ("POST", "/v2/workflows/dlq/resume")),
        ("POST", "/v2/workflows/dlq/restart"),
    ]
    async with open_world(tmp_path / "a.db") as world:
        for method, target in places:
            reply = await sent(world, method, target, body)
            assert (reply.status, json.loads(reply.body)["code"]) == (400, "WA204"), target
            assert len(reply.body) < 1_000
        of_run = {"upstash-workflow-runid": "wfr_1", "upstash-workflow-init": "false"}
        begins = {**of_run, "upstash-workflow-init": "true", "upstash-workflow-invoke": "true"}
        for target, headers in (("/v2/wait/a", of_run), ("/v2/publish/https://a.test/", begins)):
            reply = await sent(world, "POST", target, body, headers)
            assert reply.status == 412, target
        assert world.troubles.found == []


# Many parts.


@pytest.mark.parametrize("target", ["/v2/batch", "/v2/batch/trigger"])
@pytest.mark.parametrize("item", [0, {}, {"destination": "https://a.test/"}], ids=str)
async def test_a_batch_of_too_many_is_refused_as_a_whole(
    tmp_path: Path, target: str, item: Any
) -> None:
    async with open_world(tmp_path / "a.db") as world:
        reply = await sent(world, "POST", target, json.dumps([item] * 10_001).encode())
        assert (reply.status, json.loads(reply.body)["code"]) == (413, "WA501")
        assert "at most 10,000" in json.loads(reply.body)["error"]
        assert world.engine.store.size()["deliveries"] == 0


@pytest.mark.parametrize("item", [{}, DESTINATION], ids=["none can be read", "all are taken"])
async def test_others_are_answered_while_a_large_batch_is_read(tmp_path: Path, item: Any) -> None:
    async with open_world(tmp_path / "a.db") as world:
        body = json.dumps([item] * 1_000).encode()
        large = asyncio.create_task(sent(world, "POST", "/v2/batch", body))
        answered = 0
        while not large.done():
            assert (await sent(world, "GET", "/health", b"")).status == 200
            await asyncio.sleep(0)
            answered += 1
        assert (await large).status == (200 if item else 400)
        assert answered > 8


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("DELETE", "/v2/messages", "messageIds"),
        ("DELETE", "/v2/dlq", "dlqIds"),
        ("POST", "/v2/dlq/retry", "dlqIds"),
        ("DELETE", "/v2/workflows/dlq", "dlqIds"),
        ("POST", "/v2/workflows/dlq/resume", "dlqIds"),
        ("POST", "/v2/workflows/dlq/restart", "dlqIds"),
    ],
)
async def test_too_many_ids_are_refused(
    tmp_path: Path, method: str, target: str, name: str
) -> None:
    async with open_world(tmp_path / "a.db") as world:
        few = await sent(world, method, target, json.dumps({name: ["a"] * 1_000}).encode())
        assert few.status in {200, 201}
        many = await sent(world, method, target, json.dumps({name: ["a"] * 1_001}).encode())
        assert many.status == 400
        assert "at most 1,000 ids" in json.loads(many.body)["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {f"upstash-forward-{n}": "x" for n in range(1_001)},
        {"upstash-forward-a": "x" * 140_000},
        {"upstash-callback": "https://a.test/", "upstash-callback-forward-a": "x" * 140_000},
    ],
    ids=["many", "large", "of a callback"],
)
async def test_headers_of_an_item_are_limited_as_those_of_a_request(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with open_world(tmp_path / "a.db") as world:
        body = json.dumps([{**DESTINATION, "headers": headers}]).encode()
        reply = await sent(world, "POST", "/v2/batch", body)
        assert (reply.status, json.loads(reply.body)["code"]) == (400, "WA121")
        fit = {name: value[:60_000] for name, value in [*headers.items()][:1_000]}
        body = json.dumps([{**DESTINATION, "headers": fit}]).encode()
        assert (await sent(world, "POST", "/v2/batch", body)).status == 200


async def test_a_chain_of_callbacks_is_read_as_far_as_names_reach(tmp_path: Path) -> None:
    async with open_world(tmp_path / "a.db") as world:
        url = f"{world.origin}/ok"
        chain = {f"upstash-{'callback-' * depth}callback": url for depth in range(60)}
        body = json.dumps([{"destination": url, "headers": chain}]).encode()
        assert (await sent(world, "POST", "/v2/batch", body)).status in {200, 400}
        assert world.troubles.found == []


# Heads.


async def test_huge_heads_are_refused_before_anything_is_done_with_them(tmp_path: Path) -> None:
    async with open_world(tmp_path / "a.db") as world:
        for path in {route.path for route in world.app._app.routes}:
            target = path.replace("{", "").replace("}", "").replace(":path", "")
            for method in ("GET", "POST"):
                headers = {f"x-{n}": "y" * 100 for n in range(700)}
                assert (await sent(world, method, target, b"", headers)).status == 431
                assert (await sent(world, method, f"{target}?{'a' * 17_000}", b"")).status == 414
