"""Runs of remote endpoints: begun, visited step by step, and brought to their end."""

import json

import pytest

from tests.journeys.js_endpoint import Context, Endpoint, Failing, Step
from tests.journeys.remote_world import URL, ended, jump, running, until
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.http_out import HttpResponse


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


async def test_a_run_of_two_steps_comes_to_its_end(tmp_path, endpoint) -> None:
    async def order(context: Context):
        stock = await context.run("reserve", lambda: {"stock": 3})
        paid = await context.run("charge", lambda: stock["stock"] * context.payload["n"])
        return {"paid": paid}

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        done = await endpoint.trigger(URL, "wfr_1", {"n": 2}, {"x-tenant": "acme"})
        row = await ended(engine, "wfr_1")
    assert (row.phase, row.result) == (Phase.SUCCESS, b'{"paid": 6}')
    assert [v.listed for v in endpoint.visits] == [[], ["reserve"], ["reserve", "charge"]]
    assert {v.headers["X-Tenant"] for v in endpoint.visits} == {"acme"}
    assert endpoint.visits[0].headers["Upstash-Message-Id"] == engine.wire.messages.id_of(
        done.message
    )
    assert {v.headers["Upstash-Workflow-Createdat"] for v in endpoint.visits} == {
        str(done.created_at)
    }


async def test_a_parallel_group_costs_the_visits_that_the_protocol_says(tmp_path, endpoint) -> None:
    async def order(context: Context):
        names = await context.all(
            *(Step(n, "Run", lambda n=n: n) for n in ("a", "b")),
            Step("nap", "SleepFor", extra={"sleepFor": 3600}),
        )
        return await context.run("join", lambda: names[:2])

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        await until(lambda: len(endpoint.visits) == 1 + 2 + 2)
        jump(engine, 3600)
        row = await ended(engine, "wfr_1")
    assert json.loads(row.result) == ["a", "b"]
    # first, three partial, two discard, the last one with the join, and the end
    assert len(endpoint.visits) == 1 + 3 + 2 + 1 + 1


async def test_a_run_id_is_taken_once(tmp_path, endpoint) -> None:
    async def order(context: Context):
        await context.run("one", lambda: 1)

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        first = await endpoint.trigger(URL, "wfr_1")
        await ended(engine, "wfr_1")
        second = await endpoint.trigger(URL, "wfr_1")
    assert (second.message, second.deduplicated) == (first.message, True)
    assert len(endpoint.visits) == 2


async def test_a_repeated_visit_records_nothing_twice(tmp_path, endpoint) -> None:
    """It answers an error after it has submitted: the visit comes again, with the same list."""
    tries: list[int] = []

    async def order(context: Context):
        try:
            await context.run("one", lambda: 1)
        finally:
            tries.append(len(context.visit.steps))
            if not context.visit.steps and tries.count(0) == 1:
                raise Failing(500)
        return await context.run("two", lambda: until(lambda: tries.count(0) == 2))

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retry_delay="1")
        row = await ended(engine, "wfr_1")
    assert row.phase is Phase.SUCCESS
    assert sorted(v.listed for v in endpoint.visits) == [[], [], ["one"], ["one", "two"]]


async def test_a_run_that_fails_tells_its_failure_function(tmp_path, endpoint) -> None:
    async def order(context: Context):
        await context.run("one", lambda: 1)
        raise Failing(500, "card declined")

    endpoint.programs[URL] = order
    endpoint.on_failure = lambda _visit: "told"
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(
            URL, "wfr_1", {"n": 1}, {"x-tenant": "acme"}, retries="1", retry_delay="1"
        )
        row = await ended(engine, "wfr_1")
        (letter,) = engine.store.dead_letters(None, 10)
        assert letter.callback == "CALLBACK_SUCCESS"
    assert row.phase is Phase.FAILED
    assert json.loads(row.result)["message"] == "card declined"
    assert [v.kind for v in endpoint.visits] == ["visit", "visit", "visit", "failure"]
    told = endpoint.visits[-1]
    assert told.headers["X-Tenant"] == "acme"
    assert told.body["dlqId"] == letter.id
    assert (told.body["status"], told.body["retried"], told.body["maxRetries"]) == (500, 1, 1)
    assert told.body["sourceBody"] == "eyJuIjogMX0="


async def test_what_is_no_workflow_fails_at_once(tmp_path, endpoint) -> None:
    endpoint.others = lambda _r: HttpResponse(200, {}, b"hello")
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger("https://shop.test/static", "wfr_1")
        row = await ended(engine, "wfr_1")
    assert row.phase is Phase.FAILED
    assert json.loads(row.result)["message"].startswith("detected a non-workflow destination")
    assert len(endpoint.requests) == 2  # the visit, and the failure visit


async def test_what_answers_before_an_endpoint_does_not_end_its_run(tmp_path, endpoint) -> None:
    """In the middle of a run, 200 without a word of the SDK is tried again."""
    proxies: list[str] = []

    async def order(context: Context):
        await context.run("one", lambda: 1)
        return await context.run("two", lambda: 2)

    async def send(request):
        if request.body.count(b'"messageId"') == 2 and not proxies:
            proxies.append("a page of a proxy")
            return HttpResponse(200, {}, b"<html>")
        return await Endpoint.send(endpoint, request)

    endpoint.programs[URL], endpoint.send = order, send
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retry_delay="1")
        row = await ended(engine, "wfr_1")
    assert (row.phase, row.result, len(proxies)) == (Phase.SUCCESS, b"2", 1)
