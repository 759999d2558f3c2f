"""How runs are started, named, delayed, labelled, listed and followed; what payloads become."""

import asyncio
import json
import threading
from dataclasses import dataclass
from typing import TypedDict

import httpx2
import pytest
from pydantic import BaseModel

from workflow_agents import AsyncWorkflowContext, RunFailed


@pytest.fixture
def echo(serve):
    @serve.post("/echo")
    async def echo(context: AsyncWorkflowContext) -> object:
        return await context.run("echo", lambda: context.request_payload)

    return echo


async def test_curl_starts_a_run_and_gets_its_id(site, echo) -> None:
    answer = await site.post("/echo", {"hello": "world"})

    assert answer.status_code == 200
    assert answer.json()["workflowRunId"].startswith("wfr_")
    assert answer.json()["finishCondition"] == "success"
    run = site.client.handle(answer.json()["workflowRunId"])
    assert await run.result() == {"hello": "world"}
    assert await run.status() == "RUN_SUCCESS"


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"", None),
        (b"plain text", "plain text"),
        (b'"text"', "text"),
        (b"7", 7),
        (b"[1, 2]", [1, 2]),
        (b"null", None),
        ("é€😀".encode(), "é€😀"),
        (b"{broken", "{broken"),
        (b"\xff\xfe", "��"),
    ],
)
async def test_a_body_is_json_or_else_text(site, echo, body, payload) -> None:
    assert (await site.run("/echo", body)).result == payload


async def test_only_post_starts_a_run(site, echo) -> None:
    await site.start()

    assert (await site.http.get("/echo")).status_code == 405
    assert (await site.post("/ekko", {})).status_code == 404
    assert await site.client.logs() == []


async def test_client_triggers_by_workflow_path_or_url(site, echo) -> None:
    await site.post("/echo")

    for workflow in (echo, "/echo", f"{site.url}/echo"):
        run = await site.client.trigger(workflow, {"n": 1})
        assert await run.result() == {"n": 1}
    one, two = await site.client.trigger_many(
        [{"workflow": echo, "body": 1}, {"workflow": echo, "body": 2}]
    )
    assert (await one.result(), await two.result()) == (1, 2)


async def test_a_run_id_of_ones_own_starts_one_run(site, echo) -> None:
    await site.post("/echo")
    triggers = [site.client.trigger(echo, n, workflow_run_id="order-7") for n in range(5)]

    runs = await asyncio.gather(*triggers)
    later = await site.client.trigger(echo, "later", workflow_run_id="wfr_order-7")

    assert {run.run_id for run in [*runs, later]} == {"wfr_order-7"}
    assert [run.deduplicated for run in runs].count(False) == 1
    assert later.deduplicated
    assert await later.result() == await runs[0].result() == 0
    assert await site.client.handle("order-7").status() == "RUN_SUCCESS"


async def test_a_delayed_run_waits_for_its_time(site, echo) -> None:
    await site.post("/echo")
    now = site.clock.now_ms()

    delayed = await site.client.trigger(echo, "delayed", delay="2h")
    dated = await site.client.trigger(echo, "dated", not_before=now / 1000 + 3 * 3600)
    past = await site.client.trigger(echo, "past", not_before=1_000_000)

    assert await past.result() == "past"
    site.pass_time("119m")
    assert await delayed.status() == "RUN_STARTED"
    assert [entry.kind async for entry in first_entries(delayed, 1)] == ["RUN_STARTED"]
    site.pass_time("1m")
    assert await delayed.result() == "delayed"
    assert await dated.status() == "RUN_STARTED"
    site.pass_time("1h")
    assert await dated.result() == "dated"


async def first_entries(run, count):
    async for entry in run.feed():
        yield entry
        count -= 1
        if not count:
            return


async def test_runs_are_found_by_label_state_and_workflow(site, serve, echo) -> None:
    @serve.post("/fails", retries=0, label="nightly")
    async def fails(context: AsyncWorkflowContext) -> None:
        await context.run("fail", lambda: 1 / 0)

    await site.run("/fails")
    client = site.client
    for label in ("a", "b", ["a", "b"]):
        await (await client.trigger(echo, label, label=label)).result()

    def found(logs):
        return [log.payload for log in logs]

    assert found(await client.logs(label="a")) == [["a", "b"], "a"]
    assert found(await client.logs(label="b", limit=1)) == [["a", "b"]]
    assert found(await client.logs(workflow=echo)) == [["a", "b"], "b", "a"]
    assert found(await client.logs(state="RUN_FAILED")) == [None]
    assert [log.labels for log in await client.logs(state="RUN_FAILED")] == [("nightly",)]
    assert await client.logs(state="RUN_CANCELED") == []
    newest, *_ = await client.logs()
    assert found(await client.logs(before=newest.workflow_run_id)) == ["b", "a", None]
    [one] = await client.logs(newest.workflow_run_id)
    assert [step.name for step in one.steps] == ["echo"]


async def test_context_knows_its_labels(site, serve) -> None:
    @serve.post("/labelled", label="first")
    async def labelled(context: AsyncWorkflowContext) -> list:
        return [context.label, *await context.run("read", lambda: context.labels)]

    assert (await site.run("/labelled")).result == ["first", "first"]
    run = await site.client.trigger(labelled, label=["x", "y"])
    assert await run.result() == ["x", "x", "y"]


async def test_a_run_is_followed_while_it_happens(site, serve) -> None:
    @serve.post("/follow")
    async def follow(context: AsyncWorkflowContext) -> str:
        await context.run("one", lambda: 1)
        await context.sleep("nap", "1h")
        await context.run("two", lambda: 2)
        return "done"

    run = await site.trigger("/follow")
    told = []
    async for entry in run.feed():
        told.append((entry.kind, entry.step_name))
        if entry.kind == "STEP_WAITING":
            site.pass_time("1h")

    assert told == [
        ("RUN_STARTED", None),
        ("STEP_SUCCESS", "one"),
        ("STEP_WAITING", "nap"),
        ("STEP_SUCCESS", "nap"),
        ("STEP_SUCCESS", "two"),
        ("RUN_SUCCESS", None),
    ]
    seqs = [entry.seq async for entry in run.feed()]
    assert seqs == sorted(seqs)
    assert [e.seq async for e in run.feed(after=seqs[2])] == seqs[3:]


async def test_what_is_redacted_does_not_reach_the_logs(site, serve) -> None:
    @serve.post("/private", redact={"body": True})
    async def private(context: AsyncWorkflowContext) -> int:
        return await context.run("size", lambda: len(context.request_payload))

    one = await site.run("/private", "my diary")
    two = await site.run("/private", "my diary")
    three = await site.run("/private", "your diary")

    assert one.result == 8
    assert one.payload.startswith("REDACTED:")
    assert one.payload == two.payload != three.payload
    [listed, *_] = await site.client.logs()
    assert listed.payload.startswith("REDACTED:")


async def test_headers_reach_the_workflow_and_transport_ones_do_not(site, serve) -> None:
    @serve.post("/headers")
    async def headers(context: AsyncWorkflowContext) -> dict:
        return await context.run("read", lambda: dict(context.headers))

    given = {"X-Tenant": "t1", "X-Forwarded-For": "1.2.3.4", "Upstash-Workflow-RunId": "x"}
    seen = (await site.run("/headers", headers=given)).result

    assert seen["x-tenant"] == "t1"
    assert "x-forwarded-for" not in seen
    assert "upstash-workflow-runid" not in seen


@dataclass
class Item:
    name: str
    count: int = 1


class Order(BaseModel):
    items: list[Item]


class Plain(TypedDict):
    items: list[dict]


async def test_payload_as_a_pydantic_model(site, serve) -> None:
    @serve.post("/model")
    async def model(context: AsyncWorkflowContext[Order]) -> str:
        order = context.request_payload
        assert isinstance(order, Order)
        await context.sleep("nap", "1h")
        return await context.run("read", lambda: f"{order.items[0].name} x{order.items[0].count}")

    run = await site.trigger("/model", {"items": [{"name": "chair", "count": "2"}]})
    await site.sleeps(run, "nap")
    site.pass_time("1h")
    assert await run.result() == "chair x2"

    refused = await site.post("/model", {"items": [{"count": 2}]})
    assert refused.status_code == 422
    assert refused.json()["detail"]["found"] == ["items.0.name: Field required"]


async def test_payload_as_a_dataclass_a_typed_dict_and_plain(site, serve) -> None:
    @serve.post("/dataclass")
    async def as_dataclass(context: AsyncWorkflowContext[Item]) -> list:
        item = context.request_payload
        return await context.run("read", lambda: [item.name, item["count"], isinstance(item, Item)])

    @serve.post("/typed-dict")
    async def as_typed_dict(context: AsyncWorkflowContext[Plain]) -> list:
        return await context.run("read", lambda: context.request_payload["items"])

    @serve.post("/schema", schema=list[int])
    async def with_schema(context: AsyncWorkflowContext) -> int:
        return await context.run("sum", lambda: sum(context.request_payload))

    assert (await site.run("/dataclass", {"name": "chair"})).result == ["chair", 1, True]
    assert (await site.run("/typed-dict", {"items": [{"a": 1}]})).result == [{"a": 1}]
    assert (await site.run("/schema", ["1", 2])).result == 3
    assert (await site.post("/schema", {"a": 1})).status_code == 422


async def test_a_payload_that_fits_no_type_becomes_a_dead_letter_when_stored(site, serve) -> None:
    """`client.trigger` has stored the run before its function is called: nothing is lost."""

    @serve.post("/model")
    async def model(context: AsyncWorkflowContext[Order]) -> None: ...

    await site.post("/model", {"items": []})
    run = await site.client.trigger(model, {"items": "many"})

    with pytest.raises(RunFailed, match="WA205"):
        await run.result()
    [letter] = await site.client.dlq.list()
    assert letter.workflow_run_id == run.run_id
    assert letter.failure["attempts"] == 1


async def test_synchronous_bodies_run_in_threads_side_by_side(site, serve) -> None:
    both = threading.Barrier(2, timeout=10)

    def body() -> str:
        both.wait()
        return threading.current_thread().name

    @serve.post("/threads")
    async def threads(context: AsyncWorkflowContext) -> list:
        return list(await asyncio.gather(context.run("a", body), context.run("b", body)))

    names = (await site.run("/threads")).result

    assert len(set(names)) == 2
    assert threading.current_thread().name not in names


async def test_large_payloads_and_results_come_back_whole(site, serve, echo) -> None:
    big = {"text": "é" * 300_000}

    assert (await site.run("/echo", big)).result == big
    assert (await site.run("/echo", big)).payload == big


async def test_an_app_whose_lifespan_is_not_run_starts_with_its_first_request(site, echo) -> None:
    transport = httpx2.ASGITransport(site.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop") as http:
        answers = await asyncio.gather(*(http.post("/echo", json=n) for n in range(5)))

    runs = [site.client.handle(answer.json()["workflowRunId"]) for answer in answers]
    assert [await run.result() for run in runs] == [0, 1, 2, 3, 4]
    await site.engine.stop()


async def test_the_routes_are_in_the_apis_description(site, echo) -> None:
    await site.start()
    description = (await site.http.get("/openapi.json")).json()

    assert list(description["paths"]) == ["/echo"]
    assert json.dumps(description).count("hooks") == 0
