"""Runs of remote endpoints: begun, visited step by step, and brought to their end."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.journeys.js_endpoint import Context, Endpoint, Failing, Step
from tests.journeys.remote_world import URL, ended, jump, made, running, settled, until
from workflow_agents.core.answers import SDK_TOO_OLD
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer
from workflow_agents.engine.messages import Incoming
from workflow_agents.errors import StateError
from workflow_agents.protocol.message import parse_message


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


async def test_a_run_outlives_the_queue_that_its_first_visit_waits_in(tmp_path, endpoint) -> None:
    """A visit that was dropped would leave a run that nothing ever brings to its end."""

    async def order(context: Context):
        return await context.run("one", lambda: 1)

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await engine.wire.queues.put("q", paused=True)
        await endpoint.trigger(URL, "wfr_1", queue_name="q")
        await engine.wire.queues.delete("q")
        row = await ended(engine, "wfr_1")
    assert row.phase is Phase.SUCCESS


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


class Losing(Endpoint):
    """The answer to its first visit is lost, sooner or later.

    Attributes:
        at_once: before the visit has come to anything; it goes on by itself.
    """

    at_once = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        if self.requests:
            return await super().send(request)
        self.first = asyncio.create_task(super().send(request))
        await (asyncio.sleep(0) if self.at_once else self.first)
        raise NoAnswer("the connection was lost")


async def two_steps(context: Context):
    one = await context.run("one", lambda: 1)
    return one + await context.run("two", lambda: 2)


@pytest.mark.parametrize("retries", ["0", "3"])
async def test_a_visit_whose_step_is_there_is_not_made_again(tmp_path, retries) -> None:
    endpoint = Losing()
    endpoint.programs[URL] = two_steps
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retries=retries, retry_delay="1")
        row = await ended(engine, "wfr_1")
    assert (row.phase, row.result) == (Phase.SUCCESS, b"3")
    assert [v.listed for v in endpoint.visits] == [[], ["one"], ["one", "two"]]


async def test_a_visit_that_fails_after_it_has_submitted_is_not_made_again(tmp_path, endpoint):
    async def order(context: Context):
        try:
            return await two_steps(context)
        finally:
            if not context.visit.steps:
                raise Failing(500)

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retry_delay="1")
        row = await ended(engine, "wfr_1")
    assert row.phase is Phase.SUCCESS
    assert [v.listed for v in endpoint.visits] == [[], ["one"], ["one", "two"]]


async def test_a_visit_may_be_sent_once_more_until_its_step_is_there(tmp_path) -> None:
    """Where a kept connection breaks, a request is sent again by itself, and is no new attempt."""
    asked: list[tuple[bool, bool]] = []

    class Asking(Endpoint):
        async def send(self, request: HttpRequest) -> HttpResponse:
            assert request.may_repeat is not None
            before = request.may_repeat()
            answer = await super().send(request)
            asked.append((before, request.may_repeat()))
            return answer

    endpoint = Asking()
    endpoint.programs[URL] = two_steps
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        await ended(engine, "wfr_1")
    assert asked == [(True, False)] * 3


async def test_a_repeated_visit_records_nothing_twice(tmp_path) -> None:
    """The first one is given up while it works, and submits after the second one has."""
    endpoint = Losing()
    endpoint.at_once = True

    async def slow_at_first() -> int:
        nth = len(endpoint.visits)
        if nth == 1:
            await until(lambda: len(endpoint.visits) > 2)
        return nth

    async def order(context: Context):
        one = await context.run("one", slow_at_first)
        return await context.run("two", lambda: finish_first(one))

    async def finish_first(one: int) -> int:
        await endpoint.first
        return one

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retry_delay="1")
        row = await ended(engine, "wfr_1")
    assert (row.phase, row.result) == (Phase.SUCCESS, b"2")
    assert [v.listed for v in endpoint.visits] == [[], [], ["one"], ["one", "two"]]


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


async def test_a_queue_goes_on_behind_what_is_told_of_a_failed_run(tmp_path, endpoint) -> None:
    async def order(context: Context):
        await context.run("one", lambda: 1)
        raise Failing(500)

    def other(request: HttpRequest) -> HttpResponse:
        sent.append(request.url)
        return HttpResponse(200)

    sent: list[str] = []
    endpoint.programs[URL], endpoint.others = order, other
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(
            URL, "wfr_1", retries="0",
            failure_callback_queue_name="q", failure_callback_delay="1h",
        )  # fmt: skip
        await ended(engine, "wfr_1")
        spec = parse_message("https://shop.test/next", [], queue="q")
        await engine.wire.messages.publish(Incoming(spec))
        jump(engine, 3_601)
        await until(lambda: sent)
    assert [v.kind for v in endpoint.visits] == ["visit", "visit", "failure"]


async def test_what_is_no_workflow_fails_at_once(tmp_path, endpoint) -> None:
    endpoint.others = lambda _r: HttpResponse(200, {}, b"hello")
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger("https://shop.test/static", "wfr_1")
        row = await ended(engine, "wfr_1")
    assert row.phase is Phase.FAILED
    assert json.loads(row.result)["message"].startswith("detected a non-workflow destination")
    assert len(endpoint.requests) == 2  # the visit, and the failure visit


async def rest(endpoint: Endpoint, url: str, body: bytes = b"", **headers: str):
    given = [(name.replace("_", "-"), value) for name, value in headers.items()]
    (done,) = await endpoint.engine.wire.runs.trigger(
        [Incoming(parse_message(url, given), body, "203.0.113.7")]
    )
    return done


async def test_a_trigger_without_an_sdk_says_all_that_an_sdk_says(tmp_path, endpoint) -> None:
    async def order(context: Context):
        await context.run("one", lambda: 1)
        raise Failing(500)

    endpoint.programs[URL] = order
    endpoint.on_failure = lambda _visit: None
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        done = await rest(
            endpoint, URL, b'{"n":1}', content_type="text/plain", upstash_workflow_runid="order-42",
            upstash_retries="0", upstash_label="eu,vip", upstash_forward_x_tenant="acme",
        )  # fmt: skip
        row = await ended(engine, "wfr_order-42")
    assert done.run_id == "wfr_order-42"
    assert row.phase is Phase.FAILED
    assert [v.kind for v in endpoint.visits] == ["visit", "visit", "failure"]
    for visit in endpoint.visits:
        assert (visit.headers["X-Tenant"], visit.headers["Upstash-Label"]) == ("acme", "eu,vip")


async def test_an_sdk_that_is_too_old_fails_at_once(tmp_path, endpoint) -> None:
    endpoint.others = lambda _r: HttpResponse(200, {"upstash-workflow-sdk-version": ["1"]})
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        done = await rest(endpoint, "https://shop.test/old")
        row = await ended(engine, done.run_id)
    assert json.loads(row.result)["message"] == SDK_TOO_OLD


async def test_an_sdk_that_does_not_say_its_version_but_submits_a_step_will_do(
    tmp_path, endpoint
) -> None:
    async def send(request):
        answer = await sent(request)
        return replace(answer, headers={"upstash-workflow-sdk-version": ["1"]})

    sent, endpoint.send = endpoint.send, send
    endpoint.programs[URL] = lambda context: context.run("one", lambda: 1)
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        done = await rest(endpoint, URL)
        assert (await ended(engine, done.run_id)).result == b"1"


async def test_an_unknown_sdk_triggers_the_run_again(tmp_path, endpoint) -> None:
    async def order(context: Context):
        await context.run("one", lambda: 1)
        raise Failing(500)

    endpoint.programs[URL] = order
    endpoint.on_failure = lambda _visit: None
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        done = await rest(
            endpoint, URL, b'{"n":1}', upstash_workflow_unknown_sdk="true", upstash_retries="1",
            upstash_retry_delay="1", upstash_forward_x_tenant="acme",
        )  # fmt: skip
        row = await ended(engine, done.run_id)
    assert row.phase is Phase.FAILED
    kinds = [v.kind for v in endpoint.visits]
    assert kinds == ["visit", "visit", "visit", "visit", "failure"]
    asked, first, second, again, _ = endpoint.visits
    assert asked.headers["Upstash-Workflow-Unknown-Sdk"] == "true"
    assert [len(v.body) for v in (asked, first, second, again)] == [1, 1, 2, 2]
    assert asked.body[0]["messageId"] != first.body[0]["messageId"]
    assert asked.body[0]["body"] == first.body[0]["body"]
    assert all("Upstash-Workflow-Unknown-Sdk" not in v.headers for v in endpoint.visits[1:])
    assert {v.headers["X-Tenant"] for v in endpoint.visits} == {"acme"}


async def test_steps_of_a_run_that_is_over_are_refused_whole(tmp_path, endpoint) -> None:
    async def order(context: Context):
        return await context.run("one", lambda: 1)

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        await ended(engine, "wfr_1")
        context = Context(endpoint, URL, endpoint.visits[0], "")
        for run_id in ("wfr_1", "wfr_never"):
            context.run_id, context._count = run_id, 0
            with pytest.raises(StateError):
                await context.all(Step("a", "Run"), Step("b", "Run"))
        assert len(engine.store.messages.of_run(engine.store.run("wfr_1").id)) == 2


async def test_the_key_of_a_run_holds_back_each_of_its_visits(tmp_path, endpoint) -> None:
    at_once: list[int] = []

    async def order(context: Context):
        at_once.append(at_once[-1] + 1 if at_once else 1)
        await asyncio.sleep(0.01)
        at_once.append(at_once[-1] - 1)
        await context.all(*(Step(n, "Run") for n in "abc"))
        return await context.run("join", lambda: 1)

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        key = {"flow_control_key": "shop", "flow_control_value": "parallelism=1"}
        for n in range(3):
            await endpoint.trigger(URL, f"wfr_{n}", **key)
        for n in range(3):
            await ended(engine, f"wfr_{n}")
        assert engine.store.flow("shop", 0)[0] == 0
    assert max(at_once) == 1
    assert len(endpoint.visits) == 3 * (1 + 3 + 2 + 1 + 1)


async def test_everything_goes_on_after_a_restart(tmp_path, endpoint) -> None:
    hold = asyncio.Event()

    async def order(context: Context):
        await context.run("one", lambda: 1)
        if not hold.is_set():
            stuck.append(1)
            await asyncio.sleep(60)
        return await context.run("two", lambda: 2)

    stuck: list[int] = []
    endpoint.programs[URL] = order
    path = str(tmp_path / "a.db")
    engine = made(path, endpoint)
    await engine.start()
    await endpoint.trigger(URL, "wfr_1")
    await until(lambda: stuck)
    await engine.stop()
    hold.set()
    async with running(path, endpoint) as engine:
        assert (await ended(engine, "wfr_1")).result == b"2"
    assert [v.listed for v in endpoint.visits] == [[], ["one"], ["one"], ["one", "two"]]


async def test_a_429_says_when_to_come_again(tmp_path, endpoint) -> None:
    async def order(context: Context):
        if len(endpoint.visits) == 1:
            raise Failing(429, "later", {"retry-after": "2m"})
        return await context.run("one", lambda: 1)

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        await until(lambda: endpoint.visits)
        await settled(engine)
        jump(engine, 119)
        await settled(engine)
        assert len(endpoint.visits) == 1
        jump(engine, 2)
        await ended(engine, "wfr_1")
    assert endpoint.visits[1].headers["Upstash-Retried"] == "1"


async def test_489_with_its_header_fails_at_once(tmp_path, endpoint) -> None:
    async def order(context: Context):
        raise Failing(489, "never", {"upstash-nonretryable-error": "true"})

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1")
        assert (await ended(engine, "wfr_1")).phase is Phase.FAILED
        (letter,) = engine.store.dead_letters(None, 2)
        assert letter.callback == ""  # it has no failure function
    assert [v.kind for v in endpoint.visits] == ["visit", "failure"]


async def test_two_members_that_fail_make_one_failure(tmp_path, endpoint) -> None:
    async def order(context: Context):
        def fail():
            raise Failing(500)

        await context.all(*(Step(n, "Run", fail) for n in "abc"))

    endpoint.programs[URL] = order
    endpoint.on_failure = lambda _visit: None
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retries="0")
        await ended(engine, "wfr_1")
        assert len(engine.store.dead_letters(None, 9)) == 1
    assert [v.kind for v in endpoint.visits].count("failure") == 1


async def test_a_page_of_a_proxy_is_no_answer_of_a_run_that_is_there(tmp_path, endpoint) -> None:
    """It says 200, and whoever took it for a step that was submitted would wait for ever."""

    async def order(context: Context):
        await context.run("one", lambda: 1)
        return await context.run("two", lambda: 2)

    async def send(request):
        if len(endpoint.visits) == 1 and not pages:
            pages.append(request)
            return HttpResponse(200, {"content-type": ["text/html"]}, b"back soon")
        return await sent(request)

    pages: list[object] = []
    sent, endpoint.send = endpoint.send, send
    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retry_delay="1")
        assert (await ended(engine, "wfr_1")).result == b"2"
    assert pages
