"""The example shop, served by the official JS SDK and by us, before the same strict stand-in.

Goal: without our flag, a server is sent what the official SDK sends: every message of the run and
of the one that it invokes, in order, with every header and every member of its body. The official
Python SDK knows three kinds of steps only: `tests/wire/test_official_sdk.py` compares those.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Set
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.test_four_modes import Shop, order, result
from tests.official.processes import JS, Child
from tests.wire.stand_in import CURRENT_KEY, NEXT_KEY, TOKEN, StandIn
from workflow_agents import AsyncClient
from workflow_agents.protocol.times import duration_ms

ROUTE = "a route of ours may say how often it is tried; in JS only a trigger does"
SAME = "it is the default: in waits JS leaves it out, elsewhere it sends it"
TRANSPORT = "JS hands on what belongs to one request only; a server ignores it"
FETCH = "the runtime names a type for text that is sent; a server does not look at it"
TELEMETRY = "we send no telemetry"

ONLY_OURS = {
    "upstash-retries": ROUTE,
    "upstash-retry-delay": ROUTE,
    "upstash-forward-idempotency-key": "whoever is called can tell that a call is made again",
    "upstash-method": SAME,
}
"""Headers that we send and the official SDK does not, with the reason."""

ONLY_THEIRS = {
    **dict.fromkeys(
        ("upstash-telemetry-sdk", "upstash-telemetry-framework", "upstash-telemetry-runtime"),
        TELEMETRY,
    ),
    **{
        f"upstash-forward-{name}": TRANSPORT
        for name in (
            "accept-encoding", "connection", "content-length", "content-type", "host",
            "upstash-signature", "user-agent",
        )
    },
    "content-type": FETCH,
}  # fmt: skip
"""Headers that the official SDK sends and we do not, with the reason."""

Sent = tuple[str, str, dict[str, str], Any]


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    server = StandIn()
    await server.start()
    yield server
    await server.stop()
    assert not server.violations, "\n".join(server.violations)


async def test_the_shop_on_both(packages: None, server: StandIn, tmp_path: Path) -> None:
    variables = {
        "QSTASH_URL": server.url,
        "QSTASH_TOKEN": TOKEN,
        "QSTASH_CURRENT_SIGNING_KEY": CURRENT_KEY,
        "QSTASH_NEXT_SIGNING_KEY": NEXT_KEY,
    }
    official = Child(["node", "apps/shop.mjs"], variables, cwd=JS)
    shop = Shop(tmp_path)
    shop.env |= variables
    shop.serve()
    try:
        await asyncio.to_thread(official.wait_for, lambda lines: len(lines) > 0)
        theirs = await sent_by(server, shop, json.loads(official.lines[0])["shop"])
        await shop.ask("GET", "/rate")
        ours = await sent_by(server, shop, shop.url)
    finally:
        await shop.stop()
        official.stop()

    assert [kind(s) for s in ours] == [kind(s) for s in theirs]
    found: set[str] = set()
    for mine, other in zip(ours, theirs, strict=True):
        found |= compare(mine, other)
    assert found == {*ONLY_OURS, *ONLY_THEIRS}, "a difference that is allowed for is no more"


async def sent_by(server: StandIn, shop: Shop, url: str) -> list[Sent]:
    """Let an order come to its end; what its endpoint has sent, in one form."""
    server.now_ms = 1_735_689_600_000
    begin, known = len(server.submitted), {*server.runs}
    body = json.dumps(order(1), separators=(",", ":")).encode()
    address = f"{url}/workflows/order"
    headers = {
        "upstash-signature": server.sign(address, body),
        "content-type": "application/json",
        "x-tenant": "acme",
    }
    answer = await shop.http.post(address, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    run_id = answer.json()["workflowRunId"]
    async with AsyncClient(TOKEN, base_url=server.url) as client, asyncio.timeout(30):
        while not await client.notify("paid-o-1", {"euros": 40}):
            await server.pass_time("1s")
    async with asyncio.timeout(30):
        while server.runs[run_id].state == "RUN_STARTED":
            await server.pass_time("1s")
    assert json.loads(server.runs[run_id].result or b"") == result(1)
    [child] = {*server.runs} - known - {run_id}

    def general(text: str) -> str:
        named = text.replace(url, "https://shop").replace(server.url, "https://qstash")
        named = named.replace(run_id, "wfr_order").replace(child, "wfr_shipping")
        return re.sub(r"evt_[\w-]+", "evt_1", named)

    # Which member of a group is visited first is the server's to say.
    return sorted(messages(server.submitted[begin:], general), key=lambda sent: str(kind(sent)))


def messages(submitted: list[Any], general: Any) -> Any:
    """What was submitted, a message each; without what is random in each run."""
    for method, path, outer, content in submitted:
        if method == "GET" or path.startswith(FROM_OUTSIDE):
            continue
        items = [{"destination": None, "headers": outer, "body": content.decode()}]
        if path == "/v2/batch":
            items = json.loads(content)
        for item in items:
            headers = {
                n.lower(): general(v)
                for n, v in item["headers"].items()
                if n.lower().startswith(("upstash-", "content-type"))
            }
            told = item.get("body") or ""
            text = general(told if isinstance(told, str) else json.dumps(told))
            data = json.loads(text) if text else None
            to = item["destination"] or path.removeprefix("/v2/publish/")
            yield method, general(to), headers, data


FROM_OUTSIDE = ("/v2/notify/paid-", "/v2/workflows/hooks/")


def kind(sent: Sent) -> tuple[str, str, Any]:
    """Enough of a message to see which one is missing."""
    method, to, headers, data = sent
    step = data.get("stepName") if isinstance(data, dict) else None
    return method, to, step or headers.get("upstash-workflow-init")


def compare(ours: Sent, theirs: Sent) -> set[str]:
    """The headers in which the two differ; each is allowed for."""
    found = compare_headers(ours[2], theirs[2])
    mine, other = ours[3], theirs[3]
    if isinstance(mine, dict):
        mine, other = dict(mine), dict(other)
        # How the run is visited when the wait, or the invoked run, has ended.
        for name in ("headers", "timeoutHeaders"):
            if "workflowUrl" in mine or "timeoutUrl" in mine:
                found |= compare_headers(*(flat(data.pop(name, {})) for data in (mine, other)))
        for data in (mine, other):
            one_form(data)
    assert mine == other, kind(ours)
    return found


def compare_headers(mine: dict[str, str], other: dict[str, str]) -> set[str]:
    """See `compare`; a name says what it is in any case."""
    only_ours, only_theirs = mine.keys() - other.keys(), other.keys() - mine.keys()
    assert plain(only_ours) <= {*ONLY_OURS}
    assert plain(only_theirs) <= {*ONLY_THEIRS}
    assert {n: mine[n] for n in mine.keys() & other.keys()} == {
        n: other[n] for n in mine.keys() & other.keys()
    }
    return plain(only_ours) | plain(only_theirs)


def flat(headers: dict[str, list[str]]) -> dict[str, str]:
    """As they are written in JSON: one value each."""
    assert all(len(values) == 1 for values in headers.values())
    return {name.lower(): values[0] for name, values in headers.items()}


def one_form(data: dict[str, Any]) -> None:
    """What may be written in several ways, in one of them."""
    for name in ("timeout", "sleepFor"):
        if name in data and ("timeoutUrl" in data or "stepType" in data):
            data[name] = duration_ms(data[name])
    if data.get("stepType") == "SleepFor":
        assert data.pop("out", "null") == "null"  # left out by JS; PY writes null
    if data.get("stepType") == "Call" and "out" in data:
        answer = json.loads(data["out"])
        del answer["header"]  # of uvicorn, and of Node
        data["out"] = answer
    elif "out" in data:
        data["out"] = json.loads(data["out"])


def plain(names: Set[str]) -> set[str]:
    """Of a callback, what it repeats of the message itself."""
    callbacks = "upstash-failure-callback-", "upstash-callback-"
    for prefix in callbacks:
        names = {f"upstash-{n.removeprefix(prefix)}" if n.startswith(prefix) else n for n in names}
    return {*names}
