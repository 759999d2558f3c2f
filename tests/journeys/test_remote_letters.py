"""Failed remote runs: gone on with where they failed, begun again, told again."""

import json

import pytest

from tests.journeys.js_endpoint import Context, Endpoint, Failing, Step
from tests.journeys.remote_world import URL, ended, jump, running, settled, until
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.http_out import HttpResponse
from workflow_agents.errors import NotFound, StateError
from workflow_agents.protocol.message import MessageSpec, parse_message

PLAIN = MessageSpec(url=URL)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


def letter_of(engine) -> str:
    (letter,) = engine.store.dead_letters(None, 2)
    return letter.id


async def test_a_run_goes_on_where_it_failed(tmp_path, endpoint) -> None:
    ran: list[str] = []
    broken = True

    async def order(context: Context):
        def step(name: str) -> str:
            ran.append(name)
            if name == "b" and broken:
                raise Failing(500)
            return name

        first = await context.run("first", lambda: step("first"))
        group = await context.all(*(Step(n, "Run", lambda n=n: step(n)) for n in "abc"))
        return [first, *group, context.payload["n"]]

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", {"n": 7}, {"x-tenant": "acme"}, retries="0")
        await ended(engine, "wfr_1")
        letter, broken = letter_of(engine), False
        over = parse_message(URL, [("Upstash-Label", "again"), ("Upstash-Retries", "1")])
        made = await engine.wire.run_letters.again(letter, over, resume=True)
        row = await ended(engine, made.run_id)
        assert engine.store.dead_letters(None, 2) == []
        assert engine.store.labels(row.id) == ("again",)
        with pytest.raises(NotFound):
            await engine.wire.run_letters.again(letter, PLAIN, resume=True)
    assert (row.phase, json.loads(row.result)) == (Phase.SUCCESS, ["first", "a", "b", "c", 7])
    assert ran.count("first") == 1
    assert ran.count("b") == 2
    gone_on = [v for v in endpoint.visits if v.headers["Upstash-Workflow-Runid"] == made.run_id]
    assert {v.headers["X-Tenant"] for v in gone_on} == {"acme"}
    ids = {v.headers["Upstash-Message-Id"] for v in endpoint.visits if v not in gone_on}
    assert not ids & {e["messageId"] for v in gone_on for e in v.body}


async def test_a_call_that_was_answered_is_not_made_again(tmp_path, endpoint) -> None:
    broken = True

    async def order(context: Context):
        return (await context.call("ask", "https://pay.test/"))["status"]

    async def send(request):
        if "Upstash-Workflow-Callback" in request.headers and broken:
            return HttpResponse(500, {}, b"{}")
        return await sent(request)

    sent, endpoint.send = endpoint.send, send
    endpoint.programs[URL] = order
    endpoint.others = lambda _r: HttpResponse(200, {}, b"paid")
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retries="0")
        await ended(engine, "wfr_1")
        broken = False
        made = await engine.wire.run_letters.again(letter_of(engine), PLAIN, resume=True)
        assert (await ended(engine, made.run_id)).result == b"200"
    assert [r.url for r in endpoint.requests].count("https://pay.test/") == 1


async def test_a_wait_that_failed_beside_is_asked_again(tmp_path, endpoint) -> None:
    broken = True

    async def order(context: Context):
        async def later():
            if broken:
                await until(lambda: engine.store.waiters_for("paid", None))
                raise Failing(500)
            return 1

        extra = {"waitEventId": "paid", "timeout": "20s"}
        waited, one = await context.all(Step("w", "Wait", extra=extra), Step("r", "Run", later))
        return [waited["data"], one]

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retries="0")
        await ended(engine, "wfr_1")
        assert engine.store.waiters_for("paid", None) == []
        broken = False
        made = await engine.wire.run_letters.again(letter_of(engine), PLAIN, resume=True)
        await until(lambda: engine.store.waiters_for("paid", None))
        await engine.wire.waits.notify("paid", b"yes", made.run_id)
        assert json.loads((await ended(engine, made.run_id)).result) == ["yes", 1]


async def test_a_run_begins_again(tmp_path, endpoint) -> None:
    async def order(context: Context):
        await context.run("one", lambda: 1)
        if context.run_id == "wfr_1":
            raise Failing(500)
        return context.payload

    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", {"n": 7}, retries="0", label="eu")
        await ended(engine, "wfr_1")
        over = parse_message(URL, [("Upstash-Delay", "1h")])
        made = await engine.wire.run_letters.again(letter_of(engine), over, resume=False)
        await settled(engine)
        assert len(endpoint.visits) == 3
        jump(engine, 3601)
        row = await ended(engine, made.run_id)
        assert engine.store.labels(row.id) == ("eu",)
    assert json.loads(row.result) == {"n": 7}


async def test_a_failure_function_is_called_again(tmp_path, endpoint) -> None:
    async def order(context: Context):
        raise Failing(500)

    def on_failure(_visit):
        if broken:
            raise Failing(500)
        return "told"

    broken, endpoint.on_failure = True, on_failure
    endpoint.programs[URL] = order
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        more = {"failure_callback_retries": "0"}
        await endpoint.trigger(URL, "wfr_1", retries="0", **more)
        await ended(engine, "wfr_1")
        letter = letter_of(engine)
        assert engine.wire.run_letters.find(letter)[0].callback == "CALLBACK_FAIL"
        broken = False
        await engine.wire.run_letters.tell_again(letter)
        await settled(engine)
        assert engine.wire.run_letters.find(letter)[0].callback == "CALLBACK_SUCCESS"
        for verb in (engine.wire.run_letters.tell_again, engine.wire.run_letters.stop_telling):
            with pytest.raises(StateError):
                await verb(letter)
    first, second = [v for v in endpoint.visits if v.kind == "failure"]
    assert first.body == second.body


async def test_a_failure_function_is_called_no_more(tmp_path, endpoint) -> None:
    async def order(context: Context):
        raise Failing(500)

    endpoint.programs[URL] = order
    endpoint.on_failure = lambda _v: (_ for _ in ()).throw(Failing(500))
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        await endpoint.trigger(URL, "wfr_1", retries="0")
        await ended(engine, "wfr_1")
        letter = letter_of(engine)
        await engine.wire.run_letters.stop_telling(letter)
        assert engine.wire.run_letters.find(letter)[0].callback == "CALLBACK_CANCELED"
        jump(engine, 86_400)
        await settled(engine)
    assert [v.kind for v in endpoint.visits] == ["visit", "failure"]
