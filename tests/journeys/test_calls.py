"""HTTP requests that the engine makes for a run: bodies, retries, limits, and what stays secret."""

import asyncio
import threading

import pytest

from workflow_agents import (
    AsyncWorkflowContext,
    CallRequest,
    Engine,
    Limits,
    Secret,
    StepFailed,
)
from workflow_agents.testing._http import HttpAnswer

API = "https://api.example.com"


@pytest.fixture
def calling(serve):
    """Serve a workflow that makes one call with the options of the test."""

    def with_options(**options):
        options = {"url": f"{API}/x", **options}

        @serve.post("/call")
        async def call(context: AsyncWorkflowContext) -> list:
            try:
                answer = await context.call("call", **options)
            except StepFailed as failed:
                return ["failed", failed.error, failed.message, failed.attempts]
            kind = type(answer.body).__name__
            body = list(answer.body) if isinstance(answer.body, bytes) else answer.body
            return [answer.status, kind, body]

    return with_options


@pytest.mark.parametrize(
    ("given", "sent", "content_type"),
    [
        ({"a": [1, "é"]}, '{"a":[1,"é"]}'.encode(), "application/json"),
        ("plain é", "plain é".encode(), "text/plain; charset=utf-8"),
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        (None, b"", None),
    ],
)
async def test_bodies_that_are_sent(site, web, calling, given, sent, content_type) -> None:
    web.answer(API, {"ok": True})
    calling(method="post", body=given)

    assert (await site.run("/call")).result == [200, "dict", {"ok": True}]
    [request] = web.requests
    assert (request.method, request.body) == ("POST", sent)
    assert request.headers.get("content-type") == content_type


@pytest.mark.parametrize(
    ("content_type", "content", "body"),
    [
        ("application/json", b'{"a": 1}', ["dict", {"a": 1}]),
        ("application/json", b"{broken", ["str", "{broken"]),
        ("text/plain", "é".encode(), ["str", "é"]),
        ("text/plain", b"7", ["int", 7]),
        ("image/png", b"\x89PNG\xff", ["bytes", [0x89, 80, 78, 71, 0xFF]]),
        ("text/plain", b"\xff", ["bytes", [0xFF]]),
        ("application/json", b"", ["str", ""]),
    ],
)
async def test_bodies_that_are_received(site, web, calling, content_type, content, body) -> None:
    """Garbage too is an answer: the workflow sees what came."""
    web.answer(API, HttpAnswer(200, content, {"content-type": content_type}))
    calling()

    assert (await site.run("/call")).result == [200, *body]


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_an_answer_of_any_status_is_a_result(site, web, calling, status) -> None:
    web.answer(API, HttpAnswer(status, b"text", {"location": f"{API}/other"}))
    calling()

    assert (await site.run("/call")).result == [status, "str", "text"]
    assert len(web.requests) == 1


async def test_raise_for_status_makes_it_an_error(site, web, serve) -> None:
    web.answer(API, HttpAnswer(404, b"no such thing", {}))

    @serve.post("/call")
    async def call(context: AsyncWorkflowContext) -> None:
        answer = await context.call("call", url=f"{API}/x")
        answer.raise_for_status()

    run = await site.trigger("/call")
    retry = await site.told(run, "RUN_RETRY")

    assert retry.data["detail"]["code"] == "WA301"
    assert "404" in retry.data["message"]


async def test_an_answer_without_what_is_expected_is_tried_again(site, web, calling) -> None:
    answers = [HttpAnswer(200, b"<html>", {}), {"error": "busy"}, {"choices": []}]
    web.answer(API, lambda _request: answers.pop(0))
    calling(retries=3, retry_delay="0", expect=["choices"])

    run = await site.trigger("/call")
    assert await run.result() == [200, "dict", {"choices": []}]
    first = await site.told(run, "STEP_RETRY")
    second = await site.told(run, "STEP_RETRY", times=2)
    assert first.data["error"] == "answered 200 without a JSON object"
    assert second.data["error"] == "answered 200 without 'choices'"


async def test_an_answer_that_never_holds_what_is_expected_fails_the_step(
    site, web, calling
) -> None:
    web.answer(API, {"error": "busy"})
    calling(retries=1, retry_delay="0", expect=["choices"])

    kind, error, message, attempts = (await site.run("/call")).result

    assert (kind, error, attempts) == ("failed", "RemoteError", 2)
    assert message == f"WA301 {API}/x answered 200 without 'choices'"


async def test_what_is_expected_concerns_good_answers_only(site, web, calling) -> None:
    web.answer(API, HttpAnswer(404, b"text", {}))
    calling(expect=["choices"])

    assert (await site.run("/call")).result == [404, "str", "text"]


@pytest.mark.parametrize("expect", ["choices", [1]])
async def test_an_expectation_is_a_list_of_names(site, calling, expect) -> None:
    calling(expect=expect)
    answer = await site.post("/call")
    assert answer.json()["detail"]["code"] == "WA102"


async def test_a_call_is_retried_on_500_with_one_idempotency_key(site, web, calling) -> None:
    answers = [HttpAnswer(500, b"", {}), HttpAnswer(503, b"", {}), {"ok": True}]
    web.answer(API, lambda _request: answers.pop(0))
    calling(retries=3, retry_delay="1000 * (retried + 1)")

    run = await site.trigger("/call")
    for retry in (1, 2):
        entry = await site.told(run, "STEP_RETRY", times=retry)
        assert entry.data["until"] - entry.at == 1_000 * retry
        assert entry.data["status"] in {500, 503}
        site.pass_time(retry)

    assert await run.result() == [200, "dict", {"ok": True}]
    keys = {request.headers["idempotency-key"] for request in web.requests}
    assert keys == {f"{run.run_id}/1"}
    [step] = (await run.log()).steps
    assert step.retries == 2


async def test_the_last_answer_is_the_result_when_retries_are_spent(site, web, calling) -> None:
    web.answer(API, HttpAnswer(500, b"broken", {}))
    calling(retries=2, retry_delay="0")

    assert (await site.run("/call")).result == [500, "str", "broken"]
    assert len(web.requests) == 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "90"}, 90),
        ({"x-ratelimit-reset-requests": "6m5s"}, 365),
        ({"retry-after": "nonsense"}, 1),
    ],
)
async def test_retry_after_is_obeyed(site, web, calling, headers, seconds) -> None:
    answers = [HttpAnswer(429, b"", headers), {"ok": True}]
    web.answer(API, lambda _request: answers.pop(0))
    calling(retries=1, retry_delay="1000")

    run = await site.trigger("/call")
    entry = await site.told(run, "STEP_RETRY")
    assert entry.data["until"] - entry.at == seconds * 1000
    site.pass_time(seconds)
    assert (await run.result())[0] == 200


async def test_an_answer_that_takes_too_long(site, web, calling) -> None:
    answered = threading.Event()
    web.answer(API, lambda _request: answered.wait(10))
    calling(timeout="50ms")

    kind, error, message, attempts = (await site.run("/call")).result
    answered.set()

    assert (kind, error, attempts) == ("failed", "RemoteError", 1)
    assert message == f"WA301 {API}/x: no answer within 0.05 s"


async def test_a_server_that_hangs_up(site, web, calling) -> None:
    web.answer(API, lambda _request: None)
    calling(retries=1, retry_delay="0")

    kind, error, message, attempts = (await site.run("/call")).result

    assert (kind, error, attempts) == ("failed", "RemoteError", 2)
    assert message == f"WA301 {API}/x: the connection was closed before there was an answer"
    assert len(web.requests) == 2


async def test_nobody_listens(site, calling) -> None:
    calling(url="http://127.0.0.1:9/x")

    kind, error, message, _ = (await site.run("/call")).result
    assert (kind, error) == ("failed", "RemoteError")
    assert message.startswith("WA301 http://127.0.0.1:9/x: cannot connect: ")


async def test_an_answer_over_the_limit_is_refused_once(tmp_path, web) -> None:
    from workflow_agents.engine.http_client import AiohttpOut

    web.answer("http://", HttpAnswer(200, b"x" * 2_000, {}))
    engine = Engine(str(tmp_path / "x.db"), limits=Limits(result_bytes=1_000))
    assert isinstance(engine.core.http, AiohttpOut)

    @engine.workflow("/call")
    async def call(context: AsyncWorkflowContext) -> str:
        try:
            await context.call("call", url=f"{web.origin}/http/big", retries=5)
        except StepFailed as failed:
            return f"{failed.attempts}: {failed.message.partition(': ')[2]}"
        return "fits"

    async with engine:
        run = await engine.client.trigger(call)
        assert await run.result() == "1: the answer is over the limit of 1,000 bytes"
    assert len(web.requests) == 1


async def test_a_call_to_where_none_may_go_is_refused_once(tmp_path, web) -> None:
    """That of the step, and that of the failure address; both say what to do."""
    from workflow_agents.engine.egress import EgressPolicy
    from workflow_agents.engine.http_client import AiohttpOut

    engine = Engine(str(tmp_path / "x.db"), http=AiohttpOut(1_000, EgressPolicy("public")))
    seen: list[tuple[str, int]] = []

    @engine.workflow("/call", failure_url=f"{web.origin}/http/failed", retries=3)
    async def call(context: AsyncWorkflowContext) -> None:
        try:
            await context.call("call", url=f"{web.origin}/http/inside", retries=5)
        except StepFailed as failed:
            seen.append((failed.message, failed.attempts))
            raise

    async with engine:
        run = await engine.client.trigger(call)
        letter = None
        while letter is None or letter.failure_function_state == "CALLBACK_INPROGRESS":
            await asyncio.sleep(0.01)
            letter = next(iter(await engine.client.dlq.list()), None)
        told = [e async for e in run.feed() if "FAILURE_FUNCTION" in e.kind]

    place = web.origin.removeprefix("http://")
    refused = f"WA304 {place} may not be called: it is this machine (loopback)"
    assert seen == [(refused, 1)]
    assert [(e.kind, e.data["message"]) for e in told] == [("FAILURE_FUNCTION_FAILED", refused)]
    detail = told[0].data["detail"]
    assert all(detail[part] for part in ("what", "where", "found", "why", "fix"))
    assert web.requests == []


async def test_a_secret_is_never_on_the_disk(site, web, serve, monkeypatch) -> None:
    monkeypatch.setenv("API_KEY", "k3y-by-name")
    answers = [HttpAnswer(500, b"", {}), {"ok": True}]
    web.answer(API, lambda _request: answers.pop(0))

    @serve.post("/call")
    async def call(context: AsyncWorkflowContext) -> int:
        answer = await context.call(
            "call",
            url=f"{API}/x",
            headers={
                "authorization": Secret("API_KEY", prefix="Bearer "),
                "x-api-key": "k3y-in-code",
                "x-plain": "seen by all",
            },
            retries=1,
            retry_delay="1000",
        )
        return answer.status

    run = await site.trigger("/call")
    await site.told(run, "STEP_RETRY")
    stored = site.stored_bytes()
    assert b"seen by all" in stored
    assert b"API_KEY" in stored
    assert b"k3y-by-name" not in stored
    assert b"k3y-in-code" not in stored
    site.pass_time(1)

    assert await run.result() == 200
    assert b"k3y" not in site.stored_bytes()
    for request in web.requests:
        assert request.headers["authorization"] == "Bearer k3y-by-name"
        assert request.headers["x-api-key"] == "k3y-in-code"
    assert "k3y" not in str([e async for e in run.feed()])
    assert (site.store.parent / "workflows.db.key").stat().st_mode & 0o777 == 0o600


async def test_a_secret_that_is_not_set_fails_the_step_by_name(site, calling) -> None:
    calling(headers={"authorization": Secret("NO_SUCH_KEY")}, retries=3)

    kind, _, message, attempts = (await site.run("/call")).result

    assert (kind, attempts) == ("failed", 1)
    assert message == "WA109 a secret is not set"


async def test_calls_side_by_side(site, web, serve) -> None:
    together = threading.Barrier(5, timeout=10)

    def answer(request):
        together.wait()
        return {"n": int(request.url.rpartition("/")[2])}

    web.answer(API, answer)

    @serve.post("/calls")
    async def calls(context: AsyncWorkflowContext) -> list:
        answers = await asyncio.gather(
            *(context.call(f"call {n}", url=f"{API}/{n}") for n in range(5))
        )
        return [one.body["n"] for one in answers]

    assert (await site.run("/calls")).result == [0, 1, 2, 3, 4]


async def test_a_call_that_nobody_waits_for_any_more_is_taken_back(site, web, serve) -> None:
    began, go_on = threading.Event(), threading.Event()

    def answer(_request):
        began.set()
        go_on.wait(10)
        return {"late": True}

    web.answer(API, answer)

    @serve.post("/first")
    async def first(context: AsyncWorkflowContext) -> str:
        call = asyncio.create_task(context.call("slow", url=f"{API}/slow"))
        await context.wait_for_event("enough", "enough", timeout="1d")
        call.cancel()
        return await context.run("go on", lambda: "went on")

    run = await site.trigger("/first")
    await asyncio.to_thread(began.wait, 10)
    await site.waits(run, "enough")
    await site.client.notify("enough")
    result = await run.result()
    go_on.set()

    assert result == "went on"
    states = {step.name: step.state for step in (await run.log()).steps}
    assert states["slow"] == "STEP_CANCELED"


async def test_logs_show_what_was_requested_without_its_secrets(
    site, web, serve, monkeypatch
) -> None:
    """Before the answer and long after it, when nothing is owed any more."""
    monkeypatch.setenv("CALL_KEY", "k3y")
    answered = threading.Event()
    web.answer(API, lambda _request: answered.wait(10) and {"id": 1})
    big = {"messages": [{"role": "user", "content": "Tell me more. " * 800}]}
    headers = {
        "authorization": Secret("CALL_KEY", prefix="Bearer "),
        "x-api-key": "in-code",
        "x-tenant": "t1",
    }

    @serve.post("/orders")
    async def orders(context: AsyncWorkflowContext) -> None:
        await context.call("ask", url=f"{API}/ask", method="POST", body=big, headers=headers)
        await context.call("look", url=f"{API}/look")
        await context.call("tell", url=f"{API}/tell", method="PUT", body="plain \xe9")

    run = await site.trigger("/orders")
    await site.waits(run, "ask")
    [asked] = (await run.log()).steps
    answered.set()
    await run.result()

    steps = (await site.client.log(run.run_id)).steps
    assert asked.request == steps[0].request
    shown = {"content-type": "application/json", "x-tenant": "t1"}
    hidden = {"authorization": "[secret CALL_KEY]", "x-api-key": "[hidden]"}
    size = len(web.requests[0].body)
    assert [step.request for step in steps] == [
        CallRequest("POST", f"{API}/ask", shown | hidden, big, size),
        CallRequest("GET", f"{API}/look", {}, None, 0),
        CallRequest(
            "PUT",
            f"{API}/tell",
            {"content-type": "text/plain; charset=utf-8"},
            "plain \xe9",
            len("plain \xe9".encode()),
        ),
    ]
    [listed] = await site.client.logs()
    assert listed.steps == []


async def test_what_is_redacted_is_not_shown_of_requests(site, web, serve) -> None:
    web.answer(API, {})

    @serve.post("/private", redact={"body": True, "header": ["X-Tenant"]})
    async def private(context: AsyncWorkflowContext) -> None:
        for name, diary in (("one", "mine"), ("two", "mine"), ("three", "yours")):
            headers = {"x-tenant": "t1", "x-other": "seen"}
            await context.call(name, url=API, method="POST", body=[diary], headers=headers)

    run = await site.run("/private")

    first, second, third = (step.request for step in run.steps)
    assert first.body.startswith("REDACTED:")
    assert first.body == second.body != third.body
    assert first.headers["x-tenant"].startswith("REDACTED:")
    assert first.headers["x-other"] == "seen"
    feed = [entry async for entry in site.client.handle(run.workflow_run_id).feed()]
    assert "t1" not in str(feed)
    assert "mine" not in str(feed)


async def test_requests_that_have_no_room_in_a_log_tell_their_size(site, web, serve) -> None:
    web.answer(API, {})
    texts = [name * 2_500_000 for name in "abc"]

    @serve.post("/large")
    async def large(context: AsyncWorkflowContext) -> None:
        for text in texts:
            await context.call("send", url=API, method="POST", body=text)

    run = await site.run("/large")

    assert [step.request.body_bytes for step in run.steps] == [2_500_000] * 3
    assert [step.request.body for step in run.steps] == [None, None, texts[2]]
