"""What remote runs wait for: events, webhooks, third parties, runs that they invoke."""

import base64
import json

import pytest

from tests.journeys.js_endpoint import Context, Endpoint, Failing, Step
from tests.journeys.remote_world import URL, ended, jump, running, settled, until
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.errors import LimitError, NotFound

CHILD = "https://shop.test/api/shipping"


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


async def one_wait(context: Context):
    return await context.wait("paid?", "paid", "20s")


async def test_a_notification_ends_a_wait(tmp_path, endpoint) -> None:
    endpoint.programs[URL] = one_wait
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        done = await endpoint.trigger(URL, "wfr_1")
        await until(lambda: engine.store.waiters_for("paid", None))
        (waiter,) = engine.wire.waits.waiters("paid")
        (woken,) = await engine.wire.waits.notify("paid", b'{"ok":1}', None)
        assert await engine.wire.waits.notify("paid", b"late", None) == []
        row = await ended(engine, "wfr_1")
    assert json.loads(row.result) == {"data": '{"ok":1}', "timeout": False}
    assert woken["waiter"] == waiter
    assert waiter["url"] == URL
    assert (woken["workflowRunId"], woken["workflowCreatedAt"]) == ("wfr_1", done.created_at)
    assert woken["messageId"] == endpoint.visits[-1].headers["Upstash-Message-Id"]


async def test_a_notification_before_the_wait_is_kept_for_its_run(tmp_path, endpoint) -> None:
    async def order(context: Context):
        async def early():
            assert await engine.wire.waits.notify("paid", b"one", "wfr_1") == []
            assert await engine.wire.waits.notify("paid", b"two", "wfr_1") == []

        await context.run("before", early)
        first = await context.wait("first", "paid")
        return [first["data"], (await context.wait("second", "paid"))["data"]]

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        row = await ended(engine, "wfr_1")
        assert await engine.wire.waits.notify("paid", b"", "wfr_1") == []
        with pytest.raises(NotFound):
            await engine.wire.waits.notify("paid", b"", "wfr_unknown")
    assert json.loads(row.result) == ["one", "two"]


async def test_a_wait_whose_time_is_over_says_so(tmp_path, endpoint) -> None:
    endpoint.programs[URL] = one_wait
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        await until(lambda: engine.store.waiters_for("paid", None))
        jump(engine, 21)
        row = await ended(engine, "wfr_1")
    assert json.loads(row.result) == {"data": None, "timeout": True}


async def test_waits_in_a_group_are_ended_one_by_one(tmp_path, endpoint) -> None:
    async def order(context: Context):
        extra = {"timeout": "20s"}
        return await context.all(
            Step("a", "Wait", extra={"waitEventId": "ea", **extra}),
            Step("b", "Wait", extra={"waitEventId": "eb", **extra}),
        )

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        await until(lambda: engine.store.waiters_for("eb", None))
        await until(lambda: engine.store.waiters_for("ea", None))
        await engine.wire.waits.notify("eb", b"b", None)
        await settled(engine)
        jump(engine, 21)
        row = await ended(engine, "wfr_1")
    assert [r["timeout"] for r in json.loads(row.result)] == [True, False]


async def test_a_webhook_may_be_called_before_it_is_waited_for(tmp_path, endpoint) -> None:
    made = {"webhookUrl": "https://qs.test/v2/workflows/hooks/u/wfr_1/evt_1", "eventId": "evt_1"}
    request = {
        "method": "POST",
        "header": {"Content-Type": ["application/json"]},
        "body": base64.b64encode(b'{"n":1}').decode(),
        "proto": "https",
        "host": "qs.test",
        "url": "/v2/workflows/hooks/u/wfr_1/evt_1",
    }

    async def order(context: Context):
        await context.all(Step("hook", "CreateWebhook", lambda: made))
        await context.run("other", lambda: until(lambda: len(called) == 1))
        first = await context.wait_for_webhook("first", "evt_1")
        second = await context.wait_for_webhook("second", "evt_1")
        third = await context.wait_for_webhook("third", "evt_1", "5s")
        return [first, second, third]

    called: list[int] = []
    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        receive = engine.wire.waits.receive_webhook
        await endpoint.trigger(URL, "wfr_1")
        await until(lambda: len(endpoint.visits) == 2)
        await receive("wfr_1", "evt_1", request)
        called.append(1)
        await until(lambda: engine.store.waiters_for("evt_1", None))
        await receive("wfr_1", "evt_1", {**request, "method": "GET", "body": ""})
        await until(lambda: len(endpoint.visits) == 5)
        await until(lambda: engine.store.waiters_for("evt_1", None))
        for run_id, event in (("wfr_1", "evt_2"), ("wfr_2", "evt_1")):
            with pytest.raises(NotFound):
                await receive(run_id, event, request)
        jump(engine, 6)
        row = await ended(engine, "wfr_1")
        with pytest.raises(NotFound):
            await receive("wfr_1", "evt_1", request)
    first, second, third = json.loads(row.result)
    assert first == request
    assert (second["method"], "body" in second, third) == ("GET", False, None)


async def test_a_call_costs_two_visits_and_reports_its_last_answer(tmp_path, endpoint) -> None:
    answers = [HttpResponse(503, {}, b"busy"), HttpResponse(404, {"x-a": ["1", "2"]}, b"\xff\x00")]

    def third_party(_request: HttpRequest) -> HttpResponse:
        return answers[min(len(asked()) - 1, 1)]

    def asked() -> list[HttpRequest]:
        return [r for r in endpoint.requests if r.url == "https://pay.test/charge"]

    async def order(context: Context):
        return await context.call(
            "charge", "https://pay.test/charge", {"amount": 10}, retries=1,
            headers={"authorization": "Bearer pay-key"},
        )  # fmt: skip

    endpoint.programs[URL], endpoint.others = order, third_party
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", None, {"x-tenant": "acme"})
        row = await ended(engine, "wfr_1")
    result = json.loads(row.result)
    assert (result["status"], result["body"]) == (404, "\xff\x00")
    assert result["header"]["X-A"] == ["1", "2"]
    assert [v.kind for v in endpoint.visits] == ["visit", "answer", "visit"]
    answer = endpoint.visits[1]
    assert answer.headers["X-Tenant"] == "acme"
    assert (answer.body["retried"], answer.body["maxRetries"]) == (1, 1)
    assert "pay-key" not in json.dumps(answer.body)
    first, second = asked()
    assert json.loads(first.body) == {"amount": 10}
    assert first.headers["Authorization"] == "Bearer pay-key"
    assert "X-Tenant" not in first.headers
    assert not [name for name in first.headers if name.startswith("Upstash-Workflow")]
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == "wfr_1/1"


async def test_an_invoked_run_reports_to_the_one_that_invoked_it(tmp_path, endpoint) -> None:
    async def order(context: Context):
        return await context.invoke("ship", "shipping", {"n": 1})

    async def shipping(context: Context):
        return await context.run("pack", lambda: {"tracking": context.payload["n"]})

    endpoint.programs |= {URL: order, CHILD: shipping}
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", None, {"x-tenant": "acme"})
        row = await ended(engine, "wfr_1")
    assert json.loads(row.result) == {
        "body": '{"tracking": 1}',
        "isCanceled": False,
        "isFailed": False,
    }
    child = [v for v in endpoint.visits if v.headers["Upstash-Workflow-Runid"] != "wfr_1"]
    assert {v.headers["Upstash-Workflow-Invoke-Count"] for v in child} == {"1"}
    assert all("X-Tenant" not in v.headers for v in child)
    assert endpoint.visits[-1].headers["X-Tenant"] == "acme"


@pytest.mark.parametrize("how", ["isFailed", "isCanceled"])
async def test_it_reports_too_that_it_failed_or_was_cancelled(tmp_path, endpoint, how) -> None:
    async def order(context: Context):
        return await context.invoke("ship", "shipping", retries=0)

    async def shipping(context: Context):
        await context.run("pack", lambda: 1)
        if how == "isFailed":
            raise Failing(500)
        await engine.admin.cancel(context.run_id)

    endpoint.programs |= {URL: order, CHILD: shipping}
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        row = await ended(engine, "wfr_1")
        failures = [v for v in endpoint.visits if v.kind == "failure"]
        assert len(failures) == (how == "isFailed")
    other = ({"isFailed", "isCanceled"} - {how}).pop()
    assert json.loads(row.result) == {how: True, other: False}


async def test_a_run_that_was_invoked_outlives_the_one_that_invoked_it(tmp_path, endpoint) -> None:
    async def order(context: Context):
        return await context.invoke("ship", "shipping")

    async def shipping(context: Context):
        await context.sleep("nap", 60)

    endpoint.programs |= {URL: order, CHILD: shipping}
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        await until(lambda: len(endpoint.visits) == 2)
        await settled(engine)
        await engine.admin.cancel("wfr_1")
        jump(engine, 61)
        child = endpoint.visits[1].headers["Upstash-Workflow-Runid"]
        assert (await ended(engine, child)).phase is Phase.SUCCESS
    assert engine.store.run is not None


async def test_runs_are_not_invoked_too_deep(tmp_path, endpoint) -> None:
    async def order(context: Context):
        context.depth = 100
        with pytest.raises(LimitError) as error:
            await context.invoke("ship", "shipping")
        assert error.value.code == "WA503"
        return "refused"

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        assert (await ended(engine, "wfr_1")).result == b'"refused"'


async def test_a_cancelled_run_takes_nothing_more(tmp_path, endpoint) -> None:
    async def order(context: Context):
        await context.run("one", lambda: engine.admin.cancel("wfr_1"))
        return await context.sleep("never", 1)

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        assert (await ended(engine, "wfr_1")).phase is Phase.CANCELED
        assert await engine.wire.remote_ends.finish("wfr_1", b"1") is False
        assert engine.store.dead_letters(None, 1) == []
    assert len(endpoint.visits) == 1
