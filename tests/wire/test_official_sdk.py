"""The same workflow, served by the official Python SDK 2.0.0 and by us, before the same server.

What the two submit is compared field by field. The official Python SDK speaks an older form of
the protocol than the JS SDK, which we follow; what may differ is listed here, with the reason.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI

from tests.wire.conftest import AppOnLoopback, WireSite
from tests.wire.stand_in import Run, StandIn

ONCE = "the configuration is given once, with the trigger (WF_TriggerOnConfig); PY repeats it"
JS_ONLY = "the JS SDK sends it, PY does not"
NULLS = "PY writes members without a value as null, JS leaves them out"
SPACING = "PY writes JSON with spaces; compared as data"
TRANSPORT = "PY forwards what belongs to one request only; a server ignores it"

ONLY_OURS = {
    "upstash-method": JS_ONLY,
    "upstash-workflow-sdk-version": JS_ONLY,
    "upstash-forward-idempotency-key": "whoever is called can tell that a call is made again",
}
"""Headers that we send and the official SDK does not."""

ONLY_THEIRS = {
    **{
        f"upstash-{callback}{name}": ONCE
        for callback in ("failure-callback", "callback-failure-callback")
        for name in (
            "", "-feature-set", "-workflow-runid", "-workflow-init", "-workflow-url",
            "-workflow-calltype", "-retries", "-forward-upstash-workflow-is-failure",
            "-forward-upstash-workflow-failure-callback",
        )
    },
    "upstash-retries": ONCE,
    "upstash-callback-retries": ONCE,
    "upstash-failure-callback-retries": ONCE,
    "upstash-forward-x-tenant": ONCE,
    "upstash-callback-forward-x-tenant": ONCE,
    "upstash-failure-callback-forward-x-tenant": ONCE,
    **{
        f"{prefix}{name}": TRANSPORT
        for prefix in (
            "upstash-forward-",
            "upstash-callback-forward-",
            "upstash-failure-callback-forward-",
        )
        for name in (
            "accept", "accept-encoding", "connection", "content-length", "content-type", "host",
            "upstash-caller-ip", "upstash-message-id", "upstash-retried", "upstash-signature",
            "user-agent",
        )
    },
}  # fmt: skip
"""Headers that the official SDK sends and we do not."""

DIFFERENT = {
    "upstash-feature-set": ONCE,
    "upstash-callback-feature-set": ONCE,
    "upstash-failure-callback-feature-set": ONCE,
    "upstash-timeout": "PY sends the number as it is, the protocol takes both",
}
"""Headers with another value."""

ONLY_THEIRS_IN_STEPS = {
    "method": NULLS, "sleepFor": NULLS, "sleepUntil": NULLS, "targetStep": NULLS,
    "callUrl": NULLS, "callMethod": NULLS, "callBody": NULLS, "callHeaders": NULLS,
}  # fmt: skip
"""Members of a step that are null there and absent here."""


async def work(context: Any) -> None:
    async def read() -> dict[str, Any]:
        return {"order": context.request_payload["id"]}

    async def add() -> int:
        return 1

    found = await context.run("read", read)
    await context.sleep("nap", 60)
    await context.sleep_until("until", 1_735_700_000)
    await context.call(
        "charge",
        url="https://pay.example.com/charge",
        method="POST",
        body=found,
        headers={"x-api-key": "k"},
        retries=2,
        timeout=30,
    )
    await context.run("add", add)


async def on_failure(context: Any, status: int, response: str, headers: Any) -> None: ...


@pytest.fixture
async def theirs(server: StandIn, variables: None) -> AsyncIterator[AppOnLoopback]:
    from upstash_workflow.fastapi import Serve

    app = FastAPI()

    @Serve(app).post("/work", retries=5, failure_function=on_failure)
    async def theirs(context: Any) -> None:
        await work(context)

    site = AppOnLoopback(app)
    yield site
    await site.stop()


@pytest.fixture
def ours(site: WireSite) -> WireSite:
    @site.serve.post("/work", retries=5, failure_function=on_failure)
    async def ours(context: Any) -> None:
        await work(context)

    return site


Sent = tuple[str, str, dict[str, str], Any]


async def submissions(server: StandIn, site: AppOnLoopback) -> tuple[Run, list[Sent]]:
    """Start a run and let it end; what was submitted, in one form."""
    begin = len(server.submitted)
    body = b'{"id": 42}'
    headers = {
        "upstash-signature": server.sign(f"{site.url}/work", body),
        "content-type": "application/json",
        "x-tenant": "acme",
    }
    answer = await AppOnLoopback.post(site, "/work", body, headers=headers)
    assert answer.status_code == 200, answer.text
    run = await server.ended(answer.json()["workflowRunId"])

    def general(text: str) -> str:
        return text.replace(site.url, "https://app").replace(run.id, "wfr_1")

    found: list[Sent] = []
    for method, path, outer, content in server.submitted[begin:]:
        if path == "/v2/batch":
            items = json.loads(content)
            assert len(items) == 1
            item = items[0]
            path, outer = f"-> {item['destination']}", item["headers"]
            content = item["body"].encode()
        own = {
            n.lower(): general(v)
            for n, v in outer.items()
            if n.lower().startswith(("upstash-", "content-type"))
        }
        found.append((method, general(path), own, json.loads(content) if content else None))
    return run, found


async def test_the_same_workflow_on_both(server, theirs, ours, web) -> None:
    web.answer("https://pay.example.com/", {"paid": True})
    their_run, their_sent = await submissions(server, theirs)
    their_visits = [(v.kind, v.status) for v in server.visits]
    server.visits.clear()
    server.now_ms = 1_735_689_600_000
    our_run, our_sent = await submissions(server, ours)
    our_visits = [(v.kind, v.status) for v in server.visits]

    assert their_run.state == our_run.state == "RUN_SUCCESS"
    assert our_visits == their_visits
    assert our_run.result == their_run.result == b""
    assert len(our_sent) == len(their_sent)
    assert [r.json() for r in web.requests] == [{"order": 42}] * 2
    found: set[str] = set()
    for mine, other in zip(our_sent, their_sent, strict=True):
        found |= compare(mine, other)
    assert found >= {*ONLY_OURS, *DIFFERENT}, "a difference that is allowed for no longer exists"


def compare(ours: Sent, theirs: Sent) -> set[str]:
    """The headers in which the two differ; each is allowed for."""
    assert ours[:2] == (theirs[0], theirs[1].replace("-> /v2/publish/", ""))
    mine, other = ours[2], theirs[2]
    begins = mine.get("upstash-workflow-init") == "true"
    assert set(mine) - set(other) <= set(ONLY_OURS)
    left_out = set(other) - set(mine)
    if begins:
        # A trigger gives all of the configuration in both.
        left_out -= {n for n in ONLY_THEIRS if ONLY_THEIRS[n] == TRANSPORT}
        assert not left_out
    assert left_out <= set(ONLY_THEIRS)
    differ = {name for name in set(mine) & set(other) if mine[name] != other[name]}
    assert differ <= set(DIFFERENT), {n: (mine[n], other[n]) for n in differ}
    compare_bodies(ours[3], theirs[3])
    return differ | (set(mine) - set(other))


def compare_bodies(mine: Any, other: Any) -> None:
    if not isinstance(mine, dict) or "stepId" not in mine:
        assert mine == other
        return
    assert set(mine) <= set(other)
    for name in set(other) - set(mine):
        assert name in ONLY_THEIRS_IN_STEPS
        assert other[name] is None or name == "method"
    for name, value in mine.items():
        if name == "out" and value is not None:
            compare_results(json.loads(value), json.loads(other[name]))
        else:
            assert value == other[name], name


def compare_results(mine: Any, other: Any) -> None:
    if isinstance(mine, dict) and "header" in mine:
        lower: Callable[[Any], Any] = lambda headers: {n.lower(): v for n, v in headers.items()}  # noqa: E731
        mine, other = ({**m, "header": lower(m["header"])} for m in (mine, other))
        for headers in (mine["header"], other["header"]):
            headers.pop("date", None)
    assert mine == other
